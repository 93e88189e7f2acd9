//! Which right is missing: Kafka tells that one is, and rarely which.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer as _, ConsumerContext};
use rdkafka::error::{KafkaError, KafkaResult};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use crate::error::ServiceError;
use crate::kafka::{self, Asking, Connection, Operation, Right};
use crate::topology::Source;

/// How long one topic has to give its ends, or a refusal.
const ANSWER: Duration = Duration::from_secs(3);

/// Tells a topic that this client may not see from one that is not there. `found` is what the cluster lists.
///
/// # Errors
/// [`ServiceError::Forbidden`], with the right that the service needs.
pub(crate) fn check_hidden<C: ConsumerContext>(
    client: &BaseConsumer<C>,
    brokers: &str,
    found: &BTreeMap<String, i32>,
    (sources, writes): (&[Source], &[Arc<str>]),
) -> Result<(), ServiceError> {
    let read = sources.iter().map(|source| (&source.topic, Operation::Read));
    let letters = sources.iter().map(|source| &source.dead_letters);
    let written = letters.chain(writes).map(|topic| (topic, Operation::Write));
    for (topic, operation) in read.chain(written) {
        if !found.contains_key(&**topic) && kafka::hides(client, topic) {
            let right = Right::topic(operation, &**topic);
            return Err(forbidden(brokers, right));
        }
    }
    Ok(())
}

/// Whether a group may read its topics.
pub(crate) enum Reading {
    /// This right is missing.
    Denied(Right),
    /// Every broker lets it.
    Granted,
    /// Somebody did not answer, and nobody denied it.
    Unknown,
}

/// Asks each topic by itself: who is refused a fetch is not told of which topic. `before_each` is called before each of the
/// questions, which take seconds.
pub(crate) fn reading(
    connection: &Connection,
    (sources, partitions): (&[Source], i32),
    before_each: &dyn Fn(),
) -> Reading {
    let mut found = Reading::Granted;
    for source in sources {
        before_each();
        match may_read(connection, &source.topic, partitions) {
            Some(true) => {}
            Some(false) => return Reading::Denied(Right::topic(Operation::Read, &*source.topic)),
            None => found = Reading::Unknown,
        }
    }
    found
}

/// A right that is missing at these brokers.
pub(crate) fn forbidden(brokers: &str, right: Right) -> ServiceError {
    ServiceError::Forbidden {
        brokers: brokers.to_owned(),
        right,
    }
}

/// `None`: somebody did not answer in time.
fn may_read(connection: &Connection, topic: &str, partitions: i32) -> Option<bool> {
    let client = reader(connection, topic, partitions).ok()?;
    // Who may not even see it is told nothing by a fetch that is never sent.
    if kafka::hides(&client, topic) {
        return Some(false);
    }
    let until = Instant::now() + ANSWER;
    let mut readable = 0;
    while Instant::now() < until {
        match client.poll(Duration::from_millis(100)) {
            Some(Err(error)) if kafka::is_topic_denial(&error) => return Some(false),
            Some(Err(KafkaError::PartitionEOF(_))) => readable += 1,
            Some(_) | None => {}
        }
        if readable == partitions {
            return Some(true);
        }
    }
    None
}

/// A client at the end of each of the topic's partitions, which brokers share among them, in no group.
fn reader(connection: &Connection, topic: &str, partitions: i32) -> KafkaResult<BaseConsumer<Asking>> {
    let properties = [
        ("group.id", "orderflow-looks-at-topics"),
        ("enable.auto.commit", "false"),
        ("enable.partition.eof", "true"),
        ("fetch.wait.max.ms", "50"),
    ];
    let client: BaseConsumer<Asking> = connection
        .client(&properties)
        .create_with_context(Asking::of(connection))?;
    let mut ends = TopicPartitionList::new();
    for partition in 0..partitions {
        ends.add_partition_offset(topic, partition, Offset::End)?;
    }
    client.assign(&ends)?;
    Ok(client)
}
