//! Identities and times of what begins here.

use std::time::{SystemTime, UNIX_EPOCH};

use orderflow_domain::Timestamp;
use rand::TryRng as _;
use rand::rngs::SysRng;
use uuid::{Builder, Uuid};

/// The wall clock.
pub(crate) fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
}

/// A new `UUIDv7` of this time.
///
/// # Panics
///
/// When the operating system has no randomness to give: ids made without it would not be unique.
pub(crate) fn uuid(time: Timestamp) -> Uuid {
    let mut random = [0; 10];
    SysRng
        .try_fill_bytes(&mut random)
        .expect("the operating system gives random bytes");
    uuid_of(time, random)
}

/// The `UUIDv7` of this time and these random bits.
pub(crate) fn uuid_of(time: Timestamp, random: [u8; 10]) -> Uuid {
    let millis = u64::try_from(time.unix_millis()).unwrap_or_default();
    Builder::from_unix_timestamp_millis(millis, &random).into_uuid()
}

/// A seed nobody chose.
pub(crate) fn seed() -> u64 {
    uuid(Timestamp(0)).as_u64_pair().1
}
