//! Points in time, as the contracts hold them.

use serde::{Deserialize, Serialize};

/// Microseconds since 1970-01-01T00:00:00Z; Avro's `timestamp-micros`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Timestamp(pub i64);

impl Timestamp {
    /// From milliseconds since the epoch, as Kafka stamps its records; saturates at the ends of the range.
    #[must_use]
    pub const fn from_unix_millis(millis: i64) -> Self {
        Self(millis.saturating_mul(1_000))
    }

    /// Whole milliseconds since the epoch, rounded towards the past.
    #[must_use]
    pub const fn unix_millis(self) -> i64 {
        self.0.div_euclid(1_000)
    }
}
