//! The cluster that all tests share: topics, records and watermarks, by a client of the tests' own.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use orderflow_runtime::kafka::Connection;
use rdkafka::admin::{AdminClient, AdminOptions, NewTopic, TopicReplication};
use rdkafka::client::{ClientContext, DefaultClientContext};
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::KafkaError;
use rdkafka::message::{DeliveryResult, OwnedMessage};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _, ProducerContext};
use rdkafka::{Offset, TopicPartitionList};

use super::wait_for;

/// How long a request to the broker may take before the test gives up.
const REQUEST: Duration = Duration::from_secs(10);

/// The same of a transaction: the first one of a broker makes the topic that it is written down in.
const TRANSACTION: Duration = Duration::from_secs(30);

/// The shared cluster: `host:port`, comma-separated.
///
/// # Panics
/// When `./tests/run` did not start one.
pub(crate) fn brokers() -> String {
    super::setting("ORDERFLOW_TEST_BROKERS")
}

/// The shared cluster as the program's own clients reach it.
pub(crate) fn connection() -> Connection {
    Connection::to(brokers())
}

/// Makes a topic with one replica a partition and waits until its leaders serve it.
///
/// # Panics
/// When the broker refuses it.
pub(crate) fn create_topic(brokers: &str, name: &str, partitions: i32, settings: &[(&str, &str)]) {
    let admin: AdminClient<DefaultClientContext> = Connection::to(brokers)
        .client(&[])
        .create()
        .expect("an admin client is configured");
    let topic = settings.iter().fold(
        NewTopic::new(name, partitions, TopicReplication::Fixed(1)),
        |topic, (key, value)| topic.set(key, value),
    );
    let options = AdminOptions::new().operation_timeout(Some(REQUEST));
    let outcome = block_on(admin.create_topics([&topic], &options)).expect("the broker answers");
    assert!(outcome.iter().all(Result::is_ok), "creating {name}: {outcome:?}");
    let consumer = consumer(brokers);
    for partition in 0..partitions {
        super::wait_until("the topic's leaders", REQUEST, || {
            consumer.fetch_watermarks(name, partition, REQUEST).is_ok()
        });
    }
}

/// Writes records to their keys' partitions (`murmur2`), one after the other, and waits for all acknowledgements.
///
/// # Panics
/// When one is not acknowledged.
pub(crate) fn produce<'a>(brokers: &str, topic: &str, records: impl IntoIterator<Item = Sent<'a>>) {
    let failed = Failed::default();
    let producer: BaseProducer<Failed> = Connection::to(brokers)
        .client(&[("enable.idempotence", "true"), ("partitioner", "murmur2_random")])
        .create_with_context(failed.clone())
        .expect("a producer is configured");
    for Sent { key, value, millis } in records {
        let record = BaseRecord::to(topic).key(key).payload(value);
        let record = millis.into_iter().fold(record, BaseRecord::timestamp);
        producer
            .send(record)
            .map_err(|(error, _)| error)
            .expect("the queue has room");
    }
    producer.flush(REQUEST).expect("every record is answered");
    let failed = failed.0.lock().expect("no panic while it was held");
    assert!(failed.is_empty(), "not acknowledged: {failed:?}");
}

/// Writes records in one transaction, which is committed or aborted.
///
/// # Panics
/// When the broker does not do it.
pub(crate) fn produce_in_transaction<'a>(
    brokers: &str,
    topic: &str,
    records: impl IntoIterator<Item = Sent<'a>>,
    commit: bool,
) {
    let producer: BaseProducer = Connection::to(brokers)
        .client(&[
            ("transactional.id", &super::unique("tests")),
            ("partitioner", "murmur2_random"),
        ])
        .create()
        .expect("a producer is configured");
    producer.init_transactions(TRANSACTION).expect("a producer's id");
    producer.begin_transaction().expect("none is open");
    for Sent { key, value, .. } in records {
        let sent = producer.send(BaseRecord::to(topic).key(key).payload(value));
        sent.map_err(|(error, _)| error).expect("the queue has room");
    }
    producer.flush(REQUEST).expect("every record is answered");
    let ended = if commit {
        producer.commit_transaction(TRANSACTION)
    } else {
        producer.abort_transaction(TRANSACTION)
    };
    ended.expect("the transaction ends");
}

/// A record to [`produce`].
#[derive(Debug, Clone)]
pub(crate) struct Sent<'a> {
    pub(crate) key: &'a str,
    pub(crate) value: &'a [u8],
    /// Its timestamp; now, when there is none.
    pub(crate) millis: Option<i64>,
}

/// The errors of records that were not acknowledged.
#[derive(Clone, Default)]
struct Failed(Arc<Mutex<Vec<KafkaError>>>);

impl ClientContext for Failed {}

impl ProducerContext for Failed {
    type DeliveryOpaque = ();

    fn delivery(&self, result: &DeliveryResult<'_>, (): ()) {
        if let Err((error, _)) = result {
            self.0.lock().expect("no panic while it was held").push(error.clone());
        }
    }
}

/// The number of partitions with a leader, if the topic exists.
pub(crate) fn partition_count(brokers: &str, topic: &str) -> Option<i32> {
    let metadata = consumer(brokers)
        .fetch_metadata(Some(topic), REQUEST)
        .expect("metadata");
    let found = metadata.topics().first().filter(|found| found.error().is_none())?;
    let led = found
        .partitions()
        .iter()
        .filter(|partition| partition.leader() >= 0)
        .count();
    i32::try_from(led).ok().filter(|&led| led > 0)
}

/// The same of a topic that exists: its partitions may be without a leader for a moment when the machine is busy.
fn partitions_of(brokers: &str, topic: &str) -> i32 {
    wait_for("the topic's leaders", REQUEST, || partition_count(brokers, topic))
}

/// The sum over the partitions of `high - low`: how many offsets the topic holds.
pub(crate) fn record_count(brokers: &str, topic: &str) -> i64 {
    let consumer = consumer(brokers);
    let partitions = partitions_of(brokers, topic);
    let held = |partition| {
        let (low, high) = consumer
            .fetch_watermarks(topic, partition, REQUEST)
            .expect("watermarks");
        high - low
    };
    (0..partitions).map(held).sum()
}

/// The sum of the partitions' high watermarks: how many offsets were ever given in the topic.
pub(crate) fn end_offsets(brokers: &str, topic: &str) -> i64 {
    let consumer = consumer(brokers);
    let partitions = partitions_of(brokers, topic);
    let high = |partition| {
        consumer
            .fetch_watermarks(topic, partition, REQUEST)
            .expect("watermarks")
            .1
    };
    (0..partitions).map(high).sum()
}

/// Every record of a topic up to its high watermarks, partition by partition.
pub(crate) fn records(brokers: &str, topic: &str) -> Vec<OwnedMessage> {
    let partitions = partitions_of(brokers, topic);
    (0..partitions)
        .flat_map(|partition| records_of(brokers, topic, partition))
        .collect()
}

/// Every record of one partition up to its high watermark.
pub(crate) fn records_of(brokers: &str, topic: &str, partition: i32) -> Vec<OwnedMessage> {
    let consumer = consumer(brokers);
    let (low, high) = consumer
        .fetch_watermarks(topic, partition, REQUEST)
        .expect("watermarks");
    let mut assignment = TopicPartitionList::new();
    assignment
        .add_partition_offset(topic, partition, Offset::Offset(low))
        .expect("a valid offset");
    consumer.assign(&assignment).expect("an assignment");
    let mut found = Vec::new();
    let position = || consumer.position().expect("a position").elements()[0].offset();
    while low < high && !matches!(position(), Offset::Offset(next) if next >= high) {
        let record = consumer.poll(REQUEST).expect("a record within the time of a request");
        found.push(record.expect("a readable record").detach());
    }
    found
}

fn consumer(brokers: &str) -> BaseConsumer {
    Connection::to(brokers)
        .client(&[
            ("group.id", "tests"),
            ("enable.auto.commit", "false"),
            ("fetch.wait.max.ms", "20"),
        ])
        .create()
        .expect("a consumer is configured")
}

fn block_on<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .expect("a tokio runtime")
        .block_on(future)
}
