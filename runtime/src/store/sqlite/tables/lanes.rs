//! The lane row: who owns the lane, at which turn, and how far its facts are.

use rusqlite::{Connection, OptionalExtension as _, Row, params};

use super::{count, counted};
use crate::store::sqlite::failure::Failure;
use crate::store::{Flood, Lane, Outcome, Owner, Sequence, StoreError, Turn};

/// A lane as the table holds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LaneRow {
    /// Its owner and turn.
    pub at: Turn,
    /// The sequence its next fact will bear.
    pub next_sequence: Sequence,
    /// Every fact up to here was acknowledged.
    pub published: Sequence,
    /// How its latest records fared.
    pub flood: Flood,
}

/// What a unit needs to know of its lane.
#[derive(Debug, Clone, Copy)]
pub(in crate::store::sqlite) struct Begun {
    pub(in crate::store::sqlite) next_sequence: Sequence,
    pub(in crate::store::sqlite) inbox_horizon: i64,
}

const COLUMNS: &str = "lane, epoch, turn, next_out_seq, published_seq, flood_run, flood_records, flood_dead";

/// Raises the epoch in one statement: of two claimants the later one wins.
pub(in crate::store::sqlite) fn claim(connection: &Connection, lane: Lane) -> rusqlite::Result<LaneRow> {
    const SQL: &str = "INSERT INTO lanes (lane, epoch) VALUES (?1, 1) \
        ON CONFLICT (lane) DO UPDATE SET epoch = epoch + 1 \
        RETURNING lane, epoch, turn, next_out_seq, published_seq, flood_run, flood_records, flood_dead";
    connection.prepare_cached(SQL)?.query_row([lane], read)
}

/// The fence: compares epoch and turn, raises the turn, and records what is published.
pub(in crate::store::sqlite) fn begin(
    connection: &Connection,
    at: Turn,
    published: Sequence,
) -> Result<Begun, Failure> {
    const SQL: &str = "UPDATE lanes SET turn = turn + 1, published_seq = max(published_seq, ?4) \
        WHERE lane = ?1 AND epoch = ?2 AND turn = ?3 \
        RETURNING next_out_seq, (SELECT inbox_horizon FROM meta)";
    let lane = at.owner.lane;
    let begun = connection
        .prepare_cached(SQL)?
        .query_row(params![lane, at.owner.epoch, at.turn, published], |row| {
            Ok(Begun {
                next_sequence: row.get(0)?,
                inbox_horizon: row.get(1)?,
            })
        })
        .optional()?
        .ok_or(StoreError::Fenced { lane })?;
    if published >= begun.next_sequence {
        return Err(Failure::halt(format!(
            "lane {lane}: fact {published} is said to be published, but the last one written is {}",
            begun.next_sequence - 1
        )));
    }
    Ok(begun)
}

/// Where the sequence of the lane goes on.
pub(in crate::store::sqlite) fn set_next_sequence(
    connection: &Connection,
    lane: Lane,
    next: Sequence,
) -> rusqlite::Result<()> {
    let sql = "UPDATE lanes SET next_out_seq = ?2 WHERE lane = ?1";
    connection.prepare_cached(sql)?.execute(params![lane, next]).map(drop)
}

pub(in crate::store::sqlite) fn set_flood(connection: &Connection, lane: Lane, flood: Flood) -> rusqlite::Result<()> {
    let sql = "UPDATE lanes SET flood_run = ?2, flood_records = ?3, flood_dead = ?4 WHERE lane = ?1";
    let numbers = params![lane, count(flood.run), count(flood.records), count(flood.dead)];
    connection.prepare_cached(sql)?.execute(numbers).map(drop)
}

/// Whether the lane is the owner's, whatever the turn.
pub(in crate::store::sqlite) fn check_owner(connection: &Connection, owner: Owner) -> Result<(), Failure> {
    let row = one(connection, owner.lane)?;
    if row.is_some_and(|row| row.at.owner == owner) {
        return Ok(());
    }
    Err(StoreError::Fenced { lane: owner.lane }.into())
}

/// Whether the unit begun at `at` took place: its turn is over, or still to come.
pub(in crate::store::sqlite) fn resolve(connection: &Connection, at: Turn) -> Result<Outcome, Failure> {
    let lane = at.owner.lane;
    let held = one(connection, lane)?.filter(|row| row.at.owner == at.owner);
    match held.map(|row| row.at.turn - at.turn) {
        Some(0) => Ok(Outcome::DidNot),
        Some(1) => Ok(Outcome::Happened),
        _ => Err(StoreError::Fenced { lane }.into()),
    }
}

fn one(connection: &Connection, lane: Lane) -> rusqlite::Result<Option<LaneRow>> {
    let sql = format!("SELECT {COLUMNS} FROM lanes WHERE lane = ?1");
    connection.prepare_cached(&sql)?.query_row([lane], read).optional()
}

/// All lanes, by number.
pub(in crate::store::sqlite) fn all(connection: &Connection) -> rusqlite::Result<Vec<LaneRow>> {
    let sql = format!("SELECT {COLUMNS} FROM lanes ORDER BY lane");
    connection.prepare_cached(&sql)?.query_map([], read)?.collect()
}

fn read(row: &Row<'_>) -> rusqlite::Result<LaneRow> {
    let owner = Owner {
        lane: row.get(0)?,
        epoch: row.get(1)?,
    };
    Ok(LaneRow {
        at: Turn {
            owner,
            turn: row.get(2)?,
        },
        next_sequence: row.get(3)?,
        published: row.get(4)?,
        flood: Flood {
            run: counted(row, 5)?,
            records: counted(row, 6)?,
            dead: counted(row, 7)?,
        },
    })
}
