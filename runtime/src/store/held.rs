//! Rows that many lanes change, held in memory and written once for all units of a group.
//!
//! A batch changes most of the rows that all lanes share, so a group of twelve would write each of them twelve times.
//! Whoever fills this is alone with the rows in it: what is held is what the database says, and what the open transaction
//! will say.

use std::sync::Arc;

use foldhash::fast::RandomState;
use indexmap::IndexMap;

use crate::rows::{Rank, RowKey, Version};

/// Rows of the database as the units of the open group left them.
#[derive(Debug, Default)]
pub(super) struct Held {
    entities: Vec<(Rank, ByKey)>,
}

type ByKey = IndexMap<Arc<str>, Row, RandomState>;

/// A row that is in the database.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) version: Version,
    pub(super) body: Vec<u8>,
    /// Not written yet.
    changed: bool,
}

impl Held {
    pub(super) fn row(&self, key: &RowKey) -> Option<&Row> {
        let entity = self.entities.iter().find(|(known, _)| *known == key.entity);
        entity.and_then(|(_, rows)| rows.get(&key.key))
    }

    /// Holds a row as it was loaded.
    pub(super) fn hold(&mut self, key: &RowKey, version: Version, body: Vec<u8>) {
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

    /// Changes a row that is held, if it is still at `version`.
    pub(super) fn change(&mut self, key: &RowKey, version: Version, body: &str) -> bool {
        let entity = self.entities.iter_mut().find(|(known, _)| *known == key.entity);
        let row = entity.and_then(|(_, rows)| rows.get_mut(&key.key));
        let Some(row) = row.filter(|row| row.version == version) else {
            return false;
        };
        row.version += 1;
        row.changed = true;
        row.body.clear();
        row.body.extend_from_slice(body.as_bytes());
        true
    }

    /// What was changed since the last time, in the order of keys within each entity. It counts as written from now on.
    pub(super) fn take_changed(&mut self) -> Vec<(Rank, Vec<(&str, &Row)>)> {
        self.entities
            .iter_mut()
            .map(|(entity, rows)| {
                let mut changed: Vec<(&str, &Row)> = Vec::new();
                for (key, row) in rows.iter_mut() {
                    if std::mem::take(&mut row.changed) {
                        changed.push((key, row));
                    }
                }
                changed.sort_unstable_by_key(|(key, _)| *key);
                (*entity, changed)
            })
            .collect()
    }

    /// How many rows are held.
    pub(super) fn len(&self) -> usize {
        self.entities.iter().map(|(_, rows)| rows.len()).sum()
    }

    /// Nothing is known of the database any more.
    pub(super) fn forget(&mut self) {
        *self = Self::default();
    }
}
