//! Finding what a request names.

use serde::Deserialize;

use super::answer::Problem;
use crate::history::{self, Version};
use crate::{EventType, codec};

/// The subject of that name; the short name of an event is none.
pub(super) fn subject(name: &str) -> Result<EventType, Problem> {
    let event = EventType::ALL.into_iter().find(|event| event.record_name() == name);
    event.ok_or_else(|| Problem::NoSuchSubject(name.to_owned()))
}

/// The version of a subject by its number; `latest`, or `-1` as old clients write it, is the newest.
pub(super) fn version(subject_name: &str, number: &str) -> Result<&'static Version, Problem> {
    let event = subject(subject_name)?;
    if matches!(number, "latest" | "-1") {
        return Ok(history::latest(event));
    }
    let wanted: u32 = number
        .parse()
        .ok()
        .filter(|number| *number > 0)
        .ok_or_else(|| Problem::InvalidVersion(number.to_owned()))?;
    history::of(event)
        .find(|version| version.version == wanted)
        .ok_or_else(|| Problem::NoSuchVersion(number.to_owned()))
}

/// The version with that id.
pub(super) fn id(id: &str) -> Result<&'static Version, Problem> {
    id.parse().ok().and_then(history::by_id).ok_or(Problem::NoSuchSchema)
}

/// A schema as clients send it.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Sent {
    schema: String,
    schema_type: Option<String>,
}

/// The schema's text in the body of a request.
pub(super) fn sent_schema(body: &[u8]) -> Result<String, Problem> {
    let sent: Sent = serde_json::from_slice(body).map_err(|error| Problem::InvalidSchema(error.to_string()))?;
    match sent.schema_type.as_deref() {
        None | Some("AVRO") => Ok(sent.schema),
        Some(other) => Err(Problem::InvalidSchema(format!(
            "{other} schemas are not known here, only AVRO"
        ))),
    }
}

/// The version of a subject that is this schema, be it documented otherwise.
pub(super) fn same_schema(subject_name: &str, text: &str) -> Result<&'static Version, Problem> {
    let event = subject(subject_name)?;
    codec::undocumented(text).map_err(|error| Problem::InvalidSchema(error.to_string()))?;
    codec::same(event, text).ok_or(Problem::NoSuchSchema)
}
