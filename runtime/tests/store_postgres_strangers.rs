//! What somebody else writes into a service's tables while a unit is under way is found, and overwritten by nobody.

mod postgres;

use std::time::{Duration, Instant};

use orderflow_runtime::rows::{Entity, RowKey, StoredRow};
use orderflow_runtime::store::postgres::{PostgresOptions, PostgresStore, PostgresUnit};
use orderflow_runtime::store::{Admission, Arrival, Store, StoreError, Turn, Unit, Writes};
use uuid::Uuid;

use self::postgres::{Schema, ask, connect};

const SHELF: Entity<u64> = Entity::shared("shelf", 1);

/// How soon a statement has to be seen waiting.
const SEEN: Duration = Duration::from_secs(30);

async fn started(schema: &Schema) -> (PostgresStore, Turn) {
    let store = PostgresStore::open(schema.address(), PostgresOptions::default()).await;
    let store = store.expect("the database opens");
    let at = store.claim(&[0]).await.expect("claimed").remove(0).at;
    (store, at)
}

async fn load(unit: &mut PostgresUnit) -> StoredRow {
    let rows = unit.load(&[RowKey::new(SHELF, "a")]).await;
    rows.expect("loaded").remove(0)
}

/// Writes over what was loaded, and commits.
async fn write(mut unit: PostgresUnit, mut row: StoredRow, body: &str) -> Result<(), StoreError> {
    row.body = Some(body.into());
    let writes = Writes {
        rows: vec![row],
        ..Writes::default()
    };
    unit.write(&writes).await?;
    unit.commit().await
}

fn stale(entity: &str) -> StoreError {
    let entity = entity.to_owned();
    StoreError::Stale { entity }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL; run by ./tests/run"]
async fn a_shared_row_that_changed_since_it_was_loaded_is_loaded_again() {
    let schema = Schema::fresh();
    let (store, mut at) = started(&schema).await;
    let mut unit = store.begin(at, 0).await.expect("begun");
    let absent = load(&mut unit).await;
    assert_eq!(write(unit, absent, "1").await, Ok(()));
    at.turn += 1;
    let by_hand = [
        (
            "UPDATE SCHEMA.state SET version = version + 1, body = '9'",
            (2, Some("9")),
        ),
        ("UPDATE SCHEMA.state SET version = 1, body = '8'", (1, Some("8"))),
        ("DELETE FROM SCHEMA.state", (0, None)),
    ];
    for (sql, left) in by_hand {
        let mut unit = store.begin(at, 0).await.expect("begun");
        let loaded = load(&mut unit).await;
        schema.run(sql).await;
        assert_eq!(write(unit, loaded, "2").await, Err(stale("shelf")), "{sql}");

        let mut unit = store.begin(at, 0).await.expect("begun again");
        let found = load(&mut unit).await;
        assert_eq!((found.version, found.body.as_deref()), left, "{sql}");
        assert_eq!(write(unit, found, "3").await, Ok(()), "{sql}");
        at.turn += 1;
        let now = format!(
            "SELECT version FROM {}.state WHERE key = 'a' AND body = '3'",
            schema.name()
        );
        assert_eq!(ask(&schema.url(), &now).await, left.0 + 1, "{sql}");
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL; run by ./tests/run"]
async fn an_event_that_comes_in_elsewhere_meanwhile_is_a_duplicate() {
    let schema = Schema::fresh();
    let (store, at) = started(&schema).await;
    let arrival = Arrival {
        id: Uuid::from_u128(7),
        hash: [0; 16],
        event_time: 1,
        redriven: None,
    };
    let stranger = connect(&schema.url()).await;
    let hash = "00".repeat(16);
    let entering = format!(
        "BEGIN; INSERT INTO {}.inbox VALUES ('{}', 1, 1, 0, '\\x{hash}')",
        schema.name(),
        arrival.id
    );
    stranger.batch_execute(&entering).await.expect("let in");
    let admitting = tokio::spawn({
        let store = store.clone();
        async move { store.begin(at, 0).await?.admit(&[], &[arrival]).await }
    });
    let waiting = format!(
        "SELECT count(*) FROM pg_locks WHERE NOT granted AND pid IN \
         (SELECT pid FROM pg_locks WHERE relation = '{}.inbox'::regclass)",
        schema.name()
    );
    let deadline = Instant::now() + SEEN;
    while ask(&schema.url(), &waiting).await == 0 {
        assert!(Instant::now() < deadline, "nobody waits for the other transaction");
    }
    stranger.batch_execute("COMMIT").await.expect("committed");
    assert_eq!(admitting.await.expect("no panic"), Err(stale("inbox")));
    let mut unit = store.begin(at, 0).await.expect("begun again");
    assert_eq!(unit.admit(&[], &[arrival]).await, Ok(vec![Admission::Duplicate]));
}
