//! Transactions that the units of many lanes share, as on SQLite.
//!
//! A *group* is an open transaction. It begins with the first unit; the lanes that wait when that unit is released join,
//! one after the other, and then it is committed. Rows that many lanes change are locked and read once a group and written
//! once: apart, lanes of one process would wait for one another's commit and write each of these rows for each lane.
//!
//! Units of a group ask for rows one after the other, so no order of locks holds over the whole group. Processes that lock
//! shared rows therefore take turns, by an advisory lock from the beginning of a group to its end.

use std::sync::Arc;

use futures_util::FutureExt as _;
use futures_util::future::try_join_all;
use tokio::sync::{Mutex, OwnedMutexGuard, oneshot};
use tokio::try_join;

use super::failure::Failure;
use super::pool::{Lease, Pool};
use super::session::Session;
use super::tables::{lanes, state};
use crate::crash_point;
use crate::rows::{RowKey, StoredRow};
use crate::store::held::Held;
use crate::store::{Lane, Sequence, StoreError, Turn};

/// What the commit of a unit waits for.
pub(super) type Durable = oneshot::Receiver<Result<(), StoreError>>;

/// As many groups as may be open at once. A lane is always in the same one.
#[derive(Debug)]
pub(super) struct Groups(Vec<Arc<Mutex<Writer>>>);

impl Groups {
    pub(super) fn new(pool: &Arc<Pool>, count: usize) -> Self {
        let writer = |_| Arc::new(Mutex::new(Writer::new(Arc::clone(pool))));
        Self((0..count.max(1)).map(writer).collect())
    }

    /// The writer of a lane, to oneself. Those who wait are served in their order.
    pub(super) async fn writer(&self, lane: Lane) -> OwnedMutexGuard<Writer> {
        let at = lane.unsigned_abs() as usize % self.0.len();
        Arc::clone(&self.0[at]).lock_owned().await
    }
}

/// Whoever has it is alone with its group.
#[derive(Debug)]
pub(super) struct Writer {
    pool: Arc<Pool>,
    group: Option<Group>,
    /// Whether a unit has asked for shared rows before: the next group takes its turn before anything else, so that it
    /// holds nothing that somebody before it waits for.
    shares: bool,
}

/// An open transaction.
#[derive(Debug)]
struct Group {
    lease: Lease,
    begun: bool,
    has_turn: bool,
    held: Held,
    /// The units that are released and wait for its end.
    waiting: Vec<oneshot::Sender<Result<(), StoreError>>>,
}

impl Writer {
    fn new(pool: Arc<Pool>) -> Self {
        Self {
            pool,
            group: None,
            shares: false,
        }
    }

    pub(super) fn session(&self) -> Result<&Session, StoreError> {
        self.group.as_ref().ok_or_else(no_group)?.lease.session()
    }

    pub(super) fn held(&mut self) -> Result<&mut Held, StoreError> {
        self.group.as_mut().map(|group| &mut group.held).ok_or_else(no_group)
    }

    /// Makes sure that a group is open. Nothing is asked of the server yet.
    pub(super) async fn open_group(&mut self) -> Result<(), StoreError> {
        if self.group.is_none() {
            let mut lease = self.pool.lease().await?;
            lease.enter_transaction();
            self.group = Some(Group {
                lease,
                begun: false,
                has_turn: false,
                held: Held::default(),
                waiting: Vec::new(),
            });
        }
        Ok(())
    }

    /// Begins the unit of a lane, and the transaction with the first of them.
    pub(super) async fn begin(&mut self, at: Turn, published: Sequence) -> Result<lanes::Begun, Failure> {
        let takes_turn = self.shares;
        let group = self.group.as_mut().ok_or_else(no_group)?;
        let session = group.lease.session()?;
        let unit = lanes::begin(session, at, published);
        if group.begun {
            return unit.await;
        }
        let (start, turn) = (session.control("BEGIN"), take_turn(session, takes_turn));
        let ((), (), begun) = try_join!(biased; start, turn, unit)?;
        group.begun = true;
        group.has_turn = takes_turn;
        Ok(begun)
    }

    /// Locks and loads rows in the order given. What is not there has version 0, and is not held.
    pub(super) async fn load(&mut self, keys: &[RowKey]) -> Result<Vec<StoredRow>, Failure> {
        self.hold(keys.iter()).await?;
        let held = self.held()?;
        let stored = |key: &RowKey| {
            let row = held.row(key);
            StoredRow {
                key: key.clone(),
                version: row.map_or(0, |row| row.version),
                body: row.map(|row| row.body.clone()),
            }
        };
        Ok(keys.iter().map(stored).collect())
    }

    /// Locks and holds those of the rows that are there and not held yet.
    pub(super) async fn hold(&mut self, keys: impl Iterator<Item = &RowKey>) -> Result<(), Failure> {
        let group = self.group.as_mut().ok_or_else(no_group)?;
        let session = group.lease.session()?;
        let missing = state::by_entity(keys.filter(|key| group.held.row(key).is_none()));
        let turn_due = !group.has_turn && missing.iter().any(|(entity, _)| entity.shared);
        let turn = take_turn(session, turn_due);
        let loading = missing.iter().map(|(entity, keys)| state::load(session, *entity, keys));
        let ((), loaded) = try_join!(biased; turn, try_join_all(loading))?;
        group.has_turn |= turn_due;
        self.shares |= turn_due;
        for row in loaded.into_iter().flatten() {
            group.held.hold(&row.key, row.version, row.body.unwrap_or_default());
        }
        Ok(())
    }

    /// The error in the words of the store; the session is given up where the error says so.
    pub(super) fn judge(&mut self, failure: Failure) -> StoreError {
        match &mut self.group {
            Some(group) => group.lease.judge(failure),
            None => failure.of(self.pool.location()),
        }
    }

    /// A unit becomes part of its group. What comes back resolves when the group's transaction has ended; whether this is
    /// the first one, after which somebody has to end it.
    pub(super) fn release_unit(&mut self) -> Result<(Durable, bool), StoreError> {
        let group = self.group.as_mut().ok_or_else(no_group)?;
        let (sender, durable) = oneshot::channel();
        group.waiting.push(sender);
        Ok((durable, group.waiting.len() == 1))
    }

    /// Ends the group once the lanes that wait by now have had their part.
    pub(super) fn end_soon(guard: OwnedMutexGuard<Self>) {
        let (writer, runtime) = (Arc::clone(OwnedMutexGuard::mutex(&guard)), guard.pool.runtime().clone());
        // Queues for the writer while it is still held: whoever waits already comes first.
        let mut queued = Box::pin(writer.lock_owned());
        let waits = queued.as_mut().now_or_never().is_none();
        debug_assert!(waits, "the guard is still held");
        drop(guard);
        runtime.spawn(async move { queued.await.end_group().await });
    }

    /// Nothing of the unit happened. One that touched nothing, as a fenced one, leaves the others of its group alone; else
    /// the whole transaction goes, and the others do their part again.
    pub(super) fn drop_unit(&mut self, touched: bool) {
        let joined = self.group.as_ref().is_some_and(|group| !group.waiting.is_empty());
        if touched || !joined {
            self.undo_group(&StoreError::Undone);
        }
    }

    /// Makes the group durable and tells everybody who waits for it.
    pub(super) async fn end_group(&mut self) {
        let Some(group) = &mut self.group else { return };
        if let Err(failure) = flush(group).await {
            let error = group.lease.judge(failure);
            return self.undo_group(&error);
        }
        let ended = commit(group).await;
        let Some(Group { lease, waiting, .. }) = self.group.take() else {
            return;
        };
        // Whoever is told finds the session back in the pool.
        drop(lease);
        for waiting in waiting {
            // Who no longer waits reads the lane row instead.
            let _gone = waiting.send(ended.clone());
        }
    }

    /// Takes back the whole transaction. COMMIT was not asked for, so it is certain that nothing happened.
    fn undo_group(&mut self, why: &StoreError) {
        let Some(group) = self.group.take() else { return };
        for waiting in group.waiting {
            let _gone = waiting.send(Err(why.clone()));
        }
    }
}

async fn take_turn(session: &Session, due: bool) -> Result<(), Failure> {
    if due { lanes::take_turn(session).await } else { Ok(()) }
}

/// Writes what the units changed of the rows that are held.
async fn flush(group: &mut Group) -> Result<(), Failure> {
    let session = group.lease.session()?;
    let changed = group.held.take_changed();
    let updates = changed
        .iter()
        .map(|(entity, rows)| state::update(session, *entity, rows));
    try_join_all(updates).await.map(drop)
}

/// After an error the outcome is unknown: the server may have heard COMMIT and its answer been lost.
async fn commit(group: &mut Group) -> Result<(), StoreError> {
    crash_point!("commit.before");
    let committed = group.lease.session()?.control("COMMIT").await;
    if let Err(failure) = committed {
        let why = failure.sentence(group.lease.location());
        group.lease.lose();
        return Err(StoreError::Unknown(why));
    }
    group.lease.leave_transaction();
    crash_point!("commit.after");
    Ok(())
}

/// A unit has a group until it ends.
fn no_group() -> StoreError {
    StoreError::Halt("a unit of work was used after its end".to_owned())
}
