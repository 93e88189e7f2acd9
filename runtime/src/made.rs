//! What decisions become: rows of the outbox, effects and timers.

use crate::decision::{Effect, Fact, Timer};
use crate::error::Halt;
use crate::handler::{Cause, Reason};
use crate::pipeline::wrong;
use crate::shared::wall_clock;
use crate::store::{Attempt, EffectRow, EffectState, Flood, Lane, OutboxRow, Sequence, TimerRow, Writes};
use crate::topology::Topology;

/// What a batch came to.
#[derive(Debug)]
pub(crate) struct Made {
    pub(crate) writes: Writes,
    pub(crate) flood: Flood,
    /// How far publishing had come when the unit began; durable with it.
    pub(crate) published: Sequence,
    /// Index of each refused record in the batch, and why.
    pub(crate) refused: Vec<(usize, Reason, String)>,
    /// The sequence that the next fact bears.
    pub(crate) sequence: Sequence,
    /// What looking for rows showed that are hardly ever there.
    pub(crate) absent: Absent,
}

/// What became of rows that are hardly ever there ([`Wanted::absent`](crate::Wanted::absent)).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) enum Absent {
    /// There were none, or nobody looked.
    #[default]
    Unknown,
    /// None of them is there.
    AsExpected,
    /// Some are.
    Found,
}

/// Where decisions are taken.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Place<'a> {
    pub(crate) topology: &'a Topology,
    pub(crate) lane: Lane,
    /// Largest fact that is published, bytes.
    pub(crate) limit: usize,
}

impl Made {
    /// Nothing yet, of a unit whose first fact bears `sequence`.
    pub(crate) fn new(flood: Flood, attempts: Vec<Attempt>, (sequence, published): (Sequence, Sequence)) -> Self {
        let writes = Writes {
            now: wall_clock(),
            attempts,
            ..Writes::default()
        };
        Self {
            writes,
            flood,
            published,
            refused: Vec::new(),
            sequence,
            absent: Absent::default(),
        }
    }

    /// Adds what one decision says, but for its rows.
    pub(crate) fn add(
        &mut self,
        place: Place<'_>,
        cause: &Cause,
        (facts, effects, timers): (Vec<Fact>, Vec<Effect>, Vec<Timer>),
    ) -> Result<(), Halt> {
        for fact in facts {
            let row = self.outbox_row(place, fact)?;
            self.publish(row);
        }
        for effect in effects {
            let row = self.effect_row(place, cause, effect);
            self.writes.effects.push(row);
        }
        self.writes
            .timers
            .extend(timers.into_iter().map(|timer| timer_row(place, timer)));
        Ok(())
    }

    /// Adds a fact or a dead letter, behind every earlier one of its lane.
    pub(crate) fn publish(&mut self, mut row: OutboxRow) {
        row.sequence = self.sequence;
        self.sequence += 1;
        self.writes.outbox.push(row);
    }

    /// Size and destination are looked at here, before anything is durable: a fact that Kafka will never take would block
    /// every later fact of its lane.
    fn outbox_row(&self, place: Place<'_>, fact: Fact) -> Result<OutboxRow, Halt> {
        let bytes = fact.key.len() + fact.value.len() + fact.headers.as_bytes().len();
        if bytes > place.limit {
            let limit = place.limit;
            return Err(wrong(
                place.lane,
                format!("fact {} has {bytes} bytes, the limit is {limit}", fact.id),
            ));
        }
        let Some(partition) = place.topology.partition(&fact.topic, &fact.key) else {
            return Err(wrong(
                place.lane,
                format!("fact {} goes to {}, which is not declared", fact.id, fact.topic),
            ));
        };
        Ok(OutboxRow {
            sequence: 0,
            topic: fact.topic,
            partition,
            timestamp: self.writes.now,
            event_id: fact.id,
            key: Some(fact.key),
            value: Some(fact.value),
            headers: fact.headers,
            reason: None,
        })
    }

    fn effect_row(&self, place: Place<'_>, cause: &Cause, effect: Effect) -> EffectRow {
        let now = self.writes.now;
        EffectRow {
            id: effect.id,
            lane: place.lane,
            kind: effect.kind.to_owned(),
            idempotency_key: effect.idempotency_key,
            subject: effect.subject,
            request: effect.request,
            caused_at: cause.time,
            created_at: now,
            due: now,
            attempts: 0,
            state: EffectState::Pending,
            traceparent: cause.traceparent.clone(),
        }
    }
}

fn timer_row(place: Place<'_>, timer: Timer) -> TimerRow {
    TimerRow {
        id: timer.id,
        lane: place.lane,
        kind: timer.kind.to_owned(),
        subject: timer.subject,
        due: timer.due,
    }
}
