//! PostgreSQL: a schema per group in one database, any number of processes, one transaction for the ready lanes of each.
//!
//! Where it is and who may come in is in `address`, `password`, `tls` and `connect`; whether it still lives in `alive`; the
//! schema's versions in `migrate`; sessions in `session` and `pool`; a unit of work in `unit`, what units share in `group`, the
//! statements of each table in `tables`.

mod address;
mod alive;
mod connect;
mod console;
mod failure;
mod group;
mod migrate;
mod open_error;
mod password;
mod pool;
mod reader;
mod redrive;
mod session;
mod tables;
mod tls;
mod unit;

use std::num::NonZeroUsize;
use std::sync::{Arc, Mutex, PoisonError};

pub use self::address::{InvalidAddress, PostgresAddress, masked};
use self::alive::SILENCE;
pub use self::console::PostgresConsole;
use self::failure::Failure;
use self::group::Groups;
pub use self::open_error::OpenError;
use self::pool::{Lease, Pool};
pub use self::reader::PostgresReader;
use self::session::Session;
use self::tables::{effects, inbox, lanes, meta, outbox, progress, timers};
pub use self::unit::PostgresUnit;
use crate::store::{
    Claim, EffectRow, Identity, Lane, OutboxRow, Outcome, Owner, Retention, Sequence, Start, Store, StoreError,
    TimerRow, TopicCount, Turn,
};

/// How a database is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct PostgresOptions {
    /// Connections of one process at most, for transactions and for reading beside them; a server has one hundred for
    /// everybody.
    pub connections: NonZeroUsize,
    /// Transactions open at once, each shared by its lanes; beside each the one before it may be ending. More than one is of
    /// use where lanes share no rows.
    pub groups: NonZeroUsize,
    /// Whether opening brings an older schema up to date, or makes a missing one.
    pub migrate: bool,
}

impl Default for PostgresOptions {
    fn default() -> Self {
        Self {
            connections: NonZeroUsize::new(8).unwrap_or(NonZeroUsize::MIN),
            groups: NonZeroUsize::MIN,
            migrate: true,
        }
    }
}

/// A group's schema in a PostgreSQL database.
#[derive(Debug, Clone)]
pub struct PostgresStore {
    pool: Arc<Pool>,
    groups: Arc<Groups>,
    sweep: Arc<Mutex<inbox::Sweep>>,
}

impl PostgresStore {
    /// Connects to the database and brings its schema up to date where the options say so.
    ///
    /// Call it within the tokio runtime that the store is used in.
    ///
    /// # Errors
    /// [`OpenError`], each with what to do about it.
    pub async fn open(address: PostgresAddress, options: PostgresOptions) -> Result<Self, OpenError> {
        let pool = Pool::open(address, options).await?;
        Ok(Self {
            groups: Arc::new(Groups::new(&pool, options.groups.get())),
            pool,
            sweep: Arc::default(),
        })
    }

    /// The schema version that is there, 0 where there is none, and the latest that this program knows. Changes nothing.
    ///
    /// # Errors
    /// [`OpenError`], each with what to do about it.
    pub async fn version(address: &PostgresAddress) -> Result<(i64, i64), OpenError> {
        let connected = connect::connect(address, connect::Purpose::Read).await?;
        let recognising = migrate::recognise(&connected.client, address);
        match connected.hear(SILENCE, recognising).await? {
            migrate::Found::Foreign => Err(OpenError::Foreign {
                location: address.location(),
            }),
            found => Ok((found.version(), migrate::known())),
        }
    }

    /// Brings the schema up to date, or makes it.
    ///
    /// # Errors
    /// [`OpenError`], each with what to do about it.
    pub async fn migrate(address: &PostgresAddress) -> Result<(), OpenError> {
        let connected = connect::connect(address, connect::Purpose::Serve).await?;
        let preparing = migrate::prepare(&connected.client, address, true);
        connected.hear(SILENCE, preparing).await
    }

    /// Runs statements that each stand alone, one at a time: where one fails, the session goes back with none that still runs.
    async fn run<T>(&self, work: impl AsyncFnOnce(&Session) -> Result<T, Failure>) -> Result<T, StoreError> {
        let lease = self.pool.lease().await?;
        let session = lease.session()?;
        // Who stops waiting leaves it with a statement that still runs, and nobody else is to wait behind that.
        lease.lose();
        let done = work(session).await;
        lease.keep();
        done.map_err(|failure| lease.judge(failure))
    }
}

/// Runs a transaction of no lane's turn. What it does can be done again, so an unknown outcome is the same to the caller
/// as none.
async fn transact<T>(lease: Lease, work: impl AsyncFnOnce(&Session) -> Result<T, Failure>) -> Result<T, StoreError> {
    lease.enter_transaction();
    let done = async {
        let session = lease.session()?;
        session.control("BEGIN").await?;
        let done = work(session).await?;
        session.control("COMMIT").await?;
        Ok(done)
    }
    .await;
    match done {
        Ok(done) => {
            lease.leave_transaction();
            Ok(done)
        }
        Err(failure) => Err(lease.judge(failure)),
    }
}

impl Store for PostgresStore {
    type Unit = PostgresUnit;

    const BLOCKING: bool = false;
    const BATCH_RECORDS: usize = 1_000;

    async fn prepare(&self, group: &str, topics: &[TopicCount], adopts: bool) -> Result<Identity, StoreError> {
        let location = self.pool.location().to_owned();
        transact(self.pool.lease().await?, async |session| {
            meta::belong_to(session, group).await?;
            meta::know_one_of(session, topics, adopts).await?;
            meta::count_partitions(session, topics).await?;
            Ok(Identity {
                instance: meta::read(session).await?.instance,
                exclusive: false,
                location,
                fresh: meta::is_fresh(session).await?,
            })
        })
        .await
    }

    async fn grow(&self, topics: &[TopicCount]) -> Result<(), StoreError> {
        transact(self.pool.lease().await?, async |session| {
            meta::grow(session, topics).await
        })
        .await
    }

    async fn claim(&self, lanes: &[Lane]) -> Result<Vec<Claim>, StoreError> {
        self.run(async |session| {
            let mut claims = Vec::with_capacity(lanes.len());
            // A claim that was given up must not take the lane from whoever has it by the time the server runs it.
            for lane in lanes {
                claims.push(claim(session, *lane).await?);
            }
            Ok(claims)
        })
        .await
    }

    async fn start_at(&self, owner: Owner, starts: &[Start]) -> Result<(), StoreError> {
        self.run(async |session| progress::start(session, owner, starts).await)
            .await
    }

    async fn begin(&self, at: Turn, published: Sequence) -> Result<PostgresUnit, StoreError> {
        PostgresUnit::begin(self.groups.writer(at.owner.lane), at, published).await
    }

    async fn resolve(&self, at: Turn) -> Result<Outcome, StoreError> {
        self.run(async |session| lanes::resolve(session, at).await).await
    }

    async fn outbox(&self, lane: Lane, after: Sequence, limit: usize) -> Result<Vec<OutboxRow>, StoreError> {
        self.run(async |session| outbox::after(session, lane, (after, limit)).await)
            .await
    }

    async fn effects(&self, lane: Lane, limit: usize) -> Result<Vec<EffectRow>, StoreError> {
        self.run(async |session| effects::open(session, lane, limit).await)
            .await
    }

    async fn timers(&self, lane: Lane, limit: usize) -> Result<Vec<TimerRow>, StoreError> {
        self.run(async |session| timers::of_lane(session, lane, limit).await)
            .await
    }

    /// The horizon first, in a transaction of its own: a unit that finds a row gone must find the horizon raised.
    async fn retain(&self, retention: Retention) -> Result<u64, StoreError> {
        let most = usize::try_from(retention.limit).unwrap_or(usize::MAX);
        let sweep = *self.sweep.lock().unwrap_or_else(PoisonError::into_inner);
        let (events, next, facts) = self
            .run(async |session| {
                let horizon = meta::raise_horizon(session, retention.inbox_horizon).await?;
                let (events, next) = inbox::forget(session, sweep, (horizon, most)).await?;
                let facts = outbox::forget(session, retention.outbox_before, most).await?;
                Ok((events, next, facts))
            })
            .await?;
        *self.sweep.lock().unwrap_or_else(PoisonError::into_inner) = next;
        Ok(events + facts)
    }
}

/// The statement that claims stands alone, and its answer is the owner's word. What a former owner did before it is there
/// to read after it.
async fn claim(session: &Session, lane: Lane) -> Result<Claim, Failure> {
    let row = lanes::claim(session, lane).await?;
    Ok(Claim {
        at: row.at,
        next_sequence: row.next_sequence,
        published: row.published,
        progress: progress::of_lane(session, lane).await?,
        flood: row.flood,
    })
}
