//! The file itself: who may open it, what is refused, and what tools see in it.

use std::fs;
use std::path::{Path, PathBuf};

use orderflow_runtime::handler::Reason;
use orderflow_runtime::record::{Headers, NextOffset};
use orderflow_runtime::rows::{Entity, RowKey};
use orderflow_runtime::store::sqlite::{InboxCounts, OpenError, SqliteOptions, SqliteReader, SqliteStore};
use orderflow_runtime::store::{
    Answer, Arrival, Attempt, Counts, DeadRow, EffectRow, EffectState, Move, OutboxRow, Start, StateRow, Store,
    StoreError, TimerRow, TopicCount, Turn, Unit, Writes,
};
use rusqlite::Connection;
use tempfile::TempDir;
use uuid::Uuid;

const NOON: i64 = 1_760_000_000_000;

fn open(path: &Path) -> Result<SqliteStore, OpenError> {
    SqliteStore::open(path, &SqliteOptions::default())
}

fn folder() -> (TempDir, PathBuf) {
    let folder = TempDir::new().expect("a folder");
    // Temporary folders are behind a link on some systems.
    let path = folder.path().canonicalize().expect("it is there").join("group.db");
    (folder, path)
}

fn id(number: u8) -> Uuid {
    Uuid::from_bytes([number; 16])
}

fn fact(sequence: i64, number: u8, reason: Option<Reason>) -> OutboxRow {
    OutboxRow {
        sequence,
        topic: "facts".into(),
        partition: 3,
        timestamp: NOON,
        event_id: id(number),
        key: Some(b"key".to_vec()),
        value: Some(vec![0; 5]),
        headers: Headers::new(),
        reason,
    }
}

fn effect(number: u8) -> EffectRow {
    EffectRow {
        id: id(number),
        lane: 3,
        kind: "charge".to_owned(),
        idempotency_key: "once".to_owned(),
        subject: "order".to_owned(),
        request: b"please".to_vec(),
        caused_at: NOON,
        created_at: NOON,
        due: NOON,
        attempts: 0,
        state: EffectState::Pending,
        traceparent: None,
    }
}

fn everything() -> Writes {
    let arrival = arrival(9);
    let counts = Counts {
        applied: 1,
        dead: 1,
        ..Counts::default()
    };
    Writes {
        now: NOON,
        outbox: vec![fact(1, 1, None), fact(2, 2, Some(Reason::Truncated))],
        dead: vec![DeadRow {
            id: arrival.id,
            hash: arrival.hash,
            event_time: arrival.event_time,
        }],
        counts: vec![("orders".into(), counts)],
        effects: vec![effect(5), effect(6)],
        timers: vec![TimerRow {
            id: id(7),
            lane: 3,
            kind: "deadline".to_owned(),
            subject: "order".to_owned(),
            due: NOON,
        }],
        ..Writes::default()
    }
}

fn arrival(number: u8) -> Arrival {
    Arrival {
        id: id(number),
        hash: [number; 16],
        event_time: NOON,
        redriven: None,
    }
}

/// A store of group `inventory` whose lane 3 has something of every kind, and its next turn.
async fn filled(path: &Path) -> (SqliteStore, Turn) {
    let store = open(path).expect("opens");
    let topics = [TopicCount {
        topic: "orders".into(),
        partitions: 12,
    }];
    store.prepare("inventory", &topics, false).await.expect("prepared");
    let mut at = store.claim(&[3]).await.expect("claimed")[0].at;
    let start = Start {
        topic: "orders".into(),
        at: NextOffset::START,
    };
    store.start_at(at.owner, &[start]).await.expect("started");
    let mut unit = store.begin(at, 0).await.expect("begun");
    let moved = Move {
        topic: "orders".into(),
        expected: NextOffset::START,
        next: NextOffset::at(2),
    };
    unit.admit(&[moved], &[arrival(8)]).await.expect("admitted");
    unit.write(&everything()).await.expect("written");
    unit.commit().await.expect("durable");
    at.turn += 1;
    (store, at)
}

#[tokio::test]
async fn one_process_alone_has_it_and_the_other_hears_who() {
    let (_folder, path) = folder();
    let store = open(&path).expect("opens");
    let refused = open(&path).expect_err("it is in use");
    let OpenError::Locked { lock, pid, .. } = &refused else {
        panic!("{refused:?}");
    };
    assert_eq!(
        (lock, *pid),
        (&path.with_file_name("group.db.lock"), Some(std::process::id()))
    );
    let sentence = refused.to_string();
    assert!(
        sentence.contains("group.db.lock") && sentence.contains(&std::process::id().to_string()),
        "{sentence}"
    );
    drop(store);
    open(&path).expect("it is free again");
}

/// The first name leads nowhere when it is used for the first time.
#[cfg(unix)]
#[tokio::test]
async fn a_database_has_one_lock_by_whatever_name() {
    let (_folder, path) = folder();
    let link = path.with_file_name("link.db");
    std::os::unix::fs::symlink(&path, &link).expect("a link");
    let store = open(&link).expect("opens");
    for name in [&link, &path] {
        let refused = open(name).expect_err("it is in use");
        assert!(matches!(refused, OpenError::Locked { .. }), "{refused:?}");
    }
    drop(store);
    open(&path).expect("it is free again");
}

#[tokio::test]
async fn folders_are_made_and_what_cannot_be_made_is_named() {
    let (folder, _) = folder();
    open(&folder.path().join("a/b/group.db")).expect("the folders are made");
    let file = folder.path().join("file");
    fs::write(&file, "").expect("written");
    let refused = open(&file.join("group.db")).expect_err("a file is no folder");
    assert!(
        matches!(&refused, OpenError::Unwritable { path, .. } if *path == file),
        "{refused:?}"
    );
    let taken = folder.path().join("folder.db");
    fs::create_dir(&taken).expect("made");
    let refused = open(&taken).expect_err("a folder is no file");
    assert!(matches!(refused, OpenError::Unwritable { .. }), "{refused:?}");
}

#[cfg(unix)]
#[tokio::test]
async fn behind_a_link_it_is_synced_where_it_is() {
    let (folder, path) = folder();
    drop(open(&path).expect("made"));
    let link = folder.path().join("link.db");
    std::os::unix::fs::symlink(&path, &link).expect("linked");
    let store = open(&link).expect("opens");
    store.claim(&[3]).await.expect("durable");
    drop(store);
    let reader = SqliteReader::open(&path).expect("a reader");
    assert_eq!(reader.lanes().expect("read").len(), 1);
}

#[tokio::test]
async fn what_is_no_database_is_left_as_it_is() {
    let (_folder, path) = folder();
    let text = "customer,product,quantity\n".repeat(1_000);
    fs::write(&path, &text).expect("written");
    let refused = open(&path).expect_err("not a database");
    assert!(matches!(refused, OpenError::Damaged { .. }), "{refused:?}");
    assert!(SqliteReader::open(&path).is_err());
    assert_eq!(fs::read_to_string(&path).expect("read"), text);
}

#[tokio::test]
async fn a_truncated_database_is_damaged() {
    let (_folder, path) = folder();
    drop(filled(&path).await);
    let bytes = fs::read(&path).expect("read");
    fs::write(&path, &bytes[..10_000]).expect("cut");
    let refused = open(&path).expect_err("half of it is gone");
    assert!(matches!(refused, OpenError::Damaged { .. }), "{refused:?}");
}

#[tokio::test]
async fn another_programs_database_is_left_as_it_is() {
    let (_folder, path) = folder();
    let other = Connection::open(&path).expect("opens");
    other.execute_batch("CREATE TABLE theirs (id INTEGER)").expect("made");
    drop(other);
    let before = fs::read(&path).expect("read");
    let refused = open(&path).expect_err("not ours");
    assert!(matches!(refused, OpenError::Foreign { .. }), "{refused:?}");
    assert_eq!(fs::read(&path).expect("read"), before);
}

#[tokio::test]
async fn a_newer_file_is_refused_and_an_older_one_not_read() {
    let (_folder, path) = folder();
    drop(filled(&path).await);
    let set = |version: i64| {
        let file = Connection::open(&path).expect("opens");
        file.pragma_update(None, "user_version", version).expect("set");
    };
    set(99);
    let newer = open(&path).expect_err("newer");
    assert!(
        matches!(
            newer,
            OpenError::NewerVersion {
                found: 99,
                known: 4,
                ..
            }
        ),
        "{newer:?}"
    );
    let sentence = newer.to_string();
    assert!(sentence.contains("99") && sentence.contains('4'), "{sentence}");
    assert!(matches!(SqliteReader::open(&path), Err(OpenError::NewerVersion { .. })));
    set(1);
    let older = SqliteReader::open(&path).expect_err("older");
    assert!(
        matches!(older, OpenError::OlderVersion { found: 1, known: 4, .. }),
        "{older:?}"
    );
}

#[tokio::test]
async fn a_file_of_an_earlier_step_is_brought_up_to_date() {
    let (_folder, path) = folder();
    drop(filled(&path).await);
    let file = Connection::open(&path).expect("opens");
    let views: Vec<String> = names(&file, "view");
    for view in views {
        file.execute_batch(&format!("DROP VIEW {view}")).expect("dropped");
    }
    file.pragma_update(None, "user_version", 1).expect("set");
    drop(file);
    let (store, reader) = (open(&path).expect("opens"), SqliteReader::open(&path).expect("opens"));
    assert_eq!(reader.progress().expect("read").len(), 1, "what was there is kept");
    assert!(!names(&Connection::open(&path).expect("opens"), "view").is_empty());
    drop(store);
}

/// Facts in the order of lanes and with plain headers, as files of version 2 have them.
#[tokio::test]
async fn facts_of_an_earlier_layout_stay_what_they_were() {
    let (_folder, path) = folder();
    let mut headers = Headers::new();
    headers.push("ce_id", id(1).to_string()).push("ce_subject", "key");
    let written = OutboxRow {
        headers,
        ..fact(1, 1, None)
    };
    let letter = fact(2, 2, Some(Reason::Truncated));
    drop(filled(&path).await);
    let file = Connection::open(&path).expect("opens");
    let theirs = "CREATE VIEW theirs AS SELECT event_id FROM v_outbox JOIN outbox USING (event_id)";
    file.execute_batch(theirs).expect("a view of the user's own");
    make_as_at_first(&file, "outbox");
    for row in [&letter, &written] {
        let event = row.event_id.as_bytes();
        let reason = row.reason.map(Reason::as_str);
        let values = rusqlite::params![
            row.sequence,
            event,
            row.key,
            row.value,
            row.headers.as_bytes(),
            reason,
            NOON
        ];
        let sql = "INSERT INTO outbox VALUES (3, ?1, ?2, 'facts', 3, ?7, ?3, ?4, ?5, ?6, ?7)";
        file.execute(sql, values).expect("inserted");
    }
    file.pragma_update(None, "user_version", 2).expect("set");
    drop(file);
    let store = open(&path).expect("opens");
    assert_eq!(store.outbox(3, 0, 10).await.expect("read"), [written, letter]);
    let file = Connection::open(&path).expect("opens");
    let dead: i64 = file
        .query_row("SELECT sequence FROM v_dead_letters", [], |row| row.get(0))
        .expect("read");
    assert_eq!(dead, 2);
    file.prepare("SELECT event_id FROM theirs")
        .expect("their view is as it was");
    assert!(!names(&file, "table").contains(&"ordered_outbox".to_owned()));
    drop(store);
}

/// Rows of the service in one tree, as files of version 3 have them.
#[tokio::test]
async fn rows_of_an_earlier_layout_stay_what_they_were() {
    let (_folder, path) = folder();
    let (store, at) = filled(&path).await;
    drop(store);
    let file = Connection::open(&path).expect("opens");
    let theirs = "CREATE VIEW theirs AS SELECT key FROM v_state JOIN state USING (entity, key)";
    file.execute_batch(theirs).expect("a view of the user's own");
    make_as_at_first(&file, "state");
    let rows = "INSERT INTO state VALUES ('shelf', 'b', 7, '2'), ('shelf', 'a', 1, '1'), ('order', 'c', 2, '3')";
    file.execute_batch(rows).expect("inserted");
    file.pragma_update(None, "user_version", 3).expect("set");
    drop(file);

    let store = open(&path).expect("opens");
    let reader = SqliteReader::open(&path).expect("opens");
    let found = |entity: &str| {
        let mut found = Vec::new();
        let see = |row: StateRow<'_>| {
            found.push((
                row.key.to_owned(),
                row.version,
                String::from_utf8_lossy(row.body).into_owned(),
            ));
            Ok::<_, StoreError>(())
        };
        reader.each_row(entity, see).expect("read");
        found
    };
    let row = |key: &str, version, body: &str| (key.to_owned(), version, body.to_owned());
    assert_eq!(found("shelf"), [row("a", 1, "1"), row("b", 7, "2")]);
    assert_eq!(found("order"), [row("c", 2, "3")]);

    let key = RowKey::new(Entity::<u8>::shared("shelf", 0), "b");
    let mut unit = store.begin(at, 0).await.expect("begun");
    let mut loaded = unit.load(std::slice::from_ref(&key)).await.expect("loaded");
    loaded[0].body = Some("5".into());
    let writes = Writes {
        rows: loaded,
        ..Writes::default()
    };
    unit.write(&writes).await.expect("written");
    unit.commit().await.expect("durable");
    assert_eq!(found("shelf"), [row("a", 1, "1"), row("b", 8, "5")]);
    let file = Connection::open(&path).expect("opens");
    file.prepare("SELECT key FROM theirs").expect("their view is as it was");
    assert!(!names(&file, "table").contains(&"ordered_state".to_owned()));
}

/// The table as the first step made it, and nothing in it.
fn make_as_at_first(file: &Connection, table: &str) {
    let steps = include_str!("../src/store/sqlite/sql/0001_tables.sql");
    let step = steps
        .split_inclusive(';')
        .find(|step| step.contains(&format!("TABLE {table} ")));
    let step = step.expect("its definition");
    file.execute_batch(&format!("DROP TABLE {table}; {step}"))
        .expect("made");
}

fn names(file: &Connection, kind: &str) -> Vec<String> {
    let mut statement = file
        .prepare("SELECT name FROM sqlite_schema WHERE type = ?1 AND sql IS NOT NULL ORDER BY name")
        .expect("prepared");
    let rows = statement.query_map([kind], |row| row.get(0)).expect("read");
    rows.collect::<Result<_, _>>().expect("names")
}

#[tokio::test]
async fn a_reader_sees_what_is_durable_while_the_service_runs() {
    let (_folder, path) = folder();
    assert!(matches!(SqliteReader::open(&path), Err(OpenError::Missing { .. })));
    let (store, at) = filled(&path).await;
    let mut unit = store.begin(at, 2).await.expect("begun");
    unit.write(&Writes::default()).await.expect("written");
    let reader = SqliteReader::open(&path).expect("opens beside the service");
    assert_eq!(reader.lanes().expect("read")[0].published, 0, "not durable yet");
    unit.commit().await.expect("durable");
    let lane = &reader.lanes().expect("read")[0];
    assert_eq!((lane.published, lane.next_sequence, lane.at.turn), (2, 3, 2));
    let summary = reader.summary().expect("read");
    assert_eq!(
        (summary.group.as_deref(), summary.inbox_horizon),
        (Some("inventory"), None)
    );
    assert_eq!(reader.topics().expect("read")[0].partitions, 12);
    let progress = &reader.progress().expect("read")[0];
    assert_eq!((progress.next_offset, progress.counts.total()), (NextOffset::at(2), 2));
    assert_eq!(reader.inbox().expect("read"), InboxCounts { applied: 1, dead: 1 });
}

#[tokio::test]
async fn a_reader_streams_rows_until_it_is_told_to_stop() {
    let (_folder, path) = folder();
    let (store, at) = filled(&path).await;
    answer_one(&store, at).await;
    let reader = SqliteReader::open(&path).expect("opens");
    let mut facts = Vec::new();
    let read = reader.each_fact(3, 1, |fact| {
        facts.push(fact);
        Ok::<(), StoreError>(())
    });
    assert_eq!((read, facts), (Ok(()), vec![fact(2, 2, Some(Reason::Truncated))]));
    let mut seen = 0;
    let stopped = reader.each_fact(3, 0, |_| {
        seen += 1;
        Err(StoreError::Halt("enough".to_owned()))
    });
    assert_eq!((stopped, seen), (Err(StoreError::Halt("enough".to_owned())), 1));
    let mut effects = Vec::new();
    let read = reader.each_effect(|effect| {
        effects.push((effect.effect.id, effect.answer.map(|(said, _)| said), effect.error));
        Ok::<(), StoreError>(())
    });
    let expected = [
        (id(5), Some(b"done".to_vec()), None),
        (id(6), None, Some("no answer".to_owned())),
    ];
    assert_eq!((read, effects), (Ok(()), expected.to_vec()));
    let mut timers = 0;
    let read = reader.each_timer(|_| {
        timers += 1;
        Ok::<(), StoreError>(())
    });
    assert_eq!((read, timers), (Ok(()), 1));
}

/// Effect 5 is answered, effect 6 was called in vain.
async fn answer_one(store: &SqliteStore, at: Turn) {
    let mut unit = store.begin(at, 0).await.expect("begun");
    let answer = Answer {
        effect: id(5),
        answer: b"done".to_vec(),
    };
    unit.answer(&[answer]).await.expect("answered");
    let attempt = Attempt {
        effect: id(6),
        attempts: 1,
        due: NOON,
        state: EffectState::Unknown,
        error: "no answer".to_owned(),
    };
    let writes = Writes {
        attempts: vec![attempt],
        ..Writes::default()
    };
    unit.write(&writes).await.expect("written");
    unit.commit().await.expect("durable");
}

#[tokio::test]
async fn a_snapshot_stays_while_the_service_goes_on() {
    let (_folder, path) = folder();
    let (store, at) = filled(&path).await;
    let reader = SqliteReader::open(&path).expect("opens");
    let before = reader.snapshot(|held| {
        let before = held.lanes()?;
        let runtime = std::thread::scope(|scope| {
            let work = scope.spawn(|| {
                let runtime = tokio::runtime::Builder::new_current_thread()
                    .build()
                    .expect("a runtime");
                runtime.block_on(async {
                    let unit = store.begin(at, 1).await.expect("begun");
                    unit.commit().await.expect("durable");
                });
            });
            work.join()
        });
        runtime.expect("no panic");
        assert_eq!(held.lanes()?, before);
        Ok::<_, StoreError>(before)
    });
    assert_ne!(reader.lanes().expect("read"), before.expect("held"));
}

#[tokio::test]
async fn what_a_killed_service_left_is_read_and_opened() {
    let (folder, path) = folder();
    let (store, _) = filled(&path).await;
    for (number, with_index) in [(0, true), (1, false)] {
        let copy = folder.path().join(format!("copy{number}.db"));
        fs::copy(&path, &copy).expect("copied");
        let side = |end: &str| {
            (
                path.with_file_name(format!("group.db{end}")),
                copy.with_file_name(format!("copy{number}.db{end}")),
            )
        };
        let (from, to) = side("-wal");
        fs::copy(from, to).expect("the log holds what was not moved into the database yet");
        if with_index {
            let (from, to) = side("-shm");
            fs::copy(from, to).expect("copied");
        }
        let reader = SqliteReader::open(&copy).expect("opens");
        assert_eq!(reader.lanes().expect("read")[0].next_sequence, 3);
        drop(reader);
        let again = open(&copy).expect("opens");
        assert_eq!(again.outbox(3, 0, 10).await.expect("read").len(), 2);
    }
    drop(store);
}

#[tokio::test]
async fn every_view_can_be_read_and_decodes() {
    let (_folder, path) = folder();
    let (store, at) = filled(&path).await;
    answer_one(&store, at).await;
    let file = Connection::open_with_flags(&path, rusqlite::OpenFlags::SQLITE_OPEN_READ_ONLY).expect("opens");
    let text = |sql: &str| file.query_row(sql, [], |row| row.get::<_, String>(0)).expect(sql);
    for view in names(&file, "view") {
        let rows: i64 = file
            .query_row(&format!("SELECT count(*) FROM {view}"), [], |row| row.get(0))
            .expect(&view);
        assert_eq!(rows > 0, view != "v_state", "{view} has {rows} rows");
    }
    assert_eq!(
        text("SELECT event_id FROM v_outbox WHERE sequence = 1"),
        id(1).to_string()
    );
    assert_eq!(
        text("SELECT timestamp FROM v_outbox WHERE sequence = 1"),
        "2025-10-09T08:53:20.000Z"
    );
    assert_eq!(
        text("SELECT key || reason || bytes FROM v_dead_letters"),
        "keytruncated5"
    );
    assert_eq!(
        text("SELECT group_concat(status, ' ') FROM (SELECT status FROM v_inbox ORDER BY 1)"),
        "applied dead"
    );
    assert_eq!(text("SELECT answer FROM v_effects WHERE state = 'answered'"), "done");
    assert_eq!(text("SELECT error FROM v_effects WHERE state = 'unknown'"), "no answer");
    assert_eq!(text("SELECT timer_id FROM v_timers"), id(7).to_string());
    assert_eq!(text("SELECT unpublished || '' FROM v_lanes"), "2");
}

#[tokio::test]
async fn the_page_of_the_documents_names_what_there_is() {
    let (_folder, path) = folder();
    drop(filled(&path).await);
    let page =
        fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/databases.md")).expect("the page");
    let file = Connection::open(&path).expect("opens");
    for name in names(&file, "table").into_iter().chain(names(&file, "view")) {
        assert!(
            page.contains(&format!("`{name}`")),
            "docs/databases.md does not name {name}"
        );
    }
    let queries: Vec<&str> = page
        .split("```sql\n")
        .skip(1)
        .filter_map(|rest| rest.split("```").next())
        .collect();
    assert!(queries.len() > 3, "the page has examples");
    file.execute_batch(
        "INSERT INTO state (entity, key, version, body) VALUES ('stock', 'cup', 1, '{\"available\":7,\"reserved\":2}')",
    )
    .expect("a row");
    for query in &queries {
        file.execute_batch(query).expect(query);
    }
    let stock = queries
        .iter()
        .find(|query| query.contains("reserved"))
        .expect("a query");
    let found = file.query_row(stock, [], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)));
    assert_eq!(found, Ok(("cup".to_owned(), 7, 2)));
}
