//! Timers that wait for their time.

use std::collections::BTreeMap;

use uuid::Uuid;

use crate::store::TimerRow;

/// Timers held in memory; later ones stay in the database until these have fired.
pub(crate) const HELD: usize = 10_000;

type Due = (i64, Uuid);

/// The lane's timers, earliest first: all of them up to a bound, behind which only the database knows.
pub(super) struct Timers {
    armed: BTreeMap<Due, TimerRow>,
    /// The last of those held, where there may be more.
    bound: Option<Due>,
}

impl Timers {
    /// From what the database has, at most [`HELD`] of it.
    pub(super) fn new(timers: Vec<TimerRow>) -> Self {
        let full = timers.len() >= HELD;
        let armed: BTreeMap<_, _> = timers.into_iter().map(|timer| (due(&timer), timer)).collect();
        let bound = armed.keys().next_back().copied().filter(|_| full);
        Self { armed, bound }
    }

    /// Takes timers that have just become durable; what lies behind the bound is left to the database.
    pub(super) fn add(&mut self, timers: Vec<TimerRow>) {
        for timer in timers {
            if self.bound.is_none_or(|bound| due(&timer) <= bound) {
                self.armed.insert(due(&timer), timer);
            }
        }
        while self.armed.len() > HELD {
            self.armed.pop_last();
            self.bound = self.armed.keys().next_back().copied();
        }
    }

    /// Whether everything that was held has fired, and there may be more.
    pub(super) fn needs_reload(&self) -> bool {
        self.bound.is_some() && self.armed.is_empty()
    }

    pub(super) fn next_due(&self) -> Option<i64> {
        self.armed.keys().next().map(|(due, _)| *due)
    }

    /// Takes out what is due, at most `most`.
    pub(super) fn due(&mut self, now: i64, most: usize) -> Vec<TimerRow> {
        let mut fired = Vec::new();
        while fired.len() < most && self.next_due().is_some_and(|due| due <= now) {
            fired.extend(self.armed.pop_first().map(|(_, timer)| timer));
        }
        fired
    }
}

fn due(timer: &TimerRow) -> Due {
    (timer.due, timer.id)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn timer(due: i64) -> TimerRow {
        TimerRow {
            id: Uuid::from_u128(due.unsigned_abs().into()),
            lane: 0,
            kind: "deadline".into(),
            subject: "x".into(),
            due,
        }
    }

    fn at(timers: &[TimerRow]) -> Vec<i64> {
        timers.iter().map(|timer| timer.due).collect()
    }

    #[test]
    fn they_fire_in_the_order_of_their_time_and_once() {
        let mut timers = Timers::new(vec![timer(30), timer(10)]);
        timers.add(vec![timer(20), timer(10)]);
        assert_eq!(at(&timers.due(20, 10)), [10, 20]);
        assert_eq!(at(&timers.due(20, 10)), [0; 0]);
        assert_eq!(timers.next_due(), Some(30));
        assert!(!timers.needs_reload());
    }

    #[test]
    fn what_does_not_fit_is_left_to_the_database_and_asked_for_in_time() {
        let held = i64::try_from(HELD).expect("a count");
        let mut timers = Timers::new((1..=held).map(timer).collect());
        timers.add(vec![timer(held + 5)]);
        timers.add(vec![timer(0)]);
        assert_eq!(at(&timers.due(held + 9, HELD * 2)), (0..held).collect::<Vec<_>>());
        assert!(
            timers.needs_reload(),
            "the last one gave way, and the late one was never taken"
        );
    }
}
