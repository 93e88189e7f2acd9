//! Many instances of one service on a real PostgreSQL and a real Kafka: they join, leave, die, sleep and wake, and the
//! audit finds nothing. `docs/scaling.md` says what happens on each of these.
//!
//! ```text
//! main.rs      one after another: down to zero and up, killed, in a fixed place
//! storms.rs    members that come and go all the time
//! sleepers.rs  members that wake at the worst moment
//! waiting.rs   members whose database is away, whose lanes are taken from them, whose rows are held: what they do, and
//!              what `orderflow health` says of it
//! ```

#![allow(
    clippy::print_stderr,
    reason = "the seed and the measured times are shown with the test"
)]

#[path = "../support/mod.rs"]
mod support;

mod sleepers;
mod storms;
mod waiting;

use std::time::{Duration, Instant};

use support::fleet::Fleet;
use support::process::{Daemon, output_of, shown};
use support::system::System;
use support::{wait_for, wait_until};

/// As short as brokers allow, so that a test of what comes after it does not take long.
const SESSION_TIMEOUT: Duration = Duration::from_secs(6);

/// Lanes of the groups.
const LANES: usize = 6;

/// The longest that daemons may take for what a test gives them to do.
const SOON: Duration = Duration::from_mins(1);

/// From SIGTERM to the end: the program's own bound is 5 s.
const ENDED: Duration = Duration::from_secs(15);

/// What is promised from the death of a member until its lanes move again, on top of the session timeout.
const MOVED: Duration = Duration::from_secs(5);

fn fleet() -> Fleet {
    Fleet::on(System::start(6)).set("ORDERFLOW_RUNTIME_SESSION_TIMEOUT", "6s")
}

#[test]
#[ignore = "needs Kafka's jars and PostgreSQL; run by ./tests/run"]
fn down_to_zero_and_up_again() {
    let fleet = fleet();
    fleet.stock_up();
    let payment = fleet.run("payment", "payment");
    let mut members: Vec<_> = (0..3).map(|n| fleet.run("inventory", &format!("first-{n}"))).collect();
    fleet.place(600);
    fleet.wait_applied(600, SOON);
    for member in &mut members {
        assert_eq!(member.stop(ENDED).code(), Some(0), "{}", member.log());
    }
    fleet.place(600);
    assert_eq!(fleet.applied(), 600, "nobody is there");
    let began = Instant::now();
    let again: Vec<_> = (0..2).map(|n| fleet.run("inventory", &format!("again-{n}"))).collect();
    fleet.wait_applied(1_200, SOON);
    eprintln!("from zero to caught up: {:?}", began.elapsed());
    fleet.assert_clean(&[&again[0], &again[1], &payment]);
    assert_eq!(
        fleet.copies_in_order(),
        0,
        "who leaves in order has published everything"
    );
}

#[test]
#[ignore = "needs Kafka's jars and PostgreSQL; run by ./tests/run"]
fn the_lanes_of_a_killed_member_move_again_after_its_session() {
    const KILLS: usize = 3;
    let fleet = fleet();
    fleet.stock_up();
    let payment = fleet.run("payment", "payment");
    let mut members: Vec<_> = (0..3).map(|n| fleet.run("inventory", &format!("member-{n}"))).collect();
    for kill in 0..KILLS {
        wait_until("two lanes each", SOON, || {
            members.iter().all(|member| last_assigned(member) == Some(LANES / 3))
        });
        members[kill].kill();
        let took = until_all_lanes_move(&fleet);
        eprintln!("killed: all lanes moved again after {took:?}");
        assert!(took < SESSION_TIMEOUT + MOVED, "{took:?}");
        members[kill] = fleet.run("inventory", &format!("again-{kill}"));
    }
    fleet.assert_clean(&[&members[0], &members[1], &members[2], &payment]);
    fleet.copies_in_order();
}

/// They share the folder of the gateway's books.
#[test]
#[ignore = "needs Kafka's jars and PostgreSQL; run by ./tests/run"]
fn several_payments_charge_each_order_once() {
    const PAID: &str = "SELECT coalesce(sum(applied), 0)::bigint FROM payment.v_progress WHERE topic = 'orders'";
    let fleet = fleet();
    fleet.stock_up();
    let inventory = fleet.run("inventory", "inventory");
    let mut members: Vec<_> = (0..3).map(|n| fleet.run("payment", &format!("payment-{n}"))).collect();
    wait_until("two lanes each", SOON, || {
        members.iter().all(|member| last_assigned(member) == Some(LANES / 3))
    });
    fleet.place(1_500);
    let paid = || fleet.database.number(PAID).unwrap_or(0);
    wait_until("the first payments", SOON, || paid() > 0);
    members[0].kill();
    wait_until("all payments", SOON, || paid() == 1_500);
    fleet.assert_clean(&[&inventory, &members[1], &members[2]]);
}

#[test]
#[ignore = "needs Kafka's jars and PostgreSQL; run by ./tests/run"]
fn in_a_fixed_place_a_killed_member_has_its_lanes_back_at_once() {
    const SESSION: Duration = Duration::from_secs(30);
    let fleet = fleet().set("ORDERFLOW_RUNTIME_SESSION_TIMEOUT", "30s");
    fleet.stock_up();
    let payment = fleet.run("payment", "payment");
    let start =
        |place: &'static str, log: &str| fleet.run_with("inventory", log, &[("ORDERFLOW_RUNTIME_INSTANCE_ID", place)]);
    let (left, mut right) = (start("left", "left"), start("right", "right"));
    wait_until("half of the lanes each", SOON, || {
        [&left, &right]
            .iter()
            .all(|member| last_assigned(member) == Some(LANES / 2))
    });
    let before = left.log().matches("revoked").count();
    right.kill();
    let killed = Instant::now();
    let mut right = start("right", "right-again");
    until_all_lanes_move(&fleet);
    eprintln!("in a fixed place: all lanes moved again after {:?}", killed.elapsed());
    assert!(killed.elapsed() < SESSION / 2, "{:?}", killed.elapsed());
    let asked = left.log().matches("revoked").count();
    assert_eq!(asked, before, "the other member was not asked to let go");

    // Somebody takes the place while its owner is there.
    let taker = start("right", "taker");
    let status = right.wait(SOON);
    assert_eq!(status.code(), Some(5), "{}", right.log());
    assert!(right.log().contains("fenced-member"), "{}", right.log());
    until_all_lanes_move(&fleet);
    fleet.assert_clean(&[&left, &taker, &payment]);
}

#[test]
#[ignore = "needs Kafka's jars; run by ./tests/run"]
fn what_only_postgresql_can_is_refused_on_sqlite() {
    let system = System::start(1);
    for (setting, value) in [("INSTANCE_ID", "left"), ("GROUP_PROTOCOL", "consumer")] {
        let mut command = system.orderflow();
        command
            .args(["run", "inventory"])
            .env(format!("ORDERFLOW_RUNTIME_{setting}"), value);
        let output = output_of(&mut command);
        assert_eq!(output.status.code(), Some(2), "{}", shown(&output));
        let said = shown(&output);
        assert!(
            said.contains(&setting.to_lowercase()) && said.contains("PostgreSQL"),
            "{said}"
        );
    }
}

/// How many lanes a member had when it was last given some.
fn last_assigned(member: &Daemon) -> Option<usize> {
    let log = member.log();
    let last = log
        .lines()
        .rfind(|line| line.contains("assigned") || line.contains("revoked"))?;
    let (_, lanes) = last.split_once("lanes=[")?;
    let (lanes, _) = lanes.split_once(']')?;
    let assigned = last.contains("assigned");
    assigned.then(|| lanes.split(',').filter(|lane| !lane.trim().is_empty()).count())
}

/// Somebody who holds these rows until he is made to let go, or for two minutes.
fn hold(fleet: &Fleet, rows: &str) -> Daemon {
    let lock = format!("BEGIN; SELECT 1 FROM {rows} FOR UPDATE; SELECT pg_sleep(120)");
    let mut session = fleet.database.session("holder", &lock);
    let holder = Daemon::start(&mut session, &fleet.system.log_file("holder"));
    let holds = format!("SELECT count(*) {HOLDER} AND wait_event = 'PgSleep'");
    wait_until("the lock", SOON, || fleet.database.number(&holds) == Some(1));
    holder
}

fn let_go(fleet: &Fleet) {
    let end = format!("SELECT count(pg_terminate_backend(pid)) {HOLDER}");
    assert_eq!(fleet.database.number(&end), Some(1));
}

/// His session: other tests have theirs on the same server.
const HOLDER: &str = "FROM pg_stat_activity WHERE application_name = 'holder' AND datname = current_database()";

/// Places orders until every lane has applied one that was placed after the call.
fn until_all_lanes_move(fleet: &Fleet) -> Duration {
    let began = Instant::now();
    let turns = "SELECT string_agg(next_offset::text, ' ' ORDER BY partition) FROM inventory.v_progress
                 WHERE topic = 'orders'";
    let positions = || -> Option<Vec<i64>> {
        let text = fleet.database.text(turns)?;
        text.split_whitespace().map(|offset| offset.parse().ok()).collect()
    };
    let before = wait_for("positions", SOON, || positions().filter(|all| all.len() == LANES));
    wait_until("every lane", SOON, || {
        fleet.place(3 * LANES);
        positions().is_some_and(|now| now.iter().zip(&before).all(|(now, before)| now > before))
    });
    began.elapsed()
}
