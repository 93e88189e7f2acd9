//! Measures the pipeline beside raw rdkafka: one broker, one run, interleaved rounds, medians.
//!
//! ```text
//! run       what is measured, round after round       catch_up.rs   producing.rs   latency.rs
//! Ground    topics and group of one workload          ground.rs     made at its beginning, gone at its end
//! Store     the database of one round                 store.rs      a file, or a schema: postgres/schema.rs
//! Crew      the processes of one group                crew.rs       who holds which lanes: group.rs
//! Child     one process that is measured              child.rs      its CPU and memory are its own: process.rs
//! postgres  many instances, partitions, recovery      postgres/     what ours on a server is held against
//! raw       the same job with nothing but rdkafka     raw/          the yardstick
//! Report    figures, ratios, targets, limits          report.rs
//! ```
//!
//! Absolute figures are the machine's; ratios within a round carry over. What is measured runs in a process of its own,
//! so that the harness costs neither side anything: give [`Options::child`] a command that calls [`serve`].

mod catch_up;
mod child;
mod crew;
mod error;
mod ground;
mod group;
mod inventory;
mod latency;
mod limits;
mod load;
mod postgres;
mod process;
mod producing;
mod raw;
mod real;
mod report;
mod store;
mod watch;
mod workload;

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use orderflow_producers::Stop;
use orderflow_runtime::Settings;
use orderflow_runtime::kafka::Connection;

pub use child::serve;
pub use error::Error;
pub use postgres::ServerFacts;
pub use report::{Beside, Better, Figure, Limit, Machine, Report, Target};
pub use workload::{UnknownWorkload, Workload};

/// What can be measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Measure {
    /// How fast inventory works off orders that wait, and what that costs.
    CatchUp,
    /// How fast made-up orders are put in.
    Producing,
    /// The same on PostgreSQL: one instance and three, 12 partitions and 48, batches of all sizes.
    Postgres,
    /// How long after an order is due its fact can be read, at a steady rate; on PostgreSQL too where there is one.
    Latency,
    /// How long the lanes of one of three instances on PostgreSQL stand still when it is killed.
    Recovery,
    /// What the program may take, whatever raw rdkafka takes. The memory of a daemon comes with [`Measure::CatchUp`].
    Limits,
}

impl Measure {
    /// Everything.
    pub const ALL: [Self; 6] = [
        Self::CatchUp,
        Self::Postgres,
        Self::Producing,
        Self::Latency,
        Self::Recovery,
        Self::Limits,
    ];

    /// Whether it is about PostgreSQL alone.
    #[must_use]
    pub const fn needs_server(self) -> bool {
        matches!(self, Self::Postgres | Self::Recovery)
    }

    /// Its name on the command line.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::CatchUp => "catch-up",
            Self::Producing => "producing",
            Self::Postgres => "postgres",
            Self::Latency => "latency",
            Self::Recovery => "recovery",
            Self::Limits => "limits",
        }
    }
}

/// How to measure.
#[derive(Debug, Clone)]
pub struct Options {
    /// What is measured.
    pub measures: Vec<Measure>,
    /// On which orders; [`Measure::Producing`] and [`Measure::Latency`] take the last made-up ones.
    pub workloads: Vec<Workload>,
    /// Orders of a round of [`Measure::CatchUp`], [`Measure::Postgres`] and [`Measure::Producing`].
    pub orders: u64,
    /// Rounds, each with the raw side and ours; 3 and more for figures that are to be believed.
    pub rounds: u32,
    /// Orders per second of [`Measure::Latency`] and [`Measure::Recovery`].
    pub rate: u32,
    /// How long a round of [`Measure::Latency`] lasts, at that rate.
    pub lasting: Duration,
    /// How often an instance is killed by [`Measure::Recovery`]; 30 for a worst case that is to be believed.
    pub kills: u32,
    /// After how long without a heartbeat [`Measure::Recovery`] has the group count a member as dead.
    pub session_timeout: Duration,
    /// URL of a database of PostgreSQL in which schemas may be made; what needs one is left out without it.
    pub database: Option<String>,
    /// Where the databases are made, and removed: on the disk whose speed is to count.
    pub folder: PathBuf,
    /// Program and arguments of a process that calls [`serve`] on its standard input and output.
    pub child: Vec<OsString>,
    /// `orderflow` itself, for [`Measure::Limits`].
    pub program: Option<PathBuf>,
}

/// The shortest session a broker takes, unless it is told otherwise.
const LEAST_SESSION: Duration = Duration::from_secs(6);

impl Options {
    /// Figures to be believed: at least 1,000,000 orders that wait, three rounds.
    #[must_use]
    pub fn full(folder: PathBuf, child: Vec<OsString>) -> Self {
        Self {
            measures: Measure::ALL.to_vec(),
            workloads: vec![Workload::Hot, Workload::Wide, Workload::Real],
            orders: 1_000_000,
            rounds: 3,
            rate: 1_000,
            lasting: Duration::from_secs(15),
            kills: 5,
            session_timeout: Settings::default().session_timeout,
            database: None,
            folder,
            child,
            program: None,
        }
    }

    /// Shows in some seconds that everything can be measured. Its figures say nothing.
    #[must_use]
    pub fn quick(folder: PathBuf, child: Vec<OsString>) -> Self {
        Self {
            orders: 5_000,
            rounds: 1,
            lasting: Duration::from_secs(2),
            kills: 1,
            session_timeout: LEAST_SESSION,
            ..Self::full(folder, child)
        }
    }
}

/// Measures. `tell` hears in a line what is being done.
///
/// Topics are made under names of their own and removed at the end, also after an error.
///
/// # Errors
///
/// See [`Error`]; above all, facts that are missing, too many, or other than expected: a figure of wrong work is none.
pub fn run(
    connection: &Connection,
    options: &Options,
    stop: &Stop,
    tell: &mut dyn FnMut(&str),
) -> Result<Report, Error> {
    let mut bench = Bench {
        connection,
        options,
        stop,
        tell,
        figures: Vec::new(),
        limits: Vec::new(),
    };
    let before = Machine::look(&options.folder)?;
    let server = options.database.as_deref().map(postgres::look).transpose()?;
    for measure in options
        .measures
        .iter()
        .filter(|measure| server.is_some() || !measure.needs_server())
    {
        match measure {
            Measure::CatchUp => bench.catch_up()?,
            Measure::Postgres => bench.postgres()?,
            Measure::Producing => bench.producing()?,
            Measure::Latency => bench.latency()?,
            Measure::Recovery => bench.recovery()?,
            Measure::Limits => bench.limits()?,
        }
    }
    Ok(Report {
        machine: before.and_now(),
        server,
        orders: options.orders,
        rounds: options.rounds,
        figures: bench.figures,
        limits: bench.limits,
    })
}

/// One run.
struct Bench<'a> {
    connection: &'a Connection,
    options: &'a Options,
    stop: &'a Stop,
    tell: &'a mut dyn FnMut(&str),
    figures: Vec<Figure>,
    limits: Vec<Limit>,
}

impl Bench<'_> {
    fn tell(&mut self, what: &str) {
        (self.tell)(what);
    }

    /// The made-up orders that a measure takes which needs only one kind.
    fn made_up(&self) -> Workload {
        let made_up = self
            .options
            .workloads
            .iter()
            .rev()
            .find(|workload| workload.is_made_up());
        made_up.cloned().unwrap_or(Workload::Wide)
    }

    /// Raw first in even rounds, ours first in odd ones: what one leaves behind in caches favours neither.
    fn order(round: u32) -> [Side; 2] {
        if round.is_multiple_of(2) {
            [Side::Raw, Side::Ours]
        } else {
            [Side::Ours, Side::Raw]
        }
    }
}

/// Whose turn it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Side {
    Raw,
    Ours,
}
