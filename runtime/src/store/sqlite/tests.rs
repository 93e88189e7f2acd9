//! What only SQLite does: groups of units, and the ways in which a transaction can fail.

use std::future::Future;
use std::path::Path;
use std::pin::{Pin, pin};
use std::sync::Arc;

use rusqlite::Connection;
use tempfile::TempDir;

use super::sync::Syncer;
use super::{SqliteOptions, SqliteReader, SqliteStore, SqliteUnit};
use crate::record::Headers;
use crate::rows::{Entity, RowKey, StoredRow};
use crate::store::{OutboxRow, Outcome, Retention, Store, StoreError, Turn, Unit, Unusable, Writes};

fn open(folder: &TempDir) -> SqliteStore {
    SqliteStore::open(&path(folder), &SqliteOptions::default()).expect("opens")
}

fn path(folder: &TempDir) -> std::path::PathBuf {
    folder.path().join("group.db")
}

async fn claim(store: &SqliteStore, lane: i32) -> Turn {
    store.claim(&[lane]).await.expect("claimed").remove(0).at
}

/// A fact of so many bytes.
fn fact(lane: i32, sequence: i64, bytes: usize) -> Writes {
    let id = u128::from(lane.unsigned_abs()) << 64 | u128::from(sequence.unsigned_abs());
    let fact = OutboxRow {
        sequence,
        topic: "facts".into(),
        partition: lane,
        timestamp: 0,
        event_id: uuid::Uuid::from_u128(id),
        key: None,
        value: Some(vec![1; bytes]),
        headers: Headers::new(),
        reason: None,
    };
    Writes {
        outbox: vec![fact],
        ..Writes::default()
    }
}

async fn unit(store: &SqliteStore, at: Turn, bytes: usize) -> Result<SqliteUnit, StoreError> {
    let mut unit = store.begin(at, 0).await?;
    let writes = fact(at.owner.lane, unit.next_sequence(), bytes);
    unit.write(&writes).await?;
    Ok(unit)
}

/// Lets a future begin what it does first, and says whether it is over.
async fn touch<F: Future + Unpin>(future: &mut F) -> Option<F::Output> {
    tokio::select! {
        biased;
        done = future => Some(done),
        () = std::future::ready(()) => None,
    }
}

async fn on_the_writer(store: &SqliteStore, sql: &str) {
    let mut writer = store.shared.writer.lock().await;
    writer
        .run(|connection| Ok(connection.execute_batch(sql)?))
        .expect("runs");
}

async fn facts(store: &SqliteStore, lane: i32) -> usize {
    store.outbox(lane, 0, 100).await.expect("read").len()
}

/// What a commit that is under way comes to.
type Waiting = Pin<Box<dyn Future<Output = Result<(), StoreError>> + Send>>;

/// The units of lanes 1 and 2 in one group: the first released and waiting, the second still open.
async fn group(store: &SqliteStore) -> ([Turn; 2], Waiting, SqliteUnit) {
    let at = [claim(store, 1).await, claim(store, 2).await];
    let first = unit(store, at[0], 10).await.expect("written");
    let second = store.begin(at[1], 0).await.expect("the second joins the group");
    let mut waiting: Waiting = Box::pin(first.commit());
    assert!(touch(&mut waiting).await.is_none(), "not durable before the group ends");
    (at, waiting, second)
}

/// What lanes wrote at one time stands on the same pages.
#[tokio::test]
async fn retention_takes_the_oldest_of_every_lane_before_more_of_any() {
    let folder = TempDir::new().expect("a folder");
    let store = open(&folder);
    for (lane, many) in [(1, 6), (2, 2), (3, 6)] {
        let mut at = claim(&store, lane).await;
        for _ in 0..many {
            unit(&store, at, 10)
                .await
                .expect("written")
                .commit()
                .await
                .expect("durable");
            at.turn += 1;
        }
        store
            .begin(at, many)
            .await
            .expect("begun")
            .commit()
            .await
            .expect("durable");
    }
    let retention = Retention {
        inbox_horizon: 0,
        outbox_before: i64::MAX,
        limit: 9,
    };
    assert_eq!(store.retain(retention).await, Ok(9));
    let left = [facts(&store, 1).await, facts(&store, 2).await, facts(&store, 3).await];
    assert_eq!(
        left,
        [2, 0, 3],
        "three of each, and what the second did not have of the first"
    );
    assert_eq!(store.retain(retention).await, Ok(5), "the rest");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn lanes_that_wait_share_a_transaction() {
    let folder = TempDir::new().expect("a folder");
    let store = open(&folder);
    let (_, mut waiting, mut second) = group(&store).await;
    tokio::time::sleep(std::time::Duration::from_millis(30)).await;
    assert!(
        touch(&mut waiting).await.is_none(),
        "the group lasts while a unit is open"
    );
    assert_eq!(facts(&store, 1).await, 0, "released is not durable");
    second.write(&fact(2, 1, 10)).await.expect("written");
    second.commit().await.expect("durable");
    waiting.await.expect("durable with the other");
    assert_eq!((facts(&store, 1).await, facts(&store, 2).await), (1, 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn what_is_committed_and_not_synced_is_told_to_nobody() {
    let folder = TempDir::new().expect("a folder");
    let mut store = open(&folder);
    let at = claim(&store, 1).await;
    let (go, wait) = std::sync::mpsc::channel::<()>();
    let slow = Syncer::with(move || wait.recv().map_err(|_| StoreError::Undone)).expect("a thread");
    let shared = Arc::get_mut(&mut store.shared).expect("one store");
    shared.durability = slow.durability();
    shared.writer.lock().await.syncer = slow;

    let mut commit = Box::pin(unit(&store, at, 10).await.expect("written").commit());
    assert!(touch(&mut commit).await.is_none());
    let committed = SqliteReader::open(&path(&folder)).expect("a reader");
    let deadline = std::time::Instant::now() + std::time::Duration::from_mins(1);
    while committed.lanes().expect("read")[0].next_sequence == 1 {
        assert!(std::time::Instant::now() < deadline, "it is committed");
        tokio::task::yield_now().await;
    }
    let mut read = Box::pin(store.outbox(1, 0, 100));
    let mut resolved = Box::pin(store.resolve(at));
    for _ in 0..100 {
        assert!(touch(&mut commit).await.is_none(), "the unit is told");
        assert!(touch(&mut read).await.is_none(), "its facts are read");
        assert!(touch(&mut resolved).await.is_none(), "it is resolved");
        tokio::task::yield_now().await;
    }
    go.send(()).expect("waited for");
    assert_eq!(commit.await, Ok(()));
    assert_eq!(read.await.expect("read").len(), 1);
    assert_eq!(resolved.await, Ok(Outcome::Happened));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_unit_dropped_after_it_wrote_takes_its_group_back() {
    let folder = TempDir::new().expect("a folder");
    let store = open(&folder);
    let (at, waiting, mut second) = group(&store).await;
    second.write(&fact(2, 1, 10)).await.expect("written");
    drop(second);
    assert_eq!(waiting.await, Err(StoreError::Undone));
    assert_eq!((facts(&store, 1).await, facts(&store, 2).await), (0, 0));
    let again = unit(&store, at[0], 10).await.expect("at the same turn");
    again.commit().await.expect("durable");
    assert_eq!(facts(&store, 1).await, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_unit_whose_group_is_gone_does_not_slip_into_the_next() {
    let folder = TempDir::new().expect("a folder");
    let store = open(&folder);
    let at = [claim(&store, 1).await, claim(&store, 2).await];
    let first = unit(&store, at[0], 10).await.expect("written");
    let mut second = store.begin(at[1], 0).await.expect("beside the first");
    second.load(&[RowKey::new(SHELF, "a")]).await.expect("loaded");
    drop(first);
    // As a third unit would, which may have to wait for the second before it gets a seat.
    store.shared.writer.lock().await.open_group().expect("a new group");
    assert_eq!(second.write(&fact(2, 1, 10)).await, Err(StoreError::Undone));
    drop(second);
    let again = unit(&store, at[1], 10).await.expect("at the same turn");
    again.commit().await.expect("durable");
    assert_eq!((facts(&store, 1).await, facts(&store, 2).await), (0, 1));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_fenced_unit_leaves_the_others() {
    let folder = TempDir::new().expect("a folder");
    let store = open(&folder);
    let former = claim(&store, 2).await;
    let at = claim(&store, 1).await;
    let _later = claim(&store, 2).await;
    let first = unit(&store, at, 10).await.expect("written");
    let fenced = store.begin(former, 0).await.err();
    assert_eq!(fenced, Some(StoreError::Fenced { lane: 2 }));
    assert_eq!(first.commit().await, Ok(()));
    assert_eq!(facts(&store, 1).await, 1);
}

/// Stock on which many lanes work.
const SHELF: Entity<u64> = Entity::new("shelf", 0);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn rows_of_a_group_are_seen_by_its_units_and_gone_with_it() {
    let folder = TempDir::new().expect("a folder");
    let store = open(&folder);
    let key = RowKey::new(SHELF, "a");
    let put = |version, body: &str| Writes {
        rows: vec![StoredRow {
            key: key.clone(),
            version,
            body: Some(body.into()),
        }],
        ..Writes::default()
    };
    let mut at = claim(&store, 0).await;
    let mut unit = store.begin(at, 0).await.expect("begun");
    unit.write(&put(0, "1")).await.expect("written");
    unit.commit().await.expect("durable");
    at.turn += 1;

    let mut changing = store.begin(at, 0).await.expect("begun");
    changing.load(std::slice::from_ref(&key)).await.expect("loaded");
    changing.write(&put(1, "2")).await.expect("written");
    let again = changing.load(std::slice::from_ref(&key)).await.expect("loaded");
    assert_eq!((again[0].version, again[0].body.as_deref()), (2, Some("2")));
    drop(changing);
    let mut after = store.begin(at, 0).await.expect("begun");
    let found = after.load(std::slice::from_ref(&key)).await.expect("loaded");
    assert_eq!((found[0].version, found[0].body.as_deref()), (1, Some("1")));
    after.write(&put(1, "3")).await.expect("written");
    after.commit().await.expect("durable");
    drop(store);
    let reader = SqliteReader::open(&path(&folder)).expect("a reader");
    assert_eq!(reader.row("shelf", "a"), Ok(Some((2, b"3".to_vec()))));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_full_disk_is_said_and_survived() {
    let folder = TempDir::new().expect("a folder");
    let store = open(&folder);
    let (_, waiting, mut second) = group(&store).await;
    second.shared_limit(60).await;
    let full = second.write(&fact(2, 1, 4 << 20)).await.expect_err("no room");
    let StoreError::Unavailable(why) = &full else {
        panic!("it passes when somebody makes room: {full:?}");
    };
    assert!(why.contains("full") && why.contains("group.db"), "{why}");
    assert_eq!(
        second.write(&fact(2, 1, 1)).await,
        Err(full.clone()),
        "the unit is over"
    );
    assert_eq!(second.commit().await, Err(full));
    let outcome = waiting.await;
    let kept = facts(&store, 1).await == 1;
    assert_eq!(outcome.is_ok(), kept, "{outcome:?}");
    assert!(matches!(outcome, Ok(()) | Err(StoreError::Undone)), "{outcome:?}");

    on_the_writer(&store, "PRAGMA max_page_count = 100000").await;
    let at = claim(&store, 2).await;
    unit(&store, at, 4 << 20)
        .await
        .expect("room")
        .commit()
        .await
        .expect("durable");
    assert_eq!(facts(&store, 2).await, 1);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_transaction_that_sqlite_took_back_is_certain_not_to_have_happened() {
    let folder = TempDir::new().expect("a folder");
    let store = open(&folder);
    let (_, waiting, mut second) = group(&store).await;
    second.take_back_the_transaction().await;
    drop(second);
    assert_eq!(waiting.await, Err(StoreError::Undone));
    assert_eq!(facts(&store, 1).await, 0);
    let at = claim(&store, 1).await;
    unit(&store, at, 10)
        .await
        .expect("written")
        .commit()
        .await
        .expect("durable");
    assert_eq!(facts(&store, 1).await, 1);
}

/// A row that no statement minds and COMMIT does.
const ORPHAN: &str = "CREATE TABLE parents (id INTEGER PRIMARY KEY);
    CREATE TABLE children (parent INTEGER REFERENCES parents (id) DEFERRABLE INITIALLY DEFERRED);";

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_failed_commit_is_unknown_to_all_and_resolved_by_each() {
    let folder = TempDir::new().expect("a folder");
    let store = open(&folder);
    on_the_writer(&store, ORPHAN).await;
    let (turns, waiting, mut second) = group(&store).await;
    second.sql("INSERT INTO children VALUES (1)").await;
    assert!(matches!(second.commit().await, Err(StoreError::Unknown(_))));
    assert!(matches!(waiting.await, Err(StoreError::Unknown(_))));
    for at in turns {
        assert_eq!(store.resolve(at).await, Ok(Outcome::DidNot));
        let again = unit(&store, at, 10).await.expect("at the same turn");
        again.commit().await.expect("durable");
        assert_eq!(store.resolve(at).await, Ok(Outcome::Happened));
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_lost_connection_is_made_anew_or_said_to_be_away() {
    let folder = TempDir::new().expect("a folder");
    let store = open(&folder);
    on_the_writer(&store, ORPHAN).await;
    let at = claim(&store, 1).await;
    let mut failing = unit(&store, at, 10).await.expect("written");
    failing.sql("INSERT INTO children VALUES (1)").await;
    assert!(failing.commit().await.is_err());
    // The connection is gone, and for a while the file cannot be opened.
    std::fs::rename(path(&folder), folder.path().join("elsewhere")).expect("renamed");
    std::fs::create_dir(path(&folder)).expect("made");
    let away = store.resolve(at).await;
    assert!(
        matches!(&away, Err(StoreError::Unusable { kind: Unusable::Place, why }) if why.contains("group.db")),
        "{away:?}"
    );
    std::fs::remove_dir(path(&folder)).expect("removed");
    std::fs::rename(folder.path().join("elsewhere"), path(&folder)).expect("renamed");
    assert_eq!(store.resolve(at).await, Ok(Outcome::DidNot));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn another_program_that_writes_is_waited_for_and_then_named() {
    let folder = TempDir::new().expect("a folder");
    let options = SqliteOptions {
        busy_timeout: std::time::Duration::from_millis(20),
        ..SqliteOptions::default()
    };
    let store = SqliteStore::open(&path(&folder), &options).expect("opens");
    let at = claim(&store, 1).await;
    let other = Connection::open(path(&folder)).expect("opens");
    other.execute_batch("BEGIN IMMEDIATE").expect("locked");
    let busy = store.begin(at, 0).await.err();
    assert!(
        matches!(&busy, Some(StoreError::Unavailable(why)) if why.contains("another program")),
        "{busy:?}"
    );
    other.execute_batch("ROLLBACK").expect("unlocked");
    unit(&store, at, 10)
        .await
        .expect("written")
        .commit()
        .await
        .expect("durable");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_damaged_page_halts() {
    let folder = TempDir::new().expect("a folder");
    let store = open(&folder);
    let mut at = claim(&store, 1).await;
    for _ in 0..20 {
        unit(&store, at, 7_000)
            .await
            .expect("written")
            .commit()
            .await
            .expect("durable");
        at.turn += 1;
    }
    drop(store);
    damage(&path(&folder));
    let store = open(&folder);
    let damaged = store.outbox(1, 0, 100).await;
    assert!(
        matches!(&damaged, Err(StoreError::Halt(why)) if why.contains("damaged")),
        "{damaged:?}"
    );
}

/// Overwrites everything behind the pages of the schema.
fn damage(path: &Path) {
    let mut bytes = std::fs::read(path).expect("read");
    let from = bytes.len() / 2;
    bytes[from..].fill(0xa5);
    std::fs::write(path, bytes).expect("written");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn the_file_is_free_when_the_last_clone_is_gone() {
    let folder = TempDir::new().expect("a folder");
    for _ in 0..20 {
        let store = open(&folder);
        let at = claim(&store, 1).await;
        let unit = unit(&store, at, 10).await.expect("written");
        drop(store);
        assert!(
            SqliteStore::open(&path(&folder), &SqliteOptions::default()).is_err(),
            "the unit keeps it"
        );
        unit.commit().await.expect("durable");
    }
    let store = open(&folder);
    assert_eq!(facts(&store, 1).await, 20);
}

#[tokio::test]
async fn a_store_ends_while_others_wait_for_it() {
    let folder = TempDir::new().expect("a folder");
    let store = Arc::new(open(&folder));
    let at = claim(&store, 1).await;
    let unit = unit(&store, at, 10).await.expect("written");
    let mut commit = pin!(unit.commit());
    assert!(touch(&mut commit).await.is_none());
    drop(store);
    commit.await.expect("what was released is made durable");
}

impl SqliteUnit {
    async fn sql(&mut self, sql: &str) {
        let run = self.run(|connection| Ok(connection.execute_batch(sql)?)).await;
        run.expect("runs");
    }

    /// Room for so many pages, as on a disk that is full.
    async fn shared_limit(&mut self, pages: u32) {
        self.run(|connection| {
            let limit = format!("max_page_count = {pages}");
            Ok(connection.query_row(&format!("PRAGMA {limit}"), [], |_| Ok(()))?)
        })
        .await
        .expect("limited");
    }

    /// As SQLite does of itself after some errors.
    async fn take_back_the_transaction(&mut self) {
        self.sql("ROLLBACK").await;
    }
}
