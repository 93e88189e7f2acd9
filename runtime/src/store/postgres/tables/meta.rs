//! What the database is: whose, which, and since when. Asked for rarely, so prepared when asked for.

use tokio_postgres::Row;
use uuid::Uuid;

use super::get;
use crate::store::postgres::failure::Failure;
use crate::store::postgres::session::Session;
use crate::store::{StoreError, Summary, TopicCount, pipeline};

/// The one row.
pub(in crate::store::postgres) const ONE: &str = "SELECT instance, group_name, created_at, inbox_horizon FROM meta";

/// The recorded partition counts.
pub(in crate::store::postgres) const TOPICS: &str = "SELECT topic, partition_count FROM topics ORDER BY topic";

/// Whose database it is: its group and its identity.
pub(in crate::store::postgres) fn summary(row: &Row) -> Result<Summary, Failure> {
    let horizon: i64 = get(row, 3)?;
    Ok(Summary {
        group: get(row, 1)?,
        instance: get::<Uuid>(row, 0)?.to_string(),
        created_at: get(row, 2)?,
        inbox_horizon: Some(horizon).filter(|horizon| *horizon > i64::MIN),
    })
}

pub(in crate::store::postgres) async fn read(session: &Session) -> Result<Summary, Failure> {
    summary(&session.row(ONE, &[]).await?)
}

/// Makes the database the group's unless it is another's.
pub(in crate::store::postgres) async fn belong_to(session: &Session, group: &str) -> Result<(), Failure> {
    let sql = "UPDATE meta SET group_name = $1 WHERE group_name IS NULL";
    session.execute(sql, &[&group]).await?;
    match read(session).await?.group {
        Some(held) if held == group => Ok(()),
        held => Err(Failure::unfit(format!(
            "the schema belongs to group {:?}, not to {group:?}; each group has a schema of its own: give another one with \
             ?schema=NAME",
            held.unwrap_or_default()
        ))),
    }
}

/// Halts before topics of another pipeline, or forgets them where the schema is adopted. After [`belong_to`], which the first
/// of two on a fresh schema is alone in.
pub(in crate::store::postgres) async fn know_one_of(
    session: &Session,
    topics: &[TopicCount],
    adopts: bool,
) -> Result<(), Failure> {
    match pipeline::another(&recorded(session).await?, topics) {
        Some(_) if adopts => session.execute("DELETE FROM topics", &[]).await.map(drop),
        Some(why) => Err(Failure::unfit(format!("the schema is {why}"))),
        None => Ok(()),
    }
}

/// Records partition counts, and compares those that were recorded before.
pub(in crate::store::postgres) async fn count_partitions(
    session: &Session,
    counts: &[TopicCount],
) -> Result<(), Failure> {
    const RECORD: &str = "INSERT INTO topics (topic, partition_count) \
        SELECT * FROM unnest($1::text[], $2::integer[]) AS t (topic, partitions) ORDER BY topic COLLATE \"C\" \
        ON CONFLICT (topic) DO NOTHING";
    let names: Vec<&str> = counts.iter().map(|count| &*count.topic).collect();
    let partitions: Vec<i32> = counts.iter().map(|count| count.partitions).collect();
    session.execute(RECORD, &[&names, &partitions]).await?;
    let recorded = recorded(session).await?;
    for count in counts {
        let held = recorded
            .iter()
            .find(|held| held.topic == count.topic)
            .map(|held| held.partitions);
        if held != Some(count.partitions) {
            return Err(StoreError::Grown {
                topic: count.topic.to_string(),
                partitions: count.partitions,
                recorded: held.unwrap_or_default(),
            }
            .into());
        }
    }
    Ok(())
}

/// Records greater partition counts, and that a topic which is read is so from the beginning of each new partition.
pub(in crate::store::postgres) async fn grow(session: &Session, counts: &[TopicCount]) -> Result<(), Failure> {
    const GROW: &str = "WITH grown AS (SELECT topic, partition_count AS before, partitions FROM topics \
            JOIN unnest($1::text[], $2::integer[]) AS now (topic, partitions) USING (topic) \
            WHERE partition_count < partitions), \
        begun AS (INSERT INTO progress (partition, topic, next_offset, start_offset) \
            SELECT partition, topic, 0, 0 FROM grown, generate_series(before, partitions - 1) AS partition \
            WHERE EXISTS (SELECT 1 FROM progress WHERE progress.topic = grown.topic)) \
        UPDATE topics SET partition_count = grown.partitions FROM grown WHERE topics.topic = grown.topic";
    let names: Vec<&str> = counts.iter().map(|count| &*count.topic).collect();
    let partitions: Vec<i32> = counts.iter().map(|count| count.partitions).collect();
    session.execute(GROW, &[&names, &partitions]).await?;
    Ok(())
}

async fn recorded(session: &Session) -> Result<Vec<TopicCount>, Failure> {
    session.query(TOPICS, &[]).await?.iter().map(topic).collect()
}

pub(in crate::store::postgres) fn topic(row: &Row) -> Result<TopicCount, Failure> {
    Ok(TopicCount {
        topic: get::<&str>(row, 0)?.into(),
        partitions: get(row, 1)?,
    })
}

/// Whether no unit was ever committed.
pub(in crate::store::postgres) async fn is_fresh(session: &Session) -> Result<bool, Failure> {
    let sql = "SELECT NOT EXISTS (SELECT 1 FROM lanes WHERE turn > 0)";
    get(&session.row(sql, &[]).await?, 0)
}

/// The horizon only ever rises.
pub(in crate::store::postgres) async fn raise_horizon(session: &Session, horizon: i64) -> Result<i64, Failure> {
    let sql = "UPDATE meta SET inbox_horizon = greatest(inbox_horizon, $1) RETURNING inbox_horizon";
    get(&session.row(sql, &[&horizon]).await?, 0)
}
