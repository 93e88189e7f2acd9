//! Timers that wait for their time.

use std::collections::{BTreeMap, BTreeSet};

use uuid::Uuid;

use crate::store::TimerRow;

/// Timers held in memory; later ones stay in the database until these have fired.
pub(crate) const HELD: usize = 10_000;

/// The lane's timers, earliest first.
pub(super) struct Timers {
    armed: BTreeMap<(i64, Uuid), TimerRow>,
    known: BTreeSet<Uuid>,
    /// Whether the database may hold more than were loaded.
    more: bool,
}

impl Timers {
    pub(super) fn new(timers: Vec<TimerRow>) -> Self {
        let more = timers.len() >= HELD;
        let mut held = Self {
            armed: BTreeMap::new(),
            known: BTreeSet::new(),
            more,
        };
        held.add(timers);
        held
    }

    pub(super) fn add(&mut self, timers: Vec<TimerRow>) {
        for timer in timers {
            if self.known.insert(timer.id) {
                self.armed.insert((timer.due, timer.id), timer);
            }
        }
    }

    pub(super) fn needs_reload(&self) -> bool {
        self.more && self.armed.is_empty()
    }

    pub(super) fn next_due(&self) -> Option<i64> {
        self.armed.keys().next().map(|(due, _)| *due)
    }

    /// Takes out what is due.
    pub(super) fn due(&mut self, now: i64) -> Vec<TimerRow> {
        let later = self.armed.split_off(&(now.saturating_add(1), Uuid::nil()));
        let due = std::mem::replace(&mut self.armed, later);
        due.into_values()
            .inspect(|timer| _ = self.known.remove(&timer.id))
            .collect()
    }
}
