//! A group's lag on a real Kafka: what its committed offsets say is never ahead of its database.

mod support;

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::topic_partition_list::TopicPartitionListElem;
use rdkafka::{ClientConfig, TopicPartitionList};
use rusqlite::Connection;
use support::cluster::produce;
use support::process::stdout_of;
use support::records::{Made, order, receipt};
use support::system::System;
use support::tools::consumer_groups;
use support::wait_until;

const ORDERS: i32 = 5_000;

const PARTITIONS: u32 = 2;

/// As long as the brokers may take for an answer, and a daemon for seeing that its database is in use.
const ANSWER: Duration = Duration::from_secs(30);

#[test]
#[ignore = "needs Kafka's jars; run by ./tests/run"]
fn lag_is_visible_and_never_ahead_of_the_database() {
    let system = System::start(PARTITIONS);
    let mut inventory = system.run("inventory");
    send(&system, "stock", &[receipt("85123A", 1_000_000)]);
    system.wait_caught_up("inventory");
    // Enough for some in each partition: Kafka knows the lag of a partition only after the first commit.
    send(&system, "orders", &orders(100));
    system.wait_caught_up("inventory");
    assert!(inventory.stop(ANSWER).success(), "{}", inventory.log());
    assert_eq!(lag(&system), 0);
    let mut inventory = system.run("inventory");
    send(&system, "orders", &orders(1));
    system.wait_caught_up("inventory");
    let group = Group::join_none(&system.brokers());
    wait_until("the last position is told", ANSWER, || {
        group.told().values().sum::<i64>() == 101
    });

    // What is read now cannot become durable.
    let another = Connection::open(system.data_dir().join("inventory.db")).expect("the database");
    another.execute_batch("BEGIN IMMEDIATE").expect("the right to write");
    let before = group.told();
    send(&system, "orders", &orders(ORDERS));
    inventory.wait_for_log("another program", ANSWER);
    assert_eq!(group.told(), before);
    assert_eq!(lag(&system), i64::from(ORDERS));
    another.execute_batch("ROLLBACK").expect("given back");

    let handled = before.values().sum::<i64>() + i64::from(ORDERS);
    let deadline = Instant::now() + ANSWER;
    loop {
        // Asked first: the database only grows, so what Kafka said then may not be beyond what the database says now.
        let told = group.told();
        for (partition, offset) in &told {
            let query =
                format!("SELECT next_offset FROM v_progress WHERE topic = 'orders' AND partition = {partition}");
            let held = system.number("inventory", &query).expect("a position");
            assert!(*offset <= held, "{partition}: Kafka has {offset}, the database {held}");
        }
        if told.values().sum::<i64>() >= handled {
            break;
        }
        assert!(Instant::now() < deadline, "the group is told nothing more: {told:?}");
    }
    system.wait_caught_up("inventory");
    assert_eq!(lag(&system), 0);
}

fn send(system: &System, topic: &str, records: &[Made]) {
    produce(&system.brokers(), topic, records.iter().map(Made::sent));
}

fn orders(count: i32) -> Vec<Made> {
    (0..count).map(|_| order("85123A", 1)).collect()
}

/// Looks at what the group has told Kafka, many times a second, and is no member of it.
struct Group(BaseConsumer);

impl Group {
    fn join_none(brokers: &str) -> Self {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", brokers).set("group.id", "inventory");
        Self(config.create().expect("a client"))
    }

    /// Its committed offsets by partition.
    fn told(&self) -> BTreeMap<i32, i64> {
        let mut asked = TopicPartitionList::new();
        for partition in 0..i32::try_from(PARTITIONS).expect("a few") {
            asked.add_partition("orders", partition);
        }
        let told = self.0.committed_offsets(asked, ANSWER).expect("an answer");
        let elements = told.elements();
        let offset = |of: &TopicPartitionListElem<'_>| of.offset().to_raw().expect("an offset");
        elements.iter().map(|of| (of.partition(), offset(of))).collect()
    }
}

/// The group's lag over all topics, as `kafka-consumer-groups.sh` tells it:
/// GROUP TOPIC PARTITION CURRENT-OFFSET LOG-END-OFFSET LAG …
fn lag(system: &System) -> i64 {
    let mut groups = consumer_groups(&system.brokers());
    let told = stdout_of(groups.args(["--describe", "--group", "inventory"]));
    let rows = told.lines().filter(|line| line.starts_with("inventory "));
    rows.filter_map(|line| line.split_whitespace().nth(5)?.parse::<i64>().ok())
        .sum()
}
