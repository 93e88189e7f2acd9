//! What tools read from PostgreSQL is what the store wrote, in bounded pieces.

mod postgres;

use std::path::Path;
use std::time::{Duration, Instant};

use orderflow_runtime::Headers;
use orderflow_runtime::rows::{Entity, RowKey, StoredRow};
use orderflow_runtime::store::postgres::{PostgresAddress, PostgresOptions, PostgresReader, PostgresStore};
use orderflow_runtime::store::{
    Arrival, Database, EffectRow, EffectState, OutboxRow, Reader, Store, StoreError, TimerRow, TopicCount, Unit, Writes,
};
use uuid::Uuid;

use self::postgres::Schema;
use self::postgres::server::Server;

const SHELF: Entity<u64> = Entity::new("shelf", 1);

/// More than is fetched at once, in rows and in bytes.
const MANY: u32 = 2_500;

fn id(number: u32) -> Uuid {
    Uuid::from_u128(u128::from(number) + 1)
}

fn fact(number: u32) -> OutboxRow {
    OutboxRow {
        sequence: i64::from(number) + 1,
        topic: "facts".into(),
        partition: 0,
        timestamp: 7,
        event_id: id(number),
        key: Some(b"key".to_vec()),
        value: Some(vec![0; 2_000]),
        headers: Headers::new(),
        reason: None,
    }
}

fn row(number: u32) -> StoredRow {
    StoredRow {
        key: RowKey::new(SHELF, format!("{number:05}")),
        version: 0,
        body: Some(number.to_string().into()),
    }
}

fn effect(number: u32) -> EffectRow {
    EffectRow {
        id: id(number),
        lane: 0,
        kind: "charge".to_owned(),
        idempotency_key: number.to_string(),
        subject: "subject".to_owned(),
        request: b"{}".to_vec(),
        caused_at: 1,
        created_at: 2,
        due: 3,
        attempts: 0,
        state: EffectState::Pending,
        traceparent: None,
    }
}

fn timer(number: u32) -> TimerRow {
    TimerRow {
        id: id(number),
        lane: 0,
        kind: "deadline".to_owned(),
        subject: "subject".to_owned(),
        due: i64::from(number),
    }
}

async fn fill(store: &PostgresStore) {
    let topics = [TopicCount {
        topic: "arrivals".into(),
        partitions: 1,
    }];
    store.prepare("shop", &topics, false).await.expect("prepared");
    let claim = store.claim(&[0]).await.expect("claimed").remove(0);
    let mut unit = store.begin(claim.at, 0).await.expect("begun");
    let arrivals: Vec<_> = (0..MANY)
        .map(|number| Arrival {
            id: id(number),
            hash: [1; 16],
            event_time: 5,
            redriven: None,
        })
        .collect();
    unit.admit(&[], &arrivals).await.expect("let in");
    let writes = Writes {
        now: 9,
        rows: (0..MANY).map(row).collect(),
        outbox: (0..MANY).map(fact).collect(),
        effects: vec![effect(1), effect(2)],
        timers: vec![timer(2), timer(1)],
        ..Writes::default()
    };
    unit.write(&writes).await.expect("written");
    unit.commit().await.expect("committed");
}

#[test]
#[ignore = "needs PostgreSQL; run by ./tests/run"]
fn everything_that_was_written_is_read() {
    let schema = Schema::fresh();
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let store = runtime.block_on(async {
        let store = PostgresStore::open(schema.address(), PostgresOptions::default())
            .await
            .expect("opens");
        fill(&store).await;
        store
    });
    let reader = Reader::open(&Database::from(schema.address())).expect("a reader");
    assert_eq!(reader.summary().expect("read").group.as_deref(), Some("shop"));
    assert_eq!(reader.topics().expect("read").len(), 1);
    assert_eq!(reader.lanes().expect("read")[0].next_sequence, i64::from(MANY) + 1);
    assert_eq!(reader.inbox().expect("read").applied, u64::from(MANY));
    assert_eq!(reader.row("shelf", "00002").expect("read"), Some((1, b"2".to_vec())));
    assert_eq!(reader.row("shelf", "nothing").expect("read"), None);

    // Several calls see one state, whatever is committed between them.
    let counted = reader.snapshot(|reader| {
        let before = count(|see| reader.each_timer(see));
        runtime.block_on(arm(&store));
        Ok::<_, StoreError>((before, count(|see| reader.each_timer(see))))
    });
    assert_eq!(counted, Ok((2, 2)));
    assert_eq!(count(|see| reader.each_timer(see)), 3);

    let mut keys = Vec::new();
    let read = reader.each_row("shelf", |row| {
        keys.push(row.key.to_owned());
        Ok::<_, StoreError>(())
    });
    assert_eq!(read, Ok(()));
    assert_eq!(keys, (0..MANY).map(|number| format!("{number:05}")).collect::<Vec<_>>());
    let mut facts = Vec::new();
    let read = reader.each_fact(0, 1, |fact| {
        facts.push(fact);
        Ok::<_, StoreError>(())
    });
    assert_eq!(read, Ok(()));
    assert_eq!(facts, (1..MANY).map(fact).collect::<Vec<_>>());
    assert_eq!(count(|see| reader.each_event(see)), u64::from(MANY));
    assert_eq!(count(|see| reader.each_effect(see)), 2);
    assert_eq!(count(|see| reader.each_open_effect(see)), 2);
    assert!(reader.progress().expect("read").is_empty());
}

async fn arm(store: &PostgresStore) {
    let claim = store.claim(&[0]).await.expect("claimed").remove(0);
    let mut unit = store.begin(claim.at, 0).await.expect("begun");
    let writes = Writes {
        timers: vec![timer(3)],
        ..Writes::default()
    };
    unit.write(&writes).await.expect("written");
    unit.commit().await.expect("committed");
}

fn count<T>(each: impl FnOnce(&mut dyn FnMut(T) -> Result<(), StoreError>) -> Result<(), StoreError>) -> u64 {
    let mut seen = 0;
    let read = each(&mut |_| {
        seen += 1;
        Ok(())
    });
    assert_eq!(read, Ok(()));
    seen
}

#[test]
#[ignore = "needs PostgreSQL; run by ./tests/run"]
fn whoever_refuses_a_row_ends_the_reading_and_may_read_again() {
    let schema = Schema::fresh();
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let store = PostgresStore::open(schema.address(), PostgresOptions::default())
            .await
            .expect("opens");
        fill(&store).await;
    });
    let reader = Reader::open(&Database::from(schema.address())).expect("a reader");
    let mut seen = 0;
    let enough = StoreError::Refused("enough".to_owned());
    let read = reader.each_fact(0, 0, |_| {
        seen += 1;
        if seen == 3 { Err(enough.clone()) } else { Ok(()) }
    });
    assert_eq!((read, seen), (Err(enough.clone()), 3));
    assert_eq!(count(|see| reader.each_event(see)), u64::from(MANY));
}

/// A reader of a schema that is made first.
fn reader(url: &str, silence: Duration) -> PostgresReader {
    let address = PostgresAddress::parse(url, "read").expect("a URL");
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let opening = PostgresStore::open(address.clone(), PostgresOptions::default());
    runtime.block_on(opening).expect("opens");
    PostgresReader::open(&address).expect("a reader").silence(silence)
}

#[test]
#[ignore = "needs PostgreSQL; run by ./tests/run"]
fn a_server_that_says_nothing_to_anybody_is_given_up() {
    let server = Server::start();
    let reader = reader(&server.url("orderflow", "schema=frozen"), Duration::from_secs(1));
    reader.summary().expect("it lives");
    server.freeze();
    let began = Instant::now();
    let silent = reader.snapshot(PostgresReader::summary).expect_err("given up");
    assert!(
        matches!(&silent, StoreError::Unavailable(why) if why.contains("says nothing for 1 s")),
        "{silent:?}"
    );
    assert_eq!(reader.topics(), Err(silent), "nobody waits twice");
    assert!(began.elapsed() < Duration::from_secs(30), "{:?}", began.elapsed());
}

#[test]
#[ignore = "needs PostgreSQL; run by ./tests/run"]
fn an_answer_may_take_long_while_the_server_lives() {
    let schema = Schema::fresh();
    let reader = reader(&schema.url(), Duration::from_millis(100));
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let holder = runtime.block_on(postgres::connect(&schema.url()));
    let lock = format!("BEGIN; LOCK TABLE {}.meta", schema.name());
    runtime.block_on(holder.batch_execute(&lock)).expect("locked");
    let reading = std::thread::spawn(move || reader.summary());
    let waits = format!(
        "SELECT count(*) FROM pg_locks JOIN pg_stat_activity USING (pid) WHERE NOT granted \
         AND relation = '{}.meta'::regclass AND now() - query_start > interval '1 s'",
        schema.name()
    );
    let deadline = Instant::now() + Duration::from_secs(30);
    while runtime.block_on(postgres::ask(&schema.url(), &waits)) == 0 {
        assert!(Instant::now() < deadline && !reading.is_finished(), "it still waits");
        std::thread::sleep(Duration::from_millis(50));
    }
    runtime.block_on(holder.batch_execute("ROLLBACK")).expect("let go");
    let summary = reading.join().expect("no panic").expect("read");
    assert_eq!(summary.group, None);
}

#[test]
#[ignore = "needs PostgreSQL; run by ./tests/run"]
fn the_queries_of_the_documents_work_as_they_stand() {
    let schema = Schema::fresh();
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/databases.md");
    let page = std::fs::read_to_string(path).expect("the page");
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    runtime.block_on(async {
        let opening = PostgresStore::open(schema.address(), PostgresOptions::default());
        fill(&opening.await.expect("opens")).await;
        let stock = "INSERT INTO SCHEMA.state (entity, key, version, body) \
            VALUES ('stock', 'cup', 1, '{\"available\":7,\"reserved\":2}')";
        schema.run(stock).await;
        let client = postgres::connect(&schema.url()).await;
        let path = "SET search_path TO inventory";
        assert!(page.contains(path), "the page says it");
        let path = path.replace("inventory", schema.name());
        client.batch_execute(&path).await.expect("set");
        let queries = page.split("```sql\n").skip(1);
        let queries: Vec<&str> = queries.filter_map(|rest| rest.split("```").next()).collect();
        let (of_sqlite, of_both): (Vec<&str>, _) = queries.into_iter().partition(|query| query.contains("x'"));
        assert_eq!((of_sqlite.len(), of_both.len()), (1, 6), "the page says so");
        for query in &of_both {
            client.query(*query, &[]).await.expect(query);
        }
        let stock = of_both
            .iter()
            .find(|query| query.contains("reserved"))
            .expect("a query");
        let found = client.query_one(*stock, &[]).await.expect("a row");
        let found: [&str; 3] = [0, 1, 2].map(|column| found.get(column));
        assert_eq!(found, ["cup", "7", "2"]);
        let handled = of_both
            .last()
            .expect("the last")
            .replace("0199c8b1-3c00-8123-8000-000000000000", &id(2).to_string());
        let found = client.query_one(&handled, &[]).await.expect("a row");
        assert_eq!(found.get::<_, &str>(0), "applied");
    });
}
