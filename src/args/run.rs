//! `run`.

use clap::{Args, Subcommand};

use crate::exit::Exit;
use crate::help;

/// Run a daemon
///
/// A daemon reads its topics as a consumer group of its own and keeps its state in a database of its own. It ends by
/// SIGINT or SIGTERM: it finishes what it has begun and publishes it. A second signal ends it at once; whatever ends it,
/// the next start goes on where it stopped.
#[derive(Debug, Args)]
pub(crate) struct RunArgs {
    #[command(subcommand)]
    pub(crate) command: RunCommand,
}

/// The daemons.
#[derive(Debug, Subcommand)]
pub(crate) enum RunCommand {
    /// Reserve goods for orders, all of an order's or none
    ///
    /// Reads orders and stock, and announces for every order that its goods are reserved, or which lines are unavailable
    /// and why.
    #[command(after_long_help = help::sections(&[
        "orderflow run inventory",
        "orderflow run inventory --brokers kafka-1:9092 --data-dir /var/lib/orderflow",
        "orderflow run inventory --adopt-database",
    ], EXITS))]
    Inventory(ServiceArgs),
    /// Charge orders, each once
    ///
    /// Reads orders, charges each through the payment gateway under a key that never changes, and announces that it was
    /// processed or failed. The gateway is a built-in simulator with a ledger of its own, the file gateway.db in --data-dir.
    /// Several instances on PostgreSQL must have one --data-dir: two ledgers are two gateways, and both may charge.
    #[command(after_long_help = help::sections(&[
        "orderflow run payment",
        "orderflow run payment --brokers kafka-1:9092 --data-dir /var/lib/orderflow",
        "orderflow run payment --log-level info,orderflow_runtime=debug",
    ], EXITS))]
    Payment(ServiceArgs),
}

/// How a daemon ends.
const EXITS: &[Exit] = &[
    Exit::Done,
    Exit::Failed,
    Exit::Usage,
    Exit::Refused,
    Exit::Unreachable,
    Exit::Halted,
    Exit::Interrupted,
    Exit::Terminated,
];

/// What every daemon takes.
#[derive(Debug, Args)]
pub(crate) struct ServiceArgs {
    /// Take over a group that has positions this database does not know, or a database that knows none of its topics. For once,
    /// and only when it is meant
    #[arg(long)]
    pub(crate) adopt_database: bool,
    /// Go on with topics that have more partitions than before. For once, when what was there before is read to the end
    #[arg(long)]
    pub(crate) adopt_partitions: bool,
}
