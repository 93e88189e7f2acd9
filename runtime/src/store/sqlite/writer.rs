//! One writer at a time, and one sync for the units of many lanes.
//!
//! Whoever holds the [`Writer`] has the connection to himself. A *group* is an open transaction: it begins with the first
//! unit, and the committer, who queues for the writer like everybody else, ends it. The lanes that wait before him join;
//! those that come later make the next group. A unit that is dropped after it wrote takes its group back with it.

use std::path::{Path, PathBuf};
use std::sync::{Arc, mpsc};
use std::thread;

use rusqlite::Connection;
use tokio::sync::{Mutex, oneshot};

use super::failure::{Failure, sentence};
use super::held;
use super::lock::ProcessLock;
use super::open::{self, OpenError, SqliteOptions};
use crate::crash_point;
use crate::store::StoreError;
use crate::store::held::Held;

/// What the commit of a unit waits for.
pub(super) type Durable = oneshot::Receiver<Result<(), StoreError>>;

/// The one connection that writes.
#[derive(Debug)]
pub(super) struct Writer {
    /// `None` after a COMMIT that gave no answer: made anew by whoever needs it next.
    connection: Option<Connection>,
    group: Option<Group>,
    held: Held,
    path: PathBuf,
    options: SqliteOptions,
    /// Dropped after the connection: another process must not come in while this one still checkpoints.
    _lock: ProcessLock,
}

/// An open transaction.
#[derive(Debug, Default)]
struct Group {
    /// The units that are released and wait for its end.
    waiting: Vec<oneshot::Sender<Result<(), StoreError>>>,
    /// What the connection had changed when the latest unit began.
    changes: u64,
}

impl Writer {
    pub(super) fn open(path: PathBuf, options: SqliteOptions, lock: ProcessLock) -> Result<Self, OpenError> {
        Ok(Self {
            connection: Some(open::writer(&path, &options)?),
            group: None,
            held: Held::default(),
            path,
            options,
            _lock: lock,
        })
    }

    /// Runs statements, all errors in the words of the store.
    pub(super) fn run<T>(&mut self, work: impl FnOnce(&Connection) -> Result<T, Failure>) -> Result<T, StoreError> {
        self.run_holding(|connection, _| work(connection))
    }

    /// The same, with the rows that are held.
    pub(super) fn run_holding<T>(
        &mut self,
        work: impl FnOnce(&Connection, &mut Held) -> Result<T, Failure>,
    ) -> Result<T, StoreError> {
        let connection = connected(&mut self.connection, (&self.path, &self.options))?;
        work(connection, &mut self.held).map_err(|failure| failure.of(&self.path))
    }

    /// Begins a unit, in the open group or in a new one.
    pub(super) fn open_unit(&mut self) -> Result<(), StoreError> {
        if self.group.is_none() {
            self.run(|connection| Ok(execute(connection, "BEGIN IMMEDIATE")?))?;
            self.group = Some(Group::default());
        }
        let changes = self.changes();
        self.group.get_or_insert_default().changes = changes;
        Ok(())
    }

    /// The unit becomes part of its group; what comes back resolves when the group's transaction has ended.
    pub(super) fn release_unit(&mut self) -> Result<Durable, StoreError> {
        if !self.in_transaction() {
            self.undo_group();
            return Err(StoreError::Undone);
        }
        let (sender, durable) = oneshot::channel();
        self.group.get_or_insert_default().waiting.push(sender);
        Ok(durable)
    }

    /// Nothing of the unit happened. One that wrote nothing, as a fenced one, leaves the others of its group alone; else
    /// the whole transaction goes, and the others do their part again. It is rare, and a savepoint for each unit, in case
    /// it should happen, cost a seventh of the throughput.
    pub(super) fn drop_unit(&mut self) {
        let Some(group) = &self.group else { return };
        let untouched = !group.waiting.is_empty() && self.in_transaction() && group.changes == self.changes();
        if !untouched {
            self.undo_group();
        }
    }

    /// Makes the group durable and tells everybody who waits for it.
    pub(super) fn end_group(&mut self) {
        let Some(group) = self.group.take() else { return };
        if let Err(error) = self.run_holding(|connection, held| held::flush(held, connection)) {
            self.group = Some(group);
            return self.undo_group_for(&error);
        }
        let ended = self.commit();
        if ended.is_err() {
            self.connection = None;
            self.held.forget();
        }
        for waiting in group.waiting {
            // Who no longer waits reads the lane row instead.
            let _gone = waiting.send(ended.clone());
        }
    }

    /// After an error the outcome is unknown: the log may hold the transaction though its sync failed.
    fn commit(&mut self) -> Result<(), StoreError> {
        crash_point!("commit.before");
        let connection = connected(&mut self.connection, (&self.path, &self.options))?;
        execute(connection, "COMMIT").map_err(|error| StoreError::Unknown(sentence(&error, &self.path)))?;
        crash_point!("commit.after");
        Ok(())
    }

    fn undo_group(&mut self) {
        self.undo_group_for(&StoreError::Undone);
    }

    /// Takes back the whole transaction. COMMIT was not asked for, so it is certain that nothing happened.
    fn undo_group_for(&mut self, why: &StoreError) {
        let group = self.group.take().unwrap_or_default();
        self.held.forget();
        let undone = !self.in_transaction() || self.run(|connection| Ok(execute(connection, "ROLLBACK")?)).is_ok();
        if !undone {
            self.connection = None;
        }
        for waiting in group.waiting {
            let _gone = waiting.send(Err(why.clone()));
        }
    }

    /// Rows changed by this connection since it was opened.
    fn changes(&self) -> u64 {
        self.connection.as_ref().map_or(0, Connection::total_changes)
    }

    fn in_transaction(&self) -> bool {
        self.connection
            .as_ref()
            .is_some_and(|connection| !connection.is_autocommit())
    }
}

/// The connection, made anew if it was lost.
fn connected<'a>(
    connection: &'a mut Option<Connection>,
    (path, options): (&Path, &SqliteOptions),
) -> Result<&'a Connection, StoreError> {
    match connection {
        Some(connection) => Ok(connection),
        lost => Ok(lost.insert(open::writer(path, options)?)),
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
    pub(super) fn start(writer: Arc<Mutex<Writer>>, ended: Option<mpsc::Sender<()>>) -> Result<Self, OpenError> {
        let (wake, woken) = mpsc::channel();
        let thread = thread::Builder::new()
            .name("sqlite-commit".to_owned())
            .spawn(move || {
                while woken.recv().is_ok() {
                    writer.blocking_lock().end_group();
                    // Who looks after the log ends after this thread does.
                    let _looks = ended.as_ref().map(|ended| ended.send(()));
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
