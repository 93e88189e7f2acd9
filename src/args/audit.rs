//! `audit`.

use std::time::Duration;

use clap::Args;

use crate::exit::Exit;
use crate::help;
use crate::units;

/// Prove from the topics and the databases that nothing was lost and nothing happened twice
///
/// Takes the ends of the topics first, waits until every service has passed them, and judges up to there, on a live system
/// too. Joins no group and opens the databases for reading only. Each violation is printed with topic, partition, offset
/// and event id.
#[derive(Debug, Args)]
#[command(after_long_help = help::sections(&[
    "orderflow audit",
    "orderflow audit --timeout 5m --data-dir /var/lib/orderflow",
    "orderflow audit --json",
], &[
    Exit::Done, Exit::Failed, Exit::Usage, Exit::Refused, Exit::Unreachable, Exit::Violated, Exit::DeadlinePassed,
    Exit::Interrupted, Exit::Terminated,
]))]
pub(crate) struct AuditArgs {
    /// How long the services may take to pass the ends of the topics
    #[arg(long, value_name = "DURATION", default_value = "1m", value_parser = units::duration)]
    pub(crate) timeout: Duration,

    /// Most violations of one invariant that are printed; all are counted
    #[arg(long, value_name = "N", default_value_t = 20)]
    pub(crate) listed: usize,
}
