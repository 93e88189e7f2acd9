//! What was read, in a temporary database: memory stays bounded however many orders there are.

use rusqlite::{Connection, Row, params};
use uuid::Uuid;

use super::AuditError;
use super::report::Violation;
use super::system::{Group, System, TopicIndex};

const SCHEMA: &str = include_str!("schema.sql");

/// Page cache, KiB; what is beyond it goes to a temporary file. An audit of 40,000 orders touches no disk. What SQLite has
/// to sort, which is what violates something, may take as much again.
const CACHE_KIB: i64 = 28_672;

/// Statements that are kept parsed; there are fewer.
const STATEMENTS: usize = 64;

/// The temporary database. Gone with this value, or with the process.
#[derive(Debug)]
pub(super) struct Work {
    pub(super) db: Connection,
}

impl Work {
    pub(super) fn open() -> Result<Self, AuditError> {
        // An empty name is SQLite's for a private file that it deletes as soon as it has it.
        let db = Connection::open("")?;
        db.execute_batch(&format!(
            "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA locking_mode = EXCLUSIVE;
             PRAGMA temp_store = FILE; PRAGMA cache_size = -{CACHE_KIB};"
        ))?;
        db.execute_batch(SCHEMA)?;
        db.execute_batch("BEGIN")?;
        db.set_prepared_statement_cache_capacity(STATEMENTS);
        Ok(Self { db })
    }

    /// Runs a statement.
    pub(super) fn run(&self, sql: &str, values: impl rusqlite::Params) -> Result<usize, AuditError> {
        Ok(self.db.prepare_cached(sql)?.execute(values)?)
    }

    /// Asks for one number.
    pub(super) fn number(&self, sql: &str) -> Result<u64, AuditError> {
        let number: i64 = self.db.prepare_cached(sql)?.query_row([], |row| row.get(0))?;
        Ok(u64::try_from(number).unwrap_or(0))
    }

    /// Hands over every row a query finds.
    pub(super) fn each(
        &self,
        sql: &str,
        mut see: impl FnMut(&Row<'_>) -> Result<(), AuditError>,
    ) -> Result<(), AuditError> {
        let mut statement = self.db.prepare_cached(sql)?;
        let mut rows = statement.query(params![])?;
        while let Some(row) = rows.next()? {
            see(row)?;
        }
        Ok(())
    }
}

/// How many columns [`place`] reads.
pub(super) const PLACE_COLUMNS: usize = 5;

/// A violation about the record that a row's first columns name: group, topic, partition, offset, event id.
pub(super) fn place(row: &Row<'_>, system: &System, sentence: String) -> rusqlite::Result<Violation> {
    let group: Option<i64> = row.get(0)?;
    let topic: Option<TopicIndex> = row.get(1)?;
    Ok(Violation {
        group: group.and_then(Group::numbered).map(Group::name),
        topic: topic.map(|topic| system.name(topic).to_owned()),
        partition: row.get(2)?,
        offset: row.get(3)?,
        event_id: id(row, 4)?,
        sentence,
    })
}

/// A column with an id, which may be null.
pub(super) fn id(row: &Row<'_>, column: usize) -> rusqlite::Result<Option<Uuid>> {
    let bytes: Option<[u8; 16]> = row.get(column)?;
    Ok(bytes.map(Uuid::from_bytes))
}
