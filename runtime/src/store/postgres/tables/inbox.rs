//! Which events were handled (rule 2).

use std::collections::{HashMap, HashSet};

use tokio_postgres::Row;
use uuid::Uuid;

use super::{get, stale};
use crate::store::postgres::failure::Failure;
use crate::store::postgres::redrive::{Redrive, Standing};
use crate::store::postgres::session::{Session, Values};
use crate::store::{Admission, Arrival, DeadRow, InboxCounts, InboxRow};

const APPLIED: i16 = 0;
const DEAD: i16 = 1;

pub(in crate::store::postgres) const STATEMENTS: &[&str] =
    &[ENTER_ALL, ENTER, HORIZON, FOUND, HELD, REVIVE, BURY, FORGET];

/// All of them or, where one of the ids is there already, none. Looking for the ids together and inserting them plainly takes
/// half the time of [`ENTER`].
const ENTER_ALL: &str = "INSERT INTO inbox (id, hash, event_time, handled_at, status) \
    SELECT unnest($1::uuid[]), unnest($2::bytea[]), unnest($3::bigint[]), $4, 0 \
    WHERE NOT EXISTS (SELECT FROM inbox WHERE id = ANY ($1))";

/// One row back, whatever the batch: the ids that went in.
const ENTER: &str = "WITH entered AS (INSERT INTO inbox (id, hash, event_time, handled_at, status) \
        SELECT a.id, a.hash, a.event_time, $4, 0 FROM unnest($1::uuid[], $2::bytea[], $3::bigint[]) \
            AS a (id, hash, event_time) \
        ON CONFLICT (id) DO NOTHING RETURNING id) \
    SELECT coalesce(array_agg(id), '{}') FROM entered";

const HORIZON: &str = "SELECT inbox_horizon FROM meta";

const FOUND: &str = "SELECT id, hash, status FROM inbox WHERE id = ANY ($1)";

const HELD: &str = "SELECT id, hash, status FROM inbox WHERE id = ANY ($1) ORDER BY id FOR UPDATE";

const REVIVE: &str = "UPDATE inbox SET status = 0, handled_at = $2 WHERE id = ANY ($1) AND status = 1";

/// A row of other bytes stays as it is.
const BURY: &str = "INSERT INTO inbox AS i (id, hash, event_time, handled_at, status) \
    SELECT d.id, d.hash, d.event_time, $4, 1 FROM unnest($1::uuid[], $2::bytea[], $3::bigint[]) \
        AS d (id, hash, event_time) \
    ON CONFLICT (id) DO UPDATE SET status = 1 WHERE i.hash = excluded.hash";

/// Looks at so many rows in the order of ids and deletes some of the old ones among them. The conditions stand twice: a
/// row that was buried meanwhile stays.
const FORGET: &str = "WITH looked AS MATERIALIZED (SELECT id, status = 0 AND event_time < $2 AND handled_at < $2 AS old \
        FROM inbox WHERE id > $1 ORDER BY id LIMIT $3), \
    old AS MATERIALIZED (SELECT id FROM looked WHERE old ORDER BY id LIMIT $4), \
    gone AS (DELETE FROM inbox WHERE id = ANY (ARRAY(SELECT id FROM old)) AND status = 0 AND event_time < $2 \
        AND handled_at < $2 RETURNING id) \
    SELECT (SELECT count(*) FROM gone), (SELECT count(*) FROM old), (SELECT count(*) FROM looked), \
        (SELECT id FROM old ORDER BY id DESC LIMIT 1), (SELECT id FROM looked ORDER BY id DESC LIMIT 1)";

/// Every row, in the order of ids.
pub(in crate::store::postgres) const EACH: &str = "SELECT id, hash, status FROM inbox ORDER BY id";

/// How many rows are applied, and how many dead.
pub(in crate::store::postgres) const COUNTS: &str =
    "SELECT count(*) FILTER (WHERE status = 0), count(*) FILTER (WHERE status = 1) FROM inbox";

/// Rows looked at for each row that may go: ids in time order have the oldest first, others are mixed with the new.
const LOOKED_AT_PER_ROW: usize = 10;

/// Lets events in and says in the order given what the inbox says of each. Those that come for the first time go in one
/// statement; those that come back follow.
pub(in crate::store::postgres) async fn admit(
    session: &Session,
    arrivals: &[Arrival],
    now: i64,
) -> Result<Vec<Admission>, Failure> {
    let (fresh, redriven): (Vec<_>, Vec<_>) = arrivals.iter().partition(|arrival| arrival.redriven.is_none());
    let mut fresh = admit_new(session, &fresh, now).await?.into_iter();
    let mut redriven = readmit(session, &redriven, now).await?.into_iter();
    let said = arrivals.iter().map(|arrival| match arrival.redriven {
        None => fresh.next(),
        Some(_) => redriven.next(),
    });
    // As many as there were arrivals, by construction.
    Ok(said.map(|said| said.unwrap_or(Admission::Duplicate)).collect())
}

async fn admit_new(session: &Session, arrivals: &[&Arrival], now: i64) -> Result<Vec<Admission>, Failure> {
    if arrivals.is_empty() {
        return Ok(Vec::new());
    }
    let mut first: Vec<&Arrival> = arrivals.to_vec();
    // In the order of ids, which is that of locks. Stable: of two arrivals with one id the first is the one that is new.
    first.sort_by_key(|arrival| arrival.id);
    first.dedup_by_key(|arrival| arrival.id);
    let entering = Entering::new(&first, now);
    let (all, mut horizon) = tokio::try_join!(biased; entering.all(session), read_horizon(session))?;
    let mut seen = Vec::new();
    if !all {
        (seen, horizon) = tokio::try_join!(biased; entering.each(session), read_horizon(session))?;
    }
    let standing = standing(session, FOUND, &seen).await?;
    if standing.len() < seen.len() {
        // Forgotten between two statements: what was there is not there any more, and the next try says so.
        return Err(stale("inbox"));
    }
    let mut hashes: HashMap<Uuid, [u8; 16]> = standing.iter().map(|(id, standing)| (*id, standing.hash)).collect();
    let mut judge = |arrival: &&Arrival| match hashes.get(&arrival.id) {
        Some(hash) if *hash == arrival.hash => Admission::Duplicate,
        Some(_) => Admission::Conflict,
        None => {
            hashes.insert(arrival.id, arrival.hash);
            if arrival.event_time < horizon {
                Admission::TooOld
            } else {
                Admission::New
            }
        }
    };
    Ok(arrivals.iter().map(&mut judge).collect())
}

/// Rows to be, in columns.
struct Entering<'a> {
    ids: Vec<Uuid>,
    hashes: Vec<&'a [u8]>,
    times: Vec<i64>,
    now: i64,
}

impl<'a> Entering<'a> {
    fn new(arrivals: &[&'a Arrival], now: i64) -> Self {
        Self {
            ids: arrivals.iter().map(|arrival| arrival.id).collect(),
            hashes: arrivals.iter().map(|arrival| &arrival.hash[..]).collect(),
            times: arrivals.iter().map(|arrival| arrival.event_time).collect(),
            now,
        }
    }

    /// Lets all of them in, or none; whether it did.
    async fn all(&self, session: &Session) -> Result<bool, Failure> {
        let values: Values = &[&self.ids, &self.hashes, &self.times, &self.now];
        match session.execute(ENTER_ALL, values).await {
            // Another transaction let it in since they were looked for.
            Err(failure) if failure.is_taken("inbox") => Err(stale("inbox")),
            entered => Ok(entered? == self.ids.len() as u64),
        }
    }

    /// Lets each of them in that is not there; those that were.
    async fn each(&self, session: &Session) -> Result<Vec<Uuid>, Failure> {
        let row = session
            .row(ENTER, &[&self.ids, &self.hashes, &self.times, &self.now])
            .await?;
        let entered: Vec<Uuid> = get(&row, 0)?;
        let entered: HashSet<Uuid> = entered.into_iter().collect();
        Ok(self.ids.iter().copied().filter(|id| !entered.contains(id)).collect())
    }
}

/// Read after the ids went in: whoever forgets raises it first, so an id whose row is gone meets the raised one.
async fn read_horizon(session: &Session) -> Result<i64, Failure> {
    get(&session.row(HORIZON, &[]).await?, 0)
}

/// Events that come back: all rows they are about are locked, judged one after the other, and written.
async fn readmit(session: &Session, arrivals: &[&Arrival], now: i64) -> Result<Vec<Admission>, Failure> {
    if arrivals.is_empty() {
        return Ok(Vec::new());
    }
    let asked = arrivals
        .iter()
        .flat_map(|arrival| [Some(arrival.id), arrival.redriven])
        .flatten();
    let asked: HashSet<Uuid> = asked.collect();
    let asked: Vec<Uuid> = asked.into_iter().collect();
    let mut redrive = Redrive::new(standing(session, HELD, &asked).await?);
    let admissions = arrivals.iter().map(|arrival| redrive.judge(arrival)).collect();
    if !redrive.revived.is_empty() {
        session.execute(REVIVE, &[&redrive.revived, &now]).await?;
    }
    let entered: Vec<&Arrival> = redrive.entered.iter().collect();
    if !entered.is_empty() && !Entering::new(&entered, now).all(session).await? {
        return Err(stale("inbox"));
    }
    Ok(admissions)
}

async fn standing(session: &Session, sql: &'static str, ids: &[Uuid]) -> Result<HashMap<Uuid, Standing>, Failure> {
    let mut found = HashMap::new();
    if ids.is_empty() {
        return Ok(found);
    }
    for row in session.query(sql, &[&ids]).await? {
        let InboxRow { id, hash, dead } = read(&row)?;
        found.insert(id, Standing { hash, dead });
    }
    Ok(found)
}

/// Marks events as dead.
pub(in crate::store::postgres) async fn bury(session: &Session, dead: &[DeadRow], now: i64) -> Result<(), Failure> {
    if dead.is_empty() {
        return Ok(());
    }
    let mut rows: Vec<&DeadRow> = dead.iter().collect();
    rows.sort_by_key(|row| row.id);
    let mut again = Vec::new();
    // One statement touches a row once; what stands twice is said again.
    rows.dedup_by(|later, first| {
        later.id == first.id && {
            again.push(**later);
            true
        }
    });
    let ids: Vec<Uuid> = rows.iter().map(|row| row.id).collect();
    let hashes: Vec<&[u8]> = rows.iter().map(|row| &row.hash[..]).collect();
    let times: Vec<i64> = rows.iter().map(|row| row.event_time).collect();
    session.execute(BURY, &[&ids, &hashes, &times, &now]).await?;
    Box::pin(bury(session, &again, now)).await
}

/// Where [`forget`] goes on looking.
#[derive(Debug, Clone, Copy, Default)]
pub(in crate::store::postgres) struct Sweep {
    last: Option<Uuid>,
}

/// Deletes applied rows whose event time and handling lie before the horizon, at most `most` of them; says how many, and
/// where to go on.
///
/// An index by age would cost every event; looking through the table bit by bit, from where the last call ended, costs
/// nobody anything.
pub(in crate::store::postgres) async fn forget(
    session: &Session,
    sweep: Sweep,
    (horizon, most): (i64, usize),
) -> Result<(u64, Sweep), Failure> {
    let from = sweep.last.unwrap_or(Uuid::nil());
    let looking = super::limit(most.saturating_mul(LOOKED_AT_PER_ROW));
    let row = session
        .row(FORGET, &[&from, &horizon, &looking, &super::limit(most)])
        .await?;
    let (old, looked): (i64, i64) = (get(&row, 1)?, get(&row, 2)?);
    let (last_old, last_looked): (Option<Uuid>, Option<Uuid>) = (get(&row, 3)?, get(&row, 4)?);
    let last = if old >= super::limit(most) {
        last_old
    } else if looked >= looking {
        last_looked
    } else {
        None
    };
    Ok((super::counted(&row, 0)?, Sweep { last }))
}

/// The row of [`COUNTS`].
pub(in crate::store::postgres) fn counts(row: &Row) -> Result<InboxCounts, Failure> {
    Ok(InboxCounts {
        applied: super::counted(row, 0)?,
        dead: super::counted(row, 1)?,
    })
}

pub(in crate::store::postgres) fn read(row: &Row) -> Result<InboxRow, Failure> {
    let hash: &[u8] = get(row, 1)?;
    let status: i16 = get(row, 2)?;
    if status != APPLIED && status != DEAD {
        return Err(super::unreadable(row, 2, format!("unknown status {status}")));
    }
    Ok(InboxRow {
        id: get(row, 0)?,
        hash: hash.try_into().map_err(|error| super::unreadable(row, 1, error))?,
        dead: status == DEAD,
    })
}
