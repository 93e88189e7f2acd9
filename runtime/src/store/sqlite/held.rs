//! The rows that the group holds, loaded from the file and written into it.

use std::sync::Arc;

use rusqlite::Connection;

use super::failure::Failure;
use super::tables::state;
use crate::rows::{RowKey, StoredRow, Version};
use crate::store::StoreError;
use crate::store::held::{Held, json};

/// What is kept of rows from one group to the next, bytes: ten thousand products stay, some hundred bytes each with what
/// finding them takes.
const KEPT_BYTES: usize = 4 << 20;

/// A row that is there: its version and body.
pub(super) type Found<'a> = (&'a RowKey, Version, Arc<str>);

/// Loads those of the rows that are there.
pub(super) fn load<'a>(connection: &Connection, keys: &[&'a RowKey]) -> Result<Vec<Found<'a>>, Failure> {
    let mut select = state::Select::prepare(connection)?;
    let mut found = Vec::new();
    for key in keys {
        if let Some((version, body)) = select.one(key.entity.name, &key.key)? {
            found.push((*key, version, body));
        }
    }
    Ok(found)
}

/// Writes the rows that are new.
pub(super) fn insert(connection: &Connection, rows: &[StoredRow]) -> Result<(), Failure> {
    let mut insert = state::Insert::prepare(connection)?;
    for row in rows.iter().filter(|row| row.version == 0) {
        if !insert.one(row.key.entity.name, &row.key.key, json(row)?)? {
            let entity = row.key.entity.name.to_owned();
            return Err(StoreError::Stale { entity }.into());
        }
    }
    Ok(())
}

/// Puts what was changed into the file, in the order of keys, and keeps it unless it is too much: no other process
/// has the file.
pub(super) fn flush(held: &mut Held, connection: &Connection) -> Result<(), Failure> {
    for (entity, changed) in held.take_changed() {
        let mut update = state::Update::prepare(connection)?;
        for row in changed {
            update.one(entity.name, row.key, (row.version, row.body))?;
        }
    }
    if held.bytes() > KEPT_BYTES {
        held.forget();
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rows::Entity;

    #[test]
    fn large_rows_are_not_kept_and_small_ones_are() {
        let connection = Connection::open_in_memory().expect("opens");
        let table = "CREATE TABLE state (entity TEXT, key TEXT, version INTEGER, body TEXT)";
        connection.execute_batch(table).expect("made");
        let shelf = Entity::<u8>::shared("shelf", 0);
        let is_kept_beside = |bytes: usize| {
            let (small, other) = (RowKey::new(shelf, "a"), RowKey::new(shelf, "b"));
            let mut held = Held::default();
            held.hold(&small, 1, "1".into());
            held.hold(&other, 1, "x".repeat(bytes).into());
            flush(&mut held, &connection).expect("nothing was changed");
            held.row(&small).is_some()
        };
        assert_eq!([is_kept_beside(1), is_kept_beside(KEPT_BYTES)], [true, false]);
    }
}
