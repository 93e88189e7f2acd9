//! Headers as a row of the outbox keeps them: a quarter of their length as a record bears them.
//!
//! Names that every fact has are numbers, ids are bytes, and what the row says in another column is not said again. A
//! packed list begins with [`PACKED`] and the number of its form; everything else is the plain list of [`Headers`], as rows
//! of before bear it.

use uuid::Uuid;

use crate::record::Headers;
use crate::store::OutboxRow;

/// A plain list that begins so has a first name of 65,280 bytes or more; rows of before are not believed to have one.
const PACKED: u8 = 0xff;

/// A plain list, in the form that may begin with anything.
const PLAIN: u8 = 0;

/// Names and values as numbers, by the tables below. Other numbers in them need another form.
const NUMBERED: u8 = 1;

/// What CloudEvents and W3C call the headers of a fact, in the order in which facts bear them, with the value that one has
/// in every fact. A name's number is its place, counted from 1.
const NAMES: [(&str, &str); 11] = [
    ("ce_specversion", "1.0"),
    ("ce_id", ""),
    ("ce_type", ""),
    ("ce_source", ""),
    ("ce_time", ""),
    ("ce_subject", ""),
    ("ce_correlationid", ""),
    ("ce_causationid", ""),
    ("content-type", "application/avro"),
    ("traceparent", ""),
    ("ce_traceparent", ""),
];

/// Bytes that a fact's headers lose by being packed, and some.
const SAID_ELSEWHERE: usize = 512;

/// Stands before a name that is none of [`NAMES`].
const OTHER: u8 = 0;

/// What a value is; what follows it is said behind each.
mod value {
    /// Null: nothing.
    pub(super) const NULL: u8 = 0;
    /// What [`super::NAMES`] says: nothing.
    pub(super) const USUAL: u8 = 1;
    /// The id of the row's event, as text: nothing.
    pub(super) const EVENT_ID: u8 = 2;
    /// The row's key: nothing.
    pub(super) const KEY: u8 = 3;
    /// Another UUID, as text: its 16 bytes.
    pub(super) const UUID: u8 = 4;
    /// A `traceparent` of version 00: 16, 8 and 1 bytes.
    pub(super) const TRACEPARENT: u8 = 5;
    /// Anything: a length, and so many bytes.
    pub(super) const BYTES: u8 = 6;
}

/// The headers of a row as it is stored.
pub(super) fn pack(row: &OutboxRow) -> Vec<u8> {
    let plain = row.headers.as_bytes();
    if plain.is_empty() {
        return Vec::new();
    }
    let mut packed = Vec::with_capacity(plain.len() / 2);
    packed.extend([PACKED, NUMBERED]);
    let mut headers = row.headers.as_slice().raw();
    let mut expected = 0;
    for (name, value) in &mut headers {
        let known = (expected..NAMES.len())
            .chain(0..expected)
            .find(|at| NAMES[*at].0.as_bytes() == name);
        push_name(&mut packed, name, known);
        push_value(&mut packed, value, (known, row));
        expected = known.map_or(expected, |at| at + 1);
    }
    if headers.rest().is_empty() {
        return packed;
    }
    // Bytes that are no list of headers come out as they went in.
    packed.truncate(1);
    packed.push(PLAIN);
    packed.extend_from_slice(plain);
    packed
}

fn push_name(packed: &mut Vec<u8>, name: &[u8], known: Option<usize>) {
    if let Some(number) = known.and_then(|at| u8::try_from(at + 1).ok()) {
        packed.push(number);
    } else {
        packed.push(OTHER);
        push_bytes(packed, name);
    }
}

fn push_value(packed: &mut Vec<u8>, value: Option<&[u8]>, (known, row): (Option<usize>, &OutboxRow)) {
    let Some(value) = value else {
        return packed.push(value::NULL);
    };
    if known.is_some_and(|at| NAMES[at].1.as_bytes() == value) {
        packed.push(value::USUAL);
    } else if row.key.as_deref() == Some(value) {
        packed.push(value::KEY);
    } else if let Some(id) = uuid_of(value) {
        if id == row.event_id {
            packed.push(value::EVENT_ID);
        } else {
            packed.push(value::UUID);
            packed.extend_from_slice(id.as_bytes());
        }
    } else if let Some((trace, hop, flags)) = traceparent_of(value) {
        packed.push(value::TRACEPARENT);
        packed.extend_from_slice(trace.as_bytes());
        packed.extend_from_slice(&hop.to_be_bytes());
        packed.push(flags);
    } else {
        packed.push(value::BYTES);
        push_bytes(packed, value);
    }
}

/// A length below 255 is a byte; a longer one is that byte, then four.
fn push_bytes(packed: &mut Vec<u8>, bytes: &[u8]) {
    match u8::try_from(bytes.len()) {
        Ok(length) if length < u8::MAX => packed.push(length),
        _ => {
            packed.push(u8::MAX);
            packed.extend_from_slice(&u32::try_from(bytes.len()).unwrap_or(u32::MAX).to_be_bytes());
        }
    }
    packed.extend_from_slice(bytes);
}

/// The UUID of a text that is written from it again as it stands.
fn uuid_of(text: &[u8]) -> Option<Uuid> {
    const HYPHENATED: usize = 36;
    if text.len() != HYPHENATED || text.iter().any(u8::is_ascii_uppercase) {
        return None;
    }
    Uuid::try_parse_ascii(text).ok()
}

/// Trace id, hop and flags of a text that is written from them again as it stands.
fn traceparent_of(text: &[u8]) -> Option<(Uuid, u64, u8)> {
    const LENGTH: usize = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".len();
    let digits = |byte: &u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f' | b'-');
    if text.len() != LENGTH || !text.starts_with(b"00-") || !text.iter().all(digits) {
        return None;
    }
    if (text[35], text[52]) != (b'-', b'-') {
        return None;
    }
    let trace = Uuid::try_parse_ascii(&text[3..35]).ok()?;
    let hop = u64::from_str_radix(std::str::from_utf8(&text[36..52]).ok()?, 16).ok()?;
    let flags = u8::from_str_radix(std::str::from_utf8(&text[53..]).ok()?, 16).ok()?;
    Some((trace, hop, flags))
}

/// The headers of a row, from what is stored of them and from the columns that it refers to.
///
/// # Errors
/// Says what is wrong with them.
pub(super) fn unpack(stored: Vec<u8>, event_id: Uuid, key: Option<&[u8]>) -> Result<Headers, String> {
    match stored.as_slice() {
        [PACKED, PLAIN, plain @ ..] => Ok(Headers::from_bytes(plain.to_vec())),
        [PACKED, NUMBERED, numbered @ ..] => {
            let (mut numbered, mut headers) = (numbered, Headers::with_capacity(numbered.len() + SAID_ELSEWHERE));
            while !numbered.is_empty() {
                header(&mut numbered, &mut headers, (event_id, key))
                    .ok_or_else(|| "packed headers that are cut or damaged".to_owned())?;
            }
            Ok(headers)
        }
        [PACKED, form, ..] => Err(format!(
            "headers packed in form {form}, which this program does not know"
        )),
        _ => Ok(Headers::from_bytes(stored)),
    }
}

/// Moves one header; `None` if there is no whole one.
fn header(from: &mut &[u8], to: &mut Headers, (event_id, key): (Uuid, Option<&[u8]>)) -> Option<()> {
    let number = byte(from)?;
    let (name, usual) = if number == OTHER {
        (bytes(from)?, None)
    } else {
        let (name, usual) = NAMES.get(usize::from(number) - 1)?;
        (name.as_bytes(), Some(usual.as_bytes()))
    };
    let text;
    let value = match byte(from)? {
        value::NULL => None,
        value::USUAL => Some(usual?),
        value::KEY => Some(key?),
        value::BYTES => Some(bytes(from)?),
        other => {
            text = match other {
                value::EVENT_ID => event_id.to_string(),
                value::UUID => Uuid::from_bytes(array(from)?).to_string(),
                value::TRACEPARENT => {
                    let trace = Uuid::from_bytes(array(from)?);
                    let (hop, flags) = (u64::from_be_bytes(array(from)?), byte(from)?);
                    format!("00-{}-{hop:016x}-{flags:02x}", trace.as_simple())
                }
                _ => return None,
            };
            Some(text.as_bytes())
        }
    };
    to.push_raw(name, value);
    Some(())
}

fn byte(from: &mut &[u8]) -> Option<u8> {
    array(from).map(|[byte]| byte)
}

fn array<const N: usize>(from: &mut &[u8]) -> Option<[u8; N]> {
    let (array, rest) = from.split_first_chunk()?;
    *from = rest;
    Some(*array)
}

fn bytes<'a>(from: &mut &'a [u8]) -> Option<&'a [u8]> {
    let length = match byte(from)? {
        u8::MAX => u32::from_be_bytes(array(from)?) as usize,
        length => usize::from(length),
    };
    let (bytes, rest) = from.split_at_checked(length)?;
    *from = rest;
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;

    const EVENT: &str = "018f2a3e-0002-8000-8000-000000000002";
    const ORDER: &str = "018f2a3e-1000-7000-8000-000000000007";
    const CAUSE: &str = "018f2a3e-0001-7000-8000-000000000001";

    fn row(headers: &[(&str, Option<&[u8]>)]) -> OutboxRow {
        let mut list = Headers::new();
        for (name, value) in headers {
            list.push_nullable(name, *value);
        }
        OutboxRow {
            sequence: 1,
            topic: Arc::from("inventory"),
            partition: 0,
            timestamp: 0,
            event_id: EVENT.parse().expect("an id"),
            key: Some(ORDER.as_bytes().to_vec()),
            value: None,
            headers: list,
            reason: None,
        }
    }

    fn restored(row: &OutboxRow, stored: Vec<u8>) -> Result<Headers, String> {
        unpack(stored, row.event_id, row.key.as_deref())
    }

    fn fact() -> OutboxRow {
        row(&[
            ("ce_specversion", Some(b"1.0")),
            ("ce_id", Some(EVENT.as_bytes())),
            ("ce_type", Some(b"orderflow.inventory.InventoryReserved")),
            ("ce_source", Some(b"orderflow/inventory")),
            ("ce_time", Some(b"2010-12-01T08:26:00.123456Z")),
            ("ce_subject", Some(ORDER.as_bytes())),
            ("ce_correlationid", Some(ORDER.as_bytes())),
            ("ce_causationid", Some(CAUSE.as_bytes())),
            ("content-type", Some(b"application/avro")),
            (
                "traceparent",
                Some(b"00-018f2a3e100070008000000000000007-8000000000000002-01"),
            ),
            (
                "ce_traceparent",
                Some(b"00-018f2a3e100070008000000000000007-8000000000000001-01"),
            ),
        ])
    }

    #[test]
    fn a_fact_takes_a_third_of_its_headers() {
        let fact = fact();
        let stored = pack(&fact);
        let plain = fact.headers.as_bytes().len();
        assert!(stored.len() * 3 < plain, "{} of {plain} bytes", stored.len());
        assert_eq!(restored(&fact, stored), Ok(fact.headers.clone()));
    }

    #[test]
    fn every_list_comes_out_as_it_went_in() {
        let long = vec![b'x'; 70_000];
        let name = "n".repeat(300);
        let odd: [(&str, Option<&[u8]>); 22] = [
            ("", None),
            ("", Some(b"")),
            (&name, Some(&long)),
            ("254", Some(&long[..254])),
            ("255", Some(&long[..255])),
            ("n\u{e4}me", Some(&[0, 255, 0xff])),
            ("traceparent", None),
            ("ce_specversion", Some(b"")),
            ("ce_specversion", Some(b"1.1")),
            ("ce_id", Some(b"")),
            ("ce_id", Some(b"018F2A3E-0002-8000-8000-000000000002")),
            ("ce_id", Some(b"018f2a3e-0002-8000-8000-00000000000g")),
            ("ce_id", Some(b"018f2a3e00028000-8000-00000000000002")),
            ("ce_id", Some(b"018f2a3e000280008000000000000002")),
            ("other", Some(CAUSE.as_bytes())),
            (
                "other",
                Some(b"00-018f2a3e100070008000000000000007-8000000000000002-00"),
            ),
            (
                "traceparent",
                Some(b"01-018f2a3e100070008000000000000007-8000000000000002-01"),
            ),
            (
                "traceparent",
                Some(b"00-018F2a3e100070008000000000000007-8000000000000002-01"),
            ),
            (
                "traceparent",
                Some(b"00-018f2a3e100070008000000000000007-+000000000000002-01"),
            ),
            (
                "traceparent",
                Some(b"00-018f2a3e1000700080000000000000078800000000000002-001"),
            ),
            (
                "traceparent",
                Some(b"00-018f2a3e100070008000000000000007-8000000000000002--1"),
            ),
            (
                "traceparent",
                Some(b"00-018f2a3e100070008000000000000007-8000000000000002-01-01"),
            ),
        ];
        for at in 0..odd.len() {
            let one = row(&odd[at..=at]);
            assert_eq!(restored(&one, pack(&one)), Ok(one.headers.clone()), "{:?}", odd[at].0);
        }
        let all = row(&odd);
        assert_eq!(restored(&all, pack(&all)), Ok(all.headers.clone()));
        let none = row(&[]);
        assert_eq!(restored(&none, pack(&none)), Ok(Headers::new()));
    }

    #[test]
    fn a_row_without_a_key_or_with_an_empty_one_keeps_its_headers() {
        for key in [None, Some(Vec::new()), Some(b"1.0".to_vec())] {
            let fact = OutboxRow { key, ..fact() };
            assert_eq!(restored(&fact, pack(&fact)), Ok(fact.headers.clone()));
        }
    }

    #[test]
    fn rows_of_before_are_read_as_they_stand() {
        let fact = fact();
        let plain = fact.headers.as_bytes().to_vec();
        assert_eq!(restored(&fact, plain), Ok(fact.headers.clone()));
    }

    #[test]
    fn bytes_that_are_no_list_come_out_as_they_went_in() {
        let mut cut = fact().headers.as_bytes().to_vec();
        cut.pop();
        for bytes in [cut, vec![PACKED; 9], vec![0]] {
            let odd = OutboxRow {
                headers: Headers::from_bytes(bytes),
                ..fact()
            };
            assert_eq!(restored(&odd, pack(&odd)), Ok(odd.headers.clone()));
        }
    }

    #[test]
    fn damage_is_said_and_nothing_is_made_up() {
        let fact = fact();
        let stored = pack(&fact);
        let whole: Vec<usize> = (2..stored.len())
            .filter(|length| restored(&fact, stored[..*length].to_vec()).is_ok())
            .collect();
        // Only between two headers a cut is none.
        assert_eq!(whole.len(), NAMES.len(), "{whole:?}");
        for damaged in [
            &[PACKED, NUMBERED, 200, 0][..],
            &[PACKED, NUMBERED, 1, 99],
            &[PACKED, 7, 1, 1],
        ] {
            assert!(restored(&fact, damaged.to_vec()).is_err(), "{damaged:?}");
        }
    }
}
