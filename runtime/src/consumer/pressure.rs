//! Keeping what is fetched and not yet handled within bounds.

use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::KafkaResult;
use rdkafka::topic_partition_list::TopicPartitionList;

use super::context::Context;
use super::{Edge, Hold};
use crate::handler::Handler;
use crate::store::Store;

/// How long the buffers may stay full before the partitions are paused: a busy moment is not worth a fetch again.
const FULL_FOR: Duration = Duration::from_secs(2);

/// How long the loop sleeps while the buffers are full, before it looks again.
const FULL_WAIT: Duration = Duration::from_millis(2);

impl<H: Handler, S: Store> Edge<H, S> {
    /// While more is fetched than handled, first wait a moment, then pause; and go on when half is handled.
    pub(super) fn hold_back(&mut self) {
        for hold in self.lanes.values_mut() {
            hold.hold_back(&self.consumer, &self.with.shared);
        }
        let (bytes, limit) = (
            self.with.shared.buffered.bytes(),
            self.with.shared.settings.buffered_bytes,
        );
        if self.paused {
            if bytes < limit / 2 {
                self.paused = false;
                // A lane paused on its own account is resumed too, and paused again if it is still full.
                self.lanes.values_mut().for_each(Hold::resumed);
                self.all_partitions(BaseConsumer::resume);
            }
            return;
        }
        if bytes < limit {
            self.full_since = None;
            return;
        }
        self.flush();
        let since = *self.full_since.get_or_insert_with(Instant::now);
        if since.elapsed() > FULL_FOR {
            self.paused = true;
            self.all_partitions(BaseConsumer::pause);
        } else {
            std::thread::sleep(FULL_WAIT);
        }
    }

    /// Of the lanes that are consumed: what is not stays paused.
    fn all_partitions(&self, act: fn(&BaseConsumer<Context>, &TopicPartitionList) -> KafkaResult<()>) {
        let mut partitions = TopicPartitionList::new();
        for lane in self.lanes.keys() {
            for source in &self.with.shared.topology.sources {
                partitions.add_partition(&source.topic, *lane);
            }
        }
        if let Err(error) = act(&self.consumer, &partitions) {
            self.with
                .shared
                .observer
                .trouble(None, &format!("holding partitions back: {error}"));
        }
    }
}
