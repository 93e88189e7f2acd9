//! A unit of work: its part of the open transaction, and the writer to itself while it lasts.

use futures_util::future::try_join_all;
use tokio::sync::OwnedMutexGuard;
use tokio::try_join;
use uuid::Uuid;

use super::failure::Failure;
use super::group::{Durable, Writer};
use super::session::Session;
use super::tables::{effects, inbox, lanes, outbox, progress, state, timers};
use crate::crash_point;
use crate::rows::{RowKey, StoredRow};
use crate::store::{Admission, Answer, Arrival, Lane, Move, Sequence, StoreError, Turn, Unit, Writes};

/// A transaction on one lane of a PostgreSQL database.
///
/// While it lives no other lane of the same group can begin one on this store: a task that holds one and waits for a
/// second may wait for itself. It holds the lane's row, so nobody else begins or claims that lane meanwhile.
#[derive(Debug)]
pub struct PostgresUnit {
    writer: Option<OwnedMutexGuard<Writer>>,
    lane: Lane,
    next_sequence: Sequence,
    /// The server's clock when the unit began, milliseconds.
    now: i64,
    /// Whether the transaction holds something of it.
    touched: bool,
    /// The first error. After it the server takes nothing but ROLLBACK.
    failed: Option<StoreError>,
}

impl PostgresUnit {
    pub(super) async fn begin(
        writer: OwnedMutexGuard<Writer>,
        at: Turn,
        published: Sequence,
    ) -> Result<Self, StoreError> {
        // Dropped half begun, it takes its group with it.
        let mut unit = Self {
            writer: Some(writer),
            lane: at.owner.lane,
            next_sequence: 0,
            now: 0,
            touched: true,
            failed: None,
        };
        let writer = unit.writer()?;
        writer.open_group().await?;
        let begun = writer.begin(at, published).await;
        if let Err(Failure::Store(StoreError::Fenced { .. })) = &begun {
            unit.touched = false;
        }
        let begun = unit.judged(begun)?;
        (unit.next_sequence, unit.now) = (begun.next_sequence, begun.now);
        crash_point!("tx.begin");
        Ok(unit)
    }

    /// The writer, unless an earlier statement failed.
    fn writer(&mut self) -> Result<&mut Writer, StoreError> {
        match (&self.failed, &mut self.writer) {
            (Some(error), _) => Err(error.clone()),
            (None, Some(writer)) => Ok(writer),
            (None, None) => Err(ended()),
        }
    }

    /// The session, unless an earlier statement failed.
    fn session(&self) -> Result<&Session, StoreError> {
        match (&self.failed, &self.writer) {
            (Some(error), _) => Err(error.clone()),
            (None, Some(writer)) => writer.session(),
            (None, None) => Err(ended()),
        }
    }

    /// Remembers the first error: the unit is over with it.
    fn judged<T>(&mut self, done: Result<T, Failure>) -> Result<T, StoreError> {
        done.map_err(|failure| {
            let error = match &mut self.writer {
                Some(writer) => writer.judge(failure),
                None => ended(),
            };
            self.failed.get_or_insert(error).clone()
        })
    }

    /// Changes the rows that are there where they are held; what is new is written with the rest.
    async fn change_rows(&mut self, rows: &[StoredRow]) -> Result<(), Failure> {
        let writer = self.writer()?;
        let known = || rows.iter().filter(|row| row.version > 0);
        writer.hold(known().map(|row| &row.key)).await?;
        let held = writer.held()?;
        for row in known() {
            if !held.change(&row.key, row.version, state::json(row)?) {
                return Err(state::stale(row.key.entity));
            }
        }
        let twice = rows.iter().find(|row| row.version == 0 && held.row(&row.key).is_some());
        twice.map_or(Ok(()), |row| Err(state::stale(row.key.entity)))
    }

    async fn send_writes(&self, writes: &Writes) -> Result<Sequence, Failure> {
        let (session, lane, now) = (self.session()?, self.lane, writes.now);
        let next = outbox::follow(lane, self.next_sequence, &writes.outbox)?;
        let new: Vec<&StoredRow> = writes.rows.iter().filter(|row| row.version == 0).collect();
        let new = new.chunk_by(|a, b| a.key.entity == b.key.entity);
        let rows = try_join_all(new.map(|rows| state::insert(session, rows)));
        let ends = async {
            let unchanged = next == self.next_sequence && writes.flood.is_none();
            if unchanged {
                Ok(())
            } else {
                lanes::end(session, lane, (next, writes.flood)).await
            }
        };
        // Sent one after the other without waiting, answered together.
        try_join!(
            biased;
            rows,
            inbox::bury(session, &writes.dead, now),
            effects::write(session, &writes.effects),
            effects::attempt(session, lane, &writes.attempts),
            timers::write(session, &writes.timers),
            progress::add_counts(session, lane, &writes.counts),
            outbox::write(session, lane, (&writes.outbox, now)),
            ends,
        )?;
        Ok(next)
    }

    /// The unit is whole. The first of a group asks for its end behind the lanes that wait already.
    fn release(&mut self) -> Result<Durable, StoreError> {
        if let Some(error) = self.failed.take() {
            return Err(error);
        }
        let mut writer = self.writer.take().ok_or_else(ended)?;
        let (durable, first) = writer.release_unit()?;
        if first {
            Writer::end_soon(writer);
        }
        Ok(durable)
    }

    async fn let_in(&self, moves: &[Move], arrivals: &[Arrival]) -> Result<Vec<Admission>, Failure> {
        let session = self.session()?;
        let advance = progress::advance(session, self.lane, moves);
        let admit = inbox::admit(session, arrivals, self.now);
        let ((), admissions) = try_join!(biased; advance, admit)?;
        Ok(admissions)
    }
}

impl Unit for PostgresUnit {
    fn next_sequence(&self) -> Sequence {
        self.next_sequence
    }

    async fn admit(&mut self, moves: &[Move], arrivals: &[Arrival]) -> Result<Vec<Admission>, StoreError> {
        let admitted = self.let_in(moves, arrivals).await;
        let admissions = self.judged(admitted)?;
        crash_point!("tx.compare_and_set");
        crash_point!("tx.inbox");
        Ok(admissions)
    }

    async fn answer(&mut self, answers: &[Answer]) -> Result<Vec<bool>, StoreError> {
        let taken = effects::answer(self.session()?, self.lane, (answers, self.now)).await;
        self.judged(taken)
    }

    async fn fire(&mut self, timers: &[Uuid]) -> Result<Vec<bool>, StoreError> {
        let fired = timers::fire(self.session()?, self.lane, timers).await;
        self.judged(fired)
    }

    async fn load(&mut self, keys: &[RowKey]) -> Result<Vec<StoredRow>, StoreError> {
        let loaded = self.writer()?.load(keys).await;
        let loaded = self.judged(loaded)?;
        crash_point!("tx.load");
        Ok(loaded)
    }

    async fn write(&mut self, writes: &Writes) -> Result<(), StoreError> {
        let changed = self.change_rows(&writes.rows).await;
        self.judged(changed)?;
        let written = Box::pin(self.send_writes(writes)).await;
        self.next_sequence = self.judged(written)?;
        crash_point!("tx.state");
        crash_point!("tx.outbox");
        Ok(())
    }

    async fn commit(mut self) -> Result<(), StoreError> {
        let durable = self.release()?;
        drop(self);
        let answer = durable.await;
        answer.unwrap_or_else(|_| Err(StoreError::Unknown("the task that commits is gone".to_owned())))
    }
}

impl Drop for PostgresUnit {
    fn drop(&mut self) {
        if let Some(writer) = &mut self.writer {
            writer.drop_unit(self.touched);
        }
    }
}

/// Only a committed unit has no writer, and it is gone.
fn ended() -> StoreError {
    StoreError::Halt("a unit of work was used after its end".to_owned())
}
