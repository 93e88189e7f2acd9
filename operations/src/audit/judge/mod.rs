//! One query or fold per invariant, on what was gathered.

mod charges;
mod facts;
mod letters;
mod orders;
mod records;
mod stock;

use std::time::Instant;

use rusqlite::Row;

use super::gather::Gathered;
use super::report::{Invariant, Report};
use super::system::System;
use super::work::place;
use super::{AuditError, Databases, Options};

/// Judges everything.
pub(super) fn all(
    gathered: Gathered,
    system: &System,
    (databases, options): (&Databases, &Options),
    began: Instant,
) -> Result<Report, AuditError> {
    let notes = Vec::new();
    let mut judging = Judging {
        gathered,
        system,
        notes,
    };
    judging.records(options.dense)?;
    judging.inbox()?;
    judging.orders()?;
    judging.stock()?;
    judging.charges(databases.ledger.is_some())?;
    judging.facts()?;
    judging.letters()?;
    judging.totals()?;
    Ok(judging.report(began))
}

/// Outcomes of each kind, in one pass: `GROUP BY` would sort them, in as much memory again as the page cache has.
const OUTCOMES: &str = "SELECT count(*) FILTER (WHERE kind = 1), count(*) FILTER (WHERE kind = 2), \
        count(*) FILTER (WHERE kind = 3), count(*) FILTER (WHERE kind = 4) \
    FROM outcomes WHERE known";

/// What was gathered, being judged.
struct Judging<'a> {
    gathered: Gathered,
    system: &'a System,
    notes: Vec<String>,
}

impl Judging<'_> {
    /// Every row that a query finds violates an invariant. Its first columns name the record, see [`place`]; `sentence`
    /// reads the others.
    fn violations(
        &mut self,
        invariant: Invariant,
        sql: &str,
        sentence: impl Fn(&Row<'_>) -> rusqlite::Result<String>,
    ) -> Result<(), AuditError> {
        let Gathered { work, findings, .. } = &mut self.gathered;
        work.each(sql, |row| {
            findings.violation(invariant, place(row, self.system, sentence(row)?)?);
            Ok(())
        })
    }

    fn checked(&mut self, invariant: Invariant, sql: &str) -> Result<(), AuditError> {
        let count = self.gathered.work.number(sql)?;
        self.gathered.findings.checked(invariant, count);
        Ok(())
    }

    fn totals(&mut self) -> Result<(), AuditError> {
        let Gathered { work, totals, .. } = &mut self.gathered;
        totals.orders = work.number("SELECT count(*) FROM (SELECT DISTINCT subject FROM inputs WHERE kind = 1)")?;
        work.each(OUTCOMES, |row| {
            let count = |column| Ok::<_, rusqlite::Error>(u64::try_from(row.get::<_, i64>(column)?).unwrap_or(0));
            totals.reserved = count(0)?;
            totals.unavailable = count(1)?;
            totals.processed = count(2)?;
            totals.failed = count(3)?;
            Ok(())
        })
    }

    fn report(self, began: Instant) -> Report {
        let totals = self.gathered.totals;
        let invariants = self.gathered.findings.into_invariants();
        Report {
            clean: invariants.iter().all(|finding| finding.violated == 0),
            invariants,
            totals,
            notes: self.notes,
            took_ms: u64::try_from(began.elapsed().as_millis()).unwrap_or(u64::MAX),
        }
    }
}
