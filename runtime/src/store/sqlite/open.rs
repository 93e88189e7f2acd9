//! From a path to a connection with every setting asserted and the schema of this program.

use std::fs::{self, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::{Connection, OpenFlags, TransactionBehavior};
use thiserror::Error;

use super::failure::sentence;
use crate::store::{StoreError, Unusable};

/// Marks the file as ours; reads `OrdF`.
const APPLICATION_ID: i64 = 0x4f72_6446;

/// Schema of the database, each file one step. Released steps are never edited.
const MIGRATIONS: &[&str] = &[
    include_str!("sql/0001_tables.sql"),
    include_str!("sql/0002_views.sql"),
    include_str!("sql/0003_append.sql"),
    include_str!("sql/0004_append_state.sql"),
];

/// Bytes of a page. Rows of the outbox are some hundred bytes: half the tree's depth and splits of the default 4,096.
const PAGE_BYTES: u32 = 8192;

/// What is left of the write-ahead log after it was large once, bytes.
const WAL_KEPT_BYTES: u32 = 64 << 20;

/// Statements of the store are few and fixed; none is ever parsed twice.
const STATEMENTS: usize = 64;

/// How a database file is used. The defaults suit a service of some thousand records a second.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SqliteOptions {
    /// Page cache of the writer, KiB: holds the hot rows and the inner pages of every tree.
    pub cache_kib: u32,
    /// Pages in the write-ahead log before they are moved into the database. Larger saves writes of hot pages; it is also
    /// the size to which the log grows.
    pub checkpoint_pages: u32,
    /// How long to wait for a lock of another program that writes to the file, though it should not.
    pub busy_timeout: Duration,
}

impl Default for SqliteOptions {
    fn default() -> Self {
        Self {
            cache_kib: 8_000,
            checkpoint_pages: 4_000,
            busy_timeout: Duration::from_secs(5),
        }
    }
}

/// Why a database was not opened: what, where, and what to do.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum OpenError {
    /// Another process uses it.
    #[error("{} is in use by {}; it is locked by {}. One process alone may use it: stop the other one first", path.display(), owner(*pid), lock.display())]
    Locked {
        /// The database.
        path: PathBuf,
        /// The file that is locked.
        lock: PathBuf,
        /// Who locked it, as far as it can be read.
        pid: Option<u32>,
    },
    /// It was written by a newer version of this program.
    #[error("{} has schema version {found}, this program knows up to {known}; use the newer program that wrote it", path.display())]
    NewerVersion {
        /// The database.
        path: PathBuf,
        /// The file's version.
        found: i64,
        /// The latest version this program knows.
        known: i64,
    },
    /// It was written by an older version of this program, and a reader may not bring it up to date.
    #[error("{} has schema version {found}, this program reads {known}; start its service once, which brings it up to date", path.display())]
    OlderVersion {
        /// The database.
        path: PathBuf,
        /// The file's version.
        found: i64,
        /// The version this program reads.
        known: i64,
    },
    /// It is not a database, or a broken one.
    #[error("{} is not a database or is damaged; keep a copy of it and restore a backup ({detail})", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What SQLite says.
        detail: String,
    },
    /// It is a database of another program.
    #[error("{} is a database of another program; nothing in it was changed. Give another path", path.display())]
    Foreign {
        /// The database.
        path: PathBuf,
    },
    /// It may not be written, or its folder cannot be made.
    #[error("{} cannot be written; give a path in a folder that may be ({detail})", path.display())]
    Unwritable {
        /// The file or folder.
        path: PathBuf,
        /// What the system says.
        detail: String,
    },
    /// There is none.
    #[error("there is no database at {}; its service makes it when it first runs", path.display())]
    Missing {
        /// Where it should be.
        path: PathBuf,
    },
    /// Something that may pass: a full disk, a lock.
    #[error("{0}")]
    Unavailable(String),
}

fn owner(pid: Option<u32>) -> String {
    pid.map_or_else(|| "another process".to_owned(), |pid| format!("process {pid}"))
}

impl From<OpenError> for StoreError {
    fn from(error: OpenError) -> Self {
        let why = error.to_string();
        let kind = match error {
            OpenError::Unavailable(_) => return Self::Unavailable(why),
            OpenError::Damaged { .. } => return Self::Halt(why),
            OpenError::Locked { .. } | OpenError::Unwritable { .. } => Unusable::Place,
            OpenError::Missing { .. } => Unusable::Missing,
            OpenError::NewerVersion { .. } | OpenError::OlderVersion { .. } | OpenError::Foreign { .. } => {
                Unusable::Unfit
            }
        };
        Self::Unusable { kind, why }
    }
}

/// Where a database is, with symbolic links followed, so that it has one lock by whichever of these names it is called. The
/// folder is made, and the file: SQLite would make it too, and where a link leads can only be told when something is there.
pub(super) fn locate(path: &Path) -> Result<PathBuf, OpenError> {
    let path = std::path::absolute(path).map_err(|error| unwritable(path, &error))?;
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder).map_err(|error| unwritable(folder, &error))?;
    }
    if !path.exists() {
        let made = OpenOptions::new().append(true).create(true).open(&path);
        made.map_err(|error| unwritable(&path, &error))?;
    }
    path.canonicalize().map_err(|error| unwritable(&path, &error))
}

pub(super) fn unwritable(path: &Path, error: &io::Error) -> OpenError {
    OpenError::Unwritable {
        path: path.to_owned(),
        detail: error.to_string(),
    }
}

/// The connection that writes.
pub(super) fn writer(path: &Path, options: &SqliteOptions) -> Result<Connection, OpenError> {
    let failed = |error: rusqlite::Error| refusal(&error, path);
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_CREATE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let mut connection = Connection::open_with_flags(path, flags).map_err(failed)?;
    connection.busy_timeout(options.busy_timeout).map_err(failed)?;
    let found = recognise(&connection, path)?;
    configure(&connection, options).map_err(failed)?;
    migrate(&mut connection, found).map_err(failed)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    Ok(connection)
}

/// A connection that cannot write, whatever it is asked.
pub(super) fn reader(path: &Path) -> Result<Connection, OpenError> {
    if !path.exists() {
        return Err(OpenError::Missing { path: path.to_owned() });
    }
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let opened = Connection::open_with_flags(path, flags).map_err(|error| refusal(&error, path));
    let read = opened.and_then(|connection| prepare_reader(connection, path));
    read.map_err(|refused| match refused {
        OpenError::Unwritable { path, detail } => OpenError::Unavailable(format!(
            "{} cannot be read; whoever reads it needs the right to write in its folder, where the index of the log is \
             kept ({detail})",
            path.display()
        )),
        other => other,
    })
}

/// The schema version of a file, 0 where there is none, and the latest that this program knows. Changes nothing.
pub(super) fn version(path: &Path) -> Result<(i64, i64), OpenError> {
    if !path.exists() {
        return Ok((0, known()));
    }
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(path, flags).map_err(|error| refusal(&error, path))?;
    match recognise(&connection, path) {
        Err(OpenError::NewerVersion { found, known, .. }) => Ok((found, known)),
        found => found.map(|found| (found, known())),
    }
}

fn prepare_reader(connection: Connection, path: &Path) -> Result<Connection, OpenError> {
    let failed = |error: rusqlite::Error| refusal(&error, path);
    let wait = SqliteOptions::default().busy_timeout;
    connection.busy_timeout(wait).map_err(failed)?;
    let found = recognise(&connection, path)?;
    if found < known() {
        return Err(OpenError::OlderVersion {
            path: path.to_owned(),
            found,
            known: known(),
        });
    }
    set(&connection, "query_only", "1").map_err(failed)?;
    connection.set_prepared_statement_cache_capacity(STATEMENTS);
    Ok(connection)
}

/// The latest schema version of this program.
fn known() -> i64 {
    i64::try_from(MIGRATIONS.len()).unwrap_or(i64::MAX)
}

/// The schema version of a file that is ours or empty (0). Reads only: what is another's stays as it is.
fn recognise(connection: &Connection, path: &Path) -> Result<i64, OpenError> {
    let failed = |error: rusqlite::Error| refusal(&error, path);
    let application = number(connection, "PRAGMA application_id").map_err(failed)?;
    let found = number(connection, "PRAGMA user_version").map_err(failed)?;
    let objects = number(connection, "SELECT count(*) FROM sqlite_schema").map_err(failed)?;
    match (application, found, objects) {
        (0, 0, 0) => Ok(0),
        (APPLICATION_ID, found, _) if found > known() => Err(OpenError::NewerVersion {
            path: path.to_owned(),
            found,
            known: known(),
        }),
        (APPLICATION_ID, found, _) => Ok(found),
        _ => Err(OpenError::Foreign { path: path.to_owned() }),
    }
}

fn number(connection: &Connection, sql: &str) -> rusqlite::Result<i64> {
    connection.query_row(sql, [], |row| row.get(0))
}

/// Every setting that durability or speed rests on. The size of a page comes before the first write.
fn configure(connection: &Connection, options: &SqliteOptions) -> rusqlite::Result<()> {
    set(connection, "page_size", &PAGE_BYTES.to_string())?;
    set(connection, "journal_mode", "wal")?;
    // What was committed is synced beside the next transaction: see `sync`.
    set(connection, "synchronous", "1")?;
    set(connection, "fullfsync", "1")?;
    set(connection, "checkpoint_fullfsync", "1")?;
    set(connection, "foreign_keys", "1")?;
    set(connection, "temp_store", "2")?;
    set(connection, "mmap_size", "0")?;
    set(connection, "cache_size", &format!("-{}", options.cache_kib))?;
    // A thread of its own does it: see `checkpoint`.
    set(connection, "wal_autocheckpoint", "0")?;
    set(connection, "journal_size_limit", &WAL_KEPT_BYTES.to_string())
}

/// Sets and reads back: a setting that SQLite does not take is ignored by it without a word.
fn set(connection: &Connection, name: &str, value: &str) -> rusqlite::Result<()> {
    connection
        .pragma_update_and_check(None, name, value, |_| Ok(()))
        .or_else(no_row)?;
    let held = connection.pragma_query_value(None, name, |row| row.get::<_, rusqlite::types::Value>(0))?;
    let held = match held {
        rusqlite::types::Value::Integer(number) => number.to_string(),
        rusqlite::types::Value::Text(text) => text,
        other => format!("{other:?}"),
    };
    if held == value {
        return Ok(());
    }
    let why = format!("PRAGMA {name} is {held} though {value} was asked for");
    Err(rusqlite::Error::SqliteFailure(
        rusqlite::ffi::Error::new(rusqlite::ffi::SQLITE_ERROR),
        Some(why),
    ))
}

/// Some settings answer with their value, some with nothing.
fn no_row(error: rusqlite::Error) -> rusqlite::Result<()> {
    match error {
        rusqlite::Error::QueryReturnedNoRows => Ok(()),
        other => Err(other),
    }
}

/// The steps a file has not seen, each in a transaction with its number.
fn migrate(connection: &mut Connection, found: i64) -> rusqlite::Result<()> {
    for (version, step) in (1..).zip(MIGRATIONS).filter(|(version, _)| *version > found) {
        let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
        transaction.execute_batch(step)?;
        if version == 1 {
            introduce(&transaction)?;
        }
        transaction.pragma_update(None, "user_version", version)?;
        transaction.commit()?;
    }
    if (1..known()).contains(&found) {
        let path = connection.path().unwrap_or_default();
        tracing::info!(path, from = found, to = known(), "brought the database up to date");
    }
    Ok(())
}

/// A new database gets its mark and the identity it keeps for life.
fn introduce(connection: &Connection) -> rusqlite::Result<()> {
    let random: [u8; 16] = connection.query_row("SELECT randomblob(16)", [], |row| row.get(0))?;
    let instance = uuid::Builder::from_random_bytes(random).into_uuid();
    connection.execute(
        "INSERT INTO meta (one, instance, created_at, inbox_horizon) VALUES (1, ?1, ?2, ?3)",
        rusqlite::params![instance.to_string(), super::now(), i64::MIN],
    )?;
    connection.pragma_update(None, "application_id", APPLICATION_ID)
}

/// Why SQLite would not open it.
fn refusal(error: &rusqlite::Error, path: &Path) -> OpenError {
    use rusqlite::ErrorCode as Code;
    let path = path.to_owned();
    let detail = error.to_string();
    match error.sqlite_error_code() {
        Some(Code::NotADatabase | Code::DatabaseCorrupt) => OpenError::Damaged { path, detail },
        Some(Code::ReadOnly | Code::PermissionDenied | Code::CannotOpen) => OpenError::Unwritable { path, detail },
        Some(Code::DiskFull) => OpenError::Unavailable(format!(
            "the disk that holds {} is full; free some space there, then start again. Nothing was changed ({detail})",
            path.display()
        )),
        _ => OpenError::Unavailable(sentence(error, &path)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_for_which_the_disk_has_no_room_leaves_the_file_as_it_was() {
        let mut file = Connection::open_in_memory().expect("opens");
        file.execute_batch(&MIGRATIONS[..2].concat()).expect("version 2");
        let facts = "WITH RECURSIVE n(s) AS (SELECT 1 UNION ALL SELECT s + 1 FROM n WHERE s < 500)
            INSERT INTO outbox SELECT 0, s, randomblob(16), 'facts', 0, 0, NULL, zeroblob(500), x'', NULL, 0 FROM n;
            PRAGMA user_version = 2";
        file.execute_batch(facts).expect("facts");
        let look = |file: &Connection| {
            let version = number(file, "PRAGMA user_version").expect("a version");
            (version, number(file, "SELECT count(*) FROM outbox").expect("a count"))
        };
        let pages = number(&file, "PRAGMA page_count").expect("a size");
        number(&file, &format!("PRAGMA max_page_count = {}", pages + 10)).expect("limited");
        let full = migrate(&mut file, 2).expect_err("no room for another outbox");
        let sentence = refusal(&full, Path::new("group.db")).to_string();
        assert!(
            sentence.contains("is full") && sentence.contains("start again"),
            "{sentence}"
        );
        assert_eq!(look(&file), (2, 500));
        number(&file, "PRAGMA max_page_count = 1000000").expect("room");
        migrate(&mut file, 2).expect("brought up to date");
        assert_eq!(look(&file), (known(), 500));
    }
}
