//! The lane row: who owns the lane, at which turn, and how far its facts are.

use tokio_postgres::Row;

use super::{count, counted, get};
use crate::store::postgres::failure::Failure;
use crate::store::postgres::session::Session;
use crate::store::{Flood, Lane, LaneRow, Outcome, Owner, Sequence, StoreError, Turn};

/// What a unit needs to know of its lane.
#[derive(Debug, Clone, Copy)]
pub(in crate::store::postgres) struct Begun {
    pub(in crate::store::postgres) next_sequence: Sequence,
    /// The server's clock, milliseconds.
    pub(in crate::store::postgres) now: i64,
}

pub(in crate::store::postgres) const STATEMENTS: &[&str] = &[CLAIM, BEGIN, END, LOCK, TURN];

/// Raises the epoch in one statement: of two claimants the later one wins.
const CLAIM: &str = "INSERT INTO lanes AS l (lane, epoch) VALUES ($1, 1) \
    ON CONFLICT (lane) DO UPDATE SET epoch = l.epoch + 1 \
    RETURNING lane, epoch, turn, next_out_seq, published_seq, flood_run, flood_records, flood_dead";

/// The fence: waits for the row, compares epoch and turn, raises the turn, and records what is published.
const BEGIN: &str = "UPDATE lanes SET turn = turn + 1, published_seq = greatest(published_seq, $4) \
    WHERE lane = $1 AND epoch = $2 AND turn = $3 \
    RETURNING next_out_seq, (extract(epoch FROM clock_timestamp()) * 1000)::bigint";

const END: &str = "UPDATE lanes SET next_out_seq = $2, flood_run = coalesce($3, flood_run), \
    flood_records = coalesce($4, flood_records), flood_dead = coalesce($5, flood_dead) WHERE lane = $1";

/// Until the transaction ends; the first number reads `OrdG`, the second is the schema's.
const TURN: &str = "SELECT pg_advisory_xact_lock(1332896839, hashtext(current_schema()))";

const LOCK: &str = "SELECT epoch, turn FROM lanes WHERE lane = $1 FOR UPDATE";

/// All lanes, by number.
pub(in crate::store::postgres) const ALL: &str = "SELECT lane, epoch, turn, next_out_seq, published_seq, flood_run, \
    flood_records, flood_dead FROM lanes ORDER BY lane";

pub(in crate::store::postgres) async fn claim(session: &Session, lane: Lane) -> Result<LaneRow, Failure> {
    read(&session.row(CLAIM, &[&lane]).await?)
}

/// Waits for this transaction's turn with the rows that several lanes write.
pub(in crate::store::postgres) async fn take_turn(session: &Session) -> Result<(), Failure> {
    session.row(TURN, &[]).await.map(drop)
}

pub(in crate::store::postgres) async fn begin(
    session: &Session,
    at: Turn,
    published: Sequence,
) -> Result<Begun, Failure> {
    let lane = at.owner.lane;
    let row = session
        .find(BEGIN, &[&lane, &at.owner.epoch, &at.turn, &published])
        .await?;
    let row = row.ok_or(StoreError::Fenced { lane })?;
    let begun = Begun {
        next_sequence: get(&row, 0)?,
        now: get(&row, 1)?,
    };
    if published >= begun.next_sequence {
        return Err(Failure::halt(format!(
            "lane {lane}: fact {published} is said to be published, but the last one written is {}",
            begun.next_sequence - 1
        )));
    }
    Ok(begun)
}

/// Where the sequence of the lane goes on, and how its records fared if that changed.
pub(in crate::store::postgres) async fn end(
    session: &Session,
    lane: Lane,
    (next, flood): (Sequence, Option<Flood>),
) -> Result<(), Failure> {
    let [run, records, dead] = [
        |flood: Flood| flood.run,
        |flood: Flood| flood.records,
        |flood: Flood| flood.dead,
    ]
    .map(|number| flood.map(number).map(count));
    session
        .execute(END, &[&lane, &next, &run, &records, &dead])
        .await
        .map(drop)
}

/// Whether the unit begun at `at` took place: its turn is over, or still to come. Waits for whoever holds the row.
pub(in crate::store::postgres) async fn resolve(session: &Session, at: Turn) -> Result<Outcome, Failure> {
    let lane = at.owner.lane;
    let row = session.find(LOCK, &[&lane]).await?.ok_or(StoreError::Fenced { lane })?;
    let (epoch, turn): (i64, i64) = (get(&row, 0)?, get(&row, 1)?);
    match (epoch == at.owner.epoch, turn - at.turn) {
        (true, 0) => Ok(Outcome::DidNot),
        (true, 1) => Ok(Outcome::Happened),
        _ => Err(StoreError::Fenced { lane }.into()),
    }
}

pub(in crate::store::postgres) fn read(row: &Row) -> Result<LaneRow, Failure> {
    let owner = Owner {
        lane: get(row, 0)?,
        epoch: get(row, 1)?,
    };
    Ok(LaneRow {
        at: Turn {
            owner,
            turn: get(row, 2)?,
        },
        next_sequence: get(row, 3)?,
        published: get(row, 4)?,
        flood: Flood {
            run: counted(row, 5)?,
            records: counted(row, 6)?,
            dead: counted(row, 7)?,
        },
    })
}
