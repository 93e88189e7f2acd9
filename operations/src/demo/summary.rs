//! What came of the demonstration, read from the databases and the topics.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use orderflow_consumers::{inventory, payment};
use orderflow_producers::Tally;
use orderflow_runtime::dead_letter_topic;
use orderflow_runtime::kafka::Connection;
use orderflow_runtime::store::Reader;
use orderflow_schemas::{Topic, TopicNames, decode};
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::message::{BorrowedMessage, Headers as _, Message as _};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use serde::Serialize;

use super::error::DemoError;
use super::{PARTITIONS, millis};
use crate::audit::{Databases, Report};

/// What the demonstration did, and whether the audit agrees.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Summary {
    /// Orders and everything else put into `orders`, acknowledged.
    pub placed: u64,
    /// How long all of it took, milliseconds.
    pub took_ms: u64,
    /// The daemon that was killed.
    pub killed: Killed,
    /// Records recognised as handled before, by group.
    pub duplicates: BTreeMap<&'static str, u64>,
    /// Dead letters by group and reason.
    pub dead_letters: BTreeMap<&'static str, BTreeMap<String, u64>>,
    /// From a record's timestamp to the timestamp of its fact, by topic of the fact.
    pub latency: BTreeMap<String, Latency>,
    /// Facts a second between the first and the last, by topic.
    pub facts_per_second: BTreeMap<String, u64>,
    /// What the audit found.
    pub audit: Report,
}

/// The daemon that was killed with SIGKILL.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Killed {
    /// Which.
    pub service: &'static str,
    /// How many records of `orders` it had handled.
    pub after_records: u64,
    /// From its restart to the next record handled, milliseconds.
    pub back_after_ms: u64,
}

/// Percentiles, milliseconds.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Latency {
    /// Half are faster.
    pub p50_ms: i64,
    /// All but one in a hundred are faster.
    pub p99_ms: i64,
    /// The slowest.
    pub max_ms: i64,
}

impl Summary {
    pub(super) fn new(read: Read, audit: Report, killed: Killed, (tally, took): (Tally, Duration)) -> Self {
        Self {
            placed: tally.acknowledged,
            took_ms: millis(took),
            killed,
            duplicates: read.duplicates,
            dead_letters: read.letters,
            latency: read.latency,
            facts_per_second: read.rates,
            audit,
        }
    }
}

/// What is read for the summary.
pub(super) struct Read {
    duplicates: BTreeMap<&'static str, u64>,
    letters: BTreeMap<&'static str, BTreeMap<String, u64>>,
    latency: BTreeMap<String, Latency>,
    rates: BTreeMap<String, u64>,
}

impl Read {
    pub(super) fn of(connection: &Connection, names: &TopicNames, databases: &Databases) -> Result<Self, DemoError> {
        let mut read = Self {
            duplicates: BTreeMap::new(),
            letters: BTreeMap::new(),
            latency: BTreeMap::new(),
            rates: BTreeMap::new(),
        };
        for (group, database) in [
            (inventory::GROUP, &databases.inventory),
            (payment::GROUP, &databases.payment),
        ] {
            let open = Reader::open(database).map_err(|error| DemoError::Client(error.to_string()))?;
            let duplicates = open.progress()?.iter().map(|at| at.counts.duplicate).sum();
            read.duplicates.insert(group, duplicates);
            let topic = dead_letter_topic(names.name(Topic::Orders), group);
            let reasons = read.letters.entry(group).or_default();
            each(connection, &topic, |letter| {
                *reasons.entry(reason(letter)).or_default() += 1;
            })?;
        }
        for topic in [Topic::Inventory, Topic::Payments] {
            read.facts(connection, names.name(topic))?;
        }
        Ok(read)
    }

    /// A fact says when its cause was produced, and its record when it was written.
    fn facts(&mut self, connection: &Connection, topic: &str) -> Result<(), DemoError> {
        let (mut waits, mut written) = (Vec::new(), Vec::new());
        each(connection, topic, |fact| {
            let event = fact.payload().and_then(|value| decode(value).ok());
            if let (Some(event), Some(at)) = (event, fact.timestamp().to_millis()) {
                waits.push(at - event.meta().occurred_at.unix_millis());
                written.push(at);
            }
        })?;
        waits.sort_unstable();
        if let Some(latency) = percentiles(&waits) {
            self.latency.insert(topic.to_owned(), latency);
        }
        let span = written
            .iter()
            .max()
            .zip(written.iter().min())
            .map_or(1, |(last, first)| (last - first).max(1));
        let rate = u64::try_from(written.len()).unwrap_or(0) * 1_000 / span.unsigned_abs();
        self.rates.insert(topic.to_owned(), rate);
        Ok(())
    }
}

fn percentiles(sorted: &[i64]) -> Option<Latency> {
    let at = |percent: usize| {
        sorted
            .get((sorted.len() * percent / 100).min(sorted.len().checked_sub(1)?))
            .copied()
    };
    Some(Latency {
        p50_ms: at(50)?,
        p99_ms: at(99)?,
        max_ms: at(100)?,
    })
}

fn reason(letter: &BorrowedMessage<'_>) -> String {
    let header = letter
        .headers()
        .and_then(|headers| headers.iter().find(|header| header.key == "orderflow-reason"));
    header
        .and_then(|header| header.value)
        .map_or_else(|| "?".to_owned(), |value| String::from_utf8_lossy(value).into())
}

/// Shows every record of a topic, partition by partition.
fn each(connection: &Connection, topic: &str, mut see: impl FnMut(&BorrowedMessage<'_>)) -> Result<(), DemoError> {
    const PATIENCE: Duration = Duration::from_secs(10);
    let client = |error: rdkafka::error::KafkaError| DemoError::Client(error.to_string());
    let consumer: BaseConsumer = connection
        .client(&[("group.id", "orderflow-demo"), ("enable.auto.commit", "false")])
        .create()
        .map_err(client)?;
    let mut wanted = TopicPartitionList::new();
    let mut left = 0;
    for partition in 0..PARTITIONS {
        let (low, high) = consumer.fetch_watermarks(topic, partition, PATIENCE).map_err(client)?;
        left += high - low;
        wanted
            .add_partition_offset(topic, partition, Offset::Offset(low))
            .map_err(client)?;
    }
    consumer.assign(&wanted).map_err(client)?;
    let deadline = Instant::now() + PATIENCE;
    while left > 0 {
        match consumer.poll(Duration::from_millis(100)) {
            Some(Ok(record)) => {
                see(&record);
                left -= 1;
            }
            _ if Instant::now() > deadline => {
                return Err(DemoError::Late {
                    what: "the records of a topic",
                    patience: PATIENCE,
                });
            }
            _ => {}
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_of_few_and_of_none() {
        assert_eq!(percentiles(&[]), None);
        assert_eq!(
            percentiles(&[7]),
            Some(Latency {
                p50_ms: 7,
                p99_ms: 7,
                max_ms: 7
            })
        );
        let hundred: Vec<i64> = (1..=100).collect();
        assert_eq!(
            percentiles(&hundred),
            Some(Latency {
                p50_ms: 51,
                p99_ms: 100,
                max_ms: 100
            })
        );
    }
}
