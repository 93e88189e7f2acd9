//! What happens when the group gives and takes lanes (rules 6, 7 and 12).

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;
use std::time::{Duration, Instant};

use rdkafka::consumer::Consumer;
use rdkafka::error::KafkaError;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use tokio::sync::{mpsc, watch};

use super::checks::{self, Standing};
use super::claims::Claimed;
use super::life::Life;
use super::{Edge, Hold};
use crate::crash_point;
use crate::error::{Halt, ServiceError};
use crate::handler::Handler;
use crate::lane::{Equipment, Lane};
use crate::record::NextOffset;
use crate::store::{Lane as Number, Store};
use crate::topology::Source;

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
        let claimed = self.claim_or_wait(&consumed)?;
        self.crowded = false;
        self.positions.clear();
        self.take_up(partitions, claimed.unwrap_or_default())
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
        self.unclaimed = None;
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

    /// A restarted static member gets the assignment it had, with topics it no longer wants, and without new ones and new
    /// partitions; to subscribe once more mends that.
    fn check_subscription(&mut self, partitions: &BTreeSet<(String, i32)>) -> Result<(), ServiceError> {
        let topology = &self.with.shared.topology;
        let given: BTreeSet<&str> = partitions.iter().map(|(topic, _)| topic.as_str()).collect();
        let wanted: BTreeSet<&str> = topology.sources.iter().map(|source| &*source.topic).collect();
        let all = wanted.len() * usize::try_from(topology.lanes()).unwrap_or(0);
        let is_short = self.with.identity.exclusive && partitions.len() < all;
        let is_fine = given.is_empty() || given == wanted && !is_short;
        if is_fine || std::mem::replace(&mut self.resubscribed, true) {
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
                    "{topic} has a partition {partition}, and had {counted} partitions when this member began: a key's \
                     records would be on two partitions"
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

    /// Tells librdkafka all offsets in one list, and starts the lanes.
    pub(super) fn take_up(
        &mut self,
        partitions: &BTreeSet<(String, i32)>,
        claimed: Vec<Claimed>,
    ) -> Result<(), ServiceError> {
        let topology = &self.with.shared.topology;
        let mut given = TopicPartitionList::with_capacity(partitions.len());
        let mut idle = TopicPartitionList::new();
        for (topic, partition) in partitions {
            let lane = claimed.iter().find(|lane| lane.number() == *partition);
            let position = lane
                .zip(topology.index_of(topic))
                .map(|(lane, source)| lane.positions[usize::from(source)]);
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
        for lane in claimed {
            let number = lane.number();
            let positions = (0..).zip(lane.positions.iter().copied());
            self.positions
                .extend(positions.clone().map(|(source, at)| ((source, number), at)));
            // It says itself where it is: another member may have taken it further meanwhile.
            self.told.retain(|told| told != number);
            if lane.claim.published + 1 >= lane.claim.next_sequence {
                // So that lag tools show it before anything was handled.
                self.with.shared.positions.advance(number, positions.collect());
            }
            let hold = self.start(lane);
            self.lanes.insert(number, hold);
        }
        let numbers: Vec<_> = self.lanes.keys().copied().collect();
        self.with.shared.observer.assigned(&numbers);
        crash_point!("assign.after");
        Ok(())
    }

    fn start(&self, claimed: Claimed) -> Hold {
        let (number, positions) = (claimed.number(), claimed.positions);
        let shared = &self.with.shared;
        let (deliveries, receiver) = mpsc::unbounded_channel();
        let (drain, draining) = watch::channel(false);
        let buffered = Arc::new(AtomicUsize::new(0));
        let lane = Lane::claimed(
            Arc::clone(shared),
            Equipment {
                relay: shared.relay.open(number, claimed.claim.published + 1),
                claim: claimed.claim,
                positions: positions.clone(),
                executor: claimed.executor,
                timers: claimed.timers,
                deliveries: receiver,
                buffered: Arc::clone(&buffered),
                drain: draining,
            },
        );
        let life = Life::start(&self.home, lane.live());
        Hold::new(number, deliveries, drain, life, (buffered, positions))
    }

    /// After a reset of offsets that names nobody: which partition is it (rule 6). Where the ends of all partitions admit the
    /// positions, the log was cut and has grown again since, which the client knows by the epochs of its leaders. A new
    /// client would not, and would pass over what was written in the place of what was read.
    pub(super) fn check_positions(&self, error: &KafkaError) -> Result<(), ServiceError> {
        checks::records_are_there(&self.consumer, &self.standings_now(), &|waited| {
            self.asks_patiently(waited)
        })?;
        let said = self.consumer.context().heard().failure();
        Err(Halt::Diverged(said.unwrap_or_else(|| error.to_string())).into())
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
}

pub(super) fn client(what: &str, error: &KafkaError) -> ServiceError {
    ServiceError::Client(format!("{what}: {error}"))
}
