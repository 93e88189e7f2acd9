//! Kill tests: the daemons die, freeze or lose what they wait for, at every place on the way of a record; the audit then
//! finds nothing lost and nothing twice. `docs/decisions/0080-dying-at-named-places.md` says why it is done like this.
//!
//! ```text
//! main.rs      dying at crash points
//! faults.rs    what happens to the daemons from outside
//! world.rs     a broker, topics, databases, daemons
//! waves.rs     the input
//! rounds.rs    one death after another, at each crash point
//! visitor.rs   somebody else joins the group for a while
//! proxy.rs     connections that break after a record was written
//! ```

#![allow(
    clippy::print_stderr,
    reason = "the seed and the measured times are shown with the test"
)]

#[path = "../support/mod.rs"]
mod support;

mod faults;
mod proxy;
mod rounds;
mod visitor;
mod waves;
mod world;

use std::collections::BTreeSet;

use orderflow_runtime::crash::POINTS;

use rounds::die_at_each;
use support::seed::seed;
use world::World;

/// From the broker to a lane and back.
const LANES: &[&str] = &[
    "poll.after",
    "decode.after",
    "claim.before",
    "claim.after",
    "assign.after",
    "revoke.before",
    "drain.after",
];

/// Within a unit of work.
const UNITS: &[&str] = &[
    "tx.begin",
    "tx.compare_and_set",
    "tx.inbox",
    "tx.load",
    "tx.state",
    "tx.outbox",
    "tx.release",
];

/// Where a unit becomes durable, and where publishing is recorded.
const COMMITS: &[&str] = &[
    "commit.before",
    "commit.after",
    "commit.told",
    "cursor.before",
    "cursor.after",
];

/// What leaves the process.
const OUTSIDE: &[&str] = &[
    "publish.first",
    "publish.mid",
    "publish.last",
    "acks.partly",
    "effect.before_call",
    "effect.after_call",
    "effect.answer",
];

#[test]
fn every_crash_point_is_in_one_of_the_tests() {
    let tested: Vec<_> = [LANES, UNITS, COMMITS, OUTSIDE].concat();
    let distinct: BTreeSet<_> = tested.iter().collect();
    assert_eq!(distinct, POINTS.iter().collect());
    assert_eq!(distinct.len(), tested.len(), "each in one");
}

#[test]
#[ignore = "needs Kafka's jars and the feature crash-points; run by ./tests/run"]
fn dying_between_the_broker_and_a_lane() {
    die_at_each(World::start(), LANES, seed());
}

#[test]
#[ignore = "needs Kafka's jars and the feature crash-points; run by ./tests/run"]
fn dying_within_a_unit_of_work() {
    die_at_each(World::start(), UNITS, seed());
}

#[test]
#[ignore = "needs Kafka's jars and the feature crash-points; run by ./tests/run"]
fn dying_where_something_becomes_durable() {
    die_at_each(World::start(), COMMITS, seed());
}

#[test]
#[ignore = "needs Kafka's jars and the feature crash-points; run by ./tests/run"]
fn dying_on_the_way_out() {
    die_at_each(World::start(), OUTSIDE, seed());
}

/// Where PostgreSQL is another thing than SQLite: a claim, transactions of the lanes that are ready together, and their commit.
const ON_POSTGRES: &[&str] = &[
    "claim.before",
    "claim.after",
    "tx.begin",
    "tx.compare_and_set",
    "tx.outbox",
    "commit.before",
    "commit.after",
    "cursor.before",
    "cursor.after",
];

#[test]
#[ignore = "needs Kafka's jars, PostgreSQL and the feature crash-points; run by ./tests/run"]
fn dying_on_postgres() {
    die_at_each(World::on_postgres(), ON_POSTGRES, seed());
}

/// What only a binary with crash points holds.
const MARKS: [&[u8]; 2] = [b"ORDERFLOW_TEST_CRASH", b"crash point "];

#[test]
fn only_a_binary_built_for_it_can_be_told_to_die() {
    let binary = std::fs::read(env!("CARGO_BIN_EXE_orderflow")).expect("the program");
    let has = |mark: &[u8]| binary.windows(mark.len()).any(|window| window == mark);
    assert_eq!(MARKS.map(has), [cfg!(feature = "crash-points"); 2]);
}
