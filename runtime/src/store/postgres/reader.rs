//! The database as tools read it, while its services run or not.

use std::pin::Pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use futures_util::TryStreamExt as _;
use tokio::runtime::Runtime;
use tokio_postgres::types::ToSql;
use tokio_postgres::{Row, RowStream};

use super::alive::{Connected, SILENCE};
use super::connect::{self, Purpose};
use super::failure::Failure;
use super::migrate;
use super::session::Values;
use super::tables::{effects, inbox, lanes, meta, outbox, progress, state, timers};
use super::{OpenError, PostgresAddress};
use crate::rows::Version;
use crate::store::{
    EffectRecord, EffectRow, InboxCounts, InboxRow, Lane, LaneRow, OutboxRow, Progress, Sequence, StateRow, StoreError,
    Summary, TimerRow, TopicCount,
};

/// Rows, and bytes of them, that are fetched before they are handed over.
const ROWS_AT_ONCE: usize = 1_000;
const BYTES_AT_ONCE: usize = 1 << 20;

/// A connection that only reads, for programs that wait: it has a runtime of its own and blocks the thread, so it is not
/// for use within another runtime.
///
/// Lists are as short as the number of lanes and topics; whatever grows with the orders is handed over row by row, in
/// bounded memory. Each call sees one state of the database; [`PostgresReader::snapshot`] makes several calls see the
/// same.
#[derive(Debug)]
pub struct PostgresReader {
    /// Taken when the reader goes: a runtime that is merely dropped may wait.
    runtime: Option<Runtime>,
    connected: Connected,
    location: String,
    /// How long an answer may take before the server is asked whether it lives.
    silence: Duration,
    /// Whether it was found to say nothing any more: nobody waits for it twice.
    silent: AtomicBool,
}

impl PostgresReader {
    /// Connects for reading. A standby will do.
    ///
    /// # Errors
    /// [`OpenError`], each with what to do about it.
    pub fn open(address: &PostgresAddress) -> Result<Self, OpenError> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| OpenError::Unavailable(error.to_string()))?;
        let opened = runtime.block_on(async {
            let connected = connect::connect(address, Purpose::Read).await?;
            let preparing = migrate::prepare(&connected.client, address, false);
            connected.hear(SILENCE, preparing).await?;
            Ok::<_, OpenError>(connected)
        });
        let connected = match opened {
            Ok(connected) => connected,
            Err(error) => {
                runtime.shutdown_background();
                return Err(error);
            }
        };
        Ok(Self {
            runtime: Some(runtime),
            connected,
            location: address.location(),
            silence: SILENCE,
            silent: AtomicBool::new(false),
        })
    }

    /// The same, for whom a server is silent sooner than after 40 s: it is then asked for another connection, for which it has
    /// 10 s. While it gives or refuses one, nothing limits how long an answer takes.
    #[must_use]
    pub fn silence(mut self, silence: Duration) -> Self {
        self.silence = silence;
        self
    }

    /// Makes all calls until `work` returns see one state of the database. Vacuuming waits meanwhile.
    ///
    /// # Errors
    /// Those of `work`, and [`StoreError`] if the state cannot be held.
    pub fn snapshot<T, E: From<StoreError>>(&self, work: impl FnOnce(&Self) -> Result<T, E>) -> Result<T, E> {
        self.control("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")?;
        let done = work(self);
        let ended = self.control("ROLLBACK");
        let done = done?;
        ended?;
        Ok(done)
    }

    /// Whose database it is.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub fn summary(&self) -> Result<Summary, StoreError> {
        let rows = self.all(meta::ONE, &[], meta::summary)?;
        let none = || StoreError::Halt(format!("{}: its row in meta is gone", self.location));
        rows.into_iter().next().ok_or_else(none)
    }

    /// The recorded partition counts, by topic.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub fn topics(&self) -> Result<Vec<TopicCount>, StoreError> {
        self.all(meta::TOPICS, &[], meta::topic)
    }

    /// All lanes, by number.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub fn lanes(&self) -> Result<Vec<LaneRow>, StoreError> {
        self.all(lanes::ALL, &[], lanes::read)
    }

    /// Every partition's position and counts, by topic and number.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub fn progress(&self) -> Result<Vec<Progress>, StoreError> {
        self.all(progress::ALL, &[], progress::read)
    }

    /// How many events the inbox knows. Counts every row.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub fn inbox(&self) -> Result<InboxCounts, StoreError> {
        let counted = self.all(inbox::COUNTS, &[], inbox::counts)?;
        Ok(counted.into_iter().next().unwrap_or_default())
    }

    /// Every event the inbox knows, in the order of ids.
    ///
    /// # Errors
    /// Those of `see`, which end it, and [`StoreError`].
    pub fn each_event<E: From<StoreError>>(&self, see: impl FnMut(InboxRow) -> Result<(), E>) -> Result<(), E> {
        self.each(inbox::EACH, &[], inbox::read, see)
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
        self.each(state::EACH, &[&entity], state::read, |(key, version, body)| {
            see(StateRow {
                key: &key,
                version,
                body: body.as_bytes(),
            })
        })
    }

    /// One row of an entity, if it is there.
    ///
    /// # Errors
    /// See [`StoreError`].
    pub fn row(&self, entity: &str, key: &str) -> Result<Option<(Version, Vec<u8>)>, StoreError> {
        let rows = self.all(state::ONE, &[&entity, &key], state::read)?;
        Ok(rows
            .into_iter()
            .next()
            .map(|(_, version, body)| (version, body.into_bytes())))
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
        self.each(outbox::AFTER, &[&lane, &after, &i64::MAX], outbox::read, see)
    }

    /// Every effect, answered or not, in the order of ids.
    ///
    /// # Errors
    /// Those of `see`, which end it, and [`StoreError`].
    pub fn each_effect<E: From<StoreError>>(&self, see: impl FnMut(EffectRecord) -> Result<(), E>) -> Result<(), E> {
        self.each(effects::EACH, &[], effects::record, see)
    }

    /// Every effect without an answer, in no order. As quick as there are few, whatever was answered before.
    ///
    /// # Errors
    /// Those of `see`, which end it, and [`StoreError`].
    pub fn each_open_effect<E: From<StoreError>>(&self, see: impl FnMut(EffectRow) -> Result<(), E>) -> Result<(), E> {
        self.each(effects::EACH_OPEN, &[], effects::read, see)
    }

    /// Every armed timer, earliest due first.
    ///
    /// # Errors
    /// Those of `see`, which end it, and [`StoreError`].
    pub fn each_timer<E: From<StoreError>>(&self, see: impl FnMut(TimerRow) -> Result<(), E>) -> Result<(), E> {
        self.each(timers::EACH, &[], timers::read, see)
    }

    fn control(&self, sql: &str) -> Result<(), StoreError> {
        self.wait(async { Ok(self.connected.client.batch_execute(sql).await?) })
    }

    /// A list that is short.
    fn all<T>(
        &self,
        sql: &str,
        values: Values<'_>,
        read: impl Fn(&Row) -> Result<T, Failure>,
    ) -> Result<Vec<T>, StoreError> {
        self.wait(async {
            self.connected
                .client
                .query(sql, values)
                .await?
                .iter()
                .map(read)
                .collect()
        })
    }

    /// Hands rows over until one is refused. Whoever is handed a row may ask another database: it is not called within
    /// the runtime.
    fn each<T, E: From<StoreError>>(
        &self,
        sql: &str,
        values: Values<'_>,
        read: impl Fn(&Row) -> Result<T, Failure>,
        mut see: impl FnMut(T) -> Result<(), E>,
    ) -> Result<(), E> {
        let values: Vec<&(dyn ToSql + Sync)> = values.to_vec();
        let rows = self.wait(async { Ok(self.connected.client.query_raw(sql, values).await?) })?;
        let mut rows = Box::pin(rows);
        let mut more = true;
        while more {
            let fetched = self.wait(fetch(rows.as_mut()))?;
            more = fetched.1;
            for row in &fetched.0 {
                see(read(row).map_err(|failure| failure.of(&self.location))?)?;
            }
        }
        Ok(())
    }

    fn wait<T>(&self, work: impl Future<Output = Result<T, Failure>>) -> Result<T, StoreError> {
        let Some(runtime) = &self.runtime else {
            return Err(StoreError::Halt("a reader was used after its end".to_owned()));
        };
        if self.silent.load(Ordering::Relaxed) {
            return Err(Failure::Silence(self.silence).of(&self.location));
        }
        let done = runtime.block_on(self.connected.hear(self.silence, work));
        if let Err(Failure::Silence(_)) = done {
            self.silent.store(true, Ordering::Relaxed);
        }
        done.map_err(|failure| failure.of(&self.location))
    }
}

impl Drop for PostgresReader {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

/// The next rows, and whether there may be more: at its end a stream must not be asked again.
async fn fetch(mut rows: Pin<&mut RowStream>) -> Result<(Vec<Row>, bool), Failure> {
    let (mut some, mut bytes) = (Vec::new(), 0);
    while some.len() < ROWS_AT_ONCE && bytes < BYTES_AT_ONCE {
        let Some(row) = rows.try_next().await? else {
            return Ok((some, false));
        };
        bytes += row.raw_size_bytes();
        some.push(row);
    }
    Ok((some, true))
}
