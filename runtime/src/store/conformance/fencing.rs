//! Who may commit on a lane (rule 1).

use std::time::Duration;

use super::Ground;
use super::hand::{Hand, TOPIC, fact, facts, moved, rows, start};
use crate::record::NextOffset;
use crate::store::{Counts, Flood, Owner, Store, StoreError, Turn, Unit, Writes};

/// A lane that was never seen is at its beginning.
pub async fn a_new_lane_is_claimed<G: Ground>(ground: G) {
    let store = ground.handle().await;
    let claims = store.claim(&[5, 3]).await.expect("claimed");
    let lanes: Vec<_> = claims.iter().map(|claim| claim.at.owner.lane).collect();
    assert_eq!(lanes, [5, 3], "in the order asked for");
    for claim in claims {
        assert_eq!((claim.at.turn, claim.next_sequence, claim.published), (0, 1, 0));
        assert_eq!((claim.progress, claim.flood), (vec![], Flood::default()));
    }
}

/// Whoever claims later has the higher epoch, and only he begins units.
pub async fn the_later_claimant_wins<G: Ground>(ground: G) {
    let (first, second) = (ground.handle().await, ground.handle().await);
    let former = Hand::claim(&first, 0).await;
    let mut owner = Hand::claim(&second, 0).await;
    assert!(owner.at.owner.epoch > former.at.owner.epoch);
    let fenced = first.begin(former.at, 0).await.err();
    assert_eq!(fenced, Some(StoreError::Fenced { lane: 0 }));
    owner.write(rows([])).await;
    let back = Hand::claim(&first, 0).await;
    assert!(back.at.owner.epoch > owner.at.owner.epoch);
    let fenced = second.begin(owner.at, 0).await.err();
    assert_eq!(fenced, Some(StoreError::Fenced { lane: 0 }));
}

/// An epoch that is still to come is no owner's either.
pub async fn a_lane_nobody_claimed_is_fenced<G: Ground>(ground: G) {
    let store = ground.handle().await;
    let owner = Owner { lane: 7, epoch: 1 };
    let fenced = store.begin(Turn { owner, turn: 0 }, 0).await.err();
    assert_eq!(fenced, Some(StoreError::Fenced { lane: 7 }));
    let fenced = store.start_at(owner, &[start(TOPIC, 0)]).await;
    assert_eq!(fenced, Err(StoreError::Fenced { lane: 7 }));
    let mut ahead = Hand::claim(&store, 7).await.at;
    ahead.owner.epoch += 1;
    assert!(store.begin(ahead, 0).await.is_err());
}

/// A turn is taken once: neither again nor ahead of itself.
pub async fn a_turn_is_taken_once<G: Ground>(ground: G) {
    let store = ground.handle().await;
    let mut hand = Hand::claim(&store, 0).await;
    let first = hand.at;
    let ahead = Turn {
        turn: first.turn + 1,
        ..first
    };
    assert_eq!(store.begin(ahead, 0).await.err(), Some(StoreError::Fenced { lane: 0 }));
    hand.write(rows([])).await;
    assert_eq!(store.begin(first, 0).await.err(), Some(StoreError::Fenced { lane: 0 }));
    drop(store.begin(ahead, 0).await.expect("the next turn"));
}

/// Claiming a lane is nothing to the others.
pub async fn other_lanes_stay<G: Ground>(ground: G) {
    let (first, second) = (ground.handle().await, ground.handle().await);
    let mut hand = Hand::claim(&first, 0).await;
    Hand::claim(&second, 1).await.write(rows([])).await;
    hand.write(rows([])).await;
}

/// A claim while the former owner's unit is under way comes after it, and shows what it did.
pub async fn a_claim_waits_for_a_unit<G: Ground>(ground: G) {
    let (first, second) = (ground.handle().await, ground.handle().await);
    let mut former = Hand::start(&first, 0).await;
    let mut unit = former.begin().await;
    unit.admit(&[moved(TOPIC, 0, 4)], &[])
        .await
        .expect("the position moves");
    let mut claim = tokio::spawn(async move { second.claim(&[0]).await });
    let early = tokio::time::timeout(Duration::from_millis(50), &mut claim).await;
    assert!(early.is_err(), "the unit is not over");
    unit.write(&facts([fact(1, 1)])).await.expect("written");
    former.commit(unit).await;
    let claimed = claim.await.expect("no panic").expect("claimed");
    assert_eq!((claimed[0].at.turn, claimed[0].next_sequence), (former.at.turn, 2));
    assert_eq!(claimed[0].progress[0].next_offset, NextOffset::at(4));
    assert!(first.begin(former.at, 0).await.is_err(), "and then he is fenced");
}

/// A former owner says nothing about where partitions start.
pub async fn a_former_owner_starts_nothing<G: Ground>(ground: G) {
    let store = ground.handle().await;
    let former = Hand::claim(&store, 0).await;
    Hand::claim(&store, 0).await;
    let fenced = store.start_at(former.at.owner, &[start(TOPIC, 3)]).await;
    assert_eq!(fenced, Err(StoreError::Fenced { lane: 0 }));
    let claims = store.claim(&[0]).await.expect("claimed");
    assert_eq!(claims[0].progress, []);
}

/// A claim finds the lane as its former owner left it.
pub async fn a_claim_shows_where_the_lane_stands<G: Ground>(ground: G) {
    let store = ground.handle().await;
    let mut hand = Hand::start(&store, 2).await;
    let flood = Flood {
        run: 1,
        records: 20,
        dead: 3,
    };
    let counts = Counts {
        applied: 4,
        duplicate: 3,
        dead: 2,
        skipped: 1,
    };
    let mut unit = hand.begin().await;
    unit.admit(&[moved(TOPIC, 0, 10)], &[])
        .await
        .expect("the position moves");
    let writes = Writes {
        flood: Some(flood),
        counts: vec![(TOPIC.into(), counts)],
        ..facts([fact(1, 1), fact(2, 2)])
    };
    unit.write(&writes).await.expect("written");
    hand.commit(unit).await;
    hand.publish(1).await;

    let claim = store.claim(&[2]).await.expect("claimed").remove(0);
    assert_eq!((claim.at.turn, claim.next_sequence, claim.published), (2, 3, 1));
    assert_eq!(claim.flood, flood);
    let progress = &claim.progress[0];
    assert_eq!(
        (&*progress.topic, progress.partition, progress.counts),
        (TOPIC, 2, counts)
    );
    assert_eq!(
        (progress.start_offset, progress.next_offset),
        (NextOffset::START, NextOffset::at(10))
    );
}
