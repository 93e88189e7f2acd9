//! The bounds of outside calls.

use std::time::Duration;

use crate::settings::InvalidSettings;

/// How calls of one kind are made. The defaults suit a provider that remembers idempotency keys for a day.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EffectSettings {
    /// Calls without an answer after which an effect is `unknown`. With the default waits, some two hours of an outage
    /// of the other side pass before a person has to look.
    pub max_attempts: u32,
    /// How long after the effect was first written its key protects against a second execution. An hour below the day
    /// that providers promise, for clocks that differ.
    pub key_lifetime: Duration,
    /// How long one call may take. Above a provider's own worst case, or calls that succeed are taken for lost.
    pub call_timeout: Duration,
    /// Calls under way at once, over all lanes of the process. Providers limit rates, and each call holds a connection.
    pub concurrency: usize,
    /// Longest wait after the first call without an answer; doubled after each further one. The wait is drawn evenly
    /// from zero to it, so that what failed together does not come back together.
    pub backoff_base: Duration,
    /// Where the doubling ends.
    pub backoff_ceiling: Duration,
    /// Longest wait before an unknown effect is first asked about; doubled after each further time. Slow, since by then
    /// the calls themselves have been tried for long.
    pub ask_base: Duration,
    /// Where that doubling ends.
    pub ask_ceiling: Duration,
    /// Calls in a row without an answer, of whichever effects, that open the circuit breaker. About one round of
    /// [`EffectSettings::concurrency`], so that single failing calls among good ones do not.
    pub breaker_threshold: u32,
    /// How long an open breaker lets nothing through, before one call probes whether the other side is back.
    pub breaker_cool_down: Duration,
    /// Effects of one lane kept in memory, counting those to be called and those to be asked about apart; further ones
    /// stay in the database until there is room. 200 take about a fifth of a MiB.
    pub held: usize,
}

impl Default for EffectSettings {
    fn default() -> Self {
        Self {
            max_attempts: 50,
            key_lifetime: Duration::from_hours(23),
            call_timeout: Duration::from_secs(10),
            concurrency: 64,
            backoff_base: Duration::from_millis(200),
            backoff_ceiling: Duration::from_mins(5),
            ask_base: Duration::from_secs(10),
            ask_ceiling: Duration::from_mins(15),
            breaker_threshold: 50,
            breaker_cool_down: Duration::from_secs(5),
            held: 200,
        }
    }
}

impl EffectSettings {
    /// Checks each bound, and those that depend on one another.
    ///
    /// # Errors
    /// The first setting that does not hold, and why.
    pub fn check(&self) -> Result<(), InvalidSettings> {
        let rules = [
            ("max_attempts", self.max_attempts > 0, "must be at least 1"),
            ("concurrency", self.concurrency > 0, "must be at least 1"),
            ("call_timeout", !self.call_timeout.is_zero(), "must be above 0"),
            (
                "key_lifetime",
                self.key_lifetime > self.call_timeout,
                "must be longer than call_timeout, or no call could ever be made",
            ),
            (
                "backoff_base",
                !self.backoff_base.is_zero() && self.backoff_base <= self.backoff_ceiling,
                "must be above 0 and at most backoff_ceiling",
            ),
            (
                "ask_base",
                !self.ask_base.is_zero() && self.ask_base <= self.ask_ceiling,
                "must be above 0 and at most ask_ceiling",
            ),
            ("breaker_threshold", self.breaker_threshold > 0, "must be at least 1"),
            ("held", self.held >= 2, "must be at least 2"),
        ];
        match rules.into_iter().find(|(_, holds, _)| !holds) {
            Some((setting, _, why)) => Err(InvalidSettings {
                setting,
                why: why.to_owned(),
            }),
            None => Ok(()),
        }
    }
}

/// `base`, doubled for each of `earlier` tries, up to `ceiling`.
pub(super) fn longest_wait(base: Duration, ceiling: Duration, earlier: u32) -> Duration {
    base.saturating_mul(1_u32.checked_shl(earlier).unwrap_or(u32::MAX))
        .min(ceiling)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_defaults_hold() {
        assert_eq!(EffectSettings::default().check(), Ok(()));
    }

    #[test]
    fn a_call_longer_than_its_key_lives_is_refused() {
        let settings = EffectSettings {
            key_lifetime: Duration::from_secs(10),
            ..EffectSettings::default()
        };
        assert_eq!(settings.check().expect_err("refused").setting, "key_lifetime");
    }

    #[test]
    fn waits_double_up_to_the_ceiling() {
        let waits = [0, 1, 2, 3, 40, u32::MAX]
            .map(|earlier| longest_wait(Duration::from_millis(200), Duration::from_secs(1), earlier).as_millis());
        assert_eq!(waits, [200, 400, 800, 1_000, 1_000, 1_000]);
    }
}
