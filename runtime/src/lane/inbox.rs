//! What the consumer thread has sent and the lane has not taken up.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::AtomicUsize;

use tokio::sync::mpsc;

use super::Delivery;
use crate::record::{Fetched, NextOffset};
use crate::shared::{Buffered, LaneBuffer};

/// What has been fetched for the lane and not yet taken up.
pub(super) struct Inbox {
    deliveries: mpsc::UnboundedReceiver<Delivery>,
    waiting: VecDeque<Item>,
    bytes: Arc<AtomicUsize>,
}

pub(super) enum Item {
    Record(Fetched),
    End(u16, NextOffset),
}

impl Inbox {
    pub(super) fn new(deliveries: mpsc::UnboundedReceiver<Delivery>, bytes: Arc<AtomicUsize>) -> Self {
        Self {
            deliveries,
            waiting: VecDeque::new(),
            bytes,
        }
    }

    pub(super) fn next(&mut self) -> Option<Item> {
        while self.waiting.is_empty() {
            let delivery = self.deliveries.try_recv().ok()?;
            self.store(delivery);
        }
        self.waiting.pop_front()
    }

    /// A record that cannot be taken yet stays the next one.
    pub(super) fn put_back(&mut self, record: Fetched) {
        self.waiting.push_front(Item::Record(record));
    }

    /// Until there is something to take; for ever once nothing can come any more.
    pub(super) async fn arrival(&mut self) {
        if !self.waiting.is_empty() {
            return;
        }
        match self.deliveries.recv().await {
            Some(delivery) => self.store(delivery),
            None => std::future::pending().await,
        }
    }

    fn store(&mut self, delivery: Delivery) {
        match delivery {
            Delivery::Records(records) => self.waiting.extend(records.into_iter().map(Item::Record)),
            Delivery::End(source, end) => self.waiting.push_back(Item::End(source, end)),
        }
    }

    /// So many bytes are handled.
    pub(super) fn release(&self, all: &Buffered, bytes: usize) {
        LaneBuffer::new(all, &self.bytes).remove(bytes);
    }
}
