//! Transactions that the units of many lanes share, as on SQLite.
//!
//! A *group* is an open transaction. It begins with the first unit; the lanes that wait when the first is whole join, and
//! then it is committed. Rows that many lanes change are read once a group and written once: apart, lanes of one process
//! would wait for one another's commit and write each of these rows for each lane.
//!
//! While a group ends the next one is under way, in a session of its own and with other lanes: it begins, and lets its
//! events in.
//!
//! Units of a group ask for rows one after the other, so no order of locks holds over the whole group. Groups that work on
//! shared rows therefore take turns, of one process as of several, by an advisory lock from the first such row to the end.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use futures_util::FutureExt as _;
use futures_util::future::try_join_all;
use tokio::sync::{Mutex, MutexGuard, watch};
use tokio::try_join;

use super::failure::Failure;
use super::pool::{Lease, Pool};
use super::session::Session;
use super::tables::{lanes, state};
use crate::crash_point;
use crate::rows::RowKey;
use crate::store::group::{self, Alone, Room, Seat};
use crate::store::{Lane, Sequence, StoreError, Turn};

/// Units under way at once: one decides, and the statements of another run. A third holds its lane's row for longer than it
/// helps.
const SEATS: u32 = 2;

/// As many groups as may be open at once. The units of a lane are always in the same one or its followers.
#[derive(Debug)]
pub(super) struct Groups(Vec<Arc<Writer>>);

impl Groups {
    pub(super) fn new(pool: &Arc<Pool>, count: usize) -> Self {
        Self((0..count.max(1)).map(|_| Arc::new(Writer::new(pool))).collect())
    }

    /// Where the units of a lane are under way.
    pub(super) fn writer(&self, lane: Lane) -> &Arc<Writer> {
        &self.0[lane.unsigned_abs() as usize % self.0.len()]
    }
}

/// Where the units of one group after the other are under way.
#[derive(Debug)]
pub(super) struct Writer {
    pool: Arc<Pool>,
    room: Arc<Room>,
    open: Mutex<Open>,
    /// Whoever ends a group: the next one stays open until it has ended.
    ending: Arc<Mutex<()>>,
}

/// What a unit may join.
#[derive(Debug, Default)]
pub(super) struct Open {
    pub(super) group: Option<Arc<Group>>,
    /// Tells when everybody has left a group that was undone.
    leaving: Option<watch::Receiver<()>>,
}

/// An open transaction. It is rolled back when nobody has it any more, unless it was committed: no statement of any unit
/// can come after that.
#[derive(Debug)]
pub(super) struct Group {
    pub(super) lease: Lease,
    pub(super) units: group::Group,
    has_turn: AtomicBool,
    /// Goes with the last who has the group.
    stands: watch::Sender<()>,
}

impl Writer {
    fn new(pool: &Arc<Pool>) -> Self {
        Self {
            pool: Arc::clone(pool),
            room: group::room(SEATS),
            open: Mutex::default(),
            ending: Arc::default(),
        }
    }

    /// A place for a unit, once there is one, and the open group, to join it or to make a new one in its place.
    ///
    /// One that was undone is left by everybody first. A unit of it may still wait for its turn with the rows that several
    /// lanes write, and has its seat meanwhile: a new group that took that turn before it would wait for this seat, and it
    /// for that group, until the server ends one of them.
    pub(super) async fn enter(&self) -> (Seat, MutexGuard<'_, Open>) {
        loop {
            let seat = Arc::clone(&self.room).read_owned().await;
            let open = self.open().await;
            let Some(mut leaving) = open.leaving.clone() else {
                return (seat, open);
            };
            drop((seat, open));
            // Nothing is ever sent: it ends when the last who has the group lets go.
            let _gone = leaving.changed().await;
        }
    }

    async fn open(&self) -> MutexGuard<'_, Open> {
        let mut open = self.open.lock().await;
        let over = |group: &mut Arc<Group>| group.units.is_undone() || group.lease.session().is_err();
        if let Some(group) = open.group.take_if(over) {
            open.leaving = Some(group.stands.subscribe());
        }
        open.leaving.take_if(|leaving| leaving.has_changed().is_err());
        open
    }

    /// A new group. Nothing is asked of the server yet.
    pub(super) async fn new_group(&self) -> Result<Arc<Group>, StoreError> {
        let lease = self.pool.lease().await?;
        lease.enter_transaction();
        Ok(Arc::new(Group {
            lease,
            units: group::Group::default(),
            has_turn: AtomicBool::new(false),
            stands: watch::Sender::default(),
        }))
    }

    /// Ends the group once the one before has ended, and the lanes that wait by then have had their part.
    pub(super) fn end_soon(self: Arc<Self>, seat: Seat) {
        let runtime = self.pool.runtime().clone();
        let (ending, room) = (Arc::clone(&self.ending), Arc::clone(&self.room));
        let mut queued = Box::pin(async move { (ending.lock_owned().await, room.write_owned().await) });
        // Queues for the room from within: whoever waits already comes first.
        let waits = queued.as_mut().now_or_never().is_none();
        debug_assert!(waits, "there is somebody in the room");
        drop(seat);
        runtime.spawn(async move {
            let (_ending, alone) = queued.await;
            self.end_group(alone).await;
        });
    }

    /// Makes the group durable and tells everybody who waits for it. Whoever calls this has the room to himself, until the
    /// group is taken from it.
    async fn end_group(&self, alone: Alone) {
        let Some(group) = self.open().await.group.take() else {
            return;
        };
        drop(alone);
        if group.units.is_empty() {
            return;
        }
        if let Err(failure) = group.flush().await {
            return group.units.undo(&group.lease.judge(failure));
        }
        let ended = group.commit().await;
        // Whoever is told finds the session back in the pool.
        match Arc::try_unwrap(group) {
            Ok(Group { lease, units, .. }) => {
                drop(lease);
                units.ended(&ended);
            }
            Err(shared) => shared.units.ended(&ended),
        }
    }
}

impl Group {
    /// Begins the transaction with its first unit.
    pub(super) async fn begin_first(&self, at: Turn, published: Sequence) -> Result<lanes::Begun, Failure> {
        let session = self.lease.session()?;
        let ((), begun) = try_join!(biased; session.control("BEGIN"), lanes::begin(session, at, published))?;
        Ok(begun)
    }

    /// Begins one more unit.
    pub(super) async fn begin(&self, at: Turn, published: Sequence) -> Result<lanes::Begun, Failure> {
        lanes::begin(self.session()?, at, published).await
    }

    /// The session, while the group stands.
    pub(super) fn session(&self) -> Result<&Session, StoreError> {
        if self.units.is_undone() {
            return Err(StoreError::Undone);
        }
        self.lease.session()
    }

    /// Loads and holds those of the rows that are there and not held yet.
    pub(super) async fn fetch(&self, keys: impl Iterator<Item = &RowKey>) -> Result<(), Failure> {
        let missing = state::by_entity(self.units.missing(keys));
        let session = self.session()?;
        let turn_due = !self.has_turn.load(Ordering::Relaxed) && missing.iter().any(|(entity, _)| entity.shared);
        let turn = take_turn(session, turn_due);
        let loading = missing.iter().map(|(entity, keys)| state::load(session, *entity, keys));
        let ((), loaded) = try_join!(biased; turn, try_join_all(loading))?;
        if turn_due {
            self.has_turn.store(true, Ordering::Relaxed);
        }
        let mut held = self.units.held();
        for row in loaded.into_iter().flatten() {
            if let Some(body) = row.body {
                held.hold(&row.key, row.version, body);
            }
        }
        Ok(())
    }

    /// Writes what the units changed of the rows that are held.
    async fn flush(&self) -> Result<(), Failure> {
        let session = self.session()?;
        let mut held = self.units.take_held();
        let changed = held.take_changed();
        let updates = changed
            .iter()
            .map(|(entity, rows)| state::update(session, *entity, rows));
        try_join_all(updates).await.map(drop)
    }

    /// After an error the outcome is unknown: the server may have heard COMMIT and its answer been lost.
    async fn commit(&self) -> Result<(), StoreError> {
        crash_point!("commit.before");
        let committed = self.lease.session()?.control("COMMIT").await;
        if let Err(failure) = committed {
            let why = failure.sentence(self.lease.location());
            self.lease.lose();
            return Err(StoreError::Unknown(why));
        }
        self.lease.leave_transaction();
        crash_point!("commit.after");
        Ok(())
    }
}

async fn take_turn(session: &Session, due: bool) -> Result<(), Failure> {
    if due { lanes::take_turn(session).await } else { Ok(()) }
}
