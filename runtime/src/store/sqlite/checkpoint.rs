//! Moving the write-ahead log into the database, beside the writer instead of in its way.
//!
//! SQLite does it inside whichever COMMIT finds the log long, and every lane waits meanwhile. Here a thread with a
//! connection of its own moves what is there while the writer goes on, then ends the group and moves the little that was
//! added meanwhile: only a log that is moved whole is begun anew, else it would grow for ever.

use std::path::Path;
use std::sync::{Arc, mpsc};
use std::thread;

use rusqlite::Connection;
use tokio::sync::Mutex;

use super::open::{self, OpenError, SqliteOptions};
use super::writer::Writer;
use crate::store::group::Room;

/// The thread that moves the log.
#[derive(Debug)]
pub(super) struct Checkpointer {
    /// Taken when the store goes, which ends the thread.
    wake: Option<mpsc::Sender<()>>,
    thread: Option<thread::JoinHandle<()>>,
}

/// Pages of the log, and how many of them are in the database already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Log {
    pages: u32,
    moved: u32,
}

impl Checkpointer {
    pub(super) fn start(
        path: &Path,
        options: SqliteOptions,
        (room, writer): (Arc<Room>, Arc<Mutex<Writer>>),
    ) -> Result<Self, OpenError> {
        let connection = open::writer(path, &options)?;
        let (wake, woken) = mpsc::channel();
        let thread = thread::Builder::new()
            .name("sqlite-log".to_owned())
            .spawn(move || {
                let durability = writer.blocking_lock().durability();
                while woken.recv().is_ok() {
                    // One look is enough for all that was asked meanwhile.
                    while woken.try_recv().is_ok() {}
                    // What the disk did not keep must not get into the database.
                    if durability.is_lost() {
                        continue;
                    }
                    if let Err(error) = move_long_log(&connection, &options, (&room, &writer)) {
                        tracing::debug!(%error, "the write-ahead log was not moved; it is tried again");
                    }
                }
            })
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

fn move_long_log(
    connection: &Connection,
    options: &SqliteOptions,
    (room, writer): (&Room, &Mutex<Writer>),
) -> rusqlite::Result<()> {
    let log = checkpoint(connection, "NOOP")?;
    if log.pages - log.moved < options.checkpoint_pages {
        return Ok(());
    }
    checkpoint(connection, "PASSIVE")?;
    let _alone = room.blocking_write();
    let mut writer = writer.blocking_lock();
    writer.end_group();
    if !writer.durability().is_lost() {
        checkpoint(connection, "PASSIVE")?;
    }
    Ok(())
}

fn checkpoint(connection: &Connection, mode: &str) -> rusqlite::Result<Log> {
    let sql = format!("PRAGMA wal_checkpoint({mode})");
    // Both are -1 while there is no log.
    let pages = |number: i64| u32::try_from(number).unwrap_or(0);
    connection.prepare_cached(&sql)?.query_row([], |row| {
        Ok(Log {
            pages: pages(row.get(1)?),
            moved: pages(row.get(2)?),
        })
    })
}

#[cfg(test)]
mod tests {
    use tempfile::TempDir;

    use super::*;
    use crate::store::group;
    use crate::store::sqlite::lock::ProcessLock;

    #[test]
    fn a_long_log_is_moved_whole_and_begun_anew() {
        let folder = TempDir::new().expect("a folder");
        let path = folder.path().join("group.db");
        let options = SqliteOptions {
            checkpoint_pages: 50,
            ..SqliteOptions::default()
        };
        let lock = ProcessLock::take(&path).expect("locked");
        let writer = Mutex::new(Writer::open(path.clone(), options, lock).expect("opens"));
        let room = group::room(1);
        let connection = open::writer(&path, &options).expect("opens");
        let grow = |pages: u32| {
            let sql = format!(
                "CREATE TABLE IF NOT EXISTS t (x); INSERT INTO t VALUES (zeroblob({}))",
                pages * 8_192
            );
            let mut writer = writer.blocking_lock();
            writer
                .run(|connection| Ok(connection.execute_batch(&sql)?))
                .expect("written");
        };
        grow(20);
        move_long_log(&connection, &options, (&room, &writer)).expect("looked at");
        let log = checkpoint(&connection, "NOOP").expect("read");
        assert!(
            log.pages >= 20 && log.moved < log.pages,
            "too short to be moved: {log:?}"
        );
        grow(40);
        move_long_log(&connection, &options, (&room, &writer)).expect("moved");
        let log = checkpoint(&connection, "NOOP").expect("read");
        assert_eq!(log.moved, log.pages);
        grow(1);
        let anew = checkpoint(&connection, "NOOP").expect("read");
        assert!(anew.pages < log.pages, "{anew:?} after {log:?}");
    }
}
