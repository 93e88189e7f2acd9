//! What a service is: pure decisions. Data in, data out; no clock, no randomness, no I/O (rule 3).
//!
//! A service author implements [`Handler`]. The runtime decodes, dedupes, loads rows, asks for decisions in order and
//! writes everything they say in one transaction.

use std::fmt;

use uuid::Uuid;

use crate::dependency::Dependency;
use crate::record::{Headers, Record};
use crate::rows::{Rows, Wanted};

pub use crate::decision::{Decision, Effect, Fact, Timer};

/// The decisions of one service. Every method is synchronous and a function of its arguments alone.
///
/// A panic in any of them refuses the one record it was about ([`Reason::Panic`]) and nothing else.
pub trait Handler: Send + Sync + 'static {
    /// What a record means to this service.
    type Event: Send + Sync;

    /// Reads a record. `Err` sends it to the dead letters with its bytes untouched.
    ///
    /// # Errors
    /// A [`Refusal`] for what cannot be read or is not allowed to be so.
    fn decode(&self, record: &Record<'_>) -> Result<Decoded<Self::Event>, Refusal>;

    /// Names the rows that deciding on this event needs, so that a batch loads them at once.
    ///
    /// Only a hint: a row that a decision reads and that was not named is loaded then, and the decision asked for again.
    fn rows(&self, event: &Self::Event, wanted: &mut Wanted<'_>);

    /// What follows from the event, given the rows as they are now.
    ///
    /// # Errors
    /// A [`Refusal`] parks the record as a dead letter and changes nothing else.
    fn decide(&self, cause: &Cause, event: &Self::Event, rows: &Rows) -> Result<Decision, Refusal>;

    /// As [`Handler::rows`], for an answer.
    fn answer_rows(&self, _answered: &Answered<'_>, _wanted: &mut Wanted<'_>) {}

    /// What follows from the answer to an [`Effect`] this service asked for.
    ///
    /// # Errors
    /// A [`Refusal`] stops the consumer: an answer has no dead-letter topic, and dropping it would lose what was done.
    fn answer(&self, _cause: &Cause, answered: &Answered<'_>, _rows: &Rows) -> Result<Decision, Refusal> {
        Err(Refusal::new(
            Reason::WrongType,
            format!("no decision for an answer of kind {}", answered.kind),
        ))
    }

    /// As [`Handler::rows`], for a timer.
    fn timer_rows(&self, _fired: &Fired<'_>, _wanted: &mut Wanted<'_>) {}

    /// What follows from a [`Timer`] that is due.
    ///
    /// # Errors
    /// A [`Refusal`] stops the consumer: a timer has no dead-letter topic, and dropping it would lose what waits on it.
    fn timer(&self, _cause: &Cause, fired: &Fired<'_>, _rows: &Rows) -> Result<Decision, Refusal> {
        Err(Refusal::new(
            Reason::WrongType,
            format!("no decision for a timer of kind {}", fired.kind),
        ))
    }
}

/// What a record turned out to be.
#[derive(Debug)]
pub enum Decoded<E> {
    /// An event to decide on.
    Event {
        /// Its identity: what makes a repetition a duplicate.
        id: Uuid,
        /// What it says.
        event: E,
    },
    /// Not for this service; counted as skipped.
    Skip,
    /// Nobody can tell yet: something is missing that comes from elsewhere. The lane stops before this record, has it
    /// fetched ([`Service::dependencies`](crate::Service::dependencies)) and asks again, for as long as it takes.
    Lacks(Dependency),
}

/// What a decision follows from. Everything a decision may know of time and identity is here.
#[derive(Debug, Clone)]
pub struct Cause {
    /// Identity of the event, of this one answer, or of this one arming of a timer.
    pub id: Uuid,
    /// Event time in milliseconds since 1970-01-01 UTC: the record's timestamp, the effect's or the timer's.
    pub time: i64,
    /// W3C `traceparent` of the record, if it bore a readable one.
    pub traceparent: Option<String>,
    /// W3C `traceparent` of where the trace began (`ce_traceparent`).
    pub origin_traceparent: Option<String>,
    pub(crate) group: std::sync::Arc<str>,
}

impl Cause {
    /// A cause outside the runtime: for tests of a handler.
    #[must_use]
    pub fn new(group: &str, id: Uuid, time: i64) -> Self {
        Self::bare(id, time, &group.into())
    }

    pub(crate) fn bare(id: Uuid, time: i64, group: &std::sync::Arc<str>) -> Self {
        Self {
            id,
            time,
            traceparent: None,
            origin_traceparent: None,
            group: std::sync::Arc::clone(group),
        }
    }

    /// The id of the `index`-th thing that follows from this cause: the same whenever it is computed again.
    #[must_use]
    pub fn derive(&self, index: u32) -> Uuid {
        derive_id(
            self.time,
            &[self.group.as_bytes(), self.id.as_bytes(), &index.to_be_bytes()],
        )
    }
}

/// A `UUIDv8` of the millisecond `time`, then a SHA-256 over the length-prefixed `parts`: ordered in time, the same whenever
/// it is computed again. A time before 1970 counts as 1970.
#[must_use]
pub fn derive_id(time: i64, parts: &[&[u8]]) -> Uuid {
    use sha2::{Digest, Sha256};
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    let mut bytes = [0; 16];
    bytes[..6].copy_from_slice(&time.max(0).to_be_bytes()[2..]);
    bytes[6..].copy_from_slice(&hash.finalize()[..10]);
    uuid::Builder::from_custom_bytes(bytes).into_uuid()
}

/// The answer of the outside to an effect.
#[derive(Debug, Clone, Copy)]
pub struct Answered<'a> {
    /// Id of the effect.
    pub effect: Uuid,
    /// Its kind, as the decision named it.
    pub kind: &'a str,
    /// Key of the entity it is about, as the decision named it.
    pub subject: &'a str,
    /// The request as the decision wrote it.
    pub request: &'a [u8],
    /// The answer as the caller returned it.
    pub answer: &'a [u8],
}

/// A timer that is due.
#[derive(Debug, Clone, Copy)]
pub struct Fired<'a> {
    /// Identity of this one arming.
    pub timer: Uuid,
    /// Its kind, as the decision named it.
    pub kind: &'a str,
    /// Key of the entity it is about, as the decision named it.
    pub subject: &'a str,
}

/// Why a record is a dead letter: a closed set, counted and shown by these names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[allow(
    missing_docs,
    reason = "the names are the documentation; each is explained where it is given"
)]
pub enum Reason {
    Empty,
    TooShort,
    BadMagic,
    UnknownSchema,
    Truncated,
    TrailingBytes,
    Limit,
    WrongType,
    NullKey,
    KeyMismatch,
    Tombstone,
    Oversized,
    InvalidOrder,
    OrderExists,
    Conflict,
    TooOld,
    Panic,
}

impl Reason {
    /// Every reason.
    pub const ALL: [Self; 17] = [
        Self::Empty,
        Self::TooShort,
        Self::BadMagic,
        Self::UnknownSchema,
        Self::Truncated,
        Self::TrailingBytes,
        Self::Limit,
        Self::WrongType,
        Self::NullKey,
        Self::KeyMismatch,
        Self::Tombstone,
        Self::Oversized,
        Self::InvalidOrder,
        Self::OrderExists,
        Self::Conflict,
        Self::TooOld,
        Self::Panic,
    ];

    /// The name in headers, counters and tables.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Empty => "empty",
            Self::TooShort => "too_short",
            Self::BadMagic => "bad_magic",
            Self::UnknownSchema => "unknown_schema",
            Self::Truncated => "truncated",
            Self::TrailingBytes => "trailing_bytes",
            Self::Limit => "limit",
            Self::WrongType => "wrong_type",
            Self::NullKey => "null_key",
            Self::KeyMismatch => "key_mismatch",
            Self::Tombstone => "tombstone",
            Self::Oversized => "oversized",
            Self::InvalidOrder => "invalid_order",
            Self::OrderExists => "order_exists",
            Self::Conflict => "conflict",
            Self::TooOld => "too_old",
            Self::Panic => "panic",
        }
    }

    /// The reason of that name.
    #[must_use]
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|reason| reason.as_str() == name)
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A record is not taken: it goes to the dead letters, and the lane goes on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// Why, from the closed set.
    pub reason: Reason,
    /// Why, in a sentence with the particulars.
    pub detail: String,
    /// The event's id where it could still be read.
    pub event_id: Option<Uuid>,
}

impl Refusal {
    /// A refusal of a record whose id is not known.
    #[must_use]
    pub fn new(reason: Reason, detail: impl Into<String>) -> Self {
        Self {
            reason,
            detail: detail.into(),
            event_id: None,
        }
    }

    /// The same, with the id that could be read.
    #[must_use]
    pub fn of(mut self, event_id: Uuid) -> Self {
        self.event_id = Some(event_id);
        self
    }
}

impl Fact {
    /// A fact with no headers yet.
    #[must_use]
    pub fn new(id: Uuid, topic: std::sync::Arc<str>, key: impl Into<Vec<u8>>, value: Vec<u8>) -> Self {
        Self {
            id,
            topic,
            key: key.into(),
            headers: Headers::new(),
            value,
        }
    }
}
