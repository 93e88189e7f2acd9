//! The simulator's own books: one row per idempotency key, durable before the answer is given.
//!
//! Table `charges`, for anyone who may read the file:
//!
//! | column | what |
//! | --- | --- |
//! | `idempotency_key` | primary key |
//! | `order_id` | the order, as the request named it |
//! | `outcome` | `charged` or `declined`; decided once, by the first call |
//! | `charge_id` | the gateway's name for the charge; null where declined |
//! | `reason` | why declined; null where charged |
//! | `amount_minor`, `currency` | what was asked for; what was charged if it was |
//! | `created_at` | time of the first call, milliseconds since 1970-01-01 UTC |
//! | `calls` | how many calls came under this key |

mod writer;

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use orderflow_domain::payment::Charge;
use rusqlite::{Connection, ErrorCode, OpenFlags, TransactionBehavior};
use thiserror::Error;
use tokio::sync::oneshot;

use self::writer::{Request, Writer};
use super::Verdict;

/// Name of the ledger's file in the data directory.
pub const FILE_NAME: &str = "gateway.db";

/// Version of the file's layout, in `PRAGMA user_version`.
const LAYOUT: i64 = 1;

/// How long a reader's lock is waited for; readers of a WAL database hold none for longer than an instant.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
const BUSY_PAUSE: Duration = Duration::from_millis(10);

const CREATE: &str = "
    CREATE TABLE charges (
        idempotency_key TEXT PRIMARY KEY,
        order_id TEXT NOT NULL,
        outcome TEXT NOT NULL CHECK (outcome IN ('charged', 'declined')),
        charge_id TEXT UNIQUE,
        reason TEXT,
        amount_minor INTEGER NOT NULL,
        currency TEXT NOT NULL,
        created_at INTEGER NOT NULL,
        calls INTEGER NOT NULL,
        CHECK ((outcome = 'charged') = (charge_id IS NOT NULL)),
        CHECK ((outcome = 'declined') = (reason IS NOT NULL))
    ) STRICT, WITHOUT ROWID;
    PRAGMA user_version = 1;";

/// Writes the books, from a thread of its own. Cheap to clone.
#[derive(Debug, Clone)]
pub(super) struct Ledger {
    writer: Writer,
}

/// A charge and what its first call decides: `Err` is the reason for declining it.
#[derive(Debug)]
pub(super) struct Booking {
    pub(super) charge: Charge,
    pub(super) decision: Result<(), String>,
}

/// How a charge stands in the books after a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Booked {
    /// The first call's, whatever this one said.
    pub(super) verdict: Verdict,
    /// This call included.
    pub(super) calls: u32,
}

/// The ledger cannot be used, or refuses a call.
#[derive(Debug, Error)]
pub enum LedgerError {
    /// The file is not a ledger, or cannot be read or written.
    #[error("the gateway's ledger {path}: {source}", path = path.display())]
    Database {
        /// The file.
        path: PathBuf,
        /// What SQLite says.
        source: rusqlite::Error,
    },
    /// Another layout than this version's.
    #[error("the gateway's ledger {path} has layout {found}; this version knows {LAYOUT}", path = path.display())]
    Layout {
        /// The file.
        path: PathBuf,
        /// The layout it has.
        found: i64,
    },
    /// Settings that durability rests on did not take.
    #[error("the gateway's ledger {path} does not take PRAGMA {pragma}", path = path.display())]
    Pragma {
        /// The file.
        path: PathBuf,
        /// The setting.
        pragma: &'static str,
    },
    /// A key comes again with another charge.
    #[error("idempotency key {0} was used for another charge before")]
    KeyReused(String),
    /// The transaction that this call was in failed; nothing of it is booked.
    #[error("the call is not booked: {0}")]
    NotBooked(String),
    /// The writing thread has ended.
    #[error("the gateway's ledger has been closed")]
    Closed,
}

/// One row of the books.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// The key it was asked for under.
    pub idempotency_key: String,
    /// The order, as the request named it.
    pub order_id: String,
    /// What was decided.
    pub verdict: Verdict,
    /// What was asked for, in minor units.
    pub amount_minor: i64,
    /// Its currency.
    pub currency: String,
    /// Time of the first call, milliseconds since 1970-01-01 UTC.
    pub created_at: i64,
    /// How many calls came under this key.
    pub calls: u32,
}

impl Ledger {
    pub(super) fn open(path: &Path) -> Result<Self, LedgerError> {
        let connection = open_writable(path)?;
        let writer = Writer::start(connection).map_err(|error| LedgerError::NotBooked(error.to_string()))?;
        Ok(Self { writer })
    }

    /// Books a call; durable when this returns.
    pub(super) async fn book(&self, booking: Booking) -> Result<Booked, LedgerError> {
        let (reply, booked) = oneshot::channel();
        self.writer.send(Request::Book(booking, reply))?;
        booked.await.map_err(|_closed| LedgerError::Closed)?
    }

    pub(super) async fn find(&self, idempotency_key: &str) -> Result<Option<Verdict>, LedgerError> {
        let (reply, found) = oneshot::channel();
        self.writer.send(Request::Find(idempotency_key.to_owned(), reply))?;
        found.await.map_err(|_closed| LedgerError::Closed)?
    }
}

/// Reads a ledger beside the gateway that writes it, in order of idempotency key, one entry at a time.
///
/// # Errors
/// When the file cannot be read as a ledger, or `each` fails.
pub fn read<E: From<LedgerError>>(path: &Path, mut each: impl FnMut(Entry) -> Result<(), E>) -> Result<(), E> {
    let database = |source| LedgerError::Database {
        path: path.to_owned(),
        source,
    };
    let connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY).map_err(database)?;
    connection.busy_timeout(BUSY_TIMEOUT).map_err(database)?;
    check_layout(&connection, path)?;
    let mut select = connection
        .prepare(
            "SELECT idempotency_key, order_id, charge_id, reason, amount_minor, currency, created_at, calls
             FROM charges ORDER BY idempotency_key",
        )
        .map_err(database)?;
    let mut rows = select.query([]).map_err(database)?;
    while let Some(row) = rows.next().map_err(database)? {
        each(entry(row).map_err(database)?)?;
    }
    Ok(())
}

fn open_writable(path: &Path) -> Result<Connection, LedgerError> {
    let database = |source| LedgerError::Database {
        path: path.to_owned(),
        source,
    };
    let mut connection = Connection::open(path).map_err(database)?;
    connection.busy_timeout(BUSY_TIMEOUT).map_err(database)?;
    for (pragma, value, reads_back) in [("journal_mode", "wal", "wal"), ("synchronous", "full", "2")] {
        set(&connection, (pragma, value)).map_err(database)?;
        if pragma_text(&connection, pragma).map_err(database)? != reads_back {
            return Err(LedgerError::Pragma {
                path: path.to_owned(),
                pragma,
            });
        }
    }
    create(&mut connection).map_err(database)?;
    check_layout(&connection, path)?;
    Ok(connection)
}

/// Where several turn a new file to its journal mode at once SQLite refuses some without waiting: they could wait for one
/// another. It is tried again here for as long.
fn set(connection: &Connection, (pragma, value): (&str, &str)) -> rusqlite::Result<()> {
    let until = Instant::now() + BUSY_TIMEOUT;
    loop {
        match connection.pragma_update(None, pragma, value) {
            Err(error) if is_busy(&error) && Instant::now() < until => std::thread::sleep(BUSY_PAUSE),
            done => return done,
        }
    }
}

fn is_busy(error: &rusqlite::Error) -> bool {
    error.sqlite_error_code() == Some(ErrorCode::DatabaseBusy)
}

/// Makes the tables unless they are there. One process does, of several that look at the same time.
fn create(connection: &mut Connection) -> rusqlite::Result<()> {
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    if layout(&transaction)? == 0 {
        transaction.execute_batch(CREATE)?;
    }
    transaction.commit()
}

fn check_layout(connection: &Connection, path: &Path) -> Result<(), LedgerError> {
    let path = path.to_owned();
    match layout(connection) {
        Ok(LAYOUT) => Ok(()),
        Ok(found) => Err(LedgerError::Layout { path, found }),
        Err(source) => Err(LedgerError::Database { path, source }),
    }
}

fn layout(connection: &Connection) -> rusqlite::Result<i64> {
    connection.pragma_query_value(None, "user_version", |row| row.get(0))
}

fn pragma_text(connection: &Connection, pragma: &str) -> rusqlite::Result<String> {
    connection.query_row(
        &format!("SELECT CAST({pragma} AS TEXT) FROM pragma_{pragma}"),
        [],
        |row| row.get(0),
    )
}

fn entry(row: &rusqlite::Row<'_>) -> rusqlite::Result<Entry> {
    Ok(Entry {
        idempotency_key: row.get(0)?,
        order_id: row.get(1)?,
        verdict: verdict(row.get(2)?, row.get(3)?),
        amount_minor: row.get(4)?,
        currency: row.get(5)?,
        created_at: row.get(6)?,
        calls: row.get(7)?,
    })
}

/// The table's checks let exactly one of the two be there.
fn verdict(charge_id: Option<String>, reason: Option<String>) -> Verdict {
    match charge_id {
        Some(charge_id) => Verdict::Charged { charge_id },
        None => Verdict::Declined {
            reason: reason.unwrap_or_default(),
        },
    }
}
