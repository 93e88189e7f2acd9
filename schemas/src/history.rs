//! Every schema there ever was, in the order in which they came, and the id that each one bears for ever.

use std::fmt;
use std::sync::LazyLock;

use crate::EventType;

/// The id of the first schema; those of the others follow. No registry gets as far, so an id tells where it is from.
pub const FIRST_ID: u32 = 1_000_000_000;

/// One version of one event's schema.
#[derive(Debug)]
pub struct Version {
    /// The event.
    pub event: EventType,
    /// Its version, counted from 1.
    pub version: u32,
    /// The id that stands before the bytes of a record.
    pub id: u32,
    /// The schema as it was released, byte for byte.
    pub text: &'static str,
    /// The same, ready to decode and encode with.
    pub(crate) schema: serde_avro_fast::Schema,
}

impl fmt::Display for Version {
    /// As `OrderPlaced v1`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} v{}", self.event, self.version)
    }
}

/// Every version, in order of id.
#[must_use]
pub fn all() -> &'static [Version] {
    &HISTORY
}

/// The version with that id.
#[must_use]
pub fn by_id(id: u32) -> Option<&'static Version> {
    HISTORY.get(id.checked_sub(FIRST_ID)? as usize)
}

/// The versions of an event, the first one first.
pub fn of(event: EventType) -> impl DoubleEndedIterator<Item = &'static Version> {
    HISTORY.iter().filter(move |version| version.event == event)
}

/// The version that records of this event are written with.
///
/// # Panics
///
/// Never: every event has a first version, and a test reads each one.
#[must_use]
pub fn latest(event: EventType) -> &'static Version {
    LATEST[event as usize]
}

macro_rules! released {
    ($(($event:ident, $version:literal)),* $(,)?) => {
        [$((
            EventType::$event,
            $version,
            include_str!(concat!("../avro/", stringify!($event), ".v", stringify!($version), ".avsc")),
        )),*]
    };
}

/// What was released, in order. **Only ever append**: a schema's id is its place in this list, and records that bear it
/// are kept for years.
const RELEASED: [(EventType, u32, &str); 7] = released![
    (OrderPlaced, 1),
    (InventoryReserved, 1),
    (InventoryUnavailable, 1),
    (PaymentProcessed, 1),
    (PaymentFailed, 1),
    (StockReceived, 1),
    (StockAdjusted, 1),
];

static HISTORY: LazyLock<Vec<Version>> = LazyLock::new(|| {
    (FIRST_ID..)
        .zip(RELEASED)
        .map(|(id, (event, version, text))| Version {
            event,
            version,
            id,
            text,
            schema: parse(text),
        })
        .collect()
});

static LATEST: LazyLock<[&'static Version; EventType::ALL.len()]> =
    LazyLock::new(|| EventType::ALL.map(|event| of(event).next_back().expect("every event has a version")));

fn parse(text: &str) -> serde_avro_fast::Schema {
    text.parse().expect("released schemas are parsed by a test")
}

#[cfg(test)]
mod tests {
    use sha2::{Digest, Sha256};

    use super::*;

    /// Ids, versions and texts of what was released. A new version appends a line; no line ever changes.
    const FROZEN: [&str; RELEASED.len()] = [
        "1000000000 OrderPlaced v1 1a83506ed25c2cfe",
        "1000000001 InventoryReserved v1 34191765a66115fb",
        "1000000002 InventoryUnavailable v1 96b94164af40615b",
        "1000000003 PaymentProcessed v1 4826c04a4bbb71ea",
        "1000000004 PaymentFailed v1 eaa7cf8365bc52f0",
        "1000000005 StockReceived v1 6c51e424ab3a7416",
        "1000000006 StockAdjusted v1 564686e1862920c4",
    ];

    fn fingerprint(text: &str) -> String {
        let digest = Sha256::digest(text);
        let (head, _) = digest.split_first_chunk().expect("32 bytes");
        format!("{:016x}", u64::from_be_bytes(*head))
    }

    #[test]
    fn what_was_released_never_changes() {
        let released: Vec<String> = all()
            .iter()
            .map(|version| format!("{} {version} {}", version.id, fingerprint(version.text)))
            .collect();
        assert_eq!(released, FROZEN);
    }

    #[test]
    fn versions_are_found_by_id_and_counted_from_one() {
        for event in EventType::ALL {
            for (expected, version) in (1..).zip(of(event)) {
                assert_eq!(version.version, expected);
                assert_eq!(by_id(version.id).map(|found| found.id), Some(version.id));
            }
            assert_eq!(Some(latest(event).id), of(event).map(|version| version.id).max());
        }
        assert!(by_id(0).is_none() && by_id(FIRST_ID - 1).is_none() && by_id(u32::MAX).is_none());
    }

    #[test]
    fn schemas_bear_the_name_of_their_event_and_document_every_field() {
        for version in all() {
            let schema = apache_avro::Schema::parse_str(version.text).expect("valid");
            assert_eq!(
                schema.name().map(ToString::to_string).as_deref(),
                Some(version.event.record_name())
            );
            assert_documented(&schema, &version.to_string());
        }
    }

    fn assert_documented(schema: &apache_avro::Schema, path: &str) {
        match schema {
            apache_avro::Schema::Record(record) => {
                assert!(record.doc.is_some(), "{path}");
                for field in &record.fields {
                    let path = format!("{path}.{}", field.name);
                    assert!(field.doc.as_ref().is_some_and(|doc| doc.ends_with('.')), "{path}");
                    assert_documented(&field.schema, &path);
                }
            }
            apache_avro::Schema::Array(array) => assert_documented(&array.items, path),
            _ => {}
        }
    }
}
