//! The rows of the service.

use std::collections::HashMap;

use tokio_postgres::Row;

use super::get;
use crate::rows::{Rank, RowKey, StoredRow, Version};
use crate::store::StoreError;
use crate::store::postgres::failure::Failure;
use crate::store::postgres::session::Session;

pub(in crate::store::postgres) const STATEMENTS: &[&str] = &[LOAD, INSERT, UPDATE];

/// Locks in the order of keys: the rows are asked for one after the other, as they are given.
const LOAD: &str = "SELECT s.key, s.version, s.body FROM unnest($2::text[]) AS w (key) CROSS JOIN LATERAL \
    (SELECT key, version, body FROM state WHERE entity = $1 AND key = w.key FOR UPDATE) AS s";

/// In the order given, which is that of locks: an insert waits for another's insert of the same key.
const INSERT: &str = "INSERT INTO state (entity, key, version, body) \
    SELECT $1, w.key, 1, w.body FROM unnest($2::text[], $3::text[]) AS w (key, body)";

/// An upsert always goes by the primary key, where a join's way depends on what the table looked like when it was planned.
/// It counts the rows that were there: they keep the lock they were loaded under in `xmax`, and a row that was not there
/// has none.
const UPDATE: &str = "WITH written AS (INSERT INTO state AS s (entity, key, version, body) \
        SELECT $1, w.key, w.version + 1, w.body \
        FROM unnest($2::text[], $3::bigint[], $4::text[]) AS w (key, version, body) \
        ON CONFLICT (entity, key) DO UPDATE SET version = excluded.version, body = excluded.body \
        WHERE s.version = excluded.version - 1 RETURNING xmax <> 0 AS was_there) \
    SELECT count(*) FROM written WHERE was_there";

/// One row, as [`EACH`].
pub(in crate::store::postgres) const ONE: &str = "SELECT key, version, body FROM state WHERE entity = $1 AND key = $2";

/// Every row of an entity in the order of keys: key, version, body.
pub(in crate::store::postgres) const EACH: &str =
    "SELECT key, version, body FROM state WHERE entity = $1 ORDER BY key COLLATE \"C\"";

/// A row of [`EACH`].
pub(in crate::store::postgres) fn read(row: &Row) -> Result<(String, Version, Vec<u8>), Failure> {
    Ok((get(row, 0)?, get(row, 1)?, get::<String>(row, 2)?.into_bytes()))
}

/// Locks and loads the rows of one entity: by key, its version and body.
pub(in crate::store::postgres) async fn load(
    session: &Session,
    entity: Rank,
    keys: &[&str],
) -> Result<HashMap<String, (Version, Vec<u8>)>, Failure> {
    let rows = session.query(LOAD, &[&entity.name, &keys]).await?;
    let mut loaded = HashMap::with_capacity(rows.len());
    for row in &rows {
        let (key, version, body) = read(row)?;
        loaded.insert(key, (version, body));
    }
    Ok(loaded)
}

/// The keys of each entity, entities in the order of locks.
pub(in crate::store::postgres) fn by_entity(keys: &[RowKey]) -> Vec<(Rank, Vec<&str>)> {
    let mut sorted: Vec<&RowKey> = keys.iter().collect();
    sorted.sort_unstable();
    sorted.dedup();
    let groups = sorted.chunk_by(|a, b| a.entity == b.entity);
    groups
        .map(|group| (group[0].entity, group.iter().map(|key| &*key.key).collect()))
        .collect()
}

/// Rows of one entity, those to insert apart from those to update.
#[derive(Debug)]
pub(in crate::store::postgres) struct Changed<'a> {
    entity: &'static str,
    inserted: (Vec<&'a str>, Vec<&'a str>),
    updated: (Vec<&'a str>, Vec<Version>, Vec<&'a str>),
}

/// Takes rows apart by entity, in the order given.
pub(in crate::store::postgres) fn changed(rows: &[StoredRow]) -> Result<Vec<Changed<'_>>, Failure> {
    rows.chunk_by(|a, b| a.key.entity == b.key.entity)
        .map(Changed::of)
        .collect()
}

impl<'a> Changed<'a> {
    fn of(rows: &'a [StoredRow]) -> Result<Self, Failure> {
        let mut changed = Self {
            entity: rows[0].key.entity.name,
            inserted: Default::default(),
            updated: Default::default(),
        };
        for row in rows {
            let (key, body) = (&*row.key.key, json(row)?);
            if row.version == 0 {
                changed.inserted.0.push(key);
                changed.inserted.1.push(body);
            } else {
                changed.updated.0.push(key);
                changed.updated.1.push(row.version);
                changed.updated.2.push(body);
            }
        }
        Ok(changed)
    }

    /// Writes the new rows, each if there is none of its key.
    pub(in crate::store::postgres) async fn insert(&self, session: &Session) -> Result<(), Failure> {
        let (keys, bodies) = &self.inserted;
        if keys.is_empty() {
            return Ok(());
        }
        match session.execute(INSERT, &[&self.entity, keys, bodies]).await {
            Err(failure) if failure.is_taken("state") => Err(self.stale()),
            written => written.map(drop),
        }
    }

    /// Writes the others, each if it is still at the version it was loaded at.
    pub(in crate::store::postgres) async fn update(&self, session: &Session) -> Result<(), Failure> {
        let (keys, versions, bodies) = &self.updated;
        if keys.is_empty() {
            return Ok(());
        }
        let row = session.row(UPDATE, &[&self.entity, keys, versions, bodies]).await?;
        if super::counted(&row, 0)? == keys.len() as u64 {
            Ok(())
        } else {
            Err(self.stale())
        }
    }

    fn stale(&self) -> Failure {
        let entity = self.entity.to_owned();
        StoreError::Stale { entity }.into()
    }
}

/// A body as the text that it is.
fn json(row: &StoredRow) -> Result<&str, Failure> {
    match row.body.as_deref().map(std::str::from_utf8) {
        Some(Ok(text)) => Ok(text),
        _ => Err(StoreError::Refused(format!(
            "row {} {:?} has no body, or one that is not text",
            row.key.entity.name, row.key.key
        ))
        .into()),
    }
}
