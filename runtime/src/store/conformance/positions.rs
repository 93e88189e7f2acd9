//! Positions: strict equality, a gap is an error (rule 1).

use super::Ground;
use super::hand::{Hand, TOPIC, moved, start};
use crate::record::NextOffset;
use crate::store::{Counts, Lane, Store, StoreError, Unit, Writes};

async fn position<S: Store>(store: &S, lane: Lane, topic: &str) -> Option<i64> {
    let claims = store.claim(&[lane]).await.expect("claimed");
    let mut progress = claims[0].progress.iter();
    progress
        .find(|progress| &*progress.topic == topic)
        .map(|progress| progress.next_offset.get())
}

/// What is recorded stays, whatever is said later.
pub async fn a_partition_starts_once<G: Ground>(ground: G) {
    let store = ground.handle().await;
    let hand = Hand::claim(&store, 0).await;
    for at in [5, 9, 0] {
        store
            .start_at(hand.at.owner, &[start(TOPIC, at)])
            .await
            .expect("taken or left");
    }
    let claims = store.claim(&[0]).await.expect("claimed");
    let progress = &claims[0].progress[0];
    assert_eq!(
        (progress.start_offset, progress.next_offset),
        (NextOffset::at(5), NextOffset::at(5))
    );
    assert_eq!(progress.counts, Counts::default());
}

/// Behind, ahead and unknown are fenced; the position itself is not, with holes behind it or without.
pub async fn strict_equality<G: Ground>(ground: G) {
    let store = ground.handle().await;
    let mut hand = Hand::start(&store, 0).await;
    let mut unit = hand.begin().await;
    unit.admit(&[moved(TOPIC, 0, 7)], &[])
        .await
        .expect("from where it stands");
    hand.commit(unit).await;
    for (topic, expected) in [(TOPIC, 6), (TOPIC, 8), (TOPIC, 0), ("never started", 0)] {
        let mut unit = hand.begin().await;
        let fenced = unit.admit(&[moved(topic, expected, 9)], &[]).await;
        assert_eq!(fenced, Err(StoreError::Fenced { lane: 0 }), "{topic} {expected}");
    }
    let mut unit = hand.begin().await;
    unit.admit(&[moved(TOPIC, 7, 12)], &[])
        .await
        .expect("from where it stands");
    hand.commit(unit).await;
    assert_eq!(position(&store, 0, TOPIC).await, Some(12));
}

/// One miss keeps nothing of the unit.
pub async fn one_miss_moves_nothing<G: Ground>(ground: G) {
    let store = ground.handle().await;
    let hand = Hand::start(&store, 0).await;
    store
        .start_at(hand.at.owner, &[start("other", 3)])
        .await
        .expect("started");
    let mut unit = hand.begin().await;
    let moves = [moved(TOPIC, 0, 5), moved("other", 2, 5)];
    assert!(unit.admit(&moves, &[]).await.is_err());
    drop(unit);
    assert_eq!(position(&store, 0, TOPIC).await, Some(0));
    assert_eq!(position(&store, 0, "other").await, Some(3));
}

/// A move is of the lane's own partition.
pub async fn other_partitions_stay<G: Ground>(ground: G) {
    let store = ground.handle().await;
    let mut one = Hand::start(&store, 1).await;
    Hand::start(&store, 2).await;
    let mut unit = one.begin().await;
    unit.admit(&[moved(TOPIC, 0, 5)], &[]).await.expect("moved");
    one.commit(unit).await;
    assert_eq!(position(&store, 1, TOPIC).await, Some(5));
    assert_eq!(position(&store, 2, TOPIC).await, Some(0));
}

/// Counts are added, per topic.
pub async fn counts_add_up<G: Ground>(ground: G) {
    let store = ground.handle().await;
    let mut hand = Hand::start(&store, 0).await;
    store
        .start_at(hand.at.owner, &[start("other", 0)])
        .await
        .expect("started");
    let counts = Counts {
        applied: 1,
        duplicate: 2,
        dead: 3,
        skipped: 4,
    };
    for _ in 0..2 {
        let writes = Writes {
            counts: vec![(TOPIC.into(), counts)],
            ..Writes::default()
        };
        hand.write(writes).await;
    }
    let progress = store.claim(&[0]).await.expect("claimed").remove(0).progress;
    let of = |topic: &str| {
        progress
            .iter()
            .find(|progress| &*progress.topic == topic)
            .map(|found| found.counts)
    };
    let mut twice = counts;
    twice += counts;
    assert_eq!((of(TOPIC), of("other")), (Some(twice), Some(Counts::default())));
}
