//! Holds a rate.

use std::fmt;
use std::num::NonZeroU32;
use std::str::FromStr;
use std::time::Duration;

use thiserror::Error;

/// How fast to send.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Rate {
    /// As fast as the brokers take it.
    Max,
    /// Records per second.
    PerSecond(NonZeroU32),
}

/// The text is no rate.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{0:?} is not a rate; expected records per second, a whole number from 1, or max")]
pub struct InvalidRate(String);

impl FromStr for Rate {
    type Err = InvalidRate;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text == "max" {
            return Ok(Self::Max);
        }
        text.parse()
            .map(Self::PerSecond)
            .map_err(|_| InvalidRate(text.to_owned()))
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Max => f.write_str("max"),
            Self::PerSecond(rate) => rate.fmt(f),
        }
    }
}

/// How far behind its schedule a run may fall and still catch up. What is lost beyond that stays lost: after a pause the
/// brokers get the rate that was asked for, not a burst.
const CATCH_UP: Duration = Duration::from_millis(200);

/// Says when the next record is due. Time is what has passed since the run began.
#[derive(Debug)]
pub(super) struct Pace {
    rate: Rate,
    /// When the schedule began; moved by what is not caught up.
    origin: Duration,
    granted: u64,
}

impl Pace {
    pub(super) const fn new(rate: Rate) -> Self {
        Self {
            rate,
            origin: Duration::ZERO,
            granted: 0,
        }
    }

    /// How long the next record has to wait; `None` grants it. Without a rate the clock is not read.
    pub(super) fn wait(&mut self, now: impl FnOnce() -> Duration) -> Option<Duration> {
        let Rate::PerSecond(rate) = self.rate else {
            return None;
        };
        let now = now();
        let due = self.origin + due_after(self.granted, rate);
        if let Some(early) = due.checked_sub(now).filter(|early| !early.is_zero()) {
            return Some(early);
        }
        self.origin += now.saturating_sub(due).saturating_sub(CATCH_UP);
        self.granted += 1;
        None
    }
}

/// When a record is due, counted from the first; computed from its number, so that nothing adds up.
pub(super) fn due_after(records: u64, rate: NonZeroU32) -> Duration {
    let (rate, nanos) = (u64::from(rate.get()), 1_000_000_000);
    Duration::new(
        records / rate,
        u32::try_from(records % rate * nanos / rate).unwrap_or_default(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Granted records when asked every `step` for `whole`, with `pause` in the middle.
    fn granted(rate: &str, step: Duration, whole: Duration, pause: Duration) -> u64 {
        let mut pace = Pace::new(rate.parse().expect("a rate"));
        let mut now = Duration::ZERO;
        while now < whole {
            while pace.wait(|| now).is_none() {}
            let paused = now < whole / 2 && now + step >= whole / 2;
            now += if paused { pause.max(step) } else { step };
        }
        pace.granted
    }

    #[test]
    fn a_rate_is_held_within_two_percent_over_ten_seconds_however_coarse_the_clock() {
        for rate in [1_u64, 3, 7, 1_000, 4_999, 250_000] {
            for step in [
                Duration::from_micros(130),
                Duration::from_millis(7),
                Duration::from_millis(90),
            ] {
                let found = granted(&rate.to_string(), step, Duration::from_secs(10), Duration::ZERO);
                let expected = rate * 10;
                assert!(
                    found.abs_diff(expected) <= expected / 50 + 1,
                    "{found} of {expected} with {step:?}"
                );
            }
        }
    }

    #[test]
    fn a_long_pause_is_not_made_up_for_by_a_burst() {
        let found = granted(
            "1000",
            Duration::from_millis(1),
            Duration::from_secs(10),
            Duration::from_secs(3),
        );
        assert!((7_150..=7_250).contains(&found), "{found}");
    }

    #[test]
    fn a_rate_is_a_positive_number_or_max() {
        assert_eq!("max".parse(), Ok(Rate::Max));
        for text in ["0", "-1", "1.5", "", "fast", "5000000000"] {
            assert_eq!(text.parse::<Rate>(), Err(InvalidRate(text.to_owned())));
        }
        assert_eq!("5000".parse::<Rate>().expect("a rate").to_string(), "5000");
    }
}
