//! A lane as the consumer thread holds it: where its records go, and how to end it.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::topic_partition_list::TopicPartitionList;
use tokio::sync::{mpsc, watch};

use super::context::Context;
use super::life::Life;
use crate::lane::Delivery;
use crate::record::{Fetched, NextOffset};
use crate::shared::{Buffered, LaneBuffer, Shared};
use crate::store::Lane;

/// Records handed to a lane at once at most: hand-over costs once per this many.
const HAND_OVER: usize = 256;

pub(super) struct Hold {
    pub(super) lane: Lane,
    pub(super) deliveries: mpsc::UnboundedSender<Delivery>,
    pub(super) drain: watch::Sender<bool>,
    /// `None` once it was waited for.
    life: Option<Life>,
    pub(super) buffered: Arc<AtomicUsize>,
    waiting: Vec<Fetched>,
    /// Behind the last record or end handed over, per source.
    reached: Vec<NextOffset>,
    paused: bool,
}

impl Hold {
    pub(super) fn new(
        lane: Lane,
        deliveries: mpsc::UnboundedSender<Delivery>,
        drain: watch::Sender<bool>,
        life: Life,
        (buffered, positions): (Arc<AtomicUsize>, Vec<NextOffset>),
    ) -> Self {
        Self {
            lane,
            deliveries,
            drain,
            life: Some(life),
            buffered,
            waiting: Vec::new(),
            reached: positions,
            paused: false,
        }
    }

    /// Waits for the lane to drain, then makes sure that it does nothing any more.
    pub(super) async fn finish(&mut self, patience: Duration) {
        if let Some(life) = self.life.take() {
            life.finish(patience).await;
        }
    }

    /// Whether the lane has ended without being asked to.
    pub(super) fn has_ended(&mut self) -> bool {
        self.life.as_mut().is_some_and(Life::is_over)
    }

    pub(super) fn push(&mut self, record: Fetched, all: &Buffered) {
        LaneBuffer::new(all, &self.buffered).add(record.size());
        self.reached[usize::from(record.source)] = NextOffset::after(record.offset);
        self.waiting.push(record);
        if self.waiting.len() >= HAND_OVER {
            self.flush();
        }
    }

    /// The end of one source's partition; said only where it lies behind the last record.
    pub(super) fn end(&mut self, source: u16, end: NextOffset) {
        let reached = &mut self.reached[usize::from(source)];
        if end > *reached {
            *reached = end;
            self.flush();
            self.send(Delivery::End(source, end));
        }
    }

    /// Behind the last record or end handed over, in the order of the sources.
    pub(super) fn reached(&self) -> &[NextOffset] {
        &self.reached
    }

    pub(super) fn flush(&mut self) {
        if !self.waiting.is_empty() {
            let records = std::mem::take(&mut self.waiting);
            self.send(Delivery::Records(records));
        }
    }

    /// A lane that ended by itself has said why; what still comes for it is not lost, it is not handled yet.
    fn send(&self, delivery: Delivery) {
        let _ended = self.deliveries.send(delivery);
    }

    /// Pauses a lane that has filled its `room`, bytes, so that it does not take that of the others; resumes it when half of it
    /// is free.
    pub(super) fn hold_back<H, S>(&mut self, consumer: &BaseConsumer<Context>, shared: &Shared<H, S>, room: usize) {
        let bytes = self.buffered.load(Ordering::Relaxed);
        let change = if self.paused {
            bytes < room.div_ceil(2)
        } else {
            bytes >= room
        };
        if !change {
            return;
        }
        self.flush();
        self.paused = !self.paused;
        let mut partitions = TopicPartitionList::new();
        for source in &shared.topology.sources {
            partitions.add_partition(&source.topic, self.lane);
        }
        let done = if self.paused {
            consumer.pause(&partitions)
        } else {
            consumer.resume(&partitions)
        };
        if let Err(error) = done {
            shared
                .observer
                .trouble(Some(self.lane), &format!("holding it back: {error}"));
        }
    }

    /// The lane is over: what it had not handled is nobody's any more.
    pub(super) fn forget(&self, all: &Buffered) {
        LaneBuffer::new(all, &self.buffered).clear();
    }
}
