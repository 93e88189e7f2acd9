//! The rows of the service.

use std::ops::ControlFlow;

use rusqlite::{Connection, OptionalExtension as _, params};

use crate::rows::{RowKey, StoredRow, Version};
use crate::store::StoreError;
use crate::store::sqlite::failure::Failure;

/// Loads rows in the order given; what is not there has version 0.
pub(in crate::store::sqlite) fn load(connection: &Connection, keys: &[RowKey]) -> rusqlite::Result<Vec<StoredRow>> {
    let sql = "SELECT version, body FROM state WHERE entity = ?1 AND key = ?2";
    let mut statement = connection.prepare_cached(sql)?;
    let mut loaded = Vec::with_capacity(keys.len());
    for key in keys {
        let mut rows = statement.query(params![key.entity.name, key.key])?;
        let (version, body) = match rows.next()? {
            Some(row) => (row.get(0)?, Some(row.get_ref(1)?.as_bytes()?.to_vec())),
            None => (0, None),
        };
        loaded.push(StoredRow {
            key: key.clone(),
            version,
            body,
        });
    }
    Ok(loaded)
}

/// Writes rows, each if it is still at the version it was loaded at.
pub(in crate::store::sqlite) fn write(connection: &Connection, rows: &[StoredRow]) -> Result<(), Failure> {
    let mut insert = connection.prepare_cached(
        "INSERT INTO state (entity, key, version, body) VALUES (?1, ?2, 1, ?3) ON CONFLICT (entity, key) DO NOTHING",
    )?;
    let mut update = connection.prepare_cached(
        "UPDATE state SET version = version + 1, body = ?3 WHERE entity = ?1 AND key = ?2 AND version = ?4",
    )?;
    for row in rows {
        let (entity, key) = (row.key.entity.name, &row.key.key);
        let body = json(row)?;
        let changed = match row.version {
            0 => insert.execute(params![entity, key, body])?,
            version => update.execute(params![entity, key, body, version])?,
        };
        if changed == 0 {
            let entity = entity.to_owned();
            return Err(StoreError::Stale { entity }.into());
        }
    }
    Ok(())
}

/// A body as the text that it is.
fn json(row: &StoredRow) -> Result<&str, Failure> {
    match row.body.as_deref().map(std::str::from_utf8) {
        Some(Ok(text)) => Ok(text),
        _ => Err(StoreError::Refused(format!(
            "row {} {:?} has no body, or one that is not text",
            row.key.entity.name, row.key.key
        ))
        .into()),
    }
}

/// One row: version and body.
pub(in crate::store::sqlite) fn one(
    connection: &Connection,
    entity: &str,
    key: &str,
) -> rusqlite::Result<Option<(Version, Vec<u8>)>> {
    let sql = "SELECT version, body FROM state WHERE entity = ?1 AND key = ?2";
    let mut statement = connection.prepare_cached(sql)?;
    statement
        .query_row([entity, key], |row| {
            Ok((row.get(0)?, row.get_ref(1)?.as_bytes()?.to_vec()))
        })
        .optional()
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
