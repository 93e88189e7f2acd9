//! A standby that lacks what the lost primary had: the way that docs/databases.md prescribes.

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use support::fleet::Fleet;
use support::process::{Daemon, output_of, shown, stdout_of};
use support::system::System;
use support::wait_until;

const SERVICES: [&str; 2] = ["inventory", "payment"];

/// Where each of them says what it decided.
const TOPICS: [&str; 2] = ["inventory", "payments"];

const ENDED: Duration = Duration::from_secs(15);

/// The longest that daemons may take for what a test gives them to do.
const SOON: Duration = Duration::from_mins(1);

/// Orders that the standby has, and those that it lacks.
const KEPT: usize = 20;
const LOST: usize = 30;

/// The copy of a database stands for a standby that was behind: what came after it is in Kafka, and in no database.
#[test]
#[ignore = "needs Kafka's jars and PostgreSQL; run by ./tests/run"]
fn after_a_failover_that_lost_something_services_halt_until_they_adopt_what_is_left() {
    let fleet = Fleet::on(System::start(2));
    stock_up(&fleet);
    work_off(&fleet, KEPT, "before");
    let behind = fleet.database.copy();
    work_off(&fleet, LOST, "lost");
    let published = TOPICS.map(|topic| facts(&fleet, topic));
    fleet.database.become_like(&behind);
    assert_eq!(fleet.applied(), count(KEPT), "the copy is behind");

    for service in SERVICES {
        assert_halts(&fleet, service);
    }
    assert_eq!(fleet.applied(), count(KEPT), "who halts has changed nothing");
    let mut adopting = SERVICES.map(|service| adopt(&fleet, service));
    wait_until_idle(&fleet, KEPT + LOST);
    assert_reserved_once(&fleet);
    for (topic, before) in TOPICS.iter().zip(&published) {
        let after = facts(&fleet, topic);
        let said = |facts: &[Fact]| facts.iter().map(|fact| fact.value.clone()).collect::<BTreeSet<_>>();
        assert_eq!(
            said(&after),
            said(before),
            "{topic}: the same, under the ids that they had"
        );
        assert_eq!(
            (before.len(), said(before).len(), after.len()),
            (KEPT + LOST, KEPT + LOST, KEPT + 2 * LOST),
            "{topic}: what was lost is said twice"
        );
    }
    assert_audit_names_what_has_another_sequence(&fleet);
    for daemon in &mut adopting {
        assert_eq!(daemon.stop(ENDED).code(), Some(0), "{}", daemon.log());
    }
    // Once is enough: the group is no further than this database any more.
    work_off(&fleet, 1, "after");
}

fn count(orders: usize) -> i64 {
    i64::try_from(orders).expect("a few")
}

/// What is ordered before there is any is refused: topics have no order among one another.
fn stock_up(fleet: &Fleet) {
    let mut inventory = fleet.run("inventory", "inventory-first");
    fleet.stock_up();
    wait_until("the stock", SOON, || reserved(fleet) == Some(0));
    assert_eq!(inventory.stop(ENDED).code(), Some(0), "{}", inventory.log());
}

/// How many pieces the service's own row says are reserved.
fn reserved(fleet: &Fleet) -> Option<i64> {
    let reserved = "SELECT (body ->> 'reserved')::bigint FROM inventory.v_state WHERE entity = 'stock'";
    fleet.database.number(reserved)
}

/// Both services work off so many more orders, and end in good order.
fn work_off(fleet: &Fleet, orders: usize, log: &str) {
    let done = usize::try_from(fleet.applied()).expect("a count");
    let services = SERVICES.map(|service| fleet.run(service, &format!("{service}-{log}")));
    fleet.place(orders);
    wait_until_idle(fleet, done + orders);
    for mut service in services {
        assert_eq!(service.stop(ENDED).code(), Some(0), "{}", service.log());
    }
}

/// Waits until so many orders are reserved and paid for, and all that was said of them is published.
fn wait_until_idle(fleet: &Fleet, orders: usize) {
    let paid = "SELECT count(*) FROM payment.v_effects WHERE state = 'answered'";
    let unpublished =
        "SELECT (SELECT sum(unpublished) FROM inventory.v_lanes) + (SELECT sum(unpublished) FROM payment.v_lanes)";
    wait_until("the orders", SOON, || {
        fleet.applied() == count(orders)
            && fleet.database.number(paid) == Some(count(orders))
            && fleet.database.number(unpublished) == Some(0)
    });
}

/// A fact as it stands in a topic.
struct Fact {
    partition: i64,
    /// Lane, sequence and id: a row of the outbox, or one that there was.
    row: (i64, i64, String),
    /// All it says, its id too.
    value: String,
}

fn facts(fleet: &Fleet, topic: &str) -> Vec<Fact> {
    let told = stdout_of(fleet.system.orderflow().args(["topics", "tail", topic]));
    told.lines().map(fact).collect()
}

fn fact(line: &str) -> Fact {
    let told: serde_json::Value = serde_json::from_str(line).expect("NDJSON");
    let number = |name: &str| {
        let header = told["headers"][name].as_str().expect("a header of facts");
        header.parse().expect("a number")
    };
    let id = told["value"]["meta"]["event_id"].as_str().expect("an id");
    Fact {
        partition: told["partition"].as_i64().expect("a number"),
        row: (number("orderflow-lane"), number("orderflow-seq"), id.to_owned()),
        value: told["value"].to_string(),
    }
}

fn assert_halts(fleet: &Fleet, service: &str) {
    let mut halting = fleet.run(service, &format!("{service}-halting"));
    assert_eq!(halting.wait(SOON).code(), Some(5), "{}", halting.log());
    for said in [
        "error[wrong-database]",
        "hint: --adopt-database, once, if this database is meant to take over",
    ] {
        assert!(halting.log().contains(said), "nothing of {said:?}\n{}", halting.log());
    }
}

fn adopt(fleet: &Fleet, service: &str) -> Daemon {
    let mut command = fleet.system.orderflow();
    command
        .args(["run", service, "--adopt-database"])
        .env("ORDERFLOW_DATABASE", fleet.database.url());
    Daemon::start(&mut command, &fleet.system.log_file(&format!("{service}-adopting")))
}

/// By the stock that is left, and by the facts that the database has.
fn assert_reserved_once(fleet: &Fleet) {
    let orders = count(KEPT + LOST);
    assert_eq!(reserved(fleet), Some(orders));
    let facts = "SELECT count(DISTINCT event_id) FROM inventory.v_outbox WHERE topic = 'inventory'";
    assert_eq!(fleet.database.number(facts), Some(orders));
}

/// The gateway answers as before, but not in the order of then: a fact of payment's is the same and has another sequence.
/// What was said of it first does not fit any more, and what stands behind one that has kept its sequence by chance may be
/// out of order.
fn assert_audit_names_what_has_another_sequence(fleet: &Fleet) {
    let facts = facts(fleet, "payments");
    let rows = rows_of_payment(fleet);
    let moved = facts.iter().filter(|fact| !rows.contains(&fact.row)).count();
    let behind = first_copies_behind(facts.iter().filter(|fact| rows.contains(&fact.row)));
    let mut audit = fleet.system.orderflow();
    audit
        .args(["audit", "--json", "--listed", "100", "--timeout", "60s"])
        .env("ORDERFLOW_DATABASE", fleet.database.url());
    let output = output_of(&mut audit);
    let code = if moved == 0 { 0 } else { 11 };
    assert_eq!(output.status.code(), Some(code), "{moved} moved: {}", shown(&output));
    let report: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let mut expected = BTreeMap::from([("outbox", moved), ("publish-order", behind)]);
    for invariant in report["items"][0]["invariants"].as_array().expect("a list") {
        let name = invariant["invariant"].as_str().expect("a name");
        let expected = expected.remove(name).unwrap_or_default();
        let listed = invariant["violations"].as_array().expect("a list");
        let of_payments = listed.iter().filter(|one| one["topic"] == "payments").count();
        assert_eq!(
            (listed.len(), of_payments),
            (expected, expected),
            "{name}: {}",
            shown(&output)
        );
    }
    assert!(expected.is_empty(), "not judged: {expected:?}");
}

fn rows_of_payment(fleet: &Fleet) -> BTreeSet<(i64, i64, String)> {
    let rows = "SELECT json_build_array(lane, sequence, event_id) FROM payment.v_outbox WHERE topic = 'payments'";
    let rows = fleet.database.text(rows).expect("payment's facts");
    rows.lines()
        .map(|row| serde_json::from_str(row).expect("a row"))
        .collect()
}

/// How many rows have their first copy behind that of a later sequence.
fn first_copies_behind<'a>(facts: impl Iterator<Item = &'a Fact>) -> usize {
    let (mut seen, mut last) = (BTreeSet::new(), BTreeMap::new());
    let first = facts.filter(|fact| seen.insert(&fact.row));
    first
        .filter(|fact| {
            let (lane, sequence, _) = fact.row;
            let last = last.entry((fact.partition, lane)).or_insert(0);
            let is_behind = sequence < *last;
            *last = sequence.max(*last);
            is_behind
        })
        .count()
}
