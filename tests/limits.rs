//! What the program may take, three times as generous as promised where nothing else is said: machines are shared, and
//! this build is not optimised.
//! `orderflow bench --measure limits --check` holds it to the numbers themselves; the time to the help is in `tests/cli/`,
//! the time from SIGTERM to the end in `tests/kafka_daemons.rs`.

mod support;

use std::time::Duration;

use orderflow_producers::emit::Shape;
use serde_json::Value;
use support::catalogue::catalogue;
use support::cluster::{brokers, create_topic, end_offsets};
use support::process::{Daemon, orderflow, stdout_of};
use support::system::System;
use support::unique;

/// 25 MiB, stripped and optimised.
const PROGRAM: u64 = 3 * 25;

/// Of an import, whatever the file's size, MiB.
const IMPORT: u64 = 3 * 64;

/// Of a daemon under full load, MiB.
const DAEMON: u64 = 3 * 96;

/// Of an audit, however many orders there are, MiB: the promise itself, for three times as much would hold all [`WAITING`]
/// orders.
const AUDIT: u64 = 100;

/// As many as keep a daemon busy for some seconds, with every buffer full, and twice what an audit keeps in memory.
const WAITING: i64 = 80_000;

/// The longest that a service may take for them.
const HANDLED: Duration = Duration::from_mins(5);

const REAL_ORDERS: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/producers/data/online_retail_2010-12_to_2011-05.csv.gz"
);

#[test]
fn the_program_is_small() {
    let folder = tempfile::tempdir().expect("a folder");
    let stripped = folder.path().join("orderflow");
    // As a release is; the compiler for C brings the tool.
    let done = std::process::Command::new("strip")
        .arg("-o")
        .arg(&stripped)
        .arg(env!("CARGO_BIN_EXE_orderflow"))
        .status();
    assert!(done.expect("strip runs").success());
    let mib = std::fs::metadata(&stripped).expect("it was written").len() >> 20;
    assert!((1..=PROGRAM).contains(&mib), "{mib} MiB");
}

#[test]
#[ignore = "needs a Kafka broker; run by ./tests/run"]
fn an_import_takes_little_memory() {
    let (brokers, topic) = (brokers(), unique("import"));
    create_topic(&brokers, &topic, 3, &[]);
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut command = orderflow();
    command
        .current_dir(folder.path())
        .args(["order", "import", REAL_ORDERS, "--brokers", &brokers])
        .env("ORDERFLOW_TOPICS_ORDERS", &topic);
    let mut import = Daemon::start(&mut command, &folder.path().join("import.log"));
    let most = peak_of(&mut import);
    assert!(import.wait(Duration::ZERO).success(), "{}", import.log());
    assert!(end_offsets(&brokers, &topic) > 8_000, "the whole file is in");
    assert!((1..=IMPORT).contains(&most), "{most} MiB");
}

#[test]
#[ignore = "needs Kafka's jars; run by ./tests/run"]
fn daemons_under_full_load_and_their_audit_take_little_memory() {
    let system = System::start(12);
    let stock = system.folder().join("stock.csv");
    std::fs::write(&stock, catalogue(&Shape::default())).expect("a catalogue");
    let mut inventory = system.run("inventory");
    stdout_of(system.orderflow().args(["stock", "import", "--wait"]).arg(&stock));
    assert!(inventory.stop(Duration::from_secs(15)).success(), "{}", inventory.log());
    let count = WAITING.to_string();
    stdout_of(
        system
            .orderflow()
            .args(["order", "emit", "--rate", "max", "--count", &count]),
    );
    for service in ["inventory", "payment"] {
        let mut daemon = system.run(service);
        system.wait_caught_up_within(service, HANDLED);
        let most = daemon.peak_mib().expect("it is still there");
        let handled = "SELECT sum(applied) FROM v_progress WHERE topic = 'orders'";
        assert_eq!(system.number(service, handled), Some(WAITING));
        assert!((1..=DAEMON).contains(&most), "{service}: {most} MiB");
        assert!(daemon.stop(Duration::from_secs(15)).success(), "{}", daemon.log());
    }

    let mut audit = system.orderflow();
    let mut audit = Daemon::start(audit.args(["audit", "--json"]), &system.log_file("audit"));
    let most = peak_of(&mut audit);
    let log = audit.log();
    assert!(audit.wait(Duration::ZERO).success(), "{log}");
    let report = log.lines().find_map(|line| {
        let told: Value = serde_json::from_str(line).ok()?;
        told.pointer("/items/0/totals").cloned()
    });
    let report = report.expect("what it counted");
    assert_eq!(report["orders"], WAITING, "{log}");
    // The rarest products are in no catalogue.
    assert!(report["reserved"].as_i64() > Some(WAITING / 2), "{log}");
    assert!((1..=AUDIT).contains(&most), "{most} MiB");
}

/// Looks at a process until it ends.
fn peak_of(process: &mut Daemon) -> u64 {
    let mut most = 0;
    while process.is_running() {
        most = most.max(process.peak_mib().unwrap_or_default());
        std::thread::sleep(Duration::from_millis(5));
    }
    most
}
