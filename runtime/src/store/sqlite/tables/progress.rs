//! How far each partition is read, and what became of its records.

use rusqlite::{Connection, Row, params};

use super::{count, counted};
use crate::record::NextOffset;
use crate::store::sqlite::failure::Failure;
use crate::store::{Counts, Lane, Move, Progress, Start, StoreError};

/// The partitions of a lane that were ever seen.
pub(in crate::store::sqlite) fn of_lane(connection: &Connection, lane: Lane) -> rusqlite::Result<Vec<Progress>> {
    const SQL: &str = "SELECT topic, partition, next_offset, start_offset, applied, duplicate, dead, skipped \
        FROM progress WHERE partition = ?1 ORDER BY topic";
    connection.prepare_cached(SQL)?.query_map([lane], read)?.collect()
}

/// Every partition, by topic and number.
pub(in crate::store::sqlite) fn all(connection: &Connection) -> rusqlite::Result<Vec<Progress>> {
    const SQL: &str = "SELECT topic, partition, next_offset, start_offset, applied, duplicate, dead, skipped \
        FROM progress ORDER BY topic, partition";
    connection.prepare_cached(SQL)?.query_map([], read)?.collect()
}

/// Records where a partition starts, unless that is known.
pub(in crate::store::sqlite) fn start(connection: &Connection, lane: Lane, start: &Start) -> rusqlite::Result<()> {
    const SQL: &str = "INSERT INTO progress (partition, topic, next_offset, start_offset) VALUES (?1, ?2, ?3, ?3) \
        ON CONFLICT (partition, topic) DO NOTHING";
    let row = params![lane, start.topic, start.at.get()];
    connection.prepare_cached(SQL)?.execute(row).map(drop)
}

/// Compare-and-set with strict equality: behind is a repetition, ahead is a gap, and both are fenced.
pub(in crate::store::sqlite) fn advance(connection: &Connection, lane: Lane, moves: &[Move]) -> Result<(), Failure> {
    const SQL: &str = "UPDATE progress SET next_offset = ?4 WHERE partition = ?1 AND topic = ?2 AND next_offset = ?3";
    let mut statement = connection.prepare_cached(SQL)?;
    for moved in moves {
        let row = params![lane, moved.topic, moved.expected.get(), moved.next.get()];
        if statement.execute(row)? == 0 {
            return Err(StoreError::Fenced { lane }.into());
        }
    }
    Ok(())
}

/// Adds to what became of a partition's records.
pub(in crate::store::sqlite) fn add_counts(
    connection: &Connection,
    lane: Lane,
    topic: &str,
    counts: Counts,
) -> Result<(), Failure> {
    const SQL: &str = "UPDATE progress SET applied = applied + ?3, duplicate = duplicate + ?4, dead = dead + ?5, \
        skipped = skipped + ?6 WHERE partition = ?1 AND topic = ?2";
    let added = [counts.applied, counts.duplicate, counts.dead, counts.skipped].map(count);
    let [applied, duplicate, dead, skipped] = added;
    let row = params![lane, topic, applied, duplicate, dead, skipped];
    if connection.prepare_cached(SQL)?.execute(row)? == 0 {
        let why = format!("records of {topic}/{lane} are counted, but that partition was never started");
        return Err(Failure::halt(why));
    }
    Ok(())
}

fn read(row: &Row<'_>) -> rusqlite::Result<Progress> {
    Ok(Progress {
        topic: row.get(0)?,
        partition: row.get(1)?,
        next_offset: NextOffset::at(row.get(2)?),
        start_offset: NextOffset::at(row.get(3)?),
        counts: Counts {
            applied: counted(row, 4)?,
            duplicate: counted(row, 5)?,
            dead: counted(row, 6)?,
            skipped: counted(row, 7)?,
        },
    })
}
