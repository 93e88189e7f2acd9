//! What the runtime needs of a database, and nothing of any one database.
//!
//! A [`Store`] hands out units of work. A [`Unit`] is begun on a lane at the owner's epoch and turn, and consumed by
//! `commit`; dropped, it never was. So work without its lane row does not compile, and work that lost its lane does not
//! commit (rule 1).
//!
//! `conformance` (feature `conformance`) states every behaviour that the rest of the runtime rests on; a database is
//! supported when it passes.

#[cfg(feature = "conformance")]
pub mod conformance;
mod database;
mod group;
mod held;
mod packed;
mod pipeline;
pub mod postgres;
pub mod sqlite;
mod types;

use std::future::Future;

use thiserror::Error;
use uuid::Uuid;

use crate::rows::{RowKey, StoredRow};

pub use self::database::{Database, OpenError, Reader, Versions};
pub use self::sqlite::{EffectRecord, InboxCounts, InboxRow, LaneRow, StateRow, Summary};
pub use self::types::{
    Admission, Answer, Arrival, Attempt, Claim, Counts, DeadRow, EffectRow, EffectState, Flood, Identity, Move,
    OutboxRow, Outcome, Owner, Progress, Retention, Start, TimerRow, TopicCount, Turn, Writes,
};

/// Number of a lane: the partition number that all topics of a group share.
pub type Lane = i32;

/// A place in a lane's outbox. The first fact of a lane has sequence 1; 0 is "none yet".
pub type Sequence = i64;

/// A database in which one group keeps everything it knows. Cheap to clone; clones share the connection.
pub trait Store: Clone + Send + Sync + 'static {
    /// A transaction on one lane.
    type Unit: Unit;

    /// Whether its calls do their work on the thread of whoever makes them, for milliseconds: lanes then live
    /// on a few threads of their own. None of its calls may block a thread until another unit gets on; they wait as futures do.
    const BLOCKING: bool;

    /// Records of one lane that a unit takes unless the settings say otherwise: as many as memory allows where rows that
    /// lanes share cost much for each transaction.
    const BATCH_RECORDS: usize;

    /// Makes the database this group's, or checks that it is: the group's name, and the partition count of every topic
    /// it reads or writes (rule 13). What is already recorded stays. Where none of the topics is recorded and others are,
    /// it is another pipeline's group of that name, unless this one `adopts` the database.
    ///
    /// # Errors
    /// [`StoreError::Unusable`] if the database belongs to another group, [`StoreError::Grown`] if a count differs.
    fn prepare(
        &self,
        group: &str,
        topics: &[TopicCount],
        adopts: bool,
    ) -> impl Future<Output = Result<Identity, StoreError>> + Send;

    /// Takes the counts of topics that have more partitions now than were recorded, and records that a topic of which there
    /// is progress begins at offset 0 of each new one: what stands there was written while the group was at work. Fewer
    /// partitions stay what [`Store::prepare`] refuses: such a topic is another one.
    ///
    /// # Errors
    /// Those of any transaction.
    fn grow(&self, topics: &[TopicCount]) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Takes over lanes: raises each epoch and says where each stands. One statement per lane, so that of two claimants
    /// the later one wins. A unit that has begun on the lane is over before.
    ///
    /// # Errors
    /// See [`StoreError`].
    fn claim(&self, lanes: &[Lane]) -> impl Future<Output = Result<Vec<Claim>, StoreError>> + Send;

    /// Records where partitions never seen before start: after a claim, before the first unit. What is there stays.
    ///
    /// # Errors
    /// See [`StoreError`].
    fn start_at(&self, owner: Owner, starts: &[Start]) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Begins a unit of work on a lane: `epoch` and `turn` are compared, the turn is raised, `published` recorded. Whoever
    /// has one and waits for another, of any lane, may wait for himself.
    ///
    /// # Errors
    /// [`StoreError::Fenced`] if the lane is not the owner's at that turn.
    fn begin(&self, at: Turn, published: Sequence) -> impl Future<Output = Result<Self::Unit, StoreError>> + Send;

    /// Whether the unit begun at `at` took place, after its commit gave no answer (rule 8). Reads the lane row with its
    /// lock, so that an old transaction still ending is waited for.
    ///
    /// # Errors
    /// [`StoreError::Fenced`] if neither can be said because the lane is another's.
    fn resolve(&self, at: Turn) -> impl Future<Output = Result<Outcome, StoreError>> + Send;

    /// Facts of a lane after `after`, in sequence order, at most `limit`.
    ///
    /// # Errors
    /// See [`StoreError`].
    fn outbox(
        &self,
        lane: Lane,
        after: Sequence,
        limit: usize,
    ) -> impl Future<Output = Result<Vec<OutboxRow>, StoreError>> + Send;

    /// Effects of a lane that have no answer yet, `pending` and `unknown`, earliest due first, at most `limit`.
    ///
    /// # Errors
    /// See [`StoreError`].
    fn effects(&self, lane: Lane, limit: usize) -> impl Future<Output = Result<Vec<EffectRow>, StoreError>> + Send;

    /// Timers of a lane, earliest due first, at most `limit`.
    ///
    /// # Errors
    /// See [`StoreError`].
    fn timers(&self, lane: Lane, limit: usize) -> impl Future<Output = Result<Vec<TimerRow>, StoreError>> + Send;

    /// Deletes what is past its time, at most `limit` rows of each kind; says how many rows went.
    ///
    /// Raises the inbox horizon to `inbox_horizon` if that is later, then deletes only `applied` rows whose event time
    /// and handling both lie before it; published outbox rows written before `outbox_before`.
    ///
    /// # Errors
    /// See [`StoreError`].
    fn retain(&self, retention: Retention) -> impl Future<Output = Result<u64, StoreError>> + Send;
}

/// A transaction on one lane. Dropped without [`Unit::commit`], nothing of it happened.
///
/// Units of different lanes may share a transaction of the database, and be under way side by side: everything a unit
/// does, its beginning and its commit too, may say [`StoreError::Undone`], because another unit in it failed. From `load`
/// to `write` a unit is alone with the rows of that transaction. Whoever drops a call before it has answered drops the unit.
pub trait Unit: Send {
    /// The sequence that the first fact written by this unit will bear.
    fn next_sequence(&self) -> Sequence;

    /// Moves positions and asks which events are new. Positions are compared with strict equality and set; ids go into
    /// the inbox as `applied`. Admissions come back in the order of `arrivals`; an id that is twice among them is new
    /// once.
    ///
    /// # Errors
    /// [`StoreError::Fenced`] if a position is not where this owner holds it.
    fn admit(
        &mut self,
        moves: &[Move],
        arrivals: &[Arrival],
    ) -> impl Future<Output = Result<Vec<Admission>, StoreError>> + Send;

    /// Takes answers: `pending` or `unknown` becomes `answered`. `false` where an effect was answered before.
    ///
    /// # Errors
    /// See [`StoreError`].
    fn answer(&mut self, answers: &[Answer]) -> impl Future<Output = Result<Vec<bool>, StoreError>> + Send;

    /// Deletes timers that fire. `false` where a timer was not there any more.
    ///
    /// # Errors
    /// See [`StoreError`].
    fn fire(&mut self, timers: &[Uuid]) -> impl Future<Output = Result<Vec<bool>, StoreError>> + Send;

    /// Loads rows, given in the order of locks. Nobody who keeps to this contract writes one of them until the unit ends. A row
    /// that does not exist comes back with version 0.
    ///
    /// # Errors
    /// See [`StoreError`].
    fn load(&mut self, keys: &[RowKey]) -> impl Future<Output = Result<Vec<StoredRow>, StoreError>> + Send;

    /// Writes what was decided.
    ///
    /// # Errors
    /// [`StoreError::Stale`] if a row is no longer at the version it was loaded at; [`StoreError::Refused`] if the
    /// database will never take one of the rows.
    fn write(&mut self, writes: &Writes) -> impl Future<Output = Result<(), StoreError>> + Send;

    /// Makes all of it durable. Returns when it is.
    ///
    /// # Errors
    /// [`StoreError::Unknown`] if the answer was lost: ask [`Store::resolve`]. [`StoreError::Stale`] if a row that lanes share
    /// was written by somebody else all the same: nothing of the unit happened.
    fn commit(self) -> impl Future<Output = Result<(), StoreError>> + Send;
}

/// Why a store did not do as asked, by what the caller does next.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum StoreError {
    /// The lane is another owner's, or at another turn. Keep nothing; claim again if the group still gives the lane.
    #[error("fenced: lane {lane} is not ours at this turn")]
    Fenced {
        /// The lane.
        lane: Lane,
    },
    /// A row changed since it was loaded. Drop the unit and do it again.
    #[error("a row of {entity} changed since it was loaded")]
    Stale {
        /// Which entity.
        entity: String,
    },
    /// The database will never take this. Halve the batch; a single record becomes a dead letter.
    #[error("the database refuses it: {0}")]
    Refused(String),
    /// Commit gave no answer. Resolve by the turn.
    #[error("the answer to COMMIT was lost: {0}")]
    Unknown(String),
    /// The transaction was taken back for another unit in it. Nothing happened; do it again at once.
    #[error("the transaction was taken back for another unit in it")]
    Undone,
    /// The database is away or full. Nothing happened; try again with backoff.
    #[error("the database is not available: {0}")]
    Unavailable(String),
    /// A topic has other partitions than when the database was filled (rule 13). Stop and do not start again.
    #[error(
        "topic {topic} has {partitions} partitions, and the database was filled when it had {recorded}: a key's records would \
         be on two partitions"
    )]
    Grown {
        /// The topic.
        topic: String,
        /// How many partitions it has.
        partitions: i32,
        /// How many it had.
        recorded: i32,
    },
    /// Nothing in it is broken, and it cannot be used as it is. Stop; a person changes what `why` says.
    #[error("{why}")]
    Unusable {
        /// What kind of thing stands in the way.
        kind: Unusable,
        /// What, where, and what to do.
        why: String,
    },
    /// It is damaged, or holds what it should not: a person must decide. Stop and do not start again.
    #[error("{0}")]
    Halt(String),
}

/// Why a sound database cannot be used, by what a person has to change.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Unusable {
    /// The server refuses the user or the password.
    Credentials,
    /// The server does not prove who it is.
    Certificate,
    /// The user lacks a right.
    Right,
    /// There is none.
    Missing,
    /// Another process has it, or it may not be written where it is.
    Place,
    /// It is another program's, another group's or another version's, or something between breaks a guarantee.
    Unfit,
}
