//! What happens when the group gives and takes lanes (rules 6, 7 and 12).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::{Duration, Instant};

use rdkafka::consumer::Consumer;
use rdkafka::error::KafkaError;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use tokio::sync::{mpsc, watch};

use super::checks::{self, Standing, Watermarks};
use super::life::Life;
use super::{Edge, Hold};
use crate::crash_point;
use crate::effects::Executor;
use crate::error::{Halt, ServiceError};
use crate::handler::Handler;
use crate::lane::{Equipment, Lane, TIMERS_HELD, load_effects};
use crate::record::NextOffset;
use crate::settings::StartAt;
use crate::store::{Claim, Lane as Number, Start, Store, StoreError};
use crate::topology::Source;

/// How long a database may be away while lanes are claimed; the group waits meanwhile.
const CLAIM_PATIENCE: Duration = Duration::from_mins(1);
const CLAIM_RETRY: Duration = Duration::from_millis(200);

impl<H: Handler, S: Store> Edge<H, S> {
    /// The group gives these partitions. Whole lanes are claimed and consumed; anything less is assigned and paused, for
    /// left out of the list it would hang the group.
    pub(super) fn assigned(&mut self, partitions: &BTreeSet<(String, i32)>) -> Result<(), ServiceError> {
        if self.in_parts() {
            return self.given(partitions);
        }
        self.lost = false;
        self.let_go(true);
        self.check_subscription(partitions)?;
        let lanes = self.whole_lanes(partitions)?;
        self.note_completeness(lanes.len());
        let consumed = if self.incomplete.is_some() {
            BTreeSet::new()
        } else {
            lanes
        };
        let claims = self.claim(&consumed)?;
        self.crowded = false;
        self.positions.clear();
        self.take_up(partitions, &claims)
    }

    /// The group takes these partitions, which are all there are unless it takes in parts.
    pub(super) fn revoked(&mut self, partitions: &BTreeSet<(String, i32)>) -> Result<(), ServiceError> {
        if self.in_parts() {
            return self.taken(partitions);
        }
        crash_point!("revoke.before");
        let lost = self.consumer.assignment_lost();
        self.lost = lost;
        self.let_go(lost);
        if !lost {
            self.tell_group(rdkafka::consumer::CommitMode::Sync);
        }
        self.lanes.clear();
        self.incomplete = None;
        self.consumer
            .unassign()
            .map_err(|error| ServiceError::Client(format!("letting partitions go: {error}")))
    }

    /// The same partitions once more: claimed anew, from where the database stands.
    pub(super) fn assign_again(&mut self) -> Result<(), ServiceError> {
        let partitions = self.held()?;
        self.let_go(false);
        self.forget_notices()?;
        self.lanes.clear();
        self.take_out(&partitions)
            .map_err(|error| client("assigning again", &error))?;
        self.assigned(&partitions)
    }

    /// Ends all lanes.
    pub(super) fn let_go(&mut self, lost: bool) {
        let all = self.lanes.keys().copied().collect();
        self.let_go_of(&all, lost);
    }

    /// Ends lanes: after a drain, or at once when they are another's already.
    pub(super) fn let_go_of(&mut self, lanes: &BTreeSet<Number>, lost: bool) {
        let numbers: Vec<_> = self.lanes.keys().copied().filter(|lane| lanes.contains(lane)).collect();
        if numbers.is_empty() {
            return;
        }
        self.with.shared.observer.revoked(&numbers, lost);
        let until = Instant::now()
            + if lost {
                Duration::ZERO
            } else {
                self.with.shared.settings.drain
            };
        let mut ending: Vec<_> = self
            .lanes
            .values_mut()
            .filter(|hold| lanes.contains(&hold.lane))
            .collect();
        for hold in &ending {
            hold.drain.send_replace(true);
        }
        for hold in &mut ending {
            let left = until.saturating_duration_since(Instant::now());
            self.with.runtime.block_on(hold.finish(left));
            hold.forget(&self.with.shared.buffered);
            self.with.shared.flood.forget(hold.lane);
        }
        if lost {
            self.lanes.retain(|lane, _| !lanes.contains(lane));
        }
    }

    /// A restarted static member gets the assignment it had, with topics it no longer wants and without new ones; to
    /// subscribe once more mends that.
    fn check_subscription(&mut self, partitions: &BTreeSet<(String, i32)>) -> Result<(), ServiceError> {
        let topology = &self.with.shared.topology;
        let given: BTreeSet<&str> = partitions.iter().map(|(topic, _)| topic.as_str()).collect();
        let wanted: BTreeSet<&str> = topology.sources.iter().map(|source| &*source.topic).collect();
        if given.is_empty() || given == wanted || std::mem::replace(&mut self.resubscribed, true) {
            return Ok(());
        }
        self.subscribe()
    }

    /// The lanes of which every partition was given.
    pub(super) fn whole_lanes(&self, partitions: &BTreeSet<(String, i32)>) -> Result<BTreeSet<Number>, ServiceError> {
        let topology = &self.with.shared.topology;
        let mut held: BTreeMap<Number, usize> = BTreeMap::new();
        for (topic, partition) in partitions {
            if *partition >= topology.lanes() {
                let counted = topology.lanes();
                return Err(Halt::TopicGrown(format!(
                    "{topic} has a partition {partition}, this group began with {counted}: stop producing, read to the \
                     end, then move the group to topics of the new count"
                ))
                .into());
            }
            if topology.index_of(topic).is_some() {
                *held.entry(*partition).or_default() += 1;
            }
        }
        held.retain(|_, count| *count == topology.sources.len());
        Ok(held.into_keys().collect())
    }

    /// A database for one process means that everything is this member's, or there is another one (rule 12).
    fn note_completeness(&mut self, got: usize) {
        let all = usize::try_from(self.with.shared.topology.lanes()).unwrap_or(0);
        if !self.with.identity.exclusive || got == all {
            self.incomplete = None;
            return;
        }
        let halt = Halt::SecondMember { got, all };
        self.with
            .shared
            .observer
            .trouble(None, &format!("waiting: {halt}, or was just killed"));
        let since = self.incomplete.take().map_or_else(Instant::now, |(since, _)| since);
        self.incomplete = Some((since, halt));
    }

    /// Claims lanes and says where each of their partitions stands, after looking whether the topics agree.
    pub(super) fn claim(&mut self, lanes: &BTreeSet<Number>) -> Result<Vec<(Claim, Vec<NextOffset>)>, ServiceError> {
        if lanes.is_empty() {
            return Ok(Vec::new());
        }
        let numbers: Vec<_> = lanes.iter().copied().collect();
        crash_point!("claim.before");
        let claims = self.patiently(|| self.with.shared.store.claim(&numbers))?;
        crash_point!("claim.after");
        let standings: Vec<_> = claims.iter().flat_map(|claim| self.standings(claim)).collect();
        self.check_database(&standings)?;
        let marks = checks::records_are_there(&self.consumer, &standings)?;
        let per_lane = self.with.shared.topology.sources.len();
        let mut positioned = Vec::with_capacity(claims.len());
        for (at, claim) in claims.into_iter().enumerate() {
            let range = at * per_lane..(at + 1) * per_lane;
            let positions = self.positions(&claim, &standings[range.clone()], &marks[range])?;
            positioned.push((claim, positions));
        }
        Ok(positioned)
    }

    fn standings(&self, claim: &Claim) -> Vec<Standing> {
        let held = |topic: &str| {
            claim
                .progress
                .iter()
                .find(|p| &*p.topic == topic)
                .map(|p| p.next_offset)
        };
        let standing = |topic: &Arc<str>| Standing {
            topic: topic.to_string(),
            partition: claim.at.owner.lane,
            held: held(topic),
        };
        self.with
            .shared
            .topology
            .sources
            .iter()
            .map(|source| standing(&source.topic))
            .collect()
    }

    fn check_database(&self, standings: &[Standing]) -> Result<(), ServiceError> {
        if self.with.shared.settings.adopt_database {
            return Ok(());
        }
        let committed = checks::committed(&self.consumer, standings)
            .map_err(|error| client("asking for the group's offsets", &error))?;
        Ok(checks::right_database(
            standings,
            &committed,
            &self.with.identity.location,
        )?)
    }

    /// Where each source of a lane goes on; a partition never seen is recorded first.
    fn positions(
        &self,
        claim: &Claim,
        standings: &[Standing],
        marks: &[Watermarks],
    ) -> Result<Vec<NextOffset>, ServiceError> {
        let mut starts = Vec::new();
        let mut positions = Vec::with_capacity(standings.len());
        for (standing, marks) in standings.iter().zip(marks) {
            if let Some(held) = standing.held {
                positions.push(held);
                continue;
            }
            let at = self.first(standing, *marks)?;
            starts.push(Start {
                topic: standing.topic.as_str().into(),
                at,
            });
            positions.push(at);
        }
        if !starts.is_empty() {
            self.patiently(|| self.with.shared.store.start_at(claim.at.owner, &starts))?;
        }
        Ok(positions)
    }

    /// Where a partition never seen before starts.
    fn first(&self, standing: &Standing, marks: Watermarks) -> Result<NextOffset, ServiceError> {
        let offset = match self.with.shared.settings.start {
            StartAt::Earliest => marks.low,
            StartAt::Latest => marks.high,
            StartAt::Since(millis) => checks::first_since(&self.consumer, standing, millis)
                .map_err(|error| client("asking for the first offset of a time", &error))?
                .unwrap_or(marks.high),
        };
        Ok(NextOffset::at(offset))
    }

    /// Tells librdkafka all offsets in one list, and starts the lanes.
    pub(super) fn take_up(
        &mut self,
        partitions: &BTreeSet<(String, i32)>,
        claims: &[(Claim, Vec<NextOffset>)],
    ) -> Result<(), ServiceError> {
        let topology = &self.with.shared.topology;
        let mut given = TopicPartitionList::with_capacity(partitions.len());
        let mut idle = TopicPartitionList::new();
        for (topic, partition) in partitions {
            let lane = claims.iter().find(|(claim, _)| claim.at.owner.lane == *partition);
            let position = lane
                .zip(topology.index_of(topic))
                .map(|((_, at), source)| at[usize::from(source)]);
            let offset = position.map_or(Offset::End, |position| Offset::Offset(position.get()));
            given
                .add_partition_offset(topic, *partition, offset)
                .map_err(|error| client("assigning", &error))?;
            if position.is_none() {
                idle.add_partition(topic, *partition);
            }
        }
        // A pause outlives the assignment it was made in.
        self.consumer
            .resume(&given)
            .map_err(|error| client("resuming", &error))?;
        self.put_in(&given).map_err(|error| client("assigning", &error))?;
        if idle.count() > 0 {
            self.consumer.pause(&idle).map_err(|error| client("pausing", &error))?;
        }
        for (claim, positions) in claims {
            let lane = claim.at.owner.lane;
            self.positions
                .extend((0..).zip(positions).map(|(source, at)| ((source, lane), *at)));
            if claim.published + 1 >= claim.next_sequence {
                // So that lag tools show it before anything was handled.
                let known = (0..).zip(positions.iter().copied()).collect();
                self.with.shared.positions.advance(lane, known);
            }
            let hold = self.start(claim.clone(), positions.clone())?;
            self.lanes.insert(lane, hold);
        }
        let numbers: Vec<_> = self.lanes.keys().copied().collect();
        self.with.shared.observer.assigned(&numbers);
        crash_point!("assign.after");
        Ok(())
    }

    fn start(&self, claim: Claim, positions: Vec<NextOffset>) -> Result<Hold, ServiceError> {
        let number = claim.at.owner.lane;
        let shared = &self.with.shared;
        let mut executor = Executor::open(number, self.with.callers.clone(), Vec::new());
        let effects = self.patiently(|| load_effects(&shared.store, number, &executor))?;
        executor.reload(effects);
        let timers = self.patiently(|| shared.store.timers(number, TIMERS_HELD))?;
        let (deliveries, receiver) = mpsc::unbounded_channel();
        let (drain, draining) = watch::channel(false);
        let buffered = Arc::new(AtomicUsize::new(0));
        let lane = Lane::claimed(
            Arc::clone(shared),
            Equipment {
                relay: shared.relay.open(number, claim.published + 1),
                claim,
                positions: positions.clone(),
                executor,
                timers,
                deliveries: receiver,
                buffered: Arc::clone(&buffered),
                drain: draining,
            },
        );
        let life = Life::start(&self.home, lane.live());
        Ok(Hold::new(number, deliveries, drain, life, (buffered, positions)))
    }

    /// After a reset of offsets that names nobody: which partition is it (rule 6).
    pub(super) fn check_positions(&self) -> Result<(), ServiceError> {
        checks::records_are_there(&self.consumer, &self.standings_now())?;
        Err(ServiceError::Client(
            "a partition has no record at this group's position any more".to_owned(),
        ))
    }

    /// Behind what was handed to the lanes. The client itself knows no position of a partition that has given nothing yet.
    pub(super) fn standings_now(&self) -> Vec<Standing> {
        let sources = &self.with.shared.topology.sources;
        let of = |hold: &Hold| {
            let partition = hold.lane;
            let standing = move |(source, reached): (&Source, &NextOffset)| Standing {
                topic: source.topic.to_string(),
                partition,
                held: Some(*reached),
            };
            sources.iter().zip(hold.reached()).map(standing).collect::<Vec<_>>()
        };
        self.lanes.values().flat_map(of).collect()
    }

    /// Asks the database until it answers, for as long as the group can wait.
    fn patiently<T, F>(&self, ask: impl Fn() -> F) -> Result<T, ServiceError>
    where
        F: Future<Output = Result<T, StoreError>>,
    {
        let until = Instant::now() + CLAIM_PATIENCE;
        let mut said = String::new();
        loop {
            match self.with.runtime.block_on(ask()) {
                Ok(answer) => return Ok(answer),
                Err(StoreError::Unavailable(why)) if Instant::now() < until && !*self.with.shutdown.borrow() => {
                    if why != said {
                        self.with.shared.observer.trouble(None, &why);
                        said = why;
                    }
                    std::thread::sleep(CLAIM_RETRY);
                }
                Err(error) => return Err(error.into()),
            }
        }
    }
}

pub(super) fn client(what: &str, error: &KafkaError) -> ServiceError {
    ServiceError::Client(format!("{what}: {error}"))
}
