//! Outbox rows that are in no topic, and sequences that are nowhere.

use super::super::AuditError;
use super::super::report::Invariant;
use super::super::work::PLACE_COLUMNS;
use super::Judging;

/// Rows that are published and stand nowhere.
const LOST: &str = "SELECT grp, topic, partition, NULL, event_id, lane, sequence FROM facts \
    WHERE published AND copies = 0 AND differing = 0";

/// Runs of sequences without a row, as far as no topic has them; those a topic has are reported with their records.
const GAPS: &str = "SELECT g.grp, NULL, NULL, NULL, NULL, g.lane, g.first, g.last FROM gaps AS g \
    WHERE g.last - g.first + 1 > (SELECT count(*) FROM found AS f \
        WHERE f.grp = g.grp AND f.lane = g.lane AND f.sequence BETWEEN g.first AND g.last)";

impl Judging<'_> {
    pub(super) fn facts(&mut self) -> Result<(), AuditError> {
        self.checked(Invariant::Outbox, "SELECT count(*) FROM facts")?;
        self.checked(Invariant::PublishOrder, "SELECT count(*) FROM facts WHERE copies > 0")?;
        self.violations(Invariant::Outbox, LOST, |row| {
            let (lane, sequence): (i64, i64) = (row.get(PLACE_COLUMNS)?, row.get(PLACE_COLUMNS + 1)?);
            Ok(format!(
                "sequence {sequence} of lane {lane} is published, and in no topic"
            ))
        })?;
        self.violations(Invariant::Outbox, GAPS, |row| {
            let lane: i64 = row.get(PLACE_COLUMNS)?;
            let (first, last): (i64, i64) = (row.get(PLACE_COLUMNS + 1)?, row.get(PLACE_COLUMNS + 2)?);
            let which = if first == last {
                format!("sequence {first}")
            } else {
                format!("some of {first} to {last}")
            };
            Ok(format!("lane {lane}: {which} is neither in the outbox nor in a topic"))
        })
    }
}
