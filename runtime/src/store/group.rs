//! What the units of one open transaction have in common, whatever the database.
//!
//! A *group* is an open transaction that units of many lanes share. Some of them are under way at once: while one
//! decides, the statements of another run. Rows that several lanes change are handed from one to the next in memory, and
//! the *baton* says whose turn that is: a unit has it from its loading to its writing, so each finds what the one before
//! it decided.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{OwnedMutexGuard, OwnedRwLockReadGuard, OwnedRwLockWriteGuard, RwLock, oneshot};

use super::StoreError;
use super::held::Held;
use crate::rows::RowKey;

/// What the commit of a unit waits for.
pub(super) type Durable = oneshot::Receiver<Result<(), StoreError>>;

/// The right to decide on the rows of a group.
pub(super) type Baton = OwnedMutexGuard<()>;

/// Where units are under way: each has a seat, and whoever ends their transaction has the room to himself. Those who wait
/// are served in their order.
pub(super) type Room = RwLock<()>;

/// A place in the room.
pub(super) type Seat = OwnedRwLockReadGuard<()>;

/// The room to oneself.
pub(super) type Alone = OwnedRwLockWriteGuard<()>;

/// An empty room with so many seats.
pub(super) fn room(seats: u32) -> Arc<Room> {
    Arc::new(RwLock::with_max_readers((), seats))
}

/// What the units of an open transaction share.
#[derive(Debug, Default)]
pub(super) struct Group {
    held: Mutex<Held>,
    baton: Arc<tokio::sync::Mutex<()>>,
    standing: Mutex<Standing>,
}

/// How it stands with a group.
#[derive(Debug, Default)]
struct Standing {
    /// Nothing of it will be durable.
    undone: bool,
    /// The units that are whole and wait for its end.
    waiting: Vec<oneshot::Sender<Result<(), StoreError>>>,
}

impl Group {
    /// A group that knows these rows.
    pub(super) fn with(held: Held) -> Self {
        Self {
            held: Mutex::new(held),
            ..Self::default()
        }
    }

    /// The rows as its units left them. Not to be kept while waiting for anything.
    pub(super) fn held(&self) -> MutexGuard<'_, Held> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes what is known of the rows.
    pub(super) fn take_held(&self) -> Held {
        std::mem::take(&mut *self.held())
    }

    /// Those of the keys whose rows are not held.
    pub(super) fn missing<'a>(&self, keys: impl Iterator<Item = &'a RowKey>) -> Vec<&'a RowKey> {
        let held = self.held();
        keys.filter(|key| held.row(key).is_none()).collect()
    }

    /// Waits until those before have handed on what they decided.
    ///
    /// # Errors
    /// [`StoreError::Undone`]: what they decided never was.
    pub(super) async fn baton(&self) -> Result<Baton, StoreError> {
        let baton = Arc::clone(&self.baton).lock_owned().await;
        if self.is_undone() {
            return Err(StoreError::Undone);
        }
        Ok(baton)
    }

    /// A unit is whole. What comes back resolves when the transaction has ended and is durable; whether this unit is
    /// the first, after which somebody has to end it.
    ///
    /// # Errors
    /// [`StoreError::Undone`].
    pub(super) fn whole(&self) -> Result<(Durable, bool), StoreError> {
        let mut standing = self.standing();
        if standing.undone {
            return Err(StoreError::Undone);
        }
        let (sender, durable) = oneshot::channel();
        standing.waiting.push(sender);
        Ok((durable, standing.waiting.len() == 1))
    }

    /// Nothing of the group happened, and nothing more will be part of it. COMMIT must not have been asked for.
    pub(super) fn undo(&self, why: &StoreError) {
        let mut standing = self.standing();
        standing.undone = true;
        tell(&mut standing, &Err(why.clone()));
    }

    /// Whether it was undone.
    pub(super) fn is_undone(&self) -> bool {
        self.standing().undone
    }

    /// Whether nobody waits for its end.
    pub(super) fn is_empty(&self) -> bool {
        self.standing().waiting.is_empty()
    }

    /// The transaction has ended so.
    pub(super) fn ended(&self, how: &Result<(), StoreError>) {
        tell(&mut self.standing(), how);
    }

    fn standing(&self) -> MutexGuard<'_, Standing> {
        self.standing.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn tell(standing: &mut Standing, how: &Result<(), StoreError>) {
    for waiting in standing.waiting.drain(..) {
        // Who no longer waits reads the lane row instead.
        let _gone = waiting.send(how.clone());
    }
}

/// What became of the transaction. Nobody to ask means that nobody knows.
pub(super) async fn answer_of(durable: Durable) -> Result<(), StoreError> {
    let answer = durable.await;
    answer.unwrap_or_else(|_| Err(StoreError::Unknown("whoever commits is gone".to_owned())))
}
