//! The group gives and takes in parts, under `group.protocol=consumer`: what is neither given nor taken goes on.

use std::collections::BTreeSet;

use rdkafka::consumer::{CommitMode, Consumer};
use rdkafka::error::KafkaResult;
use rdkafka::topic_partition_list::TopicPartitionList;

use super::Edge;
use super::assignment::client;
use super::context::Rebalance;
use crate::crash_point;
use crate::error::ServiceError;
use crate::handler::Handler;
use crate::settings::GroupProtocol;
use crate::store::{Lane as Number, Store};

impl<H: Handler, S: Store> Edge<H, S> {
    /// Whether the group speaks this protocol.
    pub(super) fn in_parts(&self) -> bool {
        self.with.shared.settings.group_protocol == GroupProtocol::Consumer
    }

    /// The group gives these partitions besides what this member has. A lane that is whole now is claimed; what was there
    /// of it was paused at no position, and is assigned anew at its own.
    pub(super) fn given(&mut self, partitions: &BTreeSet<(String, i32)>) -> Result<(), ServiceError> {
        let held = self.held()?;
        let mut all = held.clone();
        all.extend(partitions.iter().cloned());
        let mut lanes = self.whole_lanes(&all)?;
        lanes.retain(|lane| !self.lanes.contains_key(lane));
        let claimed = self.claim_or_wait(&lanes)?.unwrap_or_else(|| {
            // They stay as they are until they can be claimed.
            lanes.clear();
            Vec::new()
        });
        let again: BTreeSet<_> = held.iter().filter(|(_, lane)| lanes.contains(lane)).cloned().collect();
        if !again.is_empty() {
            self.take_out(&again)
                .map_err(|error| client("assigning again", &error))?;
        }
        let fresh = all
            .into_iter()
            .filter(|place| again.contains(place) || !held.contains(place));
        self.take_up(&fresh.collect(), claimed)
    }

    /// The group takes these partitions. Their lanes end, and what is left of a lane waits, paused, for the rest of it.
    pub(super) fn taken(&mut self, partitions: &BTreeSet<(String, i32)>) -> Result<(), ServiceError> {
        crash_point!("revoke.before");
        let lost = self.consumer.assignment_lost();
        let lanes: BTreeSet<Number> = partitions.iter().map(|(_, lane)| *lane).collect();
        self.let_go_of(&lanes, lost);
        if !lost {
            self.tell_group(CommitMode::Sync);
        }
        self.lanes.retain(|lane, _| !lanes.contains(lane));
        self.positions.retain(|(_, lane), _| !lanes.contains(lane));
        let held = self.held()?;
        let (taken, left): (BTreeSet<_>, BTreeSet<_>) = held
            .into_iter()
            .filter(|(_, lane)| lanes.contains(lane))
            .partition(|place| partitions.contains(place));
        self.consumer
            .pause(&listed(&left))
            .map_err(|error| client("pausing", &error))?;
        self.take_out(&taken)
            .map_err(|error| client("letting partitions go", &error))
    }

    /// Adds to what this member consumes, or says what it is, as the protocol has it. An empty list is an answer too.
    pub(super) fn put_in(&self, partitions: &TopicPartitionList) -> KafkaResult<()> {
        if self.in_parts() {
            self.consumer.incremental_assign(partitions)
        } else {
            self.consumer.assign(partitions)
        }
    }

    /// Lets these partitions go, or all of them, as the protocol has it.
    pub(super) fn take_out(&self, partitions: &BTreeSet<(String, i32)>) -> KafkaResult<()> {
        if self.in_parts() {
            self.consumer.incremental_unassign(&listed(partitions))
        } else {
            self.consumer.unassign()
        }
    }

    /// Answers what the group asked for at the last moment: a question that stays open keeps this member from leaving.
    pub(super) fn answer_the_rest(&self) {
        while let Some(asked) = self.consumer.context().rebalance() {
            let answered = match asked {
                Rebalance::Assign(_) => self.put_in(&TopicPartitionList::new()),
                Rebalance::Revoke(partitions) => self.take_out(&partitions),
            };
            if let Err(error) = answered {
                tracing::debug!(%error, "the group's last question");
            }
        }
    }

    /// All partitions this member has.
    pub(super) fn held(&self) -> Result<BTreeSet<(String, i32)>, ServiceError> {
        let current = self.consumer.assignment();
        let current = current.map_err(|error| client("the assignment", &error))?;
        let named = current
            .elements()
            .into_iter()
            .map(|element| (element.topic().to_owned(), element.partition()));
        Ok(named.collect())
    }
}

fn listed(partitions: &BTreeSet<(String, i32)>) -> TopicPartitionList {
    let mut list = TopicPartitionList::with_capacity(partitions.len());
    for (topic, partition) in partitions {
        list.add_partition(topic, *partition);
    }
    list
}
