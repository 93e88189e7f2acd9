//! Taking a batch through, whatever it takes, and what follows once it is durable.

use std::marker::PhantomData;
use std::time::Duration;

use tokio::time::Instant;

use super::{Ended, Lane, RETRY_FIRST, RETRY_LAST};
use crate::batch::Batch;
use crate::crash_point;
use crate::error::ServiceError;
use crate::handler::Handler;
use crate::made::{Absent, Made};
use crate::observer::Applied;
use crate::pipeline::{self, Failed, Trouble, wrong};
use crate::record::Origin;
use crate::shared::{Again, Notice};
use crate::store::{Outcome, Sequence, Store, StoreError};

/// So many batches look for every row, and must find none that is hardly ever there, before one is taken not to be there
/// again: what comes again comes in rows, and each batch that is taken back takes others with it.
const CAUTIOUS_BATCHES: u32 = 64;

/// How often in a row a batch must come to the same end before a lane stops for it, or a record becomes a dead letter: what
/// it was decided on may be what a unit beside it left, and that unit may fail yet.
const VERDICTS: u32 = 3;

impl<P, H: Handler, S: Store> Lane<P, H, S> {
    /// The same lane in its next phase.
    pub(super) fn enter<Q>(self) -> Lane<Q, H, S> {
        Lane {
            desk: self.desk,
            phase: PhantomData,
            inbox: self.inbox,
            drain: self.drain,
            executor: self.executor,
            timers: self.timers,
            missing: self.missing,
            next_sequence: self.next_sequence,
            recorded: self.recorded,
            unrecorded_since: self.unrecorded_since,
            unconfirmed: self.unconfirmed,
        }
    }

    /// Handles a batch, whatever it takes: again when the database was away, in halves when it will not have the whole.
    pub(super) async fn work(&mut self, batch: Batch<H::Event>) -> Result<(), Ended> {
        let mut left = vec![batch];
        let (mut wait, mut doubts) = (RETRY_FIRST, VERDICTS);
        while let Some(batch) = left.pop() {
            let began = Instant::now();
            match pipeline::handle(&self.desk, &batch).await {
                Ok(made) => {
                    doubts = VERDICTS;
                    self.done(batch, made, began);
                }
                Err(failed) if failed.may_be_presumption() => {
                    self.desk.caution = CAUTIOUS_BATCHES;
                    left.push(batch);
                }
                Err(failed) if doubts > 1 && failed.trouble.is_verdict(&batch) => {
                    doubts -= 1;
                    rest(&mut wait).await;
                    left.push(batch);
                }
                Err(Failed { made, trouble, .. }) => match self.mend(&trouble, made.is_some(), &mut wait).await? {
                    Mend::Done => match made {
                        Some(made) => {
                            doubts = VERDICTS;
                            self.done(batch, made, began);
                        }
                        None => left.push(batch),
                    },
                    Mend::Again => left.push(batch),
                    Mend::Halve(why) => left.extend(self.parts(batch, &why)?),
                },
            }
        }
        Ok(())
    }

    /// What to do about a batch that did not go through.
    async fn mend(&self, trouble: &Trouble, made: bool, wait: &mut Duration) -> Result<Mend, Ended> {
        let error = match trouble {
            Trouble::Halt(halt) => return Err(self.stop(halt.clone().into())),
            Trouble::Store(error) => error.clone(),
        };
        match error {
            StoreError::Refused(why) => Ok(Mend::Halve(why)),
            StoreError::Unavailable(why) => {
                self.pause(wait, &why).await;
                Ok(Mend::Again)
            }
            StoreError::Unknown(why) if made => self.resolve(&why, wait).await,
            // Two lanes that both made the same new row would do so again, side by side.
            StoreError::Stale { .. } => {
                if *wait == RETRY_LAST {
                    self.desk
                        .shared
                        .observer
                        .trouble(Some(self.desk.lane()), &error.to_string());
                }
                rest(wait).await;
                Ok(Mend::Again)
            }
            StoreError::Undone | StoreError::Unknown(_) => Ok(Mend::Again),
            StoreError::Fenced { lane } => Err(self.again(Again::Fenced(lane))),
            StoreError::Grown { .. } | StoreError::Unusable { .. } | StoreError::Halt(_) => {
                Err(self.stop(error.into()))
            }
        }
    }

    /// The commit gave no answer: the lane row knows (rule 8).
    async fn resolve(&self, why: &str, wait: &mut Duration) -> Result<Mend, Ended> {
        self.desk.shared.observer.trouble(Some(self.desk.lane()), why);
        loop {
            match self.desk.store().resolve(self.desk.at).await {
                Ok(Outcome::Happened) => return Ok(Mend::Done),
                Ok(Outcome::DidNot) => {
                    // A full disk says so at COMMIT, and would say it again at once.
                    rest(wait).await;
                    return Ok(Mend::Again);
                }
                Err(StoreError::Fenced { lane }) => return Err(self.again(Again::Fenced(lane))),
                Err(error @ (StoreError::Unusable { .. } | StoreError::Halt(_))) => return Err(self.stop(error.into())),
                Err(error) => self.pause(wait, &error.to_string()).await,
            }
        }
    }

    /// The batch in two; or, of a single record, the record as a dead letter.
    fn parts(&self, batch: Batch<H::Event>, why: &str) -> Result<Vec<Batch<H::Event>>, Ended> {
        match batch.halve() {
            Ok((first, second)) => Ok(vec![second, first]),
            Err(mut single) => {
                if single.refuse(why) {
                    return Ok(vec![single]);
                }
                Err(self.stop(
                    wrong(
                        self.desk.lane(),
                        format!("the database refuses an answer or a timer: {why}"),
                    )
                    .into(),
                ))
            }
        }
    }

    /// The batch is durable: remember where the lane stands, publish, and start what was asked for.
    fn done(&mut self, batch: Batch<H::Event>, made: Made, began: Instant) {
        crash_point!("commit.told");
        let writes = made.writes;
        self.desk.at.turn += 1;
        self.desk.caution = match made.absent {
            Absent::Unknown => self.desk.caution,
            Absent::AsExpected => self.desk.caution.saturating_sub(1),
            Absent::Found => CAUTIOUS_BATCHES,
        };
        self.desk.flood = made.flood;
        if made.published > self.recorded {
            crash_point!("cursor.after");
            self.recorded = made.published;
            self.unrecorded_since = None;
        }
        for (source, next) in &batch.positions {
            self.desk.positions[usize::from(*source)] = *next;
        }
        self.desk.shared.flood.set(self.desk.lane(), made.flood);
        self.report(&batch, &made.refused);
        self.desk.shared.observer.applied(&Applied {
            lane: self.desk.lane(),
            counts: &writes.counts,
            facts: writes.outbox.len(),
            micros: u64::try_from(began.elapsed().as_micros()).unwrap_or(u64::MAX),
        });
        self.next_sequence += Sequence::try_from(writes.outbox.len()).unwrap_or(0);
        self.unconfirmed.wait_for(self.next_sequence - 1, batch.positions);
        self.release(batch.records.iter().map(|arrived| arrived.record.size()).sum());
        self.desk.relay.submit(writes.outbox);
        self.executor.add(writes.effects);
        self.timers.add(writes.timers);
        self.note_acknowledged();
        self.confirm();
    }

    fn report(&self, batch: &Batch<H::Event>, refused: &[(usize, crate::Reason, String)]) {
        for (at, reason, detail) in refused {
            let record = &batch.records[*at].record;
            let topic = &self.desk.topology().source(record.source).topic;
            let origin = Origin {
                topic,
                partition: self.desk.lane(),
                offset: record.offset,
            };
            self.desk.shared.observer.refused(origin, *reason, detail);
        }
    }

    /// Tells the group of positions whose facts are recorded as published: never ahead of the database (rule 4).
    fn confirm(&mut self) {
        let confirmed = self.unconfirmed.take(self.recorded);
        if !confirmed.is_empty() {
            self.desk.shared.positions.advance(self.desk.lane(), confirmed);
        }
    }

    pub(super) fn note_acknowledged(&mut self) {
        let acknowledged = self.desk.acknowledged();
        if acknowledged <= self.recorded {
            self.unrecorded_since = None;
        } else if self.unrecorded_since.is_none() {
            self.desk.shared.observer.published(self.desk.lane(), acknowledged);
            self.unrecorded_since = Some(Instant::now());
            crash_point!("cursor.before");
        }
    }

    pub(super) fn is_full(&self) -> bool {
        self.desk.relay.in_flight() >= self.desk.settings().in_flight_facts
    }

    pub(super) async fn room(&self) {
        while self.is_full() {
            self.desk.relay.changed().await;
        }
    }

    fn release(&self, bytes: usize) {
        self.inbox.release(&self.desk.shared.buffered, bytes);
    }

    /// Asks the database until it answers.
    pub(super) async fn patiently<T, F>(&self, ask: impl Fn() -> F) -> Result<T, Ended>
    where
        F: Future<Output = Result<T, StoreError>>,
    {
        let mut wait = RETRY_FIRST;
        loop {
            match ask().await {
                Ok(answer) => return Ok(answer),
                Err(StoreError::Unavailable(why)) => self.pause(&mut wait, &why).await,
                Err(error) => return Err(self.stop(error.into())),
            }
        }
    }

    /// Waits out a database that is away, longer each time.
    pub(super) async fn pause(&self, wait: &mut Duration, why: &str) {
        self.desk.shared.observer.trouble(Some(self.desk.lane()), why);
        rest(wait).await;
    }

    pub(super) fn stop(&self, error: ServiceError) -> Ended {
        self.notify(Notice::Stop(error))
    }

    pub(super) fn again(&self, why: Again) -> Ended {
        if let Again::Fenced(lane) = why {
            self.desk.relay.fenced();
            self.desk.shared.observer.fenced(lane);
        }
        self.notify(Notice::Again(why))
    }

    /// A consumer thread that has ended needs no notice.
    fn notify(&self, notice: Notice) -> Ended {
        let _ended = self.desk.shared.notices.send(notice);
        Ended
    }
}

/// Waits, the next time longer.
async fn rest(wait: &mut Duration) {
    tokio::time::sleep(*wait).await;
    *wait = (*wait * 2).min(RETRY_LAST);
}

/// What mends a batch that did not go through.
enum Mend {
    Done,
    Again,
    Halve(String),
}
