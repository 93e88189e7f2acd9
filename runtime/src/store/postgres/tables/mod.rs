//! The statements of each table, and nothing of when they run.
//!
//! Rows come and go in arrays, one for each column: one statement for a batch.

pub(super) mod effects;
pub(super) mod inbox;
pub(super) mod lanes;
pub(super) mod meta;
pub(super) mod outbox;
pub(super) mod progress;
pub(super) mod state;
pub(super) mod timers;

use std::error::Error;

use tokio_postgres::Row;
use tokio_postgres::types::FromSql;

use super::failure::Failure;
use crate::store::StoreError;

/// What a session prepares when it begins: everything that units use.
pub(super) const STATEMENTS: &[&[&str]] = &[
    effects::STATEMENTS,
    inbox::STATEMENTS,
    lanes::STATEMENTS,
    outbox::STATEMENTS,
    progress::STATEMENTS,
    state::STATEMENTS,
    timers::STATEMENTS,
];

/// A column, by its place.
fn get<'a, T: FromSql<'a>>(row: &'a Row, column: usize) -> Result<T, Failure> {
    Ok(row.try_get(column)?)
}

/// A count as the tables hold it: never negative, and far below the range of a bigint.
fn count(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// The other way round; a negative count is damage.
fn counted(row: &Row, column: usize) -> Result<u64, Failure> {
    let number: i64 = get(row, column)?;
    u64::try_from(number).map_err(|error| unreadable(row, column, error))
}

/// Somebody else has written a row of `entity` since it was looked at.
fn stale(entity: &str) -> Failure {
    let entity = entity.to_owned();
    StoreError::Stale { entity }.into()
}

/// A value that this program never wrote.
fn unreadable(row: &Row, column: usize, why: impl Into<Box<dyn Error>>) -> Failure {
    let name = row.columns().get(column).map_or("?", tokio_postgres::Column::name);
    let why = why.into();
    StoreError::Halt(format!("column {name} holds what this program never wrote: {why}")).into()
}

/// A limit as SQL takes it.
fn limit(rows: usize) -> i64 {
    i64::try_from(rows).unwrap_or(i64::MAX)
}
