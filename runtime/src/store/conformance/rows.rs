//! The rows of the service: loaded, compared, written (rule 15).

use std::time::Duration;

use super::Ground;
use super::hand::{BIN, Hand, SHELF, UNTOLD, fact, key, row, rows};
use crate::rows::{RowKey, StoredRow};
use crate::store::{Store, StoreError, Turn, Unit, Writes};

/// Absent is version 0 without a body; each write raises the version by one.
pub async fn a_row_counts_its_writes<G: Ground>(ground: G) {
    let mut hand = Hand::claim(&ground.handle().await, 0).await;
    let absent = StoredRow {
        key: key(SHELF, "a"),
        version: 0,
        body: None,
    };
    assert_eq!(hand.load(&[key(SHELF, "a")]).await, [absent]);
    for version in 0..3 {
        let body = format!("{{\"written\": {version}}}");
        hand.write(rows([row(SHELF, "a", version, &body)])).await;
        assert_eq!(
            hand.load(&[key(SHELF, "a")]).await,
            [row(SHELF, "a", version + 1, &body)]
        );
    }
}

/// Rows come back in the order asked for, whatever their keys; entities are apart.
pub async fn rows_are_apart_by_entity_and_key<G: Ground>(ground: G) {
    let mut hand = Hand::claim(&ground.handle().await, 0).await;
    let long = "k".repeat(1_000);
    let names = ["", " ", "A", "a", "a ", "é", "\u{1f4e6}", "'; --", long.as_str()];
    let written: Vec<_> = names
        .iter()
        .map(|name| row(SHELF, name, 0, &format!("{:?}", name.len())))
        .collect();
    hand.write(rows(written)).await;
    let mut keys: Vec<RowKey> = names.iter().map(|name| key(SHELF, name)).collect();
    keys.push(key(BIN, "a"));
    let loaded = hand.load(&keys).await;
    for (loaded, name) in loaded.iter().zip(names) {
        assert_eq!(loaded, &row(SHELF, name, 1, &format!("{:?}", name.len())));
    }
    assert_eq!((loaded.len(), loaded[names.len()].version), (names.len() + 1, 0));
}

/// A row at another version than the one loaded refuses the write and the whole unit.
pub async fn a_stale_row_refuses_the_unit<G: Ground>(ground: G) {
    let mut hand = Hand::claim(&ground.handle().await, 0).await;
    hand.write(rows([row(SHELF, "a", 0, "1")])).await;
    hand.write(rows([row(SHELF, "a", 1, "2")])).await;
    let stale = StoreError::Stale {
        entity: "shelf".to_owned(),
    };
    for version in [0, 1, 3] {
        let writes = rows([row(SHELF, "Z", 0, "0"), row(SHELF, "a", version, "9")]);
        assert_eq!(hand.refused(writes).await, stale, "version {version}");
    }
    assert_eq!(
        hand.refused(rows([row(SHELF, "b", 1, "9")])).await,
        stale,
        "there is no b"
    );
    let keys = ["Z", "a", "b"].map(|name| key(SHELF, name));
    let versions: Vec<_> = hand.load(&keys).await.iter().map(|row| row.version).collect();
    assert_eq!(versions, [0, 2, 0]);
}

/// Rows that several lanes write at once lose no update, from their first write on.
pub async fn shared_rows_lose_no_update<G: Ground>(ground: G) {
    const LANES: i32 = 4;
    const TIMES: i64 = 20;
    let mut lanes = Vec::new();
    for lane in 0..LANES {
        let hand = Hand::claim(&ground.handle().await, lane).await;
        lanes.push(tokio::spawn(count_up(hand, TIMES)));
    }
    for lane in lanes {
        lane.await.expect("no panic");
    }
    let hand = Hand::claim(&ground.handle().await, 99).await;
    let total = i64::from(LANES) * TIMES;
    let counted = hand.load(&[key(SHELF, "shared"), key(BIN, "shared")]).await;
    assert_eq!(
        counted,
        [SHELF, BIN].map(|entity| row(entity, "shared", total, &total.to_string()))
    );
}

/// Adds one to two shared rows in every unit; what is stale is loaded and decided again.
async fn count_up<S: Store>(mut hand: Hand<S>, times: i64) {
    let keys = [key(SHELF, "shared"), key(BIN, "shared")];
    for _ in 0..times {
        loop {
            let mut unit = hand.begin().await;
            let mut loaded = unit.load(&keys).await.expect("loaded");
            tokio::task::yield_now().await;
            for row in &mut loaded {
                row.body = Some((row.version + 1).to_string().into());
            }
            match unit.write(&rows(loaded)).await {
                Ok(()) => break hand.commit(unit).await,
                Err(error) => assert!(matches!(error, StoreError::Stale { .. }), "{error:?}"),
            }
        }
    }
}

/// Rows that several lanes write though nobody said so cost waiting and repetition, and no update.
pub async fn rows_not_said_to_be_shared_lose_no_update<G: Ground>(ground: G) {
    const LANES: i32 = 4;
    const TIMES: i64 = 10;
    let stores = [ground.handle().await, ground.handle().await];
    let mut lanes = Vec::new();
    for (lane, store) in (0..LANES).zip(stores.iter().cycle()) {
        let mut hand = Hand::claim(store, lane).await;
        lanes.push(tokio::spawn(async move {
            for number in 0..TIMES {
                add_one_patiently(&mut hand, &format!("made by all {number}")).await;
            }
        }));
    }
    for lane in lanes {
        lane.await.expect("no panic");
    }
    let hand = Hand::claim(&stores[0], 99).await;
    for number in 0..TIMES {
        let counted = hand.load(&[key(UNTOLD, &format!("made by all {number}"))]).await;
        assert_eq!(counted[0].version, i64::from(LANES), "{counted:?}");
    }
}

/// Adds one to a row, again after a wait that grows, and is another for each lane.
async fn add_one_patiently<S: Store>(hand: &mut Hand<S>, name: &str) {
    let key = [key(UNTOLD, name)];
    let added = async || {
        let mut unit = hand.store.begin(hand.at, 0).await?;
        let mut loaded = unit.load(&key).await?;
        loaded[0].body = Some((loaded[0].version + 1).to_string().into());
        unit.write(&rows(loaded)).await?;
        unit.commit().await
    };
    let mut wait = Duration::from_millis(1 + u64::from(hand.at.owner.lane.unsigned_abs()));
    while let Err(error) = added().await {
        let passes = matches!(
            error,
            StoreError::Stale { .. } | StoreError::Undone | StoreError::Unavailable(_)
        );
        assert!(passes, "{error:?}");
        tokio::time::sleep(wait).await;
        wait *= 2;
    }
    hand.at.turn += 1;
}

/// What the database will never take is said to be so, and harms nothing else.
pub async fn what_is_refused_for_good<G: Ground>(ground: G) {
    let store = ground.handle().await;
    let mut hand = Hand::claim(&store, 0).await;
    hand.write(Writes {
        outbox: vec![fact(1, 1)],
        ..Writes::default()
    })
    .await;
    let again = Writes {
        outbox: vec![fact(2, 1)],
        ..rows([row(SHELF, "a", 0, "1")])
    };
    let refused = hand.refused(again).await;
    assert!(
        matches!(refused, StoreError::Refused(_)),
        "an event id is unique: {refused:?}"
    );
    let Turn { turn, .. } = hand.at;
    hand.write(rows([row(SHELF, "a", 0, "1")])).await;
    assert_eq!(hand.at.turn, turn + 1);
}
