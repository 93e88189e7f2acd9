//! Many lanes on one database at once: what one does is nothing to the others, but that it may have to be done again.

use std::pin::pin;

use super::Ground;
use super::hand::{BIN, Hand, SHELF, TOPIC, arrival, fact, facts, key, moved, row, rows};
use crate::store::{Admission, Lane, OutboxRow, Outcome, Store, StoreError, Turn, Unit, Writes};

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

/// The lanes of two processes, neighbours in one, where the database is for several.
async fn hands<G: Ground>(ground: &G) -> Vec<Hand<G::Store>> {
    let stores = [ground.handle().await, ground.handle().await];
    let mut hands = Vec::new();
    for lane in 0..LANES {
        let store = &stores[usize::from(lane % 4 >= 2)];
        hands.push(Hand::start(store, lane).await);
    }
    hands
}

/// All lanes at once, each durable on its own.
pub async fn many_lanes_at_once<G: Ground>(mut ground: G) {
    let hands = hands(&ground).await;
    let lanes: Vec<_> = hands.into_iter().map(|hand| tokio::spawn(work_alone(hand))).collect();
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
    for hand in hands(&ground).await {
        lanes.push(match hand.at.owner.lane % 2 {
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

/// Whoever is dropped beside another that is being committed was never there, and the other's answer is true of all it
/// did. At the turns they were begun at, both can be done again.
pub async fn who_is_dropped_beside_another_never_was<G: Ground>(ground: G) {
    let store = ground.handle().await;
    let (mut one, mut two) = (Hand::start(&store, 1).await, Hand::start(&store, 2).await);
    let (answer, ()) = beside(&one, two.at, async |begun| {
        let mut unit = begun.expect("the owner begins a unit at his turn");
        let writes = Writes {
            outbox: vec![fact(unit.next_sequence(), event(2, 0))],
            ..rows([row(SHELF, "lane 2", 0, "1"), row(SHELF, "shared", 0, "1")])
        };
        unit.write(&writes).await.expect("written");
    })
    .await;
    let happened = match &answer {
        Ok(()) => Outcome::Happened,
        Err(error) => {
            assert_eq!(error, &StoreError::Undone);
            Outcome::DidNot
        }
    };
    assert_eq!(store.resolve(one.at).await, Ok(happened));
    assert_eq!(one.facts().await.len(), usize::from(answer.is_ok()));
    assert_eq!(store.resolve(two.at).await, Ok(Outcome::DidNot));
    assert_eq!(two.facts().await, [] as [OutboxRow; 0]);
    if answer.is_ok() {
        one.at.turn += 1;
    } else {
        work_through(&mut one, 0).await;
    }
    work_through(&mut two, 0).await;
    let found = two
        .load(&["lane 1", "lane 2", "shared"].map(|name| key(SHELF, name)))
        .await;
    let versions: Vec<_> = found.iter().map(|row| row.version).collect();
    assert_eq!(versions, [1, 1, 0]);
}

/// Whoever finds the lane another's beside a unit that is being committed does that one no harm.
pub async fn who_is_fenced_beside_another_harms_nobody<G: Ground>(ground: G) {
    let store = ground.handle().await;
    let (one, former) = (Hand::start(&store, 1).await, Hand::start(&store, 2).await.at);
    let mut latter = Hand::claim(&store, 2).await;
    let (answer, ()) = beside(&one, former, async |begun| {
        assert_eq!(begun.err(), Some(StoreError::Fenced { lane: 2 }));
    })
    .await;
    assert_eq!(answer, Ok(()));
    assert_eq!(one.facts().await.len(), 1);
    work_through(&mut latter, 0).await;
}

/// What one has changed the next one finds, whether they share a transaction or not.
pub async fn what_one_changes_another_finds<G: Ground>(ground: G) {
    let store = ground.handle().await;
    let (mut one, mut two) = (Hand::start(&store, 1).await, Hand::start(&store, 2).await);
    one.write(rows([row(SHELF, "lane 1", 0, "1")])).await;
    let (answer, committed) = beside(&one, two.at, async |begun| {
        let mut unit = begun.expect("the owner begins a unit at his turn");
        let found = unit.load(&[key(SHELF, "lane 1")]).await.expect("loaded");
        assert_eq!(found, [row(SHELF, "lane 1", 2, "1")]);
        let stale = row(SHELF, "lane 1", 1, "3");
        unit.write(&rows([row(SHELF, "lane 1", 2, "2")]))
            .await
            .expect("written");
        let refused = unit.write(&rows([stale])).await;
        assert!(matches!(refused, Err(StoreError::Stale { .. })), "{refused:?}");
        unit.commit().await
    })
    .await;
    assert!(matches!(committed, Err(StoreError::Stale { .. })), "{committed:?}");
    assert!(matches!(answer, Ok(()) | Err(StoreError::Undone)), "{answer:?}");
    one.at.turn += i64::from(answer.is_ok());
    let left = 1 + i64::from(answer.is_ok());
    assert_eq!(one.load(&[key(SHELF, "lane 1")]).await[0].version, left);
    two.write(rows([row(SHELF, "lane 1", left, "4")])).await;
}

/// A unit of `one` is committed; whoever wants to begin at `other` waits already, and does `work` as soon as he can. What
/// the commit answered, and the work.
async fn beside<S: Store, T>(
    one: &Hand<S>,
    other: Turn,
    work_of_other: impl AsyncFnOnce(Result<S::Unit, StoreError>) -> T,
) -> (Result<(), StoreError>, T) {
    let unit = work(one, 0).await;
    let mut queued = pin!(one.store.begin(other, 0));
    let early = touch(queued.as_mut()).await;
    let mut commit = pin!(unit.commit());
    let told = touch(commit.as_mut()).await;
    let begun = match early {
        Some(begun) => begun,
        None => queued.await,
    };
    let done = work_of_other(begun).await;
    let answer = match told {
        Some(answer) => answer,
        None => commit.await,
    };
    (answer, done)
}

/// Lets a future begin what it does first, and says what it came to if it is over.
async fn touch<F: Future + Unpin>(mut future: F) -> Option<F::Output> {
    tokio::select! {
        biased;
        done = &mut future => Some(done),
        () = std::future::ready(()) => None,
    }
}
