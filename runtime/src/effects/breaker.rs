//! A circuit breaker: a dependency that fails again and again is left alone for a while.

use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::time::Instant;

/// Closed until a run of failures, then open; after each cool-down one call probes.
#[derive(Debug)]
pub(super) struct Breaker {
    threshold: u32,
    cool_down: Duration,
    state: Mutex<State>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Closed { failures: u32 },
    Open { until: Instant },
}

impl Breaker {
    pub(super) fn new(threshold: u32, cool_down: Duration) -> Self {
        let state = Mutex::new(State::Closed { failures: 0 });
        Self {
            threshold,
            cool_down,
            state,
        }
    }

    /// Until when nothing is let through; `None` when it is closed.
    pub(super) fn open_until(&self) -> Option<Instant> {
        match *self.state() {
            State::Closed { .. } => None,
            State::Open { until } => Some(until),
        }
    }

    /// Whether a call may be made. The first one after the cool-down is a probe; the next cool-down begins with it, so
    /// that a probe that is never heard of again does not block for ever.
    pub(super) fn admit(&self, now: Instant) -> bool {
        let mut state = self.state();
        match *state {
            State::Closed { .. } => true,
            State::Open { until } if now < until => false,
            State::Open { .. } => {
                *state = State::Open {
                    until: now + self.cool_down,
                };
                true
            }
        }
    }

    /// The other side is there; `true` if the breaker was open until now.
    pub(super) fn succeeded(&self) -> bool {
        let before = std::mem::replace(&mut *self.state(), State::Closed { failures: 0 });
        matches!(before, State::Open { .. })
    }

    /// A call brought no answer; `true` if the breaker opened by it.
    pub(super) fn failed(&self, now: Instant) -> bool {
        let mut state = self.state();
        let opens = match *state {
            State::Closed { failures } => failures + 1 >= self.threshold,
            State::Open { .. } => false,
        };
        *state = match *state {
            State::Closed { failures } if !opens => State::Closed { failures: failures + 1 },
            State::Closed { .. } | State::Open { .. } => State::Open {
                until: now + self.cool_down,
            },
        };
        opens
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const COOL: Duration = Duration::from_secs(5);

    fn opened(now: Instant) -> Breaker {
        let breaker = Breaker::new(2, COOL);
        assert!(!breaker.failed(now));
        assert!(breaker.failed(now));
        breaker
    }

    #[tokio::test]
    async fn a_success_between_failures_keeps_it_closed() {
        let (breaker, now) = (Breaker::new(2, COOL), Instant::now());
        for _ in 0..3 {
            assert!(!breaker.failed(now));
            assert!(!breaker.succeeded());
        }
        assert!(breaker.admit(now));
    }

    #[tokio::test]
    async fn open_it_lets_one_probe_through_per_cool_down() {
        let now = Instant::now();
        let breaker = opened(now);
        assert!(!breaker.admit(now + COOL / 2));
        assert!(breaker.admit(now + COOL));
        assert!(!breaker.admit(now + COOL), "one probe");
        assert!(
            breaker.admit(now + COOL * 2),
            "a probe that vanished is followed by another"
        );
    }

    #[tokio::test]
    async fn a_probe_that_fails_opens_it_anew_and_one_that_succeeds_closes_it() {
        let now = Instant::now();
        let breaker = opened(now);
        assert!(breaker.admit(now + COOL));
        assert!(!breaker.failed(now + COOL), "it was open already");
        assert_eq!(breaker.open_until(), Some(now + COOL * 2));
        assert!(breaker.succeeded());
        assert_eq!(breaker.open_until(), None);
        assert!(breaker.admit(now + COOL));
    }
}
