//! Facts and dead letters on their way to Kafka.

use tokio_postgres::Row;
use tokio_postgres::types::ToSql;
use uuid::Uuid;

use super::{get, unreadable};
use crate::handler::Reason;
use crate::store::packed::{pack, unpack};
use crate::store::postgres::failure::Failure;
use crate::store::postgres::session::Session;
use crate::store::{Lane, OutboxRow, Sequence};

pub(in crate::store::postgres) const STATEMENTS: &[&str] = &[WRITE, AFTER, FORGET];

const WRITE: &str = "INSERT INTO outbox (lane, written_at, sequence, event_id, topic, partition, timestamp, key, value, \
        packed_headers, reason) \
    SELECT $1, $2, unnest($3::bigint[]), unnest($4::uuid[]), unnest($5::text[]), unnest($6::integer[]), \
        unnest($7::bigint[]), unnest($8::bytea[]), unnest($9::bytea[]), unnest($10::bytea[]), unnest($11::text[])";

/// Facts of a lane after a sequence, in order.
pub(in crate::store::postgres) const AFTER: &str = "SELECT sequence, event_id, topic, partition, timestamp, key, value, \
    packed_headers, reason FROM outbox WHERE lane = $1 AND sequence > $2 ORDER BY sequence LIMIT $3";

/// What is published and was written before a time, each lane's oldest first.
const FORGET: &str = "DELETE FROM outbox WHERE ctid = ANY (ARRAY(SELECT old.ctid FROM lanes AS l CROSS JOIN LATERAL \
        (SELECT ctid, written_at FROM outbox WHERE lane = l.lane AND sequence <= l.published_seq \
         ORDER BY sequence LIMIT $2) AS old \
        WHERE old.written_at < $1 LIMIT $2))";

/// The sequence behind facts that follow from `next` without a gap.
pub(in crate::store::postgres) fn follow(lane: Lane, next: Sequence, facts: &[OutboxRow]) -> Result<Sequence, Failure> {
    let mut next = next;
    for fact in facts {
        if fact.sequence != next {
            let why = format!("lane {lane}: the next fact has sequence {next}, not {}", fact.sequence);
            return Err(Failure::halt(why));
        }
        next += 1;
    }
    Ok(next)
}

/// Writes facts whose sequences [`follow`].
pub(in crate::store::postgres) async fn write(
    session: &Session,
    lane: Lane,
    (facts, now): (&[OutboxRow], i64),
) -> Result<(), Failure> {
    if facts.is_empty() {
        return Ok(());
    }
    let sequences: Vec<Sequence> = facts.iter().map(|fact| fact.sequence).collect();
    let ids: Vec<Uuid> = facts.iter().map(|fact| fact.event_id).collect();
    let topics: Vec<&str> = facts.iter().map(|fact| &*fact.topic).collect();
    let partitions: Vec<i32> = facts.iter().map(|fact| fact.partition).collect();
    let timestamps: Vec<i64> = facts.iter().map(|fact| fact.timestamp).collect();
    let keys: Vec<Option<&[u8]>> = facts.iter().map(|fact| fact.key.as_deref()).collect();
    let values: Vec<Option<&[u8]>> = facts.iter().map(|fact| fact.value.as_deref()).collect();
    let headers: Vec<Vec<u8>> = facts.iter().map(pack).collect();
    let reasons: Vec<Option<&str>> = facts.iter().map(|fact| fact.reason.map(Reason::as_str)).collect();
    let columns: [&(dyn ToSql + Sync); 11] = [
        &lane,
        &now,
        &sequences,
        &ids,
        &topics,
        &partitions,
        &timestamps,
        &keys,
        &values,
        &headers,
        &reasons,
    ];
    session.execute(WRITE, &columns).await.map(drop)
}

pub(in crate::store::postgres) async fn after(
    session: &Session,
    lane: Lane,
    (after, most): (Sequence, usize),
) -> Result<Vec<OutboxRow>, Failure> {
    let rows = session.query(AFTER, &[&lane, &after, &super::limit(most)]).await?;
    rows.iter().map(read).collect()
}

/// Deletes facts that are published and were written before a time, at most `most` of them.
pub(in crate::store::postgres) async fn forget(session: &Session, before: i64, most: usize) -> Result<u64, Failure> {
    session.execute(FORGET, &[&before, &super::limit(most)]).await
}

pub(in crate::store::postgres) fn read(row: &Row) -> Result<OutboxRow, Failure> {
    let (event_id, key): (_, Option<Vec<u8>>) = (get(row, 1)?, get(row, 5)?);
    let headers = unpack(get(row, 7)?, event_id, key.as_deref());
    Ok(OutboxRow {
        sequence: get(row, 0)?,
        event_id,
        topic: get::<&str>(row, 2)?.into(),
        partition: get(row, 3)?,
        timestamp: get(row, 4)?,
        key,
        value: get(row, 6)?,
        headers: headers.map_err(|why| unreadable(row, 7, why))?,
        reason: reason(row, 8)?,
    })
}

fn reason(row: &Row, column: usize) -> Result<Option<Reason>, Failure> {
    let Some(name) = get::<Option<&str>>(row, column)? else {
        return Ok(None);
    };
    match Reason::parse(name) {
        Some(reason) => Ok(Some(reason)),
        None => Err(unreadable(row, column, format!("unknown reason {name}"))),
    }
}
