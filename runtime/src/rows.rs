//! The rows a batch works on: loaded once, seen by each decision as the earlier ones left them, written once.

use std::any::Any;
use std::cell::{OnceCell, RefCell};
use std::fmt;
use std::sync::Arc;

use compact_str::CompactString;
use foldhash::fast::RandomState;
use indexmap::IndexMap;
use indexmap::map::Entry;
use serde::Serialize;
use serde::de::DeserializeOwned;

pub use crate::entity::{Entity, Rank};
pub use crate::wanted::Wanted;

/// Names one row; ordered as rows are locked: by rank, then by the bytes of the key.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct RowKey {
    /// The entity.
    pub entity: Rank,
    /// The key within it.
    pub key: Arc<str>,
}

impl RowKey {
    /// The row of `entity` under `key`.
    #[must_use]
    pub fn new<T>(entity: Entity<T>, key: impl Into<Arc<str>>) -> Self {
        Self {
            entity: entity.rank(),
            key: key.into(),
        }
    }
}

/// How often a row was written; 0 is a row that does not exist.
pub type Version = i64;

/// A row as the store holds it; `body` is `None` and `version` 0 where there is none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoredRow {
    /// Which row.
    pub key: RowKey,
    /// How often it was written.
    pub version: Version,
    /// JSON.
    pub body: Option<Arc<str>>,
}

/// Writes a body of the type it was put as, into what is empty; whether it could.
type Encode = fn(&dyn Any, &mut Vec<u8>) -> bool;

/// What one decision makes of one row.
pub(crate) struct Change {
    entity: Rank,
    key: CompactString,
    value: Box<dyn Any + Send>,
    encode: Encode,
}

impl Change {
    pub(crate) fn put<T: Serialize + Send + 'static>(entity: Entity<T>, key: CompactString, value: T) -> Self {
        Self {
            entity: entity.rank(),
            key,
            value: Box::new(value),
            encode: encode::<T>,
        }
    }

    pub(crate) fn row_key(&self) -> RowKey {
        RowKey {
            entity: self.entity,
            key: self.key.as_str().into(),
        }
    }

    pub(crate) fn is(&self, entity: Rank, key: &str) -> bool {
        self.entity == entity && self.key == key
    }

    pub(crate) fn value<T: 'static>(&self) -> Option<&T> {
        self.value.downcast_ref()
    }
}

impl fmt::Debug for Change {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Change({} {:?})", self.entity.name, self.key)
    }
}

/// Fails for a type that cannot be written as JSON: a mistake in the service, which the store refuses.
fn encode<T: Serialize + 'static>(value: &dyn Any, into: &mut Vec<u8>) -> bool {
    let value = value.downcast_ref::<T>();
    value.is_some_and(|value| serde_json::to_writer(into, value).is_ok())
}

struct Slot {
    version: Version,
    stored: Option<Arc<str>>,
    value: OnceCell<Option<Box<dyn Any + Send>>>,
    encode: Option<Encode>,
    /// Nobody has looked whether the row is there.
    presumed: bool,
}

/// Rows of one entity, in the order in which they were loaded, which is that of locks.
type Slots = IndexMap<Arc<str>, Slot, RandomState>;

/// The rows as they are now: as stored, and as the decisions taken so far in this batch left them.
#[derive(Default)]
pub struct Rows {
    /// A service has a handful of entities: looking through them is quicker than any map.
    entities: Vec<(Rank, Slots)>,
    missed: RefCell<Vec<RowKey>>,
    damaged: RefCell<Option<String>>,
}

impl Rows {
    /// No rows loaded.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The row, or `None` where there is none.
    ///
    /// Reading a row that was not loaded says `None` too, but then the decision is thrown away, the row loaded and the
    /// decision asked for again.
    #[must_use]
    pub fn get<T: DeserializeOwned + Send + 'static>(&self, entity: Entity<T>, key: &str) -> Option<&T> {
        let Some(slot) = self.slots(entity.rank()).and_then(|slots| slots.get(key)) else {
            self.missed.borrow_mut().push(RowKey::new(entity, key));
            return None;
        };
        let value = slot.value.get_or_init(|| {
            slot.stored
                .as_deref()
                .and_then(|body| self.read::<T>(entity, key, body))
        });
        value.as_ref().and_then(|value| value.downcast_ref())
    }

    /// Puts a row as if it were stored: for tests of a handler.
    #[must_use]
    pub fn with<T: Serialize + Send + 'static>(mut self, entity: Entity<T>, key: &str, value: T) -> Self {
        self.apply(vec![Change::put(entity, key.into(), value)]);
        self
    }

    /// Makes the row known to be absent: for tests of a handler.
    #[must_use]
    pub fn without<T>(mut self, entity: Entity<T>, key: &str) -> Self {
        let _never_presumed = self.insert(StoredRow {
            key: RowKey::new(entity, key),
            version: 0,
            body: None,
        });
        self
    }

    fn read<T: DeserializeOwned + Send + 'static>(
        &self,
        entity: Entity<T>,
        key: &str,
        body: &str,
    ) -> Option<Box<dyn Any + Send>> {
        match serde_json::from_str::<T>(body) {
            Ok(value) => Some(Box::new(value)),
            Err(error) => {
                *self.damaged.borrow_mut() = Some(format!("row {} {key:?} cannot be read: {error}", entity.name()));
                None
            }
        }
    }

    /// Rows as they were loaded.
    ///
    /// # Errors
    /// The name of an entity of which a row was taken not to be there, and is.
    pub(crate) fn load(&mut self, rows: Vec<StoredRow>) -> Result<(), &'static str> {
        self.make_room(&rows, |row| row.key.entity);
        for row in rows {
            let entity = row.key.entity.name;
            if !self.insert(row) {
                return Err(entity);
            }
        }
        Ok(())
    }

    fn make_room<T>(&mut self, more: &[T], entity: impl Fn(&T) -> Rank) {
        for run in more.chunk_by(|a, b| entity(a) == entity(b)) {
            self.slots_mut(entity(&run[0])).reserve(run.len());
        }
    }

    /// `false` where the row was taken not to be there, and is.
    #[must_use]
    fn insert(&mut self, row: StoredRow) -> bool {
        let (version, stored) = (row.version, row.body);
        match self.slots_mut(row.key.entity).entry(row.key.key) {
            Entry::Occupied(slot) if slot.get().presumed => {
                slot.into_mut().presumed = false;
                version == 0
            }
            Entry::Occupied(_) => true,
            Entry::Vacant(slot) => {
                slot.insert(Slot {
                    version,
                    stored,
                    value: OnceCell::new(),
                    encode: None,
                    presumed: false,
                });
                true
            }
        }
    }

    /// Takes for granted that there are no such rows.
    pub(crate) fn presume_absent(&mut self, keys: Vec<RowKey>) {
        self.make_room(&keys, |key| key.entity);
        for RowKey { entity, key } in keys {
            self.slots_mut(entity).entry(key).or_insert(Slot {
                version: 0,
                stored: None,
                value: OnceCell::new(),
                encode: None,
                presumed: true,
            });
        }
    }

    /// Rows taken not to be there that no decision makes, so that nothing which is written would find them.
    pub(crate) fn unproved(&self) -> Vec<RowKey> {
        let mut unproved = Vec::new();
        for (entity, slots) in &self.entities {
            let of_entity = slots.iter().filter(|(_, slot)| slot.presumed && slot.encode.is_none());
            unproved.extend(of_entity.map(|(key, _)| RowKey {
                entity: *entity,
                key: Arc::clone(key),
            }));
        }
        unproved.sort();
        unproved
    }

    /// Rows that were read though not loaded, since the last call.
    pub(crate) fn take_missed(&self) -> Vec<RowKey> {
        std::mem::take(&mut self.missed.borrow_mut())
    }

    /// A row that was read and cannot be understood: the database is not what this program wrote.
    pub(crate) fn damage(&self) -> Option<String> {
        self.damaged.borrow_mut().take()
    }

    pub(crate) fn apply(&mut self, changes: Vec<Change>) {
        for change in changes {
            let (value, encode) = (OnceCell::from(Some(change.value)), Some(change.encode));
            let slots = self.slots_mut(change.entity);
            if let Some(slot) = slots.get_mut(change.key.as_str()) {
                (slot.value, slot.encode) = (value, encode);
                continue;
            }
            let slot = Slot {
                version: 0,
                stored: None,
                value,
                encode,
                presumed: false,
            };
            slots.insert(change.key.as_str().into(), slot);
        }
    }

    /// Every row that a decision changed, with the version it was loaded at, in the order of locks.
    pub(crate) fn changed(&self) -> Vec<StoredRow> {
        let rows = self.entities.iter().map(|(_, slots)| slots.len()).sum();
        let (mut changed, mut room) = (Vec::with_capacity(rows), Vec::new());
        for (entity, slots) in &self.entities {
            changed.extend(
                slots
                    .iter()
                    .filter_map(|(key, slot)| slot.changed(*entity, key, &mut room)),
            );
        }
        // Stable, because it sees what is in order already, and it nearly all is.
        changed.sort_by(|a, b| a.key.cmp(&b.key));
        changed
    }

    /// Whether the row a change is about was loaded: only then is its version known.
    pub(crate) fn holds(&self, change: &Change) -> bool {
        self.knows(change.entity, &change.key)
    }

    pub(crate) fn knows(&self, entity: Rank, key: &str) -> bool {
        self.slots(entity).is_some_and(|slots| slots.contains_key(key))
    }

    fn slots(&self, entity: Rank) -> Option<&Slots> {
        let found = self.entities.iter().find(|(known, _)| *known == entity);
        found.map(|(_, slots)| slots)
    }

    fn slots_mut(&mut self, entity: Rank) -> &mut Slots {
        let at = self.entities.iter().position(|(known, _)| *known == entity);
        let at = at.unwrap_or_else(|| {
            self.entities.push((entity, Slots::default()));
            self.entities.len() - 1
        });
        &mut self.entities[at].1
    }
}

impl Slot {
    fn changed(&self, entity: Rank, key: &Arc<str>, room: &mut Vec<u8>) -> Option<StoredRow> {
        let (encode, Some(value)) = (self.encode?, self.value.get()?) else {
            return None;
        };
        room.clear();
        let text = encode(value.as_ref(), room).then(|| std::str::from_utf8(room));
        let key = Arc::clone(key);
        Some(StoredRow {
            key: RowKey { entity, key },
            version: self.version,
            body: text.and_then(Result::ok).map(Arc::from),
        })
    }
}

impl fmt::Debug for Rows {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map()
            .entries(self.entities.iter().map(|(entity, slots)| (entity.name, slots.len())))
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const COUNT: Entity<i64> = Entity::new("count", 0);

    fn stored(key: &str, version: Version, body: &str) -> StoredRow {
        let key = RowKey {
            entity: COUNT.rank(),
            key: key.into(),
        };
        StoredRow {
            key,
            version,
            body: Some(body.into()),
        }
    }

    #[test]
    fn a_row_not_loaded_is_named_as_missed() {
        let rows = Rows::new();
        assert_eq!(rows.get(COUNT, "a"), None);
        assert_eq!(
            rows.take_missed(),
            [RowKey {
                entity: COUNT.rank(),
                key: "a".into()
            }]
        );
    }

    #[test]
    fn a_change_is_seen_and_keeps_the_version_it_was_loaded_at() {
        let mut rows = Rows::new();
        assert!(rows.insert(stored("a", 7, "1")));
        rows.apply(vec![Change::put(COUNT, "a".into(), 2)]);
        rows.apply(vec![Change::put(COUNT, "b".into(), 5)]);
        assert_eq!((rows.get(COUNT, "a"), rows.get(COUNT, "b")), (Some(&2), Some(&5)));
        assert_eq!(rows.changed(), [stored("a", 7, "2"), stored("b", 0, "5")]);
    }

    #[test]
    fn what_was_taken_not_to_be_there_is_proved_by_its_making_or_looked_for() {
        let mut rows = Rows::new();
        rows.presume_absent(vec![RowKey::new(COUNT, "a"), RowKey::new(COUNT, "b")]);
        assert_eq!((rows.get(COUNT, "a"), rows.take_missed()), (None, vec![]));
        rows.apply(vec![Change::put(COUNT, "a".into(), 1)]);
        assert_eq!(rows.unproved(), [RowKey::new(COUNT, "b")]);
        assert_eq!(rows.load(vec![stored("b", 3, "1")]), Err("count"));

        let absent = StoredRow {
            body: None,
            ..stored("c", 0, "")
        };
        rows.presume_absent(vec![absent.key.clone()]);
        assert_eq!(rows.unproved(), std::slice::from_ref(&absent.key));
        assert_eq!(rows.load(vec![absent]), Ok(()));
        assert_eq!(rows.unproved(), []);
    }

    #[test]
    fn what_cannot_be_read_is_damage_and_not_absence() {
        let mut rows = Rows::new();
        assert!(rows.insert(stored("a", 1, "{")));
        assert_eq!(rows.get(COUNT, "a"), None);
        assert!(rows.damage().expect("damage is kept").contains("count"));
    }
}
