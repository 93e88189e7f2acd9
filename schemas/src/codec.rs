//! Events to bytes and back where ids may come from a registry.

use std::collections::HashMap;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};

use orderflow_domain::Event;
use serde_json::Value;

use crate::history::{self, Version};
use crate::wire::{self, Writer};
use crate::{Contract, EventType, Unreadable, compatibility};

/// How long a schema that cannot be used is not asked for again. Long enough that a stream of such records asks once a
/// minute, short enough that a registry that was mended need not be told.
const REFUSED_FOR: Duration = Duration::from_mins(1);

/// Most refused ids that are remembered; made-up ones must not fill the memory.
const MAX_REFUSED: usize = 1_000;

/// Writes and reads events, under the ids that hold in this process. Cheap to clone; clones know the same schemas.
///
/// The ids of the contracts' own history are read in any case, those of a registry once their schemas are known.
#[derive(Debug, Clone)]
pub struct Codec(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    /// What records are written with, by event.
    ids: [u32; EventType::ALL.len()],
    /// Schemas by the ids of a registry; `None` where there is none.
    registry: Option<RwLock<HashMap<u32, Known>>>,
}

/// What is known of an id.
#[derive(Debug)]
enum Known {
    /// It is a version of ours.
    Ours(&'static Version),
    /// Somebody else's version of an event, which ours can read.
    Theirs(Box<Foreign>),
    /// It cannot be used.
    Refused { why: String, until: Instant },
}

/// Somebody else's version of an event.
#[derive(Debug)]
struct Foreign {
    event: EventType,
    text: String,
    schema: serde_avro_fast::Schema,
}

impl Default for Codec {
    fn default() -> Self {
        Self::builtin()
    }
}

impl PartialEq for Codec {
    /// Whether both write the same.
    fn eq(&self, other: &Self) -> bool {
        self.0.ids == other.0.ids
    }
}

impl Eq for Codec {}

impl Codec {
    /// Knows the contracts' own ids and no others.
    #[must_use]
    pub fn builtin() -> Self {
        Self(Arc::new(Inner {
            ids: builtin_ids(),
            registry: None,
        }))
    }

    /// Writes under these ids of a registry; events that are not among them keep the contracts' own ids, which everybody
    /// reads.
    pub(crate) fn of_registry(written: &[(&'static Version, u32)]) -> Self {
        let mut ids = builtin_ids();
        let mut known = HashMap::new();
        for (version, id) in written {
            known.insert(*id, Known::Ours(version));
            if history::latest(version.event).version == version.version {
                ids[version.event as usize] = *id;
            }
        }
        Self(Arc::new(Inner {
            ids,
            registry: Some(RwLock::new(known)),
        }))
    }

    /// Writes an event behind what `value` holds already, with the latest version of its schema.
    pub fn encode(&self, event: &impl Contract, value: &mut Vec<u8>) {
        wire::encode_under(self.0.ids[event.event_type() as usize], event, value);
    }

    /// Reads a record's value with the schema its id names. Waits for nothing: a schema that has not been fetched yet is
    /// [`Unreadable::UnfetchedSchema`].
    ///
    /// # Errors
    /// Why it cannot be read.
    pub fn decode(&self, value: &[u8]) -> Result<Event, Unreadable> {
        let (id, datum) = wire::open(value)?;
        if let Some(version) = history::by_id(id) {
            return wire::read_event(version.into(), datum);
        }
        let Some(registry) = &self.0.registry else {
            return Err(Unreadable::UnknownSchema(id));
        };
        let known = registry.read().unwrap_or_else(PoisonError::into_inner);
        match known.get(&id) {
            Some(Known::Ours(version)) => wire::read_event((*version).into(), datum),
            Some(Known::Theirs(foreign)) => wire::read_event(foreign.writer(), datum),
            Some(Known::Refused { why, until }) if Instant::now() < *until => {
                let why = why.clone();
                Err(Unreadable::ForeignSchema { id, why })
            }
            Some(Known::Refused { .. }) | None => Err(Unreadable::UnfetchedSchema(id)),
        }
    }

    /// The id that records of an event are written with.
    #[must_use]
    pub fn id(&self, event: EventType) -> u32 {
        self.0.ids[event as usize]
    }

    /// Whether nothing need be asked to decode this id.
    pub(crate) fn knows(&self, id: u32) -> bool {
        let Some(registry) = &self.0.registry else { return true };
        let known = registry.read().unwrap_or_else(PoisonError::into_inner);
        match known.get(&id) {
            Some(Known::Refused { until, .. }) => Instant::now() < *until,
            Some(_) => true,
            None => history::by_id(id).is_some(),
        }
    }

    /// From now on values with this id are read with this schema; or refused, which is an answer too: then it says why.
    pub(crate) fn learn(&self, id: u32, schema: &str) -> Result<(), String> {
        match known(schema) {
            Ok(known) => {
                self.insert(id, known);
                Ok(())
            }
            Err(why) => {
                self.refuse(id, &why);
                Err(why)
            }
        }
    }

    /// For a while values with this id are refused.
    pub(crate) fn refuse(&self, id: u32, why: &str) {
        self.insert(
            id,
            Known::Refused {
                why: why.to_owned(),
                until: Instant::now() + REFUSED_FOR,
            },
        );
    }

    fn insert(&self, id: u32, what: Known) {
        let Some(registry) = &self.0.registry else { return };
        let mut known = registry.write().unwrap_or_else(PoisonError::into_inner);
        let refused = |known: &Known| matches!(known, Known::Refused { .. });
        if refused(&what) && known.values().filter(|known| refused(known)).count() >= MAX_REFUSED {
            known.retain(|_, known| !refused(known));
        }
        known.insert(id, what);
    }
}

impl Foreign {
    fn writer(&self) -> Writer<'_> {
        Writer {
            event: self.event,
            text: &self.text,
            schema: &self.schema,
        }
    }
}

fn builtin_ids() -> [u32; EventType::ALL.len()] {
    EventType::ALL.map(|event| history::latest(event).id)
}

/// What a registry's schema is to us; or why nothing.
fn known(text: &str) -> Result<Known, String> {
    let name = compatibility::record_name(text)?;
    let event = EventType::ALL
        .into_iter()
        .find(|event| event.record_name() == name)
        .ok_or_else(|| format!("it is {name}, which is none of the contracts"))?;
    if let Some(version) = same(event, text) {
        return Ok(Known::Ours(version));
    }
    let ours = history::latest(event);
    compatibility::reads(ours.text, text).map_err(|problem| format!("{ours} cannot read what it wrote: {problem}"))?;
    let schema = text.parse().map_err(|error| format!("it cannot be used: {error}"))?;
    Ok(Known::Theirs(Box::new(Foreign {
        event,
        text: text.to_owned(),
        schema,
    })))
}

/// The version of an event that is this schema, be it written or documented otherwise.
pub(crate) fn same(event: EventType, text: &str) -> Option<&'static Version> {
    let wanted = undocumented(text).ok()?;
    let same = |version: &&Version| undocumented(version.text).is_ok_and(|known| known == wanted);
    history::of(event).rev().find(same)
}

/// A schema without what only people read.
pub(crate) fn undocumented(text: &str) -> serde_json::Result<Value> {
    let mut schema = serde_json::from_str(text)?;
    remove_documentation(&mut schema);
    Ok(schema)
}

fn remove_documentation(schema: &mut Value) {
    match schema {
        Value::Object(members) => {
            members.remove("doc");
            members.values_mut().for_each(remove_documentation);
        }
        Value::Array(elements) => elements.iter_mut().for_each(remove_documentation),
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn made_up_ids_do_not_fill_the_memory() {
        let codec = Codec::of_registry(&[(history::latest(EventType::OrderPlaced), 1)]);
        let most = u32::try_from(MAX_REFUSED).expect("small");
        for id in 2..most * 3 {
            codec.refuse(id, "made up");
        }
        let known = codec
            .0
            .registry
            .as_ref()
            .expect("a registry")
            .read()
            .expect("not poisoned");
        assert!(known.len() <= MAX_REFUSED + 1, "{}", known.len());
        assert!(known.contains_key(&1), "what can be used stays");
    }
}
