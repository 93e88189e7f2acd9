//! The database as tools read it, while the service runs or not.

use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use rusqlite::Connection;

use super::failure::meaning;
use super::open::{self, OpenError};
use super::tables::{effects, inbox, lanes, meta, outbox, progress, state, timers};
use super::{EffectRecord, InboxRow, LaneRow};
use crate::rows::Version;
use crate::store::{EffectRow, Lane, OutboxRow, Progress, Sequence, StoreError, TimerRow, TopicCount};

/// A connection that only reads.
///
/// Lists are as short as the number of lanes and topics; whatever grows with the orders is handed over row by row, in
/// bounded memory. Each call sees one state of the database; [`SqliteReader::snapshot`] makes several calls see the same.
///
/// Beside a store of the same process it is to be closed before that: POSIX takes all locks of a process on a file away
/// when the process closes it, and a store has the file open once more beside SQLite.
#[derive(Debug)]
pub struct SqliteReader {
    connection: Connection,
    path: PathBuf,
}

/// Whose database it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Summary {
    /// The group, once its service has run.
    pub group: Option<String>,
    /// The database's own identity.
    pub instance: String,
    /// When it was made, milliseconds.
    pub created_at: i64,
    /// Events from before are no longer known one by one, milliseconds; `None` if none was ever forgotten.
    pub inbox_horizon: Option<i64>,
}

/// How many events the inbox knows.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct InboxCounts {
    /// Handled.
    pub applied: u64,
    /// Parked as dead letters.
    pub dead: u64,
}

/// A row of the service.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StateRow<'a> {
    /// Its key.
    pub key: &'a str,
    /// How often it was written.
    pub version: Version,
    /// JSON.
    pub body: &'a [u8],
}

impl SqliteReader {
    /// Opens the database at `path` for reading.
    ///
    /// # Errors
    /// [`OpenError`], each with what to do about it.
    pub fn open(path: &Path) -> Result<Self, OpenError> {
        Ok(Self {
            connection: open::reader(path)?,
            path: path.to_owned(),
        })
    }

    /// Makes all calls until `work` returns see one state of the database. The write-ahead log grows meanwhile.
    ///
    /// # Errors
    /// Those of `work`, and [`StoreError`] if the state cannot be held.
    pub fn snapshot<T, E: From<StoreError>>(&self, work: impl FnOnce(&Self) -> Result<T, E>) -> Result<T, E> {
        let held = self
            .connection
            .unchecked_transaction()
            .map_err(|error| self.said(&error))?;
        let done = work(self);
        held.rollback().map_err(|error| self.said(&error))?;
        done
    }

    /// Whose database it is.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub fn summary(&self) -> Result<Summary, StoreError> {
        let meta = self.read(meta::read)?;
        Ok(Summary {
            group: meta.group,
            instance: meta.instance,
            created_at: meta.created_at,
            inbox_horizon: Some(meta.inbox_horizon).filter(|horizon| *horizon > i64::MIN),
        })
    }

    /// The recorded partition counts, by topic.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub fn topics(&self) -> Result<Vec<TopicCount>, StoreError> {
        self.read(meta::topics)
    }

    /// All lanes, by number.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub fn lanes(&self) -> Result<Vec<LaneRow>, StoreError> {
        self.read(lanes::all)
    }

    /// Every partition's position and counts, by topic and number.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub fn progress(&self) -> Result<Vec<Progress>, StoreError> {
        self.read(progress::all)
    }

    /// How many events the inbox knows. Counts every row.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub fn inbox(&self) -> Result<InboxCounts, StoreError> {
        let (applied, dead) = self.read(inbox::counts)?;
        Ok(InboxCounts { applied, dead })
    }

    /// Every event the inbox knows, in the order of ids.
    ///
    /// # Errors
    /// Those of `see`, which end it, and [`StoreError`].
    pub fn each_event<E: From<StoreError>>(&self, mut see: impl FnMut(InboxRow) -> Result<(), E>) -> Result<(), E> {
        self.stream(|connection, until| inbox::each(connection, |row| until.go_on(see(row))))
    }

    /// Every row of an entity, in the order of keys.
    ///
    /// # Errors
    /// Those of `see`, which end it, and [`StoreError`].
    pub fn each_row<E: From<StoreError>>(
        &self,
        entity: &str,
        mut see: impl FnMut(StateRow<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        self.stream(|connection, until| {
            state::each(connection, entity, |key, version, body| {
                until.go_on(see(StateRow { key, version, body }))
            })
        })
    }

    /// One row of an entity, if it is there.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub fn row(&self, entity: &str, key: &str) -> Result<Option<(Version, Vec<u8>)>, StoreError> {
        self.read(|connection| state::one(connection, entity, key))
    }

    /// Facts and dead letters of a lane after a sequence, in order.
    ///
    /// # Errors
    /// Those of `see`, which end it, and [`StoreError`].
    pub fn each_fact<E: From<StoreError>>(
        &self,
        lane: Lane,
        after: Sequence,
        mut see: impl FnMut(OutboxRow) -> Result<(), E>,
    ) -> Result<(), E> {
        self.stream(|connection, until| {
            outbox::after(connection, lane, (after, usize::MAX), |row| until.go_on(see(row)))
        })
    }

    /// Every effect, answered or not, in the order of ids.
    ///
    /// # Errors
    /// Those of `see`, which end it, and [`StoreError`].
    pub fn each_effect<E: From<StoreError>>(
        &self,
        mut see: impl FnMut(EffectRecord) -> Result<(), E>,
    ) -> Result<(), E> {
        self.stream(|connection, until| effects::each(connection, |row| until.go_on(see(row))))
    }

    /// Every effect without an answer, in no order. As quick as there are few, whatever was answered before.
    ///
    /// # Errors
    /// Those of `see`, which end it, and [`StoreError`].
    pub fn each_open_effect<E: From<StoreError>>(
        &self,
        mut see: impl FnMut(EffectRow) -> Result<(), E>,
    ) -> Result<(), E> {
        self.stream(|connection, until| effects::each_open(connection, |row| until.go_on(see(row))))
    }

    /// Every armed timer, earliest due first.
    ///
    /// # Errors
    /// Those of `see`, which end it, and [`StoreError`].
    pub fn each_timer<E: From<StoreError>>(&self, mut see: impl FnMut(TimerRow) -> Result<(), E>) -> Result<(), E> {
        self.stream(|connection, until| timers::each(connection, |row| until.go_on(see(row))))
    }

    fn read<T>(&self, work: impl FnOnce(&Connection) -> rusqlite::Result<T>) -> Result<T, StoreError> {
        work(&self.connection).map_err(|error| self.said(&error))
    }

    /// Hands rows over until one is refused.
    fn stream<E: From<StoreError>>(
        &self,
        work: impl FnOnce(&Connection, &mut Until<E>) -> rusqlite::Result<()>,
    ) -> Result<(), E> {
        let mut until = Until { refused: None };
        self.read(|connection| work(connection, &mut until))?;
        until.refused.map_or(Ok(()), Err)
    }

    fn said(&self, error: &rusqlite::Error) -> StoreError {
        meaning(error, &self.path)
    }
}

/// The first row that its reader refused, and why.
struct Until<E> {
    refused: Option<E>,
}

impl<E> Until<E> {
    fn go_on(&mut self, seen: Result<(), E>) -> ControlFlow<()> {
        self.refused = seen.err();
        if self.refused.is_some() {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    }
}
