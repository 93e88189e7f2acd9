//! Armed timers (rule 11).

use std::ops::ControlFlow;

use rusqlite::{Connection, Row, params};
use uuid::Uuid;

use super::{id, limit};
use crate::store::{Lane, TimerRow};

pub(in crate::store::sqlite) fn write(connection: &Connection, timers: &[TimerRow]) -> rusqlite::Result<()> {
    let sql = "INSERT INTO timers (id, lane, kind, subject, due) VALUES (?1, ?2, ?3, ?4, ?5)";
    let mut statement = connection.prepare_cached(sql)?;
    for timer in timers {
        statement.execute(params![
            timer.id.as_bytes(),
            timer.lane,
            timer.kind,
            timer.subject,
            timer.due
        ])?;
    }
    Ok(())
}

/// Deletes the lane's timers that fire: one row each or nothing.
pub(in crate::store::sqlite) fn fire(
    connection: &Connection,
    lane: Lane,
    timers: &[Uuid],
) -> rusqlite::Result<Vec<bool>> {
    let mut statement = connection.prepare_cached("DELETE FROM timers WHERE id = ?1 AND lane = ?2")?;
    let mut fire = |timer: &Uuid| {
        let fired = statement.execute(params![timer.as_bytes(), lane]);
        fired.map(|fired| fired == 1)
    };
    timers.iter().map(&mut fire).collect()
}

/// Timers of a lane, earliest due first.
pub(in crate::store::sqlite) fn of_lane(
    connection: &Connection,
    lane: Lane,
    most: usize,
) -> rusqlite::Result<Vec<TimerRow>> {
    let sql = "SELECT id, lane, kind, subject, due FROM timers WHERE lane = ?1 ORDER BY due, id LIMIT ?2";
    let mut statement = connection.prepare_cached(sql)?;
    statement.query_map(params![lane, limit(most)], read)?.collect()
}

/// Every timer, earliest due first.
pub(in crate::store::sqlite) fn each(
    connection: &Connection,
    mut see: impl FnMut(TimerRow) -> ControlFlow<()>,
) -> rusqlite::Result<()> {
    let sql = "SELECT id, lane, kind, subject, due FROM timers ORDER BY due, id";
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        if see(read(row)?).is_break() {
            break;
        }
    }
    Ok(())
}

fn read(row: &Row<'_>) -> rusqlite::Result<TimerRow> {
    Ok(TimerRow {
        id: id(row, 0)?,
        lane: row.get(1)?,
        kind: row.get(2)?,
        subject: row.get(3)?,
        due: row.get(4)?,
    })
}
