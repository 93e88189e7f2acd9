//! SQLite: one file per group, one process, one connection that writes, one sync for the units of many lanes.
//!
//! Opening is in `open` and `lock`, the sharing of a transaction in `writer` and `sync`, a unit of work in `unit`, the
//! statements of each table in `tables`. Tools read the same file with [`SqliteReader`] while the service runs.

mod checkpoint;
mod failure;
mod held;
mod lock;
mod open;
mod reader;
mod sync;
mod tables;
#[cfg(test)]
mod tests;
mod unit;
mod writer;

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex as Plain, PoisonError};
use std::time::SystemTime;

use rusqlite::Connection;
use tokio::sync::Mutex;

use self::checkpoint::{Checkpointer, Nearly};
use self::failure::Failure;
use self::lock::ProcessLock;
pub use self::open::{OpenError, SqliteOptions};
pub use self::reader::{InboxCounts, SqliteReader, StateRow, Summary};
use self::sync::Durability;
use self::tables::{effects, inbox, lanes, meta, outbox, progress, timers};
pub use self::tables::{effects::EffectRecord, inbox::InboxRow, lanes::LaneRow};
pub use self::unit::SqliteUnit;
use self::writer::{Committer, Writer};
use crate::store::group::{self, Room, answer_of};
use crate::store::{
    Claim, EffectRow, Identity, Lane, OutboxRow, Outcome, Owner, Retention, Sequence, Start, Store, StoreError,
    TimerRow, TopicCount, Turn,
};

/// Units under way at once: one decides, the statements of another run, and the third has its beginning behind it when its
/// turn comes.
const SEATS: u32 = 3;

/// A group's database in a SQLite file.
#[derive(Debug, Clone)]
pub struct SqliteStore {
    shared: Arc<Shared>,
}

/// What the clones of a store share. Ends in this order: the threads that ask for something, the connection that reads,
/// then the writer with what it still has to sync, and the lock.
#[derive(Debug)]
struct Shared {
    committer: Committer,
    _checkpointer: Checkpointer,
    /// Sees nothing of an open transaction: a fact that is not durable must not be published.
    reads: Mutex<Connection>,
    durability: Durability,
    room: Arc<Room>,
    writer: Arc<Mutex<Writer>>,
    sweep: Plain<inbox::Sweep>,
    path: PathBuf,
}

impl SqliteStore {
    /// Opens the database at `path`, or makes it and its folder. No other process can while this store lives.
    ///
    /// # Errors
    /// [`OpenError`], each with what to do about it.
    pub fn open(path: &Path, options: &SqliteOptions) -> Result<Self, OpenError> {
        let path = open::locate(path)?;
        let lock = ProcessLock::take(&path)?;
        let room = group::room(SEATS);
        let writer = Writer::open(path.clone(), *options, lock)?;
        let durability = writer.durability();
        let writer = Arc::new(Mutex::new(writer));
        let reads = Mutex::new(open::reader(&path)?);
        let nearly = Nearly::default();
        let checkpointer = Checkpointer::start(&path, *options, (Arc::clone(&writer), nearly.clone()))?;
        let committer = Committer::start((Arc::clone(&room), Arc::clone(&writer)), (checkpointer.waker(), nearly))?;
        let shared = Shared {
            committer,
            _checkpointer: checkpointer,
            reads,
            durability,
            room,
            writer,
            sweep: Plain::default(),
            path,
        };
        Ok(Self {
            shared: Arc::new(shared),
        })
    }

    /// The schema version of the file at `path`, 0 where there is none, and the latest that this program knows. Changes
    /// nothing.
    ///
    /// # Errors
    /// [`OpenError`], each with what to do about it.
    pub fn version(path: &Path) -> Result<(i64, i64), OpenError> {
        open::version(path)
    }

    /// Runs a transaction of no lane's turn, together with the units that are whole and with none that is under way;
    /// durable when it returns.
    ///
    /// What it does can be done again, so an unknown outcome is the same to the caller as none.
    async fn transact<T, F>(&self, work: F) -> Result<T, StoreError>
    where
        F: Fn(&Connection) -> Result<T, Failure> + Send + Sync,
        T: Send,
    {
        loop {
            let alone = self.shared.room.write().await;
            let mut writer = self.shared.writer.lock().await;
            let group = writer.open_group()?;
            // Whatever comes of it, the group has to be ended.
            self.shared.committer.wake();
            let done = writer.run_in((&group, &mut false), &work)?;
            let (durable, _) = group.whole()?;
            drop((writer, alone));
            match answer_of(durable).await {
                Ok(()) => return Ok(done),
                Err(StoreError::Undone) => {}
                Err(StoreError::Unknown(why)) => return Err(StoreError::Unavailable(why)),
                Err(error) => return Err(error),
            }
        }
    }

    /// Reads what is durable. Who has to wait for it leaves his thread to lanes that need not.
    async fn read<T>(&self, work: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send) -> Result<T, StoreError> {
        let read = work(&*self.shared.reads.lock().await);
        let read = read.map_err(|error| failure::meaning(&error, &self.shared.path))?;
        self.shared.durability.of_all_that_was_read().await?;
        Ok(read)
    }

    fn identity(&self, connection: &Connection) -> Result<Identity, Failure> {
        Ok(Identity {
            instance: meta::read(connection)?.instance,
            exclusive: true,
            location: format!("sqlite:{}", self.shared.path.display()),
            fresh: meta::is_fresh(connection)?,
        })
    }
}

impl Store for SqliteStore {
    type Unit = SqliteUnit;

    const BLOCKING: bool = true;
    const BATCH_RECORDS: usize = 500;

    async fn prepare(&self, group: &str, topics: &[TopicCount], adopts: bool) -> Result<Identity, StoreError> {
        self.transact(|connection| {
            meta::belong_to(connection, group)?;
            meta::know_one_of(connection, topics, adopts)?;
            for topic in topics {
                meta::count_partitions(connection, topic)?;
            }
            self.identity(connection)
        })
        .await
    }

    async fn grow(&self, topics: &[TopicCount]) -> Result<(), StoreError> {
        self.transact(|connection| {
            for topic in topics {
                meta::grow(connection, topic)?;
            }
            Ok(())
        })
        .await
    }

    async fn claim(&self, lanes: &[Lane]) -> Result<Vec<Claim>, StoreError> {
        self.transact(|connection| lanes.iter().map(|lane| claim(connection, *lane)).collect())
            .await
    }

    async fn start_at(&self, owner: Owner, starts: &[Start]) -> Result<(), StoreError> {
        self.transact(|connection| {
            lanes::check_owner(connection, owner)?;
            for start in starts {
                progress::start(connection, owner.lane, start)?;
            }
            Ok(())
        })
        .await
    }

    async fn begin(&self, at: Turn, published: Sequence) -> Result<SqliteUnit, StoreError> {
        SqliteUnit::begin(&self.shared, at, published).await
    }

    async fn resolve(&self, at: Turn) -> Result<Outcome, StoreError> {
        let outcome = {
            let _alone = self.shared.room.write().await;
            let mut writer = self.shared.writer.lock().await;
            // The unit may be in the open group: it is not over before that has ended.
            writer.end_group();
            writer.run(|connection| lanes::resolve(connection, at))?
        };
        self.shared.durability.of_all_that_was_read().await?;
        Ok(outcome)
    }

    async fn outbox(&self, lane: Lane, after: Sequence, limit: usize) -> Result<Vec<OutboxRow>, StoreError> {
        let mut rows = Vec::new();
        self.read(|connection| {
            outbox::after(connection, lane, (after, limit), |row| {
                rows.push(row);
                ControlFlow::Continue(())
            })
        })
        .await?;
        Ok(rows)
    }

    async fn effects(&self, lane: Lane, limit: usize) -> Result<Vec<EffectRow>, StoreError> {
        self.read(|connection| effects::open(connection, lane, limit)).await
    }

    async fn timers(&self, lane: Lane, limit: usize) -> Result<Vec<TimerRow>, StoreError> {
        self.read(|connection| timers::of_lane(connection, lane, limit)).await
    }

    async fn retain(&self, retention: Retention) -> Result<u64, StoreError> {
        let most = usize::try_from(retention.limit).unwrap_or(usize::MAX);
        self.transact(|connection| {
            let horizon = meta::raise_horizon(connection, retention.inbox_horizon)?;
            let mut sweep = self.shared.sweep.lock().unwrap_or_else(PoisonError::into_inner);
            let events = inbox::forget(connection, &mut sweep, (horizon, most))?;
            let facts = outbox::forget(connection, retention.outbox_before, most)?;
            Ok(events + facts)
        })
        .await
    }
}

fn claim(connection: &Connection, lane: Lane) -> Result<Claim, Failure> {
    let row = lanes::claim(connection, lane)?;
    Ok(Claim {
        at: row.at,
        next_sequence: row.next_sequence,
        published: row.published,
        progress: progress::of_lane(connection, lane)?,
        flood: row.flood,
    })
}

/// Milliseconds of wall clock since 1970-01-01 UTC.
fn now() -> i64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH);
    since.map_or(0, |since| i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}
