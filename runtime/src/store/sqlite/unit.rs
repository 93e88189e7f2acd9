//! A unit of work: its part of the open transaction, and the writer to itself while it lasts.

use std::sync::Arc;

use rusqlite::Connection;
use tokio::sync::OwnedMutexGuard;
use uuid::Uuid;

use super::failure::Failure;
use super::held;
use super::tables::{effects, inbox, lanes, outbox, progress, timers};
use super::writer::{Durable, Writer};
use super::{Shared, now};
use crate::crash_point;
use crate::rows::{RowKey, StoredRow};
use crate::store::held::Held;
use crate::store::{Admission, Answer, Arrival, Lane, Move, Sequence, StoreError, Turn, Unit, Writes};

/// A transaction on one lane of a SQLite database.
///
/// While it lives nobody else can begin one on that database, on any lane: a task that holds one and waits for a second
/// waits for itself.
#[derive(Debug)]
pub struct SqliteUnit {
    /// Before `shared`: the store may end with its last unit, and needs the writer then.
    writer: Option<OwnedMutexGuard<Writer>>,
    shared: Arc<Shared>,
    lane: Lane,
    next_sequence: Sequence,
    inbox_horizon: i64,
    now: i64,
    /// The first error. After it SQLite may have ended the transaction, and a further statement would stand alone.
    failed: Option<StoreError>,
}

impl SqliteUnit {
    pub(super) fn begin(
        mut writer: OwnedMutexGuard<Writer>,
        shared: Arc<Shared>,
        at: Turn,
        published: Sequence,
    ) -> Result<Self, StoreError> {
        writer.open_unit()?;
        let mut unit = Self {
            writer: Some(writer),
            shared,
            lane: at.owner.lane,
            next_sequence: 0,
            inbox_horizon: 0,
            now: now(),
            failed: None,
        };
        let begun = unit.run(|connection| lanes::begin(connection, at, published))?;
        unit.next_sequence = begun.next_sequence;
        unit.inbox_horizon = begun.inbox_horizon;
        crash_point!("tx.begin");
        Ok(unit)
    }

    /// Runs statements unless an earlier one failed.
    pub(super) fn run<T>(&mut self, work: impl FnOnce(&Connection) -> Result<T, Failure>) -> Result<T, StoreError> {
        self.run_holding(|connection, _| work(connection))
    }

    /// The same, with the rows that are held.
    fn run_holding<T>(
        &mut self,
        work: impl FnOnce(&Connection, &mut Held) -> Result<T, Failure>,
    ) -> Result<T, StoreError> {
        if let Some(error) = &self.failed {
            return Err(error.clone());
        }
        let done = self.writer.as_mut().ok_or_else(ended)?.run_holding(work);
        self.failed = done.as_ref().err().cloned();
        done
    }

    fn release(&mut self) -> Result<Durable, StoreError> {
        if let Some(error) = self.failed.take() {
            return Err(error);
        }
        let mut writer = self.writer.take().ok_or_else(ended)?;
        let durable = writer.release_unit()?;
        self.shared.committer.wake();
        Ok(durable)
    }

    /// Writes everything but the facts.
    fn write_rows(&mut self, writes: &Writes) -> Result<(), StoreError> {
        let lane = self.lane;
        self.run_holding(|connection, held| {
            held::write(held, connection, &writes.rows)?;
            inbox::bury(connection, &writes.dead, writes.now)?;
            effects::write(connection, &writes.effects)?;
            effects::attempt(connection, lane, &writes.attempts)?;
            timers::write(connection, &writes.timers)?;
            for (topic, counts) in &writes.counts {
                progress::add_counts(connection, lane, topic, *counts)?;
            }
            match writes.flood {
                Some(flood) => Ok(lanes::set_flood(connection, lane, flood)?),
                None => Ok(()),
            }
        })
    }

    fn write_facts(&mut self, writes: &Writes) -> Result<(), StoreError> {
        let (lane, first) = (self.lane, self.next_sequence);
        if writes.outbox.is_empty() {
            return Ok(());
        }
        self.next_sequence = self.run(|connection| {
            let next = outbox::write(connection, (lane, first), &writes.outbox, writes.now)?;
            lanes::set_next_sequence(connection, lane, next)?;
            Ok(next)
        })?;
        Ok(())
    }
}

/// Only a committed unit has no writer, and it is gone.
fn ended() -> StoreError {
    StoreError::Halt("a unit of work was used after its end".to_owned())
}

impl Unit for SqliteUnit {
    fn next_sequence(&self) -> Sequence {
        self.next_sequence
    }

    async fn admit(&mut self, moves: &[Move], arrivals: &[Arrival]) -> Result<Vec<Admission>, StoreError> {
        let (lane, times) = (self.lane, (self.inbox_horizon, self.now));
        self.run(|connection| progress::advance(connection, lane, moves))?;
        crash_point!("tx.compare_and_set");
        let admissions = self.run(|connection| Ok(inbox::admit(connection, arrivals, times)?))?;
        crash_point!("tx.inbox");
        Ok(admissions)
    }

    async fn answer(&mut self, answers: &[Answer]) -> Result<Vec<bool>, StoreError> {
        let (lane, now) = (self.lane, self.now);
        self.run(|connection| Ok(effects::answer(connection, lane, answers, now)?))
    }

    async fn fire(&mut self, timers: &[Uuid]) -> Result<Vec<bool>, StoreError> {
        let lane = self.lane;
        self.run(|connection| Ok(timers::fire(connection, lane, timers)?))
    }

    async fn load(&mut self, keys: &[RowKey]) -> Result<Vec<StoredRow>, StoreError> {
        let loaded = self.run_holding(|connection, held| held::load(held, connection, keys))?;
        crash_point!("tx.load");
        Ok(loaded)
    }

    async fn write(&mut self, writes: &Writes) -> Result<(), StoreError> {
        self.write_rows(writes)?;
        crash_point!("tx.state");
        self.write_facts(writes)?;
        crash_point!("tx.outbox");
        Ok(())
    }

    async fn commit(mut self) -> Result<(), StoreError> {
        let durable = self.release()?;
        drop(self);
        answer_of(durable).await
    }
}

impl Drop for SqliteUnit {
    fn drop(&mut self) {
        if let Some(mut writer) = self.writer.take() {
            writer.drop_unit();
        }
    }
}

/// What became of the group's transaction. Nobody to ask means that nobody knows.
pub(super) async fn answer_of(durable: Durable) -> Result<(), StoreError> {
    let answer = durable.await;
    answer.unwrap_or_else(|_| Err(StoreError::Unknown("the committing thread is gone".to_owned())))
}
