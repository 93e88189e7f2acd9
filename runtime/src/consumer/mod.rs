//! The consumer thread: one client, one loop, one match. It feeds the lanes and looks after who owns them.

mod assignment;
mod checks;
mod claims;
mod client;
mod codec;
mod context;
mod denied;
mod detach;
mod hold;
mod incremental;
mod life;
mod membership;
mod offsets;
mod pressure;
mod retention;
mod standing;

use std::collections::BTreeMap;
use std::sync::atomic::Ordering;
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::{BorrowedMessage, Message};
use rdkafka::topic_partition_list::Offset;
use tokio::sync::watch;

use crate::access;
use crate::crash_point;
use crate::effects::Callers;
use crate::error::{Halt, ServiceError};
use crate::handler::Handler;
use crate::kafka::{Connection, Operation, Right};
use crate::record::NextOffset;
use crate::shared::{Again, Notice, Shared};
use crate::store::{Identity, Lane, Store};

use self::claims::Unclaimed;
pub(crate) use self::client::{check_membership, client};
pub(crate) use self::context::Context;
use self::context::Rebalance;
use self::detach::detach;
use self::hold::Hold;
use self::life::Home;

/// How long the loop sleeps when nothing comes; what it does now and then, it does at least this often.
const TICK: Duration = Duration::from_millis(100);

/// Assignments made again one after another before it is no accident any more.
const AGAIN_AT_MOST: u32 = 3;

/// Least time between two complaints about the connection.
const COMPLAIN: Duration = Duration::from_secs(10);

/// What the consumer thread is made of.
pub(crate) struct Setup<H, S> {
    pub(crate) shared: Arc<Shared<H, S>>,
    pub(crate) callers: Callers,
    pub(crate) connection: Connection,
    pub(crate) identity: Identity,
    pub(crate) notices: mpsc::Receiver<Notice>,
    pub(crate) shutdown: watch::Receiver<bool>,
    pub(crate) runtime: tokio::runtime::Handle,
}

impl<H, S> Setup<H, S> {
    /// Whether the service is to end: it was asked to, or whoever ran it no longer waits for it.
    fn is_ending(&self) -> bool {
        *self.shutdown.borrow() || self.shutdown.has_changed().is_err()
    }
}

/// The consumer thread's own state.
pub(crate) struct Edge<H, S> {
    consumer: BaseConsumer<Context>,
    with: Setup<H, S>,
    lanes: BTreeMap<Lane, Hold>,
    /// Where they live.
    home: Home,
    /// Since when this member has had less than it must have (rule 12).
    incomplete: Option<(Instant, Halt)>,
    /// Lanes that are given and whose claim waits for the database.
    unclaimed: Option<Unclaimed>,
    /// How often the assignment was made again for being fenced since a lane last got on.
    fenced: u32,
    /// The hole found last, and how often in a row it was the same one.
    hole: Option<(Halt, u32)>,
    resubscribed: bool,
    /// Whether the group took everything without asking, and has given nothing since.
    lost: bool,
    told: offsets::Told,
    observed: Instant,
    retained: Instant,
    /// Durable positions of what this member holds.
    positions: offsets::Positions,
    /// The latest timestamp of the records that this member has read, milliseconds.
    newest: i64,
    sweep: Option<retention::Sweep>,
    full_since: Option<Instant>,
    /// Whether lanes have their share of the buffers and no more.
    crowded: bool,
    /// What was last said of the connection, and when.
    complained: Option<Instant>,
    asked_about_rights: Option<denied::Asked>,
    /// Why publishing cannot go on, once it cannot.
    publishing: watch::Receiver<Option<String>>,
}

impl<H: Handler, S: Store> Edge<H, S> {
    pub(crate) fn new(consumer: BaseConsumer<Context>, with: Setup<H, S>) -> Result<Self, ServiceError> {
        let home = Home::open(&with.runtime, S::BLOCKING)
            .map_err(|error| ServiceError::Internal(format!("no threads for lanes: {error}")))?;
        Ok(Self {
            consumer,
            publishing: with.shared.relay.failure(),
            with,
            lanes: BTreeMap::new(),
            home,
            incomplete: None,
            unclaimed: None,
            fenced: 0,
            hole: None,
            resubscribed: false,
            lost: false,
            told: offsets::Told::nothing(),
            observed: Instant::now(),
            retained: Instant::now(),
            positions: offsets::Positions::new(),
            newest: i64::MIN,
            sweep: None,
            full_since: None,
            crowded: false,
            complained: None,
            asked_about_rights: None,
        })
    }

    /// Runs until the service is to end, then lets everything go in order.
    pub(crate) fn run(mut self) -> Result<(), ServiceError> {
        let ended = self.subscribe().and_then(|()| self.consume());
        self.leave(ended.is_ok());
        ended
    }

    fn subscribe(&self) -> Result<(), ServiceError> {
        let sources = &self.with.shared.topology.sources;
        let topics: Vec<&str> = sources.iter().map(|source| &*source.topic).collect();
        self.consumer
            .subscribe(&topics)
            .map_err(|error| ServiceError::Client(format!("subscribing: {error}")))
    }

    fn consume(&mut self) -> Result<(), ServiceError> {
        let mut wait = Duration::ZERO;
        while !self.with.is_ending() {
            match self.poll(wait)? {
                Polled::Something => wait = Duration::ZERO,
                Polled::Nothing => {
                    self.flush();
                    wait = TICK;
                }
            }
            self.rebalance()?;
            self.look_around()?;
        }
        Ok(())
    }

    /// Does what the group has told this member to.
    fn rebalance(&mut self) -> Result<(), ServiceError> {
        while let Some(rebalance) = self.consumer.context().rebalance() {
            match rebalance {
                Rebalance::Assign(partitions) => self.assigned(&partitions)?,
                Rebalance::Revoke(partitions) => self.revoked(&partitions)?,
            }
        }
        Ok(())
    }

    fn poll(&mut self, wait: Duration) -> Result<Polled, ServiceError> {
        match self.consumer.poll(wait) {
            None => return Ok(Polled::Nothing),
            Some(Ok(record)) => {
                crash_point!("poll.after");
                let timestamp = deliver(&mut self.lanes, &self.with.shared, &record);
                self.newest = self.newest.max(timestamp.unwrap_or(i64::MIN));
            }
            Some(Err(KafkaError::PartitionEOF(partition))) => self.ended(partition),
            Some(Err(error)) => self.failed(&error)?,
        }
        Ok(Polled::Something)
    }

    /// What is not about one record: notices, buffers, the group's offsets, time.
    fn look_around(&mut self) -> Result<(), ServiceError> {
        self.hear()?;
        self.claim_late()?;
        self.settle_rights()?;
        self.hold_back();
        if let Some((since, halt)) = &self.incomplete
            && since.elapsed() > self.with.shared.settings.session_timeout + GRACE
        {
            return Err(halt.clone().into());
        }
        if self.told.is_due(self.with.shared.settings.group_offset_interval) {
            self.tell_group(CommitMode::Async);
        }
        if self.retained.elapsed() >= retention::every(&self.with.shared.settings) {
            self.retained = Instant::now();
            self.retain();
        }
        if self.observed.elapsed() >= standing::TELL_EVERY {
            self.observed = Instant::now();
            self.tell_observer();
        }
        Ok(())
    }

    fn tell_observer(&self) {
        let figures = self.consumer.context().figures();
        let held = self
            .lanes
            .values()
            .map(|hold| (hold.lane, hold.buffered.load(Ordering::Relaxed)));
        // What waits for a lane that is not claimed yet nobody knows: it stands still all the same.
        let mut waiting = standing::standing(held, &figures);
        waiting.extend(self.unclaimed_lanes().map(|lane| (lane, true)));
        self.with.shared.observer.standing(&waiting, figures.connected);
    }

    fn hear(&mut self) -> Result<(), ServiceError> {
        if let Some(why) = self.publishing.borrow().clone() {
            return Err(Halt::Publishing(why).into());
        }
        let ended = self
            .lanes
            .values_mut()
            .find_map(|hold| hold.has_ended().then_some(hold.lane));
        match (self.with.notices.try_recv(), ended) {
            (Ok(Notice::Stop(error)), _) => Err(error),
            (Ok(Notice::Again(why)), _) => self.again(why),
            (Err(_), None) => Ok(()),
            (Err(_), Some(lane)) => Err(ServiceError::Internal(format!(
                "lane {lane} ended without a word; a defect"
            ))),
        }
    }

    /// Everything is claimed and assigned anew; the same hole thrice is a property of the topic. What a lane that is gone
    /// has to say counts no more.
    fn again(&mut self, why: Again) -> Result<(), ServiceError> {
        if self.lanes.is_empty() {
            return Ok(());
        }
        match why {
            Again::Hole(halt) => {
                let before = self
                    .hole
                    .take()
                    .filter(|(known, _)| *known == halt)
                    .map_or(0, |(_, times)| times);
                if before + 1 >= AGAIN_AT_MOST {
                    return Err(halt.into());
                }
                self.with
                    .shared
                    .observer
                    .trouble(None, &format!("assigning again: {halt}"));
                self.hole = Some((halt, before + 1));
            }
            Again::Fenced(_) => {
                self.fenced += 1;
                std::thread::sleep(jitter(TICK * self.fenced.min(20)));
            }
        }
        self.assign_again()
    }

    /// What lanes said before they were let go; only a stop still counts.
    fn forget_notices(&self) -> Result<(), ServiceError> {
        while let Ok(notice) = self.with.notices.try_recv() {
            if let Notice::Stop(error) = notice {
                return Err(error);
            }
        }
        Ok(())
    }

    /// All of a partition was read: what waits goes to its lane, and the position behind it.
    fn ended(&mut self, partition: i32) {
        let Some(hold) = self.lanes.get_mut(&partition) else {
            return;
        };
        let Ok(positions) = self.consumer.position() else {
            return;
        };
        for (index, source) in (0_u16..).zip(&self.with.shared.topology.sources) {
            let element = positions.find_partition(&source.topic, partition);
            if let Some(Offset::Offset(end)) = element.map(|element| element.offset()) {
                hold.end(index, NextOffset::at(end));
            }
        }
        hold.flush();
    }

    fn flush(&mut self) {
        self.lanes.values_mut().for_each(Hold::flush);
    }

    fn failed(&mut self, error: &KafkaError) -> Result<(), ServiceError> {
        if let KafkaError::MessageConsumptionFatal(code) = error {
            return self.fatal(*code);
        }
        match error.rdkafka_error_code() {
            Some(RDKafkaErrorCode::AutoOffsetReset) => self.check_positions(error),
            Some(RDKafkaErrorCode::NotImplemented) => Err(self.codec().into()),
            Some(RDKafkaErrorCode::TopicAuthorizationFailed) => self.refused_a_topic(error),
            Some(RDKafkaErrorCode::GroupAuthorizationFailed) => {
                let right = Right::group(Operation::Read, &*self.with.shared.topology.group_id);
                Err(access::forbidden(&self.with.connection.brokers, right))
            }
            _ => {
                self.complain(error);
                Ok(())
            }
        }
    }

    /// Says what is wrong with the connection once in a while: librdkafka says it many times a second, in turns.
    fn complain(&mut self, error: &KafkaError) {
        if self.complained.is_some_and(|when| when.elapsed() < COMPLAIN) {
            return;
        }
        let why = self.consumer.context().heard().why(error);
        let observer = &self.with.shared.observer;
        observer.trouble(None, &why.unwrap_or_else(|| error.to_string()));
        self.complained = Some(Instant::now());
    }
}

/// What a poll brought.
enum Polled {
    Something,
    Nothing,
}

/// How much longer than the session timeout another member may show before it counts as alive.
const GRACE: Duration = Duration::from_secs(3);

/// Hands a record to its lane; its timestamp, if a lane has taken it.
fn deliver<H: Handler, S: Store>(
    lanes: &mut BTreeMap<Lane, Hold>,
    shared: &Shared<H, S>,
    record: &BorrowedMessage<'_>,
) -> Option<i64> {
    let hold = lanes.get_mut(&record.partition())?;
    let source = shared.topology.index_of(record.topic())?;
    let fetched = detach(source, record);
    let timestamp = fetched.timestamp;
    hold.push(fetched, &shared.buffered);
    Some(timestamp)
}

/// A wait of at most `wait`, drawn so that two who collide do not collide again.
fn jitter(wait: Duration) -> Duration {
    let nanos = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .map_or(0, |now| now.subsec_nanos());
    wait / 2 + wait * (nanos % 1_000) / 2_000
}
