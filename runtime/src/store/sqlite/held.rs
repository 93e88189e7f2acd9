//! The rows that the group holds, loaded from the file and written into it.

use rusqlite::Connection;

use super::failure::Failure;
use super::tables::state;
use crate::rows::{RowKey, StoredRow, Version};
use crate::store::StoreError;
use crate::store::held::Held;

/// Rows kept from one group to the next: some thousand products stay, a hundred bytes each.
const KEPT: usize = 8_192;

/// Loads rows in the order given; what is not there has version 0, and is not held.
pub(super) fn load(held: &mut Held, connection: &Connection, keys: &[RowKey]) -> Result<Vec<StoredRow>, Failure> {
    let mut select = state::Select::prepare(connection)?;
    keys.iter().map(|key| one(held, &mut select, key)).collect()
}

fn one(held: &mut Held, select: &mut state::Select<'_>, key: &RowKey) -> Result<StoredRow, Failure> {
    let (version, body) = match held.row(key) {
        Some(row) => (row.version, Some(row.body.clone())),
        None => match select.one(key.entity.name, &key.key)? {
            Some((version, body)) => {
                held.hold(key, version, body.clone());
                (version, Some(body))
            }
            None => (0, None),
        },
    };
    let key = key.clone();
    Ok(StoredRow { key, version, body })
}

/// Writes rows, each if it is still at the version it was loaded at: new ones into the file, the others into what is held.
pub(super) fn write(held: &mut Held, connection: &Connection, rows: &[StoredRow]) -> Result<(), Failure> {
    let mut insert = state::Insert::prepare(connection)?;
    let mut select = state::Select::prepare(connection)?;
    for row in rows {
        let body = state::json(row)?;
        let written = match row.version {
            0 => held.row(&row.key).is_none() && insert.one(row.key.entity.name, &row.key.key, body)?,
            version => change(held, &mut select, (&row.key, version), body)?,
        };
        if !written {
            let entity = row.key.entity.name.to_owned();
            return Err(StoreError::Stale { entity }.into());
        }
    }
    Ok(())
}

fn change(
    held: &mut Held,
    select: &mut state::Select<'_>,
    (key, version): (&RowKey, Version),
    body: &str,
) -> Result<bool, Failure> {
    if held.row(key).is_none() {
        one(held, select, key)?;
    }
    Ok(held.change(key, version, body))
}

/// Puts what was changed into the file, in the order of keys, and keeps it unless it is too much: the writer is alone on
/// the file.
pub(super) fn flush(held: &mut Held, connection: &Connection) -> Result<(), Failure> {
    for (entity, changed) in held.take_changed() {
        let mut update = state::Update::prepare(connection)?;
        for (key, row) in changed {
            update.one(entity.name, key, (row.version, &row.body))?;
        }
    }
    if held.len() > KEPT {
        held.forget();
    }
    Ok(())
}
