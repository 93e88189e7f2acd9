//! The statements of each table, and nothing of when they run.

pub(super) mod effects;
pub(super) mod inbox;
pub(super) mod lanes;
pub(super) mod meta;
pub(super) mod outbox;
pub(super) mod progress;
pub(super) mod state;
pub(super) mod timers;

use rusqlite::types::Type;
use rusqlite::{Row, RowIndex};
use uuid::Uuid;

/// An id as the tables hold it.
fn id<I: RowIndex>(row: &Row<'_>, column: I) -> rusqlite::Result<Uuid> {
    row.get::<_, [u8; 16]>(column).map(Uuid::from_bytes)
}

/// A count as the tables hold it: never negative, and far below the range of an INTEGER.
fn count(number: u64) -> i64 {
    i64::try_from(number).unwrap_or(i64::MAX)
}

/// The other way round; a negative count is damage.
fn counted(row: &Row<'_>, column: usize) -> rusqlite::Result<u64> {
    let number: i64 = row.get(column)?;
    u64::try_from(number).map_err(|error| unreadable(column, Type::Integer, error))
}

/// A value that this program never wrote.
fn unreadable(column: usize, kind: Type, why: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> rusqlite::Error {
    rusqlite::Error::FromSqlConversionFailure(column, kind, why.into())
}

/// A limit as SQL takes it.
fn limit(rows: usize) -> i64 {
    i64::try_from(rows).unwrap_or(i64::MAX)
}
