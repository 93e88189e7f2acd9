//! Where reading begins, as a user says it.

use orderflow_domain::Timestamp;
use thiserror::Error;

/// Where reading a partition begins. What lies outside the partition is the nearest end of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Start {
    /// `start`: its first record.
    #[default]
    Beginning,
    /// `end`: behind its last record.
    End,
    /// `47`: that offset.
    At(i64),
    /// `+2`: that many offsets behind its first.
    AfterBeginning(i64),
    /// `-3`: its last that many offsets.
    BeforeEnd(i64),
    /// `@2026-11-21T10:00:00Z`, `@1700000000000` (milliseconds), `@2h ago`: the first record not older.
    Time(Timestamp),
}

/// The text is no place to begin.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{0:?} is no place to begin reading; expected start, end, 47, +2, -3, @2026-11-21T10:00:00Z or \"@2h ago\"")]
pub struct InvalidStart(pub String);

impl Start {
    /// Reads the text; `now` is what a time ago is counted from.
    ///
    /// # Errors
    /// When it is none of the forms above.
    pub fn parse(text: &str, now: Timestamp) -> Result<Self, InvalidStart> {
        let found = match text {
            "start" => Some(Self::Beginning),
            "end" => Some(Self::End),
            _ => match text.split_at_checked(1) {
                Some(("@", time)) => parse_time(time, now).map(Self::Time),
                Some(("+", count)) => digits(count).map(Self::AfterBeginning),
                Some(("-", count)) => digits(count).map(Self::BeforeEnd),
                _ => digits(text).map(Self::At),
            },
        };
        found.ok_or_else(|| InvalidStart(text.to_owned()))
    }
}

fn digits(text: &str) -> Option<i64> {
    text.bytes()
        .all(|byte| byte.is_ascii_digit())
        .then(|| text.parse().ok())?
}

fn parse_time(text: &str, now: Timestamp) -> Option<Timestamp> {
    let ago = || {
        let span: jiff::SignedDuration = text.ends_with(" ago").then(|| text.parse().ok())??;
        Some(Timestamp(now.0.checked_add(i64::try_from(span.as_micros()).ok()?)?))
    };
    digits(text)
        .map(Timestamp::from_unix_millis)
        .or_else(|| text.parse().ok())
        .or_else(ago)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_form_is_read() {
        let now = Timestamp::from_unix_millis(1_800_000_000_000);
        let time = |millis| Ok(Start::Time(Timestamp::from_unix_millis(millis)));
        for (text, expected) in [
            ("start", Ok(Start::Beginning)),
            ("end", Ok(Start::End)),
            ("47", Ok(Start::At(47))),
            ("+2", Ok(Start::AfterBeginning(2))),
            ("-3", Ok(Start::BeforeEnd(3))),
            ("@1700000000000", time(1_700_000_000_000)),
            ("@2023-11-14T22:13:20Z", time(1_700_000_000_000)),
            ("@2h30m ago", time(1_799_991_000_000)),
            ("@90s ago", time(1_799_999_910_000)),
        ] {
            assert_eq!(Start::parse(text, now), expected, "{text}");
        }
    }

    #[test]
    fn anything_else_is_refused_by_name() {
        for text in [
            "",
            "latest",
            "-",
            "+",
            "+-1",
            "--3",
            "@",
            "@yesterday",
            "@2h",
            "1e3",
            "99999999999999999999",
            "ä",
        ] {
            let error = Start::parse(text, Timestamp(0)).expect_err(text);
            assert!(error.to_string().contains(&format!("{text:?}")), "{error}");
        }
    }
}
