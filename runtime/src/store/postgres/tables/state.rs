//! The rows of the service.

use tokio_postgres::Row as SqlRow;

use super::{get, stale};
use crate::rows::{Rank, RowKey, StoredRow, Version};
use crate::store::held::{Changed, json};
use crate::store::postgres::failure::Failure;
use crate::store::postgres::session::Session;

pub(in crate::store::postgres) const STATEMENTS: &[&str] = &[LOCK, LOAD, INSERT, UPDATE];

/// Locks in the order of keys: the rows are asked for one after the other, as they are given.
const LOCK: &str = "SELECT s.key, s.version, s.body FROM unnest($2::text[]) AS w (key) CROSS JOIN LATERAL \
    (SELECT key, version, body FROM state WHERE entity = $1 AND key = w.key FOR UPDATE) AS s";

/// Rows that nobody else writes now: whoever reads them has the turn. `OFFSET 0` leaves one way to find them.
const LOAD: &str = "SELECT s.key, s.version, s.body FROM unnest($2::text[]) AS w (key) CROSS JOIN LATERAL \
    (SELECT key, version, body FROM state WHERE entity = $1 AND key = w.key OFFSET 0) AS s";

/// In the order given, which is that of locks: an insert waits for another's insert of the same key.
const INSERT: &str = "INSERT INTO state (entity, key, version, body) \
    SELECT $1, w.key, 1, w.body FROM unnest($2::text[], $3::text[]) AS w (key, body)";

/// Each row if it is still as it was loaded. An upsert always goes by the primary key, where a join's way depends on what
/// the table looked like when it was planned; but it knows no values beside those of columns, so the version that was loaded
/// and how often the row was changed since come as one number ([`step`]). It counts the rows that were there: the upsert
/// locks them first, which is in `xmax`, and a row that was not there has none.
const UPDATE: &str = "WITH written AS (INSERT INTO state AS s (entity, key, version, body) \
        SELECT $1, w.key, w.step, w.body FROM unnest($2::text[], $3::bigint[], $4::text[]) AS w (key, step, body) \
        ON CONFLICT (entity, key) DO UPDATE SET version = s.version + (excluded.version & 1048575), body = excluded.body \
        WHERE s.version = excluded.version >> 20 RETURNING xmax <> 0 AS was_there) \
    SELECT count(*) FROM written WHERE was_there";

/// Bits for how often a row was changed in one transaction: at most once by each lane.
const CHANGES: u32 = 20;

/// No service comes to a version beyond it.
const VERSIONS: Version = 1 << (62 - CHANGES);

/// One row, as [`EACH`].
pub(in crate::store::postgres) const ONE: &str = "SELECT key, version, body FROM state WHERE entity = $1 AND key = $2";

/// Every row of an entity in the order of keys: key, version, body.
pub(in crate::store::postgres) const EACH: &str =
    "SELECT key, version, body FROM state WHERE entity = $1 ORDER BY key COLLATE \"C\"";

/// A row of [`EACH`].
pub(in crate::store::postgres) fn read(row: &SqlRow) -> Result<(String, Version, String), Failure> {
    Ok((get(row, 0)?, get(row, 1)?, get(row, 2)?))
}

/// Loads the rows of one entity: those that are there, with version and body. Those that lanes share are not locked, for
/// whoever has the turn is alone with them. The others are, since an entity may be shared and not said to be.
pub(in crate::store::postgres) async fn load(
    session: &Session,
    entity: Rank,
    keys: &[&str],
) -> Result<Vec<StoredRow>, Failure> {
    let sql = if entity.shared { LOAD } else { LOCK };
    let rows = session.query(sql, &[&entity.name, &keys]).await?;
    let stored = rows.iter().map(|row| {
        let (key, version, body) = read(row)?;
        Ok(StoredRow {
            key: RowKey {
                entity,
                key: key.into(),
            },
            version,
            body: Some(body.into()),
        })
    });
    stored.collect()
}

/// The keys of each entity, entities in the order of locks.
pub(in crate::store::postgres) fn by_entity(mut keys: Vec<&RowKey>) -> Vec<(Rank, Vec<&str>)> {
    keys.sort_unstable();
    keys.dedup();
    let groups = keys.chunk_by(|a, b| a.entity == b.entity);
    groups
        .map(|group| (group[0].entity, group.iter().map(|key| &*key.key).collect()))
        .collect()
}

/// Writes new rows of one entity, each if there is none of its key.
pub(in crate::store::postgres) async fn insert(session: &Session, rows: &[&StoredRow]) -> Result<(), Failure> {
    let Some(first) = rows.first() else { return Ok(()) };
    let entity = first.key.entity.name;
    let keys: Vec<&str> = rows.iter().map(|row| &*row.key.key).collect();
    let bodies: Vec<&str> = rows
        .iter()
        .map(|row| json(row).map(|body| &**body))
        .collect::<Result<_, _>>()?;
    match session.execute(INSERT, &[&entity, &keys, &bodies]).await {
        Err(failure) if failure.is_taken("state") => Err(stale(entity)),
        written => written.map(drop),
    }
}

/// Writes rows of one entity that this transaction has loaded, in the order of keys.
pub(in crate::store::postgres) async fn update(
    session: &Session,
    entity: Rank,
    rows: &[Changed<'_>],
) -> Result<(), Failure> {
    if rows.is_empty() {
        return Ok(());
    }
    let keys: Vec<&str> = rows.iter().map(|row| row.key).collect();
    if let Some(row) = rows.iter().find(|row| row.replaces >= VERSIONS) {
        let (name, key, version) = (entity.name, row.key, row.replaces);
        return Err(Failure::halt(format!(
            "{name} {key:?} has version {version}, which no service has written"
        )));
    }
    let steps: Vec<i64> = rows.iter().map(step).collect();
    let bodies: Vec<&str> = rows.iter().map(|row| row.body).collect();
    let row = session.row(UPDATE, &[&entity.name, &keys, &steps, &bodies]).await?;
    if super::counted(&row, 0)? == keys.len() as u64 {
        return Ok(());
    }
    Err(stale(entity.name))
}

/// From which version to which, as [`UPDATE`] takes it.
const fn step(row: &Changed<'_>) -> i64 {
    row.replaces << CHANGES | (row.version - row.replaces)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_statement_takes_a_step_apart_as_it_was_made() {
        let row = Changed {
            key: "a",
            replaces: 7,
            version: 10,
            body: "1",
        };
        let mask = (1_i64 << CHANGES) - 1;
        assert_eq!((step(&row) >> CHANGES, step(&row) & mask), (7, 3));
        assert!(UPDATE.contains(&format!("excluded.version & {mask})")));
        assert!(UPDATE.contains(&format!("excluded.version >> {CHANGES} ")));
    }
}
