//! `topics tail` as a library, on a real broker.

mod support;

use std::time::{Duration, Instant};

use orderflow_domain::{Meta, ProductId, StockReceived, Timestamp};
use orderflow_operations::topics::Error;
use orderflow_operations::topics::tail::{Next, Options, Start, Tail, TailRecord};
use support::cluster::{self, Sent, brokers, connection, create_topic, produce_in_transaction};
use support::process::stdout_of;
use support::tools::consumer_groups;
use support::unique;

const LIMIT: Duration = Duration::from_secs(10);

/// A topic with `count` receipts of stock, keys `p0`, `p1` … in turn, on the partitions of the contract.
fn topic_with(partitions: i32, count: i64) -> String {
    let topic = unique("tail");
    // The records bear a time long past, at which retention would delete them.
    create_topic(&brokers(), &topic, partitions, &[("retention.ms", "-1")]);
    for number in 0..count {
        produce(&topic, &format!("p{}", number % 5), number, 1_700_000_000_000 + number);
    }
    topic
}

fn produce(topic: &str, key: &str, quantity: i64, millis: i64) {
    let value = receipt(key, quantity);
    let millis = Some(millis);
    cluster::produce(
        &brokers(),
        topic,
        [Sent {
            key,
            value: &value,
            millis,
        }],
    );
}

fn receipt(product: &str, quantity: i64) -> Vec<u8> {
    let meta = Meta {
        event_id: "018f2a3e-0000-7000-8000-000000000001".parse().expect("a UUID"),
        occurred_at: Timestamp(0),
        correlation_id: product.to_owned(),
        causation_id: None,
        source: "tests".into(),
    };
    let mut bytes = Vec::new();
    orderflow_schemas::encode(
        &StockReceived {
            meta,
            product_id: ProductId(product.into()),
            quantity,
        },
        &mut bytes,
    );
    bytes
}

fn options(topic: &str, start: Start) -> Options {
    Options {
        topics: vec![topic.to_owned()],
        start,
        ..Options::default()
    }
}

/// Everything that a reading gives until it ends.
fn all(options: Options) -> Vec<TailRecord> {
    let mut tail = Tail::open(&connection(), options).expect("the topic is there");
    let mut found = Vec::new();
    loop {
        match tail.next(LIMIT).expect("a record or the end") {
            Next::Record(record) => found.push(*record),
            Next::Idle => panic!("nothing for {LIMIT:?}, and no end either: {tail:?}"),
            Next::End => return found,
        }
    }
}

#[test]
#[ignore = "needs a Kafka broker; run by ./tests/run"]
fn records_come_decoded_and_in_order_and_end_where_the_topic_ended() {
    let topic = topic_with(3, 20);
    let found = all(options(&topic, Start::Beginning));
    assert_eq!(found.len(), 20, "{found:?}");
    assert!(
        found.is_sorted_by_key(|record| (record.partition, record.offset)),
        "{found:?}"
    );
    assert!(found.iter().all(|record| record.event_type == Some("StockReceived")));
    let line = serde_json::to_value(&found[0]).expect("a record is data");
    assert_eq!(line["topic"], topic.as_str());
    assert_eq!(line["key"], line["value"]["product_id"]);
}

#[test]
#[ignore = "needs a Kafka broker; run by ./tests/run"]
fn it_begins_where_it_is_told() {
    let topic = topic_with(1, 10);
    let millis = |millis| Start::Time(Timestamp::from_unix_millis(millis));
    let offsets = |start| {
        all(options(&topic, start))
            .iter()
            .map(|record| record.offset)
            .collect::<Vec<_>>()
    };
    assert_eq!(offsets(Start::At(7)), [7, 8, 9]);
    assert!(offsets(Start::At(99)).is_empty());
    assert_eq!(offsets(Start::AfterBeginning(8)), [8, 9]);
    assert_eq!(offsets(Start::BeforeEnd(1)), [9]);
    assert_eq!(offsets(Start::BeforeEnd(99)).len(), 10);
    assert!(offsets(Start::End).is_empty());
    assert_eq!(offsets(millis(1_700_000_000_006)), [6, 7, 8, 9]);
    assert!(offsets(millis(1_800_000_000_000)).is_empty());
}

#[test]
#[ignore = "needs a Kafka broker; run by ./tests/run"]
fn a_key_fixes_the_partition_and_a_count_ends_it() {
    let topic = topic_with(4, 20);
    let by_key = Options {
        key: Some("p2".into()),
        ..options(&topic, Start::Beginning)
    };
    let tail = Tail::open(&connection(), by_key.clone()).expect("the topic is there");
    assert_eq!(tail.searched().len(), 1);
    let found = all(by_key.clone());
    assert_eq!(found.len(), 4);
    assert!(found.iter().all(|record| record.key.0.as_deref() == Some(b"p2")));
    assert_eq!(
        all(Options {
            count: Some(3),
            ..by_key
        })
        .len(),
        3
    );
    let (partition, everywhere) = (found[0].partition, all(options(&topic, Start::Beginning)));
    let alone = all(Options {
        partition: Some(partition),
        ..options(&topic, Start::Beginning)
    });
    assert_eq!(
        alone.len(),
        everywhere.iter().filter(|record| record.partition == partition).count()
    );
}

#[test]
#[ignore = "needs a Kafka broker; run by ./tests/run"]
fn following_goes_on_with_what_is_produced_later() {
    let topic = topic_with(2, 4);
    let follow = Options {
        follow: true,
        count: Some(6),
        ..options(&topic, Start::BeforeEnd(1))
    };
    let before = all(options(&topic, Start::BeforeEnd(1))).len();
    let mut tail = Tail::open(&connection(), follow).expect("the topic is there");
    for _ in 0..before {
        assert!(matches!(tail.next(LIMIT).expect("a record"), Next::Record(_)));
    }
    assert!(matches!(
        tail.next(Duration::from_millis(300)).expect("nothing yet"),
        Next::Idle
    ));
    for number in before..6 {
        let quantity = 100 + i64::try_from(number).expect("small");
        produce(&topic, &format!("p{number}"), quantity, 1_700_000_001_000);
        let Next::Record(record) = tail.next(LIMIT).expect("a record") else {
            panic!("no record in {LIMIT:?}")
        };
        let value = serde_json::to_value(&record.value).expect("a value");
        assert_eq!(value["quantity"], quantity);
    }
    assert!(matches!(tail.next(LIMIT).expect("the end"), Next::End));
}

/// An end of transaction takes an offset that no record has.
#[test]
#[ignore = "needs a Kafka broker; run by ./tests/run"]
fn marks_of_transactions_do_not_hold_it_up() {
    let topic = unique("tail");
    create_topic(&brokers(), &topic, 1, &[]);
    for (key, kept) in [("aborted", false), ("committed", true), ("aborted too", false)] {
        let value = receipt(key, 1);
        let record = Sent {
            key,
            value: &value,
            millis: None,
        };
        produce_in_transaction(&brokers(), &topic, [record], kept);
    }
    let started = Instant::now();
    let found = all(options(&topic, Start::Beginning));
    assert_eq!(found.len(), 1);
    assert_eq!(found[0].offset, 2);
    assert!(started.elapsed() < LIMIT);
}

#[test]
#[ignore = "needs a Kafka broker; run by ./tests/run"]
fn it_leaves_no_group_behind() {
    let topic = topic_with(1, 1);
    assert_eq!(all(options(&topic, Start::Beginning)).len(), 1);
    let listed = stdout_of(consumer_groups(&brokers()).arg("--list"));
    assert!(!listed.lines().any(|group| group == "orderflow-tail"), "{listed}");
}

#[test]
#[ignore = "needs a Kafka broker; run by ./tests/run"]
fn what_is_not_there_is_named() {
    let missing = Tail::open(&connection(), options("no-such-topic", Start::Beginning)).expect_err("no topic");
    assert!(
        matches!(&missing, Error::NoTopic { topic, .. } if topic == "no-such-topic"),
        "{missing:?}"
    );
    let topic = topic_with(2, 0);
    let beyond = Options {
        partition: Some(2),
        ..options(&topic, Start::Beginning)
    };
    let error = Tail::open(&connection(), beyond).expect_err("no partition");
    assert!(error.to_string().contains("it has 2, numbered from 0"), "{error}");
}
