//! A unit of work: its part of the open transaction, beside that of another.

use std::sync::Arc;

use futures_util::future::try_join_all;
use tokio::try_join;
use uuid::Uuid;

use super::failure::Failure;
use super::group::{Group, Writer};
use super::session::Session;
use super::tables::{effects, inbox, lanes, outbox, progress, state, timers};
use crate::crash_point;
use crate::rows::{RowKey, StoredRow};
use crate::store::group::{Baton, Durable, Seat, answer_of};
use crate::store::{Admission, Answer, Arrival, Lane, Move, Sequence, StoreError, Turn, Unit, Writes};

/// A transaction on one lane of a PostgreSQL database.
///
/// While it lives it has one of the few seats of its store, and from its loading to its writing it is alone with the rows
/// of its group: a task that holds one and waits for another may wait for itself. It holds the lane's row, so nobody else
/// begins or claims that lane meanwhile.
#[derive(Debug)]
pub struct PostgresUnit {
    place: Option<Place>,
    baton: Option<Baton>,
    lane: Lane,
    next_sequence: Sequence,
    /// The server's clock when the unit began, milliseconds.
    now: i64,
    /// Whether the transaction may hold something of it.
    touched: bool,
    /// The first error: the unit is over with it.
    failed: Option<StoreError>,
}

/// Where a unit is under way.
#[derive(Debug)]
struct Place {
    group: Arc<Group>,
    writer: Arc<Writer>,
    seat: Seat,
}

impl PostgresUnit {
    pub(super) async fn begin(writer: &Arc<Writer>, at: Turn, published: Sequence) -> Result<Self, StoreError> {
        let (seat, mut open) = writer.enter().await;
        let joined = open.group.clone();
        let first = joined.is_none();
        let group = match joined {
            Some(group) => group,
            None => Arc::clone(open.group.insert(writer.new_group().await?)),
        };
        // Dropped half begun, it takes its group with it.
        let mut unit = Self {
            place: Some(Place {
                group: Arc::clone(&group),
                writer: Arc::clone(writer),
                seat,
            }),
            baton: None,
            lane: at.owner.lane,
            next_sequence: 0,
            now: 0,
            touched: true,
            failed: None,
        };
        let begun = if first {
            // Nobody joins before the transaction is there.
            let begun = group.begin_first(at, published).await;
            if begun.is_err() {
                group.units.undo(&StoreError::Undone);
            }
            drop(open);
            begun
        } else {
            drop(open);
            group.begin(at, published).await
        };
        if let Err(Failure::Store(StoreError::Fenced { .. })) = &begun {
            // The first has opened a transaction for nobody else.
            unit.touched = first;
        }
        let begun = unit.judged(begun)?;
        (unit.next_sequence, unit.now) = (begun.next_sequence, begun.now);
        crash_point!("tx.begin");
        Ok(unit)
    }

    /// Where it is under way, unless an earlier statement failed.
    fn place(&self) -> Result<&Place, StoreError> {
        match &self.failed {
            Some(error) => Err(error.clone()),
            None => self.place.as_ref().ok_or_else(ended),
        }
    }

    fn session(&self) -> Result<&Session, StoreError> {
        self.place()?.group.session()
    }

    /// Remembers the first error: the unit is over with it.
    fn judged<T>(&mut self, done: Result<T, Failure>) -> Result<T, StoreError> {
        done.map_err(|failure| {
            let error = match &self.place {
                Some(place) => place.group.lease.judge(failure),
                None => ended(),
            };
            self.failed.get_or_insert(error).clone()
        })
    }

    /// Loads the rows that are not held; what is not there is not held afterwards either.
    async fn fetch(&self, keys: impl Iterator<Item = &RowKey>) -> Result<(), Failure> {
        self.place()?.group.fetch(keys).await
    }

    /// Waits until the one before has handed on what he decided.
    async fn take_baton(&mut self) -> Result<(), StoreError> {
        if self.baton.is_none() {
            self.baton = Some(self.place()?.group.units.baton().await?);
        }
        Ok(())
    }

    /// Hands on what was decided of the rows: the next unit decides while the statements of this one run.
    async fn hand_on(&mut self, rows: &[StoredRow]) -> Result<(), Failure> {
        self.take_baton().await?;
        let known = rows.iter().filter(|row| row.version > 0);
        self.fetch(known.map(|row| &row.key)).await?;
        self.place()?.group.units.held().take_over(rows)?;
        self.baton = None;
        Ok(())
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
        let (durable, first) = self.place()?.group.units.whole()?;
        if let Some(Place { group, writer, seat }) = self.place.take() {
            drop(group);
            if first {
                writer.end_soon(seat);
            }
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
        let fetched = self.fetch(keys.iter()).await;
        self.judged(fetched)?;
        self.take_baton().await?;
        let loaded = self.place()?.group.units.held().rows(keys);
        crash_point!("tx.load");
        Ok(loaded)
    }

    async fn write(&mut self, writes: &Writes) -> Result<(), StoreError> {
        let handed = self.hand_on(&writes.rows).await;
        self.judged(handed)?;
        let written = Box::pin(self.send_writes(writes)).await;
        self.next_sequence = self.judged(written)?;
        crash_point!("tx.state");
        crash_point!("tx.outbox");
        Ok(())
    }

    async fn commit(mut self) -> Result<(), StoreError> {
        let durable = self.release()?;
        drop(self);
        answer_of(durable).await
    }
}

impl Drop for PostgresUnit {
    /// Nothing of it happened. One that touched nothing, as a fenced one, leaves the others of its group alone; else the
    /// whole transaction goes, and the others do their part again.
    fn drop(&mut self) {
        let Some(Place { group, writer, seat }) = self.place.take() else {
            return;
        };
        if self.touched {
            group.units.undo(&StoreError::Undone);
        }
        drop(group);
        // Where nobody else is in the group, it has to be ended all the same.
        writer.end_soon(seat);
    }
}

/// Only a committed unit has no place, and it is gone.
fn ended() -> StoreError {
    StoreError::Halt("a unit of work was used after its end".to_owned())
}
