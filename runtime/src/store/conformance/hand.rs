//! What the cases are written with: a lane in the hand of an owner, and small values of every kind.

use std::sync::Arc;

use uuid::Uuid;

use crate::handler::Reason;
use crate::record::{Headers, NextOffset};
use crate::rows::{Entity, RowKey, StoredRow, Version};
use crate::store::{
    Admission, Arrival, DeadRow, EffectRow, EffectState, Lane, Move, OutboxRow, Sequence, Start, Store, StoreError,
    TimerRow, Turn, Unit, Writes,
};

pub(super) const TOPIC: &str = "arrivals";

/// When everything happens, milliseconds.
pub(super) const NOON: i64 = 1_760_000_000_000;

/// A lane, claimed, with the turn its owner is at.
pub(super) struct Hand<S> {
    pub(super) store: S,
    pub(super) at: Turn,
}

impl<S: Store> Hand<S> {
    pub(super) async fn claim(store: &S, lane: Lane) -> Self {
        let mut claims = store.claim(&[lane]).await.expect("a lane can be claimed");
        let claim = claims.remove(0);
        assert!(claims.is_empty(), "one claim for one lane");
        Self {
            store: store.clone(),
            at: claim.at,
        }
    }

    /// The same, with partition of [`TOPIC`] started at 0.
    pub(super) async fn start(store: &S, lane: Lane) -> Self {
        let hand = Self::claim(store, lane).await;
        let starts = [start(TOPIC, 0)];
        store
            .start_at(hand.at.owner, &starts)
            .await
            .expect("a partition starts");
        hand
    }

    pub(super) async fn begin(&self) -> S::Unit {
        self.store
            .begin(self.at, 0)
            .await
            .expect("the owner begins a unit at his turn")
    }

    pub(super) async fn commit(&mut self, unit: S::Unit) {
        unit.commit().await.expect("a unit commits");
        self.at.turn += 1;
    }

    /// One unit that writes this and nothing else.
    pub(super) async fn write(&mut self, writes: Writes) {
        let mut unit = self.begin().await;
        unit.write(&writes).await.expect("it can be written");
        self.commit(unit).await;
    }

    /// One unit that tries to write this, and is dropped.
    pub(super) async fn refused(&self, writes: Writes) -> StoreError {
        let mut unit = self.begin().await;
        unit.write(&writes).await.expect_err("it must not be written")
    }

    /// One unit that lets these in.
    pub(super) async fn admit(&mut self, arrivals: &[Arrival]) -> Vec<Admission> {
        let mut unit = self.begin().await;
        let admissions = unit.admit(&[], arrivals).await.expect("arrivals are judged");
        self.commit(unit).await;
        admissions
    }

    /// One unit that takes note of what is published.
    pub(super) async fn publish(&mut self, published: Sequence) {
        let unit = self.store.begin(self.at, published).await.expect("a unit begins");
        self.commit(unit).await;
    }

    pub(super) async fn facts(&self) -> Vec<OutboxRow> {
        let lane = self.at.owner.lane;
        self.store.outbox(lane, 0, 10_000).await.expect("facts are read")
    }

    pub(super) async fn load(&self, keys: &[RowKey]) -> Vec<StoredRow> {
        self.begin().await.load(keys).await.expect("rows are loaded")
    }
}

pub(super) fn id(number: u64) -> Uuid {
    Uuid::from_u128(0x0199_0000_0000_8000_8000_0000_0000_0000 + u128::from(number))
}

pub(super) fn start(topic: &str, at: i64) -> Start {
    Start {
        topic: topic.into(),
        at: NextOffset::at(at),
    }
}

pub(super) fn moved(topic: &str, expected: i64, next: i64) -> Move {
    Move {
        topic: topic.into(),
        expected: NextOffset::at(expected),
        next: NextOffset::at(next),
    }
}

/// An event; its bytes are `bytes`.
pub(super) fn arrival(number: u64, bytes: u8) -> Arrival {
    Arrival {
        id: id(number),
        hash: [bytes; 16],
        event_time: NOON,
        redriven: None,
    }
}

pub(super) fn redriven(arrival: Arrival) -> Arrival {
    let origin = Some(arrival.id);
    Arrival {
        redriven: origin,
        ..arrival
    }
}

pub(super) fn dead(arrival: Arrival) -> Writes {
    let dead = DeadRow {
        id: arrival.id,
        hash: arrival.hash,
        event_time: arrival.event_time,
    };
    Writes {
        now: NOON,
        dead: vec![dead],
        ..Writes::default()
    }
}

pub(super) const SHELF: Entity<u64> = Entity::shared("shelf", 1);
pub(super) const BIN: Entity<u64> = Entity::shared("bin", 2);

/// Several lanes write its rows, and nobody says so.
pub(super) const UNTOLD: Entity<u64> = Entity::new("untold", 3);

pub(super) fn key(entity: Entity<u64>, key: &str) -> RowKey {
    RowKey::new(entity, key)
}

/// A row as it is written: with the version it was loaded at.
pub(super) fn row(entity: Entity<u64>, name: &str, version: Version, body: &str) -> StoredRow {
    StoredRow {
        key: key(entity, name),
        version,
        body: Some(body.into()),
    }
}

pub(super) fn rows(rows: impl Into<Vec<StoredRow>>) -> Writes {
    Writes {
        now: NOON,
        rows: rows.into(),
        ..Writes::default()
    }
}

/// A fact with something in every column.
pub(super) fn fact(sequence: Sequence, number: u64) -> OutboxRow {
    let mut headers = Headers::new();
    headers.push("ce_id", id(number).to_string()).push("empty", "");
    OutboxRow {
        sequence,
        topic: Arc::from("departures"),
        partition: 3,
        timestamp: NOON + 7,
        event_id: id(number),
        key: Some(b"key".to_vec()),
        value: Some(vec![0, 1, 255]),
        headers,
        reason: None,
    }
}

/// A dead letter with nothing in every column that may be empty.
pub(super) fn letter(sequence: Sequence, number: u64) -> OutboxRow {
    OutboxRow {
        key: None,
        value: None,
        headers: Headers::new(),
        reason: Some(Reason::Tombstone),
        ..fact(sequence, number)
    }
}

pub(super) fn facts(outbox: impl Into<Vec<OutboxRow>>) -> Writes {
    Writes {
        now: NOON,
        outbox: outbox.into(),
        ..Writes::default()
    }
}

pub(super) fn effect(number: u64, lane: Lane, due: i64) -> EffectRow {
    EffectRow {
        id: id(number),
        lane,
        kind: "charge".to_owned(),
        idempotency_key: format!("key {number}"),
        subject: "subject".to_owned(),
        request: vec![0, 255],
        caused_at: NOON - 5,
        created_at: NOON,
        due,
        attempts: 0,
        state: EffectState::Pending,
        traceparent: Some("00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01".to_owned()),
    }
}

pub(super) fn effects(effects: impl Into<Vec<EffectRow>>) -> Writes {
    Writes {
        now: NOON,
        effects: effects.into(),
        ..Writes::default()
    }
}

pub(super) fn timer(number: u64, lane: Lane, due: i64) -> TimerRow {
    TimerRow {
        id: id(number),
        lane,
        kind: "deadline".to_owned(),
        subject: "subject".to_owned(),
        due,
    }
}

pub(super) fn timers(timers: impl Into<Vec<TimerRow>>) -> Writes {
    Writes {
        now: NOON,
        timers: timers.into(),
        ..Writes::default()
    }
}
