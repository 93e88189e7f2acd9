//! The relay against librdkafka's own broker, which can be told to fail.

mod faults;
mod ledger;
mod publishing;

use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::KafkaError;
use rdkafka::message::{BorrowedMessage, Headers as _, Message as _};
use rdkafka::{Offset, TopicPartitionList};
use uuid::Uuid;

use crate::embedded::EmbeddedBroker;
use crate::observer::Observer;
use crate::record::Headers;
use crate::settings::Settings;
use crate::store::{Lane, OutboxRow, Sequence};

use super::worker::Timing;
use super::{LaneRelay, Relay};

const TOPIC: &str = "facts";
const PARTITIONS: i32 = 4;
const PATIENCE: Duration = Duration::from_secs(20);

/// Short pauses, and no stall within a test unless it asks for one.
const TIMING: Timing = Timing {
    stall: Duration::from_mins(1),
    shortest_pause: Duration::from_millis(5),
    longest_pause: Duration::from_millis(50),
};

struct Bench {
    broker: EmbeddedBroker,
    relay: Relay,
    heard: Arc<Heard>,
}

/// What an observer was told.
#[derive(Default)]
struct Heard {
    republishing: Mutex<Vec<String>>,
    published: Mutex<Vec<(Lane, Sequence)>>,
    trouble: Mutex<Vec<String>>,
}

impl Observer for Heard {
    fn published(&self, lane: Lane, sequence: Sequence) {
        self.published.lock().expect("not poisoned").push((lane, sequence));
    }

    fn republishing(&self, why: &str) {
        self.republishing.lock().expect("not poisoned").push(why.to_owned());
    }

    fn trouble(&self, _lane: Option<Lane>, what: &str) {
        self.trouble.lock().expect("not poisoned").push(what.to_owned());
    }
}

impl Heard {
    fn republishing(&self) -> Vec<String> {
        self.republishing.lock().expect("not poisoned").clone()
    }
}

impl Bench {
    fn new() -> Self {
        Self::with(TIMING, &Settings::default())
    }

    fn with(timing: Timing, settings: &Settings) -> Self {
        let broker = EmbeddedBroker::start(&[(TOPIC, PARTITIONS)]).expect("a broker");
        let heard = Arc::new(Heard::default());
        let observer = Arc::clone(&heard) as Arc<dyn Observer>;
        let relay = Relay::start_with(&broker.connection(), settings, "group".into(), observer, timing);
        Self {
            broker,
            relay: relay.expect("a relay"),
            heard,
        }
    }

    /// Every record of the topic, partition by partition, each in its order.
    fn published(&self) -> Vec<Published> {
        let client = self.broker.connection().client(&[
            ("group.id", "reader"),
            ("enable.partition.eof", "true"),
            ("enable.auto.commit", "false"),
        ]);
        let consumer: BaseConsumer = client.create().expect("a consumer");
        let mut all = TopicPartitionList::new();
        for partition in 0..PARTITIONS {
            all.add_partition_offset(TOPIC, partition, Offset::Beginning)
                .expect("an offset");
        }
        consumer.assign(&all).expect("assigned");
        let mut records = Vec::new();
        let mut ends = 0;
        while ends < PARTITIONS {
            match consumer.poll(PATIENCE).expect("within time") {
                Ok(record) => records.push(Published::from(&record)),
                Err(KafkaError::PartitionEOF(_)) => ends += 1,
                Err(error) => panic!("{error}"),
            }
        }
        records
    }
}

/// A record as a consumer finds it.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Published {
    partition: i32,
    timestamp: Option<i64>,
    key: Option<Vec<u8>>,
    value: Option<Vec<u8>>,
    headers: Vec<(String, Option<Vec<u8>>)>,
}

impl From<&BorrowedMessage<'_>> for Published {
    fn from(record: &BorrowedMessage<'_>) -> Self {
        let headers = record.headers().expect("headers").iter();
        Self {
            partition: record.partition(),
            timestamp: record.timestamp().to_millis(),
            key: record.key().map(<[u8]>::to_vec),
            value: record.payload().map(<[u8]>::to_vec),
            headers: headers
                .map(|header| (header.key.to_owned(), header.value.map(<[u8]>::to_vec)))
                .collect(),
        }
    }
}

impl Published {
    fn number(&self, name: &str) -> i64 {
        let header = self.headers.iter().find(|(key, _)| key == name).expect("the header");
        let text = std::str::from_utf8(header.1.as_deref().expect("a value")).expect("UTF-8");
        text.parse().expect("a number")
    }

    fn lane(&self) -> Lane {
        Lane::try_from(self.number("orderflow-lane")).expect("a lane")
    }
}

/// A lane's facts in the order in which each partition has them, repetitions left out.
fn first_copies(records: &[Published], lane: Lane) -> BTreeMap<i32, Vec<Sequence>> {
    let mut copies = BTreeMap::<i32, Vec<Sequence>>::new();
    for record in records.iter().filter(|record| record.lane() == lane) {
        let partition = copies.entry(record.partition).or_default();
        let sequence = record.number("orderflow-seq");
        if !partition.contains(&sequence) {
            partition.push(sequence);
        }
    }
    copies
}

/// Every fact of the lane is there, and first copies are in order.
fn assert_complete(records: &[Published], lane: Lane, sequences: RangeInclusive<Sequence>) {
    let copies = first_copies(records, lane);
    for (partition, found) in &copies {
        assert!(found.is_sorted(), "lane {lane}, partition {partition}: {found:?}");
    }
    let mut all: Vec<_> = copies.into_values().flatten().collect();
    all.sort_unstable();
    assert!(all.iter().copied().eq(sequences), "lane {lane}: {} facts", all.len());
}

/// Facts of a lane, one after the other over the partitions.
fn facts(sequences: RangeInclusive<Sequence>) -> Vec<OutboxRow> {
    sequences.map(fact).collect()
}

fn fact(sequence: Sequence) -> OutboxRow {
    let mut headers = Headers::new();
    headers.push("ce_id", sequence.to_string());
    OutboxRow {
        sequence,
        topic: TOPIC.into(),
        partition: i32::try_from(sequence % i64::from(PARTITIONS)).expect("a partition"),
        timestamp: 1_700_000_000_000 + sequence,
        event_id: Uuid::from_u128(1),
        key: Some(sequence.to_be_bytes().to_vec()),
        value: Some(vec![b'v'; 100]),
        headers,
        reason: None,
    }
}

fn wait_until(what: &str, mut holds: impl FnMut() -> bool) {
    let until = Instant::now() + PATIENCE;
    while !holds() {
        assert!(Instant::now() < until, "waited in vain: {what}");
        std::thread::sleep(Duration::from_millis(2));
    }
}

fn wait_for(lane: &LaneRelay, sequence: Sequence) {
    wait_until("acknowledged", || lane.acknowledged() >= sequence);
    assert_eq!((lane.acknowledged(), lane.in_flight()), (sequence, 0));
}
