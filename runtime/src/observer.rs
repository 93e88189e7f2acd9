//! The one hook for logs, counters, metrics and traces.

use std::sync::Arc;

use crate::handler::Reason;
use crate::record::Origin;
use crate::store::{Counts, Lane, Sequence};

/// Hears what the runtime does. Methods are called on the lanes' own threads: they return at once.
///
/// Every method does nothing by default, so an observer says only what it cares for.
pub trait Observer: Send + Sync + 'static {
    /// The group gave these lanes, and they are claimed.
    fn assigned(&self, _lanes: &[Lane]) {}

    /// The group takes these lanes away; `lost` without asking first.
    fn revoked(&self, _lanes: &[Lane], _lost: bool) {}

    /// A unit of work is durable.
    fn applied(&self, _unit: &Applied<'_>) {}

    /// A record is a dead letter.
    fn refused(&self, _origin: Origin<'_>, _reason: Reason, _detail: &str) {}

    /// A record stands on another partition than its key gives.
    fn misplaced(&self, _origin: Origin<'_>, _expected: i32) {}

    /// A lane was found to be another owner's.
    fn fenced(&self, _lane: Lane) {}

    /// Facts of a lane up to `sequence` are acknowledged.
    fn published(&self, _lane: Lane, _sequence: Sequence) {}

    /// The producer's client was rebuilt; unacknowledged facts go out again under the ids they had.
    fn republishing(&self, _why: &str) {}

    /// A call to the outside ended: `answered`, `retry` or `unknown`.
    fn called(&self, _kind: &str, _outcome: &'static str) {}

    /// Something is not as it should be and is being tried again.
    fn trouble(&self, _what: &str) {}
}

/// What a durable unit of work did.
#[derive(Debug, Clone, Copy)]
pub struct Applied<'a> {
    /// The lane.
    pub lane: Lane,
    /// Topic and what became of its records.
    pub counts: &'a [(Arc<str>, Counts)],
    /// Facts and dead letters written.
    pub facts: usize,
    /// From begin to durable, microseconds.
    pub micros: u64,
}

/// Logs what a person wants to know of, through `tracing`.
#[derive(Debug, Clone, Copy, Default)]
pub struct Logging;

impl Observer for Logging {
    fn assigned(&self, lanes: &[Lane]) {
        tracing::info!(lanes = ?lanes, "assigned");
    }

    fn revoked(&self, lanes: &[Lane], lost: bool) {
        tracing::info!(lanes = ?lanes, lost, "revoked");
    }

    fn applied(&self, unit: &Applied<'_>) {
        tracing::debug!(lane = unit.lane, facts = unit.facts, micros = unit.micros, "applied");
    }

    fn refused(&self, origin: Origin<'_>, reason: Reason, detail: &str) {
        if reason == Reason::Conflict {
            tracing::error!(%origin, %reason, detail, "dead letter: the same event id with other bytes");
        } else {
            tracing::warn!(%origin, %reason, detail, "dead letter");
        }
    }

    fn misplaced(&self, origin: Origin<'_>, expected: i32) {
        tracing::warn!(%origin, expected, "record on another partition than its key gives; check the client's partitioner");
    }

    fn fenced(&self, lane: Lane) {
        tracing::warn!(lane, "fenced");
    }

    fn published(&self, lane: Lane, sequence: Sequence) {
        tracing::trace!(lane, sequence, "published");
    }

    fn republishing(&self, why: &str) {
        tracing::warn!(why, "publishing again from the first unacknowledged fact of every lane");
    }

    fn called(&self, kind: &str, outcome: &'static str) {
        tracing::debug!(kind, outcome, "called");
    }

    fn trouble(&self, what: &str) {
        tracing::warn!(what, "trying again");
    }
}
