//! Calls to the outside (rule 10).

use std::collections::{HashMap, HashSet};

use tokio_postgres::Row;
use tokio_postgres::types::ToSql;
use uuid::Uuid;

use super::{get, unreadable};
use crate::store::postgres::failure::Failure;
use crate::store::postgres::session::Session;
use crate::store::{Answer, Attempt, EffectRecord, EffectRow, EffectState, Lane};

const PENDING: i16 = 0;
const UNKNOWN: i16 = 1;
const ANSWERED: i16 = 2;

pub(in crate::store::postgres) const STATEMENTS: &[&str] = &[WRITE, ANSWER, ATTEMPT, OPEN];

const WRITE: &str = "INSERT INTO effects (id, lane, kind, idempotency_key, subject, request, caused_at, created_at, due, \
        attempts, state, traceparent) \
    SELECT * FROM unnest($1::uuid[], $2::integer[], $3::text[], $4::text[], $5::text[], $6::bytea[], $7::bigint[], \
        $8::bigint[], $9::bigint[], $10::integer[], $11::smallint[], $12::text[])";

/// By the primary key alone, whatever the table looked like when this was planned: `+ 0` keeps the planner from the index
/// of the lane's open effects, and a place (`ctid`) is found without any.
const ANSWER: &str = "UPDATE effects AS e SET state = 2, answer = a.answer, answered_at = $4 \
    FROM unnest($2::uuid[], $3::bytea[]) AS a (id, answer) CROSS JOIN LATERAL \
        (SELECT ctid FROM effects WHERE id = a.id AND lane + 0 = $1 AND state + 0 <> 2 OFFSET 0) AS open \
    WHERE e.ctid = open.ctid RETURNING e.id";

/// As [`ANSWER`].
const ATTEMPT: &str = "UPDATE effects AS e SET attempts = a.attempts, due = a.due, state = a.state, error = a.error \
    FROM unnest($2::uuid[], $3::integer[], $4::bigint[], $5::smallint[], $6::text[]) \
        AS a (id, attempts, due, state, error) CROSS JOIN LATERAL \
        (SELECT ctid FROM effects WHERE id = a.id AND lane + 0 = $1 AND state + 0 <> 2 OFFSET 0) AS open \
    WHERE e.ctid = open.ctid";

const OPEN: &str = "SELECT id, lane, kind, idempotency_key, subject, request, caused_at, created_at, due, attempts, \
    state, traceparent FROM effects WHERE lane = $1 AND state <> 2 ORDER BY due, id LIMIT $2";

/// Effects of all lanes without an answer, in no order.
pub(in crate::store::postgres) const EACH_OPEN: &str = "SELECT id, lane, kind, idempotency_key, subject, request, \
    caused_at, created_at, due, attempts, state, traceparent FROM effects WHERE state <> 2";

/// Every effect, in the order of ids.
pub(in crate::store::postgres) const EACH: &str = "SELECT id, lane, kind, idempotency_key, subject, request, caused_at, \
    created_at, due, attempts, state, traceparent, answer, answered_at, error FROM effects ORDER BY id";

fn code(state: EffectState) -> i16 {
    match state {
        EffectState::Pending => PENDING,
        EffectState::Unknown => UNKNOWN,
    }
}

/// No count of calls comes near the range of an integer.
fn integer(attempts: u32) -> i32 {
    i32::try_from(attempts).unwrap_or(i32::MAX)
}

pub(in crate::store::postgres) async fn write(session: &Session, effects: &[EffectRow]) -> Result<(), Failure> {
    if effects.is_empty() {
        return Ok(());
    }
    let ids: Vec<Uuid> = effects.iter().map(|effect| effect.id).collect();
    let lanes: Vec<Lane> = effects.iter().map(|effect| effect.lane).collect();
    let texts = |of: fn(&EffectRow) -> &str| -> Vec<&str> { effects.iter().map(of).collect() };
    let times = |of: fn(&EffectRow) -> i64| -> Vec<i64> { effects.iter().map(of).collect() };
    let (kinds, keys) = (texts(|effect| &effect.kind), texts(|effect| &effect.idempotency_key));
    let subjects = texts(|effect| &effect.subject);
    let requests: Vec<&[u8]> = effects.iter().map(|effect| &*effect.request).collect();
    let (caused, created) = (times(|effect| effect.caused_at), times(|effect| effect.created_at));
    let due = times(|effect| effect.due);
    let attempts: Vec<i32> = effects.iter().map(|effect| integer(effect.attempts)).collect();
    let states: Vec<i16> = effects.iter().map(|effect| code(effect.state)).collect();
    let traces: Vec<Option<&str>> = effects.iter().map(|effect| effect.traceparent.as_deref()).collect();
    let columns: [&(dyn ToSql + Sync); 12] = [
        &ids, &lanes, &kinds, &keys, &subjects, &requests, &caused, &created, &due, &attempts, &states, &traces,
    ];
    session.execute(WRITE, &columns).await.map(drop)
}

/// Takes answers of the lane's effects: one row each or nothing.
pub(in crate::store::postgres) async fn answer(
    session: &Session,
    lane: Lane,
    (answers, now): (&[Answer], i64),
) -> Result<Vec<bool>, Failure> {
    if answers.is_empty() {
        return Ok(Vec::new());
    }
    let mut first = HashSet::new();
    let each = || answers.iter();
    let once: Vec<&Answer> = each().filter(|answer| first.insert(answer.effect)).collect();
    let ids: Vec<Uuid> = once.iter().map(|answer| answer.effect).collect();
    let said: Vec<&[u8]> = once.iter().map(|answer| &*answer.answer).collect();
    let mut taken = HashSet::new();
    for row in session.query(ANSWER, &[&lane, &ids, &said, &now]).await? {
        taken.insert(get::<Uuid>(&row, 0)?);
    }
    Ok(each().map(|answer| taken.remove(&answer.effect)).collect())
}

/// Records calls that brought no answer. What was answered meanwhile stays answered.
pub(in crate::store::postgres) async fn attempt(
    session: &Session,
    lane: Lane,
    attempts: &[Attempt],
) -> Result<(), Failure> {
    if attempts.is_empty() {
        return Ok(());
    }
    // Of two attempts at one effect the later one stands.
    let latest: HashMap<Uuid, &Attempt> = attempts.iter().map(|attempt| (attempt.effect, attempt)).collect();
    let ids: Vec<Uuid> = latest.keys().copied().collect();
    let counts: Vec<i32> = latest.values().map(|attempt| integer(attempt.attempts)).collect();
    let due: Vec<i64> = latest.values().map(|attempt| attempt.due).collect();
    let states: Vec<i16> = latest.values().map(|attempt| code(attempt.state)).collect();
    let errors: Vec<String> = latest.values().map(|attempt| printable(&attempt.error)).collect();
    session
        .execute(ATTEMPT, &[&lane, &ids, &counts, &due, &states, &errors])
        .await
        .map(drop)
}

/// What the other side said is for people: a NUL in it, which a text cannot hold, must not keep the attempt from being
/// recorded.
fn printable(error: &str) -> String {
    error.replace('\0', "\u{fffd}")
}

/// Effects of a lane without an answer, earliest due first.
pub(in crate::store::postgres) async fn open(
    session: &Session,
    lane: Lane,
    most: usize,
) -> Result<Vec<EffectRow>, Failure> {
    let rows = session.query(OPEN, &[&lane, &super::limit(most)]).await?;
    rows.iter().map(read).collect()
}

pub(in crate::store::postgres) fn read(row: &Row) -> Result<EffectRow, Failure> {
    let attempts: i32 = get(row, 9)?;
    Ok(EffectRow {
        id: get(row, 0)?,
        lane: get(row, 1)?,
        kind: get(row, 2)?,
        idempotency_key: get(row, 3)?,
        subject: get(row, 4)?,
        request: get(row, 5)?,
        caused_at: get(row, 6)?,
        created_at: get(row, 7)?,
        due: get(row, 8)?,
        attempts: u32::try_from(attempts).map_err(|error| unreadable(row, 9, error))?,
        state: state(row, 10)?,
        traceparent: get(row, 11)?,
    })
}

/// A row of [`EACH`].
pub(in crate::store::postgres) fn record(row: &Row) -> Result<EffectRecord, Failure> {
    let answer: Option<Vec<u8>> = get(row, 12)?;
    let answered_at: Option<i64> = get(row, 13)?;
    Ok(EffectRecord {
        effect: read(row)?,
        answer: answer.zip(answered_at),
        error: get(row, 14)?,
    })
}

fn state(row: &Row, column: usize) -> Result<EffectState, Failure> {
    match get::<i16>(row, column)? {
        PENDING | ANSWERED => Ok(EffectState::Pending),
        UNKNOWN => Ok(EffectState::Unknown),
        other => Err(unreadable(row, column, format!("unknown state {other}"))),
    }
}
