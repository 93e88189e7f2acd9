//! All of a unit or nothing of it.

use super::Ground;
use super::hand::{Hand, SHELF, TOPIC, arrival, effect, fact, key, moved, row, rows, timer};
use crate::record::NextOffset;
use crate::store::{Admission, Counts, Flood, Lane, Store, Turn, Unit, Writes};

/// Something of every kind.
fn everything(lane: Lane) -> Writes {
    Writes {
        outbox: vec![fact(1, 11)],
        effects: vec![effect(12, lane, 5)],
        timers: vec![timer(13, lane, 5)],
        flood: Some(Flood {
            run: 1,
            records: 1,
            dead: 1,
        }),
        counts: vec![(
            TOPIC.into(),
            Counts {
                applied: 1,
                ..Counts::default()
            },
        )],
        ..rows([row(SHELF, "a", 0, "1")])
    }
}

async fn do_everything<S: Store>(hand: &Hand<S>) -> S::Unit {
    let mut unit = hand.begin().await;
    let admissions = unit.admit(&[moved(TOPIC, 0, 1)], &[arrival(1, 1)]).await;
    assert_eq!(admissions.expect("admitted"), [Admission::New]);
    unit.write(&everything(hand.at.owner.lane)).await.expect("written");
    unit
}

/// A dropped unit leaves no trace: not even its turn.
pub async fn what_is_dropped_never_was<G: Ground>(ground: G) {
    let store = ground.handle().await;
    let mut hand = Hand::start(&store, 0).await;
    drop(do_everything(&hand).await);
    let before = hand.at;
    let claim = store.claim(&[0]).await.expect("claimed").remove(0);
    assert_eq!((claim.at.turn, claim.next_sequence), (before.turn, 1));
    assert_eq!(claim.flood, Flood::default());
    assert_eq!(claim.progress[0].next_offset, NextOffset::START);
    assert_eq!(claim.progress[0].counts, Counts::default());
    hand.at = claim.at;
    assert_eq!(hand.facts().await, []);
    assert_eq!(store.effects(0, 10).await.expect("read"), []);
    assert_eq!(store.timers(0, 10).await.expect("read"), []);
    assert_eq!(hand.load(&[key(SHELF, "a")]).await[0].version, 0);
    // All of it can be done as if for the first time.
    let unit = do_everything(&hand).await;
    hand.commit(unit).await;
}

/// What was committed is there for whoever opens the database next.
pub async fn what_is_committed_stays<G: Ground>(mut ground: G) {
    let store = ground.handle().await;
    let mut hand = Hand::start(&store, 0).await;
    let unit = do_everything(&hand).await;
    hand.commit(unit).await;
    let Turn { turn, .. } = hand.at;
    drop((store, hand));
    ground.reopen().await;

    let store = ground.handle().await;
    let claim = store.claim(&[0]).await.expect("claimed").remove(0);
    assert_eq!((claim.at.turn, claim.next_sequence), (turn, 2));
    assert_eq!(
        (claim.progress[0].next_offset, claim.progress[0].counts.applied),
        (NextOffset::at(1), 1)
    );
    assert_eq!(claim.flood.run, 1);
    let mut hand = Hand::claim(&store, 0).await;
    assert_eq!(hand.facts().await, [fact(1, 11)]);
    assert_eq!(store.effects(0, 10).await.expect("read"), [effect(12, 0, 5)]);
    assert_eq!(store.timers(0, 10).await.expect("read"), [timer(13, 0, 5)]);
    assert_eq!(hand.load(&[key(SHELF, "a")]).await, [row(SHELF, "a", 1, "1")]);
    assert_eq!(hand.admit(&[arrival(1, 1)]).await, [Admission::Duplicate]);
}

/// What is under way is seen by nobody else.
pub async fn nothing_shows_before_the_commit<G: Ground>(ground: G) {
    let (store, other) = (ground.handle().await, ground.handle().await);
    let mut hand = Hand::start(&store, 0).await;
    let unit = do_everything(&hand).await;
    assert_eq!(other.outbox(0, 0, 10).await.expect("read"), []);
    assert_eq!(other.effects(0, 10).await.expect("read"), []);
    assert_eq!(other.timers(0, 10).await.expect("read"), []);
    hand.commit(unit).await;
    assert_eq!(other.outbox(0, 0, 10).await.expect("read").len(), 1);
    assert_eq!(other.effects(0, 10).await.expect("read").len(), 1);
    assert_eq!(other.timers(0, 10).await.expect("read").len(), 1);
}

/// After an error a unit can only be dropped: neither more work nor its commit is taken.
pub async fn an_error_ends_a_unit<G: Ground>(ground: G) {
    let store = ground.handle().await;
    let mut hand = Hand::start(&store, 0).await;
    let mut unit = hand.begin().await;
    unit.write(&rows([row(SHELF, "a", 0, "1")])).await.expect("written");
    unit.write(&rows([row(SHELF, "b", 3, "1")]))
        .await
        .expect_err("there is no b");
    unit.write(&rows([row(SHELF, "c", 0, "1")]))
        .await
        .expect_err("the unit is over");
    unit.commit().await.expect_err("the unit is over");
    let keys = ["a", "b", "c"].map(|name| key(SHELF, name));
    let versions: Vec<_> = hand.load(&keys).await.iter().map(|row| row.version).collect();
    assert_eq!(versions, [0, 0, 0]);
    hand.write(rows([row(SHELF, "a", 0, "1")])).await;
}
