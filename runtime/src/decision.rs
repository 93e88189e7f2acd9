//! What a decision says: changed rows, facts, effects and timers, as data.

use std::sync::Arc;

use compact_str::CompactString;
use serde::Serialize;
use serde::de::DeserializeOwned;
use uuid::Uuid;

use crate::record::Headers;
use crate::rows::{Change, Entity};

/// What follows from a cause. Empty is a decision too: nothing follows.
#[derive(Debug, Default)]
pub struct Decision {
    pub(crate) changes: Vec<Change>,
    pub(crate) facts: Vec<Fact>,
    pub(crate) effects: Vec<Effect>,
    pub(crate) timers: Vec<Timer>,
    pub(crate) repeated: bool,
}

impl Decision {
    /// The event says nothing that was not known, though it bears another id: counted as a duplicate.
    #[must_use]
    pub fn repeat() -> Self {
        Self {
            repeated: true,
            ..Self::default()
        }
    }

    /// Whether it is a repetition: for tests of a handler.
    #[must_use]
    pub fn is_repeat(&self) -> bool {
        self.repeated
    }

    /// Nothing follows, yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The row becomes `value`; the next decision of the batch sees it so.
    pub fn put<T>(&mut self, entity: Entity<T>, key: impl Into<CompactString>, value: T) -> &mut Self
    where
        T: Serialize + DeserializeOwned + Send + 'static,
    {
        self.changes.push(Change::put(entity, key.into(), value));
        self
    }

    /// A fact is published, after the facts already named and after every earlier one of this lane.
    pub fn emit(&mut self, fact: Fact) -> &mut Self {
        self.facts.push(fact);
        self
    }

    /// A call to the outside is to be made, once this is durable.
    pub fn ask(&mut self, effect: Effect) -> &mut Self {
        self.effects.push(effect);
        self
    }

    /// A timer is armed.
    pub fn arm(&mut self, timer: Timer) -> &mut Self {
        self.timers.push(timer);
        self
    }

    /// The facts it says, in order: for tests of a handler.
    #[must_use]
    pub fn facts(&self) -> &[Fact] {
        &self.facts
    }

    /// The effects it asks for: for tests of a handler.
    #[must_use]
    pub fn effects(&self) -> &[Effect] {
        &self.effects
    }

    /// The value it puts into a row: for tests of a handler.
    #[must_use]
    pub fn row<T: 'static>(&self, entity: Entity<T>, key: &str) -> Option<&T> {
        self.changes
            .iter()
            .rev()
            .find(|change| change.is(entity.rank(), key))
            .and_then(Change::value)
    }
}

/// An event this service publishes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fact {
    /// Its identity, [`crate::Cause::derive`]d: unique in the group's outbox.
    pub id: Uuid,
    /// Where it goes. The partition is computed from the key and the recorded partition count.
    pub topic: Arc<str>,
    /// The record's key.
    pub key: Vec<u8>,
    /// The record's headers; the runtime adds `orderflow-group`, `orderflow-lane` and `orderflow-seq`.
    pub headers: Headers,
    /// The record's value.
    pub value: Vec<u8>,
}

/// A call to the outside: made at least once, always under the same key, its answer applied once (rule 10).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Effect {
    /// Its identity, [`crate::Cause::derive`]d.
    pub id: Uuid,
    /// Which caller makes it.
    pub kind: &'static str,
    /// What the other side recognises a repetition by; it never changes.
    pub idempotency_key: String,
    /// Key of the entity it is about; comes back with the answer.
    pub subject: String,
    /// What is asked; bytes that the caller understands.
    pub request: Vec<u8>,
}

/// Something to come back to at a time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Timer {
    /// Identity of this arming, [`crate::Cause::derive`]d; arming again is another.
    pub id: Uuid,
    /// What it is for.
    pub kind: &'static str,
    /// Key of the entity it is about.
    pub subject: String,
    /// When it is due, in milliseconds since 1970-01-01 UTC.
    pub due: i64,
}
