//! Keeping what is fetched and not yet handled within bounds.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::Edge;
use crate::handler::Handler;
use crate::store::Store;

/// How long the buffers may stay full before lanes are paused: a busy moment is not worth a fetch again.
const FULL_FOR: Duration = Duration::from_secs(2);

/// How long the loop sleeps while the buffers are full, before it looks again.
const FULL_WAIT: Duration = Duration::from_millis(2);

impl<H: Handler, S: Store> Edge<H, S> {
    /// While more is fetched than handled, first wait a moment, then let each lane have its share of the room and no more.
    ///
    /// Not all lanes are paused: some may be full for long, as one whose schema nobody knows yet, and what they hold would
    /// keep the others from being resumed.
    pub(super) fn hold_back(&mut self) {
        let shared = Arc::clone(&self.with.shared);
        let (bytes, limit) = (shared.buffered.bytes(), shared.settings.buffered_bytes);
        self.crowded = self.stays_crowded(bytes, limit);
        let room = if self.crowded {
            limit / self.lanes.len().max(1)
        } else {
            limit
        };
        let room = room.min(shared.settings.lane_buffered_bytes);
        for hold in self.lanes.values_mut() {
            hold.hold_back(&self.consumer, &shared, room);
        }
    }

    /// Whether the buffers are full and stay so, after a moment for the lanes: until half is handled, once they were full for a
    /// while.
    fn stays_crowded(&mut self, bytes: usize, limit: usize) -> bool {
        if bytes < limit {
            self.full_since = None;
            return self.crowded && bytes >= limit / 2;
        }
        if self.crowded {
            return true;
        }
        self.flush();
        let since = *self.full_since.get_or_insert_with(Instant::now);
        if since.elapsed() <= FULL_FOR {
            std::thread::sleep(FULL_WAIT);
            return false;
        }
        true
    }
}
