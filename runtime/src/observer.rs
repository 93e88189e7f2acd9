//! The one hook for logs, counters, metrics and traces.

use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use crate::dependency::Dependency;
use crate::handler::Reason;
use crate::record::Origin;
use crate::store::{Counts, Lane, Sequence};

/// Hears what the runtime does. Methods are called on threads that lanes share: they return at once.
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

    /// A lane stops before a record that cannot be read without something that could not be fetched; it is being tried
    /// again.
    fn waiting(&self, _lane: Lane, _what: Dependency, _why: &str) {}

    /// What a lane waited for is there, and it goes on.
    fn resumed(&self, _lane: Lane, _what: Dependency, _waited: Duration) {}

    /// Something is not as it should be and is being tried again, by a lane where one is concerned. The lanes of a member say
    /// the same each for itself, and say it at each try.
    fn trouble(&self, _lane: Option<Lane>, _what: &str) {}

    /// Every second: the lanes this member holds, each with whether records wait for it, here or at the brokers; and
    /// whether there is a connection to any broker. Said by the consumer's thread, whose silence is a sign as well.
    fn standing(&self, _waiting: &BTreeMap<Lane, bool>, _connected: bool) {}

    /// The service has ended.
    fn ended(&self) {}
}

/// Both hear everything, the first first.
///
/// A method that this forgot would be silent in both, so the lint holds it to the whole trait.
#[deny(clippy::missing_trait_methods)]
impl<A: Observer, B: Observer> Observer for (A, B) {
    fn assigned(&self, lanes: &[Lane]) {
        self.0.assigned(lanes);
        self.1.assigned(lanes);
    }

    fn revoked(&self, lanes: &[Lane], lost: bool) {
        self.0.revoked(lanes, lost);
        self.1.revoked(lanes, lost);
    }

    fn applied(&self, unit: &Applied<'_>) {
        self.0.applied(unit);
        self.1.applied(unit);
    }

    fn refused(&self, origin: Origin<'_>, reason: Reason, detail: &str) {
        self.0.refused(origin, reason, detail);
        self.1.refused(origin, reason, detail);
    }

    fn misplaced(&self, origin: Origin<'_>, expected: i32) {
        self.0.misplaced(origin, expected);
        self.1.misplaced(origin, expected);
    }

    fn fenced(&self, lane: Lane) {
        self.0.fenced(lane);
        self.1.fenced(lane);
    }

    fn published(&self, lane: Lane, sequence: Sequence) {
        self.0.published(lane, sequence);
        self.1.published(lane, sequence);
    }

    fn republishing(&self, why: &str) {
        self.0.republishing(why);
        self.1.republishing(why);
    }

    fn called(&self, kind: &str, outcome: &'static str) {
        self.0.called(kind, outcome);
        self.1.called(kind, outcome);
    }

    fn waiting(&self, lane: Lane, what: Dependency, why: &str) {
        self.0.waiting(lane, what, why);
        self.1.waiting(lane, what, why);
    }

    fn resumed(&self, lane: Lane, what: Dependency, waited: Duration) {
        self.0.resumed(lane, what, waited);
        self.1.resumed(lane, what, waited);
    }

    fn trouble(&self, lane: Option<Lane>, what: &str) {
        self.0.trouble(lane, what);
        self.1.trouble(lane, what);
    }

    fn standing(&self, waiting: &BTreeMap<Lane, bool>, connected: bool) {
        self.0.standing(waiting, connected);
        self.1.standing(waiting, connected);
    }

    fn ended(&self) {
        self.0.ended();
        self.1.ended();
    }
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

/// Logs what a person wants to know of, through `tracing`, and counts the rest until the end.
#[derive(Debug, Default)]
pub struct Logging {
    totals: Mutex<Totals>,
    letters: Budget,
    said_misplaced: Said,
    said_waiting: Said,
    said_trouble: Said,
}

/// How often the same is said, over all lanes: what concerns them all would fill the log.
const SAY_EVERY: Duration = Duration::from_secs(10);

/// What was said lately, and when.
#[derive(Debug, Default)]
struct Said(Mutex<HashMap<String, Instant>>);

impl Said {
    /// Whether it is to be said now: for the first time, or after a while.
    fn is_due(&self, what: &str) -> bool {
        let mut lately = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        lately.retain(|_, at| at.elapsed() < SAY_EVERY);
        let due = !lately.contains_key(what);
        if due {
            lately.insert(what.to_owned(), Instant::now());
        }
        due
    }
}

/// Dead letters that have a line each, in as long as [`SAY_EVERY`]. Below the limits of floods there may be thousands a second.
const LETTERS_SAID: u32 = 100;

/// So many lines for a while, and the others counted.
#[derive(Debug, Default)]
struct Budget(Mutex<Spent>);

#[derive(Debug, Default)]
struct Spent {
    since: Option<Instant>,
    said: u32,
    kept_back: u64,
}

impl Budget {
    /// Whether a line is left, and how many had none since this was true last.
    fn spend(&self) -> Option<u64> {
        let mut spent = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if spent.since.is_none_or(|since| since.elapsed() >= SAY_EVERY) {
            (spent.since, spent.said) = (Some(Instant::now()), 0);
        }
        if spent.said == LETTERS_SAID {
            spent.kept_back += 1;
            return None;
        }
        spent.said += 1;
        Some(std::mem::take(&mut spent.kept_back))
    }
}

/// What a service did since it was started.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Totals {
    /// Units of work made durable.
    pub units: u64,
    /// What became of the records in them.
    pub records: Counts,
    /// Of those read, the ones on another partition than their key gives; one that is read again counts again.
    pub misplaced: u64,
    /// Facts and dead letters written.
    pub facts: u64,
    /// Calls to the outside that ended, answered or not.
    pub calls: u64,
    /// Times that something was tried again.
    pub troubles: u64,
}

impl Logging {
    /// What was counted so far.
    #[must_use]
    pub fn totals(&self) -> Totals {
        *self.counted()
    }

    fn counted(&self) -> MutexGuard<'_, Totals> {
        self.totals.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Observer for Logging {
    fn assigned(&self, lanes: &[Lane]) {
        tracing::info!(lanes = ?lanes, "assigned");
    }

    fn revoked(&self, lanes: &[Lane], lost: bool) {
        tracing::info!(lanes = ?lanes, lost, "revoked");
    }

    fn applied(&self, unit: &Applied<'_>) {
        let mut totals = self.counted();
        totals.units += 1;
        totals.facts += unit.facts as u64;
        unit.counts.iter().for_each(|(_, counts)| totals.records += *counts);
        drop(totals);
        tracing::debug!(lane = unit.lane, facts = unit.facts, micros = unit.micros, "applied");
    }

    fn refused(&self, origin: Origin<'_>, reason: Reason, detail: &str) {
        if reason == Reason::Conflict {
            return tracing::error!(%origin, %reason, detail, "dead letter: the same event id with other bytes");
        }
        match self.letters.spend() {
            Some(0) => tracing::warn!(%origin, %reason, detail, "dead letter"),
            Some(unsaid) => tracing::warn!(%origin, %reason, detail, unsaid, "dead letter, and more before it"),
            None => {}
        }
    }

    fn misplaced(&self, origin: Origin<'_>, expected: i32) {
        self.counted().misplaced += 1;
        // One client with another partitioner misplaces most of what it writes.
        if self.said_misplaced.is_due(origin.topic) {
            tracing::warn!(
                %origin, expected, "record on another partition than its key gives; check the client's partitioner"
            );
        }
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
        self.counted().calls += 1;
        tracing::debug!(kind, outcome, "called");
    }

    fn waiting(&self, lane: Lane, what: Dependency, why: &str) {
        self.counted().troubles += 1;
        if self.said_waiting.is_due(&what.to_string()) {
            tracing::warn!(lane, %what, why, "waiting: the next record cannot be read without it");
        }
    }

    fn resumed(&self, lane: Lane, what: Dependency, waited: Duration) {
        tracing::info!(lane, %what, seconds = waited.as_secs(), "going on");
    }

    fn trouble(&self, lane: Option<Lane>, what: &str) {
        self.counted().troubles += 1;
        if self.said_trouble.is_due(what) {
            tracing::warn!(lane, what, "trying again");
        }
    }

    fn ended(&self) {
        let Totals {
            units,
            records,
            misplaced,
            facts,
            calls,
            troubles,
        } = self.totals();
        let Counts {
            applied,
            duplicate,
            dead,
            skipped,
        } = records;
        tracing::info!(
            applied, duplicate, dead, skipped, misplaced, facts, units, calls, troubles, "ended"
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_many_lanes_say_is_said_once_in_a_while() {
        let said = Said::default();
        assert_eq!([said.is_due("away"), said.is_due("away")], [true, false]);
        // Two that take turns do not make each other new.
        assert_eq!(
            [said.is_due("full"), said.is_due("away"), said.is_due("full")],
            [true, false, false]
        );
        for at in said.0.lock().expect("nobody panicked").values_mut() {
            *at = at.checked_sub(SAY_EVERY).expect("a clock that has run for a while");
        }
        assert_eq!([said.is_due("away"), said.is_due("away")], [true, false]);
        assert_eq!(
            said.0.lock().expect("nobody panicked").len(),
            1,
            "what is old is forgotten"
        );
        let logging = Logging::default();
        (0..3).for_each(|lane| logging.trouble(Some(lane), "away"));
        assert_eq!(logging.totals().troubles, 3, "said or not, it is counted");
    }

    #[test]
    fn of_many_dead_letters_some_have_a_line_and_the_others_are_counted() {
        let budget = Budget::default();
        let lines = (0..LETTERS_SAID + 7).filter(|_| budget.spend() == Some(0)).count();
        assert_eq!(lines, LETTERS_SAID as usize);
        let mut spent = budget.0.lock().expect("nobody panicked");
        spent.since = spent.since.and_then(|since| since.checked_sub(SAY_EVERY));
        drop(spent);
        assert_eq!([budget.spend(), budget.spend()], [Some(7), Some(0)]);
    }

    #[test]
    fn units_are_counted_over_all_topics() {
        let logging = Logging::default();
        let counts = |applied, dead| Counts {
            applied,
            dead,
            ..Counts::default()
        };
        let of_topics = [("orders".into(), counts(3, 1)), ("stock".into(), counts(2, 0))];
        let unit = Applied {
            lane: 0,
            counts: &of_topics,
            facts: 4,
            micros: 10,
        };
        logging.applied(&unit);
        logging.applied(&unit);
        let totals = logging.totals();
        assert_eq!((totals.units, totals.facts, totals.records), (2, 8, counts(10, 2)));
    }
}
