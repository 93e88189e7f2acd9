//! Daemons whose database or topics are not what they must be: one sentence, the documented exit code, nothing half done.

mod support;

use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rusqlite::Connection;
use rustix::process::Signal;
use support::broker::free_port;
use support::cluster::{Sent, create_topic, produce};
use support::disk::Disk;
use support::process::{Daemon, orderflow, stdout_of};
use support::records::{Made, order, receipt};
use support::system::System;
use support::tools::kafka_tool;
use support::{unique, wait_until};

/// A daemon that must not go on ends within that; the same for one that is asked to. Three times what is promised.
const ENDED: Duration = Duration::from_secs(15);

/// From an order on the topic to a line in the log, on a busy machine.
const NOTICED: Duration = Duration::from_mins(1);

/// What comes with exit code 4: try again. And with 5: a person decides.
const UNAVAILABLE: i32 = 4;
const HALTED: i32 = 5;

fn send(system: &System, topic: &str, records: &[Made]) {
    let sent = records.iter().map(|Made { key, value }| Sent {
        key,
        value,
        millis: None,
    });
    produce(&system.brokers(), topic, sent);
}

fn place(system: &System, count: usize) {
    let orders: Vec<_> = std::iter::repeat_with(|| order("85123A", 1)).take(count).collect();
    send(system, "orders", &orders);
}

/// A system whose inventory has stock and ten orders, stopped in good order.
fn stopped() -> System {
    let system = System::start(2);
    let mut inventory = system.run("inventory");
    send(&system, "stock", &[receipt("85123A", 1_000_000)]);
    place(&system, 10);
    system.wait_caught_up("inventory");
    assert!(inventory.stop(ENDED).success(), "{}", inventory.log());
    system
}

fn database(system: &System) -> PathBuf {
    system.data_dir().join("inventory.db")
}

/// Starts inventory, which must end with that code after one failure that says all of this.
fn refused(system: &System, code: i32, says: &[&str]) {
    let mut daemon = system.run_logging_to("inventory", &unique("refused"));
    let status = daemon.wait(ENDED);
    assert_eq!(status.code(), Some(code), "{}", daemon.log());
    assert_fails_once(&daemon, says);
}

fn assert_fails_once(daemon: &Daemon, says: &[&str]) {
    let log = daemon.log();
    let failures = log.lines().filter(|line| line.starts_with("error[")).count();
    assert_eq!(failures, 1, "{log}");
    let said = log.split_once("error[").map_or("", |(_, said)| said);
    for text in says {
        assert!(said.contains(text), "nothing of {text:?}\n{log}");
    }
}

#[test]
#[ignore = "needs Kafka's jars and a mount namespace; run by ./tests/run"]
fn on_a_full_disk_a_daemon_waits_for_room_and_goes_on() {
    Disk::small(128, "on_a_full_disk_a_daemon_waits_for_room_and_goes_on", |disk| {
        let system = System::start(2).with_data_in(disk.folder());
        let mut services = [system.run("inventory"), system.run("payment")];
        send(&system, "stock", &[receipt("85123A", 1_000_000)]);
        place(&system, 100);
        system.wait_caught_up("inventory");
        system.wait_caught_up("payment");

        disk.fill();
        place(&system, 5_000);
        let full = format!(
            "the disk that holds {} is full; free some space",
            database(&system).display()
        );
        services[0].wait_for_log(&full, NOTICED);
        services[1].wait_for_log(" is full; free some space", NOTICED);
        assert_whole(&system);
        // It tries again now and then, and does not fill the next disk with what it says of it.
        let lines = services[0].log().lines().count();
        assert!(lines < 200, "{lines} lines in the log");

        disk.make_room();
        system.wait_caught_up("inventory");
        system.wait_caught_up("payment");
        let applied = "SELECT sum(applied) FROM v_progress WHERE topic = 'orders'";
        assert_eq!(system.number("inventory", applied), Some(5_100));
        stdout_of(system.orderflow().args(["audit"]));
        for mut service in services {
            assert!(service.stop(ENDED).success(), "{}", service.log());
        }
    });
}

#[test]
#[ignore = "needs Kafka's jars and a mount namespace; run by ./tests/run"]
fn a_daemon_ends_and_starts_on_a_full_disk_without_losing_anything() {
    Disk::small(
        128,
        "a_daemon_ends_and_starts_on_a_full_disk_without_losing_anything",
        |disk| {
            let system = System::start(2).with_data_in(disk.folder());
            let mut inventory = system.run("inventory");
            send(&system, "stock", &[receipt("85123A", 1_000_000)]);
            place(&system, 100);
            system.wait_caught_up("inventory");

            disk.fill();
            place(&system, 5_000);
            inventory.wait_for_log("is full; free some space", NOTICED);
            inventory.stop_as_asked(ENDED);
            assert_whole(&system);
            let mut again = system.run_logging_to("inventory", "again");
            again.wait_for_log("is full; free some space", NOTICED);
            again.stop_as_asked(ENDED);
            assert_whole(&system);

            disk.make_room();
            let _services = (system.run("inventory"), system.run("payment"));
            system.wait_caught_up("inventory");
            stdout_of(system.orderflow().args(["audit"]));
        },
    );
}

/// As many facts as applied orders, and as much reserved: a transaction is there or is not.
fn assert_whole(system: &System) {
    let applied = system.number(
        "inventory",
        "SELECT sum(applied) FROM v_progress WHERE topic = 'orders'",
    );
    let facts = system.number("inventory", "SELECT count(*) FROM v_outbox WHERE topic = 'inventory'");
    assert!(applied.is_some(), "the database can be read");
    assert_eq!(applied, facts);
}

#[test]
#[ignore = "needs Kafka's jars; run by ./tests/run"]
fn a_file_that_is_not_this_services_sound_database_is_left_as_it_is() {
    let system = stopped();
    let path = database(&system);
    let sound = fs::read(&path).expect("a database");
    let named = path.display().to_string();

    fs::write(&path, "customer,product,quantity\n".repeat(1_000)).expect("written");
    refused(&system, HALTED, &["database-damaged", &named, "restore a backup"]);
    assert!(fs::read(&path).expect("there").starts_with(b"customer,"));

    fs::write(&path, &sound[..10_000]).expect("written");
    refused(&system, HALTED, &["database-damaged", &named]);
    assert_eq!(fs::read(&path).expect("there"), sound[..10_000]);

    fs::write(&path, &sound).expect("written");
    set_version(&path, 99);
    refused(
        &system,
        HALTED,
        &["store-refused", &named, "schema version 99", "newer program"],
    );

    fs::write(&path, &sound).expect("written");
    let _inventory = system.run("inventory");
    place(&system, 1);
    system.wait_caught_up("inventory");
}

fn set_version(path: &PathBuf, version: i64) {
    let file = Connection::open(path).expect("a database");
    file.pragma_update(None, "user_version", version).expect("set");
}

/// Damage behind the first pages shows only while the service works.
#[test]
#[ignore = "needs Kafka's jars; run by ./tests/run"]
fn a_database_found_damaged_at_work_halts_and_keeps_what_it_holds() {
    let system = stopped();
    let path = database(&system);
    let mut bytes = fs::read(&path).expect("a database");
    let page = 8_192;
    // All but the first page, which holds the schema, and the last.
    let end = bytes.len() - page;
    bytes[page..end].fill(0xa5);
    fs::write(&path, &bytes).expect("written");
    place(&system, 1);
    refused(
        &system,
        HALTED,
        &["database-damaged", &path.display().to_string(), "restore a backup"],
    );
    assert_eq!(fs::read(&path).expect("there"), bytes, "nothing was written to it");
}

#[test]
#[ignore = "needs Kafka's jars; run by ./tests/run"]
fn a_database_in_use_is_told_with_its_user() {
    let system = stopped();
    let mut first = system.run("inventory");
    place(&system, 1);
    system.wait_caught_up("inventory");
    let (path, owner) = (
        database(&system).display().to_string(),
        format!("process {}", first.id()),
    );
    refused(
        &system,
        UNAVAILABLE,
        &["store-unavailable", &path, &owner, "stop the other one"],
    );
    assert!(first.is_running(), "{}", first.log());
}

/// What a rootless user meets; root may write everywhere but here. Payment, which opens its ledger before it looks for a
/// broker, has the same in `tests/cli`.
#[test]
#[ignore = "needs Kafka's jars; run by ./tests/run"]
fn a_folder_that_cannot_be_written_is_named() {
    let system = System::start(1).with_data_in(&PathBuf::from("/proc/orderflow"));
    refused(
        &system,
        UNAVAILABLE,
        &["store-unavailable", "/proc/orderflow", "cannot be written"],
    );
}

#[test]
#[ignore = "needs Kafka's jars; run by ./tests/run"]
fn a_second_member_of_the_group_halts_the_service() {
    let system = stopped();
    let mut command = system.orderflow();
    command
        .args(["run", "inventory"])
        .env("ORDERFLOW_RUNTIME_SESSION_TIMEOUT", "6s");
    let mut inventory = Daemon::start(&mut command, &system.folder().join("first.log"));
    inventory.wait_for_log("assigned", NOTICED);

    let stranger = member(&system);
    wait_until("the service to notice", NOTICED, || {
        drop(stranger.poll(Duration::from_millis(100)));
        !inventory.is_running()
    });
    assert_eq!(inventory.wait(ENDED).code(), Some(HALTED), "{}", inventory.log());
    assert_fails_once(&inventory, &["second-member", "another member is alive"]);

    drop(stranger);
    let _inventory = system.run("inventory");
    place(&system, 10);
    system.wait_caught_up("inventory");
    assert_whole(&system);
}

/// A member of inventory's group that is not ours, and takes what the group gives it.
fn member(system: &System) -> BaseConsumer {
    let member: BaseConsumer = orderflow_runtime::kafka::Connection::to(system.brokers())
        .client(&[
            ("group.id", "inventory"),
            ("enable.auto.commit", "false"),
            ("partition.assignment.strategy", "range"),
        ])
        .create()
        .expect("a consumer is configured");
    member.subscribe(&["orders", "stock"]).expect("subscribed");
    member
}

#[test]
#[ignore = "needs Kafka's jars; run by ./tests/run"]
fn each_topic_that_is_missing_is_named() {
    let system = System::start(2);
    for topic in ["orders.inventory.redrive", "stock.inventory.dlq", "stock", "inventory"] {
        alter(&system, &["--delete", "--topic", topic]);
        refused(
            &system,
            UNAVAILABLE,
            &[
                "topics-not-ready",
                &format!("topic {topic} does not exist"),
                "hint: orderflow topics apply",
            ],
        );
        stdout_of(system.orderflow().args(["topics", "apply"]));
    }
    assert!(!database(&system).exists() || system.number("inventory", "SELECT count(*) FROM v_lanes") == Some(0));
}

#[test]
#[ignore = "needs Kafka's jars; run by ./tests/run"]
fn topics_of_different_partition_counts_are_refused() {
    let system = System::start(2);
    alter(&system, &["--delete", "--topic", "stock"]);
    create_topic(&system.brokers(), "stock", 3, &[]);
    refused(
        &system,
        UNAVAILABLE,
        &[
            "topics-not-ready",
            "has 2 partitions and stock has 3",
            "hint: orderflow topics apply",
        ],
    );
}

/// Changed behind our back: `topics apply` makes them otherwise.
#[test]
#[ignore = "needs Kafka's jars; run by ./tests/run"]
fn topics_that_cannot_hold_what_they_are_for_are_refused() {
    let system = System::start(1);
    configure(&system, "orders.inventory.dlq", "max.message.bytes=1048588");
    let small = [
        "topics-not-ready",
        "orders.inventory.dlq takes records up to 1048588 bytes",
    ];
    refused(&system, UNAVAILABLE, &small);
    configure(&system, "orders.inventory.dlq", "max.message.bytes=67108864");
    configure(&system, "stock.inventory.redrive", "max.message.bytes=1048588");
    let small = [
        "topics-not-ready",
        "stock.inventory.redrive takes records up to 1048588 bytes",
    ];
    refused(&system, UNAVAILABLE, &small);
    configure(&system, "stock.inventory.redrive", "max.message.bytes=67108864");
    configure(&system, "orders", "cleanup.policy=compact");
    refused(&system, UNAVAILABLE, &["topics-not-ready", "orders is compacted"]);
}

fn configure(system: &System, topic: &str, setting: &str) {
    let mut tool = kafka_tool("kafka.admin.ConfigCommand");
    tool.args(["--bootstrap-server", &system.brokers()]);
    stdout_of(tool.args(["--alter", "--topic", topic, "--add-config", setting]));
}

#[test]
#[ignore = "needs Kafka's jars; run by ./tests/run"]
fn topics_that_have_grown_halt_the_service_until_it_is_said_to_be_meant() {
    let system = stopped();
    for topic in ["orders", "stock", "orders.inventory", "stock.inventory"] {
        let topics = if topic.contains('.') {
            vec![format!("{topic}.dlq"), format!("{topic}.redrive")]
        } else {
            vec![topic.to_owned()]
        };
        for topic in topics {
            alter(&system, &["--alter", "--topic", &topic, "--partitions", "3"]);
        }
    }
    refused(
        &system,
        HALTED,
        &[
            "topic-grown",
            "topic orders has 3 partitions",
            "when it had 2",
            "hint: --adopt-partitions",
        ],
    );
    assert_whole(&system);

    let mut command = system.orderflow();
    command.args(["run", "inventory", "--adopt-partitions"]);
    let mut adopting = Daemon::start(&mut command, &system.log_file("adopting"));
    place(&system, 60);
    let seventy = "SELECT sum(applied) FROM v_progress WHERE topic = 'orders'";
    wait_until("the orders of all partitions", NOTICED, || {
        assert!(adopting.is_running(), "{}", adopting.log());
        system.number("inventory", seventy) == Some(70)
    });
    assert!(adopting.stop(ENDED).success(), "{}", adopting.log());
    let mut again = system.run_logging_to("inventory", "again");
    place(&system, 60);
    system.wait_caught_up("inventory");
    assert!(again.stop(ENDED).success(), "once is enough: {}", again.log());
    assert_whole(&system);
    let third = "SELECT sum(applied) > 0 FROM v_progress WHERE topic = 'orders' AND partition = 2";
    assert_eq!(system.number("inventory", third), Some(1));
}

/// Changes a topic behind our back, with Kafka's own tool.
fn alter(system: &System, arguments: &[&str]) {
    let mut tool = kafka_tool("org.apache.kafka.tools.TopicCommand");
    stdout_of(tool.args(["--bootstrap-server", &system.brokers()]).args(arguments));
}

/// Whatever waits for a cluster that is not there ends when it is asked to, as documented: 130.
#[test]
#[ignore = "run by ./tests/run: it waits for daemons to end"]
fn a_signal_ends_whatever_waits_for_a_cluster() {
    let nowhere = format!("127.0.0.1:{}", free_port());
    let folder = tempfile::tempdir().expect("a temporary folder");
    fs::write(folder.path().join("stock.csv"), "product_id,quantity\n85123A,1\n").expect("a catalogue");
    for arguments in WAITS {
        let log = folder.path().join(format!("{}.log", unique("waits")));
        let mut command = orderflow();
        command
            .current_dir(folder.path())
            .args(["--brokers", &nowhere, "--log-level", "debug", "--log-format", "text"])
            .args(*arguments);
        let mut process = Daemon::start(&mut command, &log);
        process.wait_for_log("Connection refused", NOTICED);
        ends_by_a_signal(&mut process, arguments);
    }
}

/// The same for one that takes connections and says nothing, as a machine that hangs.
#[test]
#[ignore = "needs Kafka's jars; run by ./tests/run"]
fn a_signal_ends_whatever_waits_for_a_broker_that_says_nothing() {
    let system = System::start(2);
    fs::write(system.folder().join("stock.csv"), "product_id,quantity\n85123A,1\n").expect("a catalogue");
    system.broker.freeze();
    for arguments in WAITS {
        let mut command = system.orderflow();
        let log = system.log_file(&unique("waits"));
        let mut process = Daemon::start(command.args(*arguments), &log);
        wait_until("a connection", NOTICED, || {
            assert!(process.is_running(), "{arguments:?}\n{}", process.log());
            is_connected_to(&system.brokers())
        });
        ends_by_a_signal(&mut process, arguments);
    }
}

/// Commands that need a cluster.
const WAITS: &[&[&str]] = &[
    &["run", "inventory"],
    &["run", "payment"],
    &["order", "place", "--item", "85123A:6:2.55"],
    &["order", "emit", "--count", "10"],
    &["stock", "import", "stock.csv"],
    &["stock", "import", "stock.csv", "--wait"],
    &["topics", "apply"],
    &["topics", "tail", "orders"],
    &["topics", "tail", "orders", "--follow"],
    &["audit"],
];

fn ends_by_a_signal(process: &mut Daemon, arguments: &[&str]) {
    process.signal(Signal::INT);
    let status = process.wait(ENDED);
    let interrupted = std::os::unix::process::ExitStatusExt::signal(&status) == Some(Signal::INT.as_raw());
    let drained = arguments[0] == "run" && status.success();
    assert!(
        interrupted || drained || status.code() == Some(130),
        "{arguments:?} ended with {status}\n{}",
        process.log()
    );
}

/// Whether somebody has a connection to this address on the loopback, as Linux tells it.
fn is_connected_to(address: &str) -> bool {
    let (_, port) = address.rsplit_once(':').expect("a port");
    let port: u16 = port.parse().expect("a number");
    let (to, established) = (format!("0100007F:{port:04X}"), "01");
    let connections = fs::read_to_string("/proc/net/tcp").expect("Linux");
    connections.lines().any(|line| {
        let mut columns = line.split_whitespace().skip(2);
        columns.next() == Some(&to) && columns.next() == Some(established)
    })
}

/// Where a database is, is asked of `--database`: of the service, and of whoever looks into it.
#[test]
#[ignore = "needs Kafka's jars; run by ./tests/run"]
fn databases_may_be_elsewhere() {
    let system = System::start(2);
    let elsewhere = format!("sqlite:{}/{{service}}.db", system.folder().join("elsewhere").display());
    let told = |arguments: &[&str]| {
        let mut command = system.orderflow();
        command.args(["--database", &elsewhere]).args(arguments);
        command
    };
    let run = |service| Daemon::start(&mut told(&["run", service]), &system.log_file(service));
    let mut daemons = ["inventory", "payment"].map(run);
    stdout_of(&mut told(&["stock", "receive", "85123A", "100", "--wait"]));
    stdout_of(&mut told(&["order", "place", "--item", "85123A:6:2.55"]));
    let audit = stdout_of(&mut told(&["audit", "--json"]));
    assert!(audit.contains("\"orders\":1"), "{audit}");
    let shown = stdout_of(&mut told(&["stock", "show", "85123A"]));
    assert!(shown.contains("94"), "{shown}");
    for daemon in &mut daemons {
        assert!(daemon.stop(ENDED).success(), "{}", daemon.log());
    }
    let named = system.folder().join("elsewhere/inventory.db");
    assert!(named.is_file() && !system.data_dir().join("inventory.db").exists());
}
