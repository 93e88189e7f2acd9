//! Whose a database is.

use super::Ground;
use super::hand::{Hand, rows};
use crate::record::NextOffset;
use crate::store::{Start, Store, StoreError, TopicCount, Unusable};

/// Whether a pipeline takes what may be another's.
const ADOPTS: bool = true;

fn topic(name: &str, partitions: i32) -> TopicCount {
    TopicCount {
        topic: name.into(),
        partitions,
    }
}

/// Fresh until a unit was committed; a claim alone is nothing handled.
pub async fn fresh_until_something_is_handled<G: Ground>(ground: G) {
    let store = ground.handle().await;
    assert!(store.prepare("inventory", &[], !ADOPTS).await.expect("prepared").fresh);
    let mut hand = Hand::claim(&store, 0).await;
    drop(hand.begin().await);
    assert!(store.prepare("inventory", &[], !ADOPTS).await.expect("prepared").fresh);
    hand.write(rows([])).await;
    assert!(!store.prepare("inventory", &[], !ADOPTS).await.expect("prepared").fresh);
}

/// The identity is the database's: the same for every handle and after reopening, another for another database.
pub async fn an_identity_for_life<G: Ground>(mut ground: G) {
    let store = ground.handle().await;
    let first = store
        .prepare("inventory", &[], !ADOPTS)
        .await
        .expect("prepared")
        .instance;
    assert!(!first.is_empty());
    let again = ground
        .handle()
        .await
        .prepare("inventory", &[], !ADOPTS)
        .await
        .expect("prepared")
        .instance;
    drop(store);
    ground.reopen().await;
    let later = ground
        .handle()
        .await
        .prepare("inventory", &[], !ADOPTS)
        .await
        .expect("prepared")
        .instance;
    assert_eq!((&again, &later), (&first, &first));
    let other = G::fresh()
        .await
        .handle()
        .await
        .prepare("inventory", &[], !ADOPTS)
        .await
        .expect("prepared");
    assert_ne!(other.instance, first);
}

/// A database belongs to the first group that prepares it.
pub async fn another_group_is_refused<G: Ground>(ground: G) {
    let store = ground.handle().await;
    store
        .prepare("inventory", &[], !ADOPTS)
        .await
        .expect("the first group may");
    let refused = store
        .prepare("payment", &[], !ADOPTS)
        .await
        .expect_err("another may not");
    let StoreError::Unusable { kind, why } = refused else {
        panic!("it is sound: {refused:?}");
    };
    assert_eq!(kind, Unusable::Unfit);
    assert!(why.contains("inventory") && why.contains("payment"), "{why}");
    store
        .prepare("inventory", &[], !ADOPTS)
        .await
        .expect("it is still the first group's");
}

/// Two pipelines whose topics differ by a prefix have groups of the same name. Whoever has a topic in common with the
/// database may have others as well; whoever has none takes it over only when that is meant, and then has one in common.
pub async fn another_pipeline_is_refused<G: Ground>(ground: G) {
    let store = ground.handle().await;
    store
        .prepare("inventory", &[topic("east.orders", 2), topic("east.stock", 2)], !ADOPTS)
        .await
        .expect("the first pipeline may");
    let west = [topic("west.orders", 3), topic("west.stock", 3)];
    let refused = store
        .prepare("inventory", &west, !ADOPTS)
        .await
        .expect_err("another may not");
    let StoreError::Unusable { kind, why } = refused else {
        panic!("it is sound: {refused:?}");
    };
    assert_eq!(kind, Unusable::Unfit);
    assert!(why.contains("east.orders") && why.contains("west.orders"), "{why}");
    store
        .prepare("inventory", &[topic("stock", 2), topic("east.orders", 2)], !ADOPTS)
        .await
        .expect("one of its topics has another name");
    store.prepare("inventory", &west, ADOPTS).await.expect("it is meant");
    store.prepare("inventory", &west, !ADOPTS).await.expect("it is his now");
    let east = [topic("east.orders", 2), topic("east.stock", 2)];
    let late = store.prepare("inventory", &east, !ADOPTS).await;
    assert!(matches!(late, Err(StoreError::Unusable { .. })), "{late:?}");
}

/// Partition counts are recorded once; one that differs is refused and nothing of that call stays.
pub async fn a_grown_topic_is_refused<G: Ground>(ground: G) {
    let store = ground.handle().await;
    store
        .prepare("inventory", &[topic("a", 12)], !ADOPTS)
        .await
        .expect("recorded");
    store
        .prepare("inventory", &[topic("b", 4), topic("a", 12)], !ADOPTS)
        .await
        .expect("one more topic");
    let refused = store
        .prepare("inventory", &[topic("c", 1), topic("a", 13)], !ADOPTS)
        .await;
    let grown = StoreError::Grown {
        topic: "a".to_owned(),
        partitions: 13,
        recorded: 12,
    };
    assert_eq!(refused, Err(grown));
    store
        .prepare("inventory", &[topic("c", 2), topic("a", 12)], !ADOPTS)
        .await
        .expect("c was not recorded with 1");
}

/// More partitions are recorded when somebody says so, and fewer never; what is not recorded yet is left to be.
pub async fn more_partitions_are_taken_when_they_are_meant<G: Ground>(ground: G) {
    let store = ground.handle().await;
    let counts = [topic("a", 12), topic("b", 12)];
    store.prepare("inventory", &counts, !ADOPTS).await.expect("recorded");
    let read = Start {
        topic: "a".into(),
        at: NextOffset::at(7),
    };
    let owner = store.claim(&[0]).await.expect("claimed")[0].at.owner;
    store.start_at(owner, &[read]).await.expect("begun");
    let meant = [topic("a", 14), topic("b", 11), topic("c", 3)];
    store.grow(&meant).await.expect("recorded");
    let refused = store.prepare("inventory", &meant, !ADOPTS).await;
    let shrunk = StoreError::Grown {
        topic: "b".to_owned(),
        partitions: 11,
        recorded: 12,
    };
    assert_eq!(refused, Err(shrunk));
    let counts = [topic("a", 14), topic("b", 12), topic("c", 4)];
    store
        .prepare("inventory", &counts, !ADOPTS)
        .await
        .expect("a has grown, b is as it was, c is new");
    // What is read is read from the first record of a new partition; what is only written has no position.
    let claims = store.claim(&[11, 12, 13]).await.expect("claimed");
    let begins = claims.iter().map(|claim| {
        let of = claim.progress.iter().map(|at| (at.topic.to_string(), at.next_offset));
        of.collect::<Vec<_>>()
    });
    let from_the_start = vec![("a".to_owned(), NextOffset::at(0))];
    assert_eq!(
        begins.collect::<Vec<_>>(),
        [vec![], from_the_start.clone(), from_the_start]
    );
}
