//! Every schema there ever was, in the order in which they came, and the id that each one bears for ever.

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
