//! From a record to an event that can be decided on, or the reason why not.

use orderflow_domain::order::{FieldError, check_product_id};
use orderflow_domain::{Event, OrderPlaced, ProductId};
use orderflow_runtime::{Dependency, Reason, Record, Refusal};
use orderflow_schemas::{Codec, Contract, TopicNames, Unreadable};

/// Latest timestamp a record may bear: 2100-01-01. No decision has a clock to judge the future by, so the bound is one
/// that no sound clock reaches while this program lives, and low enough that ids made of it keep their order.
pub(crate) const LATEST_TIMESTAMP: i64 = 4_102_444_800_000;

/// What decoding may lack: the schema that a registry has under an id.
pub(crate) const SCHEMA: &str = "schema";

/// Most broken rules that a refusal names; an order may break one per item.
const NAMED_ERRORS: usize = 5;

/// Most bytes of a wrong key that a refusal shows.
const SHOWN_KEY_BYTES: usize = 64;

/// The event of a record, read as its topic's: of the right type, under its key, at a plausible time.
///
/// What is wrong with the record rather than with the event is refused without the event's id: the same event may come
/// again in a record that is sound, and must not pass for a duplicate then.
pub(crate) fn read(record: &Record<'_>, names: &TopicNames, codec: &Codec) -> Result<Read, Refusal> {
    let value = record
        .value
        .ok_or_else(|| Refusal::new(Reason::Tombstone, "a record without a value; events are never deleted"))?;
    check_timestamp(record.timestamp)?;
    let event = match codec.decode(value) {
        Ok(event) => event,
        Err(Unreadable::UnfetchedSchema(id)) => return Ok(Read::Lacks(schema(id))),
        Err(error) => return Err(unreadable(&error)),
    };
    check_topic(record.source, &event, names)?;
    check_key(record.key, &event)?;
    Ok(Read::Event(event))
}

/// What a record turned out to be.
#[derive(Debug, PartialEq)]
pub(crate) enum Read {
    Event(Event),
    /// Nobody can tell without this.
    Lacks(Dependency),
}

fn schema(id: u32) -> Dependency {
    Dependency {
        kind: SCHEMA,
        id: id.into(),
    }
}

/// Whether the order can be worked on; the refusal names the fields and bears the event's id.
pub(crate) fn check_order(order: &OrderPlaced) -> Result<(), Refusal> {
    order
        .validate()
        .map_err(|errors| Refusal::new(Reason::InvalidOrder, list(&errors)).of(order.meta.event_id.0))
}

/// Whether stock can be kept under this id; what else a movement must satisfy is asked when it is applied.
pub(crate) fn check_product(event: &impl Contract, product: &ProductId) -> Result<(), Refusal> {
    check_product_id("product_id", product.as_str())
        .map_err(|error| Refusal::new(Reason::InvalidOrder, error.to_string()).of(event.meta().event_id.0))
}

fn check_timestamp(timestamp: i64) -> Result<(), Refusal> {
    if (0..=LATEST_TIMESTAMP).contains(&timestamp) {
        return Ok(());
    }
    let detail = format!(
        "a timestamp of {timestamp} ms; expected one between 1970 and 2100, which a producer sets unless told otherwise"
    );
    Err(Refusal::new(Reason::Limit, detail))
}

fn check_topic(topic: &str, event: &Event, names: &TopicNames) -> Result<(), Refusal> {
    let event_type = event.event_type();
    let home = names.name(event_type.topic());
    if home == topic {
        return Ok(());
    }
    let detail = format!("{event_type} in topic {topic}; its topic is {home}");
    Err(Refusal::new(Reason::WrongType, detail))
}

fn check_key(key: Option<&[u8]>, event: &Event) -> Result<(), Refusal> {
    let expected = event.key();
    match key {
        Some(key) if key == expected.as_bytes() => Ok(()),
        Some(key) => {
            let shown = String::from_utf8_lossy(&key[..key.len().min(SHOWN_KEY_BYTES)]);
            let detail = format!("key {shown:?}; the value says {expected:?}");
            Err(Refusal::new(Reason::KeyMismatch, detail))
        }
        None => Err(Refusal::new(Reason::NullKey, format!("no key; expected {expected:?}"))),
    }
}

fn unreadable(error: &Unreadable) -> Refusal {
    // The names of both are one closed set; a test holds them together.
    let reason = Reason::parse(error.reason()).unwrap_or(Reason::WrongType);
    Refusal::new(reason, error.to_string())
}

fn list(errors: &[FieldError]) -> String {
    let named: Vec<String> = errors.iter().take(NAMED_ERRORS).map(FieldError::to_string).collect();
    let more = errors.len().saturating_sub(NAMED_ERRORS);
    match more {
        0 => named.join("; "),
        _ => format!("{}; and {more} more", named.join("; ")),
    }
}

#[cfg(test)]
mod tests;
