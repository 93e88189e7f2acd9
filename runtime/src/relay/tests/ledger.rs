//! The bookkeeping alone.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use crate::relay::Progress;
use crate::relay::ledger::{Ledger, Room};
use crate::store::{Lane, Sequence};

use super::{fact, facts};

const ROOM: Room = Room {
    rows: 4_000,
    bytes: 1 << 20,
};

fn opened(lane: Lane, first: Sequence) -> (Ledger, Arc<Progress>) {
    let mut ledger = Ledger::new(ROOM);
    let progress = Arc::new(Progress::before(first));
    ledger.open(lane, 0, first, Arc::clone(&progress));
    (ledger, progress)
}

fn acknowledged(progress: &Progress) -> Sequence {
    progress.acknowledged.load(Ordering::Relaxed)
}

/// What is offered until `room` rows are taken.
fn offered(ledger: &mut Ledger, room: usize) -> Vec<(Lane, Sequence)> {
    let mut taken = Vec::new();
    let full = ledger.offer(|lane, row| {
        if taken.len() == room {
            return Err(());
        }
        taken.push((lane, row.sequence));
        Ok(())
    });
    assert_eq!(full.is_err(), taken.len() == room && ledger.is_waiting());
    taken
}

fn settled(ledger: &mut Ledger) -> Vec<(Lane, Sequence)> {
    let mut moved = Vec::new();
    ledger.settle(|lane, sequence| moved.push((lane, sequence)));
    moved
}

#[test]
fn however_many_lanes_there_are_each_has_room() {
    let mut ledger = Ledger::new(ROOM);
    let lanes = 128;
    for lane in 0..lanes {
        ledger.open(lane, 0, 1, Arc::new(Progress::before(1)));
        ledger.submit(lane, 0, facts(1..=100));
    }
    // Nothing comes back: half of all partitions may have no leader.
    let (mut with_client, mut offered) = (0, BTreeSet::new());
    for _ in 0..10 {
        let _full = ledger.offer(|lane, _| {
            if with_client == ROOM.rows {
                return Err(());
            }
            with_client += 1;
            offered.insert(lane);
            Ok(())
        });
    }
    assert_eq!(offered, (0..lanes).collect());
}

#[test]
fn only_the_prefix_counts() {
    let (mut ledger, progress) = opened(2, 5);
    ledger.submit(2, 0, facts(5..=8));
    offered(&mut ledger, 10);
    for (sequence, moved, prefix) in [
        (6, vec![], 4),
        (8, vec![], 4),
        (5, vec![(2, 6)], 6),
        (7, vec![(2, 8)], 8),
    ] {
        ledger.acknowledge(2, sequence);
        assert_eq!(settled(&mut ledger), moved, "after {sequence}");
        assert_eq!(acknowledged(&progress), prefix, "after {sequence}");
    }
    assert!(ledger.is_empty());
}

#[test]
fn what_nobody_waits_for_is_no_news() {
    let (mut ledger, progress) = opened(0, 5);
    ledger.submit(0, 0, facts(5..=6));
    for (lane, sequence) in [(0, 4), (0, 7), (1, 5), (9, 1)] {
        ledger.acknowledge(lane, sequence);
    }
    assert_eq!((settled(&mut ledger), acknowledged(&progress)), (vec![], 4));
}

/// A partition without a leader acknowledges nothing.
#[test]
fn a_lane_that_is_not_acknowledged_leaves_room_for_the_others() {
    let mut ledger = Ledger::new(Room { rows: 400, ..ROOM });
    for lane in 0..4 {
        ledger.open(lane, 0, 1, Arc::new(Progress::before(1)));
        ledger.submit(lane, 0, facts(1..=1_000));
    }
    let mut given = BTreeSet::new();
    for _ in 0..100 {
        let taken = offered(&mut ledger, 400);
        for (lane, sequence) in &taken {
            if *lane == 3 {
                ledger.acknowledge(*lane, *sequence);
            }
        }
        given.extend(taken);
    }
    let of = |lane| given.iter().filter(|(of, _)| *of == lane).count();
    assert_eq!([of(0), of(1), of(2), of(3)], [100, 100, 100, 1_000]);
    assert!(!ledger.is_waiting(), "there is nothing to do but wait");
    ledger.acknowledge(0, 1);
    assert!(ledger.is_waiting());
}

/// Lanes come and go while a partition has no leader, and the client keeps what it was given.
#[test]
fn what_the_client_has_of_a_lane_is_of_its_share_when_it_comes_again() {
    let mut ledger = Ledger::new(Room { rows: 200, ..ROOM });
    let come = |ledger: &mut Ledger, ownership| {
        ledger.open(0, ownership, 1, Arc::new(Progress::before(1)));
        ledger.submit(0, ownership, facts(1..=1_000));
        let taken = offered(ledger, 1_000).len();
        assert!(ledger.close(0, ownership));
        taken
    };
    assert_eq!([1, 2, 3].map(|ownership| come(&mut ledger, ownership)), [200, 0, 0]);
    (1..=150).for_each(|sequence| ledger.acknowledge(0, sequence));
    assert_eq!(come(&mut ledger, 4), 150, "as much as came back");
    ledger.restart();
    assert_eq!(come(&mut ledger, 5), 200, "another client");
}

/// Few letters may be as long as all that the client has room for.
#[test]
fn a_lane_has_its_share_of_the_bytes_too_and_one_row_in_any_case() {
    let mut ledger = Ledger::new(Room { bytes: 1_000, ..ROOM });
    for lane in [0, 1] {
        ledger.open(lane, 0, 1, Arc::new(Progress::before(1)));
        let mut rows = facts(1..=5);
        for row in &mut rows {
            row.value = Some(vec![b'x'; if lane == 0 { 200 } else { 900 }]);
        }
        ledger.submit(lane, 0, rows);
    }
    assert_eq!(offered(&mut ledger, 10), [(0, 1), (0, 2), (1, 1)]);
    assert!(!ledger.is_waiting());
    ledger.acknowledge(1, 1);
    assert_eq!(offered(&mut ledger, 10), [(1, 2)]);
    ledger.restart();
    assert_eq!(offered(&mut ledger, 10), [(0, 1), (0, 2), (1, 2)]);
}

#[test]
fn a_row_not_taken_is_offered_again() {
    let (mut ledger, _) = opened(0, 1);
    ledger.submit(0, 0, facts(1..=3));
    assert_eq!(offered(&mut ledger, 2), [(0, 1), (0, 2)]);
    assert_eq!(offered(&mut ledger, 2), [(0, 3)]);
    assert!(!ledger.is_waiting());
}

#[test]
fn a_long_backlog_does_not_hold_up_other_lanes() {
    let (mut ledger, _) = opened(0, 1);
    ledger.open(3, 1, 1, Arc::new(Progress::before(1)));
    ledger.submit(0, 0, facts(1..=10_000));
    ledger.submit(3, 1, facts(1..=1));
    assert!(offered(&mut ledger, 1_000).contains(&(3, 1)), "within one round");

    ledger.submit(3, 1, facts(2..=2));
    assert_eq!(offered(&mut ledger, 1), [(0, 257)]);
    assert_eq!(offered(&mut ledger, 1), [(3, 2)], "lane 0 had its turn");
}

#[test]
fn a_new_client_starts_at_the_first_unacknowledged_fact() {
    let (mut ledger, _) = opened(0, 1);
    ledger.submit(0, 0, facts(1..=5));
    offered(&mut ledger, 4);
    for sequence in [1, 2, 4] {
        ledger.acknowledge(0, sequence);
    }
    ledger.restart();
    assert_eq!(offered(&mut ledger, 9), [(0, 3), (0, 5)], "fact 4 is in Kafka already");
}

#[test]
fn an_ownership_that_was_replaced_has_no_effect() {
    let (mut ledger, _) = opened(0, 1);
    ledger.submit(0, 0, facts(1..=3));
    ledger.open(0, 1, 3, Arc::new(Progress::before(3)));
    ledger.submit(0, 0, facts(4..=5));
    assert!(!ledger.close(0, 0));
    ledger.submit(0, 1, vec![fact(3)]);
    assert_eq!(offered(&mut ledger, 9), [(0, 3)]);
    assert!(ledger.close(0, 1), "the client has fact 3");
    assert!(ledger.is_empty());
}

/// Whatever happens, each client is given facts in their order, and passes over none that is not in Kafka already: what
/// the order of first copies rests on.
#[test]
fn no_client_passes_over_a_fact() {
    let (mut ledger, progress) = opened(0, 1);
    let (mut handed, mut given, mut open) = (0, 0, Vec::<Sequence>::new());
    let mut in_kafka = BTreeSet::new();
    for draw in draws(20_000) {
        match draw % 10 {
            0..3 => {
                let more = handed + 1..=handed + 1 + Sequence::try_from(draw % 7).expect("small");
                handed = *more.end();
                ledger.submit(0, 0, facts(more));
            }
            3..6 => {
                for (_, sequence) in offered(&mut ledger, draw % 13) {
                    assert!(sequence > given, "{sequence} after {given}");
                    assert!((given + 1..sequence).all(|passed_over| in_kafka.contains(&passed_over)));
                    given = sequence;
                    open.push(sequence);
                }
            }
            6..9 if !open.is_empty() => {
                let sequence = open.swap_remove(draw % open.len());
                in_kafka.insert(sequence);
                ledger.acknowledge(0, sequence);
                settled(&mut ledger);
            }
            9 => {
                ledger.restart();
                given = acknowledged(&progress);
                open.clear();
            }
            _ => {}
        }
    }
    assert!((1..=acknowledged(&progress)).all(|sequence| in_kafka.contains(&sequence)));
    assert!(acknowledged(&progress) > 1_000, "{}", acknowledged(&progress));
}

/// The same numbers in every run.
fn draws(count: usize) -> impl Iterator<Item = usize> {
    let next = |n: &u64| {
        Some(
            n.wrapping_mul(6_364_136_223_846_793_005)
                .wrapping_add(1_442_695_040_888_963_407),
        )
    };
    let seeds = std::iter::successors(Some(42_u64), next).take(count);
    seeds.map(|seed| usize::try_from(seed >> 40).expect("24 bits"))
}
