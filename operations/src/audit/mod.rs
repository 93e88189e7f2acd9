//! The audit: whether the topics and the databases tell the same story, on a live system.
//!
//! ```text
//! System     which groups read and write which topics       system.rs
//! Cluster    watermarks, and records in no group            cluster.rs    asks the brokers
//! wait       until every group has passed the watermarks    wait.rs       asks the databases
//! Work       what was read, in a temporary database         work.rs       bounded memory
//! gather     databases, then topics, into Work              gather/
//! judge      one query or fold per invariant                judge/        asks Work alone
//! Report     invariants, counts, violations                 report.rs
//! ```
//!
//! It is a client like any other: it joins no group, commits nothing and opens the databases for reading only. What is
//! judged, and why a live system cannot be caught in the middle, is in `docs/audit.md`.

mod cluster;
mod digest;
mod error;
mod gather;
mod judge;
mod report;
mod system;
mod wait;
mod work;

use std::path::PathBuf;
use std::time::{Duration, Instant};

use orderflow_producers::Stop;
use orderflow_runtime::kafka::Connection;
use orderflow_runtime::settings::Settings;
use orderflow_runtime::store::Database;
use orderflow_schemas::TopicNames;
use orderflow_schemas::registry::Reader;

pub use error::AuditError;
pub use report::{Finding, Invariant, Report, Totals, Violation};

use cluster::Cluster;
use gather::Gathered;
use report::Findings;
use system::System;
use wait::Databases as Readers;
use work::Work;

/// Where the databases are.
#[derive(Debug, Clone)]
pub struct Databases {
    /// Of the group `inventory`.
    pub inventory: Database,
    /// Of the group `payment`.
    pub payment: Database,
    /// The simulated gateway's ledger; `None` where a provider keeps its own books, which are then not compared.
    pub ledger: Option<PathBuf>,
}

/// How to audit.
#[derive(Debug, Clone)]
pub struct Options {
    /// How long the services may take to pass the watermarks.
    pub timeout: Duration,
    /// Most violations of one invariant that are listed; all are counted.
    pub listed: usize,
    /// How long the services keep published outbox rows: what is missing and older was deleted by them.
    pub outbox_retention: Duration,
    /// Whether topics are written without holes, as the services are told too.
    pub dense: bool,
    /// What reads the values of records.
    pub reader: Reader,
    /// Ends the waiting for the services early.
    pub stop: Stop,
}

impl Default for Options {
    fn default() -> Self {
        let services = Settings::default();
        Self {
            timeout: Duration::from_mins(1),
            listed: 20,
            outbox_retention: services.outbox_retention,
            dense: services.dense,
            reader: Reader::default(),
            stop: Stop::default(),
        }
    }
}

/// Judges what the topics hold at the time of the call, once every group has handled and published it.
///
/// Blocks the thread. Violations are in the report; an error says nothing about the invariants.
///
/// # Errors
/// [`AuditError::Deadline`] when the groups do not get there in time, [`AuditError::Stopped`] when that is not waited for; else
/// what is needed to judge is not there.
pub fn audit(
    connection: &Connection,
    names: &TopicNames,
    databases: &Databases,
    options: &Options,
) -> Result<Report, AuditError> {
    let began = Instant::now();
    let system = System::new(names);
    let cluster = Cluster::open(connection, &system)?;
    let due = cluster.watermarks()?;
    let readers = Readers::open(databases, &system)?;
    wait::until_passed(&readers, &system, &due, (options.timeout, &options.stop))?;

    let mut gathered = Gathered::new(Work::open()?, Findings::new(options.listed), options.reader.clone());
    gathered.databases(&system, &readers, &due)?;
    if let Some(ledger) = &databases.ledger {
        gathered.ledger(ledger)?;
    }
    // After the databases: what they call published is below these.
    let ends = cluster.watermarks()?;
    gathered.topics(&system, &cluster, (&due, &ends), options)?;
    judge::all(gathered, &system, (databases, options), began)
}
