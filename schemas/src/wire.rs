//! The wire format that Confluent's tools know: a zero byte, the schema's id in four bytes, then Avro.

mod diagnose;
mod unreadable;

use std::cell::RefCell;

use orderflow_domain::Event;
use serde::Deserialize;
use serde_avro_fast::de::read::SliceRead;
use serde_avro_fast::de::{DeserializerConfig, DeserializerState};
use serde_avro_fast::ser::{SerializerConfig, SerializerState};

use crate::history::{self, Version};
use crate::{Contract, EventType};

pub use unreadable::Unreadable;

/// Longest value that is read. A cluster's default for a whole batch of records is 1 MiB, and no event of the contracts
/// comes near it; what is longer is not looked into.
pub const MAX_VALUE_BYTES: usize = 1024 * 1024;

/// Most elements of an array that are read: five times the items of the largest order, so that an order with too many is
/// refused as such, and few enough that a made-up count costs nothing.
pub const MAX_ARRAY_ITEMS: usize = 10_000;

const MAGIC: u8 = 0;
const HEADER_BYTES: usize = 5;

/// Reads a record's value with the schema its id names.
///
/// Allocates for the texts and lists the value really holds, never for what it only claims.
///
/// # Errors
///
/// Why it cannot be read; the bytes belong to the dead letters then.
pub fn decode(value: &[u8]) -> Result<Event, Unreadable> {
    let (id, datum) = open(value)?;
    let version = history::by_id(id).ok_or(Unreadable::UnknownSchema(id))?;
    read_event(version.into(), datum)
}

/// Writes an event behind what `value` holds already, with the latest version of its schema. Allocates nothing but what
/// `value` needs to grow.
///
/// # Panics
///
/// Never: the types of the contracts fit their schemas whatever they hold, and tests write each of them.
pub fn encode(event: &impl Contract, value: &mut Vec<u8>) {
    encode_under(history::latest(event.event_type()).id, event, value);
}

/// What a value was written with: a version of an event's schema, ours or somebody else's.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Writer<'a> {
    pub(crate) event: EventType,
    pub(crate) text: &'a str,
    pub(crate) schema: &'a serde_avro_fast::Schema,
}

impl<'a> From<&'a Version> for Writer<'a> {
    fn from(version: &'a Version) -> Self {
        Self {
            event: version.event,
            text: version.text,
            schema: &version.schema,
        }
    }
}

/// As [`encode`], under another id of the same schema.
pub(crate) fn encode_under(id: u32, event: &impl Contract, value: &mut Vec<u8>) {
    let event_type = event.event_type();
    value.push(MAGIC);
    value.extend_from_slice(&id.to_be_bytes());
    WRITERS.with_borrow_mut(|writers| {
        let mut state = SerializerState::from_writer(value, &mut writers[event_type as usize]);
        event
            .serialize(state.serializer())
            .expect("an event fits its own schema");
    });
}

thread_local! {
    /// The buffers in a configuration are what is costly to make, so each thread keeps its own.
    static WRITERS: RefCell<[SerializerConfig<'static>; EventType::ALL.len()]> =
        RefCell::new(EventType::ALL.map(|event| SerializerConfig::new(&history::latest(event).schema)));
}

/// Takes the header off a value.
pub(crate) fn open(value: &[u8]) -> Result<(u32, &[u8]), Unreadable> {
    let Some((header, datum)) = value.split_first_chunk::<HEADER_BYTES>() else {
        return Err(Unreadable::shorter_than_header(value));
    };
    let [MAGIC, id @ ..] = *header else {
        return Err(Unreadable::BadMagic(header[0]));
    };
    Ok((u32::from_be_bytes(id), datum))
}

/// Reads what stands behind the header.
pub(crate) fn read_event(writer: Writer<'_>, datum: &[u8]) -> Result<Event, Unreadable> {
    let bytes = HEADER_BYTES + datum.len();
    if bytes > MAX_VALUE_BYTES {
        return Err(Unreadable::Limit(format!(
            "a value of {bytes} bytes; at most {MAX_VALUE_BYTES} are read"
        )));
    }
    match writer.event {
        EventType::OrderPlaced => read(writer, datum).map(Event::OrderPlaced),
        EventType::InventoryReserved => read(writer, datum).map(Event::InventoryReserved),
        EventType::InventoryUnavailable => read(writer, datum).map(Event::InventoryUnavailable),
        EventType::PaymentProcessed => read(writer, datum).map(Event::PaymentProcessed),
        EventType::PaymentFailed => read(writer, datum).map(Event::PaymentFailed),
        EventType::StockReceived => read(writer, datum).map(Event::StockReceived),
        EventType::StockAdjusted => read(writer, datum).map(Event::StockAdjusted),
    }
}

fn read<'de, E: Deserialize<'de>>(writer: Writer<'_>, datum: &'de [u8]) -> Result<E, Unreadable> {
    let mut config = DeserializerConfig::new(writer.schema);
    config.max_seq_size = MAX_ARRAY_ITEMS;
    let mut state = DeserializerState::with_config(SliceRead::new(datum), config);
    let event = E::deserialize(state.deserializer()).map_err(|error| diagnose::unreadable(writer, datum, &error))?;
    match remaining(state.into_reader()) {
        0 => Ok(event),
        count => Err(Unreadable::TrailingBytes(count)),
    }
}

fn remaining(mut reader: SliceRead<'_>) -> usize {
    use std::io::BufRead as _;
    reader.fill_buf().map_or(0, <[u8]>::len)
}

#[cfg(test)]
mod tests;
