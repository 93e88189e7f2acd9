//! One connection that writes, and one sync for the units of many lanes.
//!
//! A *group* is an open transaction. It begins with the first unit. When one is whole the committer wakes, queues for
//! the room like everybody else and ends the group: the lanes that wait before him join, those that come later make the
//! next one, which is under way while the log is synced. A unit that is dropped after it wrote takes its group back with it.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::{Arc, mpsc};
use std::thread;

use rusqlite::Connection;
use rusqlite::config::DbConfig;
use tokio::sync::Mutex;

use super::checkpoint::{self, Nearly};
use super::failure::{Failure, sentence};
use super::held;
use super::lock::ProcessLock;
use super::open::{self, OpenError, SqliteOptions};
use super::sync::{Durability, Syncer};
use crate::crash_point;
use crate::store::StoreError;
use crate::store::group::{Group, Room};
use crate::store::held::Held;

/// The one connection that writes. Whoever has it runs statements, of the open group or of none.
#[derive(Debug)]
pub(super) struct Writer {
    /// Dropped before the connection, which takes the log away.
    pub(super) syncer: Syncer,
    /// `None` after a COMMIT that gave no answer: made anew by whoever needs it next.
    connection: Option<Connection>,
    group: Option<Arc<Group>>,
    /// What the latest group knew of the rows: nobody else writes them.
    kept: Held,
    path: PathBuf,
    options: SqliteOptions,
    /// The database, to be synced beside SQLite. Closed after every connection, for the system takes a process's locks on a
    /// file away as soon as it closes that anywhere.
    data: Arc<File>,
    /// Whether the log has what the database may lack, so that it must not be begun anew.
    keeps_log: bool,
    /// Dropped after the connection: another process must not come in while this one still checkpoints.
    _lock: ProcessLock,
}

impl Writer {
    pub(super) fn open(path: PathBuf, options: SqliteOptions, lock: ProcessLock) -> Result<Self, OpenError> {
        let connection = open::writer(&path, &options)?;
        let syncer = Syncer::start(&path)?;
        // Last, so that it is never closed before the connection.
        let data = File::open(&path).map_err(|error| open::unwritable(&path, &error))?;
        Ok(Self {
            syncer,
            connection: Some(connection),
            group: None,
            kept: Held::default(),
            path,
            options,
            data: Arc::new(data),
            keeps_log: false,
            _lock: lock,
        })
    }

    /// How far what this connection writes is durable.
    pub(super) fn durability(&self) -> Durability {
        self.syncer.durability()
    }

    /// The file of the database, which is not to be kept for longer than the store.
    pub(super) fn data(&self) -> Arc<File> {
        Arc::clone(&self.data)
    }

    /// The disk lost something, so nothing is durable from now on. The log is kept as it is, when this closes as well.
    pub(super) fn lose(&mut self, why: StoreError) {
        self.keeps_log = true;
        self.syncer.lose(why);
    }

    /// Moves what is left of the log, so that the next group begins it anew. Whoever calls this has the room to himself,
    /// and has ended the group.
    pub(super) fn begin_log_anew(&mut self) {
        if self.keeps_log || self.durability().is_lost() {
            return;
        }
        let moved = self.run(|connection| Ok(checkpoint::move_what_is_there(connection)?));
        let Err(error) = moved else { return };
        tracing::debug!(%error, "the write-ahead log was not moved whole; it is tried again");
        // What failed may have been SQLite's sync, which would not fail again.
        if let Err(error) = self.data.sync_data() {
            self.lose(checkpoint::lost(&self.path, &error));
        }
    }

    /// As after a COMMIT that gave no answer.
    #[cfg(test)]
    pub(super) fn connect_anew(&mut self) {
        self.connection = None;
        self.run(|_| Ok(())).expect("connected");
    }

    /// Runs statements, all errors in the words of the store.
    pub(super) fn run<T>(&mut self, work: impl FnOnce(&Connection) -> Result<T, Failure>) -> Result<T, StoreError> {
        let connection = connected(&mut self.connection, (&self.path, &self.options))?;
        work(connection).map_err(|failure| failure.of(&self.path))
    }

    /// The open group, or a new one.
    pub(super) fn open_group(&mut self) -> Result<Arc<Group>, StoreError> {
        self.settle();
        if let Some(group) = &self.group {
            return Ok(Arc::clone(group));
        }
        self.run(|connection| Ok(execute(connection, "BEGIN IMMEDIATE")?))?;
        let group = Arc::new(Group::with(std::mem::take(&mut self.kept)));
        Ok(Arc::clone(self.group.insert(group)))
    }

    /// Runs statements of a unit, if its group is still the open one, and notes whether they changed anything.
    ///
    /// Where they fail after the unit has changed something the group is undone at once, and so is one whose transaction
    /// SQLite has ended: a further statement would stand alone.
    pub(super) fn run_in<T>(
        &mut self,
        (group, touched): (&Arc<Group>, &mut bool),
        work: impl FnOnce(&Connection) -> Result<T, Failure>,
    ) -> Result<T, StoreError> {
        self.settle();
        if !self.group.as_ref().is_some_and(|open| Arc::ptr_eq(open, group)) {
            return Err(StoreError::Undone);
        }
        let before = self.changes();
        let done = self.run(work);
        *touched |= self.changes() != before;
        if (done.is_err() && *touched) || !self.in_transaction() {
            self.undo(&StoreError::Undone);
        }
        done
    }

    /// Commits the group; everybody who waits for it is told once that is durable. Whoever calls this has the room to
    /// himself.
    pub(super) fn end_group(&mut self) {
        self.settle();
        let Some(group) = self.group.take() else { return };
        let mut held = group.take_held();
        let flushed = if group.is_empty() {
            Err(StoreError::Undone)
        } else {
            self.run(|connection| held::flush(&mut held, connection))
        };
        if let Err(why) = flushed {
            self.group = Some(group);
            return self.undo(&why);
        }
        let asked = self.syncer.ask();
        let ended = self.commit();
        match ended {
            Ok(()) => self.kept = held,
            Err(_) => self.connection = None,
        }
        self.syncer.tell(asked, group, ended);
    }

    /// After an error the outcome is unknown: the log may hold the transaction all the same.
    fn commit(&mut self) -> Result<(), StoreError> {
        crash_point!("commit.before");
        let connection = connected(&mut self.connection, (&self.path, &self.options))?;
        execute(connection, "COMMIT").map_err(|error| StoreError::Unknown(sentence(&error, &self.path)))?;
        crash_point!("commit.after");
        Ok(())
    }

    /// Takes back the whole transaction. COMMIT was not asked for, so it is certain that nothing happened. It is rare, and
    /// a savepoint for each unit, in case it should happen, cost a seventh of the throughput.
    fn undo(&mut self, why: &StoreError) {
        if let Some(group) = &self.group {
            group.undo(why);
        }
        self.settle();
    }

    /// Rolls back a group that was undone, before anything else is done.
    fn settle(&mut self) {
        if self.group.take_if(|group| group.is_undone()).is_none() {
            return;
        }
        let undone = !self.in_transaction() || self.run(|connection| Ok(execute(connection, "ROLLBACK")?)).is_ok();
        if !undone {
            self.connection = None;
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
        if !self.keeps_log {
            return;
        }
        // The last connection to close moves the log and takes it away, and this is it, whichever it was before.
        let kept = |connection: &Connection| connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true);
        if let Some(Err(error)) = self.connection.as_ref().map(kept) {
            tracing::error!(%error, "the write-ahead log is moved once more as the database is closed");
        }
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
    pub(super) fn start(
        (room, writer): (Arc<Room>, Arc<Mutex<Writer>>),
        (ended, nearly): (Option<mpsc::Sender<()>>, Nearly),
    ) -> Result<Self, OpenError> {
        let (wake, woken) = mpsc::channel();
        let thread = thread::Builder::new()
            .name("sqlite-commit".to_owned())
            .spawn(move || {
                while woken.recv().is_ok() {
                    let alone = room.blocking_write();
                    end_group(&mut writer.blocking_lock(), &nearly);
                    drop(alone);
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

    /// Asks for the end of the open group. Asked by somebody in the room, so the lanes that wait already come first.
    pub(super) fn wake(&self) {
        if let Some(wake) = &self.wake {
            // The thread ends with this value only.
            let _always_there = wake.send(());
        }
    }
}

fn end_group(writer: &mut Writer, nearly: &Nearly) {
    writer.end_group();
    if nearly.take() {
        writer.begin_log_anew();
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
