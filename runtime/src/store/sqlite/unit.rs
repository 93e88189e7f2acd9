//! A unit of work: its part of the open transaction, beside those of others.

use std::sync::Arc;

use rusqlite::Connection;
use uuid::Uuid;

use super::failure::Failure;
use super::held;
use super::tables::{effects, inbox, lanes, outbox, progress, timers};
use super::{Shared, now};
use crate::crash_point;
use crate::rows::{RowKey, StoredRow};
use crate::store::group::{Baton, Durable, Group, Seat, answer_of};
use crate::store::{Admission, Answer, Arrival, Lane, Move, Sequence, StoreError, Turn, Unit, Writes};

/// A transaction on one lane of a SQLite database.
///
/// While it lives it has one of the few seats of that database, and from its loading to its writing it is alone with the
/// rows: a task that holds one and waits for another may wait for itself.
#[derive(Debug)]
pub struct SqliteUnit {
    place: Option<Place>,
    baton: Option<Baton>,
    lane: Lane,
    next_sequence: Sequence,
    inbox_horizon: i64,
    now: i64,
    /// Whether the transaction holds something of it.
    touched: bool,
    /// The first error: the unit is over with it.
    failed: Option<StoreError>,
}

/// Where a unit is under way. Given up in this order: the store may end with its last unit, and whoever ends the group
/// then needs the room.
#[derive(Debug)]
struct Place {
    group: Arc<Group>,
    _seat: Seat,
    shared: Arc<Shared>,
}

impl SqliteUnit {
    pub(super) async fn begin(shared: &Arc<Shared>, at: Turn, published: Sequence) -> Result<Self, StoreError> {
        let seat = Arc::clone(&shared.room).read_owned().await;
        let mut writer = shared.writer.lock().await;
        let group = writer.open_group()?;
        let mut unit = Self {
            place: Some(Place {
                group: Arc::clone(&group),
                _seat: seat,
                shared: Arc::clone(shared),
            }),
            baton: None,
            lane: at.owner.lane,
            next_sequence: 0,
            inbox_horizon: 0,
            now: now(),
            touched: false,
            failed: None,
        };
        let begun = writer.run_in((&group, &mut unit.touched), |connection| {
            lanes::begin(connection, at, published)
        })?;
        (unit.next_sequence, unit.inbox_horizon) = (begun.next_sequence, begun.inbox_horizon);
        crash_point!("tx.begin");
        Ok(unit)
    }

    /// Runs statements unless an earlier one failed.
    pub(super) async fn run<T>(
        &mut self,
        work: impl FnOnce(&Connection) -> Result<T, Failure>,
    ) -> Result<T, StoreError> {
        let place = place(self.place.as_ref(), self.failed.as_ref())?;
        let mut writer = place.shared.writer.lock().await;
        let done = writer.run_in((&place.group, &mut self.touched), work);
        self.failed = done.as_ref().err().cloned();
        done
    }

    /// Loads the rows that are not held; what is not there is not held afterwards either.
    async fn fetch(&mut self, keys: impl Iterator<Item = &RowKey>) -> Result<(), StoreError> {
        let missing = self.group()?.missing(keys);
        if missing.is_empty() {
            return Ok(());
        }
        let found = self.run(|connection| held::load(connection, &missing)).await?;
        let mut held = self.group()?.held();
        for (key, version, body) in found {
            held.hold(key, version, body);
        }
        Ok(())
    }

    /// Waits until the one before has handed on what he decided.
    async fn take_baton(&mut self) -> Result<(), StoreError> {
        if self.baton.is_none() {
            self.baton = Some(self.group()?.baton().await?);
        }
        Ok(())
    }

    /// Hands on what was decided of the rows: the next unit decides while the statements of this one run.
    async fn hand_on(&mut self, rows: &[StoredRow]) -> Result<(), StoreError> {
        self.take_baton().await?;
        let known = rows.iter().filter(|row| row.version > 0);
        self.fetch(known.map(|row| &row.key)).await?;
        let taken = self.group()?.held().take_over(rows);
        self.failed = taken.as_ref().err().cloned();
        taken?;
        self.baton = None;
        Ok(())
    }

    fn group(&self) -> Result<&Group, StoreError> {
        Ok(&place(self.place.as_ref(), self.failed.as_ref())?.group)
    }

    fn release(&mut self) -> Result<Durable, StoreError> {
        let place = place(self.place.as_ref(), self.failed.as_ref())?;
        let (durable, first) = place.group.whole()?;
        if first {
            place.shared.committer.wake();
        }
        self.place = None;
        Ok(durable)
    }
}

/// Where the unit is under way, unless an earlier statement failed.
fn place<'a>(place: Option<&'a Place>, failed: Option<&StoreError>) -> Result<&'a Place, StoreError> {
    match failed {
        Some(error) => Err(error.clone()),
        None => place.ok_or_else(ended),
    }
}

/// Only a committed unit has no place, and it is gone.
fn ended() -> StoreError {
    StoreError::Halt("a unit of work was used after its end".to_owned())
}

impl Unit for SqliteUnit {
    fn next_sequence(&self) -> Sequence {
        self.next_sequence
    }

    async fn admit(&mut self, moves: &[Move], arrivals: &[Arrival]) -> Result<Vec<Admission>, StoreError> {
        let (lane, times) = (self.lane, (self.inbox_horizon, self.now));
        self.run(|connection| {
            progress::advance(connection, lane, moves)?;
            crash_point!("tx.compare_and_set");
            let admissions = inbox::admit(connection, arrivals, times)?;
            crash_point!("tx.inbox");
            Ok(admissions)
        })
        .await
    }

    async fn answer(&mut self, answers: &[Answer]) -> Result<Vec<bool>, StoreError> {
        // Most batches have none, and the connection is the other units' as well.
        if answers.is_empty() {
            return Ok(Vec::new());
        }
        let (lane, now) = (self.lane, self.now);
        self.run(|connection| Ok(effects::answer(connection, lane, answers, now)?))
            .await
    }

    async fn fire(&mut self, timers: &[Uuid]) -> Result<Vec<bool>, StoreError> {
        if timers.is_empty() {
            return Ok(Vec::new());
        }
        let lane = self.lane;
        self.run(|connection| Ok(timers::fire(connection, lane, timers)?)).await
    }

    async fn load(&mut self, keys: &[RowKey]) -> Result<Vec<StoredRow>, StoreError> {
        self.fetch(keys.iter()).await?;
        self.take_baton().await?;
        let loaded = self.group()?.held().rows(keys);
        crash_point!("tx.load");
        Ok(loaded)
    }

    async fn write(&mut self, writes: &Writes) -> Result<(), StoreError> {
        self.hand_on(&writes.rows).await?;
        let (lane, first) = (self.lane, self.next_sequence);
        self.next_sequence = self.run(|connection| write(connection, (lane, first), writes)).await?;
        Ok(())
    }

    async fn commit(mut self) -> Result<(), StoreError> {
        let durable = self.release()?;
        drop(self);
        answer_of(durable).await
    }
}

/// Writes everything but the rows that were handed on. The sequence of the next fact.
fn write(connection: &Connection, (lane, first): (Lane, Sequence), writes: &Writes) -> Result<Sequence, Failure> {
    held::insert(connection, &writes.rows)?;
    inbox::bury(connection, &writes.dead, writes.now)?;
    effects::write(connection, &writes.effects)?;
    effects::attempt(connection, lane, &writes.attempts)?;
    timers::write(connection, &writes.timers)?;
    for (topic, counts) in &writes.counts {
        progress::add_counts(connection, lane, topic, *counts)?;
    }
    if let Some(flood) = writes.flood {
        lanes::set_flood(connection, lane, flood)?;
    }
    crash_point!("tx.state");
    if writes.outbox.is_empty() {
        return Ok(first);
    }
    let next = outbox::write(connection, (lane, first), &writes.outbox, writes.now)?;
    lanes::set_next_sequence(connection, lane, next)?;
    crash_point!("tx.outbox");
    Ok(next)
}

impl Drop for SqliteUnit {
    /// Nothing of it happened. One that changed nothing, as a fenced one, leaves the others of its group alone; else the
    /// whole transaction goes, and the others do their part again.
    fn drop(&mut self) {
        let Some(place) = self.place.take() else { return };
        if self.touched {
            place.group.undo(&StoreError::Undone);
        }
        // Where nobody else is in the group, it has to be ended all the same.
        place.shared.committer.wake();
    }
}
