//! `health`.

use std::time::Duration;

use clap::Args;

use super::ServiceName;
use crate::exit::Exit;
use crate::help;
use crate::units;

/// Say whether a daemon on this machine gets on with its work
///
/// Reads the file that the daemon writes every second (setting `health_file`) and asks nobody else, so it answers at once
/// and needs no rights. A daemon is healthy while each of its lanes that has records to handle handles some, and while a
/// broker can be reached. Made for the health checks of containers.
#[derive(Debug, Args)]
#[command(after_long_help = help::sections(&[
    "orderflow health inventory",
    "orderflow health payment --still 5m --json",
], &[Exit::Done, Exit::Failed, Exit::Usage, Exit::Unhealthy]))]
pub(crate) struct HealthArgs {
    /// The daemon
    #[arg(value_name = "SERVICE")]
    pub(crate) service: ServiceName,

    /// How long a lane with records may handle none, and no broker may answer
    #[arg(long, value_name = "DURATION", default_value = "1m", value_parser = units::duration)]
    pub(crate) still: Duration,

    /// How long the daemon may write nothing
    #[arg(long, value_name = "DURATION", default_value = "15s", value_parser = units::duration)]
    pub(crate) stale: Duration,
}
