//! `stock`.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand};
use orderflow_domain::{EventId, Timestamp};

use crate::exit::Exit;
use crate::help;
use crate::units;

/// Move and show stock
#[derive(Debug, Args)]
pub(crate) struct StockArgs {
    #[command(subcommand)]
    pub(crate) command: StockCommand,
}

/// What can be done with stock.
#[derive(Debug, Subcommand)]
pub(crate) enum StockCommand {
    Import(StockImportArgs),
    Set(StockSetArgs),
    Receive(StockReceiveArgs),
    Show(StockShowArgs),
}

/// How a movement of stock ends.
const EXITS: &[Exit] = &[
    Exit::Done,
    Exit::Failed,
    Exit::Usage,
    Exit::Refused,
    Exit::Unreachable,
    Exit::DeadlinePassed,
    Exit::Interrupted,
    Exit::Terminated,
];

/// Receive a delivery, a CSV of `product_id,quantity`
///
/// All lines are taken or, if one of them is bad, none. The same file is received once, however often it is imported;
/// another file is another delivery.
#[derive(Debug, Args)]
#[command(after_long_help = help::sections(&[
    "orderflow stock import catalogue.csv",
    "orderflow stock import catalogue.csv --wait",
    "orderflow stock import delivery.csv.gz --source delivery-2026-11-21 --wait --timeout 2m",
], EXITS))]
pub(crate) struct StockImportArgs {
    /// The file, gzipped or not; - is standard input
    pub(crate) file: PathBuf,

    /// Which delivery it is; the content decides, if not given
    #[arg(long, value_name = "NAME")]
    pub(crate) source: Option<String>,

    /// When the goods came in; the beginning of 1970, if not given, since a repeat must be the same
    #[arg(long, value_name = "TIME")]
    pub(crate) occurred_at: Option<Timestamp>,

    #[command(flatten)]
    pub(crate) waiting: WaitArgs,
}

/// State how many of a product are on the shelf, those reserved included
///
/// Inventory makes the difference to what it knows. A count below what is reserved is refused by it, into the dead letters.
#[derive(Debug, Args)]
#[command(after_long_help = help::sections(&[
    "orderflow stock set 85123A 120",
    "orderflow stock set 85123A 118 --reason breakage --wait",
    "orderflow stock set 85123A 0 --wait --timeout 10s",
], EXITS))]
pub(crate) struct StockSetArgs {
    /// The product
    pub(crate) product: String,

    /// How many there are
    #[arg(allow_negative_numbers = true)]
    pub(crate) count: i64,

    /// Why
    #[arg(long, value_name = "TEXT", default_value = "stock_take")]
    pub(crate) reason: String,

    #[command(flatten)]
    pub(crate) identity: IdentityArgs,

    #[command(flatten)]
    pub(crate) waiting: WaitArgs,
}

/// Receive goods of one product
#[derive(Debug, Args)]
#[command(after_long_help = help::sections(&[
    "orderflow stock receive 85123A 48",
    "orderflow stock receive 85123A 48 --wait",
    "orderflow stock receive 85123A 48 --json",
], EXITS))]
pub(crate) struct StockReceiveArgs {
    /// The product
    pub(crate) product: String,

    /// How many came in
    #[arg(allow_negative_numbers = true)]
    pub(crate) quantity: i64,

    #[command(flatten)]
    pub(crate) identity: IdentityArgs,

    #[command(flatten)]
    pub(crate) waiting: WaitArgs,
}

/// Show stock as inventory knows it
///
/// Reads inventory's database, also while the daemon runs.
#[derive(Debug, Args)]
#[command(after_long_help = help::sections(&[
    "orderflow stock show",
    "orderflow stock show 85123A 71053",
    "orderflow stock show --data-dir /var/lib/orderflow --json",
], &[
    Exit::Done, Exit::Failed, Exit::Usage, Exit::Refused, Exit::Unreachable, Exit::Halted, Exit::NothingMatched,
]))]
pub(crate) struct StockShowArgs {
    /// Only these products
    #[arg(value_name = "PRODUCT")]
    pub(crate) products: Vec<String>,
}

/// Which event it is: for repeating one that may have been written.
#[derive(Debug, Args)]
pub(crate) struct IdentityArgs {
    /// Identity of the event, a UUID; a new one, if none is given
    #[arg(long, value_name = "UUID")]
    pub(crate) event_id: Option<EventId>,

    /// When it happened; now, if not given
    #[arg(long, value_name = "TIME")]
    pub(crate) occurred_at: Option<Timestamp>,
}

/// Whether to wait for inventory.
#[derive(Debug, Args)]
pub(crate) struct WaitArgs {
    /// Return only when inventory has applied it; fails if inventory refuses it
    #[arg(long)]
    pub(crate) wait: bool,

    /// How long to wait
    #[arg(long, value_name = "DURATION", default_value = "1m", value_parser = units::duration, requires = "wait")]
    pub(crate) timeout: Duration,
}
