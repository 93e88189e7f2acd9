//! What goes into a store and comes out of it.

use std::sync::Arc;

use uuid::Uuid;

use crate::handler::Reason;
use crate::record::{Headers, NextOffset};
use crate::rows::StoredRow;

use super::{Lane, Sequence};

/// What a database says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// Unique to this database and kept in it: the `group.instance.id` of the one process on it.
    pub instance: String,
    /// Whether one process alone may use it, which then must own every lane (rule 12).
    pub exclusive: bool,
    /// How to name it to a person, without secrets.
    pub location: String,
    /// Whether it has handled anything yet.
    pub fresh: bool,
}

/// Partitions of a topic this group reads or writes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TopicCount {
    /// Name of the topic.
    pub topic: Arc<str>,
    /// Number of its partitions.
    pub partitions: i32,
}

/// A lane and the epoch of who owns it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Owner {
    /// The lane.
    pub lane: Lane,
    /// Raised by every claim.
    pub epoch: i64,
}

/// A lane, its owner's epoch, and how many units that lane has seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Turn {
    /// Whose turn.
    pub owner: Owner,
    /// Raised by every unit.
    pub turn: i64,
}

/// A lane as its new owner finds it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// Where it stands.
    pub at: Turn,
    /// The sequence its next fact will bear.
    pub next_sequence: Sequence,
    /// Every fact up to here was acknowledged by Kafka.
    pub published: Sequence,
    /// Its partitions, as far as they were ever seen.
    pub progress: Vec<Progress>,
    /// How its latest records fared, for the flood limits.
    pub flood: Flood,
}

/// One partition's position and counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Progress {
    /// The topic.
    pub topic: Arc<str>,
    /// The partition; the lane's number.
    pub partition: i32,
    /// The position this group holds.
    pub next_offset: NextOffset,
    /// The position it began at.
    pub start_offset: NextOffset,
    /// What became of the records.
    pub counts: Counts,
}

/// Where a partition that was never seen starts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Start {
    /// The topic.
    pub topic: Arc<str>,
    /// The position of its first record to handle.
    pub at: NextOffset,
}

/// What became of records.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Applied: decided on, its effects written.
    pub applied: u64,
    /// Recognised as handled before.
    pub duplicate: u64,
    /// Parked as dead letters.
    pub dead: u64,
    /// Not for this group.
    pub skipped: u64,
}

impl Counts {
    /// All records together.
    #[must_use]
    pub const fn total(self) -> u64 {
        self.applied + self.duplicate + self.dead + self.skipped
    }
}

impl std::ops::AddAssign for Counts {
    fn add_assign(&mut self, other: Self) {
        self.applied += other.applied;
        self.duplicate += other.duplicate;
        self.dead += other.dead;
        self.skipped += other.skipped;
    }
}

/// How a lane's latest records fared (rule 9). Durable, or a supervisor's restarts would empty a topic into the dead
/// letters a limit at a time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Flood {
    /// Dead letters since the last record that was not one.
    pub run: u64,
    /// Records of the current window.
    pub records: u64,
    /// Dead letters among them.
    pub dead: u64,
}

/// A position moves. `partition` is the lane's number.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Move {
    /// The topic.
    pub topic: Arc<str>,
    /// The position this owner holds.
    pub expected: NextOffset,
    /// The position after the batch.
    pub next: NextOffset,
}

/// An event that asks to be let in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Arrival {
    /// Its id.
    pub id: Uuid,
    /// Hash of the value's bytes as received.
    pub hash: [u8; 16],
    /// The record's timestamp, milliseconds.
    pub event_time: i64,
    /// Where it came through a redrive topic, the id made from its first origin: then only a `dead` row lets it in, its
    /// own or, for a record whose id could not be read when it was refused, the one of its origin.
    pub redriven: Option<Uuid>,
}

/// What the inbox says of an arrival.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admission {
    /// Never seen; its row is in, as `applied`.
    New,
    /// Seen, with the same bytes.
    Duplicate,
    /// Seen, with other bytes. Nothing was overwritten.
    Conflict,
    /// Never seen, and from before the inbox horizon: it may have been handled and forgotten. Its row is in, as `applied`.
    TooOld,
    /// Redriven: its row said `dead` and says `applied` now.
    Redriven,
    /// Redriven, though no row of it says `dead`.
    NotDead,
}

/// An effect's answer arrives, or what is said instead.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The effect.
    pub effect: Uuid,
    /// What the outside said.
    pub answer: Vec<u8>,
}

/// Everything a unit writes, each kind at once.
#[derive(Debug, Default)]
pub struct Writes {
    /// Wall-clock time of the unit, milliseconds: when rows were handled, and the timestamp of its facts.
    pub now: i64,
    /// Rows with the version they were loaded at, in the order of locks.
    pub rows: Vec<StoredRow>,
    /// Facts and dead letters; sequences follow from [`Unit::next_sequence`](super::Unit::next_sequence) without a gap.
    pub outbox: Vec<OutboxRow>,
    /// Ids whose inbox row says `dead` from now on.
    pub dead: Vec<DeadRow>,
    /// What became of the batch's records, per topic.
    pub counts: Vec<(Arc<str>, Counts)>,
    /// The flood counters of the lane, if records moved them.
    pub flood: Option<Flood>,
    /// New effects.
    pub effects: Vec<EffectRow>,
    /// Effects that were called without an answer, as they stand now.
    pub attempts: Vec<Attempt>,
    /// New timers.
    pub timers: Vec<TimerRow>,
}

/// A record in the outbox: a fact or a dead letter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutboxRow {
    /// Its place in the lane.
    pub sequence: Sequence,
    /// Where it goes.
    pub topic: Arc<str>,
    /// The partition, computed from the recorded count.
    pub partition: i32,
    /// The record's timestamp, milliseconds; a republication repeats it.
    pub timestamp: i64,
    /// Unique in the group.
    pub event_id: Uuid,
    /// The record's key.
    pub key: Option<Vec<u8>>,
    /// The record's value.
    pub value: Option<Vec<u8>>,
    /// The record's headers, but for `orderflow-group`, `orderflow-lane` and `orderflow-seq`.
    pub headers: Headers,
    /// Why, for a dead letter; `None` for a fact.
    pub reason: Option<Reason>,
}

/// An inbox row that is to say `dead`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct DeadRow {
    /// The event's id, or one made from its origin.
    pub id: Uuid,
    /// Hash of the value's bytes as received.
    pub hash: [u8; 16],
    /// The record's timestamp, milliseconds.
    pub event_time: i64,
}

/// How an effect stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum EffectState {
    /// To be called when due.
    Pending,
    /// Called, and nobody knows what came of it: asked about, or shown to a person, never called again.
    Unknown,
}

/// An effect without an answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EffectRow {
    /// Its identity.
    pub id: Uuid,
    /// The lane that decides on its answer.
    pub lane: Lane,
    /// Which caller makes it.
    pub kind: String,
    /// What the other side recognises a repetition by.
    pub idempotency_key: String,
    /// Key of the entity it is about.
    pub subject: String,
    /// What is asked.
    pub request: Vec<u8>,
    /// Event time of its cause, milliseconds.
    pub caused_at: i64,
    /// When it was first written, milliseconds of wall clock: its key's lifetime counts from here.
    pub created_at: i64,
    /// When it is to be called, milliseconds of wall clock.
    pub due: i64,
    /// How often it was called.
    pub attempts: u32,
    /// How it stands.
    pub state: EffectState,
    /// `traceparent` of its cause.
    pub traceparent: Option<String>,
}

/// A call that brought no answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    /// The effect.
    pub effect: Uuid,
    /// How often it was called by now.
    pub attempts: u32,
    /// When it is due again, milliseconds of wall clock.
    pub due: i64,
    /// How it stands now.
    pub state: EffectState,
    /// What the last call said.
    pub error: String,
}

/// An armed timer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TimerRow {
    /// Identity of this arming.
    pub id: Uuid,
    /// The lane that decides when it fires.
    pub lane: Lane,
    /// What it is for.
    pub kind: String,
    /// Key of the entity it is about.
    pub subject: String,
    /// When it is due, milliseconds.
    pub due: i64,
}

/// Whether a unit whose commit gave no answer took place.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// It did.
    Happened,
    /// It did not; do it again.
    DidNot,
}

/// What is past its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    /// New horizon of the inbox, event time in milliseconds.
    pub inbox_horizon: i64,
    /// Published outbox rows written before this, milliseconds, may go.
    pub outbox_before: i64,
    /// At most so many rows of each kind at once.
    pub limit: u32,
}
