//! One reader for every kind of database: for tools, which must not care where a service keeps its state.

use std::fmt;
use std::path::PathBuf;

use thiserror::Error;

use super::postgres::{self, PostgresAddress, PostgresReader, PostgresStore};
use super::sqlite::{self, SqliteOptions, SqliteReader, SqliteStore};
use super::{
    EffectRecord, EffectRow, InboxCounts, InboxRow, Lane, LaneRow, OutboxRow, Progress, Sequence, StateRow, StoreError,
    Summary, TimerRow, TopicCount,
};
use crate::rows::Version;

/// Where a group keeps its state.
#[derive(Debug, Clone)]
pub enum Database {
    /// In a file.
    Sqlite(PathBuf),
    /// In a schema of a server's database.
    Postgres(Box<PostgresAddress>),
}

/// The schema of a database, compared with what this program knows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Versions {
    /// The version that is there; 0 is no schema yet.
    pub found: i64,
    /// The latest version this program knows.
    pub known: i64,
}

impl Database {
    /// The version of the schema that is there. Changes nothing. Blocks the thread; not for use within a runtime.
    ///
    /// # Errors
    /// [`OpenError`], each with what to do about it.
    pub fn versions(&self) -> Result<Versions, OpenError> {
        let (found, known) = match self {
            Self::Sqlite(path) => SqliteStore::version(path)?,
            Self::Postgres(address) => wait(PostgresStore::version(address))?,
        };
        Ok(Versions { found, known })
    }

    /// Brings the schema up to date, or makes it. A file must not be in use meanwhile. Blocks the thread; not for use
    /// within a runtime.
    ///
    /// # Errors
    /// [`OpenError`], each with what to do about it.
    pub fn migrate(&self) -> Result<(), OpenError> {
        match self {
            Self::Sqlite(path) => drop(SqliteStore::open(path, &SqliteOptions::default())?),
            Self::Postgres(address) => wait(PostgresStore::migrate(address))?,
        }
        Ok(())
    }
}

fn wait<T>(work: impl Future<Output = Result<T, postgres::OpenError>>) -> Result<T, postgres::OpenError> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    let runtime = runtime.map_err(|error| postgres::OpenError::Unavailable(error.to_string()))?;
    let done = runtime.block_on(work);
    // Who still looks for the server's name is not waited for.
    runtime.shutdown_background();
    done
}

/// Without secrets.
impl fmt::Display for Database {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Sqlite(path) => path.display().fmt(f),
            Self::Postgres(address) => f.write_str(&address.location()),
        }
    }
}

impl From<PostgresAddress> for Database {
    fn from(address: PostgresAddress) -> Self {
        Self::Postgres(Box::new(address))
    }
}

impl From<PathBuf> for Database {
    fn from(path: PathBuf) -> Self {
        Self::Sqlite(path)
    }
}

/// Why a database was not opened.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum OpenError {
    /// A file.
    #[error(transparent)]
    Sqlite(#[from] sqlite::OpenError),
    /// A server's.
    #[error(transparent)]
    Postgres(#[from] postgres::OpenError),
}

/// A database open for reading; see [`SqliteReader`] and [`PostgresReader`], which do the same.
#[derive(Debug)]
pub enum Reader {
    /// A file.
    Sqlite(SqliteReader),
    /// A server's.
    Postgres(PostgresReader),
}

/// Calls the reader that it is.
macro_rules! ask {
    ($reader:expr, $found:ident => $call:expr) => {
        match $reader {
            Reader::Sqlite($found) => $call,
            Reader::Postgres($found) => $call,
        }
    };
}

impl Reader {
    /// Opens a database for reading. Blocks the thread; not for use within a runtime.
    ///
    /// # Errors
    /// [`OpenError`], each with what to do about it.
    pub fn open(database: &Database) -> Result<Self, OpenError> {
        Ok(match database {
            Database::Sqlite(path) => Self::Sqlite(SqliteReader::open(path)?),
            Database::Postgres(address) => Self::Postgres(PostgresReader::open(address)?),
        })
    }

    /// Makes all calls until `work` returns see one state of the database.
    ///
    /// # Errors
    /// Those of `work`, and [`StoreError`] if the state cannot be held.
    pub fn snapshot<T, E: From<StoreError>>(&self, work: impl FnOnce(&Self) -> Result<T, E>) -> Result<T, E> {
        ask!(self, reader => reader.snapshot(|_| work(self)))
    }

    /// Whose database it is.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub fn summary(&self) -> Result<Summary, StoreError> {
        ask!(self, reader => reader.summary())
    }

    /// The recorded partition counts, by topic.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub fn topics(&self) -> Result<Vec<TopicCount>, StoreError> {
        ask!(self, reader => reader.topics())
    }

    /// All lanes, by number.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub fn lanes(&self) -> Result<Vec<LaneRow>, StoreError> {
        ask!(self, reader => reader.lanes())
    }

    /// Every partition's position and counts, by topic and number.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub fn progress(&self) -> Result<Vec<Progress>, StoreError> {
        ask!(self, reader => reader.progress())
    }

    /// How many events the inbox knows. Counts every row.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub fn inbox(&self) -> Result<InboxCounts, StoreError> {
        ask!(self, reader => reader.inbox())
    }

    /// Every event the inbox knows, in the order of ids.
    ///
    /// # Errors
    /// Those of `see`, which end it, and [`StoreError`].
    pub fn each_event<E: From<StoreError>>(&self, see: impl FnMut(InboxRow) -> Result<(), E>) -> Result<(), E> {
        ask!(self, reader => reader.each_event(see))
    }

    /// Every row of an entity, in the order of keys.
    ///
    /// # Errors
    /// Those of `see`, which end it, and [`StoreError`].
    pub fn each_row<E: From<StoreError>>(
        &self,
        entity: &str,
        see: impl FnMut(StateRow<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        ask!(self, reader => reader.each_row(entity, see))
    }

    /// One row of an entity, if it is there.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub fn row(&self, entity: &str, key: &str) -> Result<Option<(Version, Vec<u8>)>, StoreError> {
        ask!(self, reader => reader.row(entity, key))
    }

    /// Facts and dead letters of a lane after a sequence, in order.
    ///
    /// # Errors
    /// Those of `see`, which end it, and [`StoreError`].
    pub fn each_fact<E: From<StoreError>>(
        &self,
        lane: Lane,
        after: Sequence,
        see: impl FnMut(OutboxRow) -> Result<(), E>,
    ) -> Result<(), E> {
        ask!(self, reader => reader.each_fact(lane, after, see))
    }

    /// Every effect, answered or not, in the order of ids.
    ///
    /// # Errors
    /// Those of `see`, which end it, and [`StoreError`].
    pub fn each_effect<E: From<StoreError>>(&self, see: impl FnMut(EffectRecord) -> Result<(), E>) -> Result<(), E> {
        ask!(self, reader => reader.each_effect(see))
    }

    /// Every effect without an answer, in no order. As quick as there are few, whatever was answered before.
    ///
    /// # Errors
    /// Those of `see`, which end it, and [`StoreError`].
    pub fn each_open_effect<E: From<StoreError>>(&self, see: impl FnMut(EffectRow) -> Result<(), E>) -> Result<(), E> {
        ask!(self, reader => reader.each_open_effect(see))
    }

    /// Every armed timer, earliest due first.
    ///
    /// # Errors
    /// Those of `see`, which end it, and [`StoreError`].
    pub fn each_timer<E: From<StoreError>>(&self, see: impl FnMut(TimerRow) -> Result<(), E>) -> Result<(), E> {
        ask!(self, reader => reader.each_timer(see))
    }
}

impl From<SqliteReader> for Reader {
    fn from(reader: SqliteReader) -> Self {
        Self::Sqlite(reader)
    }
}
