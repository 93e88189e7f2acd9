//! Durations, sizes and points in time as people write them.

use std::num::NonZeroU64;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use orderflow_domain::Timestamp;

/// Units of time with their length in milliseconds, the longest first.
const TIME: &[(&str, u64)] = &[
    ("w", 604_800_000),
    ("d", 86_400_000),
    ("h", 3_600_000),
    ("ms", 1),
    ("m", 60_000),
    ("s", 1_000),
];

/// Units of size with their length in bytes.
const SIZE: &[(&str, u64)] = &[
    ("B", 1),
    ("KiB", 1 << 10),
    ("MiB", 1 << 20),
    ("GiB", 1 << 30),
    ("kB", 1_000),
    ("MB", 1_000_000),
    ("GB", 1_000_000_000),
];

/// Parses `90s`, `2h30m`, `250ms`, `35d`; a bare `0` needs no unit.
///
/// # Errors
/// A sentence that says what was expected.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    if text == "0" {
        return Ok(Duration::ZERO);
    }
    let expected = || format!("{text:?} is not a duration; write it as 90s, 2h30m, 250ms or 7d");
    let mut rest = text;
    let mut millis = 0_u64;
    while !rest.is_empty() {
        let (count, behind) = number(rest).ok_or_else(expected)?;
        let unit_length = behind.find(|c: char| c.is_ascii_digit()).unwrap_or(behind.len());
        let (unit, behind) = behind.split_at(unit_length);
        let (_, length) = TIME.iter().find(|(name, _)| *name == unit).ok_or_else(expected)?;
        millis = count
            .checked_mul(*length)
            .and_then(|part| millis.checked_add(part))
            .ok_or_else(expected)?;
        rest = behind;
    }
    if text.is_empty() {
        Err(expected())
    } else {
        Ok(Duration::from_millis(millis))
    }
}

/// Parses `65536`, `64KiB`, `8MiB`, `1MB`.
///
/// # Errors
/// A sentence that says what was expected.
pub(crate) fn size(text: &str) -> Result<u64, String> {
    let expected = || format!("{text:?} is not a size; write it as 65536, 64KiB or 8MiB");
    let (count, unit) = number(text).ok_or_else(expected)?;
    let unit = if unit.is_empty() { "B" } else { unit };
    let (_, length) = SIZE.iter().find(|(name, _)| *name == unit).ok_or_else(expected)?;
    count.checked_mul(*length).ok_or_else(expected)
}

/// Parses a count of at least one.
///
/// # Errors
/// A sentence that says what was expected.
pub(crate) fn count(text: &str) -> Result<NonZeroU64, String> {
    text.parse()
        .map_err(|_| format!("{text:?} is not a whole number from 1 on"))
}

/// A duration as [`duration`] reads it, in the largest unit that gives a whole number.
pub(crate) fn written_duration(duration: Duration) -> String {
    let millis = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    let fits = |length: u64| millis >= length && millis.is_multiple_of(length);
    match [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1_000)]
        .into_iter()
        .find(|(_, length)| fits(*length))
    {
        Some((unit, length)) => format!("{}{unit}", millis / length),
        None => format!("{millis}ms"),
    }
}

/// A size as [`size`] reads it, in the largest binary unit that gives a whole number.
pub(crate) fn written_size(bytes: u64) -> String {
    let fits = |length: u64| bytes >= length && bytes.is_multiple_of(length);
    match [("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)]
        .into_iter()
        .find(|(_, length)| fits(*length))
    {
        Some((unit, length)) => format!("{}{unit}", bytes / length),
        None => bytes.to_string(),
    }
}

/// The whole number a text begins with, and what follows it.
fn number(text: &str) -> Option<(u64, &str)> {
    let end = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let (digits, rest) = text.split_at(end);
    digits.parse().ok().map(|number| (number, rest))
}

/// The wall clock, which times ago are counted from.
pub(crate) fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    Timestamp(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_as_people_write_them() {
        for (text, seconds) in [
            ("90s", 90),
            ("2h30m", 9_000),
            ("1d", 86_400),
            ("1w1s", 604_801),
            ("0", 0),
        ] {
            assert_eq!(duration(text), Ok(Duration::from_secs(seconds)), "{text}");
        }
        assert_eq!(duration("1s250ms"), Ok(Duration::from_millis(1_250)));
    }

    #[test]
    fn what_is_no_duration_is_refused() {
        for text in ["", "5", "s", "5 s", "-5s", "5parsecs", "1.5h", "99999999999999999w"] {
            assert!(duration(text).is_err(), "{text}");
        }
    }

    #[test]
    fn what_is_written_is_read_back() {
        for text in ["35d", "7d", "4s", "100ms", "90m"] {
            assert_eq!(written_duration(duration(text).expect("a duration")), text);
        }
        for text in ["16MiB", "64KiB", "1000"] {
            assert_eq!(written_size(size(text).expect("a size")), text);
        }
    }

    #[test]
    fn sizes_are_bytes_or_bear_a_unit() {
        for (text, bytes) in [
            ("0", 0),
            ("65536", 65_536),
            ("64KiB", 65_536),
            ("1MB", 1_000_000),
            ("2B", 2),
        ] {
            assert_eq!(size(text), Ok(bytes), "{text}");
        }
        for text in ["", "KiB", "1.5MiB", "1 KiB", "1kb", "99999999999GiB"] {
            assert!(size(text).is_err(), "{text}");
        }
    }
}
