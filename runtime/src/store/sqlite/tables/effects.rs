//! Calls to the outside (rule 10).

use std::ops::ControlFlow;

use rusqlite::types::Type;
use rusqlite::{Connection, Row, params};

use super::{id, limit, unreadable};
use crate::store::{Answer, Attempt, EffectRow, EffectState, Lane};

/// An effect as the table holds it, answered or not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EffectRecord {
    /// The effect; of an answered one `state` says how it stood before.
    pub effect: EffectRow,
    /// What the outside said, and when, milliseconds of wall clock.
    pub answer: Option<(Vec<u8>, i64)>,
    /// What the last call without an answer said.
    pub error: Option<String>,
}

const PENDING: i64 = 0;
const UNKNOWN: i64 = 1;
const ANSWERED: i64 = 2;

fn code(state: EffectState) -> i64 {
    match state {
        EffectState::Pending => PENDING,
        EffectState::Unknown => UNKNOWN,
    }
}

const COLUMNS: &str = "id, lane, kind, idempotency_key, subject, request, caused_at, created_at, due, attempts, state, \
    traceparent";

pub(in crate::store::sqlite) fn write(connection: &Connection, effects: &[EffectRow]) -> rusqlite::Result<()> {
    const SQL: &str = "INSERT INTO effects (id, lane, kind, idempotency_key, subject, request, caused_at, created_at, due, \
        attempts, state, traceparent) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)";
    let mut statement = connection.prepare_cached(SQL)?;
    for effect in effects {
        statement.execute(params![
            effect.id.as_bytes(),
            effect.lane,
            effect.kind,
            effect.idempotency_key,
            effect.subject,
            effect.request,
            effect.caused_at,
            effect.created_at,
            effect.due,
            effect.attempts,
            code(effect.state),
            effect.traceparent,
        ])?;
    }
    Ok(())
}

/// Takes answers of the lane's effects: one row each or nothing.
pub(in crate::store::sqlite) fn answer(
    connection: &Connection,
    lane: Lane,
    answers: &[Answer],
    now: i64,
) -> rusqlite::Result<Vec<bool>> {
    const SQL: &str = "UPDATE effects SET state = 2, answer = ?3, answered_at = ?4 \
        WHERE id = ?1 AND lane = ?2 AND state <> 2";
    let mut statement = connection.prepare_cached(SQL)?;
    let mut take = |answer: &Answer| {
        let row = params![answer.effect.as_bytes(), lane, answer.answer, now];
        statement.execute(row).map(|taken| taken == 1)
    };
    answers.iter().map(&mut take).collect()
}

/// Records calls that brought no answer. What was answered meanwhile stays answered.
pub(in crate::store::sqlite) fn attempt(
    connection: &Connection,
    lane: Lane,
    attempts: &[Attempt],
) -> rusqlite::Result<()> {
    const SQL: &str = "UPDATE effects SET attempts = ?3, due = ?4, state = ?5, error = ?6 \
        WHERE id = ?1 AND lane = ?2 AND state <> 2";
    let mut statement = connection.prepare_cached(SQL)?;
    for attempt in attempts {
        statement.execute(params![
            attempt.effect.as_bytes(),
            lane,
            attempt.attempts,
            attempt.due,
            code(attempt.state),
            attempt.error,
        ])?;
    }
    Ok(())
}

/// Effects of a lane without an answer, earliest due first.
pub(in crate::store::sqlite) fn open(
    connection: &Connection,
    lane: Lane,
    most: usize,
) -> rusqlite::Result<Vec<EffectRow>> {
    let sql = format!("SELECT {COLUMNS} FROM effects WHERE lane = ?1 AND state <> 2 ORDER BY due, id LIMIT ?2");
    let mut statement = connection.prepare_cached(&sql)?;
    statement.query_map(params![lane, limit(most)], read)?.collect()
}

/// Effects of all lanes without an answer, in no order.
pub(in crate::store::sqlite) fn each_open(
    connection: &Connection,
    mut see: impl FnMut(EffectRow) -> ControlFlow<()>,
) -> rusqlite::Result<()> {
    let sql = format!("SELECT {COLUMNS} FROM effects WHERE state <> 2");
    let mut statement = connection.prepare_cached(&sql)?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        if see(read(row)?).is_break() {
            break;
        }
    }
    Ok(())
}

/// Every effect, in the order of ids.
pub(in crate::store::sqlite) fn each(
    connection: &Connection,
    mut see: impl FnMut(EffectRecord) -> ControlFlow<()>,
) -> rusqlite::Result<()> {
    let sql = format!("SELECT {COLUMNS}, answer, answered_at, error FROM effects ORDER BY id");
    let mut statement = connection.prepare_cached(&sql)?;
    let mut rows = statement.query([])?;
    while let Some(row) = rows.next()? {
        let answer: Option<Vec<u8>> = row.get(12)?;
        let answered_at: Option<i64> = row.get(13)?;
        let record = EffectRecord {
            effect: read(row)?,
            answer: answer.zip(answered_at),
            error: row.get(14)?,
        };
        if see(record).is_break() {
            break;
        }
    }
    Ok(())
}

fn read(row: &Row<'_>) -> rusqlite::Result<EffectRow> {
    Ok(EffectRow {
        id: id(row, 0)?,
        lane: row.get(1)?,
        kind: row.get(2)?,
        idempotency_key: row.get(3)?,
        subject: row.get(4)?,
        request: row.get(5)?,
        caused_at: row.get(6)?,
        created_at: row.get(7)?,
        due: row.get(8)?,
        attempts: row.get(9)?,
        state: state(row, 10)?,
        traceparent: row.get(11)?,
    })
}

fn state(row: &Row<'_>, column: usize) -> rusqlite::Result<EffectState> {
    match row.get(column)? {
        PENDING | ANSWERED => Ok(EffectState::Pending),
        UNKNOWN => Ok(EffectState::Unknown),
        other => Err(unreadable(column, Type::Integer, format!("unknown state {other}"))),
    }
}
