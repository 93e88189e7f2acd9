//! A registry that goes away and comes back while daemons work.

use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use orderflow_runtime::partitioner::partition_of;
use orderflow_schemas::{EventType, history};
use rdkafka::Message as _;
use rdkafka::message::Headers as _;
use serde_json::{Value, json};

use super::stub::{Book, Reply, Stub};
use super::support::cluster;
use super::support::process::Daemon;
use super::support::records::{Made, order, order_of_lines};
use super::support::system::System;
use super::support::wait_until;
use super::{END, assert_clean, ids, prepare};

/// How long anything may take that a daemon does at once.
const SOON: Duration = Duration::from_secs(30);

/// Longest that a lane may take to go on once the registry answers: it asks every 5 s, on a busy machine.
const ASKED_AGAIN: Duration = Duration::from_secs(15);

/// How often a lane says why it waits, seconds.
const SAID_EVERY: u64 = 10;

/// What a daemon says of a lane that waits.
const WAITING: &str = "waiting: the next record cannot be read without it";

/// The longest that a member of a group may not poll, just above a session as short as brokers allow.
const UNPOLLED: Duration = Duration::from_millis(6_500);
const SESSION: &str = "6s";

/// Ids that nobody has heard of when their records come.
const THEIRS: u32 = 77;
const NOBODYS: u32 = 78;

fn serve(book: &Book, at: &str) -> Stub {
    let book = book.clone();
    Stub::start_at(at.parse().expect("an address"), move |asked| book.answer(asked))
}

/// Somebody else's version of an order: with a note.
fn their_schema() -> String {
    let mut schema: Value = serde_json::from_str(history::latest(EventType::OrderPlaced).text).expect("JSON");
    let note = json!({"name": "note", "type": ["null", "string"], "default": null});
    schema["fields"].as_array_mut().expect("fields").push(note);
    schema.to_string()
}

/// An order under another id, with an empty note behind it where `noted`.
fn under(id: u32, noted: bool) -> Made {
    let mut made = order("85123A", 1);
    made.value[1..5].copy_from_slice(&id.to_be_bytes());
    made.value.extend(noted.then_some(0));
    made
}

fn send(system: &System, orders: &[&Made]) {
    let sent = orders.iter().map(|made| made.sent());
    cluster::produce(&system.brokers(), "orders", sent);
}

fn handled(system: &System) -> i64 {
    system
        .number(
            "inventory",
            "SELECT coalesce(sum(next_offset), 0) FROM v_progress WHERE topic = 'orders'",
        )
        .unwrap_or(0)
}

#[test]
#[ignore = "needs Kafka's jars; run by ./tests/run"]
fn daemons_start_without_the_registry_and_wait_for_it_only_where_they_must() {
    let book = Book::default();
    let stub = serve(&book, "127.0.0.1:0");
    let address = stub.address.to_string();
    let system = System::start(1).with_registry(&stub.url());
    prepare(&system);
    let (mut inventory, mut payment) = (system.run("inventory"), system.run("payment"));
    send(&system, &[&order("85123A", 1)]);
    system.wait_caught_up("inventory");
    system.wait_caught_up("payment");

    // Down: a daemon starts with what it knows, and writes under the ids it knows.
    drop(stub);
    assert!(inventory.stop(END).success(), "{}", inventory.log());
    let mut inventory = system.run("inventory");
    inventory.wait_for_log("going on with the ids known from before", SOON);
    send(&system, &[&order("85123A", 1)]);
    system.wait_caught_up("inventory");
    assert!(ids(&system, "inventory").iter().all(|id| *id < history::FIRST_ID));

    // A record that nobody can read without it: the lane waits before it, and says so.
    let (theirs, behind) = (under(THEIRS, true), order("85123A", 1));
    send(&system, &[&theirs, &behind]);
    inventory.wait_for_log(WAITING, SOON);
    payment.wait_for_log(WAITING, SOON);
    assert!(inventory.log().contains("schema 77"), "{}", inventory.log());
    assert_eq!(handled(&system), 2);
    assert!(inventory.is_running() && cluster::record_count(&system.brokers(), "orders.inventory.dlq") == 0);

    // Back: it goes on by itself.
    book.put(THEIRS, "somebody.elses", &their_schema());
    let _stub = serve(&book, &address);
    inventory.wait_for_log("going on", SOON);
    system.wait_caught_up("inventory");
    system.wait_caught_up("payment");
    assert_eq!(ids(&system, "inventory").len(), 4);

    // What the registry does not have is a dead letter.
    send(&system, &[&under(NOBODYS, false)]);
    system.wait_caught_up("inventory");
    system.wait_caught_up("payment");
    let letters = || cluster::records(&system.brokers(), "orders.inventory.dlq");
    wait_until("the dead letter", SOON, || letters().len() == 1);
    let letter = letters().remove(0);
    let headers = letter.headers().expect("headers");
    let reason = headers
        .iter()
        .find(|header| header.key == "orderflow-reason")
        .and_then(|header| header.value);
    assert_eq!(reason, Some(&b"unknown_schema"[..]));
    assert_eq!(letter.payload().map(|value| value[4]), Some(78));
    assert_clean(&system);
    for daemon in [&mut inventory, &mut payment] {
        assert!(daemon.stop(END).success(), "{}", daemon.log());
    }
}

#[test]
#[ignore = "needs Kafka's jars; run by ./tests/run"]
fn a_lane_waits_for_a_registry_that_answers_in_vain_and_says_why() {
    let (book, trouble) = (Book::default(), Trouble::default());
    let stub = in_trouble(&book, &trouble);
    let system = System::start(1).with_registry(&stub.url());
    prepare(&system);
    book.put(THEIRS, "somebody.elses", &their_schema());
    let mut daemons = [system.run("inventory"), system.run("payment")];
    for daemon in &mut daemons {
        daemon.wait_for_log("assigned", SOON);
    }
    system.wait_caught_up("inventory");

    let since = Instant::now();
    let before = daemons.each_ref().map(lines);
    for (number, (reply, why)) in troubles().into_iter().enumerate() {
        *trouble.lock().expect("nobody panics while it is held") = Some(reply);
        if number == 0 {
            send(&system, &[&under(THEIRS, true), &order("85123A", 1)]);
        }
        for daemon in &mut daemons {
            daemon.wait_for_log(why, SOON);
        }
        assert_eq!(handled(&system), 0, "{why}");
    }
    let most = usize::try_from(since.elapsed().as_secs() / SAID_EVERY + 1).expect("a few");
    for (daemon, before) in daemons.iter().zip(before) {
        let log = daemon.log();
        assert!(log.contains("schema 77"), "{log}");
        assert!(lines(daemon) - before <= most, "more than {most} lines\n{log}");
    }

    *trouble.lock().expect("nobody panics while it is held") = None;
    for daemon in &mut daemons {
        daemon.wait_for_log("going on", ASKED_AGAIN);
    }
    system.wait_caught_up("inventory");
    system.wait_caught_up("payment");
    for topic in ["orders.inventory.dlq", "orders.payment.dlq"] {
        assert_eq!(cluster::record_count(&system.brokers(), topic), 0, "{topic}");
    }
    assert_eq!(ids(&system, "inventory").len(), 2);
    assert_clean(&system);
    for daemon in &mut daemons {
        assert!(daemon.stop(END).success(), "{}", daemon.log());
    }
}

/// What a registry answers in the place of what it knows.
type Trouble = Arc<Mutex<Option<Reply>>>;

/// A registry that can be put into trouble.
fn in_trouble(book: &Book, trouble: &Trouble) -> Stub {
    let (book, trouble) = (book.clone(), Arc::clone(trouble));
    Stub::start(move |asked| {
        let trouble = trouble.lock().expect("nobody panics while it is held").clone();
        trouble.unwrap_or_else(|| book.answer(asked))
    })
}

/// What says nothing about a record, and how a lane tells of it. A password is mended while the lane waits, as all else is.
fn troubles() -> [(Reply, &'static str); 3] {
    [
        (
            Reply::problem(500, 50_001, "no database"),
            "cannot answer now: 500 Internal Server Error: no database",
        ),
        (Reply::html(200), "is not a schema registry: it answers with HTML"),
        (
            Reply::problem(401, 40_101, "who is there?"),
            "refuses: 401 Unauthorized: who is there?",
        ),
    ]
}

fn lines(daemon: &Daemon) -> usize {
    daemon.log().lines().count()
}

#[test]
#[ignore = "needs Kafka's jars; run by ./tests/run"]
fn a_daemon_that_waits_for_the_registry_keeps_its_place_in_the_group() {
    let book = Book::default();
    let stub = serve(&book, "127.0.0.1:0");
    let address = stub.address.to_string();
    let system = System::start(2).with_registry(&stub.url());
    prepare(&system);
    let mut inventory = run_tightly(&system);
    system.wait_caught_up("inventory");
    drop(stub);
    let theirs = under(THEIRS, true);
    let stuck = partition_of(theirs.key.as_bytes(), 2);
    send(&system, &[&theirs]);
    inventory.wait_for_log(WAITING, SOON);

    // Behind it come more than a lane keeps, 400 KiB, so that its partition is paused. The other one goes on.
    let since = Instant::now();
    let behind: Vec<_> = (0..400).map(|_| long_order_on(stuck)).collect();
    send(&system, &behind.iter().collect::<Vec<_>>());
    let mut others = 0;
    while since.elapsed() < 2 * UNPOLLED {
        send(&system, &[&order_on(1 - stuck)]);
        others += 1;
        wait_until("an order of the other partition", SOON, || {
            handled_of(&system, 1 - stuck) == others
        });
    }
    assert_eq!(handled_of(&system, stuck), 0);
    let log = inventory.log();
    assert_eq!(log.matches("assigned").count(), 1, "{log}");
    assert!(!log.contains("revoked") && !log.contains("poll interval"), "{log}");

    book.put(THEIRS, "somebody.elses", &their_schema());
    let _stub = serve(&book, &address);
    inventory.wait_for_log("going on", ASKED_AGAIN);
    system.wait_caught_up("inventory");
    let all = 1 + behind.len() + usize::try_from(others).expect("a count");
    assert_eq!(ids(&system, "inventory").len(), all, "a fact of each order");
    assert!(inventory.stop(END).success(), "{}", inventory.log());
}

/// A daemon that the group puts out when it does not poll for a moment, with lanes that keep little.
fn run_tightly(system: &System) -> Daemon {
    let mut command = system.orderflow();
    command
        .args(["run", "inventory"])
        .arg("-X")
        .arg(format!("max.poll.interval.ms={}", UNPOLLED.as_millis()))
        .env("ORDERFLOW_RUNTIME_SESSION_TIMEOUT", SESSION)
        .env("ORDERFLOW_RUNTIME_LANE_BUFFERED_BYTES", "160KiB");
    Daemon::start(&mut command, &system.log_file("inventory"))
}

fn order_on(partition: i32) -> Made {
    drawn(partition, || order("85123A", 1))
}

/// An order of more than 1 KiB.
fn long_order_on(partition: i32) -> Made {
    drawn(partition, || order_of_lines("85123A", 1, 100))
}

/// The first whose key belongs to one of two partitions.
fn drawn(partition: i32, make: impl FnMut() -> Made) -> Made {
    std::iter::repeat_with(make)
        .find(|made| partition_of(made.key.as_bytes(), 2) == partition)
        .expect("endless")
}

fn handled_of(system: &System, partition: i32) -> i64 {
    let query = format!("SELECT next_offset FROM v_progress WHERE topic = 'orders' AND partition = {partition}");
    system.number("inventory", &query).unwrap_or(0)
}
