//! `order`.

use std::num::NonZeroU64;
use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, Subcommand, ValueEnum};
use orderflow_domain::money::Currency;
use orderflow_domain::{OrderId, Timestamp};
use orderflow_producers::emit::Rate;
use orderflow_producers::place::ItemText;

use crate::exit::Exit;
use crate::help;
use crate::units;

/// Place orders: one, a load, or a file of them
#[derive(Debug, Args)]
pub(crate) struct OrderArgs {
    #[command(subcommand)]
    pub(crate) command: OrderCommand,
}

/// How orders are placed.
#[derive(Debug, Subcommand)]
pub(crate) enum OrderCommand {
    Place(PlaceArgs),
    Emit(EmitArgs),
    Import(ImportArgs),
}

/// Place one order
///
/// Returns when the order is on every in-sync replica. With the same --order-id, --placed-at and contents the order has
/// the same bytes, and counts once however often it is placed.
#[derive(Debug, Args)]
#[command(after_long_help = help::sections(&[
    "orderflow order place --customer 17850 --item 85123A:6:2.55 --item 71053:6:3.39",
    "orderflow order place --item 22423:1:12.75 --payment-token tok_decline_no_funds",
    "orderflow order place --item 22423:1:12.75 --json",
], &[
    Exit::Done, Exit::Failed, Exit::Usage, Exit::Refused, Exit::Unreachable, Exit::Interrupted, Exit::Terminated,
]))]
pub(crate) struct PlaceArgs {
    /// Who orders; a guest, if nobody is named
    #[arg(long, value_name = "ID")]
    pub(crate) customer: Option<String>,

    /// What is ordered, the price of one in the currency's own units: 85123A:6:2.55; repeatable
    #[arg(long = "item", value_name = "PRODUCT:QUANTITY:PRICE", required = true)]
    pub(crate) items: Vec<ItemText>,

    /// Currency of the prices, an ISO 4217 code
    #[arg(long, value_name = "CODE", default_value = "GBP")]
    pub(crate) currency: Currency,

    /// What the gateway charges: `tok_ok`, `tok_decline_REASON`, `tok_flaky_N`, `tok_slow_MS`
    #[arg(long, value_name = "TOKEN", default_value = "tok_ok")]
    pub(crate) payment_token: String,

    /// Identity of the order, a UUID; a new one, if none is given
    #[arg(long, value_name = "UUID")]
    pub(crate) order_id: Option<OrderId>,

    /// When it was placed, as 2026-11-21T10:00:00Z; now, if not given
    #[arg(long, value_name = "TIME")]
    pub(crate) placed_at: Option<Timestamp>,

    /// How long to wait for the acknowledgement
    #[arg(long, value_name = "DURATION", default_value = "30s", value_parser = units::duration)]
    pub(crate) timeout: Duration,
}

/// Place a load of made-up orders at a rate
///
/// Of the products the n-th is ordered a n-th as often as the first, and further items of an order get ever rarer; customers
/// are drawn evenly, and some orders are guests'. With --seed the same choices are made again; with --start as well, every
/// byte repeats, and consumers recognise the orders.
#[derive(Debug, Args)]
#[command(after_long_help = help::sections(&[
    "orderflow order emit --count 1000",
    "orderflow order emit --count 100000 --rate 5000",
    "orderflow order emit --count 1000000 --rate max --seed 7 --products 50",
], &[
    Exit::Done, Exit::Failed, Exit::Usage, Exit::Refused, Exit::Unreachable, Exit::Interrupted, Exit::Terminated,
]))]
pub(crate) struct EmitArgs {
    /// How many orders
    #[arg(long, value_name = "N", value_parser = units::count)]
    pub(crate) count: NonZeroU64,

    /// Orders per second, or max; it is said when less than 98 % of it was reached
    #[arg(long, value_name = "N|max", default_value = "1000")]
    pub(crate) rate: Rate,

    /// Makes the same choices again; a new one is drawn and told, if none is given
    #[arg(long, value_name = "N")]
    pub(crate) seed: Option<u64>,

    /// Placed at this time and then a millisecond after one another, instead of now
    #[arg(long, value_name = "TIME")]
    pub(crate) start: Option<Timestamp>,

    /// How many products there are
    #[arg(long, value_name = "N", default_value_t = 3_375)]
    pub(crate) products: u32,

    /// How many items an order has on average
    #[arg(long, value_name = "N", default_value_t = 3)]
    pub(crate) items: u32,

    /// How many customers there are
    #[arg(long, value_name = "N", default_value_t = 2_500)]
    pub(crate) customers: u32,

    /// Of 100 orders, how many the built-in gateway declines
    #[arg(long, value_name = "PERCENT", default_value_t = 2)]
    pub(crate) declined: u8,

    /// Currency of the prices, an ISO 4217 code
    #[arg(long, value_name = "CODE", default_value = "GBP")]
    pub(crate) currency: Currency,
}

/// Place the orders of a file
///
/// Takes invoice lines as CSV, or events as NDJSON as `topics tail` prints them, gzipped or not. Every line is counted
/// under one reason, and the lines of an order with an unreadable one are held back. Importing a file twice places every
/// order once; an import that was interrupted is completed by repeating it.
#[derive(Debug, Args)]
#[command(after_long_help = help::sections(&[
    "orderflow order import online_retail.csv.gz",
    "orderflow order import online_retail.csv.gz --dry-run --json",
    "orderflow topics tail orders --brokers old:9092 | orderflow order import -",
], &[
    Exit::Done, Exit::Failed, Exit::Usage, Exit::Refused, Exit::Unreachable, Exit::Interrupted, Exit::Terminated,
]))]
pub(crate) struct ImportArgs {
    /// The file; - is standard input
    pub(crate) file: PathBuf,

    /// Count what would be done; needs no broker
    #[arg(long)]
    pub(crate) dry_run: bool,

    /// What the file holds; found out from its first byte, if not given
    #[arg(long, value_enum)]
    pub(crate) format: Option<FileFormat>,

    /// Whose invoice numbers these are: with the number it makes the order's identity
    #[arg(long, value_name = "NAME", default_value = "online-retail")]
    pub(crate) source: String,

    /// What the gateway charges for each order of a CSV
    #[arg(long, value_name = "TOKEN", default_value = "tok_ok")]
    pub(crate) payment_token: String,

    /// Stop after this many orders
    #[arg(long, value_name = "N")]
    pub(crate) limit: Option<u64>,
}

/// What a file holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum FileFormat {
    /// Invoice lines
    Csv,
    /// One event or record a line
    Ndjson,
}
