//! What reaches the topics of a broker: in order, once, and told apart from what did not.

mod feed;
mod load;
mod place;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use orderflow_domain::{Event, OrderPlaced, Timestamp};
use orderflow_producers::emit::{self, EmitError, EmitOptions, EmitReport, Shape};
use orderflow_producers::import::{self, ImportOptions, Input};
use orderflow_producers::place::{PlaceError, PlaceOptions, place};
use orderflow_producers::stock::{self, CatalogueOptions, StockOptions};
use orderflow_producers::{Patience, Sink, SinkError, SinkOptions, Stop};
use orderflow_runtime::embedded::EmbeddedBroker;
use orderflow_runtime::kafka::Connection;
use rdkafka::Message as _;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::message::Headers as _;
use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};
use rdkafka::{Offset, TopicPartitionList};

const PARTITIONS: i32 = 4;
const DEADLINE: Duration = Duration::from_secs(30);

fn broker() -> EmbeddedBroker {
    EmbeddedBroker::start(&[("orders", PARTITIONS), ("stock", PARTITIONS)]).expect("the embedded broker starts")
}

/// A record as it lies in a topic.
#[derive(Debug, Clone, PartialEq)]
struct Found {
    partition: i32,
    key: String,
    value: Vec<u8>,
    headers: BTreeMap<String, String>,
    millis: i64,
}

impl Found {
    fn order(&self) -> OrderPlaced {
        match orderflow_schemas::decode(&self.value) {
            Ok(Event::OrderPlaced(order)) => order,
            other => panic!("no order: {other:?}"),
        }
    }
}

/// Everything in a topic, partition by partition in order.
fn all(connection: &Connection, topic: &str) -> Vec<Found> {
    let properties = [("group.id", "test"), ("enable.auto.commit", "false")];
    let consumer: BaseConsumer = connection.client(&properties).create().expect("a consumer");
    let mut partitions = TopicPartitionList::new();
    let mut expected = 0;
    for partition in 0..PARTITIONS {
        let watermarks = consumer
            .fetch_watermarks(topic, partition, DEADLINE)
            .expect("watermarks");
        expected += usize::try_from(watermarks.1).expect("an offset");
        partitions
            .add_partition_offset(topic, partition, Offset::Beginning)
            .expect("an offset");
    }
    consumer.assign(&partitions).expect("assigned");
    let mut found = Vec::new();
    while found.len() < expected {
        let record = consumer.poll(DEADLINE).expect("a record in time").expect("a record");
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("UTF-8");
        let headers = record.headers().into_iter().flat_map(|headers| headers.iter());
        found.push(Found {
            partition: record.partition(),
            key: text(record.key().expect("a key")),
            value: record.payload().expect("a value").to_vec(),
            headers: headers
                .map(|header| (header.key.to_owned(), text(header.value.expect("a value"))))
                .collect(),
            millis: record.timestamp().to_millis().expect("a timestamp"),
        });
    }
    found.sort_by_key(|record| record.partition);
    found
}

fn order(items: &[&str]) -> PlaceOptions {
    PlaceOptions {
        customer: Some("17850".to_owned()),
        items: items.iter().map(|item| item.parse().expect("an item")).collect(),
        currency: "GBP".parse().expect("a currency"),
        payment_token: "tok_ok".to_owned(),
        order_id: None,
        placed_at: None,
        source: "test".to_owned(),
    }
}

fn load(count: u64, rate: &str) -> EmitOptions {
    EmitOptions {
        count: count.try_into().expect("not zero"),
        rate: rate.parse().expect("a rate"),
        seed: Some(7),
        start: None,
        shape: Shape::default(),
        source: "test".to_owned(),
        sink: SinkOptions::stream("orders"),
    }
}

fn emitted(connection: &Connection, options: &EmitOptions) -> Result<EmitReport, EmitError> {
    emit::emit(connection, options, &Stop::default(), &mut |_| ())
}

fn impatient(milliseconds: u64) -> Patience {
    let wait = Duration::from_millis(milliseconds);
    Patience {
        connect: wait,
        acknowledgement: wait,
        stop: wait,
    }
}

/// The time a load gives an order is its place in the load, so within a partition it only rises.
fn in_order(records: &[Found]) {
    let places: Vec<(i32, Timestamp)> = records
        .iter()
        .map(|record| (record.partition, record.order().placed_at))
        .collect();
    assert!(
        places.windows(2).all(|pair| pair[0] < pair[1]),
        "a record was overtaken or came twice"
    );
}

fn orderflow_now_millis() -> i64 {
    let since = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .expect("after 1970");
    i64::try_from(since.as_millis()).expect("before the year 292278994")
}
