//! `bench`.

use clap::{Args, ValueEnum};
use orderflow_operations::bench::Workload;

use crate::exit::Exit;
use crate::help;

/// Measure the pipeline beside raw rdkafka on your cluster
///
/// Makes topics of its own and removes them at the end; puts databases under --data-dir. Figures are ratios to raw
/// rdkafka doing the same job, medians of interleaved rounds. What is about PostgreSQL needs --database with its URL,
/// and the right to make schemas there; they are removed too. A cluster that others work on is no place for it yet.
#[derive(Debug, Args)]
#[command(after_long_help = help::sections(&[
    "orderflow bench --quick",
    "orderflow bench --measure catch-up --workload hot --rounds 5",
    "orderflow bench --orders 2000000 --json",
    "orderflow bench --quick --measure postgres --database postgres://owner@db/shop",
], &[
    Exit::Done, Exit::Failed, Exit::Usage, Exit::Refused, Exit::Unreachable, Exit::Halted, Exit::Interrupted,
    Exit::Terminated,
]))]
pub(crate) struct BenchArgs {
    /// Show in some seconds that everything can be measured; its figures say nothing
    #[arg(long)]
    pub(crate) quick: bool,

    /// What is measured; everything, if not given; repeatable
    #[arg(long = "measure", value_name = "MEASURE", value_enum)]
    pub(crate) measures: Vec<MeasureName>,

    /// On which orders: hot (50 products), wide (3,375) or real (a shop's own); all, if not given; repeatable
    #[arg(long = "workload", value_name = "WORKLOAD")]
    pub(crate) workloads: Vec<Workload>,

    /// Orders of a round, all of them waiting when it is about catching up [default: 1000000]
    #[arg(long, value_name = "N")]
    pub(crate) orders: Option<u64>,

    /// Rounds, each with the raw side and ours [default: 3]
    #[arg(long, value_name = "N")]
    pub(crate) rounds: Option<u32>,

    /// How often an instance is killed for `recovery`; 30 for a worst case to believe [default: 5]
    #[arg(long, value_name = "N")]
    pub(crate) kills: Option<u32>,

    /// Fail when a figure misses what it must reach, a limit is exceeded, or the server is not durable
    #[arg(long)]
    pub(crate) check: bool,

    /// Be the process that is measured: takes its job on standard input
    #[arg(long, hide = true, exclusive = true)]
    pub(crate) child: bool,
}

/// What can be measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum MeasureName {
    /// How fast inventory works off orders that wait
    CatchUp,
    /// The same on PostgreSQL, by instances, partitions and batches
    Postgres,
    /// How fast made-up orders are put in
    Producing,
    /// How long after an order its fact can be read
    Latency,
    /// How long lanes stand still when their process is killed, on PostgreSQL
    Recovery,
    /// Time to the help, size, memory of an import, time to the end
    Limits,
}
