//! What the group is told of positions. Nothing relies on it but the check for the right database: lag tools show it, and
//! who waits for a record to be handled asks for it.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use rdkafka::consumer::{CommitMode, Consumer};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use super::Edge;
use crate::handler::Handler;
use crate::record::NextOffset;
use crate::store::{Lane, Store};

/// Positions by source and lane.
pub(super) type Positions = BTreeMap<(u16, Lane), NextOffset>;

/// What the group was told last of the lanes that are held.
pub(super) struct Told {
    positions: Positions,
    /// How often it was told anything, up to [`ALL_IN`].
    times: u32,
    at: Instant,
}

/// Of so many times that the group is told, one tells it all: what it did not take is told to nobody, since rdkafka does not
/// call back for the outcome of a commit that nobody waits for. By default that is every ten seconds.
const ALL_IN: u32 = 20;

impl<H: Handler, S: Store> Edge<H, S> {
    /// Tells the group how far lanes have got since it was told last, and once in a while how far they are at all.
    pub(super) fn tell_group(&mut self, mode: CommitMode) {
        let mut news = self.with.shared.positions.take();
        news.retain(|(_, lane), _| self.lanes.contains_key(lane));
        for (place, next) in &news {
            // A lane tells first where it begins: only one that got on has its place to itself.
            if self.positions.insert(*place, *next).is_none_or(|known| known < *next) {
                self.fenced = 0;
            }
        }
        self.told.retain(|lane| self.lanes.contains_key(&lane));
        let telling = self.told.say(&news);
        if telling.is_empty() {
            return;
        }
        let mut offsets = TopicPartitionList::with_capacity(telling.len());
        for ((source, lane), next) in telling {
            let topic = &self.with.shared.topology.source(*source).topic;
            let _known = offsets.add_partition_offset(topic, *lane, Offset::Offset(next.get()));
        }
        if let Err(error) = self.consumer.commit(&offsets, mode) {
            tracing::debug!(%error, "the group was not told the positions");
        }
    }
}

impl Told {
    /// Nothing, as of now.
    pub(super) fn nothing() -> Self {
        Self {
            positions: Positions::new(),
            times: 0,
            at: Instant::now(),
        }
    }

    /// Whether the group was told last so long ago. Then the time begins anew.
    pub(super) fn is_due(&mut self, every: Duration) -> bool {
        let due = self.at.elapsed() >= every;
        if due {
            self.at = Instant::now();
        }
        due
    }

    /// Forgets what the group was told of other lanes.
    pub(super) fn retain(&mut self, is_kept: impl Fn(Lane) -> bool) {
        self.positions.retain(|(_, lane), _| is_kept(*lane));
    }

    /// What is to be told now: the news, or once in a while everything.
    fn say<'a>(&'a mut self, news: &'a Positions) -> &'a Positions {
        self.positions.extend(news);
        self.times = (self.times + 1) % ALL_IN;
        if self.times == 0 { &self.positions } else { news }
    }
}
