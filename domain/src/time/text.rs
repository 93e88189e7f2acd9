//! Timestamps as RFC 3339 text.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

use super::Timestamp;
use super::civil::Date;

const MICROS_PER_SECOND: i64 = 1_000_000;
const SECONDS_PER_DAY: i64 = 86_400;

/// The text is not a point in time.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{text:?} is not a time: {problem}; expected RFC 3339 such as 2010-12-01T08:26:00Z")]
pub struct InvalidTimestamp {
    text: String,
    problem: &'static str,
}

/// A timestamp as text, on the stack: every record bears one in its headers.
#[derive(Debug, Clone, Copy)]
pub struct TimestampText {
    bytes: [u8; MAX_TEXT_BYTES],
    len: usize,
}

/// Length of `-290308-12-21T19:59:05.224192Z`, the earliest timestamp.
const MAX_TEXT_BYTES: usize = 30;

impl TimestampText {
    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        // Digits and separators, so this never falls back.
        std::str::from_utf8(&self.bytes[..self.len]).unwrap_or_default()
    }

    fn push(&mut self, byte: u8) {
        self.bytes[self.len] = byte;
        self.len += 1;
    }

    /// The last `width` digits of a number that is not negative.
    fn push_digits(&mut self, number: i64, width: usize) {
        let mut rest = number.unsigned_abs();
        for place in self.bytes[self.len..self.len + width].iter_mut().rev() {
            *place = b'0' + (rest % 10).to_le_bytes()[0];
            rest /= 10;
        }
        self.len += width;
    }

    fn push_year(&mut self, year: i64) {
        if (0..=9_999).contains(&year) {
            return self.push_digits(year, 4);
        }
        self.push(if year < 0 { b'-' } else { b'+' });
        self.push_digits(year, 6);
    }
}

impl Timestamp {
    /// RFC 3339 in UTC; years past 9999 and before 0 get a sign and six digits, as ISO 8601 has it.
    #[must_use]
    pub fn text(self) -> TimestampText {
        let seconds = self.0.div_euclid(MICROS_PER_SECOND);
        let micros = self.0.rem_euclid(MICROS_PER_SECOND);
        let date = Date::from_days(seconds.div_euclid(SECONDS_PER_DAY));
        let second_of_day = seconds.rem_euclid(SECONDS_PER_DAY);
        let mut text = TimestampText {
            bytes: [0; MAX_TEXT_BYTES],
            len: 0,
        };
        text.push_year(date.year);
        for (separator, number) in [
            (b'-', date.month),
            (b'-', date.day),
            (b'T', second_of_day / 3_600),
            (b':', second_of_day / 60 % 60),
            (b':', second_of_day % 60),
        ] {
            text.push(separator);
            text.push_digits(number, 2);
        }
        if micros != 0 {
            text.push(b'.');
            text.push_digits(micros, 6);
        }
        text.push(b'Z');
        text
    }
}

impl fmt::Display for Timestamp {
    /// The same as [`text`](Timestamp::text).
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text().as_str())
    }
}

impl FromStr for Timestamp {
    type Err = InvalidTimestamp;

    /// Reads RFC 3339 with any offset.
    ///
    /// # Errors
    ///
    /// When the text is anything else, has more than six decimals, or names a leap second or a time out of range.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        parse(text).map_err(|problem| InvalidTimestamp {
            text: text.to_owned(),
            problem,
        })
    }
}

fn parse(text: &str) -> Result<Timestamp, &'static str> {
    let mut rest = Cursor(text.as_bytes());
    let date = parse_date(&mut rest)?;
    if !rest.skip(b"T") && !rest.skip(b"t") && !rest.skip(b" ") {
        return Err("no T between date and time");
    }
    let seconds = parse_time_of_day(&mut rest)?;
    let micros = parse_fraction(&mut rest)?;
    let offset = parse_offset(&mut rest)?;
    if !rest.0.is_empty() {
        return Err("it goes on after the offset");
    }
    let seconds = date.days() * SECONDS_PER_DAY + seconds - offset;
    // The earliest second begins before the earliest microsecond.
    let micros = i128::from(seconds) * i128::from(MICROS_PER_SECOND) + i128::from(micros);
    i64::try_from(micros)
        .map(Timestamp)
        .map_err(|_| "it is too far from 1970")
}

fn parse_date(rest: &mut Cursor<'_>) -> Result<Date, &'static str> {
    let year = match rest.0.first() {
        Some(b'+') if rest.skip(b"+") => rest.number(6)?,
        Some(b'-') if rest.skip(b"-") => -rest.number(6)?,
        _ => rest.number(4)?,
    };
    rest.expect(b"-")?;
    let month = rest.number(2)?;
    rest.expect(b"-")?;
    let date = Date {
        year,
        month,
        day: rest.number(2)?,
    };
    if date.exists() {
        Ok(date)
    } else {
        Err("the calendar has no such date")
    }
}

fn parse_time_of_day(rest: &mut Cursor<'_>) -> Result<i64, &'static str> {
    let hour = rest.number(2)?;
    rest.expect(b":")?;
    let minute = rest.number(2)?;
    rest.expect(b":")?;
    let second = rest.number(2)?;
    if hour > 23 || minute > 59 || second > 59 {
        return Err("the day has no such time");
    }
    Ok(hour * 3_600 + minute * 60 + second)
}

fn parse_fraction(rest: &mut Cursor<'_>) -> Result<i64, &'static str> {
    if !rest.skip(b".") {
        return Ok(0);
    }
    let digits = rest.0.iter().take_while(|byte| byte.is_ascii_digit()).count();
    match digits {
        0 => Err("no digits after the point"),
        1..=6 => Ok((digits..6).fold(rest.number(digits)?, |micros, _| micros * 10)),
        _ => Err("it is finer than a microsecond"),
    }
}

/// Seconds that local time is ahead of UTC.
fn parse_offset(rest: &mut Cursor<'_>) -> Result<i64, &'static str> {
    if rest.skip(b"Z") || rest.skip(b"z") {
        return Ok(0);
    }
    let sign = if rest.skip(b"+") {
        1
    } else if rest.skip(b"-") {
        -1
    } else {
        return Err("no offset from UTC");
    };
    let hours = rest.number(2)?;
    rest.expect(b":")?;
    let minutes = rest.number(2)?;
    if hours > 23 || minutes > 59 {
        return Err("no such offset from UTC");
    }
    Ok(sign * (hours * 3_600 + minutes * 60))
}

/// What is left of the text.
struct Cursor<'a>(&'a [u8]);

impl Cursor<'_> {
    fn skip(&mut self, prefix: &[u8]) -> bool {
        self.0.strip_prefix(prefix).map(|rest| self.0 = rest).is_some()
    }

    fn expect(&mut self, prefix: &[u8]) -> Result<(), &'static str> {
        if self.skip(prefix) {
            Ok(())
        } else {
            Err("a separator is missing")
        }
    }

    fn number(&mut self, digits: usize) -> Result<i64, &'static str> {
        let (number, rest) = self.0.split_at_checked(digits).ok_or("it is too short")?;
        if !number.iter().all(u8::is_ascii_digit) {
            return Err("a digit is missing");
        }
        self.0 = rest;
        Ok(number
            .iter()
            .fold(0, |value, digit| value * 10 + i64::from(digit - b'0')))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn text_and_back() {
        for (micros, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (1_291_191_960_000_000, "2010-12-01T08:26:00Z"),
            (1_291_191_960_000_001, "2010-12-01T08:26:00.000001Z"),
            (-1, "1969-12-31T23:59:59.999999Z"),
            (i64::MAX, "+294247-01-10T04:00:54.775807Z"),
            (i64::MIN, "-290308-12-21T19:59:05.224192Z"),
            (-62_167_219_200_000_001, "-000001-12-31T23:59:59.999999Z"),
        ] {
            assert_eq!(Timestamp(micros).to_string(), text);
            assert_eq!(text.parse(), Ok(Timestamp(micros)));
        }
    }

    #[test]
    fn other_ways_to_write_the_same_time() {
        for text in [
            "2010-12-01T09:26:00+01:00",
            "2010-12-01 08:26:00z",
            "2010-12-01t02:56:00.0-05:30",
        ] {
            assert_eq!(text.parse(), Ok(Timestamp(1_291_191_960_000_000)), "{text}");
        }
    }

    #[test]
    fn what_is_no_time_is_refused_with_the_reason() {
        for (text, problem) in [
            ("", "too short"),
            ("2010-12-01", "no T"),
            ("2010-12-01T08:26:00", "no offset"),
            ("2010-02-29T08:26:00Z", "no such date"),
            ("2010-12-01T24:00:00Z", "no such time"),
            ("2010-12-01T08:26:60Z", "no such time"),
            ("2010-12-01T08:26:00.0000001Z", "finer than a microsecond"),
            ("2010-12-01T08:26:00Z!", "goes on"),
            ("2010-1-01T08:26:00Z", "digit is missing"),
            ("+294248-01-10T04:00:54Z", "too far"),
        ] {
            let error = text.parse::<Timestamp>().expect_err(text).to_string();
            assert!(error.contains(problem), "{error}");
        }
    }

    proptest! {
        #[test]
        fn every_timestamp_comes_back(micros in any::<i64>()) {
            prop_assert_eq!(Timestamp(micros).to_string().parse(), Ok(Timestamp(micros)));
        }

        #[test]
        fn any_text_is_a_time_or_refused(text in ".{0,40}|[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9:]{8}[-+Z.0-9:]{0,8}") {
            if let Ok(time) = text.parse::<Timestamp>() {
                prop_assert_eq!(time.to_string().parse(), Ok(time));
            }
        }
    }
}
