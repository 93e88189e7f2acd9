//! Dead letters: one for everything refused, with its bytes.

use super::super::AuditError;
use super::super::report::Invariant;
use super::super::work::PLACE_COLUMNS;
use super::Judging;

/// Events the inbox calls dead, without a letter.
const UNPARKED: &str = "SELECT b.grp, i.topic, i.partition, min(i.offset), b.id FROM inbox AS b \
    LEFT JOIN handled AS i ON i.grp = b.grp AND i.event_id = b.id \
    WHERE b.dead AND NOT EXISTS (SELECT 1 FROM buried AS l WHERE l.grp = b.grp AND l.id = b.id) GROUP BY b.grp, b.id";

/// Letters that no topic has yet and that are not what was refused; those in topics were compared as they were read.
const CHANGED: &str = "SELECT l.grp, l.topic, l.partition, l.offset, l.event_id, l.lane, l.sequence FROM letters AS l \
    JOIN facts AS f ON f.grp = l.grp AND f.lane = l.lane AND f.sequence = l.sequence \
    WHERE l.topic IS NOT NULL AND f.copies = 0 AND f.differing = 0 AND f.body <> l.origin_body";

impl Judging<'_> {
    pub(super) fn letters(&mut self) -> Result<(), AuditError> {
        self.checked(Invariant::DeadLetters, "SELECT count(*) FROM letters")?;
        self.violations(Invariant::DeadLetters, UNPARKED, |_| {
            Ok("the inbox says it is dead, and there is no dead letter of it".to_owned())
        })?;
        self.violations(Invariant::DeadLetters, CHANGED, |row| {
            let (lane, sequence): (i64, i64) = (row.get(PLACE_COLUMNS)?, row.get(PLACE_COLUMNS + 1)?);
            Ok(format!(
                "its dead letter, sequence {sequence} of lane {lane}, has another key or value"
            ))
        })
    }
}
