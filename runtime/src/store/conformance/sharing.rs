//! Many lanes on one database at once: what one does is nothing to the others, but that it may have to be done again.

use super::Ground;
use super::hand::{BIN, Hand, SHELF, TOPIC, arrival, fact, facts, key, moved, row, rows};
use crate::store::{Admission, Lane, Store, StoreError, Unit, Writes};

const LANES: Lane = 8;
const UNITS: u64 = 12;

/// An event of its own for each unit of each lane.
fn event(lane: Lane, unit: u64) -> u64 {
    u64::from(lane.unsigned_abs()) * 1_000 + unit
}

/// Moves, lets in, loads, writes a row of its own and a fact.
async fn work<S: Store>(hand: &Hand<S>, unit_number: u64) -> S::Unit {
    let name = format!("lane {}", hand.at.owner.lane);
    let number = event(hand.at.owner.lane, unit_number);
    let offset = i64::try_from(unit_number).expect("small");
    let mut unit = hand.begin().await;
    let admitted = unit
        .admit(&[moved(TOPIC, offset, offset + 1)], &[arrival(number, 1)])
        .await;
    assert_eq!(admitted, Ok(vec![Admission::New]));
    tokio::task::yield_now().await;
    let loaded = unit.load(&[key(SHELF, &name)]).await.expect("loaded");
    let writes = Writes {
        outbox: vec![fact(unit.next_sequence(), number)],
        ..rows([row(SHELF, &name, loaded[0].version, "1")])
    };
    unit.write(&writes).await.expect("written");
    unit
}

async fn work_alone<S: Store>(mut hand: Hand<S>) {
    for number in 0..UNITS {
        work_through(&mut hand, number).await;
    }
}

/// Does a unit until it is durable: one that shared a transaction with another's failure never was.
async fn work_through<S: Store>(hand: &mut Hand<S>, number: u64) {
    loop {
        match work(hand, number).await.commit().await {
            Ok(()) => break,
            Err(error) => assert_eq!(error, StoreError::Undone),
        }
    }
    hand.at.turn += 1;
}

/// Drops each unit once before it commits it, and tries what is refused in between.
async fn work_badly<S: Store>(mut hand: Hand<S>) {
    for number in 0..UNITS {
        drop(work(&hand, number).await);
        let stale = hand.refused(rows([row(BIN, "nobody's", 4, "1")])).await;
        assert!(matches!(stale, StoreError::Stale { .. }));
        let gap = hand.refused(facts([fact(i64::MAX, 77)])).await;
        assert!(matches!(gap, StoreError::Halt(_)));
        work_through(&mut hand, number).await;
    }
}

/// Each lane stands where its own units have brought it.
async fn check<G: Ground>(ground: &G) {
    let store = ground.handle().await;
    for lane in 0..LANES {
        let claim = store.claim(&[lane]).await.expect("claimed").remove(0);
        let units = i64::try_from(UNITS).expect("small");
        assert_eq!((claim.at.turn, claim.next_sequence), (units, units + 1), "lane {lane}");
        assert_eq!(claim.progress[0].next_offset.get(), units, "lane {lane}");
        let facts = store.outbox(lane, 0, 1_000).await.expect("read");
        let expected: Vec<_> = (0..UNITS)
            .zip(1..)
            .map(|(unit, sequence)| fact(sequence, event(lane, unit)))
            .collect();
        assert_eq!(facts, expected, "lane {lane}");
        let hand = Hand::claim(&store, lane).await;
        assert_eq!(
            hand.load(&[key(SHELF, &format!("lane {lane}"))]).await[0].version,
            units
        );
    }
}

/// All lanes at once, each durable on its own.
pub async fn many_lanes_at_once<G: Ground>(mut ground: G) {
    let mut lanes = Vec::new();
    for lane in 0..LANES {
        let hand = Hand::start(&ground.handle().await, lane).await;
        lanes.push(tokio::spawn(work_alone(hand)));
    }
    for lane in lanes {
        lane.await.expect("no panic");
    }
    check(&ground).await;
    ground.reopen().await;
    check(&ground).await;
}

/// Every second lane fails all the time.
pub async fn one_lanes_failure_is_its_own<G: Ground>(mut ground: G) {
    let mut lanes = Vec::new();
    for lane in 0..LANES {
        let hand = Hand::start(&ground.handle().await, lane).await;
        lanes.push(match lane % 2 {
            0 => tokio::spawn(work_alone(hand)),
            _ => tokio::spawn(work_badly(hand)),
        });
    }
    for lane in lanes {
        lane.await.expect("no panic");
    }
    ground.reopen().await;
    check(&ground).await;
}
