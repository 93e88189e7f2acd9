//! Moving the write-ahead log into the database, beside the writer instead of in its way.
//!
//! SQLite does it inside whichever COMMIT finds the log long, and every lane waits meanwhile. Here a thread with a
//! connection of its own moves what is there while the writer goes on, again and again, until little is left. That little
//! is moved by the committer when he has ended the next group ([`Writer::begin_log_anew`]), for only a log that is moved
//! whole is begun anew, else it would grow for ever. SQLite syncs the database only then: what was moved before is synced
//! here, or all lanes would wait for that as well.

use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, mpsc};
use std::thread;

use rusqlite::Connection;
use tokio::sync::Mutex;

use super::open::{self, OpenError, SqliteOptions};
use super::writer::Writer;
use crate::store::StoreError;

/// So much of a long log is left to be moved while every lane waits: an eighth, about what one group adds.
const LITTLE: u32 = 8;

/// How often what is there is moved before that, at most: a writer who is quicker than the disk is to wait in the end.
const ROUNDS: u32 = 4;

/// The thread that moves the log.
#[derive(Debug)]
pub(super) struct Checkpointer {
    /// Taken when the store goes, which ends the thread.
    wake: Option<mpsc::Sender<()>>,
    thread: Option<thread::JoinHandle<()>>,
}

/// Whether the committer is to move the rest of a long log: little, or what a writer adds who is quicker than the disk. The
/// thread that moves the log does nothing meanwhile. Cheap to clone.
#[derive(Debug, Clone, Default)]
pub(super) struct Nearly(Arc<AtomicBool>);

impl Nearly {
    fn set(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    fn is_set(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }

    /// Whether it is so, and from now on no more.
    pub(super) fn take(&self) -> bool {
        self.0.swap(false, Ordering::Relaxed)
    }
}

/// Pages of the log, and how many of them are in the database already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Log {
    pages: u32,
    moved: u32,
}

impl Log {
    /// The two are read one after the other, and the log may be begun anew in between.
    fn left(self) -> u32 {
        self.pages.saturating_sub(self.moved)
    }
}

impl Checkpointer {
    pub(super) fn start(
        path: &Path,
        options: SqliteOptions,
        (writer, nearly): (Arc<Mutex<Writer>>, Nearly),
    ) -> Result<Self, OpenError> {
        let connection = open::writer(path, &options)?;
        let path = path.to_owned();
        let (wake, woken) = mpsc::channel();
        let thread = thread::Builder::new()
            .name("sqlite-log".to_owned())
            .spawn(move || keep_moving(&woken, (&connection, &path, &options), (&writer, &nearly)))
            .map_err(|error| OpenError::Unavailable(format!("no thread for the database: {error}")))?;
        Ok(Self {
            wake: Some(wake),
            thread: Some(thread),
        })
    }

    /// Something was added to the log.
    pub(super) fn waker(&self) -> Option<mpsc::Sender<()>> {
        self.wake.clone()
    }
}

impl Drop for Checkpointer {
    /// When this returns, its connection is closed.
    fn drop(&mut self) {
        self.wake = None;
        if let Some(thread) = self.thread.take() {
            let _panicked = thread.join();
        }
    }
}

fn keep_moving(
    woken: &mpsc::Receiver<()>,
    (connection, path, options): (&Connection, &Path, &SqliteOptions),
    (writer, nearly): (&Mutex<Writer>, &Nearly),
) {
    let (durability, data) = {
        let writer = writer.blocking_lock();
        (writer.durability(), writer.data())
    };
    while woken.recv().is_ok() {
        // One look is enough for all that was asked meanwhile.
        while woken.try_recv().is_ok() {}
        // What the disk did not keep must not get into the database. And the committer has his turn: of two who move at once
        // one finds the log busy.
        if durability.is_lost() || nearly.is_set() {
            continue;
        }
        match move_long_log(connection, options, || data.sync_data()) {
            Ok(true) => nearly.set(),
            Ok(false) => {}
            Err(Unmoved::Sql(error)) => tracing::debug!(%error, "the write-ahead log was not moved; it is tried again"),
            Err(Unmoved::Lost(error)) => {
                // Never again: the next sync would succeed.
                return writer.blocking_lock().lose(lost(path, &error));
            }
        }
    }
}

/// Why the log was not moved.
#[derive(Debug)]
enum Unmoved {
    /// Nothing is lost: what was not moved is in the log.
    Sql(rusqlite::Error),
    /// The disk did not keep what was moved. The system tells it once: a second sync would succeed.
    Lost(io::Error),
}

impl From<rusqlite::Error> for Unmoved {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sql(error)
    }
}

/// Moves most of a log that is long, and syncs what was moved. Says whether the rest is to be moved while nobody writes: not
/// where a reader is in the way, who needs the database as it was.
fn move_long_log(
    connection: &Connection,
    options: &SqliteOptions,
    mut sync: impl FnMut() -> io::Result<()>,
) -> Result<bool, Unmoved> {
    let enough = options.checkpoint_pages;
    let mut log = look(connection)?;
    if log.left() < enough {
        return Ok(false);
    }
    for _ in 0..ROUNDS {
        let moved = move_what_is_there(connection);
        // Asked in any case: a sync of SQLite's own that failed would not fail again.
        sync().map_err(Unmoved::Lost)?;
        if moved?.moved <= log.moved {
            return Ok(false);
        }
        log = look(connection)?;
        if log.left() <= enough / LITTLE {
            break;
        }
    }
    Ok(true)
}

/// Moves what is in the log and needed by no reader. Where that is all of it, the database is synced, and the next
/// transaction begins the log anew. How the log is then; nothing is in it where another has it.
pub(super) fn move_what_is_there(connection: &Connection) -> rusqlite::Result<Log> {
    checkpoint(connection, "PASSIVE")
}

fn look(connection: &Connection) -> rusqlite::Result<Log> {
    checkpoint(connection, "NOOP")
}

fn checkpoint(connection: &Connection, mode: &str) -> rusqlite::Result<Log> {
    let sql = format!("PRAGMA wal_checkpoint({mode})");
    // Both are -1 while there is no log, or another moves it.
    let pages = |number: i64| u32::try_from(number).unwrap_or(0);
    connection.prepare_cached(&sql)?.query_row([], |row| {
        Ok(Log {
            pages: pages(row.get(1)?),
            moved: pages(row.get(2)?),
        })
    })
}

pub(super) fn lost(database: &Path, error: &io::Error) -> StoreError {
    StoreError::Halt(format!(
        "the disk did not keep what was moved into {} from its log: {error}; the log has it still, and is moved again when the \
         service starts. Look at the system's log, mend or change the disk, end what reads the file, then start again",
        database.display()
    ))
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;
    use crate::store::sqlite::lock::ProcessLock;

    fn options() -> SqliteOptions {
        SqliteOptions {
            checkpoint_pages: 80,
            ..SqliteOptions::default()
        }
    }

    /// A database, who writes it, and who moves its log.
    fn opened() -> (TempDir, Writer, Connection) {
        let folder = TempDir::new().expect("a folder");
        let path = folder.path().join("group.db");
        let lock = ProcessLock::take(&path).expect("locked");
        let writer = Writer::open(path.clone(), options(), lock).expect("opens");
        let connection = open::writer(&path, &options()).expect("opens");
        (folder, writer, connection)
    }

    fn grow(writer: &mut Writer, pages: u32) {
        let sql = format!(
            "CREATE TABLE IF NOT EXISTS t (x); INSERT INTO t VALUES (zeroblob({}))",
            pages * 8_192
        );
        let grown = writer.run(|connection| Ok(connection.execute_batch(&sql)?));
        grown.expect("written");
    }

    #[test]
    fn a_long_log_is_moved_whole_and_begun_anew() {
        let (_folder, mut writer, connection) = opened();
        let no_need = || panic!("nothing was moved");
        grow(&mut writer, 20);
        assert!(!move_long_log(&connection, &options(), no_need).expect("looked at"));
        let log = look(&connection).expect("read");
        assert!(log.pages >= 20 && log.moved < log.pages, "too short: {log:?}");
        grow(&mut writer, 80);
        assert!(move_long_log(&connection, &options(), || Ok(())).expect("moved"));
        grow(&mut writer, 5);
        writer.begin_log_anew();
        let log = look(&connection).expect("read");
        assert_eq!(log.left(), 0, "{log:?}");
        grow(&mut writer, 1);
        let anew = look(&connection).expect("read");
        assert!(anew.pages < log.pages, "{anew:?} after {log:?}");
    }

    #[test]
    fn what_was_moved_is_synced_until_little_is_left_and_not_for_ever() {
        let (_folder, mut writer, connection) = opened();
        grow(&mut writer, 100);
        let mut added = [100, 100, 5].into_iter();
        let mut syncs = 0;
        let grows = || {
            syncs += 1;
            added.by_ref().take(1).for_each(|pages| grow(&mut writer, pages));
            Ok(())
        };
        assert!(move_long_log(&connection, &options(), grows).expect("moved"));
        assert_eq!(syncs, 3, "five pages are little");

        let mut syncs = 0;
        grow(&mut writer, 100);
        let always = || {
            syncs += 1;
            grow(&mut writer, 100);
            Ok(())
        };
        assert!(move_long_log(&connection, &options(), always).expect("moved"));
        assert_eq!(syncs, ROUNDS);
    }

    #[test]
    fn who_reads_holds_up_no_lane() {
        let (folder, mut writer, connection) = opened();
        let reader = open::reader(&folder.path().join("group.db")).expect("opens");
        let begun = reader.execute_batch("BEGIN; SELECT count(*) FROM sqlite_schema");
        begun.expect("reads");
        grow(&mut writer, 100);
        for _ in 0..2 {
            let moved = move_long_log(&connection, &options(), || Ok(())).expect("tried");
            assert!(!moved, "{:?}", look(&connection));
        }
        drop(reader);
        assert!(move_long_log(&connection, &options(), || Ok(())).expect("moved"));
    }

    #[tokio::test]
    async fn the_thread_leaves_the_rest_to_the_committer() {
        let (folder, mut writer, connection) = opened();
        grow(&mut writer, 100);
        let (writer, nearly) = (&Mutex::new(writer), &Nearly::default());
        let database = &*folder.path().join("group.db");
        // On a thread of its own, for it waits for the writer.
        let wake_once = || {
            let (wake, woken) = mpsc::channel();
            wake.send(()).expect("listens");
            drop(wake);
            let mover = open::writer(database, &options()).expect("opens");
            let work = move || keep_moving(&woken, (&mover, database, &options()), (writer, nearly));
            thread::scope(|scope| scope.spawn(work).join()).expect("no panic");
        };
        wake_once();
        assert!(nearly.is_set() && look(&connection).expect("read").left() == 0);
        grow(&mut *writer.lock().await, 100);
        let before = look(&connection).expect("read");
        wake_once();
        assert_eq!(look(&connection).expect("read"), before, "it is the committer's turn");
        assert!(nearly.take());
        wake_once();
        assert!(look(&connection).expect("read").moved > before.moved);
    }

    #[test]
    fn a_log_of_which_the_disk_lost_a_part_is_kept() {
        let (folder, mut writer, connection) = opened();
        grow(&mut writer, 100);
        // Who reads holds up the end of the log, as who writes does.
        let reader = open::reader(&folder.path().join("group.db")).expect("opens");
        let begun = reader.execute_batch("BEGIN; SELECT count(*) FROM sqlite_schema");
        begun.expect("reads");
        grow(&mut writer, 1);
        let fails = || Err(io::Error::other("EIO"));
        let Err(Unmoved::Lost(error)) = move_long_log(&connection, &options(), fails) else {
            panic!("the disk has failed");
        };
        let database = folder.path().join("group.db");
        assert!(look(&connection).expect("read").moved > 0);
        drop(reader);
        writer.lose(lost(&database, &error));
        writer.connect_anew();
        writer.begin_log_anew();
        let log = look(&connection).expect("read");
        assert!(log.left() > 0, "{log:?}");
        drop(connection);
        drop(writer);
        let log = std::fs::metadata(folder.path().join("group.db-wal")).expect("kept");
        assert!(log.len() > 100 * 8_192, "{} bytes", log.len());
        // Whoever opens it next moves all of it again.
        let next = open::writer(&database, &options()).expect("opens");
        let log = look(&next).expect("read");
        assert!(log.pages > 100 && log.moved == 0, "{log:?}");
    }
}
