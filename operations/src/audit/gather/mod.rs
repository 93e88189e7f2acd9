//! Everything the judgement needs, read once: the databases first, each in one state, then the topics.
//!
//! What cannot be right whatever else is read, as a stock that does not add up, is found here; all else in `judge`.

mod copy;
mod database;
mod facts;
mod inputs;
mod letters;
mod outcome;
mod values;

use std::collections::HashMap;
use std::path::Path;

use orderflow_consumers::payment::Verdict;
use orderflow_consumers::payment::simulator::ledger;
use orderflow_runtime::store::{Lane, Sequence};
use orderflow_schemas::registry::Reader;
use rusqlite::params;
use uuid::Uuid;

use self::outcome::Held;
use self::values::Values;
use super::cluster::{Cluster, Ends};
use super::report::{Findings, Totals};
use super::system::{Group, Role, System};
use super::wait::Databases;
use super::work::Work;
use super::{AuditError, Options};

/// What was read so far.
#[derive(Debug)]
pub(super) struct Gathered {
    pub(super) work: Work,
    pub(super) findings: Findings,
    pub(super) totals: Totals,
    /// By group: events from before, milliseconds, need not be in its inbox any more.
    pub(super) horizons: [Option<i64>; 2],
    /// The sequence that the next fact of a lane bears.
    next: HashMap<(Group, Lane), Sequence>,
    held: Held,
    /// Letters up to this row have had their records looked for.
    letters_seen: i64,
    values: Values,
}

impl Gathered {
    pub(super) fn new(work: Work, findings: Findings, reader: Reader) -> Self {
        Self {
            work,
            findings,
            totals: Totals::default(),
            horizons: [None; 2],
            next: HashMap::new(),
            held: Held::default(),
            letters_seen: 0,
            values: Values::new(reader),
        }
    }

    /// Reads each group's database as it is at one moment.
    pub(super) fn databases(&mut self, system: &System, readers: &Databases, due: &Ends) -> Result<(), AuditError> {
        for group in Group::ALL {
            let reader = readers.of(group);
            reader.snapshot(|reader| self.database(system, (group, reader), due))?;
        }
        Ok(())
    }

    /// Reads the gateway's books. After payment's database, so that no charge that it knows of is missing.
    pub(super) fn ledger(&mut self, path: &Path) -> Result<(), AuditError> {
        let mut entries = 0;
        ledger::read(path, |entry| {
            entries += 1;
            let (charge_id, reason) = match entry.verdict {
                Verdict::Charged { charge_id } => (Some(charge_id), None),
                Verdict::Declined { reason } => (None, Some(reason)),
            };
            let order_id = order_id(&entry.order_id);
            let row = params![
                entry.idempotency_key,
                order_id,
                charge_id,
                reason,
                entry.amount_minor,
                entry.currency
            ];
            self.work
                .run("INSERT INTO ledger VALUES (?1, ?2, ?3, ?4, ?5, ?6)", row)
                .map(drop)
        })?;
        self.totals.ledger = entries;
        Ok(())
    }

    /// Reads every topic up to `ends`: what groups read, then what they wrote.
    pub(super) fn topics(
        &mut self,
        system: &System,
        cluster: &Cluster,
        (due, ends): (&Ends, &Ends),
        options: &Options,
    ) -> Result<(), AuditError> {
        for (index, topic) in system.indexed().filter(|(_, topic)| topic.role.is_input()) {
            let redriven = topic.role == Role::Redrive;
            cluster.read(index, ends.of(index), |message| self.input((index, redriven), message))?;
        }
        self.find_origins(system)?;
        let mut copies = facts::Copies::new(self, system, (due, options));
        for (index, topic) in system.indexed().filter(|(_, topic)| !topic.role.is_input()) {
            cluster.read(index, ends.of(index), |message| copies.record((index, topic), message))?;
        }
        copies.finish()?;
        self.find_origins(system)?;
        self.unpublished()?;
        self.held.flush(&self.work)
    }
}

/// The bytes of an order id; text that is none stays apart from every order.
fn order_id(text: &str) -> rusqlite::types::Value {
    use rusqlite::types::Value;
    Uuid::try_parse(text).map_or_else(
        |_| Value::Text(text.to_owned()),
        |id| Value::Blob(id.as_bytes().to_vec()),
    )
}
