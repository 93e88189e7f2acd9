//! What waits for its time, of one kind and state.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::Arc;

use tokio::time::Instant;
use uuid::Uuid;

use super::callers::Dependency;
use crate::store::EffectState;

/// Effects of one kind that are to be called, or to be asked about.
#[derive(Debug)]
pub(super) struct Queue {
    pub(super) dependency: Arc<Dependency>,
    pub(super) state: EffectState,
    waiting: BinaryHeap<Reverse<(Instant, Uuid)>>,
    under_way: usize,
    spilled: bool,
}

impl Queue {
    pub(super) fn new(dependency: Arc<Dependency>, state: EffectState) -> Self {
        Self {
            dependency,
            state,
            waiting: BinaryHeap::new(),
            under_way: 0,
            spilled: false,
        }
    }

    /// Takes an effect that is due at `at`; `false` when there is no room, and the effect stays in the database alone.
    pub(super) fn push(&mut self, at: Instant, effect: Uuid) -> bool {
        let room = self.len() < self.dependency.settings.held;
        if room {
            self.waiting.push(Reverse((at, effect)));
        } else {
            self.spilled = true;
        }
        room
    }

    /// Puts back what [`Queue::pop`] gave.
    pub(super) fn put_back(&mut self, at: Instant, effect: Uuid) {
        self.under_way -= 1;
        self.waiting.push(Reverse((at, effect)));
    }

    /// The effect whose turn it is, if one may start now.
    pub(super) fn pop(&mut self, now: Instant) -> Option<Uuid> {
        if self.wakes_at().is_none_or(|at| at > now) {
            return None;
        }
        let Reverse((_, effect)) = self.waiting.pop()?;
        self.under_way += 1;
        Some(effect)
    }

    /// What [`Queue::pop`] gave has left this queue.
    pub(super) fn done(&mut self) {
        self.under_way -= 1;
    }

    /// When one may start next; `None` while nothing waits or as many are under way as may be.
    pub(super) fn wakes_at(&self) -> Option<Instant> {
        let Reverse((due, _)) = *self.waiting.peek()?;
        if self.under_way >= self.dependency.settings.concurrency {
            return None;
        }
        match self.state {
            EffectState::Pending => Some(self.dependency.breaker.open_until().map_or(due, |until| due.max(until))),
            EffectState::Unknown => Some(due),
        }
    }

    fn len(&self) -> usize {
        self.waiting.len() + self.under_way
    }

    pub(super) fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Whether there is room for many more.
    pub(super) fn has_room(&self) -> bool {
        self.len() <= self.dependency.settings.held / 2
    }

    /// Whether effects were left to the database, so that what has had its turn makes room for them.
    pub(super) fn leaves(&self) -> bool {
        self.spilled
    }

    /// Whether effects were left to the database and there is room for many of them again.
    pub(super) fn needs_reload(&self) -> bool {
        self.leaves() && self.has_room()
    }

    pub(super) fn reloading(&mut self) {
        self.spilled = false;
    }

    pub(super) fn spill(&mut self) {
        self.spilled = true;
    }
}
