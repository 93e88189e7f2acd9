//! The model's numbers as a store's values.

use std::sync::Arc;

use orderflow_runtime::rows::{Entity, RowKey, StoredRow};
use orderflow_runtime::store::{
    Admission as Stored, Arrival, Claim, Counts, DeadRow, Lane, Move, OutboxRow, Start, Writes,
};
use orderflow_runtime::{Headers, NextOffset, Reason};
use uuid::Uuid;

use super::super::lane::{self, Admission, Event, Fact, Fate, Instance, LaneModel, State};

pub(super) const LANE: Lane = 0;

/// When everything is handled, milliseconds.
const NOON: i64 = 1_760_000_000_000;

const TOPICS: [&str; 2] = ["arrivals", "arrivals.redrive"];

const TALLY: Entity<Vec<u8>> = Entity::new("tally", 1);

pub(super) fn starts() -> [Start; 2] {
    TOPICS.map(|topic| Start {
        topic: topic.into(),
        at: NextOffset::START,
    })
}

/// Positions of the two topics.
pub(super) fn progress(claim: &Claim) -> [i64; 2] {
    let of = |topic: &str| claim.progress.iter().find(|progress| &*progress.topic == topic);
    TOPICS.map(|topic| of(topic).map_or(0, |progress| progress.next_offset.get()))
}

/// The move of the batch under way.
pub(super) fn moved(me: &Instance) -> Move {
    let (topic, offset) = me.batch.expect("a batch");
    let at = usize::from(topic);
    Move {
        topic: TOPICS[at].into(),
        expected: NextOffset::at(i64::from(me.position[at])),
        next: NextOffset::at(i64::from(offset) + 1),
    }
}

/// The event of the batch under way.
pub(super) fn arrival(model: &LaneModel, state: &State, me: &Instance) -> Arrival {
    let (topic, offset) = me.batch.expect("a batch");
    let event = model.record(state, topic, offset).expect("a record");
    Arrival {
        id: id(event.id),
        hash: [event.hash; 16],
        event_time: NOON + i64::from(event.time),
        redriven: (topic == lane::REDRIVE).then_some(id(event.id)),
    }
}

pub(super) fn admitted(admission: Admission) -> Stored {
    match admission {
        Admission::New => Stored::New,
        Admission::Duplicate => Stored::Duplicate,
        Admission::Conflict => Stored::Conflict,
        Admission::TooOld => Stored::TooOld,
        Admission::Redriven => Stored::Redriven,
        Admission::NotDead => Stored::NotDead,
    }
}

/// The one row of the lane: what was applied, written once for each.
pub(super) fn row(applied: &[(u8, u8)]) -> StoredRow {
    let ids: Vec<_> = applied.iter().map(|(id, _)| id.to_string()).collect();
    let body = format!("[{}]", ids.join(","));
    StoredRow {
        key: RowKey::new(TALLY, "all"),
        version: i64::try_from(applied.len()).expect("a handful"),
        body: (!applied.is_empty()).then(|| body.into()),
    }
}

/// Everything the unit under way writes.
pub(super) fn writes(model: &LaneModel, state: &State, i: usize) -> Writes {
    let me = &state.us[i];
    let (batch, admission) = (me.batch.expect("a batch"), me.admitted.expect("an admission"));
    let db = &state.db[0];
    let decided = lane::decide(model, state, db, batch, admission);
    let event = model.record(state, batch.0, batch.1).expect("a record");
    let mut writes = Writes {
        now: NOON,
        counts: vec![(TOPICS[usize::from(batch.0)].into(), counts(decided.fate))],
        outbox: outbox(
            &decided
                .fact
                .map(|fact| (db.next_seq, fact))
                .into_iter()
                .collect::<Vec<_>>(),
        ),
        ..Writes::default()
    };
    if decided.fate == Fate::Applied {
        let mut applied = db.applied.clone();
        let loaded = row(&applied);
        applied.push((event.id, event.hash));
        writes.rows = vec![StoredRow {
            version: loaded.version,
            ..row(&applied)
        }];
    }
    if decided.fate == Fate::Dead && decided.seen.is_some() {
        writes.dead = vec![dead(event)];
    }
    writes
}

fn counts(fate: Fate) -> Counts {
    let mut counts = Counts::default();
    match fate {
        Fate::Applied => counts.applied = 1,
        Fate::Duplicate => counts.duplicate = 1,
        Fate::Dead => counts.dead = 1,
        Fate::Skipped => counts.skipped = 1,
    }
    counts
}

fn dead(event: Event) -> DeadRow {
    DeadRow {
        id: id(event.id),
        hash: [event.hash; 16],
        event_time: NOON + i64::from(event.time),
    }
}

/// Facts and letters as a store holds them.
pub(super) fn outbox(rows: &[(u8, Fact)]) -> Vec<OutboxRow> {
    let as_row = |(sequence, fact): &(u8, Fact)| OutboxRow {
        sequence: i64::from(*sequence),
        topic: Arc::from(if fact.letter.is_some() { "letters" } else { "facts" }),
        partition: LANE,
        timestamp: NOON,
        event_id: said(*fact),
        key: Some(b"key".to_vec()),
        value: Some(vec![fact.event.id, fact.event.hash]),
        headers: Headers::new(),
        reason: fact.letter.map(|_| Reason::InvalidOrder),
    };
    rows.iter().map(as_row).collect()
}

/// The id of a fact comes from its event, that of a letter from the record's origin.
fn said(fact: Fact) -> Uuid {
    match fact.letter {
        None => id(fact.event.id + 100),
        Some((topic, offset)) => id(200 + topic * 20 + offset),
    }
}

fn id(number: u8) -> Uuid {
    Uuid::from_u128(0x0199_0000_0000_8000_8000_0000_0000_0000 + u128::from(number))
}
