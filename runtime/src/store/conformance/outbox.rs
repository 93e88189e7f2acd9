//! Facts: in the order of commits, without a gap (rules 4 and 5).

use super::Ground;
use super::hand::{Hand, fact, facts, letter};
use crate::store::{Store, StoreError, Unit};

/// What goes in comes out, in order, from any place on.
pub async fn facts_come_out_as_they_went_in<G: Ground>(ground: G) {
    let store = ground.handle().await;
    let mut hand = Hand::claim(&store, 0).await;
    let mut large = fact(3, 3);
    large.value = Some(vec![7; 300_000]);
    large.key = Some(vec![]);
    let written = [fact(1, 30), letter(2, 2), large, fact(4, 1)];
    hand.write(facts(written[..2].to_vec())).await;
    hand.write(facts(written[2..].to_vec())).await;
    assert_eq!(store.outbox(0, 0, 100).await.expect("read"), written);
    assert_eq!(store.outbox(0, 1, 2).await.expect("read"), written[1..3]);
    assert_eq!(store.outbox(0, 4, 100).await.expect("read"), []);
    assert_eq!(store.outbox(1, 0, 100).await.expect("read"), [], "another lane's");
}

/// A unit that is dropped takes its sequences back.
pub async fn a_dropped_unit_leaves_no_gap<G: Ground>(ground: G) {
    let mut hand = Hand::claim(&ground.handle().await, 0).await;
    assert_eq!(hand.begin().await.next_sequence(), 1);
    hand.write(facts([fact(1, 1), fact(2, 2)])).await;
    let mut unit = hand.begin().await;
    assert_eq!(unit.next_sequence(), 3);
    unit.write(&facts([fact(3, 3)])).await.expect("written");
    drop(unit);
    assert_eq!(hand.begin().await.next_sequence(), 3);
    hand.write(facts([fact(3, 4)])).await;
    let sequences: Vec<_> = hand.facts().await.iter().map(|fact| fact.sequence).collect();
    assert_eq!(sequences, [1, 2, 3]);
}

/// A sequence that does not follow is a mistake of the program, and is not written.
pub async fn sequences_have_no_gap<G: Ground>(ground: G) {
    let mut hand = Hand::claim(&ground.handle().await, 0).await;
    hand.write(facts([fact(1, 1)])).await;
    for wrong in [vec![fact(3, 3)], vec![fact(1, 3)], vec![fact(2, 2), fact(4, 3)]] {
        let refused = hand.refused(facts(wrong)).await;
        assert!(matches!(refused, StoreError::Halt(_)), "{refused:?}");
    }
    assert_eq!(hand.facts().await, [fact(1, 1)]);
}

/// An id is unique in the group: in one unit, in one lane, in all lanes.
pub async fn an_event_id_is_unique<G: Ground>(ground: G) {
    let store = ground.handle().await;
    let (mut one, two) = (Hand::claim(&store, 1).await, Hand::claim(&store, 2).await);
    one.write(facts([fact(1, 1)])).await;
    for (hand, outbox) in [
        (&one, vec![fact(2, 1)]),
        (&two, vec![fact(1, 1)]),
        (&two, vec![fact(1, 5), fact(2, 5)]),
    ] {
        let refused = hand.refused(facts(outbox)).await;
        assert!(matches!(refused, StoreError::Refused(_)), "{refused:?}");
    }
    assert_eq!(two.facts().await, []);
}

/// Every lane counts for itself.
pub async fn lanes_count_for_themselves<G: Ground>(ground: G) {
    let store = ground.handle().await;
    for lane in 0..3_u8 {
        let mut hand = Hand::claim(&store, i32::from(lane)).await;
        hand.write(facts([fact(1, u64::from(lane))])).await;
        assert_eq!(hand.facts().await, [fact(1, u64::from(lane))]);
    }
}

/// What is published never goes back, and is recorded with the unit that says so.
pub async fn published_never_goes_back<G: Ground>(ground: G) {
    let store = ground.handle().await;
    let mut hand = Hand::claim(&store, 0).await;
    hand.write(facts([fact(1, 1), fact(2, 2), fact(3, 3)])).await;
    drop(store.begin(hand.at, 3).await.expect("begun"));
    for (said, kept) in [(2, 2), (1, 2), (0, 2), (3, 3)] {
        hand.publish(said).await;
        let claim = store.claim(&[0]).await.expect("claimed").remove(0);
        assert_eq!(claim.published, kept, "after {said}");
        hand.at = claim.at;
    }
}

/// Nobody has published what was never written.
pub async fn published_is_not_ahead<G: Ground>(ground: G) {
    let store = ground.handle().await;
    let mut hand = Hand::claim(&store, 0).await;
    let ahead = store.begin(hand.at, 1).await.err();
    assert!(matches!(ahead, Some(StoreError::Halt(_))), "{ahead:?}");
    hand.write(facts([fact(1, 1)])).await;
    let ahead = store.begin(hand.at, 2).await.err();
    assert!(matches!(ahead, Some(StoreError::Halt(_))), "{ahead:?}");
    hand.publish(1).await;
}
