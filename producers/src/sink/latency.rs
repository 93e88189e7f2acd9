//! How long acknowledgements take: a histogram that never allocates.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

/// Buckets per doubling: a percentile is at most 1/32, that is 3.2 %, too high.
const STEPS: u64 = 32;

/// Up to 2^36 microseconds, 19 hours; anything longer counts as that.
const BUCKETS: usize = 33 * 32;

/// Counts of acknowledgements by how long they took.
#[derive(Debug)]
pub(crate) struct Histogram {
    counts: Box<[AtomicU64]>,
}

/// Percentiles of the time from handing a record to the client until every in-sync replica had it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Latency {
    /// Half of the records took at most this.
    pub p50: Duration,
    /// 95 of 100 took at most this.
    pub p95: Duration,
    /// 99 of 100 took at most this.
    pub p99: Duration,
    /// None took longer.
    pub max: Duration,
}

impl Default for Histogram {
    fn default() -> Self {
        Self {
            counts: (0..BUCKETS).map(|_| AtomicU64::new(0)).collect(),
        }
    }
}

impl Histogram {
    pub(crate) fn add(&self, micros: u64) {
        self.counts[bucket(micros)].fetch_add(1, Ordering::Relaxed);
    }

    /// `None` before anything was acknowledged.
    pub(crate) fn percentiles(&self) -> Option<Latency> {
        let counts: Vec<u64> = self.counts.iter().map(|count| count.load(Ordering::Relaxed)).collect();
        let total: u64 = counts.iter().sum();
        let at = |per_mille: u64| percentile(&counts, (total * per_mille).div_ceil(1_000));
        (total > 0).then(|| Latency {
            p50: at(500),
            p95: at(950),
            p99: at(990),
            max: at(1_000),
        })
    }
}

/// The upper bound of the bucket that holds the record of this rank.
fn percentile(counts: &[u64], rank: u64) -> Duration {
    let mut seen = 0;
    let found = counts.iter().position(|count| {
        seen += count;
        seen >= rank
    });
    Duration::from_micros(upper_bound(found.unwrap_or(BUCKETS - 1)))
}

/// Below `STEPS` every value has a bucket of its own; above, each doubling has `STEPS` of them.
fn bucket(micros: u64) -> usize {
    if micros < STEPS {
        return usize::try_from(micros).unwrap_or(0);
    }
    let doubling = u64::from(micros.ilog2() - STEPS.ilog2());
    let step = (micros >> doubling) - STEPS;
    usize::try_from(doubling * STEPS + STEPS + step).map_or(BUCKETS - 1, |index| index.min(BUCKETS - 1))
}

fn upper_bound(bucket: usize) -> u64 {
    let bucket = bucket as u64;
    if bucket < STEPS {
        return bucket;
    }
    let (doubling, step) = (bucket / STEPS - 1, bucket % STEPS);
    ((STEPS + step + 1) << doubling) - 1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_value_lies_in_a_bucket_that_is_at_most_a_step_too_high() {
        for micros in (0..5_000).chain([99_999, 1_000_000, 59_999_999, (1 << 36) - 1]) {
            let bound = upper_bound(bucket(micros));
            assert!(
                bound >= micros && bound - micros <= micros / STEPS,
                "{micros} in {bound}"
            );
        }
        assert_eq!(bucket(u64::MAX), BUCKETS - 1);
    }

    #[test]
    fn percentiles_of_a_known_load() {
        let histogram = Histogram::default();
        assert_eq!(histogram.percentiles(), None);
        (1..=1_000).for_each(|micros| histogram.add(micros));
        let latency = histogram.percentiles().expect("some were added");
        for (found, expected) in [
            (latency.p50, 500),
            (latency.p95, 950),
            (latency.p99, 990),
            (latency.max, 1_000),
        ] {
            let found = found.as_micros();
            assert!(
                (expected..=expected + expected / 32).contains(&found),
                "{found} for {expected}"
            );
        }
    }
}
