//! `db`.

use clap::{Args, Subcommand, ValueEnum};

use crate::exit::Exit;
use crate::help;

/// Look at the schemas of the services' databases, or bring them up to date
#[derive(Debug, Args)]
pub(crate) struct DbArgs {
    #[command(subcommand)]
    pub(crate) command: DbCommand,
}

/// What can be done with schemas.
#[derive(Debug, Subcommand)]
pub(crate) enum DbCommand {
    Status(DbStatusArgs),
    Migrate(DbMigrateArgs),
}

/// Show the version of each service's schema beside the one this program needs
///
/// Changes nothing, and works beside running services.
#[derive(Debug, Args)]
#[command(after_long_help = help::sections(&[
    "orderflow db status",
    "orderflow db status inventory --database postgres://orderflow@db/shop",
    "orderflow db status --json",
], EXITS))]
pub(crate) struct DbStatusArgs {
    /// Services to look at [default: all]
    #[arg(value_name = "SERVICE")]
    pub(crate) services: Vec<ServiceName>,
}

/// Bring each service's schema up to date, or make it
///
/// A service does this by itself when it starts, unless, on PostgreSQL, `database_migrate` is false. One program at a
/// time; a schema that is up to date is left alone. A SQLite file must not be in use meanwhile.
#[derive(Debug, Args)]
#[command(after_long_help = help::sections(&[
    "orderflow db migrate",
    "orderflow db migrate inventory --database postgres://owner@db/shop",
], EXITS))]
pub(crate) struct DbMigrateArgs {
    /// Services whose schema is brought up to date [default: all]
    #[arg(value_name = "SERVICE")]
    pub(crate) services: Vec<ServiceName>,
}

/// A service that keeps a database.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ServiceName {
    /// Stock and reservations.
    Inventory,
    /// Payments.
    Payment,
}

impl ServiceName {
    /// Its consumer group.
    pub(crate) const fn group(self) -> &'static str {
        match self {
            Self::Inventory => orderflow_consumers::inventory::GROUP,
            Self::Payment => orderflow_consumers::payment::GROUP,
        }
    }
}

const EXITS: &[Exit] = &[
    Exit::Done,
    Exit::Failed,
    Exit::Usage,
    Exit::Refused,
    Exit::Unreachable,
    Exit::Halted,
];
