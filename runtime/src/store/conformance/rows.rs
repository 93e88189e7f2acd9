//! The rows of the service: loaded, compared, written (rule 15).

use super::Ground;
use super::hand::{BIN, Hand, SHELF, fact, key, row, rows};
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
