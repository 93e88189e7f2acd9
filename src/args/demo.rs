//! `demo`.

use std::num::NonZeroU64;

use clap::Args;

use crate::exit::Exit;
use crate::help;
use crate::units;

/// See all of it work: real orders, a daemon killed in the middle, an audit
///
/// Starts a broker in this process and the daemons as children of it, places real orders, kills one daemon with SIGKILL,
/// starts it again, and audits what came of it. Needs nothing else installed. With --data-dir, a folder that is empty or not
/// there yet, the databases and logs stay to be looked into; else they are removed.
#[derive(Debug, Args)]
#[command(after_long_help = help::sections(&[
    "orderflow demo",
    "orderflow demo --data-dir ./demo",
    "orderflow demo --json",
], &[
    Exit::Done, Exit::Failed, Exit::Usage, Exit::Refused, Exit::Unreachable, Exit::Halted, Exit::Violated,
    Exit::DeadlinePassed, Exit::Interrupted, Exit::Terminated,
]))]
pub(crate) struct DemoArgs {
    /// How many orders are placed; the data set has 8,067, and no more can be
    #[arg(long, value_name = "N", default_value = "6000", value_parser = units::count)]
    pub(crate) orders: NonZeroU64,
}
