//! Every record counted once, and known.

use super::super::AuditError;
use super::super::report::Invariant;
use super::super::system::Group;
use super::super::work::PLACE_COLUMNS;
use super::Judging;

/// A partition's counts beside what its topic and the dead letters say.
struct Counted {
    start: i64,
    next: i64,
    applied: i64,
    duplicate: i64,
    dead: i64,
    skipped: i64,
    read: i64,
    letters: i64,
}

impl Counted {
    fn of(row: &rusqlite::Row<'_>) -> rusqlite::Result<Self> {
        let column = |at: usize| row.get(PLACE_COLUMNS + at);
        Ok(Self {
            start: column(0)?,
            next: column(1)?,
            applied: column(2)?,
            duplicate: column(3)?,
            dead: column(4)?,
            skipped: column(5)?,
            read: column(6)?,
            letters: column(7)?,
        })
    }

    /// What does not add up, if anything does not.
    fn wrong(&self, dense: bool) -> Option<String> {
        let Self {
            start,
            next,
            applied,
            duplicate,
            dead,
            skipped,
            read,
            letters,
        } = *self;
        let (total, moved) = (applied + duplicate + dead + skipped, next - start);
        if total != read {
            return Some(format!(
                "applied {applied}, duplicate {duplicate}, dead {dead} and skipped {skipped} make {total}, and the topic \
                 has {read} records from offset {start} to {next}"
            ));
        }
        if dense && total != moved {
            return Some(format!(
                "{total} records are counted, and the position moved by {moved}"
            ));
        }
        (dead != letters).then(|| format!("{dead} records are counted as dead, and there are {letters} dead letters"))
    }
}

impl Judging<'_> {
    pub(super) fn records(&mut self, dense: bool) -> Result<(), AuditError> {
        const SQL: &str = "SELECT p.grp, p.topic, p.partition, NULL, NULL, p.start_offset, p.next_offset, p.applied, \
            p.duplicate, p.dead, p.skipped, \
            (SELECT count(*) FROM inputs AS i WHERE i.topic = p.topic AND i.partition = p.partition \
                AND i.offset >= p.start_offset AND i.offset < p.next_offset), \
            (SELECT count(DISTINCT l.offset) FROM letters AS l WHERE l.grp = p.grp AND l.topic = p.topic \
                AND l.partition = p.partition) \
            FROM progress AS p";
        self.checked(Invariant::RecordCounts, "SELECT count(*) FROM handled")?;
        let (work, findings) = (&self.gathered.work, &mut self.gathered.findings);
        work.each(SQL, |row| {
            if let Some(wrong) = Counted::of(row)?.wrong(dense) {
                findings.violation(Invariant::RecordCounts, super::place(row, self.system, wrong)?);
            }
            Ok(())
        })
    }

    /// A redriven record that no dead event waits for is skipped, and leaves no trace; every other one does.
    pub(super) fn inbox(&mut self) -> Result<(), AuditError> {
        self.checked(Invariant::Inbox, "SELECT count(*) FROM handled WHERE NOT redriven")?;
        for group in Group::ALL {
            let number = group as i64;
            let horizon = self.gathered.horizons[group as usize].unwrap_or(i64::MIN);
            let sql = format!(
                "SELECT h.grp, h.topic, h.partition, h.offset, h.event_id, b.id IS NOT NULL \
                 FROM handled AS h LEFT JOIN inbox AS b ON b.grp = h.grp AND b.id = h.event_id \
                 WHERE h.grp = {number} AND NOT h.redriven AND (b.id IS NULL OR b.hash <> h.hash) \
                     AND NOT (h.event_id IS NOT NULL AND b.id IS NULL AND h.timestamp < {horizon}) \
                     AND NOT EXISTS (SELECT 1 FROM letters AS l WHERE l.grp = h.grp AND l.topic = h.topic \
                         AND l.partition = h.partition AND l.offset = h.offset)"
            );
            self.violations(Invariant::Inbox, &sql, |row| {
                let (event, known): (Option<[u8; 16]>, bool) = (row.get(4)?, row.get(PLACE_COLUMNS)?);
                Ok(match (event, known) {
                    (None, _) => "it cannot be read, was counted, and has no dead letter",
                    (_, true) => "the inbox knows its event with other bytes, and it has no dead letter",
                    (_, false) => "it was counted, and neither the inbox knows its event nor has it a dead letter",
                }
                .to_owned())
            })?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SOUND: Counted = Counted {
        start: 2,
        next: 12,
        applied: 5,
        duplicate: 2,
        dead: 2,
        skipped: 1,
        read: 10,
        letters: 2,
    };

    #[test]
    fn what_does_not_add_up_is_told() {
        let swapped = Counted {
            dead: 3,
            applied: 4,
            ..SOUND
        };
        for (counted, dense, wrong) in [
            (SOUND, true, None),
            (Counted { applied: 6, ..SOUND }, true, Some("make 11")),
            (Counted { read: 9, ..SOUND }, true, Some("has 9 records")),
            (Counted { next: 13, ..SOUND }, true, Some("moved by 11")),
            (Counted { next: 13, ..SOUND }, false, None),
            (swapped, true, Some("there are 2 dead letters")),
        ] {
            let found = counted.wrong(dense);
            assert_eq!(found.is_some(), wrong.is_some(), "{found:?}");
            assert!(found.unwrap_or_default().contains(wrong.unwrap_or_default()));
        }
    }
}
