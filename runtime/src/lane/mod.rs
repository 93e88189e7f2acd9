//! A lane's life: claimed, consuming, draining, complete. Each is a type, so an order of events that must not happen does
//! not compile.

mod desk;
mod inbox;
mod missing;
mod timers;
mod unconfirmed;
mod work;

use std::marker::PhantomData;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::Duration;

use tokio::sync::{mpsc, watch};
use tokio::time::Instant;

use crate::batch::{Batch, Reading};
use crate::crash_point;
use crate::effects::{Event, Executor};
use crate::error::Halt;
use crate::handler::Handler;
use crate::observer::Observer;
use crate::record::{Fetched, NextOffset};
use crate::relay::LaneRelay;
use crate::shared::{Again, Shared, wall_clock};
use crate::store::{
    Answer, Claim, EffectRow, EffectState, Lane as Number, OutboxRow, Sequence, Store, StoreError, TimerRow,
};

pub(crate) use self::desk::Desk;
use self::inbox::{Inbox, Item};
use self::missing::Missing;
pub(crate) use self::timers::HELD as TIMERS_HELD;
use self::timers::Timers;
use self::unconfirmed::Unconfirmed;

/// Facts read at once when a lane publishes again what an earlier owner left.
const REPUBLISH_PAGE: usize = 1_000;

/// Waits between tries while the database is away: from the first to the last of these.
const RETRY_FIRST: Duration = Duration::from_millis(50);
const RETRY_LAST: Duration = Duration::from_secs(2);

/// What the consumer thread sends a lane.
#[derive(Debug)]
pub(crate) enum Delivery {
    /// Records of the lane's partitions, each partition in order.
    Records(Vec<Fetched>),
    /// A partition's end was reached at this position.
    End(u16, NextOffset),
}

/// The lane ended without being asked to; the consumer thread has been told why.
#[derive(Debug)]
pub(crate) struct Ended;

/// Taken over, its unpublished facts not yet on their way.
#[derive(Debug)]
pub(crate) struct Claimed;

/// Handling what comes.
#[derive(Debug)]
pub(crate) struct Consuming;

/// Taking nothing new; waiting for its facts to be acknowledged.
#[derive(Debug)]
pub(crate) struct Draining;

/// One lane in the hands of this process.
pub(crate) struct Lane<P, H, S> {
    desk: Desk<H, S>,
    phase: PhantomData<P>,
    inbox: Inbox,
    drain: watch::Receiver<bool>,
    executor: Executor,
    timers: Timers,
    missing: Missing,
    /// The sequence the next fact will bear.
    next_sequence: Sequence,
    /// How far publishing has come as the database knows it.
    recorded: Sequence,
    /// Since when the database knows less than the relay.
    unrecorded_since: Option<Instant>,
    unconfirmed: Unconfirmed,
}

/// What a lane starts with.
pub(crate) struct Equipment {
    pub(crate) claim: Claim,
    /// The position of each source, by its index.
    pub(crate) positions: Vec<NextOffset>,
    pub(crate) relay: LaneRelay,
    pub(crate) executor: Executor,
    pub(crate) timers: Vec<TimerRow>,
    pub(crate) deliveries: mpsc::UnboundedReceiver<Delivery>,
    pub(crate) buffered: Arc<AtomicUsize>,
    pub(crate) drain: watch::Receiver<bool>,
}

impl<H: Handler, S: Store> Lane<Claimed, H, S> {
    pub(crate) fn claimed(shared: Arc<Shared<H, S>>, with: Equipment) -> Self {
        let claim = with.claim;
        shared.flood.set(claim.at.owner.lane, claim.flood);
        Self {
            desk: Desk {
                shared,
                at: claim.at,
                positions: with.positions,
                flood: claim.flood,
                relay: with.relay,
                caution: 0,
            },
            phase: PhantomData,
            inbox: Inbox::new(with.deliveries, with.buffered),
            drain: with.drain,
            executor: with.executor,
            timers: Timers::new(with.timers),
            missing: Missing::default(),
            next_sequence: claim.next_sequence,
            recorded: claim.published,
            unrecorded_since: None,
            unconfirmed: Unconfirmed::default(),
        }
    }

    /// The whole life, to its end. `Ok` after an orderly drain.
    pub(crate) async fn live(self) -> Result<(), Ended> {
        let consuming = self.republish().await?;
        let draining = consuming.consume().await?;
        draining.drain().await
    }

    /// What was committed and perhaps not published goes out first, before any fact made from now on (rule 4).
    async fn republish(self) -> Result<Lane<Consuming, H, S>, Ended> {
        let mut after = self.recorded;
        while after + 1 < self.next_sequence {
            let rows = self.read_outbox(after).await?;
            after = rows.last().map_or(self.next_sequence, |row| row.sequence);
            self.desk.relay.submit(rows);
            self.room().await;
        }
        Ok(self.enter())
    }

    async fn read_outbox(&self, after: Sequence) -> Result<Vec<OutboxRow>, Ended> {
        self.patiently(|| self.desk.store().outbox(self.desk.lane(), after, REPUBLISH_PAGE))
            .await
    }
}

impl<H: Handler, S: Store> Lane<Consuming, H, S> {
    async fn consume(mut self) -> Result<Lane<Draining, H, S>, Ended> {
        let mut drain = self.drain.clone();
        loop {
            let batch = tokio::select! {
                biased;
                _ = drain.wait_for(|drain| *drain) => return Ok(self.enter()),
                batch = self.next_batch() => batch?,
            };
            self.work(batch).await?;
        }
    }

    /// What there is to do next; an empty batch records how far publishing has come.
    async fn next_batch(&mut self) -> Result<Batch<H::Event>, Ended> {
        let mut batch = Batch::default();
        loop {
            // Nothing is taken and not durable: the database knows all that the lane does.
            if batch.is_empty() {
                self.reload().await?;
            }
            self.note_acknowledged();
            self.take_records(&mut batch)?;
            self.take_events(&mut batch);
            if !self.is_full() {
                batch.timers = self.timers.due(wall_clock(), self.desk.batch_records());
            }
            if !batch.is_empty() || self.flush_due() {
                return Ok(batch);
            }
            self.wait(&mut batch).await;
        }
    }

    /// Until something may have changed. A lane with too many unacknowledged facts takes nothing meanwhile that becomes more of
    /// them; one whose next record cannot be read yet takes no records.
    async fn wait(&mut self, batch: &mut Batch<H::Event>) {
        let flush_at = self
            .unrecorded_since
            .map(|since| since + self.desk.settings().idle_flush);
        let timer_in = self
            .timers
            .next_due()
            .map(|due| Duration::from_millis((due - wall_clock()).max(0).unsigned_abs()));
        let reload_at = self.executor.reload_at();
        let (full, awaited) = (self.is_full(), self.missing.is_awaited());
        let (lane, shared) = (self.desk.lane(), &*self.desk.shared);
        tokio::select! {
            () = self.desk.relay.changed() => {}
            () = self.inbox.arrival(), if !full && !awaited => {}
            () = self.missing.fetched(lane, &*shared.observer, &shared.dependencies), if awaited => {}
            event = self.executor.next(), if !full => take_event(&*self.desk.shared.observer, batch, event),
            () = sleep_until(flush_at) => {}
            () = sleep_until(reload_at) => {}
            () = sleep_until(timer_in.map(|wait| Instant::now() + wait)), if !full => {}
        }
    }

    fn take_events(&mut self, batch: &mut Batch<H::Event>) {
        let most = self.desk.batch_records();
        while batch.answers.len() + batch.attempts.len() < most && !self.is_full() {
            let Some(event) = self.executor.try_next() else { return };
            take_event(&*self.desk.shared.observer, batch, event);
        }
    }

    fn take_records(&mut self, batch: &mut Batch<H::Event>) -> Result<(), Ended> {
        let most = self.desk.batch_records();
        while batch.records.len() < most && !self.is_full() && !self.missing.is_awaited() {
            match self.inbox.next() {
                Some(Item::Record(record)) => self.take_record(batch, record)?,
                Some(Item::End(source, end)) => self.take_end(batch, source, end)?,
                None => return Ok(()),
            }
        }
        Ok(())
    }

    /// A record before the position was handled; one behind it proves that records were left out (rule 6).
    fn take_record(&mut self, batch: &mut Batch<H::Event>, record: Fetched) -> Result<(), Ended> {
        let shared = &self.desk.shared;
        let expected = batch
            .positions
            .get(&record.source)
            .copied()
            .unwrap_or(self.desk.position(record.source));
        let found = NextOffset::at(record.offset);
        if found < expected {
            self.inbox.release(&shared.buffered, record.size());
            return Ok(());
        }
        if found > expected && self.desk.settings().dense {
            return Err(self.hole(record.source, expected, found));
        }
        let reading = Reading {
            handler: &shared.handler,
            topology: &shared.topology,
            observer: &*shared.observer,
            lane: self.desk.lane(),
            limit: shared.settings.record_bytes,
        };
        match reading.read(record) {
            Ok(arrived) => {
                self.missing.found(reading.lane, reading.observer);
                batch.push(arrived);
                crash_point!("decode.after");
            }
            Err((record, missing)) => {
                self.missing.want(missing, &shared.dependencies);
                self.inbox.put_back(record);
            }
        }
        Ok(())
    }

    /// The end of a partition moves the position over what holds no records; on a dense topic there is nothing to move
    /// over, and an end further on is a loss.
    fn take_end(&self, batch: &mut Batch<H::Event>, source: u16, end: NextOffset) -> Result<(), Ended> {
        let expected = batch
            .positions
            .get(&source)
            .copied()
            .unwrap_or(self.desk.position(source));
        if end <= expected {
            return Ok(());
        }
        if self.desk.settings().dense {
            return Err(self.hole(source, expected, end));
        }
        batch.positions.insert(source, end);
        Ok(())
    }

    fn hole(&self, source: u16, expected: NextOffset, found: NextOffset) -> Ended {
        self.again(Again::Hole(Halt::Hole {
            topic: self.desk.topology().source(source).topic.to_string(),
            partition: self.desk.lane(),
            expected: expected.get(),
            found: found.get(),
        }))
    }

    fn flush_due(&self) -> bool {
        self.unrecorded_since
            .is_some_and(|since| since.elapsed() >= self.desk.settings().idle_flush)
    }

    /// Takes from the database what was left to it, where there is room for that again.
    async fn reload(&mut self) -> Result<(), Ended> {
        if self.executor.needs_reload() {
            self.reload_effects().await?;
        }
        if self.timers.needs_reload() {
            self.reload_timers().await?;
        }
        Ok(())
    }

    async fn reload_effects(&mut self) -> Result<(), Ended> {
        let _turn = self.executor.turn_to_load().await;
        let effects = self
            .patiently(|| load_effects(self.desk.store(), self.desk.lane(), &self.executor))
            .await?;
        self.executor.reload(effects);
        Ok(())
    }

    async fn reload_timers(&mut self) -> Result<(), Ended> {
        let timers = self
            .patiently(|| self.desk.store().timers(self.desk.lane(), TIMERS_HELD))
            .await?;
        self.timers = Timers::new(timers);
        Ok(())
    }
}

/// A lane's effects, as many as its executor holds.
pub(crate) async fn load_effects<S: Store>(
    store: &S,
    lane: Number,
    executor: &Executor,
) -> Result<Vec<EffectRow>, StoreError> {
    store.effects(lane, executor.capacity()).await
}

impl<H: Handler, S: Store> Lane<Draining, H, S> {
    /// Waits until what was made is published, and records that. The caller bounds it in time.
    async fn drain(mut self) -> Result<(), Ended> {
        self.executor.stop();
        while self.desk.acknowledged() + 1 < self.next_sequence {
            self.desk.relay.changed().await;
        }
        if self.desk.acknowledged() > self.recorded {
            self.work(Batch::default()).await?;
        }
        crash_point!("drain.after");
        Ok(())
    }
}

fn take_event<E>(observer: &dyn Observer, batch: &mut Batch<E>, event: Event) {
    match event {
        Event::Answer { effect, answer } => {
            crash_point!("effect.answer");
            observer.called(&effect.kind, "answered");
            let answer = Answer {
                effect: effect.id,
                answer,
            };
            batch.answers.push((effect, answer));
        }
        Event::Attempt { kind, attempt } => {
            let outcome = if attempt.state == EffectState::Unknown {
                "unknown"
            } else {
                "retry"
            };
            observer.called(&kind, outcome);
            batch.attempts.push(attempt);
        }
    }
}

async fn sleep_until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}
