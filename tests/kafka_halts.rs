//! What stops a daemon on a real Kafka until a person has decided: under which name, and what it says to that person.

mod support;

use std::time::Duration;

use rdkafka::Message as _;
use rustix::process::Signal;
use support::cluster::{Sent, produce, produce_in_transaction, records};
use support::process::{Daemon, stdout_of};
use support::records::{Made, order, order_of_lines};
use support::system::System;
use support::tools::{kafka_tool, kcat};
use support::wait_until;

/// From a daemon's start, or from the record that stops it, to its end: holes are looked at thrice.
const HALTED: Duration = Duration::from_secs(40);

/// The longest that a few orders take.
const HANDLED: Duration = Duration::from_secs(30);

/// So many lines make an order of more than 20 KB, which every codec makes smaller: brokers keep what does not shrink as
/// it is.
const LINES: i32 = 2_000;

#[test]
#[ignore = "needs Kafka's jars and kcat; run by ./tests/run"]
fn a_batch_in_zstd_is_named_and_the_topic_can_be_told_to_compress_anew() {
    let system = System::start(2);
    let mut inventory = system.run("inventory");
    compress(&system, "orders", "lz4");
    send_zstd(&system);
    wait_until("the dead letter", HANDLED, || counted(&system, "dead") == Some(1));
    let partition = records(&system.brokers(), "orders")[0].partition();
    compress(&system, "orders", "producer");
    for codec in ["gzip", "snappy", "lz4"] {
        send_compressed(&system, partition, codec);
    }
    wait_until("three orders", HANDLED, || counted(&system, "applied") == Some(3));

    send_zstd(&system);
    let place = format!("orders/{partition}: the batch at offset 4");
    assert_halted(&mut inventory, "codec-unsupported", &[&place, "zstd"]);
    let mut again = system.run_logging_to("inventory", "again");
    assert_halted(&mut again, "codec-unsupported", &[&place]);
}

#[test]
#[ignore = "needs Kafka's jars; run by ./tests/run"]
fn a_transaction_leaves_a_hole_unless_topics_are_said_to_have_some() {
    let system = System::start(2);
    let [committed, aborted, plain] = [(); 3].map(|()| order("85123A", 1));
    let mut inventory = system.run("inventory");
    produce_in_transaction(&system.brokers(), "orders", [committed.sent()], true);
    assert_halted(&mut inventory, "topic-hole", &["orders/", "runtime.dense=false"]);

    configure(&system, "dense = false");
    let _running = ["inventory", "payment"].map(|service| system.run_logging_to(service, &format!("sparse-{service}")));
    produce_in_transaction(&system.brokers(), "orders", [aborted.sent()], false);
    produce(&system.brokers(), "orders", [plain.sent()]);
    for service in ["inventory", "payment"] {
        system.wait_caught_up(service);
    }
    assert_eq!(counted(&system, "applied"), Some(2), "what was aborted is no order");
    stdout_of(system.orderflow().arg("audit"));
}

#[test]
#[ignore = "needs Kafka's jars; run by ./tests/run"]
fn a_flood_is_let_through_by_a_higher_limit_and_then_the_old_one_does_again() {
    let system = System::start(1);
    configure(&system, "flood_run = 3");
    let mut first = system.run("inventory");
    refuse(&system, 5);
    let words = ["runtime.flood_run is 3", "start with a higher limit"];
    assert_halted(&mut first, "dead-letter-flood", &words);
    let mut again = system.run_logging_to("inventory", "again");
    assert_halted(&mut again, "dead-letter-flood", &words);

    configure(&system, "flood_run = 1000");
    let mut raised = system.run_logging_to("inventory", "raised");
    wait_until("five dead letters", HANDLED, || counted(&system, "dead") == Some(5));
    produce(&system.brokers(), "orders", [order("85123A", 1).sent()]);
    wait_until("a good order", HANDLED, || counted(&system, "applied") == Some(1));
    assert!(raised.stop(HALTED).success(), "{}", raised.log());

    configure(&system, "flood_run = 3");
    let mut old = system.run_logging_to("inventory", "old");
    refuse(&system, 1);
    wait_until("one more dead letter", HANDLED, || counted(&system, "dead") == Some(6));
    assert!(old.is_running(), "{}", old.log());
}

/// So many records that no service takes for orders.
fn refuse(system: &System, count: usize) {
    let bad = Sent {
        key: "key",
        value: b"no order",
        millis: None,
    };
    produce(&system.brokers(), "orders", std::iter::repeat_n(bad, count));
}

#[test]
#[ignore = "needs Kafka's jars; run by ./tests/run"]
fn records_deleted_before_they_were_read_are_a_loss() {
    let system = System::start(1);
    let mut inventory = system.run("inventory");
    place(&system, 2);
    system.wait_caught_up("inventory");
    assert!(inventory.stop(HALTED).success(), "{}", inventory.log());

    place(&system, 3);
    system.delete_records("orders", 4);
    let mut late = system.run_logging_to("inventory", "late");
    let place = "orders/0: records 2 to 4 are gone";
    assert_halted(&mut late, "records-lost", &[place]);
}

/// The partition has given this daemon nothing yet: what is lost is told from where the lane stands.
#[test]
#[ignore = "needs Kafka's jars; run by ./tests/run"]
fn records_deleted_under_a_daemon_that_sleeps_are_a_loss() {
    let system = System::start(1);
    let mut inventory = system.run("inventory");
    let known = "SELECT count(*) FROM v_progress WHERE topic = 'orders'";
    wait_until("the partition", HANDLED, || {
        system.number("inventory", known) == Some(1)
    });
    inventory.signal(Signal::STOP);
    // The request that was open is answered after a tenth of that, without a record.
    std::thread::sleep(Duration::from_secs(1));
    place(&system, 3);
    system.delete_records("orders", 2);
    inventory.signal(Signal::CONT);
    assert_halted(&mut inventory, "records-lost", &["orders/0: records 0 to 2 are gone"]);
}

#[test]
#[ignore = "needs Kafka's jars; run by ./tests/run"]
fn a_topic_made_anew_is_not_the_one_that_was_read() {
    let system = System::start(1);
    let mut inventory = system.run("inventory");
    place(&system, 3);
    system.wait_caught_up("inventory");
    assert!(inventory.stop(HALTED).success(), "{}", inventory.log());
    make_anew(&system, "orders");
    place(&system, 1);
    let mut late = system.run_logging_to("inventory", "late");
    let place = "orders/0: this group stands at 3, the topic ends at 1";
    assert_halted(&mut late, "topic-truncated", &[place]);
}

#[test]
#[ignore = "needs Kafka's jars; run by ./tests/run"]
fn a_topic_made_anew_under_a_daemon_stops_it() {
    let system = System::start(1);
    let mut inventory = system.run("inventory");
    place(&system, 3);
    system.wait_caught_up("inventory");
    make_anew(&system, "orders");
    let place = "orders/0: this group stands at 3, the topic ends at 0";
    assert_halted(&mut inventory, "topic-truncated", &[place]);
}

fn place(system: &System, count: usize) {
    let orders: Vec<_> = std::iter::repeat_with(|| order("85123A", 1)).take(count).collect();
    produce(&system.brokers(), "orders", orders.iter().map(Made::sent));
}

/// Deletes a topic with Kafka's own tool, and makes it as it was declared.
fn make_anew(system: &System, topic: &str) {
    let mut delete = kafka_tool("org.apache.kafka.tools.TopicCommand");
    delete.args(["--bootstrap-server", &system.brokers(), "--delete", "--topic", topic]);
    stdout_of(&mut delete);
    stdout_of(system.orderflow().args(["topics", "apply"]));
}

/// What the program finds in its folder, of the table `[runtime]`.
fn configure(system: &System, setting: &str) {
    let file = system.folder().join("orderflow.toml");
    std::fs::write(file, format!("[runtime]\n{setting}\n")).expect("the folder can be written");
}

/// Text, which no service takes for an order, always with the same key. By Kafka's own tool: kcat may be built without zstd.
fn send_zstd(system: &System) {
    let file = system.folder().join("text");
    std::fs::write(&file, format!("key\t{}\n", "text ".repeat(5_000))).expect("the folder can be written");
    let mut send = kafka_tool("org.apache.kafka.tools.ConsoleProducer");
    send.args(["--bootstrap-server", &system.brokers(), "--topic", "orders"]);
    send.args(["--compression-codec", "zstd", "--reader-property", "parse.key=true"]);
    stdout_of(send.stdin(std::fs::File::open(file).expect("it was written")));
}

/// An order of [`LINES`] lines, compressed by a producer that is not ours.
fn send_compressed(system: &System, partition: i32, codec: &str) {
    let Made { key, value } = order_of_lines("85123A", 1, LINES);
    assert!(value.len() > 20_000, "{}", value.len());
    let file = system.folder().join("order");
    std::fs::write(&file, value).expect("the folder can be written");
    let mut send = kcat(&system.brokers());
    send.args(["-P", "-t", "orders", "-p", &partition.to_string(), "-k", &key]);
    stdout_of(send.args(["-z", codec]).arg(file));
}

/// What the brokers make of batches, set with Kafka's own tool.
fn compress(system: &System, topic: &str, codec: &str) {
    let mut configs = kafka_tool("kafka.admin.ConfigCommand");
    configs.args(["--bootstrap-server", &system.brokers(), "--alter"]);
    configs.args(["--entity-type", "topics", "--entity-name", topic]);
    stdout_of(configs.args(["--add-config", &format!("compression.type={codec}")]));
}

/// How many orders came out so.
fn counted(system: &System, outcome: &str) -> Option<i64> {
    let counted = format!("SELECT sum({outcome}) FROM v_progress WHERE topic = 'orders'");
    system.number("inventory", &counted)
}

/// It ends with the code that no supervisor restarts on, and says why.
fn assert_halted(daemon: &mut Daemon, slug: &str, words: &[&str]) {
    let status = daemon.wait(HALTED);
    assert_eq!(status.code(), Some(5), "{}", daemon.log());
    for word in [&format!("error[{slug}]"), &format!("orderflow explain {slug}")] {
        assert!(daemon.log().contains(word.as_str()), "no {word:?}\n{}", daemon.log());
    }
    for word in words {
        assert!(daemon.log().contains(word), "no {word:?}\n{}", daemon.log());
    }
}
