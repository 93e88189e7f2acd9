//! What the database is: whose, which, and since when.

use rusqlite::{Connection, OptionalExtension as _, params};

use crate::store::sqlite::failure::Failure;
use crate::store::{StoreError, TopicCount, pipeline};

/// Whose database it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::store::sqlite) struct Meta {
    pub(in crate::store::sqlite) instance: String,
    pub(in crate::store::sqlite) group: Option<String>,
    pub(in crate::store::sqlite) created_at: i64,
    pub(in crate::store::sqlite) inbox_horizon: i64,
}

pub(in crate::store::sqlite) fn read(connection: &Connection) -> rusqlite::Result<Meta> {
    let sql = "SELECT instance, group_name, created_at, inbox_horizon FROM meta";
    connection.prepare_cached(sql)?.query_row([], |row| {
        Ok(Meta {
            instance: row.get(0)?,
            group: row.get(1)?,
            created_at: row.get(2)?,
            inbox_horizon: row.get(3)?,
        })
    })
}

/// Makes the database the group's unless it is another's.
pub(in crate::store::sqlite) fn belong_to(connection: &Connection, group: &str) -> Result<(), Failure> {
    connection.execute("UPDATE meta SET group_name = ?1 WHERE group_name IS NULL", [group])?;
    match read(connection)?.group {
        Some(held) if held == group => Ok(()),
        held => Err(Failure::unfit(format!(
            "the database belongs to group {:?}, not to {group:?}; each group has a database of its own: give another path",
            held.unwrap_or_default()
        ))),
    }
}

/// Halts before topics of another pipeline, or forgets them where the database is adopted.
pub(in crate::store::sqlite) fn know_one_of(
    connection: &Connection,
    had: &[TopicCount],
    adopts: bool,
) -> Result<(), Failure> {
    match pipeline::another(&topics(connection)?, had) {
        Some(_) if adopts => Ok(connection.execute("DELETE FROM topics", []).map(drop)?),
        Some(why) => Err(Failure::unfit(format!("the database is {why}"))),
        None => Ok(()),
    }
}

/// Records a partition count, or compares it with the one recorded.
pub(in crate::store::sqlite) fn count_partitions(connection: &Connection, count: &TopicCount) -> Result<(), Failure> {
    let sql = "INSERT INTO topics (topic, partition_count) VALUES (?1, ?2) ON CONFLICT (topic) DO NOTHING";
    connection
        .prepare_cached(sql)?
        .execute(params![count.topic, count.partitions])?;
    let sql = "SELECT partition_count FROM topics WHERE topic = ?1";
    let recorded: i32 = connection
        .prepare_cached(sql)?
        .query_row([&count.topic], |row| row.get(0))?;
    if recorded == count.partitions {
        return Ok(());
    }
    let (topic, partitions) = (count.topic.to_string(), count.partitions);
    Err(StoreError::Grown {
        topic,
        partitions,
        recorded,
    }
    .into())
}

/// Records a greater partition count, and that a topic which is read is so from the beginning of each new partition.
pub(in crate::store::sqlite) fn grow(connection: &Connection, count: &TopicCount) -> rusqlite::Result<()> {
    let sql = "WITH RECURSIVE fresh (partition) AS (
            SELECT partition_count FROM topics WHERE topic = ?1 AND partition_count < ?2
            UNION ALL SELECT partition + 1 FROM fresh WHERE partition + 1 < ?2)
        INSERT INTO progress (partition, topic, next_offset, start_offset)
        SELECT partition, ?1, 0, 0 FROM fresh WHERE EXISTS (SELECT 1 FROM progress WHERE topic = ?1)";
    connection
        .prepare_cached(sql)?
        .execute(params![count.topic, count.partitions])?;
    let sql = "UPDATE topics SET partition_count = ?2 WHERE topic = ?1 AND partition_count < ?2";
    connection
        .prepare_cached(sql)?
        .execute(params![count.topic, count.partitions])?;
    Ok(())
}

pub(in crate::store::sqlite) fn topics(connection: &Connection) -> rusqlite::Result<Vec<TopicCount>> {
    let mut statement = connection.prepare_cached("SELECT topic, partition_count FROM topics ORDER BY topic")?;
    let rows = statement.query_map([], |row| {
        Ok(TopicCount {
            topic: row.get(0)?,
            partitions: row.get(1)?,
        })
    })?;
    rows.collect()
}

/// Whether no unit was ever committed.
pub(in crate::store::sqlite) fn is_fresh(connection: &Connection) -> rusqlite::Result<bool> {
    let turned = connection.query_row("SELECT 1 FROM lanes WHERE turn > 0 LIMIT 1", [], |_| Ok(()));
    Ok(turned.optional()?.is_none())
}

/// The horizon only ever rises.
pub(in crate::store::sqlite) fn raise_horizon(connection: &Connection, horizon: i64) -> rusqlite::Result<i64> {
    let sql = "UPDATE meta SET inbox_horizon = max(inbox_horizon, ?1) RETURNING inbox_horizon";
    connection.query_row(sql, [horizon], |row| row.get(0))
}
