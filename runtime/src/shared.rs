//! What all lanes of a service share.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, mpsc};

use crate::dependency::Dependencies;
use crate::error::{Halt, ServiceError};
use crate::flood::FloodGauge;
use crate::observer::Observer;
use crate::record::NextOffset;
use crate::relay::Relay;
use crate::settings::Settings;
use crate::store::Lane;
use crate::topology::Topology;

/// One service in one process: its decisions, its database and everything the lanes report to.
pub(crate) struct Shared<H, S> {
    pub(crate) handler: H,
    pub(crate) store: S,
    pub(crate) settings: Settings,
    pub(crate) topology: Topology,
    pub(crate) observer: Arc<dyn Observer>,
    pub(crate) dependencies: Arc<dyn Dependencies>,
    pub(crate) relay: Relay,
    pub(crate) flood: FloodGauge,
    pub(crate) positions: GroupPositions,
    pub(crate) buffered: Buffered,
    pub(crate) notices: mpsc::Sender<Notice>,
}

/// What a lane tells the consumer thread.
#[derive(Debug)]
pub(crate) enum Notice {
    /// Claim and assign again: the lane was fenced, or records came from elsewhere than its position.
    Again(Again),
    /// Stop the service.
    Stop(ServiceError),
}

/// Why an assignment is made again.
#[derive(Debug)]
pub(crate) enum Again {
    /// Another owner claimed the lane.
    Fenced(Lane),
    /// Records are missing before the one that came.
    Hole(Halt),
}

/// Positions that are durable and whose facts are published: what the group may be told.
#[derive(Debug, Default)]
pub(crate) struct GroupPositions(Mutex<BTreeMap<(u16, Lane), NextOffset>>);

impl GroupPositions {
    pub(crate) fn advance(&self, lane: Lane, positions: BTreeMap<u16, NextOffset>) {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        known.extend(positions.into_iter().map(|(source, next)| ((source, lane), next)));
    }

    /// What was advanced since the last call.
    pub(crate) fn take(&self) -> BTreeMap<(u16, Lane), NextOffset> {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

/// Bytes fetched and not yet handled, over all lanes.
#[derive(Debug, Default)]
pub(crate) struct Buffered(AtomicUsize);

impl Buffered {
    pub(crate) fn bytes(&self) -> usize {
        self.0.load(Ordering::Relaxed)
    }
}

/// One lane's part of [`Buffered`]; gives it back when the lane ends, whatever was left in it.
#[derive(Debug)]
pub(crate) struct LaneBuffer<'a> {
    all: &'a Buffered,
    mine: &'a AtomicUsize,
}

impl<'a> LaneBuffer<'a> {
    pub(crate) fn new(all: &'a Buffered, mine: &'a AtomicUsize) -> Self {
        Self { all, mine }
    }

    pub(crate) fn add(&self, bytes: usize) {
        self.all.0.fetch_add(bytes, Ordering::Relaxed);
        self.mine.fetch_add(bytes, Ordering::Relaxed);
    }

    pub(crate) fn remove(&self, bytes: usize) {
        self.all.0.fetch_sub(bytes, Ordering::Relaxed);
        self.mine.fetch_sub(bytes, Ordering::Relaxed);
    }

    /// Nothing of the lane is left: its records went with it.
    pub(crate) fn clear(&self) {
        let left = self.mine.swap(0, Ordering::Relaxed);
        self.all.0.fetch_sub(left, Ordering::Relaxed);
    }
}

/// Now, by the wall clock, in milliseconds: for timestamps and due times, never for waiting.
pub(crate) fn wall_clock() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    since.map_or(0, |since| i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}
