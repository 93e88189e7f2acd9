//! Databases of versions before: what is in them stays, and the steps that made them are what they were.

mod postgres;

use std::collections::BTreeMap;
use std::path::Path;

use orderflow_runtime::Headers;
use orderflow_runtime::store::postgres::{OpenError, PostgresAddress, PostgresOptions, PostgresReader, PostgresStore};
use orderflow_runtime::store::{Admission, Arrival, OutboxRow, Store, Unit, Writes};
use sha2::{Digest as _, Sha256};
use uuid::Uuid;

use self::postgres::Schema;

/// The steps of PostgreSQL's schema but for the newest, with their names. A new step makes one more of them.
const STEPS: [(&str, &str); 3] = [
    ("tables", include_str!("../src/store/postgres/sql/0001_tables.sql")),
    ("views", include_str!("../src/store/postgres/sql/0002_views.sql")),
    ("narrow", include_str!("../src/store/postgres/sql/0003_narrow.sql")),
];

/// The SHA-256 of each step there is. Databases in the field were made by them: a step that is edited leaves those as they
/// are, unlike any that is made anew. What is to change is a step of its own, with one more line here.
const RELEASED: [(&str, &str); 8] = [
    (
        "postgres/0001_tables.sql",
        "a829488841a3d5221fc4712c14ec1af0f34a82e0cdd66c4c6d9ba2f8802b9191",
    ),
    (
        "postgres/0002_views.sql",
        "c13d160d214ef881e325469aeeba6cd40589e2114d4a60dd095a0e6606b0752a",
    ),
    (
        "postgres/0003_narrow.sql",
        "aad9f96f05e2d8791814486eca263b41a6f8e9808263ca639c24022ab66a77e6",
    ),
    (
        "postgres/0004_packed.sql",
        "b954574cee812fb790778ad98446dfa9ff84fde40d029ac376273482268131e0",
    ),
    (
        "sqlite/0001_tables.sql",
        "1109784eae07121ad6234ccc884034a0332bea23412916724858f06cca6e72ed",
    ),
    (
        "sqlite/0002_views.sql",
        "f2985622b1ed346e53685b961de3a83c45ede6366d72966c4091c4b7750ec443",
    ),
    (
        "sqlite/0003_append.sql",
        "e85847ff519b1483a4b2bf45159c204734bf1274105f02a79f99d9fd73d41ccd",
    ),
    (
        "sqlite/0004_append_state.sql",
        "2401099c777155aba5bf21edd2a4992addf4f2b9b93302df326ea4864f3f55b1",
    ),
];

#[test]
fn released_steps_are_never_edited() {
    let mut found = BTreeMap::new();
    for database in ["postgres", "sqlite"] {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("src/store/{database}/sql"));
        for entry in std::fs::read_dir(folder).expect("the steps") {
            let entry = entry.expect("a step");
            let name = format!("{database}/{}", entry.file_name().to_string_lossy());
            let digest = Sha256::digest(std::fs::read(entry.path()).expect("its text"));
            found.insert(name, hex(&digest));
        }
    }
    let released = RELEASED.map(|(name, digest)| (name.to_owned(), digest.to_owned()));
    assert_eq!(found, BTreeMap::from(released));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL; run by ./tests/run"]
async fn what_is_in_a_schema_of_each_version_before_stays() {
    for version in 1..=STEPS.len() {
        let schema = Schema::fresh();
        make(&schema, version).await;
        let address = schema.address();
        let found = i64::try_from(version).expect("a few");
        let known = i64::try_from(STEPS.len() + 1).expect("a few");
        assert_eq!(PostgresStore::version(&address).await, Ok((found, known)));
        for refused in [
            open(&address, false).await.expect_err("it is older"),
            read(&address).await.expect_err("it is older"),
        ] {
            assert!(
                matches!(refused, OpenError::OlderVersion { found: of, .. } if of == found),
                "{refused:?}"
            );
        }
        let store = open(&address, true).await.expect("brought up to date");
        assert_eq!(PostgresStore::version(&address).await, Ok((known, known)));
        stays(&store, version).await;
        let names = format!("SELECT count(DISTINCT name) FROM {}.schema_versions", schema.name());
        assert_eq!(postgres::ask(&schema.url(), &names).await, known, "each step is noted");
    }
}

/// A schema as a program of that version made it, in which lane 3 has handled an event and written a fact of it.
async fn make(schema: &Schema, version: usize) {
    let steps = || (1..=version).zip(STEPS);
    // The steps name their tables without a schema.
    let mut sql = vec![
        "CREATE SCHEMA SCHEMA".to_owned(),
        format!("SET search_path = {}, pg_temp", schema.name()),
    ];
    sql.extend(steps().map(|(_, (_, step))| step.to_owned()));
    let versions = "CREATE TABLE schema_versions (version bigint PRIMARY KEY, name text NOT NULL, \
        applied_at timestamptz NOT NULL DEFAULT now())";
    sql.push(versions.to_owned());
    let note = |number, name| format!("INSERT INTO schema_versions (version, name) VALUES ({number}, '{name}')");
    sql.extend(steps().map(|(number, (name, _))| note(number, name)));
    sql.push(contents());
    schema.run(&sql.join(";\n")).await;
}

fn hex(bytes: &[u8]) -> String {
    let digits: Vec<_> = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
    digits.concat()
}

/// In the columns that tables had from the first version to the third.
fn contents() -> String {
    let (fact, horizon, arrived) = (fact(1), i64::MIN, arrival().id);
    let (event, headers, hash) = (fact.event_id, hex(fact.headers.as_bytes()), hex(&arrival().hash));
    format!(
        "INSERT INTO meta VALUES (1, gen_random_uuid(), 'shop', 7, {horizon}); \
         INSERT INTO topics VALUES ('orders', 4); \
         INSERT INTO lanes (lane, epoch, turn, next_out_seq) VALUES (3, 5, 8, 2); \
         INSERT INTO progress (partition, topic, next_offset, start_offset, applied) VALUES (3, 'orders', 21, 20, 1); \
         INSERT INTO inbox VALUES ('{arrived}', 7, 8, 0, '\\x{hash}'); \
         INSERT INTO outbox (lane, partition, sequence, timestamp, written_at, event_id, topic, key, value, headers) \
         VALUES (3, 3, 1, 7, 8, '{event}', 'facts', 'key', 'value', '\\x{headers}')"
    )
}

/// What [`make`] has written is found, and what is written now beside it.
async fn stays(store: &PostgresStore, version: usize) {
    let of_before = store.outbox(3, 0, 10).await;
    assert_eq!(of_before, Ok(vec![fact(1)]), "version {version}");
    let claim = store.claim(&[3]).await.expect("claimed").remove(0);
    assert_eq!((claim.at.owner.epoch, claim.at.turn, claim.next_sequence), (6, 8, 2));
    assert_eq!(claim.progress[0].next_offset.get(), 21);
    let mut unit = store.begin(claim.at, 1).await.expect("begun");
    let admitted = unit.admit(&[], &[arrival()]).await;
    assert_eq!(admitted, Ok(vec![Admission::Duplicate]), "version {version}");
    let writes = Writes {
        outbox: vec![fact(2)],
        ..Writes::default()
    };
    unit.write(&writes).await.expect("written");
    unit.commit().await.expect("committed");
    assert_eq!(store.outbox(3, 0, 10).await, Ok(vec![fact(1), fact(2)]));
}

fn arrival() -> Arrival {
    Arrival {
        id: Uuid::from_u128(9),
        hash: [9; 16],
        event_time: 7,
        redriven: None,
    }
}

fn fact(sequence: i64) -> OutboxRow {
    let event_id = Uuid::from_u128(sequence.unsigned_abs().into());
    let mut headers = Headers::new();
    headers.push("ce_id", event_id.to_string()).push("ce_subject", "key");
    OutboxRow {
        sequence,
        topic: "facts".into(),
        partition: 3,
        timestamp: 7,
        event_id,
        key: Some(b"key".to_vec()),
        value: Some(b"value".to_vec()),
        headers,
        reason: None,
    }
}

async fn open(address: &PostgresAddress, migrate: bool) -> Result<PostgresStore, OpenError> {
    let options = PostgresOptions {
        migrate,
        ..PostgresOptions::default()
    };
    PostgresStore::open(address.clone(), options).await
}

/// As a tool does, on a thread of its own.
async fn read(address: &PostgresAddress) -> Result<(), OpenError> {
    let address = address.clone();
    let opened = tokio::task::spawn_blocking(move || PostgresReader::open(&address).map(drop)).await;
    opened.expect("no panic")
}
