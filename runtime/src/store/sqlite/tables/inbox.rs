//! Which events were handled (rule 2).

use std::ops::ControlFlow;

use rusqlite::{CachedStatement, Connection, params};
use uuid::Uuid;

use super::{id, limit};
use crate::store::{Admission, Arrival, DeadRow};

/// An event that was handled, as the table holds it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InboxRow {
    /// The event's id, or one made from its record's origin.
    pub id: Uuid,
    /// Hash of the value's bytes as received.
    pub hash: [u8; 16],
    /// Whether it is parked as a dead letter.
    pub dead: bool,
}

const APPLIED: i64 = 0;
const DEAD: i64 = 1;

/// Rows looked at for each row that may go: ids in time order have the oldest first, others are mixed with the new.
const LOOKED_AT_PER_ROW: usize = 10;

/// Lets events in, one by one in the order of their ids, and says in the order given what the inbox says of each.
pub(in crate::store::sqlite) fn admit(
    connection: &Connection,
    arrivals: &[Arrival],
    (horizon, now): (i64, i64),
) -> rusqlite::Result<Vec<Admission>> {
    let mut door = Door {
        insert: connection.prepare_cached(
            "INSERT INTO inbox (id, hash, status, event_time, handled_at) VALUES (?1, ?2, ?3, ?4, ?5) \
             ON CONFLICT (id) DO NOTHING",
        )?,
        find: connection.prepare_cached("SELECT hash, status FROM inbox WHERE id = ?1")?,
        revive: connection.prepare_cached("UPDATE inbox SET status = ?2, handled_at = ?3 WHERE id = ?1")?,
        horizon,
        now,
    };
    let mut order: Vec<usize> = (0..arrivals.len()).collect();
    // Stable: of two arrivals with one id the first is the one that is new.
    order.sort_by_key(|at| arrivals[*at].id);
    let mut admissions = vec![Admission::Duplicate; arrivals.len()];
    for at in order {
        admissions[at] = door.admit(&arrivals[at])?;
    }
    Ok(admissions)
}

struct Door<'a> {
    insert: CachedStatement<'a>,
    find: CachedStatement<'a>,
    revive: CachedStatement<'a>,
    horizon: i64,
    now: i64,
}

impl Door<'_> {
    fn admit(&mut self, arrival: &Arrival) -> rusqlite::Result<Admission> {
        match arrival.redriven {
            Some(origin) => self.readmit(arrival, origin),
            None => self.admit_new(arrival),
        }
    }

    fn admit_new(&mut self, arrival: &Arrival) -> rusqlite::Result<Admission> {
        let id = arrival.id.as_bytes();
        let row = params![id, arrival.hash, APPLIED, arrival.event_time, self.now];
        if self.insert.execute(row)? == 0 {
            let same = self.found(arrival.id)?.is_some_and(|(hash, _)| hash == arrival.hash);
            return Ok(if same {
                Admission::Duplicate
            } else {
                Admission::Conflict
            });
        }
        let too_old = arrival.event_time < self.horizon;
        Ok(if too_old { Admission::TooOld } else { Admission::New })
    }

    /// Only a dead row of the same bytes comes back to life, and only once.
    fn readmit(&mut self, arrival: &Arrival, origin: Uuid) -> rusqlite::Result<Admission> {
        match self.found(arrival.id)? {
            Some((hash, DEAD)) if hash == arrival.hash => {
                self.revive.execute(params![arrival.id.as_bytes(), APPLIED, self.now])?;
                Ok(Admission::Redriven)
            }
            Some((_, DEAD)) => Ok(Admission::Conflict),
            _ => self.readmit_unread(arrival, origin),
        }
    }

    /// A record that could not be read when it was refused is known by its origin; its own id is looked at now, for the
    /// event may have come in another record meanwhile.
    fn readmit_unread(&mut self, arrival: &Arrival, origin: Uuid) -> rusqlite::Result<Admission> {
        let buried = origin != arrival.id && self.found(origin)? == Some((arrival.hash, DEAD));
        if !buried {
            return Ok(Admission::NotDead);
        }
        self.revive.execute(params![origin.as_bytes(), APPLIED, self.now])?;
        Ok(match self.admit_new(arrival)? {
            Admission::New | Admission::TooOld => Admission::Redriven,
            seen => seen,
        })
    }

    fn found(&mut self, id: Uuid) -> rusqlite::Result<Option<([u8; 16], i64)>> {
        let mut rows = self.find.query([id.as_bytes()])?;
        rows.next()?.map(|row| Ok((row.get(0)?, row.get(1)?))).transpose()
    }
}

/// Marks events as dead; a row of other bytes stays as it is.
pub(in crate::store::sqlite) fn bury(connection: &Connection, dead: &[DeadRow], now: i64) -> rusqlite::Result<()> {
    const SQL: &str = "INSERT INTO inbox (id, hash, status, event_time, handled_at) VALUES (?1, ?2, ?3, ?4, ?5) \
        ON CONFLICT (id) DO UPDATE SET status = excluded.status WHERE hash = excluded.hash";
    let mut statement = connection.prepare_cached(SQL)?;
    for row in dead {
        statement.execute(params![row.id.as_bytes(), row.hash, DEAD, row.event_time, now])?;
    }
    Ok(())
}

/// Where [`forget`] goes on looking.
#[derive(Debug, Clone, Copy, Default)]
pub(in crate::store::sqlite) struct Sweep {
    last: Option<[u8; 16]>,
}

/// Deletes applied rows whose event time and handling lie before the horizon, at most `most` of them.
///
/// An index by age would cost every event; looking through the table bit by bit, from where the last call ended, costs
/// nobody anything.
pub(in crate::store::sqlite) fn forget(
    connection: &Connection,
    sweep: &mut Sweep,
    (horizon, most): (i64, usize),
) -> rusqlite::Result<u64> {
    let (old, next) = find_old(connection, *sweep, (horizon, most))?;
    let mut delete = connection.prepare_cached("DELETE FROM inbox WHERE id = ?1")?;
    for id in &old {
        delete.execute([id])?;
    }
    *sweep = next;
    Ok(old.len() as u64)
}

fn find_old(
    connection: &Connection,
    sweep: Sweep,
    (horizon, most): (i64, usize),
) -> rusqlite::Result<(Vec<[u8; 16]>, Sweep)> {
    const SQL: &str = "SELECT id, status = 0 AND event_time < ?2 AND handled_at < ?2 FROM inbox \
        WHERE id > ?1 ORDER BY id LIMIT ?3";
    let mut old = Vec::new();
    let mut statement = connection.prepare_cached(SQL)?;
    let from: &[u8] = sweep.last.as_ref().map_or(&[], |id| id.as_slice());
    let looked_at = limit(most.saturating_mul(LOOKED_AT_PER_ROW));
    let mut rows = statement.query(params![from, horizon, looked_at])?;
    let mut left = looked_at;
    let mut last = None;
    while old.len() < most {
        let Some(row) = rows.next()? else { break };
        left -= 1;
        last = Some(row.get(0)?);
        if row.get(1)? {
            old.extend(last);
        }
    }
    let at_the_end = old.len() < most && left > 0;
    Ok((
        old,
        Sweep {
            last: last.filter(|_| !at_the_end),
        },
    ))
}

/// Every row, in the order of ids.
pub(in crate::store::sqlite) fn each(
    connection: &Connection,
    mut see: impl FnMut(InboxRow) -> ControlFlow<()>,
) -> rusqlite::Result<()> {
    let mut statement = connection.prepare_cached("SELECT id, hash, status FROM inbox ORDER BY id")?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let status: i64 = row.get(2)?;
        let row = InboxRow {
            id: id(row, 0)?,
            hash: row.get(1)?,
            dead: status == DEAD,
        };
        if see(row).is_break() {
            break;
        }
    }
    Ok(())
}

/// How many rows are applied, and how many dead.
pub(in crate::store::sqlite) fn counts(connection: &Connection) -> rusqlite::Result<(u64, u64)> {
    let sql = "SELECT count(*) FILTER (WHERE status = 0), count(*) FILTER (WHERE status = 1) FROM inbox";
    connection.query_row(sql, [], |row| Ok((super::counted(row, 0)?, super::counted(row, 1)?)))
}
