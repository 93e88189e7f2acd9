//! A unit of work: a transaction on a session of its own, begun at the lane row.

use futures_util::future::try_join_all;
use tokio::try_join;
use uuid::Uuid;

use super::failure::Failure;
use super::pool::Lease;
use super::session::Session;
use super::tables::{effects, inbox, lanes, outbox, progress, state, timers};
use crate::crash_point;
use crate::rows::{RowKey, StoredRow};
use crate::store::{Admission, Answer, Arrival, Lane, Move, Sequence, StoreError, Turn, Unit, Writes};

/// A transaction on one lane of a PostgreSQL database.
///
/// It holds the lane's row, so nobody else begins or claims that lane meanwhile; other lanes go on beside it.
#[derive(Debug)]
pub struct PostgresUnit {
    lease: Lease,
    lane: Lane,
    next_sequence: Sequence,
    /// The server's clock when the unit began, milliseconds.
    now: i64,
    /// The first error. After it the server takes nothing but ROLLBACK.
    failed: Option<StoreError>,
}

impl PostgresUnit {
    pub(super) async fn begin(mut lease: Lease, at: Turn, published: Sequence) -> Result<Self, StoreError> {
        lease.enter_transaction();
        let begun = begin(&lease, at, published).await;
        let begun = begun.map_err(|failure| lease.judge(failure))?;
        crash_point!("tx.begin");
        Ok(Self {
            lease,
            lane: at.owner.lane,
            next_sequence: begun.next_sequence,
            now: begun.now,
            failed: None,
        })
    }

    /// The session, unless an earlier statement failed.
    fn session(&self) -> Result<&Session, StoreError> {
        match &self.failed {
            Some(error) => Err(error.clone()),
            None => self.lease.session(),
        }
    }

    /// Remembers the first error: the unit is over with it.
    fn judged<T>(&mut self, done: Result<T, Failure>) -> Result<T, StoreError> {
        done.map_err(|failure| {
            let error = self.lease.judge(failure);
            self.failed.get_or_insert(error).clone()
        })
    }

    async fn send_writes(&self, writes: &Writes) -> Result<Sequence, Failure> {
        let (session, lane, now) = (self.session()?, self.lane, writes.now);
        let next = outbox::follow(lane, self.next_sequence, &writes.outbox)?;
        let changed = state::changed(&writes.rows)?;
        let rows = async {
            // Inserts wait for one another and updates, of rows that are held already, do not: all inserts first, in the
            // order of locks.
            let inserts = changed.iter().map(|changed| changed.insert(session));
            let updates = changed.iter().map(|changed| changed.update(session));
            let (inserts, updates) = (try_join_all(inserts), try_join_all(updates));
            try_join!(biased; inserts, updates).map(drop)
        };
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

    async fn lock_and_load(&self, keys: &[RowKey]) -> Result<Vec<StoredRow>, Failure> {
        let session = self.session()?;
        let entities = state::by_entity(keys);
        let loading = entities
            .iter()
            .map(|(entity, keys)| state::load(session, *entity, keys));
        let loaded = try_join_all(loading).await?;
        let mut loaded: Vec<_> = entities.iter().map(|(entity, _)| *entity).zip(loaded).collect();
        let row = |key: &RowKey| {
            let of_entity = loaded.iter_mut().find(|(entity, _)| *entity == key.entity);
            let found = of_entity.and_then(|(_, rows)| rows.get(&*key.key).cloned());
            let (version, body) = found.map_or((0, None), |(version, body)| (version, Some(body)));
            StoredRow {
                key: key.clone(),
                version,
                body,
            }
        };
        Ok(keys.iter().map(row).collect())
    }

    async fn let_in(&self, moves: &[Move], arrivals: &[Arrival]) -> Result<Vec<Admission>, Failure> {
        let session = self.session()?;
        let advance = progress::advance(session, self.lane, moves);
        let admit = inbox::admit(session, arrivals, self.now);
        let ((), admissions) = try_join!(biased; advance, admit)?;
        Ok(admissions)
    }
}

async fn begin(lease: &Lease, at: Turn, published: Sequence) -> Result<lanes::Begun, Failure> {
    let session = lease.session()?;
    let ((), begun) = try_join!(biased; session.control("BEGIN"), lanes::begin(session, at, published))?;
    Ok(begun)
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
        let loaded = self.lock_and_load(keys).await;
        let loaded = self.judged(loaded)?;
        crash_point!("tx.load");
        Ok(loaded)
    }

    async fn write(&mut self, writes: &Writes) -> Result<(), StoreError> {
        let written = Box::pin(self.send_writes(writes)).await;
        self.next_sequence = self.judged(written)?;
        crash_point!("tx.state");
        crash_point!("tx.outbox");
        Ok(())
    }

    /// After an error the outcome is unknown: the server may have heard COMMIT and its answer been lost.
    async fn commit(mut self) -> Result<(), StoreError> {
        crash_point!("commit.before");
        let committed = self.session()?.control("COMMIT").await;
        if let Err(failure) = committed {
            let why = failure.sentence(self.lease.location());
            self.lease.lose();
            return Err(StoreError::Unknown(why));
        }
        self.lease.leave_transaction();
        crash_point!("commit.after");
        Ok(())
    }
}
