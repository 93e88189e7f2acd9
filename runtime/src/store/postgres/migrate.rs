//! The versions of a schema: found, compared with what this program knows, and brought up to date.

use std::time::SystemTime;

use tokio_postgres::{Client, Error};

use super::PostgresAddress;
use super::address::quoted;
use super::failure::plain;
use super::open_error::{OpenError, refusal};

/// Each step of the schema with its name. Released steps are never edited.
pub(super) const MIGRATIONS: &[(&str, &str)] = &[
    ("tables", include_str!("sql/0001_tables.sql")),
    ("views", include_str!("sql/0002_views.sql")),
    ("narrow", include_str!("sql/0003_narrow.sql")),
    ("packed", include_str!("sql/0004_packed.sql")),
];

/// The first half of the advisory lock that migrations take; reads `OrdF`. The second is the schema's.
const LOCK: i32 = 0x4f72_6446;

/// A step may take long, and so may whoever has the lock.
const BEGIN: &str = "BEGIN; SET LOCAL statement_timeout = 0; SET LOCAL lock_timeout = '10min'";

/// What stands in the place of a schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Found {
    /// Nothing, not even the schema.
    Absent,
    /// An empty schema: whoever may not create one was given it.
    Empty,
    /// Ours, at this version.
    Version(i64),
    /// Tables of another program.
    Foreign,
}

impl Found {
    /// The version that is there; 0 where there is none.
    pub(super) const fn version(self) -> i64 {
        match self {
            Self::Version(version) => version,
            Self::Absent | Self::Empty | Self::Foreign => 0,
        }
    }
}

/// The latest version of this program.
pub(super) fn known() -> i64 {
    i64::try_from(MIGRATIONS.len()).unwrap_or(i64::MAX)
}

/// Compares the schema with what this program knows; `migrate` says whether it may be brought up to date.
pub(super) async fn prepare(client: &Client, address: &PostgresAddress, migrate: bool) -> Result<(), OpenError> {
    let location = address.location();
    let found = recognise(client, address).await?;
    let known = known();
    match found {
        Found::Foreign => Err(OpenError::Foreign { location }),
        Found::Version(found) if found > known => Err(OpenError::NewerVersion { location, found, known }),
        Found::Version(found) if found == known => Ok(()),
        _ if migrate => run(client, address).await.map(drop),
        Found::Version(found) => Err(OpenError::OlderVersion { location, found, known }),
        Found::Absent | Found::Empty => Err(OpenError::Missing {
            location,
            what: "there is no such schema yet; run orderflow db migrate, or start its service, which makes it"
                .to_owned(),
        }),
    }
}

/// What is there. Reads only.
pub(super) async fn recognise(client: &Client, address: &PostgresAddress) -> Result<Found, OpenError> {
    const SQL: &str = "SELECT n.oid IS NOT NULL, count(c.oid), count(c.oid) FILTER (WHERE c.relname = 'schema_versions') \
        FROM (VALUES ($1::text)) AS asked (name) \
        LEFT JOIN pg_catalog.pg_namespace AS n ON n.nspname = asked.name \
        LEFT JOIN pg_catalog.pg_class AS c ON c.relnamespace = n.oid AND c.relkind IN ('r', 'p', 'v', 'm', 'f', 'S') \
        GROUP BY n.oid";
    let location = address.location();
    let failed = |error: Error| refusal(&error, &location);
    let row = client.query_one(SQL, &[&address.schema]).await.map_err(failed)?;
    let (there, objects, ours): (bool, i64, i64) = (row.get(0), row.get(1), row.get(2));
    match (there, objects, ours) {
        (false, _, _) => Ok(Found::Absent),
        (true, 0, _) => Ok(Found::Empty),
        (true, _, 0) => Ok(Found::Foreign),
        _ => {
            // By its full name: along the path, a schema that may not be used looks like one that is not there.
            let table = format!("{}.schema_versions", quoted(&address.schema));
            let sql = format!("SELECT coalesce(max(version), 0)::bigint FROM {table}");
            let row = client.query_one(&sql, &[]).await.map_err(failed)?;
            Ok(Found::Version(row.get(0)))
        }
    }
}

/// Brings the schema up to date in one transaction, one program at a time; says from which version to which.
pub(super) async fn run(client: &Client, address: &PostgresAddress) -> Result<(i64, i64), OpenError> {
    let location = address.location();
    let failed = |error: Error| may_not(&error, &location);
    client.batch_execute(BEGIN).await.map_err(failed)?;
    let migrated = steps(client, address).await;
    let end = if migrated.is_ok() { "COMMIT" } else { "ROLLBACK" };
    let ended = client.batch_execute(end).await.map_err(failed);
    let (from, to) = migrated?;
    ended?;
    if from < to {
        tracing::info!(location, from, to, "brought the schema up to date");
    }
    Ok((from, to))
}

async fn steps(client: &Client, address: &PostgresAddress) -> Result<(i64, i64), OpenError> {
    let location = address.location();
    let failed = |error: Error| may_not(&error, &location);
    alone(client, address).await.map_err(failed)?;
    // Whoever had the lock before may have done it.
    let found = recognise(client, address).await?;
    match found {
        Found::Foreign => return Err(OpenError::Foreign { location }),
        Found::Absent => {
            let sql = format!("CREATE SCHEMA {}", quoted(&address.schema));
            client.batch_execute(&sql).await.map_err(failed)?;
        }
        Found::Empty | Found::Version(_) => {}
    }
    let from = found.version();
    if from > known() {
        return Err(OpenError::NewerVersion {
            location,
            found: from,
            known: known(),
        });
    }
    for (version, (name, step)) in (1_i64..).zip(MIGRATIONS).filter(|(version, _)| *version > from) {
        client.batch_execute(step).await.map_err(failed)?;
        if version == 1 {
            introduce(client).await.map_err(failed)?;
        }
        let sql = "INSERT INTO schema_versions (version, name) VALUES ($1, $2)";
        client.execute(sql, &[&version, name]).await.map_err(failed)?;
    }
    Ok((from, known()))
}

/// Until the transaction ends nobody else changes this schema. Whoever waits for that says so: it may take long.
async fn alone(client: &Client, address: &PostgresAddress) -> Result<(), Error> {
    const TRY: &str = "SELECT pg_try_advisory_xact_lock($1, hashtext($2))";
    const WAIT: &str = "SELECT pg_advisory_xact_lock($1, hashtext($2))";
    if client.query_one(TRY, &[&LOCK, &address.schema]).await?.get(0) {
        return Ok(());
    }
    let location = address.location();
    tracing::warn!(
        location,
        "waiting for another program that brings the schema up to date"
    );
    client.execute(WAIT, &[&LOCK, &address.schema]).await.map(drop)
}

/// A new schema gets the table of its versions, which never changes, and the identity it keeps for life.
async fn introduce(client: &Client) -> Result<(), Error> {
    let table = "CREATE TABLE schema_versions (version bigint PRIMARY KEY, name text NOT NULL, \
        applied_at timestamptz NOT NULL DEFAULT now())";
    client.batch_execute(table).await?;
    let since = SystemTime::now()
        .duration_since(SystemTime::UNIX_EPOCH)
        .unwrap_or_default();
    let now = i64::try_from(since.as_millis()).unwrap_or(i64::MAX);
    let sql = "INSERT INTO meta (one, instance, created_at, inbox_horizon) VALUES (1, gen_random_uuid(), $1, $2)";
    client.execute(sql, &[&now, &i64::MIN]).await.map(drop)
}

/// A right that is missing here is one to create things.
fn may_not(error: &Error, location: &str) -> OpenError {
    match refusal(error, location) {
        OpenError::Forbidden { location, .. } => OpenError::Forbidden {
            location,
            what: "grant CREATE on the database or make the schema for it, or let its owner run orderflow db migrate"
                .to_owned(),
            why: plain(error),
        },
        other => other,
    }
}
