//! Armed timers (rule 11).

use std::collections::HashSet;

use tokio_postgres::Row;
use uuid::Uuid;

use super::get;
use crate::store::postgres::failure::Failure;
use crate::store::postgres::session::Session;
use crate::store::{Lane, TimerRow};

pub(in crate::store::postgres) const STATEMENTS: &[&str] = &[WRITE, FIRE, OF_LANE];

const WRITE: &str = "INSERT INTO timers (id, lane, kind, subject, due) \
    SELECT * FROM unnest($1::uuid[], $2::integer[], $3::text[], $4::text[], $5::bigint[])";

/// By the primary key: `lane + 0` keeps the planner from the index of the lane's timers.
const FIRE: &str = "DELETE FROM timers WHERE lane + 0 = $1 AND id = ANY ($2) RETURNING id";

const OF_LANE: &str = "SELECT id, lane, kind, subject, due FROM timers WHERE lane = $1 ORDER BY due, id LIMIT $2";

/// Every timer, earliest due first.
pub(in crate::store::postgres) const EACH: &str = "SELECT id, lane, kind, subject, due FROM timers ORDER BY due, id";

pub(in crate::store::postgres) async fn write(session: &Session, timers: &[TimerRow]) -> Result<(), Failure> {
    if timers.is_empty() {
        return Ok(());
    }
    let ids: Vec<Uuid> = timers.iter().map(|timer| timer.id).collect();
    let lanes: Vec<Lane> = timers.iter().map(|timer| timer.lane).collect();
    let kinds: Vec<&str> = timers.iter().map(|timer| &*timer.kind).collect();
    let subjects: Vec<&str> = timers.iter().map(|timer| &*timer.subject).collect();
    let due: Vec<i64> = timers.iter().map(|timer| timer.due).collect();
    session
        .execute(WRITE, &[&ids, &lanes, &kinds, &subjects, &due])
        .await
        .map(drop)
}

/// Deletes the lane's timers that fire: one row each or nothing.
pub(in crate::store::postgres) async fn fire(
    session: &Session,
    lane: Lane,
    timers: &[Uuid],
) -> Result<Vec<bool>, Failure> {
    if timers.is_empty() {
        return Ok(Vec::new());
    }
    let mut fired = HashSet::new();
    for row in session.query(FIRE, &[&lane, &timers]).await? {
        fired.insert(get::<Uuid>(&row, 0)?);
    }
    Ok(timers.iter().map(|timer| fired.remove(timer)).collect())
}

/// Timers of a lane, earliest due first.
pub(in crate::store::postgres) async fn of_lane(
    session: &Session,
    lane: Lane,
    most: usize,
) -> Result<Vec<TimerRow>, Failure> {
    let rows = session.query(OF_LANE, &[&lane, &super::limit(most)]).await?;
    rows.iter().map(read).collect()
}

pub(in crate::store::postgres) fn read(row: &Row) -> Result<TimerRow, Failure> {
    Ok(TimerRow {
        id: get(row, 0)?,
        lane: get(row, 1)?,
        kind: get(row, 2)?,
        subject: get(row, 3)?,
        due: get(row, 4)?,
    })
}
