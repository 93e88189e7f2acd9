//! One writer at a time, and one sync for the units of many lanes.
//!
//! Whoever holds the [`Writer`] has the connection to himself. A *group* is an open transaction: it begins with the first
//! unit, each unit is a savepoint in it, and the committer, who queues for the writer like everybody else, ends it. The
//! lanes that wait before him join; those that come later make the next group.

use std::path::PathBuf;
use std::sync::{Arc, mpsc};
use std::thread;

use rusqlite::Connection;
use tokio::sync::{Mutex, oneshot};

use super::failure::{Failure, sentence};
use super::lock::ProcessLock;
use super::open::{self, OpenError, SqliteOptions};
use crate::crash_point;
use crate::store::StoreError;

/// What the commit of a unit waits for.
pub(super) type Durable = oneshot::Receiver<Result<(), StoreError>>;

/// The one connection that writes.
#[derive(Debug)]
pub(super) struct Writer {
    /// `None` after a COMMIT that gave no answer: made anew by whoever needs it next.
    connection: Option<Connection>,
    group: Option<Group>,
    path: PathBuf,
    options: SqliteOptions,
    /// Dropped after the connection: another process must not come in while this one still checkpoints.
    _lock: ProcessLock,
}

/// The units of an open transaction that are released and wait for its end.
#[derive(Debug, Default)]
struct Group {
    waiting: Vec<oneshot::Sender<Result<(), StoreError>>>,
}

impl Writer {
    pub(super) fn open(path: PathBuf, options: SqliteOptions, lock: ProcessLock) -> Result<Self, OpenError> {
        Ok(Self {
            connection: Some(open::writer(&path, &options)?),
            group: None,
            path,
            options,
            _lock: lock,
        })
    }

    /// Runs statements, all errors in the words of the store.
    pub(super) fn run<T>(&mut self, work: impl FnOnce(&Connection) -> Result<T, Failure>) -> Result<T, StoreError> {
        let connection = self.connected()?;
        work(connection).map_err(|failure| failure.of(&self.path))
    }

    /// Begins a unit, in the open group or in a new one.
    pub(super) fn open_unit(&mut self) -> Result<(), StoreError> {
        if self.group.is_none() {
            self.run(|connection| Ok(execute(connection, "BEGIN IMMEDIATE")?))?;
            self.group = Some(Group::default());
        }
        let begun = self.run(|connection| Ok(execute(connection, "SAVEPOINT unit")?));
        if begun.is_err() {
            self.undo_group();
        }
        begun
    }

    /// The unit becomes part of its group; what comes back resolves when the group's transaction has ended.
    pub(super) fn release_unit(&mut self) -> Result<Durable, StoreError> {
        if let Err(error) = self.run(|connection| Ok(execute(connection, "RELEASE unit")?)) {
            self.undo_group();
            return Err(error);
        }
        let (sender, durable) = oneshot::channel();
        self.group.get_or_insert_default().waiting.push(sender);
        Ok(durable)
    }

    /// Nothing of the unit happened. The others of its group stay, unless SQLite has taken back the whole transaction,
    /// as it does when the disk is full.
    pub(super) fn drop_unit(&mut self) {
        let Some(group) = &self.group else { return };
        let alone = group.waiting.is_empty();
        let undone = !alone
            && self.in_transaction()
            && self
                .run(|connection| {
                    execute(connection, "ROLLBACK TO unit")?;
                    Ok(execute(connection, "RELEASE unit")?)
                })
                .is_ok();
        if !undone {
            self.undo_group();
        }
    }

    /// Makes the group durable and tells everybody who waits for it.
    pub(super) fn end_group(&mut self) {
        let Some(group) = self.group.take() else { return };
        let ended = self.commit();
        if ended.is_err() {
            self.connection = None;
        }
        for waiting in group.waiting {
            // Who no longer waits reads the lane row instead.
            let _gone = waiting.send(ended.clone());
        }
    }

    /// After an error the outcome is unknown: the log may hold the transaction though its sync failed.
    fn commit(&mut self) -> Result<(), StoreError> {
        crash_point!("commit.before");
        let path = self.path.clone();
        let connection = self.connected()?;
        execute(connection, "COMMIT").map_err(|error| StoreError::Unknown(sentence(&error, &path)))?;
        crash_point!("commit.after");
        Ok(())
    }

    /// Takes back the whole transaction. COMMIT was not asked for, so it is certain that nothing happened.
    fn undo_group(&mut self) {
        let group = self.group.take().unwrap_or_default();
        let undone = !self.in_transaction() || self.run(|connection| Ok(execute(connection, "ROLLBACK")?)).is_ok();
        if !undone {
            self.connection = None;
        }
        for waiting in group.waiting {
            let why = "the transaction was rolled back for another unit in it".to_owned();
            let _gone = waiting.send(Err(StoreError::Unavailable(why)));
        }
    }

    fn in_transaction(&self) -> bool {
        self.connection
            .as_ref()
            .is_some_and(|connection| !connection.is_autocommit())
    }

    /// The connection, made anew if it was lost.
    fn connected(&mut self) -> Result<&Connection, StoreError> {
        match &mut self.connection {
            Some(connection) => Ok(connection),
            lost => {
                let opened = open::writer(&self.path, &self.options)?;
                Ok(lost.insert(opened))
            }
        }
    }
}

impl Drop for Writer {
    /// Units released and not yet durable have somebody waiting for them, or nobody who minds.
    fn drop(&mut self) {
        self.end_group();
    }
}

fn execute(connection: &Connection, sql: &str) -> rusqlite::Result<()> {
    connection.prepare_cached(sql)?.execute([]).map(drop)
}

/// The thread that ends groups.
#[derive(Debug)]
pub(super) struct Committer {
    /// Taken when the store goes, which ends the thread.
    wake: Option<mpsc::Sender<()>>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Committer {
    pub(super) fn start(writer: Arc<Mutex<Writer>>) -> Result<Self, OpenError> {
        let (wake, woken) = mpsc::channel();
        let thread = thread::Builder::new()
            .name("sqlite-commit".to_owned())
            .spawn(move || {
                while woken.recv().is_ok() {
                    writer.blocking_lock().end_group();
                }
            })
            .map_err(|error| OpenError::Unavailable(format!("no thread for the database: {error}")))?;
        Ok(Self {
            wake: Some(wake),
            thread: Some(thread),
        })
    }

    /// Asks for the end of the open group. Asked while the writer is held, so the lanes that wait already come first.
    pub(super) fn wake(&self) {
        if let Some(wake) = &self.wake {
            // The thread ends with this value only.
            let _always_there = wake.send(());
        }
    }
}

impl Drop for Committer {
    /// When this returns, the file is closed and its lock free.
    fn drop(&mut self) {
        self.wake = None;
        if let Some(thread) = self.thread.take() {
            let _panicked = thread.join();
        }
    }
}
