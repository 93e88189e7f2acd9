//! Daemons on a real Kafka: killed, stopped, frozen, started twice, started with the wrong database.

mod support;

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use support::cluster::{Sent, produce};
use support::process::{Daemon, stdout_of};
use support::records::{Made, order, receipt};
use support::system::System;
use support::tools::consumer_groups;
use support::wait_until;

/// A daemon drains and ends within that, whatever the broker does. Three times what is promised: machines are shared.
const ENDED: Duration = Duration::from_secs(15);

/// After how long the group gives up a member that said nothing (`runtime.session_timeout`).
const A_SESSION: Duration = Duration::from_secs(20);

fn stock_up(system: &System) {
    let made = receipt("85123A", 1_000_000);
    produce(&system.brokers(), "stock", [made.sent()]);
    system.wait_caught_up("inventory");
}

fn place(system: &System, count: usize) {
    let orders: Vec<_> = std::iter::repeat_with(|| order("85123A", 1)).take(count).collect();
    let sent = orders.iter().map(Made::sent);
    produce(&system.brokers(), "orders", sent);
}

/// Each order has exactly one reservation, and stock adds up.
fn assert_each_once(system: &System, orders: i64) {
    system.wait_caught_up("inventory");
    let facts = "SELECT count(*) FROM v_outbox WHERE topic = 'inventory'";
    assert_eq!(system.number("inventory", facts), Some(orders));
    let applied = "SELECT sum(applied) FROM v_progress WHERE topic = 'orders'";
    assert_eq!(system.number("inventory", applied), Some(orders));
}

/// Three orders, of the years 2001, 2017 and 2023, on one partition.
#[test]
#[ignore = "needs Kafka's jars; run by ./tests/run"]
fn a_service_that_is_new_begins_where_it_is_told_to() {
    const YEARS: [i64; 3] = [1_000_000_000_000, 1_500_000_000_000, 1_700_000_000_000];
    let read = "SELECT sum(applied + dead) FROM v_progress WHERE topic = 'orders'";
    for (start, expected) in [
        ("@2017-07-14T02:40:00Z", 2),
        ("@2040-01-01T00:00:00Z", 0),
        ("latest", 0),
    ] {
        let system = System::start(1);
        for millis in YEARS {
            let made = order("85123A", 1);
            let sent = [Sent {
                key: &made.key,
                value: &made.value,
                millis: Some(millis),
            }];
            produce(&system.brokers(), "orders", sent);
        }
        let mut command = system.orderflow();
        command.args(["run", "inventory"]).env("ORDERFLOW_RUNTIME_START", start);
        let _inventory = Daemon::start(&mut command, &system.log_file("inventory"));
        system.wait_caught_up("inventory");
        assert_eq!(system.number("inventory", read), Some(expected), "{start}");
        let made = order("85123A", 1);
        produce(&system.brokers(), "orders", [made.sent()]);
        system.wait_caught_up("inventory");
        assert_eq!(
            system.number("inventory", read),
            Some(expected + 1),
            "{start}, and what comes later"
        );
    }
}

#[test]
#[ignore = "needs Kafka's jars; run by ./tests/run"]
fn a_killed_daemon_goes_on_at_once_after_its_restart() {
    let system = System::start(4);
    let mut inventory = system.run("inventory");
    stock_up(&system);
    place(&system, 100);
    system.wait_caught_up("inventory");
    inventory.kill();
    place(&system, 1);
    let handled = "SELECT sum(applied) FROM v_progress WHERE topic = 'orders'";

    let restarted = Instant::now();
    let _inventory = system.run("inventory");
    wait_until("the order placed meanwhile", Duration::from_secs(20), || {
        system.number("inventory", handled) == Some(101)
    });
    let took = restarted.elapsed();
    // Promised: 2 s. The session timeout is 20 s, so this tells a member that was known from one that had to wait.
    assert!(took < Duration::from_secs(6), "{took:?}");
    assert_each_once(&system, 101);
}

#[test]
#[ignore = "needs Kafka's jars; run by ./tests/run"]
fn a_daemon_that_slept_past_its_session_comes_back() {
    let system = System::start(2);
    let mut inventory = system.run("inventory");
    stock_up(&system);
    inventory.signal(Signal::STOP);
    place(&system, 500);
    wait_until("the broker to give up on the member", Duration::from_mins(1), || {
        !has_members(&system)
    });
    inventory.signal(Signal::CONT);
    assert_each_once(&system, 500);
    assert!(inventory.is_running(), "{}", inventory.log());
}

#[test]
#[ignore = "needs Kafka's jars; run by ./tests/run"]
fn a_broker_killed_and_restarted_costs_nothing() {
    let mut system = System::start(2);
    let mut inventory = system.run("inventory");
    stock_up(&system);
    place(&system, 2_000);
    system.broker.kill();
    system.broker.restart();
    place(&system, 500);
    assert_each_once(&system, 2_500);
    assert!(inventory.is_running(), "{}", inventory.log());
}

#[test]
#[ignore = "needs Kafka's jars; run by ./tests/run"]
fn sigterm_ends_a_daemon_with_the_broker_up_and_with_the_broker_away() {
    let mut system = System::start(2);
    let mut inventory = system.run("inventory");
    stock_up(&system);
    assert_eq!(inventory.stop(ENDED).code(), Some(0), "{}", inventory.log());

    let mut inventory = system.run("inventory");
    place(&system, 10);
    system.wait_caught_up("inventory");
    system.broker.freeze();
    inventory.stop_as_asked(ENDED);
    system.broker.thaw();

    let mut services = [system.run("inventory"), system.run("payment")];
    place(&system, 10);
    system.wait_caught_up("inventory");
    system.wait_caught_up("payment");
    place(&system, 1_000);
    system.broker.kill();
    for service in &mut services {
        service.stop_as_asked(ENDED);
    }
}

#[test]
#[ignore = "needs Kafka's jars; run by ./tests/run"]
fn a_database_is_locked_by_its_daemon() {
    let system = System::start(2);
    let mut first = system.run("inventory");
    stock_up(&system);
    let mut second = system.run_logging_to("inventory", "second");
    assert_refused(&mut second, "lock");
    place(&system, 10);
    assert_each_once(&system, 10);
    assert!(first.is_running(), "{}", first.log());
}

#[test]
#[ignore = "needs Kafka's jars; run by ./tests/run"]
fn a_group_with_another_database_halts_and_names_the_way_out() {
    let system = System::start(2);
    let mut inventory = system.run("inventory");
    stock_up(&system);
    place(&system, 10);
    system.wait_caught_up("inventory");
    assert!(inventory.stop(ENDED).success(), "{}", inventory.log());

    std::fs::remove_dir_all(system.data_dir()).expect("the data can be removed");
    // The place in the group that the lost database had is kept for a session, and the new one waits for it.
    let mut stranger = system.run_logging_to("inventory", "stranger");
    assert_eq!(stranger.wait(A_SESSION + ENDED).code(), Some(5), "{}", stranger.log());
    assert!(stranger.log().contains("--adopt-database"), "{}", stranger.log());

    let mut command = system.orderflow();
    command.args(["run", "inventory", "--adopt-database"]);
    let mut adopting = Daemon::start(&mut command, &system.log_file("adopting"));
    assert_each_once(&system, 10);
    let told = stdout_of(system.orderflow().args(["topics", "tail", "inventory"]));
    let ids: BTreeSet<_> = told.lines().map(event_id).collect();
    assert_eq!(
        (told.lines().count(), ids.len()),
        (20, 10),
        "said again under the ids they had"
    );
    assert!(adopting.stop(ENDED).success(), "{}", adopting.log());
}

fn event_id(line: &str) -> String {
    let fact: serde_json::Value = serde_json::from_str(line).expect("NDJSON");
    fact["value"]["meta"]["event_id"].to_string()
}

fn has_members(system: &System) -> bool {
    let mut groups = consumer_groups(&system.brokers());
    stdout_of(groups.args(["--describe", "--group", "inventory", "--state"])).contains("Stable")
}

fn assert_refused(daemon: &mut Daemon, word: &str) {
    let status = daemon.wait(ENDED);
    assert!(matches!(status.code(), Some(1..=5)), "{status}\n{}", daemon.log());
    assert!(daemon.log().contains(word), "{}", daemon.log());
}
