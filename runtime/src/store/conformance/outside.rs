//! Effects (rule 10) and timers (rule 11).

use super::Ground;
use super::hand::{Hand, NOON, effect, effects, id, timer, timers};
use crate::store::{Answer, Attempt, EffectRow, EffectState, Store, StoreError, Unit, Writes};

fn answer(number: u64) -> Answer {
    Answer {
        effect: id(number),
        answer: b"yes".to_vec(),
    }
}

async fn answered<S: Store>(hand: &mut Hand<S>, numbers: &[u64]) -> Vec<bool> {
    let answers: Vec<_> = numbers.iter().copied().map(answer).collect();
    let mut unit = hand.begin().await;
    let taken = unit.answer(&answers).await.expect("answers are judged");
    hand.commit(unit).await;
    taken
}

async fn fired<S: Store>(hand: &mut Hand<S>, numbers: &[u64]) -> Vec<bool> {
    let ids: Vec<_> = numbers.iter().copied().map(id).collect();
    let mut unit = hand.begin().await;
    let fired = unit.fire(&ids).await.expect("timers are judged");
    hand.commit(unit).await;
    fired
}

async fn open<S: Store>(hand: &Hand<S>) -> Vec<EffectRow> {
    hand.store.effects(hand.at.owner.lane, 100).await.expect("read")
}

/// A call without an answer, after which the effect stands as said.
fn attempt(number: u64, attempts: u32, (due, state): (i64, EffectState)) -> Writes {
    let attempt = Attempt {
        effect: id(number),
        attempts,
        due,
        state,
        error: "timed out".to_owned(),
    };
    Writes {
        now: NOON,
        attempts: vec![attempt],
        ..Writes::default()
    }
}

/// Earliest due first, the lane's own, no more than asked for, with everything that was written.
pub async fn effects_come_earliest_first<G: Ground>(ground: G) {
    let store = ground.handle().await;
    let mut hand = Hand::claim(&store, 0).await;
    let mut bare = effect(4, 0, NOON);
    bare.traceparent = None;
    hand.write(effects([effect(1, 0, NOON + 9), effect(2, 0, NOON - 9), bare.clone()]))
        .await;
    Hand::claim(&store, 1).await.write(effects([effect(3, 1, NOON)])).await;
    assert_eq!(
        open(&hand).await,
        [effect(2, 0, NOON - 9), bare.clone(), effect(1, 0, NOON + 9)]
    );
    assert_eq!(store.effects(0, 2).await.expect("read"), [effect(2, 0, NOON - 9), bare]);
}

/// One answer is taken, whoever repeats it, in the same unit or later.
pub async fn an_effect_is_answered_once<G: Ground>(ground: G) {
    let mut hand = Hand::claim(&ground.handle().await, 0).await;
    hand.write(effects([effect(1, 0, NOON), effect(2, 0, NOON)])).await;
    assert_eq!(answered(&mut hand, &[1, 7, 1]).await, [true, false, false]);
    assert_eq!(answered(&mut hand, &[2, 1]).await, [true, false]);
    assert_eq!(open(&hand).await, []);
}

/// An answer in a unit that was dropped was not taken.
pub async fn a_dropped_answer_never_was<G: Ground>(ground: G) {
    let mut hand = Hand::claim(&ground.handle().await, 0).await;
    hand.write(effects([effect(1, 0, NOON)])).await;
    let mut unit = hand.begin().await;
    assert_eq!(unit.answer(&[answer(1)]).await, Ok(vec![true]));
    drop(unit);
    assert_eq!(open(&hand).await.len(), 1);
    assert_eq!(answered(&mut hand, &[1]).await, [true]);
}

/// A call without an answer is recorded; the effect stays open, and its answer is taken when it comes after all.
pub async fn an_attempt_leaves_the_effect_open<G: Ground>(ground: G) {
    let mut hand = Hand::claim(&ground.handle().await, 0).await;
    hand.write(effects([effect(1, 0, NOON)])).await;
    hand.write(attempt(1, 1, (NOON + 50, EffectState::Pending))).await;
    let (due, attempts) = (NOON + 50, 1);
    assert_eq!(
        open(&hand).await,
        [EffectRow {
            due,
            attempts,
            ..effect(1, 0, NOON)
        }]
    );
    hand.write(attempt(1, 2, (NOON + 60, EffectState::Unknown))).await;
    let stands = open(&hand).await.remove(0);
    assert_eq!(
        (stands.attempts, stands.due, stands.state),
        (2, NOON + 60, EffectState::Unknown)
    );
    assert_eq!(answered(&mut hand, &[1]).await, [true]);
}

/// An attempt that comes after the answer does not open the effect again.
pub async fn an_answer_is_final<G: Ground>(ground: G) {
    let mut hand = Hand::claim(&ground.handle().await, 0).await;
    hand.write(effects([effect(1, 0, NOON)])).await;
    assert_eq!(answered(&mut hand, &[1]).await, [true]);
    hand.write(attempt(1, 2, (NOON, EffectState::Pending))).await;
    assert_eq!(open(&hand).await, []);
    assert_eq!(answered(&mut hand, &[1]).await, [false]);
}

/// Another lane's effects and timers are not touched: their lane's turn would not know.
pub async fn a_lane_touches_its_own<G: Ground>(ground: G) {
    let store = ground.handle().await;
    let (mut own, mut other) = (Hand::claim(&store, 0).await, Hand::claim(&store, 1).await);
    own.write(effects([effect(1, 0, NOON)])).await;
    own.write(timers([timer(2, 0, NOON)])).await;
    assert_eq!(answered(&mut other, &[1]).await, [false]);
    assert_eq!(fired(&mut other, &[2]).await, [false]);
    other.write(attempt(1, 9, (0, EffectState::Unknown))).await;
    assert_eq!(open(&own).await, [effect(1, 0, NOON)]);
    assert_eq!(fired(&mut own, &[2]).await, [true]);
}

/// Earliest due first, the lane's own, no more than asked for.
pub async fn timers_come_earliest_first<G: Ground>(ground: G) {
    let store = ground.handle().await;
    let mut hand = Hand::claim(&store, 0).await;
    hand.write(timers([timer(1, 0, 30), timer(2, 0, -10), timer(3, 0, 20)]))
        .await;
    Hand::claim(&store, 1).await.write(timers([timer(4, 1, 0)])).await;
    let all = [timer(2, 0, -10), timer(3, 0, 20), timer(1, 0, 30)];
    assert_eq!(store.timers(0, 10).await.expect("read"), all);
    assert_eq!(store.timers(0, 2).await.expect("read"), all[..2]);
}

/// A timer fires once, and not at all in a unit that was dropped.
pub async fn a_timer_fires_once<G: Ground>(ground: G) {
    let store = ground.handle().await;
    let mut hand = Hand::claim(&store, 0).await;
    hand.write(timers([timer(1, 0, NOON), timer(2, 0, NOON)])).await;
    let mut unit = hand.begin().await;
    assert_eq!(unit.fire(&[id(1)]).await, Ok(vec![true]));
    drop(unit);
    assert_eq!(store.timers(0, 10).await.expect("read").len(), 2);
    assert_eq!(fired(&mut hand, &[1, 9, 1]).await, [true, false, false]);
    assert_eq!(fired(&mut hand, &[1]).await, [false]);
    assert_eq!(store.timers(0, 10).await.expect("read"), [timer(2, 0, NOON)]);
}

/// Two effects or two timers of one id are a slip, and loud.
pub async fn ids_are_unique<G: Ground>(ground: G) {
    let mut hand = Hand::claim(&ground.handle().await, 0).await;
    hand.write(effects([effect(1, 0, NOON)])).await;
    hand.write(timers([timer(1, 0, NOON)])).await;
    assert_eq!(answered(&mut hand, &[1]).await, [true]);
    for again in [effects([effect(1, 0, 7)]), timers([timer(1, 0, 7)])] {
        let refused = hand.refused(again).await;
        assert!(matches!(refused, StoreError::Refused(_)), "{refused:?}");
    }
}
