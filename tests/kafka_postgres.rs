//! Services on PostgreSQL and a real Kafka: killed, many of them, and audited.

mod support;

use std::time::Duration;

use rustix::process::Signal;
use support::cluster::{Sent, produce};
use support::postgres::Database;
use support::process::{Daemon, output_of, shown, stdout_of};
use support::records::{order, receipt};
use support::system::System;
use support::wait_until;

const ENDED: Duration = Duration::from_secs(15);

fn stock_up(system: &System) {
    let made = receipt("85123A", 1_000_000);
    let sent = [Sent {
        key: &made.key,
        value: &made.value,
        millis: None,
    }];
    produce(&system.brokers(), "stock", sent);
}

fn place(system: &System, count: usize) {
    let orders: Vec<_> = std::iter::repeat_with(|| order("85123A", 1)).take(count).collect();
    let sent = orders.iter().map(|made| Sent {
        key: &made.key,
        value: &made.value,
        millis: None,
    });
    produce(&system.brokers(), "orders", sent);
}

fn run(system: &System, database: &Database, service: &str, log: &str) -> Daemon {
    let mut command = system.orderflow();
    command.args(["run", service]).env("ORDERFLOW_DATABASE", database.url());
    Daemon::start(&mut command, &system.log_file(log))
}

/// Waits until inventory has applied so many orders.
fn wait_applied(database: &Database, orders: i64) {
    let applied = "SELECT coalesce(sum(applied), 0)::bigint FROM inventory.v_progress WHERE topic = 'orders'";
    wait_until("the orders", Duration::from_mins(1), || {
        database.number(applied) == Some(orders)
    });
}

fn assert_clean(system: &System, database: &Database, logs: &[&Daemon]) {
    let mut audit = system.orderflow();
    audit
        .args(["audit", "--timeout", "60s"])
        .env("ORDERFLOW_DATABASE", database.url());
    let output = output_of(&mut audit);
    let told: String = logs.iter().map(|daemon| daemon.log()).collect();
    assert!(output.status.success(), "{}\n{told}", shown(&output));
}

#[test]
#[ignore = "needs Kafka's jars and PostgreSQL; run by ./tests/run"]
fn services_killed_while_orders_flow_leave_a_clean_audit() {
    let (system, database) = (System::start(4), Database::make());
    let mut inventory = run(&system, &database, "inventory", "inventory");
    let payment = run(&system, &database, "payment", "payment");
    stock_up(&system);
    place(&system, 1_000);
    wait_until("the first orders", Duration::from_mins(1), || {
        let facts = "SELECT count(*) FROM inventory.v_outbox WHERE topic = 'inventory'";
        database.number(facts).is_some_and(|facts| facts > 0)
    });
    inventory.kill();
    place(&system, 500);
    let mut inventory = run(&system, &database, "inventory", "inventory");
    wait_applied(&database, 1_500);
    assert_clean(&system, &database, &[&inventory, &payment]);

    let mut show = system.orderflow();
    show.args(["stock", "show", "--json"])
        .env("ORDERFLOW_DATABASE", database.url());
    let shown = stdout_of(&mut show);
    assert!(shown.contains("\"reserved\":1500"), "{shown}");
    assert_eq!(inventory.stop(ENDED).code(), Some(0), "{}", inventory.log());
}

#[test]
#[ignore = "needs Kafka's jars and PostgreSQL; run by ./tests/run"]
fn members_come_and_go_and_one_of_them_sleeps() {
    let (system, database) = (System::start(6), Database::make());
    let mut first = run(&system, &database, "inventory", "first");
    let payment = run(&system, &database, "payment", "payment");
    stock_up(&system);
    place(&system, 500);
    let second = run(&system, &database, "inventory", "second");
    place(&system, 500);
    let mut third = run(&system, &database, "inventory", "third");
    place(&system, 500);
    wait_applied(&database, 1_500);
    // Past its session: its lanes go to the others, and what it wakes up with is fenced.
    second.signal(Signal::STOP);
    third.kill();
    place(&system, 500);
    wait_applied(&database, 2_000);
    second.signal(Signal::CONT);
    place(&system, 500);
    wait_applied(&database, 2_500);
    assert_clean(&system, &database, &[&first, &second, &payment]);
    assert!(first.is_running(), "{}", first.log());
}

#[test]
#[ignore = "needs Kafka's jars and PostgreSQL; run by ./tests/run"]
fn a_database_that_cannot_be_used_is_said_with_the_documented_code() {
    let (system, database) = (System::start(1), Database::make());
    let mut made = run(&system, &database, "inventory", "made");
    stock_up(&system);
    wait_until("the schema", Duration::from_secs(20), || {
        database.number("SELECT count(*) FROM inventory.v_lanes WHERE turn > 0") == Some(1)
    });
    assert_eq!(made.stop(ENDED).code(), Some(0), "{}", made.log());
    database.run("INSERT INTO inventory.schema_versions (version, name) VALUES (99, 'to come')");
    let ended = |url: String, code: i32, words: &str| {
        let mut command = system.orderflow();
        let output = output_of(command.args(["run", "inventory"]).env("ORDERFLOW_DATABASE", url));
        assert_eq!(output.status.code(), Some(code), "{}", shown(&output));
        assert!(shown(&output).contains(words), "{}", shown(&output));
    };
    ended(database.url(), 5, "schema version 99");
    ended(format!("{}_missing", database.url()), 4, "no such database");
    ended("postgres://me@127.0.0.1:1/shop".to_owned(), 4, "does not answer");
}
