//! What became of a unit whose commit gave no answer (rule 8).

use std::time::Duration;

use super::Ground;
use super::hand::{Hand, fact, facts, rows};
use crate::store::{Outcome, Store, StoreError, Unit};

/// Its turn is still to come, or over.
pub async fn the_turn_tells<G: Ground>(ground: G) {
    let store = ground.handle().await;
    let mut hand = Hand::claim(&store, 0).await;
    let asked = hand.at;
    assert_eq!(store.resolve(asked).await, Ok(Outcome::DidNot));
    drop(hand.begin().await);
    assert_eq!(store.resolve(asked).await, Ok(Outcome::DidNot));
    hand.write(rows([])).await;
    assert_eq!(store.resolve(asked).await, Ok(Outcome::Happened));
    hand.write(rows([])).await;
    assert_eq!(
        store.resolve(asked).await,
        Err(StoreError::Fenced { lane: 0 }),
        "two turns on"
    );
}

/// Under another's epoch nothing can be said.
pub async fn another_owner_fences_the_question<G: Ground>(ground: G) {
    let store = ground.handle().await;
    let hand = Hand::claim(&store, 0).await;
    Hand::claim(&ground.handle().await, 0).await;
    assert_eq!(store.resolve(hand.at).await, Err(StoreError::Fenced { lane: 0 }));
    let mut nobody = hand.at;
    nobody.owner.lane = 9;
    assert_eq!(store.resolve(nobody).await, Err(StoreError::Fenced { lane: 9 }));
}

/// The question waits for a unit that is still under way.
pub async fn the_question_waits<G: Ground>(ground: G) {
    for commits in [true, false] {
        let store = ground.handle().await;
        let hand = Hand::claim(&store, 0).await;
        let unit = hand.begin().await;
        let (asking, asked) = (ground.handle().await, hand.at);
        let mut question = tokio::spawn(async move { asking.resolve(asked).await });
        let early = tokio::time::timeout(Duration::from_millis(50), &mut question).await;
        assert!(early.is_err(), "the unit is not over");
        let expected = if commits {
            unit.commit().await.expect("committed");
            Outcome::Happened
        } else {
            drop(unit);
            Outcome::DidNot
        };
        assert_eq!(question.await.expect("no panic"), Ok(expected));
    }
}

/// A commit that nobody waited for is answered by the question, and the answer is true.
pub async fn a_commit_nobody_waited_for<G: Ground>(ground: G) {
    let store = ground.handle().await;
    let mut hand = Hand::claim(&store, 0).await;
    for number in 0..30 {
        let mut unit = hand.begin().await;
        let next = unit.next_sequence();
        unit.write(&facts([fact(next, number)])).await.expect("written");
        tokio::select! {
            biased;
            _ = unit.commit() => {}
            () = std::future::ready(()) => {}
        }
        let outcome = store.resolve(hand.at).await.expect("the lane is ours");
        let there = hand.facts().await.iter().any(|fact| fact.sequence == next);
        assert_eq!(there, outcome == Outcome::Happened);
        hand.at.turn += i64::from(there);
    }
    hand.write(rows([])).await;
}
