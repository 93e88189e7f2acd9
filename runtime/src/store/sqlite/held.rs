//! Rows that many lanes change, held in memory and written once for all units of a group.
//!
//! A batch changes most of the rows that all lanes share, so a group of twelve would write each of them twelve times. The
//! writer is alone on the file, so what it holds is what the file says, and what the open transaction will say.

use std::sync::Arc;

use foldhash::fast::RandomState;
use indexmap::IndexMap;
use rusqlite::Connection;

use super::failure::Failure;
use super::tables::state;
use crate::rows::{Rank, RowKey, StoredRow, Version};
use crate::store::StoreError;

/// Rows kept from one group to the next: some thousand products stay, a hundred bytes each.
const KEPT: usize = 8_192;

/// Rows of the file as the units of the open group left them.
#[derive(Debug, Default)]
pub(super) struct Held {
    entities: Vec<(Rank, ByKey)>,
}

type ByKey = IndexMap<Arc<str>, Row, RandomState>;

#[derive(Debug)]
struct Row {
    version: Version,
    body: Vec<u8>,
    /// Not in the file yet.
    changed: bool,
}

impl Held {
    /// Loads rows in the order given; what is not there has version 0, and is not held.
    pub(super) fn load(&mut self, connection: &Connection, keys: &[RowKey]) -> Result<Vec<StoredRow>, Failure> {
        let mut select = state::Select::prepare(connection)?;
        keys.iter().map(|key| self.one(&mut select, key)).collect()
    }

    fn one(&mut self, select: &mut state::Select<'_>, key: &RowKey) -> Result<StoredRow, Failure> {
        let (version, body) = match self.row(key) {
            Some(row) => (row.version, Some(row.body.clone())),
            None => match select.one(key.entity.name, &key.key)? {
                Some((version, body)) => {
                    self.hold(key, version, body.clone());
                    (version, Some(body))
                }
                None => (0, None),
            },
        };
        let key = key.clone();
        Ok(StoredRow { key, version, body })
    }

    fn row(&mut self, key: &RowKey) -> Option<&mut Row> {
        let entity = self.entities.iter_mut().find(|(known, _)| *known == key.entity);
        entity.and_then(|(_, rows)| rows.get_mut(&key.key))
    }

    fn hold(&mut self, key: &RowKey, version: Version, body: Vec<u8>) {
        let at = self.entities.iter().position(|(known, _)| *known == key.entity);
        let at = at.unwrap_or_else(|| {
            self.entities.push((key.entity, IndexMap::default()));
            self.entities.len() - 1
        });
        let row = Row {
            version,
            body,
            changed: false,
        };
        self.entities[at].1.insert(Arc::clone(&key.key), row);
    }

    /// Writes rows, each if it is still at the version it was loaded at: new ones into the file, the others in here.
    pub(super) fn write(&mut self, connection: &Connection, rows: &[StoredRow]) -> Result<(), Failure> {
        let mut insert = state::Insert::prepare(connection)?;
        let mut select = state::Select::prepare(connection)?;
        for row in rows {
            let body = state::json(row)?;
            let written = match row.version {
                0 => self.row(&row.key).is_none() && insert.one(row.key.entity.name, &row.key.key, body)?,
                version => self.change(&mut select, (&row.key, version), body)?,
            };
            if !written {
                let entity = row.key.entity.name.to_owned();
                return Err(StoreError::Stale { entity }.into());
            }
        }
        Ok(())
    }

    fn change(
        &mut self,
        select: &mut state::Select<'_>,
        (key, version): (&RowKey, Version),
        body: &str,
    ) -> Result<bool, Failure> {
        if self.row(key).is_none() {
            self.one(select, key)?;
        }
        let Some(row) = self.row(key).filter(|row| row.version == version) else {
            return Ok(false);
        };
        row.version += 1;
        row.changed = true;
        row.body.clear();
        row.body.extend_from_slice(body.as_bytes());
        Ok(true)
    }

    /// Puts what was changed into the file, in the order of keys, and keeps it unless it is too much.
    pub(super) fn flush(&mut self, connection: &Connection) -> Result<(), Failure> {
        let mut held = 0;
        for (entity, rows) in &mut self.entities {
            let mut changed: Vec<_> = rows.iter_mut().filter(|(_, row)| row.changed).collect();
            changed.sort_unstable_by_key(|(key, _)| Arc::clone(key));
            let mut update = state::Update::prepare(connection)?;
            for (key, row) in changed {
                update.one(entity.name, key, (row.version, &row.body))?;
                row.changed = false;
            }
            held += rows.len();
        }
        if held > KEPT {
            self.forget();
        }
        Ok(())
    }

    /// Nothing is known of the file any more.
    pub(super) fn forget(&mut self) {
        *self = Self::default();
    }
}
