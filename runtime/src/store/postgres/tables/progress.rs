//! How far each partition is read, and what became of its records.

use std::sync::Arc;

use tokio_postgres::Row;

use super::{count, counted, get};
use crate::record::NextOffset;
use crate::store::postgres::failure::Failure;
use crate::store::postgres::session::Session;
use crate::store::{Counts, Lane, Move, Owner, Progress, Start, StoreError};

pub(in crate::store::postgres) const STATEMENTS: &[&str] = &[OF_LANE, START, ADVANCE, ADD_COUNTS];

const OF_LANE: &str = "SELECT topic, partition, next_offset, start_offset, applied, duplicate, dead, skipped \
    FROM progress WHERE partition = $1 ORDER BY topic";

/// Every partition, by topic and number.
pub(in crate::store::postgres) const ALL: &str = "SELECT topic, partition, next_offset, start_offset, applied, \
    duplicate, dead, skipped FROM progress ORDER BY topic, partition";

/// One statement, so that the owner is still the owner when the rows go in.
const START: &str = "WITH held AS (SELECT lane FROM lanes WHERE lane = $1 AND epoch = $2 FOR UPDATE), \
    started AS (INSERT INTO progress (partition, topic, next_offset, start_offset) \
        SELECT held.lane, s.topic, s.at, s.at FROM held, unnest($3::text[], $4::bigint[]) AS s (topic, at) \
        ON CONFLICT (partition, topic) DO NOTHING) \
    SELECT count(*) FROM held";

const ADVANCE: &str = "UPDATE progress AS p SET next_offset = m.next \
    FROM unnest($2::text[], $3::bigint[], $4::bigint[]) AS m (topic, expected, next) \
    WHERE p.partition = $1 AND p.topic = m.topic AND p.next_offset = m.expected";

const ADD_COUNTS: &str = "UPDATE progress AS p SET applied = p.applied + c.applied, \
        duplicate = p.duplicate + c.duplicate, dead = p.dead + c.dead, skipped = p.skipped + c.skipped \
    FROM unnest($2::text[], $3::bigint[], $4::bigint[], $5::bigint[], $6::bigint[]) \
        AS c (topic, applied, duplicate, dead, skipped) \
    WHERE p.partition = $1 AND p.topic = c.topic";

/// The partitions of a lane that were ever seen.
pub(in crate::store::postgres) async fn of_lane(session: &Session, lane: Lane) -> Result<Vec<Progress>, Failure> {
    session.query(OF_LANE, &[&lane]).await?.iter().map(read).collect()
}

/// Records where partitions start, unless that is known.
pub(in crate::store::postgres) async fn start(
    session: &Session,
    owner: Owner,
    starts: &[Start],
) -> Result<(), Failure> {
    let topics: Vec<&str> = starts.iter().map(|start| &*start.topic).collect();
    let at: Vec<i64> = starts.iter().map(|start| start.at.get()).collect();
    let row = session.row(START, &[&owner.lane, &owner.epoch, &topics, &at]).await?;
    match get::<i64>(&row, 0)? {
        0 => Err(StoreError::Fenced { lane: owner.lane }.into()),
        _ => Ok(()),
    }
}

/// Compare-and-set with strict equality: behind is a repetition, ahead is a gap, and both are fenced.
pub(in crate::store::postgres) async fn advance(session: &Session, lane: Lane, moves: &[Move]) -> Result<(), Failure> {
    if moves.is_empty() {
        return Ok(());
    }
    let topics: Vec<&str> = moves.iter().map(|moved| &*moved.topic).collect();
    let expected: Vec<i64> = moves.iter().map(|moved| moved.expected.get()).collect();
    let next: Vec<i64> = moves.iter().map(|moved| moved.next.get()).collect();
    let done = session.execute(ADVANCE, &[&lane, &topics, &expected, &next]).await?;
    if done == moves.len() as u64 {
        return Ok(());
    }
    Err(StoreError::Fenced { lane }.into())
}

/// Adds to what became of the records of partitions.
pub(in crate::store::postgres) async fn add_counts(
    session: &Session,
    lane: Lane,
    counts: &[(Arc<str>, Counts)],
) -> Result<(), Failure> {
    if counts.is_empty() {
        return Ok(());
    }
    let topics: Vec<&str> = counts.iter().map(|(topic, _)| &**topic).collect();
    let column = |of: fn(&Counts) -> u64| -> Vec<i64> { counts.iter().map(|(_, counts)| count(of(counts))).collect() };
    let (applied, duplicate) = (column(|counts| counts.applied), column(|counts| counts.duplicate));
    let (dead, skipped) = (column(|counts| counts.dead), column(|counts| counts.skipped));
    let values: [&(dyn tokio_postgres::types::ToSql + Sync); 6] =
        [&lane, &topics, &applied, &duplicate, &dead, &skipped];
    if session.execute(ADD_COUNTS, &values).await? == counts.len() as u64 {
        return Ok(());
    }
    let named = topics.join(", ");
    Err(Failure::halt(format!(
        "records of partition {lane} of {named} are counted, but not all of these were ever started"
    )))
}

pub(in crate::store::postgres) fn read(row: &Row) -> Result<Progress, Failure> {
    Ok(Progress {
        topic: get::<&str>(row, 0)?.into(),
        partition: get(row, 1)?,
        next_offset: NextOffset::at(get(row, 2)?),
        start_offset: NextOffset::at(get(row, 3)?),
        counts: Counts {
            applied: counted(row, 4)?,
            duplicate: counted(row, 5)?,
            dead: counted(row, 6)?,
            skipped: counted(row, 7)?,
        },
    })
}
