//! What may go, and what must not.

use std::time::SystemTime;

use super::Ground;
use super::hand::{Hand, NOON, arrival, dead, fact, facts, redriven};
use crate::store::Admission::{Conflict, Duplicate, New, Redriven, TooOld};
use crate::store::{Arrival, Retention, Store, Writes};

const DAY: i64 = 86_400_000;

/// After everything that the cases handle now.
fn tomorrow() -> i64 {
    let since = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .expect("after 1970");
    i64::try_from(since.as_millis()).expect("before the year 292 million") + DAY
}

fn inbox(inbox_horizon: i64, limit: u32) -> Retention {
    Retention {
        inbox_horizon,
        outbox_before: i64::MIN,
        limit,
    }
}

fn outbox(outbox_before: i64, limit: u32) -> Retention {
    Retention {
        inbox_horizon: i64::MIN,
        outbox_before,
        limit,
    }
}

/// An event goes when its time and its handling both lie before the horizon, unless it is dead.
pub async fn events_go_by_both_times<G: Ground>(ground: G) {
    let store = ground.handle().await;
    let mut hand = Hand::claim(&store, 0).await;
    let from_the_future = Arrival {
        event_time: tomorrow() + DAY,
        ..arrival(2, 1)
    };
    assert_eq!(hand.admit(&[arrival(1, 1), from_the_future]).await, [New, New]);
    hand.write(dead(arrival(3, 1))).await;
    assert_eq!(
        store.retain(inbox(NOON + 1, 10)).await,
        Ok(0),
        "handled after the horizon"
    );
    assert_eq!(hand.admit(&[arrival(1, 1)]).await, [Duplicate]);
    assert_eq!(store.retain(inbox(tomorrow(), 10)).await, Ok(1));
    assert_eq!(
        hand.admit(&[arrival(1, 1)]).await,
        [TooOld],
        "forgotten, and not taken for new"
    );
    assert_eq!(
        hand.admit(&[from_the_future, arrival(3, 2)]).await,
        [Duplicate, Conflict]
    );
    assert_eq!(hand.admit(&[redriven(arrival(3, 1))]).await, [Redriven]);
}

/// The horizon only rises.
pub async fn the_horizon_never_falls<G: Ground>(mut ground: G) {
    let store = ground.handle().await;
    store.retain(inbox(NOON + 1, 10)).await.expect("raised");
    store.retain(inbox(NOON - DAY, 10)).await.expect("left");
    drop(store);
    ground.reopen().await;
    let mut hand = Hand::claim(&ground.handle().await, 0).await;
    assert_eq!(hand.admit(&[arrival(1, 1)]).await, [TooOld]);
}

/// So many rows at a time, until none is left.
pub async fn a_little_at_a_time<G: Ground>(ground: G) {
    let store = ground.handle().await;
    let mut hand = Hand::claim(&store, 0).await;
    let batch: Vec<_> = (0..5).map(|number| arrival(number, 1)).collect();
    hand.admit(&batch).await;
    let mut gone = Vec::new();
    for _ in 0..4 {
        gone.push(store.retain(inbox(tomorrow(), 2)).await.expect("deleted"));
    }
    assert_eq!(gone, [2, 2, 1, 0]);
}

/// A fact goes when it is published and was written before the time given; its sequence does not come back.
pub async fn facts_go_when_published_and_old<G: Ground>(ground: G) {
    let store = ground.handle().await;
    let mut hand = Hand::claim(&store, 0).await;
    hand.write(facts([fact(1, 1), fact(2, 2)])).await;
    let later = Writes {
        now: NOON + DAY,
        ..facts([fact(3, 3), fact(4, 4)])
    };
    hand.write(later).await;
    assert_eq!(store.retain(outbox(NOON + 1, 10)).await, Ok(0), "none is published");
    hand.publish(3).await;
    assert_eq!(store.retain(outbox(NOON, 10)).await, Ok(0), "none is old");
    assert_eq!(store.retain(outbox(NOON + 1, 1)).await, Ok(1));
    assert_eq!(store.retain(outbox(NOON + 1, 10)).await, Ok(1));
    assert_eq!(hand.facts().await, [fact(3, 3), fact(4, 4)]);
    assert_eq!(
        store.retain(outbox(i64::MAX, 10)).await,
        Ok(1),
        "the last is not published"
    );
    assert_eq!(hand.facts().await, [fact(4, 4)]);
    hand.write(facts([fact(5, 5)])).await;
}
