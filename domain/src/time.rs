//! Points in time, as the contracts hold them.

mod civil;
mod text;

use serde::{Deserialize, Serialize};

pub use text::{InvalidTimestamp, TimestampText};

/// Microseconds since 1970-01-01T00:00:00Z; Avro's `timestamp-micros`.
///
/// Serialized as the bare number. As text ([`Display`](std::fmt::Display), [`FromStr`](std::str::FromStr)) it is RFC 3339
/// in UTC, with microseconds where there are any: `2010-12-01T08:26:00Z`, `2026-11-21T10:47:03.250000Z`.
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
