//! The rows of the service.

use std::ops::ControlFlow;
use std::sync::Arc;

use rusqlite::{CachedStatement, Connection, params};

use crate::rows::Version;
use crate::store::sqlite::failure::Failure;

/// Reads one row at a time.
pub(in crate::store::sqlite) struct Select<'a>(CachedStatement<'a>);

impl<'a> Select<'a> {
    pub(in crate::store::sqlite) fn prepare(connection: &'a Connection) -> rusqlite::Result<Self> {
        let sql = "SELECT version, body FROM state WHERE entity = ?1 AND key = ?2";
        connection.prepare_cached(sql).map(Self)
    }

    /// Version and body, if the row is there.
    pub(in crate::store::sqlite) fn one(
        &mut self,
        entity: &str,
        key: &str,
    ) -> rusqlite::Result<Option<(Version, Arc<str>)>> {
        let mut rows = self.0.query([entity, key])?;
        let row = rows.next()?;
        row.map(|row| Ok((row.get(0)?, row.get_ref(1)?.as_str()?.into())))
            .transpose()
    }
}

/// Writes new rows, one at a time.
pub(in crate::store::sqlite) struct Insert<'a>(CachedStatement<'a>);

impl<'a> Insert<'a> {
    pub(in crate::store::sqlite) fn prepare(connection: &'a Connection) -> rusqlite::Result<Self> {
        let sql = "INSERT INTO state (entity, key, version, body) VALUES (?1, ?2, 1, ?3) \
            ON CONFLICT (entity, key) DO NOTHING";
        connection.prepare_cached(sql).map(Self)
    }

    /// Whether the row was new.
    pub(in crate::store::sqlite) fn one(&mut self, entity: &str, key: &str, body: &str) -> rusqlite::Result<bool> {
        self.0.execute([entity, key, body]).map(|inserted| inserted > 0)
    }
}

/// Writes rows that are there, one at a time.
pub(in crate::store::sqlite) struct Update<'a>(CachedStatement<'a>);

impl<'a> Update<'a> {
    pub(in crate::store::sqlite) fn prepare(connection: &'a Connection) -> rusqlite::Result<Self> {
        let sql = "UPDATE state SET version = ?3, body = ?4 WHERE entity = ?1 AND key = ?2";
        connection.prepare_cached(sql).map(Self)
    }

    /// The row as it is now.
    pub(in crate::store::sqlite) fn one(
        &mut self,
        entity: &str,
        key: &str,
        (version, body): (Version, &str),
    ) -> Result<(), Failure> {
        if self.0.execute(params![entity, key, version, body])? == 0 {
            return Err(Failure::halt(format!(
                "row {entity} {key:?} is held, but not in the database"
            )));
        }
        Ok(())
    }
}

/// One row: version and body.
pub(in crate::store::sqlite) fn one(
    connection: &Connection,
    entity: &str,
    key: &str,
) -> rusqlite::Result<Option<(Version, Vec<u8>)>> {
    let found = Select::prepare(connection)?.one(entity, key)?;
    Ok(found.map(|(version, body)| (version, body.as_bytes().to_vec())))
}

/// Every row of an entity in the order of keys: key, version, body.
pub(in crate::store::sqlite) fn each(
    connection: &Connection,
    entity: &str,
    mut see: impl FnMut(&str, i64, &[u8]) -> ControlFlow<()>,
) -> rusqlite::Result<()> {
    let sql = "SELECT key, version, body FROM state WHERE entity = ?1 ORDER BY key";
    let mut statement = connection.prepare_cached(sql)?;
    let mut rows = statement.query([entity])?;
    while let Some(row) = rows.next()? {
        if see(row.get_ref(0)?.as_str()?, row.get(1)?, row.get_ref(2)?.as_bytes()?).is_break() {
            break;
        }
    }
    Ok(())
}
