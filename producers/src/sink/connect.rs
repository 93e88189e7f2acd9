//! Making the client, and seeing that there is a topic to send to.

use std::time::{Duration, Instant};

use orderflow_runtime::kafka::{self, Connection, Operation, Refusal, Right};
use rdkafka::error::KafkaError;
use rdkafka::producer::{BaseProducer, Producer as _};

use super::ledger::Ledger;
use super::{SinkError, SinkOptions};
use crate::Stop;

/// Longest wait between two looks at the [`Stop`] while connecting.
const CONNECT_STEP: Duration = Duration::from_millis(500);

pub(super) fn client(connection: &Connection, options: &SinkOptions) -> Result<BaseProducer<Ledger>, SinkError> {
    if let Some(property) = connection.forbidden_property() {
        return Err(SinkError::Forbidden(property.to_owned()));
    }
    let config = connection.client(&[
        ("enable.idempotence", "true"),
        ("acks", "all"),
        // A record that cannot be written must not be followed by its successor.
        ("enable.gapless.guarantee", "true"),
        ("message.timeout.ms", "0"),
        // What Java's clients do by themselves: the same key must go to the same partition whoever sends it.
        ("partitioner", "murmur2_random"),
        ("compression.type", "lz4"),
        ("linger.ms", &options.linger.as_millis().to_string()),
        ("queue.buffering.max.messages", &options.in_flight.to_string()),
        ("queue.buffering.max.kbytes", "16384"),
    ]);
    config
        .create_with_context(Ledger::new(connection.tokens()))
        .map_err(|error| {
            SinkError::Configuration(match error {
                KafkaError::ClientConfig(_, problem, name, _) => format!("{name}: {problem}"),
                other => other.to_string(),
            })
        })
}

/// Asks for all topics: a request that names one may create it on brokers that do so by default.
pub(super) fn partitions(
    producer: &BaseProducer<Ledger>,
    connection: &Connection,
    options: &SinkOptions,
    stop: &Stop,
) -> Result<usize, SinkError> {
    let began = Instant::now();
    // A first token is fetched in here, where one is needed: without it nothing is sent.
    producer.poll(Duration::ZERO);
    loop {
        if stop.is_requested() {
            return Err(SinkError::Stopped);
        }
        let left = options.patience.connect.saturating_sub(began.elapsed());
        match producer.client().fetch_metadata(None, left.min(CONNECT_STEP)) {
            Ok(metadata) => {
                let topic = metadata.topics().iter().find(|topic| topic.name() == options.topic);
                return match topic.map(|topic| topic.partitions().len()) {
                    Some(count) if count > 0 => Ok(count),
                    _ => Err(absent(connection, &options.topic)),
                };
            }
            Err(error) => not_yet(producer, connection, &error, began.elapsed(), left.is_zero())?,
        }
    }
}

/// The error of a topic that is not among those listed: it does not exist, or it is hidden from who may do nothing with it.
fn absent(connection: &Connection, topic: &str) -> SinkError {
    let brokers = connection.brokers.clone();
    let hidden = connection.asking().is_ok_and(|client| kafka::hides(&client, topic));
    if hidden {
        let right = Right::topic(Operation::Write, topic);
        return SinkError::Denied { brokers, right };
    }
    SinkError::MissingTopic {
        topic: topic.to_owned(),
        brokers,
    }
}

/// Fails when trying again is useless, or time is up.
fn not_yet(
    producer: &BaseProducer<Ledger>,
    connection: &Connection,
    error: &KafkaError,
    waited: Duration,
    time_is_up: bool,
) -> Result<(), SinkError> {
    producer.poll(Duration::from_millis(20));
    let brokers = connection.brokers.clone();
    let heard = producer.context().heard();
    match heard.refusal() {
        Some(Refusal::Credentials(reason)) => Err(SinkError::Credentials { brokers, reason }),
        Some(Refusal::Tls(said)) => Err(SinkError::Untrusted(connection.distrust(&said))),
        None if time_is_up => Err(SinkError::Unreachable {
            brokers,
            waited,
            reason: heard.failure().unwrap_or_else(|| error.to_string()),
        }),
        None => Ok(()),
    }
}
