//! Facts and dead letters on their way to Kafka.

use std::ops::ControlFlow;

use rusqlite::types::Type;
use rusqlite::{Connection, Row, params};

use super::{id, limit, unreadable};
use crate::handler::Reason;
use crate::store::packed::{pack, unpack};
use crate::store::sqlite::failure::Failure;
use crate::store::{Lane, OutboxRow, Sequence};

/// Writes facts; their sequences follow from `next` without a gap. Says where the sequence goes on.
pub(in crate::store::sqlite) fn write(
    connection: &Connection,
    (lane, mut next): (Lane, Sequence),
    facts: &[OutboxRow],
    now: i64,
) -> Result<Sequence, Failure> {
    const SQL: &str = "INSERT INTO outbox (lane, sequence, event_id, topic, partition, timestamp, key, value, \
        packed_headers, reason, written_at) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)";
    let mut statement = connection.prepare_cached(SQL)?;
    for fact in facts {
        if fact.sequence != next {
            let why = format!("lane {lane}: the next fact has sequence {next}, not {}", fact.sequence);
            return Err(Failure::halt(why));
        }
        statement.execute(params![
            lane,
            fact.sequence,
            fact.event_id.as_bytes(),
            fact.topic,
            fact.partition,
            fact.timestamp,
            fact.key,
            fact.value,
            pack(fact),
            fact.reason.map(Reason::as_str),
            now,
        ])?;
        next += 1;
    }
    Ok(next)
}

/// Facts of a lane after a sequence, in order.
pub(in crate::store::sqlite) fn after(
    connection: &Connection,
    lane: Lane,
    (after, most): (Sequence, usize),
    mut see: impl FnMut(OutboxRow) -> ControlFlow<()>,
) -> rusqlite::Result<()> {
    const SQL: &str = "SELECT sequence, event_id, topic, partition, timestamp, key, value, packed_headers, reason \
        FROM outbox WHERE lane = ?1 AND sequence > ?2 ORDER BY sequence LIMIT ?3";
    let mut statement = connection.prepare_cached(SQL)?;
    let mut rows = statement.query(params![lane, after, limit(most)])?;
    while let Some(row) = rows.next()? {
        if see(read(row)?).is_break() {
            break;
        }
    }
    Ok(())
}

fn read(row: &Row<'_>) -> rusqlite::Result<OutboxRow> {
    let (event_id, key): (_, Option<Vec<u8>>) = (id(row, 1)?, row.get(5)?);
    let headers = unpack(row.get(7)?, event_id, key.as_deref());
    Ok(OutboxRow {
        sequence: row.get(0)?,
        event_id,
        topic: row.get(2)?,
        partition: row.get(3)?,
        timestamp: row.get(4)?,
        key,
        value: row.get(6)?,
        headers: headers.map_err(|why| unreadable(7, Type::Blob, why))?,
        reason: reason(row, 8)?,
    })
}

fn reason(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<Reason>> {
    let Some(name) = row.get_ref(column)?.as_str_or_null()? else {
        return Ok(None);
    };
    match Reason::parse(name) {
        Some(reason) => Ok(Some(reason)),
        None => Err(unreadable(column, Type::Text, format!("unknown reason {name}"))),
    }
}

/// Deletes facts that are published and were written before a time, at most `most` of them, each lane's oldest first.
///
/// Every lane gets its share before any gets more: what lanes wrote at one time stands on the same pages, and each of those
/// is then changed once instead of once for each lane.
pub(in crate::store::sqlite) fn forget(connection: &Connection, before: i64, most: usize) -> rusqlite::Result<u64> {
    const SQL: &str = "DELETE FROM outbox WHERE lane = ?1 AND written_at < ?3 AND sequence IN \
        (SELECT sequence FROM outbox WHERE lane = ?1 AND sequence <= ?2 ORDER BY sequence LIMIT ?4)";
    let mut left = most;
    let mut statement = connection.prepare_cached(SQL)?;
    let lanes = super::lanes::all(connection)?;
    for share in [most.div_ceil(lanes.len().max(1)), most] {
        for lane in &lanes {
            let rows = limit(left.min(share));
            left -= statement.execute(params![lane.at.owner.lane, lane.published, before, rows])?;
        }
    }
    Ok((most - left) as u64)
}
