//! Rows that many lanes change, held in memory and written once for all units of a group.
//!
//! A batch changes most of the rows that all lanes share, so a group of twelve would write each of them twelve times.
//! No service writes the rows in it meanwhile: what is held is what the database says, and what the open transaction
//! will say.

use std::sync::Arc;

use foldhash::fast::RandomState;
use indexmap::IndexMap;

use super::StoreError;
use crate::rows::{Rank, RowKey, StoredRow, Version};

/// Rows of the database as the units of the open group left them.
#[derive(Debug, Default)]
pub(super) struct Held {
    entities: Vec<(Rank, ByKey)>,
}

type ByKey = IndexMap<Arc<str>, Row, RandomState>;

/// What a row takes beside its key and its body, bytes: an entry of the map, its place in it, and two counts of references
/// with what the allocator adds to each text.
const OVERHEAD: usize = 150;

/// A row that is in the database, or will be before anything else is asked of it.
#[derive(Debug)]
pub(super) struct Row {
    pub(super) version: Version,
    pub(super) body: Arc<str>,
    /// The version that the database has, where this one is not written yet.
    replaces: Option<Version>,
}

/// A row that is to be written over the one of version `replaces`, which may be several versions older.
#[derive(Debug)]
pub(super) struct Changed<'a> {
    pub(super) key: &'a str,
    pub(super) replaces: Version,
    pub(super) version: Version,
    pub(super) body: &'a str,
}

impl Held {
    pub(super) fn row(&self, key: &RowKey) -> Option<&Row> {
        let entity = self.entities.iter().find(|(known, _)| *known == key.entity);
        entity.and_then(|(_, rows)| rows.get(&key.key))
    }

    /// The rows in the order of the keys; one that is not held is not there, and has version 0.
    pub(super) fn rows(&self, keys: &[RowKey]) -> Vec<StoredRow> {
        let stored = |key: &RowKey| {
            let row = self.row(key);
            StoredRow {
                key: key.clone(),
                version: row.map_or(0, |row| row.version),
                body: row.map(|row| row.body.clone()),
            }
        };
        keys.iter().map(stored).collect()
    }

    /// Holds a row as it was loaded, unless it is held already: another unit may have changed it since.
    pub(super) fn hold(&mut self, key: &RowKey, version: Version, body: Arc<str>) {
        let at = self.entities.iter().position(|(known, _)| *known == key.entity);
        let at = at.unwrap_or_else(|| {
            self.entities.push((key.entity, IndexMap::default()));
            self.entities.len() - 1
        });
        let row = Row {
            version,
            body,
            replaces: None,
        };
        self.entities[at].1.entry(Arc::clone(&key.key)).or_insert(row);
    }

    /// Takes over what a unit decided: rows that are there are changed, and written with the group. Whoever decides next
    /// must find a new row that lanes share, though the statement that inserts it has not run yet.
    ///
    /// # Errors
    /// [`StoreError::Stale`] where a row is not at the version it was loaded at; see [`json`].
    pub(super) fn take_over(&mut self, rows: &[StoredRow]) -> Result<(), StoreError> {
        for row in rows {
            let body = json(row)?;
            let taken = match row.version {
                0 => self.row(&row.key).is_none(),
                version => self.change(&row.key, version, body),
            };
            if !taken {
                let entity = row.key.entity.name.to_owned();
                return Err(StoreError::Stale { entity });
            }
            if row.version == 0 && row.key.entity.shared {
                self.hold(&row.key, 1, Arc::clone(body));
            }
        }
        Ok(())
    }

    /// Changes a row that is held, if it is still at `version`.
    fn change(&mut self, key: &RowKey, version: Version, body: &Arc<str>) -> bool {
        let entity = self.entities.iter_mut().find(|(known, _)| *known == key.entity);
        let row = entity.and_then(|(_, rows)| rows.get_mut(&key.key));
        let Some(row) = row.filter(|row| row.version == version) else {
            return false;
        };
        row.replaces.get_or_insert(version);
        row.version += 1;
        row.body = Arc::clone(body);
        true
    }

    /// What was changed since the last time, in the order of keys within each entity. It counts as written from now on.
    pub(super) fn take_changed(&mut self) -> Vec<(Rank, Vec<Changed<'_>>)> {
        self.entities
            .iter_mut()
            .map(|(entity, rows)| {
                let mut changed: Vec<_> = rows.iter_mut().filter_map(|(key, row)| row.take_change(key)).collect();
                changed.sort_unstable_by_key(|row| row.key);
                (*entity, changed)
            })
            .collect()
    }

    /// About how much memory they take.
    pub(super) fn bytes(&self) -> usize {
        let of = |(key, row): (&Arc<str>, &Row)| OVERHEAD + key.len() + row.body.len();
        self.entities.iter().flat_map(|(_, rows)| rows).map(of).sum()
    }

    /// Nothing is known of the database any more.
    pub(super) fn forget(&mut self) {
        *self = Self::default();
    }
}

impl Row {
    fn take_change<'a>(&'a mut self, key: &'a str) -> Option<Changed<'a>> {
        let replaces = self.replaces.take()?;
        let Self { version, body, .. } = self;
        Some(Changed {
            key,
            replaces,
            version: *version,
            body,
        })
    }
}

/// The body of a row that is to be written.
///
/// # Errors
/// [`StoreError::Refused`] where it has none.
pub(super) fn json(row: &StoredRow) -> Result<&Arc<str>, StoreError> {
    let why = || {
        let (entity, key) = (row.key.entity.name, &row.key.key);
        StoreError::Refused(format!(
            "row {entity} {key:?} has no body, or one that cannot be written as JSON"
        ))
    };
    row.body.as_ref().ok_or_else(why)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::rows::Entity;

    #[test]
    fn what_was_fetched_beside_a_change_does_not_undo_it() {
        let key = RowKey::new(Entity::<u8>::shared("shelf", 0), "a");
        let mut held = Held::default();
        held.hold(&key, 1, "1".into());
        let decided = StoredRow {
            key: key.clone(),
            version: 1,
            body: Some("2".into()),
        };
        held.take_over(&[decided]).expect("at the version it was loaded at");
        held.hold(&key, 1, "1".into());
        let row = held.row(&key).expect("held");
        assert_eq!((row.version, &*row.body), (2, "2"));
    }
}
