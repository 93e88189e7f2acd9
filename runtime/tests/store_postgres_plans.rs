//! Plans are made once a session, so what a statement costs must not depend on how small the tables were at that time.

mod postgres;

use std::num::NonZeroUsize;
use std::ops::Range;
use std::time::{Duration, Instant};

use orderflow_runtime::rows::{Entity, RowKey, StoredRow};
use orderflow_runtime::store::postgres::{PostgresAddress, PostgresOptions, PostgresStore, PostgresUnit};
use orderflow_runtime::store::{
    Answer, Arrival, Attempt, EffectRow, EffectState, OutboxRow, Retention, Sequence, Start, Store, TimerRow, Turn,
    Unit, Writes,
};
use orderflow_runtime::{Headers, NextOffset};
use uuid::Uuid;

use self::postgres::{Schema, ask, connect};

const SHELF: Entity<u64> = Entity::shared("shelf", 1);
const SLIP: Entity<u64> = Entity::new("slip", 2);

/// Rows that each table has once it has grown: all of them of one lane, or as many of each entity.
const GROWN: i64 = 20_000;

/// What may be read of one index or table: a few rows for each that is touched.
const READ: i64 = 1_000;

/// How soon a session ends whose client is gone.
const ENDED: Duration = Duration::from_secs(30);

/// Rows of each kind that a unit touches.
const TOUCHED: u64 = 10;

#[tokio::test]
#[ignore = "needs PostgreSQL; run by ./tests/run"]
async fn a_plan_made_on_an_empty_table_is_good_for_a_large_one() {
    a_young_plan_is_good_for_a_large_table(0).await;
}

#[tokio::test]
#[ignore = "needs PostgreSQL; run by ./tests/run"]
async fn a_plan_made_on_one_row_is_good_for_a_large_table() {
    a_young_plan_is_good_for_a_large_table(1).await;
}

#[tokio::test]
#[ignore = "needs PostgreSQL; run by ./tests/run"]
async fn a_plan_made_on_fifty_rows_is_good_for_a_large_table() {
    a_young_plan_is_good_for_a_large_table(50).await;
}

async fn a_young_plan_is_good_for_a_large_table(young: i64) {
    let schema = Schema::fresh();
    let (store, mut at) = started(&schema).await;
    grow(&schema, 0..young).await;
    for table in TABLES {
        schema.run(&format!("VACUUM ANALYZE SCHEMA.{table}")).await;
    }
    do_everything(&store, &mut at, 1).await;
    grow(&schema, young..GROWN).await;
    do_everything(&store, &mut at, 2).await;
    drop(store);
    let read = read(&schema).await;
    let most = &read[0];
    assert!(
        most.1 < READ,
        "a statement planned at {young} rows goes through all of an entity or a lane: {read:?}"
    );
}

const TABLES: [&str; 5] = ["state", "inbox", "outbox", "effects", "timers"];

/// A store of one connection, at whose tables nobody looks but this test: a plan lasts until somebody analyses a table.
async fn started(schema: &Schema) -> (PostgresStore, Turn) {
    let url = format!("{}&application_name={}", schema.url(), schema.name());
    let address = PostgresAddress::parse(&url, "unused").expect("the server's URL");
    let options = PostgresOptions {
        connections: NonZeroUsize::MIN,
        ..PostgresOptions::default()
    };
    let store = PostgresStore::open(address, options).await.expect("opened");
    let at = store.claim(&[0]).await.expect("claimed").remove(0).at;
    let start = Start {
        topic: "arrivals".into(),
        at: NextOffset::at(0),
    };
    store.start_at(at.owner, &[start]).await.expect("started");
    for table in TABLES {
        let still = format!("ALTER TABLE SCHEMA.{table} SET (autovacuum_enabled = off)");
        schema.run(&still).await;
    }
    (store, at)
}

/// Rows of one entity and of one lane: open effects, armed timers, published facts, and events that may be forgotten.
async fn grow(schema: &Schema, numbers: Range<i64>) {
    let series = format!("generate_series({}, {})", numbers.start + 1, numbers.end);
    let sql = format!(
        "INSERT INTO SCHEMA.state SELECT unnest(ARRAY['shelf', 'slip']), 'row ' || n, 1, '0' FROM {series} AS n;
        INSERT INTO SCHEMA.inbox SELECT gen_random_uuid(), 1, 1, 0, '' FROM {series} AS n;
        INSERT INTO SCHEMA.outbox (lane, partition, sequence, timestamp, written_at, event_id, topic, packed_headers)
            SELECT 0, 0, n - 1000000, 1, 1, gen_random_uuid(), 'departures', '' FROM {series} AS n;
        INSERT INTO SCHEMA.effects (id, lane, attempts, caused_at, created_at, due, state, kind, idempotency_key,
            subject, request) SELECT gen_random_uuid(), 0, 0, 1, 1, n, 0, '', '', '', '' FROM {series} AS n;
        INSERT INTO SCHEMA.timers SELECT gen_random_uuid(), 0, n, '', '' FROM {series} AS n;"
    );
    schema.run(&sql).await;
}

/// Every statement of a unit and of retention, at ten rows each; `round` tells the ids apart.
async fn do_everything(store: &PostgresStore, at: &mut Turn, round: u64) {
    let id = |number: u64| Uuid::from_u64_pair(round, number);
    let ids = || (0..TOUCHED).map(id);
    let arrivals: Vec<Arrival> = ids().map(arrival).collect();
    let keys_of = |entity| ids().map(move |id| RowKey::new(entity, id.to_string()));
    let keys: Vec<RowKey> = keys_of(SHELF).chain(keys_of(SLIP)).collect();
    let mut unit = store.begin(*at, 0).await.expect("begun");
    unit.admit(&[], &arrivals).await.expect("let in");
    let rows = unit.load(&keys).await.expect("loaded");
    assert!(rows.iter().all(|row| row.version == 0));
    let writes = Writes {
        rows: changed(rows),
        outbox: ids().zip(unit.next_sequence()..).map(fact).collect(),
        effects: ids().map(effect).collect(),
        timers: ids().map(timer).collect(),
        ..Writes::default()
    };
    unit.write(&writes).await.expect("written");
    commit(unit, at).await;

    let mut unit = store.begin(*at, 0).await.expect("begun");
    let one_of_two_is_known = [arrival(id(0)), arrival(id(TOUCHED))];
    let again: Vec<Arrival> = arrivals.iter().map(redriven).chain(one_of_two_is_known).collect();
    assert_eq!(unit.admit(&[], &again).await.expect("judged").len(), again.len());
    let answers: Vec<Answer> = ids().take(5).map(answer).collect();
    assert_eq!(unit.answer(&answers).await, Ok(vec![true; 5]));
    let timers: Vec<Uuid> = ids().collect();
    assert_eq!(unit.fire(&timers).await, Ok(vec![true; timers.len()]));
    let rows = unit.load(&keys).await.expect("loaded");
    assert!(rows.iter().all(|row| row.version == 1));
    let writes = Writes {
        rows: changed(rows),
        attempts: ids().skip(5).map(attempt).collect(),
        ..Writes::default()
    };
    unit.write(&writes).await.expect("written");
    commit(unit, at).await;

    let lane = at.owner.lane;
    assert!(!store.effects(lane, 5).await.expect("read").is_empty());
    store.timers(lane, 5).await.expect("read");
    assert!(!store.outbox(lane, 0, 5).await.expect("read").is_empty());
    let retention = Retention {
        inbox_horizon: 2,
        outbox_before: 2,
        limit: 5,
    };
    store.retain(retention).await.expect("forgotten");
}

async fn commit(unit: PostgresUnit, at: &mut Turn) {
    unit.commit().await.expect("committed");
    at.turn += 1;
}

fn changed(mut rows: Vec<StoredRow>) -> Vec<StoredRow> {
    for row in &mut rows {
        row.body = Some(row.version.to_string().into());
    }
    rows
}

fn arrival(id: Uuid) -> Arrival {
    Arrival {
        id,
        hash: [0; 16],
        event_time: 100,
        redriven: None,
    }
}

fn redriven(arrival: &Arrival) -> Arrival {
    Arrival {
        redriven: Some(arrival.id),
        ..*arrival
    }
}

fn fact((event_id, sequence): (Uuid, Sequence)) -> OutboxRow {
    OutboxRow {
        sequence,
        topic: "departures".into(),
        partition: 0,
        timestamp: 1,
        event_id,
        key: None,
        value: None,
        headers: Headers::new(),
        reason: None,
    }
}

fn effect(id: Uuid) -> EffectRow {
    EffectRow {
        id,
        lane: 0,
        kind: "charge".to_owned(),
        idempotency_key: id.to_string(),
        subject: String::new(),
        request: Vec::new(),
        caused_at: 1,
        created_at: 1,
        due: 1,
        attempts: 0,
        state: EffectState::Pending,
        traceparent: None,
    }
}

fn answer(effect: Uuid) -> Answer {
    Answer {
        effect,
        answer: Vec::new(),
    }
}

fn attempt(effect: Uuid) -> Attempt {
    Attempt {
        effect,
        attempts: 1,
        due: 1,
        state: EffectState::Pending,
        error: String::new(),
    }
}

fn timer(id: Uuid) -> TimerRow {
    TimerRow {
        id,
        lane: 0,
        kind: "deadline".to_owned(),
        subject: String::new(),
        due: 1,
    }
}

/// How many entries of each index and rows of each table were read, the most first. A session says what it read at the latest when it ends.
async fn read(schema: &Schema) -> Vec<(String, i64)> {
    let name = schema.name();
    let sessions = format!("SELECT count(*) FROM pg_stat_activity WHERE application_name = '{name}'");
    let deadline = Instant::now() + ENDED;
    while ask(&schema.url(), &sessions).await > 0 {
        assert!(Instant::now() < deadline, "the store's session does not end");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let counted = format!(
        "SELECT indexrelname::text, idx_tup_read FROM pg_stat_user_indexes WHERE schemaname = '{name}'
         UNION ALL SELECT relname::text, seq_tup_read FROM pg_stat_user_tables WHERE schemaname = '{name}'
         ORDER BY 2 DESC"
    );
    let rows = connect(&schema.url()).await.query(&counted, &[]).await;
    let rows = rows.expect("what was read");
    rows.iter().map(|row| (row.get(0), row.get(1))).collect()
}
