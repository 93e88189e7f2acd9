//! The `[topics]` table: what the topics are called, and how large they are made.

use orderflow_operations::topics::Sizing;
use orderflow_schemas::{Topic, TopicNames};
use serde_json::{Map, Value as Json};

use super::resolved::parse;
use super::said::Said;
use crate::report::Failure;
use crate::slug::Slug;
use crate::units;

/// What stands where the topics that exist, or the defaults of `topics plan`, decide.
const OPEN: &str = "auto";

/// The least that an event topic may take, bytes. Producers fill their batches up to 1,000,000 (librdkafka's `batch.size`): a
/// topic that takes less refuses a batch of sound records, and the first of them is blamed for its size.
const LEAST_BATCH: i64 = 1 << 20;

/// The names of the topics.
///
/// # Errors
/// A name that Kafka does not take, or one for two topics.
pub(super) fn names(said: &Said) -> Result<TopicNames, Failure> {
    let mut table = Map::new();
    for name in Topic::ALL.map(Topic::default_name).into_iter().chain(["prefix"]) {
        let text = said.value(&format!("topics.{name}"))?.text.clone();
        table.insert(name.to_owned(), Json::String(text));
    }
    serde_json::from_value(Json::Object(table))
        .map_err(|error| Failure::new(Slug::ConfigInvalid, format!("topics: {error}")))
}

/// What was said about the size of the topics.
///
/// # Errors
/// A value that does not parse.
pub(super) fn sizing(said: &Said) -> Result<Sizing, Failure> {
    Ok(Sizing {
        partitions: parse(said, "topics.partitions", open(count))?,
        replication: parse(said, "topics.replication", open(count))?,
        events_kept: parse(said, "topics.events_kept", open(units::duration))?,
        letters_kept: parse(said, "topics.letters_kept", open(units::duration))?,
        record_bytes: parse(said, "topics.record_bytes", open(batch))?,
    })
}

fn open<T>(read: impl Fn(&str) -> Result<T, String>) -> impl Fn(&str) -> Result<Option<T>, String> {
    move |text| if text == OPEN { Ok(None) } else { read(text).map(Some) }
}

fn count(text: &str) -> Result<i32, String> {
    let number = text.parse::<i32>().ok().filter(|number| *number > 0);
    number.ok_or_else(|| format!("{text:?} is not a whole number from 1 on"))
}

fn batch(text: &str) -> Result<i64, String> {
    let bytes = i64::try_from(units::size(text)?).map_err(|_| format!("{text} is too large"))?;
    if bytes < LEAST_BATCH {
        return Err(format!(
            "{text} is less than 1MiB, and a full batch of the producers would be refused"
        ));
    }
    Ok(bytes)
}
