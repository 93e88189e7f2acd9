//! What a batch is known to need before anything of it is decided.

use std::sync::Arc;

use foldhash::fast::RandomState;
use indexmap::IndexSet;

use crate::rows::{Entity, Rank, RowKey, Rows};

/// Collects the rows that a batch needs, each once.
#[derive(Debug)]
pub struct Wanted<'a> {
    rows: &'a Rows,
    looked_for: Keys,
    hardly_there: Keys,
}

/// The rows that a batch is known to need, each list in the order of locks.
#[derive(Debug, Default)]
pub(crate) struct Needed {
    pub(crate) load: Vec<RowKey>,
    /// Those that are most likely not there.
    pub(crate) absent: Vec<RowKey>,
}

#[derive(Debug, Default)]
struct Keys(Vec<(Rank, IndexSet<Arc<str>, RandomState>)>);

impl<'a> Wanted<'a> {
    pub(crate) fn new(rows: &'a Rows) -> Self {
        Self {
            rows,
            looked_for: Keys::default(),
            hardly_there: Keys::default(),
        }
    }

    /// The decision will read this row.
    pub fn row<T>(&mut self, entity: Entity<T>, key: &str) {
        let rank = entity.rank();
        if !self.rows.knows(rank, key) {
            self.looked_for.add(rank, key);
        }
    }

    /// The decision will read this row, find none but in the rarest case, and make it.
    ///
    /// So nobody looks for it: the decision is asked for as if there were none, and a row that is there all the same shows
    /// when the new one is to be written. The batch is then taken back and handled again, with such rows looked for like
    /// all others, as those of the lane's next batches are. Saves a search for each record where that is rare, and costs a
    /// batch where it is not. Rows of a [shared](Entity::shared) entity are looked for in any case.
    pub fn absent<T>(&mut self, entity: Entity<T>, key: &str) {
        let rank = entity.rank();
        if rank.shared {
            self.row(entity, key);
        } else if !self.rows.knows(rank, key) {
            self.hardly_there.add(rank, key);
        }
    }

    /// What was collected; a row that one decision looks for is not taken for granted for another.
    pub(crate) fn needed(self) -> Needed {
        let mut absent = self.hardly_there;
        for (rank, keys) in &mut absent.0 {
            if let Some(looked_for) = self.looked_for.of(*rank) {
                keys.retain(|key| !looked_for.contains(key));
            }
        }
        Needed {
            load: self.looked_for.in_order(),
            absent: absent.in_order(),
        }
    }
}

impl Keys {
    fn add(&mut self, rank: Rank, key: &str) {
        let at = self.0.iter().position(|(known, _)| *known == rank);
        let at = at.unwrap_or_else(|| {
            self.0.push((rank, IndexSet::default()));
            self.0.len() - 1
        });
        let keys = &mut self.0[at].1;
        if !keys.contains(key) {
            keys.insert(key.into());
        }
    }

    fn of(&self, rank: Rank) -> Option<&IndexSet<Arc<str>, RandomState>> {
        self.0.iter().find(|(known, _)| *known == rank).map(|(_, keys)| keys)
    }

    fn in_order(self) -> Vec<RowKey> {
        let keys = self.0.into_iter();
        let mut keys: Vec<_> = keys
            .flat_map(|(entity, keys)| keys.into_iter().map(move |key| RowKey { entity, key }))
            .collect();
        // Stable, because it sees runs: ids of orders come in the order of time, which is theirs.
        keys.sort();
        keys
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const COUNT: Entity<i64> = Entity::new("count", 0);

    #[test]
    fn what_one_decision_looks_for_is_not_taken_for_granted_for_another() {
        let rows = Rows::new();
        let mut wanted = Wanted::new(&rows);
        wanted.absent(COUNT, "b");
        wanted.absent(COUNT, "a");
        wanted.row(COUNT, "b");
        let names = |keys: &[RowKey]| keys.iter().map(|key| key.key.to_string()).collect::<Vec<_>>();
        let needed = wanted.needed();
        assert_eq!(
            (names(&needed.load), names(&needed.absent)),
            (vec!["b".to_owned()], vec!["a".to_owned()])
        );

        let mut wanted = Wanted::new(&rows);
        wanted.absent(Entity::<i64>::shared("count of all", 1), "a");
        let needed = wanted.needed();
        assert_eq!((names(&needed.load), needed.absent), (vec!["a".to_owned()], vec![]));
    }
}
