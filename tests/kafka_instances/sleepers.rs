//! Members that are stopped for longer than their session and wake at the worst moment: others have their lanes by then.

use std::time::Duration;

use rustix::process::Signal;

use super::support::process::Daemon;
use super::support::wait_until;
use super::{SOON, fleet, hold, let_go};

#[test]
#[ignore = "needs Kafka's jars and PostgreSQL; run by ./tests/run"]
fn a_member_that_slept_in_the_middle_of_a_transaction_is_fenced_and_returns() {
    let fleet = fleet();
    fleet.stock_up();
    let payment = fleet.run("payment", "payment");
    let mut sleeper = fleet.run("inventory", "sleeper");
    fleet.place(200);
    fleet.wait_applied(200, SOON);
    // Somebody holds the row that every order needs: the lanes wait for it in the middle of their transaction.
    let _holder = hold(&fleet, "inventory.state WHERE entity = 'stock'");
    fleet.place(300);
    let waiting =
        "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()";
    wait_until("lanes that wait", SOON, || fleet.database.number(waiting) > Some(0));

    sleeper.signal(Signal::STOP);
    let_go(&fleet);
    let asleep = "SELECT count(*) FROM pg_stat_activity WHERE state = 'idle in transaction' \
                  AND datname = current_database()";
    wait_until("a transaction that nobody goes on with", SOON, || {
        fleet.database.number(asleep) > Some(0)
    });
    let other = fleet.run("inventory", "other");
    fleet.wait_applied(500, SOON);
    woken(&mut sleeper);

    fleet.place(300);
    fleet.wait_applied(800, SOON);
    fleet.assert_clean(&[&sleeper, &other, &payment]);
    fleet.copies_in_order();
}

#[test]
#[ignore = "needs Kafka's jars and PostgreSQL; run by ./tests/run"]
fn a_member_that_slept_with_a_full_queue_changes_no_order() {
    let fleet = fleet();
    fleet.stock_up();
    let payment = fleet.run("payment", "payment");
    // What it has to publish stays in the producer's queue for a while.
    let mut sleeper = fleet.run_with("inventory", "sleeper", &[("ORDERFLOW_RUNTIME_LINGER", "5s")]);
    sleeper.wait_for_log("assigned", SOON);
    fleet.place(500);
    let unpublished = "SELECT sum(unpublished)::bigint FROM inventory.v_lanes";
    wait_until("a full queue", SOON, || fleet.database.number(unpublished) >= Some(300));
    sleeper.signal(Signal::STOP);
    let queued = fleet.database.number(unpublished);
    assert!(queued >= Some(300), "{queued:?} facts in the queue of who sleeps");

    let other = fleet.run("inventory", "other");
    fleet.place(300);
    fleet.wait_applied(800, SOON);
    wait_until("everything published by the other", SOON, || {
        fleet.database.number(unpublished) == Some(0)
    });
    woken(&mut sleeper);
    fleet.place(300);
    fleet.wait_applied(1_100, SOON);
    fleet.assert_clean(&[&sleeper, &other, &payment]);
    let copies = fleet.copies_in_order();
    eprintln!("{queued:?} facts slept; {copies} were published twice");
    assert!(copies > 0, "what slept in the queue was published when it woke");
}

/// Wakes a member whose lanes are another's, and waits until it has some again.
fn woken(sleeper: &mut Daemon) {
    let before = sleeper.log().matches("assigned").count();
    sleeper.signal(Signal::CONT);
    sleeper.wait_for_log("lost=true", Duration::from_secs(30));
    wait_until("lanes for who woke", SOON, || {
        sleeper.log().matches("assigned").count() > before
    });
}
