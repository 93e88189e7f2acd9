//! Which events are new (rule 2), and which dead ones come back (rule 9).

use super::Ground;
use super::hand::{Hand, NOON, arrival, dead, redriven};
use crate::store::Admission::{Conflict, Duplicate, New, NotDead, Redriven, TooOld};
use crate::store::{Admission, Arrival, Retention, Store, StoreError, Unit};

/// New once, then a duplicate; the same id with other bytes is a conflict and overwrites nothing.
pub async fn an_event_is_new_once<G: Ground>(ground: G) {
    let mut hand = Hand::claim(&ground.handle().await, 0).await;
    assert_eq!(hand.admit(&[arrival(1, 1)]).await, [New]);
    assert_eq!(hand.admit(&[arrival(1, 1), arrival(2, 1)]).await, [Duplicate, New]);
    assert_eq!(hand.admit(&[arrival(1, 2)]).await, [Conflict]);
    assert_eq!(hand.admit(&[arrival(1, 1), arrival(1, 2)]).await, [Duplicate, Conflict]);
}

/// The inbox is the group's: an event that came through one lane is known in all.
pub async fn an_event_is_new_in_one_lane<G: Ground>(ground: G) {
    let store = ground.handle().await;
    assert_eq!(Hand::claim(&store, 0).await.admit(&[arrival(1, 1)]).await, [New]);
    assert_eq!(Hand::claim(&store, 1).await.admit(&[arrival(1, 1)]).await, [Duplicate]);
}

/// Let in by two lanes side by side it is new in one of them, whichever; the other may have to do its unit again for it.
pub async fn an_event_is_new_in_one_of_two_lanes_at_once<G: Ground>(ground: G) {
    let [here, there] = [ground.handle().await, ground.handle().await];
    for (numbers, other) in [(0..20, &here), (20..40, &there)] {
        let (mut one, mut two) = (Hand::claim(&here, 0).await, Hand::claim(other, 1).await);
        for number in numbers {
            let (one, two) = tokio::join!(let_in(&mut one, number), let_in(&mut two, number));
            let said = [one, two];
            assert!(
                said == [New, Duplicate] || said == [Duplicate, New],
                "{number}: {said:?}"
            );
        }
    }
}

/// What is said of an event in a unit that is durable.
async fn let_in<S: Store>(hand: &mut Hand<S>, number: u64) -> Admission {
    let once = async || {
        let mut unit = hand.store.begin(hand.at, 0).await?;
        let said = unit.admit(&[], &[arrival(number, 1)]).await?;
        unit.commit().await.map(|()| said[0])
    };
    loop {
        match once().await {
            Ok(said) => {
                hand.at.turn += 1;
                return said;
            }
            Err(StoreError::Stale { .. } | StoreError::Undone) => {}
            Err(error) => panic!("{error}"),
        }
    }
}

/// Within one batch, in whatever order the ids are: the first of an id is new.
pub async fn twice_in_one_batch<G: Ground>(ground: G) {
    let mut hand = Hand::claim(&ground.handle().await, 0).await;
    let batch = [(9, 1), (3, 1), (9, 1), (9, 2), (1, 1), (3, 1)].map(|(number, bytes)| arrival(number, bytes));
    assert_eq!(
        hand.admit(&batch).await,
        [New, New, Duplicate, Conflict, New, Duplicate]
    );
    assert_eq!(
        hand.admit(&[arrival(9, 2)]).await,
        [Conflict],
        "the first bytes are the ones kept"
    );
}

/// Nothing is let in by a unit that was dropped.
pub async fn a_dropped_unit_lets_nothing_in<G: Ground>(ground: G) {
    let mut hand = Hand::claim(&ground.handle().await, 0).await;
    let mut unit = hand.begin().await;
    unit.admit(&[], &[arrival(1, 1)]).await.expect("admitted");
    drop(unit);
    assert_eq!(hand.admit(&[arrival(1, 1)]).await, [New]);
}

/// A dead event is known: no repetition of it is new.
pub async fn a_dead_event_is_known<G: Ground>(ground: G) {
    let mut hand = Hand::claim(&ground.handle().await, 0).await;
    let mut unit = hand.begin().await;
    unit.admit(&[], &[arrival(1, 1)]).await.expect("admitted");
    unit.write(&dead(arrival(1, 1)))
        .await
        .expect("buried in the unit that let it in");
    hand.commit(unit).await;
    assert_eq!(hand.admit(&[arrival(1, 1), arrival(1, 2)]).await, [Duplicate, Conflict]);
    assert_eq!(hand.admit(&[redriven(arrival(1, 1))]).await, [Redriven]);
}

/// A dead event comes back once, from the redrive topic only.
pub async fn a_dead_event_comes_back_once<G: Ground>(ground: G) {
    let mut hand = Hand::claim(&ground.handle().await, 0).await;
    hand.write(dead(arrival(1, 1))).await;
    let again = redriven(arrival(1, 1));
    assert_eq!(hand.admit(&[again, again]).await, [Redriven, NotDead]);
    assert_eq!(hand.admit(&[again]).await, [NotDead]);
    assert_eq!(hand.admit(&[arrival(1, 1)]).await, [Duplicate]);
    hand.write(dead(arrival(1, 1))).await;
    assert_eq!(
        hand.admit(&[again]).await,
        [Redriven],
        "refused again, it may come back again"
    );
}

/// A redrive that was dropped can be done again.
pub async fn a_dropped_redrive_never_was<G: Ground>(ground: G) {
    let mut hand = Hand::claim(&ground.handle().await, 0).await;
    hand.write(dead(arrival(1, 1))).await;
    let again = redriven(arrival(1, 1));
    let mut unit = hand.begin().await;
    assert_eq!(unit.admit(&[], &[again]).await, Ok(vec![Redriven]));
    drop(unit);
    assert_eq!(hand.admit(&[again]).await, [Redriven]);
}

/// A redriven event of other bytes is not the one that died.
pub async fn a_redriven_conflict<G: Ground>(ground: G) {
    let mut hand = Hand::claim(&ground.handle().await, 0).await;
    hand.write(dead(arrival(1, 1))).await;
    assert_eq!(hand.admit(&[redriven(arrival(1, 2))]).await, [Conflict]);
    assert_eq!(
        hand.admit(&[redriven(arrival(1, 1))]).await,
        [Redriven],
        "it is still dead"
    );
}

/// A record that could not be read when it was refused died under an id made from its origin; it comes back under its own.
pub async fn a_redriven_event_whose_id_can_be_read_now<G: Ground>(ground: G) {
    let mut hand = Hand::claim(&ground.handle().await, 0).await;
    hand.write(dead(arrival(7, 1))).await;
    let readable = Arrival {
        redriven: Some(arrival(7, 1).id),
        ..arrival(1, 1)
    };
    assert_eq!(hand.admit(&[readable]).await, [Redriven]);
    assert_eq!(hand.admit(&[readable]).await, [NotDead], "once");
    assert_eq!(hand.admit(&[arrival(1, 1)]).await, [Duplicate]);
}

/// If its event has come in another record meanwhile, that one counts.
pub async fn a_redriven_event_that_came_otherwise_meanwhile<G: Ground>(ground: G) {
    let mut hand = Hand::claim(&ground.handle().await, 0).await;
    hand.write(dead(arrival(7, 1))).await;
    assert_eq!(hand.admit(&[arrival(1, 1)]).await, [New]);
    let readable = Arrival {
        redriven: Some(arrival(7, 1).id),
        ..arrival(1, 1)
    };
    assert_eq!(hand.admit(&[readable]).await, [Duplicate]);
}

/// What never died does not come back, and leaves no row.
pub async fn what_is_not_dead_is_not_redriven<G: Ground>(ground: G) {
    let mut hand = Hand::claim(&ground.handle().await, 0).await;
    assert_eq!(hand.admit(&[redriven(arrival(1, 1))]).await, [NotDead]);
    assert_eq!(hand.admit(&[arrival(1, 1)]).await, [New]);
    assert_eq!(hand.admit(&[redriven(arrival(1, 1))]).await, [NotDead]);
}

/// Burying a conflict does not touch the event whose id it bears.
pub async fn a_buried_conflict_overwrites_nothing<G: Ground>(ground: G) {
    let mut hand = Hand::claim(&ground.handle().await, 0).await;
    assert_eq!(hand.admit(&[arrival(1, 1)]).await, [New]);
    hand.write(dead(arrival(1, 2))).await;
    assert_eq!(hand.admit(&[redriven(arrival(1, 2))]).await, [NotDead]);
    assert_eq!(hand.admit(&[arrival(1, 1), arrival(1, 2)]).await, [Duplicate, Conflict]);
}

/// From before the horizon nothing is new; its row is in all the same.
pub async fn before_the_horizon_nothing_is_new<G: Ground>(ground: G) {
    let store = ground.handle().await;
    let mut hand = Hand::claim(&store, 0).await;
    assert_eq!(hand.admit(&[arrival(1, 1)]).await, [New]);
    let horizon = Retention {
        inbox_horizon: NOON + 1,
        outbox_before: 0,
        limit: 10,
    };
    store.retain(horizon).await.expect("raised");
    let at_the_horizon = Arrival {
        event_time: NOON + 1,
        ..arrival(3, 1)
    };
    let batch = [arrival(1, 1), arrival(2, 1), at_the_horizon];
    assert_eq!(hand.admit(&batch).await, [Duplicate, TooOld, New]);
    assert_eq!(hand.admit(&[arrival(2, 1)]).await, [Duplicate]);
    assert_eq!(hand.admit(&[redriven(arrival(2, 1))]).await, [NotDead]);
}
