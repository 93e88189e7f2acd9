//! Rebalance storms: a member joins, leaves or is killed every one or two seconds, while orders flow.

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use super::support::broker::Broker;
use super::support::fleet::Fleet;
use super::support::process::Daemon;
use super::support::seed::{Dice, seed};
use super::support::system::System;
use super::{ENDED, MOVED, SESSION_TIMEOUT, SOON, fleet};

/// How long it blows.
const BLOWS: Duration = Duration::from_secs(30);

/// Orders placed at once, several times a second where the machine is quick.
const LOAD: usize = 200;

/// Most members at a time.
const MOST: usize = 4;

#[test]
#[ignore = "needs Kafka's jars and PostgreSQL; run by ./tests/run"]
fn a_storm_of_members_loses_nothing_and_keeps_the_order() {
    storm(&fleet());
}

#[test]
#[ignore = "needs Kafka's jars and PostgreSQL; run by ./tests/run"]
fn a_storm_under_the_newer_protocol_loses_nothing_either() {
    // The broker decides when a member is dead; its own default is 45 s.
    let broker = Broker::start_with(&[
        "group.consumer.min.session.timeout.ms=6000",
        "group.consumer.session.timeout.ms=6000",
        "group.consumer.min.heartbeat.interval.ms=500",
        "group.consumer.heartbeat.interval.ms=500",
    ]);
    let fleet = Fleet::on(System::with_topics(broker, 6)).set("ORDERFLOW_RUNTIME_GROUP_PROTOCOL", "consumer");
    storm(&fleet);
}

fn storm(fleet: &Fleet) {
    let mut dice = Dice::new(seed());
    fleet.stock_up();
    let payment = fleet.run("payment", "payment");
    let (calm, placed) = (AtomicBool::new(false), AtomicUsize::new(0));
    let mut members = Members::default();
    members.join(fleet);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !calm.load(Ordering::Relaxed) {
                fleet.place(LOAD);
                placed.fetch_add(LOAD, Ordering::Relaxed);
                std::thread::sleep(Duration::from_millis(50));
            }
        });
        let until = Instant::now() + BLOWS;
        while Instant::now() < until {
            std::thread::sleep(Duration::from_millis(1_000 + dice.next() % 1_000));
            members.change(fleet, &mut dice);
        }
        calm.store(true, Ordering::Relaxed);
    });
    if members.here.is_empty() {
        members.join(fleet);
    }
    let placed = i64::try_from(placed.into_inner()).expect("a small number");
    let (meanwhile, calm) = (fleet.applied(), Instant::now());
    fleet.wait_applied(placed, SOON);
    let lagged = calm.elapsed();
    let here: Vec<_> = members.here.iter().chain([&payment]).collect();
    fleet.assert_clean(&here);
    eprintln!(
        "{} joined, {} left, {} were killed; {meanwhile} of {placed} applied meanwhile, the rest after {lagged:?}; {} facts \
         published again",
        members.joined,
        members.left,
        members.killed,
        fleet.copies_in_order()
    );
    assert!(members.left > 0 && members.killed > 0, "no storm");
    assert!(meanwhile > 0, "nothing moved in the storm");
    assert!(
        lagged < 2 * SESSION_TIMEOUT + MOVED,
        "{lagged:?} until the lag was gone"
    );
}

#[derive(Debug, Default)]
struct Members {
    here: Vec<Daemon>,
    joined: usize,
    left: usize,
    killed: usize,
}

impl Members {
    fn join(&mut self, fleet: &Fleet) {
        self.joined += 1;
        self.here
            .push(fleet.run("inventory", &format!("member-{}", self.joined)));
    }

    /// Somebody comes, leaves or dies; whoever should not have ended has not.
    fn change(&mut self, fleet: &Fleet, dice: &mut Dice) {
        for member in &mut self.here {
            assert!(member.is_running(), "ended by itself\n{}", member.log());
        }
        let room = self.here.len() < MOST;
        match dice.below(4) {
            0 | 1 if room => self.join(fleet),
            _ if self.here.is_empty() => self.join(fleet),
            nth if self.who_leaves(nth == 2) => {
                let mut leaving = self.here.swap_remove(dice.below(self.here.len()));
                self.left += 1;
                assert_eq!(leaving.stop(ENDED).code(), Some(0), "{}", leaving.log());
            }
            _ => {
                let mut dying = self.here.swap_remove(dice.below(self.here.len()));
                self.killed += 1;
                dying.kill();
            }
        }
    }

    /// As drawn; but before there have been two of one kind, there has been one of the other.
    fn who_leaves(&self, drawn: bool) -> bool {
        match (self.left, self.killed) {
            (0, 1..) => true,
            (1.., 0) => false,
            _ => drawn,
        }
    }
}
