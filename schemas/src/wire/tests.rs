use std::path::{Path, PathBuf};

use super::*;
use crate::samples;
use apache_avro::Schema;
use apache_avro::reader::datum::GenericDatumReader;
use apache_avro::writer::datum::GenericDatumWriter;

mod damage;
mod values;

/// A value in Avro's wire format, part by part.
struct Value(Vec<u8>);

impl Value {
    fn of(event: EventType) -> Self {
        Self([&[MAGIC], &history::latest(event).id.to_be_bytes()[..]].concat())
    }

    /// Of an order, up to and including the length that its items claim to have.
    fn order_claiming(items: i64) -> Self {
        let head = Self::of(EventType::OrderPlaced)
            .text("018f2a3e-0001-7000-8000-000000000001")
            .number(0);
        let meta = head.text("018f2a3e-1000-7000-8000-000000000007").number(0).text("test");
        meta.text("018f2a3e-1000-7000-8000-000000000007")
            .number(0)
            .text("GBP")
            .number(items)
    }

    fn with_id_of(mut self, event: EventType) -> Self {
        self.0[..HEADER_BYTES].copy_from_slice(&Self::of(event).0);
        self
    }

    fn number(mut self, number: i64) -> Self {
        let mut zigzag = ((number << 1) ^ (number >> 63)).cast_unsigned();
        while zigzag >= 0x80 {
            self.0.push(zigzag.to_le_bytes()[0] | 0x80);
            zigzag >>= 7;
        }
        self.0.push(zigzag.to_le_bytes()[0]);
        self
    }

    fn text(self, text: &str) -> Self {
        let mut value = self.number(i64::try_from(text.len()).expect("short"));
        value.0.extend_from_slice(text.as_bytes());
        value
    }
}

fn encoded(event: &Event) -> Vec<u8> {
    let mut value = Vec::new();
    encode(event, &mut value);
    value
}

fn refused(value: &[u8]) -> (&'static str, String) {
    let error = decode(value).expect_err("unreadable");
    (error.reason(), error.to_string())
}

#[test]
fn every_event_comes_back() {
    let events = samples::all();
    assert_eq!(
        events.iter().map(Contract::event_type).collect::<Vec<_>>(),
        EventType::ALL
    );
    for event in events {
        assert_eq!(decode(&encoded(&event)), Ok(event));
    }
}

#[test]
fn a_value_begins_with_the_magic_byte_and_the_schema_id() {
    let value = encoded(&Event::InventoryReserved(samples::inventory_reserved()));
    assert_eq!(value[..HEADER_BYTES], [0, 0x3b, 0x9a, 0xca, 0x01]);
}

/// What the hot path writes, `apache-avro` writes too, and reads to the same fields.
#[test]
fn both_libraries_give_the_same_bytes() {
    for event in samples::all() {
        let version = history::latest(event.event_type());
        let schema = Schema::parse_str(version.text).expect("a valid schema");
        let value = encoded(&event);
        let reader = GenericDatumReader::builder(&schema).build().expect("a valid schema");
        let writer = GenericDatumWriter::builder(&schema).build().expect("a valid schema");
        let read = reader.read_value(&mut &value[HEADER_BYTES..]).expect("readable");
        assert!(read.validate(&schema), "{}", event.event_type());
        assert_eq!(
            writer.write_value_to_vec(read).expect("writable"),
            value[HEADER_BYTES..]
        );
    }
}

#[test]
fn framing_that_is_not_ours() {
    for (value, reason, sentence) in [
        (&b""[..], "empty", "the value is empty"),
        (b"\0", "too_short", "has 1 bytes"),
        (b"\0\x3b\x9a\xca", "too_short", "has 4 bytes"),
        (b"{", "bad_magic", "0x7b"),
        (br#"{"order_id": 7}"#, "bad_magic", "0x7b instead of 0x00"),
        (b"\0\0\0\0\x01", "unknown_schema", "schema id 1 "),
        (b"\0\x3b\x9a\xca\xff", "unknown_schema", "1000000255"),
        (b"\0\xff\xff\xff\xff", "unknown_schema", "4294967295"),
        (b"\0\x3b\x9a\xca\0", "truncated", "meta.event_id is missing"),
    ] {
        let (found, message) = refused(value);
        assert_eq!(found, reason, "{message}");
        assert!(message.contains(sentence), "{message}");
    }
}

#[test]
fn a_value_cut_anywhere_is_truncated() {
    for event in samples::all() {
        let value = encoded(&event);
        for length in HEADER_BYTES..value.len() {
            let (reason, message) = refused(&value[..length]);
            assert_eq!(
                reason,
                "truncated",
                "{} of {length} bytes: {message}",
                event.event_type()
            );
        }
    }
}

#[test]
fn bytes_behind_the_event_are_counted() {
    for event in samples::all() {
        let value = [encoded(&event), vec![0; 3]].concat();
        assert_eq!(decode(&value), Err(Unreadable::TrailingBytes(3)));
    }
}

#[test]
fn claimed_lengths_cost_nothing() {
    let too_many = i64::try_from(MAX_ARRAY_ITEMS).expect("small") + 1;
    for (value, sentence) in [
        (Value::order_claiming(i64::MAX), "items claims more than 10000 elements"),
        (Value::order_claiming(too_many), "items claims more than 10000 elements"),
        (
            Value::order_claiming(i64::MIN).number(0),
            "items claims more than 10000 elements",
        ),
        (
            Value::of(EventType::OrderPlaced).number(i64::MAX),
            "meta.event_id claims 9223372036854775807 bytes",
        ),
        (
            Value::of(EventType::OrderPlaced).number(-1),
            "meta.event_id claims -1 bytes",
        ),
        (
            Value(vec![0; MAX_VALUE_BYTES + 1]).with_id_of(EventType::OrderPlaced),
            "at most 1048576 are read",
        ),
    ] {
        let (reason, message) = refused(&value.0);
        assert_eq!(reason, "limit", "{message}");
        assert!(message.contains(sentence), "{message}");
    }
}

#[test]
fn something_else_where_a_field_is_due() {
    let meta = |id: &str| Value::of(EventType::StockReceived).text(id);
    let mut not_utf8 = meta("018f2a3e-0001-7000-8000-000000000001").number(0).number(2);
    not_utf8.0.extend_from_slice(b"\xff\xfe");
    for (value, sentence) in [
        (meta("no uuid").number(0), "meta.event_id is no UUID"),
        (not_utf8, "meta.correlation_id is not UTF-8"),
        (
            meta("018f2a3e-0001-7000-8000-000000000001")
                .number(0)
                .text("p")
                .number(7),
            "meta.causation_id names branch 7 of 2",
        ),
        (
            Value([Value::of(EventType::OrderPlaced).0, vec![0xff; 20]].concat()),
            "meta.event_id is a number longer than 64 bits",
        ),
    ] {
        let (reason, message) = refused(&value.0);
        assert_eq!(reason, "wrong_type", "{message}");
        assert!(message.contains(sentence), "{message}");
    }
}

#[test]
fn arrays_in_blocks_with_their_size_are_read() {
    let item = |value: Value| value.text("85123A").number(6).number(255);
    let first_block = item(item(Value::order_claiming(-2).number(20)));
    let value = item(first_block.number(1))
        .number(0)
        .number(4_590)
        .text("tok_ok")
        .number(0);
    let Ok(Event::OrderPlaced(order)) = decode(&value.0) else {
        panic!("{:?}", decode(&value.0))
    };
    assert_eq!(order.items.len(), 3);
}

fn golden_file(version: &Version) -> PathBuf {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("golden");
    folder.join(format!("{}.v{}.avro", version.event.name(), version.version))
}

fn golden(version: &Version) -> Vec<u8> {
    let file = golden_file(version);
    std::fs::read(&file).unwrap_or_else(|error| panic!("{}: {error}", file.display()))
}

/// What was written years ago is read today: bytes of every version ever released, kept beside the schemas.
///
/// A new version gets its file by writing [`samples`] once; the others are never written again.
#[test]
fn golden_bytes_of_every_version_are_read() {
    for version in history::all() {
        let expected = samples::all().swap_remove(version.event as usize);
        assert_eq!(
            decode(&golden(version)),
            Ok(expected),
            "{} v{}",
            version.event,
            version.version
        );
    }
}

#[test]
fn golden_bytes_of_the_latest_versions_are_what_is_written() {
    for event in samples::all() {
        assert_eq!(
            golden(history::latest(event.event_type())),
            encoded(&event),
            "{}",
            event.event_type()
        );
    }
}
