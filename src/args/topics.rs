//! `topics`.

use clap::{Args, Subcommand};

use super::global::Flags;
use crate::exit::Exit;
use crate::help;

/// Plan, make and read the topics
#[derive(Debug, Args)]
pub(crate) struct TopicsArgs {
    #[command(subcommand)]
    pub(crate) command: TopicsCommand,
}

/// What can be done with topics.
#[derive(Debug, Subcommand)]
pub(crate) enum TopicsCommand {
    Plan(PlanArgs),
    Apply(ApplyArgs),
    Tail(TailArgs),
}

/// Show how the cluster's topics differ from what the pipeline needs
///
/// Touches nothing. A topic made with Kafka's own tools is accepted as it is, and the rest is planned to fit it: all
/// topics have one number of partitions. What would lose records, or put the records of a key out of order, is refused
/// with its reason and a way out.
#[derive(Debug, Args)]
#[command(after_long_help = help::sections(&[
    "orderflow topics plan",
    "orderflow topics plan --partitions 24 --replication 3",
    "orderflow topics plan --brokers kafka-1:9092,kafka-2:9092 --json",
], &[Exit::Done, Exit::Failed, Exit::Usage, Exit::Refused, Exit::Unreachable, Exit::Halted]))]
pub(crate) struct PlanArgs {
    #[command(flatten)]
    pub(crate) sizing: SizingArgs,
}

/// Make the topics, after showing the difference
///
/// Creates what is missing and raises limits and retention that are too low; never deletes, shrinks or repartitions.
/// Running it again changes nothing.
#[derive(Debug, Args)]
#[command(after_long_help = help::sections(&[
    "orderflow topics apply",
    "orderflow topics apply --dry-run",
    "orderflow topics apply --brokers kafka-1:9092 --partitions 24",
], &[Exit::Done, Exit::Failed, Exit::Usage, Exit::Refused, Exit::Unreachable, Exit::Halted]))]
pub(crate) struct ApplyArgs {
    #[command(flatten)]
    pub(crate) sizing: SizingArgs,

    /// Only show the difference, as `topics plan`
    #[arg(long)]
    pub(crate) dry_run: bool,
}

/// How large topics are made.
#[derive(Debug, Args)]
pub(crate) struct SizingArgs {
    /// Partitions of every topic [default: as the topics that exist, else 12]
    #[arg(long, value_name = "N")]
    pub(crate) partitions: Option<String>,

    /// Replicas of every partition [default: 3 where there are three brokers, else 1]
    #[arg(long, value_name = "N")]
    pub(crate) replication: Option<String>,
}

impl Flags for SizingArgs {
    fn said(&self) -> Vec<(&'static str, &'static str, Option<&String>)> {
        vec![
            ("topics.partitions", "--partitions", self.partitions.as_ref()),
            ("topics.replication", "--replication", self.replication.as_ref()),
        ]
    }
}

/// Print decoded records, a line of JSON each
///
/// Reads in no group and moves no consumer. Records come partition by partition, each in order, up to where the topics
/// ended at the beginning; with --follow it goes on. What cannot be decoded is printed with its bytes and the reason. The
/// lines are what `orderflow order import` reads.
#[derive(Debug, Args)]
#[command(after_long_help = help::sections(&[
    "orderflow topics tail orders",
    "orderflow topics tail orders inventory payments --follow",
    "orderflow topics tail orders.inventory.dlq --from -10",
], &[
    Exit::Done, Exit::Failed, Exit::Usage, Exit::Refused, Exit::Unreachable, Exit::Interrupted, Exit::Terminated,
]))]
pub(crate) struct TailArgs {
    /// Topics by the names they have on the cluster
    #[arg(required = true, value_name = "TOPIC")]
    pub(crate) topics: Vec<String>,

    /// Where to begin: start, end, 47, +2, -3, @2026-11-21T10:00:00Z, "@2h ago"
    #[arg(long, value_name = "PLACE", default_value = "start", allow_hyphen_values = true)]
    pub(crate) from: String,

    /// Only this partition
    #[arg(long, value_name = "N")]
    pub(crate) partition: Option<i32>,

    /// Only records with this key; only the partition it belongs to is read
    #[arg(long)]
    pub(crate) key: Option<String>,

    /// At most that many records
    #[arg(short = 'n', long, value_name = "N")]
    pub(crate) count: Option<u64>,

    /// Go on with what is produced from now on
    #[arg(short, long)]
    pub(crate) follow: bool,
}
