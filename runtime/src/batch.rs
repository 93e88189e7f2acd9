//! What a lane takes up at once: records, answers, timers. Decoded before the transaction, decided inside it.

use std::collections::BTreeMap;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::Arc;

use sha2::{Digest, Sha256};
use uuid::Uuid;

use crate::dependency::Dependency;
use crate::handler::{Cause, Decoded, Handler, Reason, Refusal};
use crate::letters::{self, FirstOrigin};
use crate::observer::Observer;
use crate::partitioner::partition_of;
use crate::record::{Fetched, NextOffset, Origin, Record, UNREADABLE_HEADERS};
use crate::store::{Answer, Arrival, Attempt, EffectRow, Lane, TimerRow};
use crate::topology::Topology;

/// Everything one unit of work is about.
#[derive(Debug)]
pub(crate) struct Batch<E> {
    pub(crate) records: Vec<Arrived<E>>,
    /// Where each source stands after the batch; more than its records where a partition ends in control records.
    pub(crate) positions: BTreeMap<u16, NextOffset>,
    pub(crate) answers: Vec<(EffectRow, Answer)>,
    pub(crate) attempts: Vec<Attempt>,
    pub(crate) timers: Vec<TimerRow>,
}

/// A record and what it turned out to be.
#[derive(Debug)]
pub(crate) struct Arrived<E> {
    pub(crate) record: Fetched,
    pub(crate) meaning: Meaning<E>,
}

#[derive(Debug)]
pub(crate) enum Meaning<E> {
    Event(Arrival, Cause, E),
    Refused(Arrival, Refusal),
    Skip,
}

impl<E> Default for Batch<E> {
    fn default() -> Self {
        Self {
            records: Vec::new(),
            positions: BTreeMap::new(),
            answers: Vec::new(),
            attempts: Vec::new(),
            timers: Vec::new(),
        }
    }
}

impl<E> Batch<E> {
    /// Whether there is nothing to do but record how far publishing has come.
    pub(crate) fn is_empty(&self) -> bool {
        self.records.is_empty()
            && self.positions.is_empty()
            && self.answers.is_empty()
            && self.attempts.is_empty()
            && self.timers.is_empty()
    }

    pub(crate) fn push(&mut self, arrived: Arrived<E>) {
        self.positions
            .insert(arrived.record.source, NextOffset::after(arrived.record.offset));
        self.records.push(arrived);
    }

    /// What asks to be let in, in order; skipped records do not.
    pub(crate) fn arrivals(&self) -> Vec<Arrival> {
        self.records
            .iter()
            .filter_map(|arrived| arrived.meaning.arrival())
            .collect()
    }

    /// Two batches that together are this one, the first to be handled first; the batch itself where only one thing is left.
    pub(crate) fn halve(mut self) -> Result<(Self, Self), Self> {
        let mut first = Self::default();
        if self.records.len() > 1 {
            for arrived in self.records.drain(..self.records.len() / 2) {
                first.push(arrived);
            }
        } else if self.answers.len() > 1 {
            first.answers = self.answers.drain(..self.answers.len() / 2).collect();
        } else if self.timers.len() > 1 {
            first.timers = self.timers.drain(..self.timers.len() / 2).collect();
        } else if !self.records.is_empty() && (self.answers.len() + self.timers.len() + self.attempts.len()) > 0 {
            first.answers = std::mem::take(&mut self.answers);
            first.timers = std::mem::take(&mut self.timers);
            first.attempts = std::mem::take(&mut self.attempts);
        } else if !self.answers.is_empty() && !self.timers.is_empty() {
            first.answers = std::mem::take(&mut self.answers);
        } else {
            return Err(self);
        }
        Ok((first, self))
    }

    /// The one record of this batch becomes a dead letter: the database will not have what was decided on it.
    pub(crate) fn refuse(&mut self, why: &str) -> bool {
        let Some(arrived) = self.records.first_mut() else {
            return false;
        };
        // The letter itself is refused: nothing smaller can be tried.
        let Meaning::Event(arrival, ..) = &arrived.meaning else {
            return false;
        };
        let arrival = *arrival;
        let refusal = Refusal::new(Reason::Limit, format!("the database refuses it: {why}"));
        arrived.meaning = Meaning::Refused(arrival, refusal);
        true
    }
}

impl<E> Meaning<E> {
    pub(crate) fn arrival(&self) -> Option<Arrival> {
        match self {
            Self::Event(arrival, ..) | Self::Refused(arrival, _) => Some(*arrival),
            Self::Skip => None,
        }
    }
}

/// Reads records of one lane for a handler.
pub(crate) struct Reading<'a, H> {
    pub(crate) handler: &'a H,
    pub(crate) topology: &'a Topology,
    pub(crate) observer: &'a dyn Observer,
    pub(crate) lane: Lane,
    /// Largest value taken, bytes.
    pub(crate) limit: usize,
}

impl<H: Handler> Reading<'_, H> {
    /// What the record means; nothing that it can hold fails this. Where nobody can tell yet, it is given back with what is
    /// missing.
    pub(crate) fn read(&self, fetched: Fetched) -> Result<Arrived<H::Event>, (Fetched, Dependency)> {
        let record = view(&fetched, self.topology, self.lane);
        match self.meaning(&record) {
            Ok(meaning) => {
                self.check_partition(&record);
                Ok(Arrived {
                    record: fetched,
                    meaning,
                })
            }
            Err(missing) => Err((fetched, missing)),
        }
    }

    fn meaning(&self, record: &Record<'_>) -> Result<Meaning<H::Event>, Dependency> {
        Ok(match self.decode(record) {
            Ok(Decoded::Skip) => Meaning::Skip,
            Ok(Decoded::Event { id, event }) => {
                let cause = cause(record, id, &self.topology.group);
                Meaning::Event(arrival(record, id), cause, event)
            }
            Ok(Decoded::Lacks(missing)) => return Err(missing),
            Err(refusal) => {
                let id = refusal.event_id.unwrap_or_else(|| FirstOrigin::of(record).id());
                Meaning::Refused(arrival(record, id), refusal)
            }
        })
    }

    fn decode(&self, record: &Record<'_>) -> Result<Decoded<H::Event>, Refusal> {
        let bytes = record.value.map_or(0, <[u8]>::len);
        if bytes > self.limit {
            return Err(letters::oversized(bytes, self.limit));
        }
        // The marker stands before all others.
        let first = record.headers.raw().next();
        if first.is_some_and(|(name, _)| name == UNREADABLE_HEADERS.as_bytes()) {
            return Err(Refusal::new(
                Reason::Limit,
                "a header's name is not UTF-8; such headers are left out here",
            ));
        }
        guarded(|| self.handler.decode(record))
    }

    /// A client with another partitioner breaks nothing here, and its user wants to know.
    fn check_partition(&self, record: &Record<'_>) {
        let Some(key) = record.key.filter(|_| !record.redriven) else {
            return;
        };
        let expected = partition_of(key, self.topology.lanes());
        if expected != record.origin.partition {
            self.observer.misplaced(record.origin, expected);
        }
    }
}

/// The record as a handler sees it.
pub(crate) fn view<'a>(fetched: &'a Fetched, topology: &'a Topology, lane: Lane) -> Record<'a> {
    let source = topology.source(fetched.source);
    Record {
        origin: Origin {
            topic: &source.topic,
            partition: lane,
            offset: fetched.offset,
        },
        source: &source.reads_as,
        redriven: source.redrive,
        timestamp: fetched.timestamp,
        key: fetched.key(),
        value: fetched.value(),
        headers: fetched.headers(),
    }
}

fn arrival(record: &Record<'_>, id: Uuid) -> Arrival {
    Arrival {
        id,
        hash: hash(record.value),
        event_time: record.timestamp,
        redriven: record.redriven.then(|| FirstOrigin::of(record).id()),
    }
}

/// The event as what something follows from. Made here, where lanes do not wait for one another.
fn cause(record: &Record<'_>, id: Uuid, group: &Arc<str>) -> Cause {
    let mut cause = Cause::bare(id, record.timestamp, group);
    for (name, value) in record.headers.raw() {
        let to = match name {
            b"traceparent" => &mut cause.traceparent,
            b"ce_traceparent" => &mut cause.origin_traceparent,
            _ => continue,
        };
        *to = value
            .and_then(|value| std::str::from_utf8(value).ok())
            .map(str::to_owned);
    }
    cause
}

/// Of the bytes as received, not of what they mean: a newer reader must not see conflicts (rule 2).
fn hash(value: Option<&[u8]>) -> [u8; 16] {
    let digest = Sha256::digest(value.unwrap_or_default());
    let mut hash = [0; 16];
    hash.copy_from_slice(&digest[..16]);
    hash
}

/// Runs a service's own code: its panic refuses the one record it was about.
pub(crate) fn guarded<T>(run: impl FnOnce() -> Result<T, Refusal>) -> Result<T, Refusal> {
    catch_unwind(AssertUnwindSafe(run)).unwrap_or_else(|panic| {
        let said = panic.downcast_ref::<&str>().copied().map(str::to_owned);
        let said = said.or_else(|| panic.downcast_ref::<String>().cloned());
        Err(Refusal::new(
            Reason::Panic,
            said.unwrap_or_else(|| "a panic without words".to_owned()),
        ))
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::store::EffectState;

    fn skipped(source: u16, offset: i64) -> Arrived<()> {
        Arrived {
            record: Fetched::new((source, offset, 0), None, None, std::iter::empty()),
            meaning: Meaning::Skip,
        }
    }

    fn answer(n: u128) -> (EffectRow, Answer) {
        let effect = EffectRow {
            id: Uuid::from_u128(n),
            lane: 0,
            kind: "charge".to_owned(),
            idempotency_key: String::new(),
            subject: String::new(),
            request: Vec::new(),
            caused_at: 0,
            created_at: 0,
            due: 0,
            attempts: 1,
            state: EffectState::Pending,
            traceparent: None,
        };
        let answer = Answer {
            effect: effect.id,
            answer: Vec::new(),
        };
        (effect, answer)
    }

    fn timer(n: u128) -> TimerRow {
        TimerRow {
            id: Uuid::from_u128(n),
            lane: 0,
            kind: "deadline".to_owned(),
            subject: String::new(),
            due: 0,
        }
    }

    fn attempt(n: u128) -> Attempt {
        Attempt {
            effect: Uuid::from_u128(n),
            attempts: 1,
            due: 0,
            state: EffectState::Pending,
            error: String::new(),
        }
    }

    fn records(batch: &Batch<()>) -> Vec<(u16, i64)> {
        let place = |arrived: &Arrived<()>| (arrived.record.source, arrived.record.offset);
        batch.records.iter().map(place).collect()
    }

    /// Halved until nothing more can be: the pieces in the order in which they are handled.
    fn pieces(batch: Batch<()>) -> Vec<Batch<()>> {
        match batch.halve() {
            Ok((first, second)) => [first, second].into_iter().flat_map(pieces).collect(),
            Err(single) => vec![single],
        }
    }

    #[test]
    fn halves_keep_the_order_and_each_moves_the_position_of_what_it_holds() {
        let mut batch = Batch::default();
        for (source, offset) in [(0, 10), (1, 7), (0, 11), (1, 9), (0, 12)] {
            batch.push(skipped(source, offset));
        }
        // Control records behind the last one: nothing but the position says that they are there.
        batch.positions.insert(1, NextOffset::at(15));
        let (first, second) = batch.halve().expect("five records");
        assert_eq!(records(&first), [(0, 10), (1, 7)]);
        let at = |next: [i64; 2]| BTreeMap::from([(0, NextOffset::at(next[0])), (1, NextOffset::at(next[1]))]);
        assert_eq!(first.positions, at([11, 8]));
        assert_eq!(records(&second), [(0, 11), (1, 9), (0, 12)]);
        assert_eq!(second.positions, at([13, 15]));
    }

    #[test]
    fn a_batch_comes_down_to_single_things_and_none_is_lost_or_twice() {
        let mut batch = Batch::default();
        for offset in 0..5 {
            batch.push(skipped(0, offset));
        }
        batch.answers = (0..3).map(answer).collect();
        batch.attempts = vec![attempt(9), attempt(10)];
        batch.timers = (20..22).map(timer).collect();
        let pieces = pieces(batch);
        for piece in &pieces {
            let things = piece.records.len() + piece.answers.len() + piece.timers.len();
            assert_eq!(things, 1, "{piece:?}");
        }
        assert_eq!(
            pieces.iter().flat_map(records).collect::<Vec<_>>(),
            (0..5).map(|offset| (0, offset)).collect::<Vec<_>>()
        );
        let answers = pieces.iter().flat_map(|piece| &piece.answers);
        assert!(answers.eq(&(0..3).map(answer).collect::<Vec<_>>()));
        let timers = pieces.iter().flat_map(|piece| &piece.timers);
        assert!(timers.eq(&(20..22).map(timer).collect::<Vec<_>>()));
        let attempts = pieces.iter().flat_map(|piece| &piece.attempts);
        assert!(attempts.eq(&[attempt(9), attempt(10)]));
        let last = pieces.last().expect("a piece");
        assert_eq!((records(last), last.attempts.len()), (vec![(0, 4)], 0));
    }

    #[test]
    fn a_single_event_is_refused_and_what_is_refused_already_is_not_again() {
        let arrival = Arrival {
            id: Uuid::from_u128(1),
            hash: [0; 16],
            event_time: 0,
            redriven: None,
        };
        let mut batch = Batch::default();
        assert!(!batch.refuse("no room"), "there is no record");
        batch.push(skipped(0, 3));
        assert!(!batch.refuse("no room"), "nothing was decided on it");
        let cause = Cause::new("echo", arrival.id, 0);
        batch.records[0].meaning = Meaning::Event(arrival, cause, ());
        assert!(batch.refuse("no room"));
        let Meaning::Refused(of, refusal) = &batch.records[0].meaning else {
            panic!("{:?}", batch.records);
        };
        assert_eq!((*of, refusal.reason), (arrival, Reason::Limit));
        assert_eq!(refusal.detail, "the database refuses it: no room");
        assert!(!batch.refuse("no room"), "it would be refused for ever");
    }
}
