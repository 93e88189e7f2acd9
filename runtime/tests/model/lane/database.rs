//! What the database holds, and what a unit of work makes of it.

use super::{Event, LaneModel, MAIN, NOBODY, REDRIVE, Rule, State};

/// Ids there are.
pub(crate) const IDS: usize = 3;

/// The tables of one group, as far as they are one lane's.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Db {
    /// Whose epoch is the lane's. Epochs are compared for equality alone, so the number itself is left out.
    pub(crate) owner: u8,
    pub(crate) turn: u8,
    pub(crate) next_seq: u8,
    pub(crate) published: u8,
    pub(crate) progress: [u8; 2],
    pub(crate) inbox: [Seen; IDS],
    pub(crate) horizon: u8,
    /// The state: what was applied, in order, by id and bytes.
    pub(crate) applied: Vec<(u8, u8)>,
    pub(crate) outbox: Vec<(u8, Fact)>,
    /// Applied, duplicate, dead and skipped, as counted in the batch's transaction.
    pub(crate) counts: [u8; 4],
    /// What became of each record, by topic and offset: what an audit would find out.
    pub(crate) fates: Vec<(u8, u8, Fate)>,
}

/// An inbox row.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub(crate) enum Seen {
    #[default]
    Never,
    Applied {
        hash: u8,
        time: u8,
        handled: u8,
    },
    Dead {
        hash: u8,
    },
}

/// What the inbox says of an arrival.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Admission {
    New,
    Duplicate,
    Conflict,
    TooOld,
    Redriven,
    NotDead,
}

/// What becomes of a record.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Fate {
    Applied,
    Duplicate,
    Dead,
    Skipped,
}

/// A row of the outbox: a fact that follows from an event, or a dead letter.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) struct Fact {
    pub(crate) event: Event,
    /// Topic and offset of the record, if this is its letter.
    pub(crate) letter: Option<(u8, u8)>,
    /// Part of the id where ids do not come from the cause; else 0.
    pub(crate) drawn: u8,
}

/// What a unit decides about its record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Decided {
    pub(crate) fate: Fate,
    pub(crate) seen: Option<Seen>,
    pub(crate) fact: Option<Fact>,
}

impl Db {
    /// Sequences and nothing else begin after `base`.
    pub(crate) fn new(base: u8) -> Self {
        Self {
            owner: NOBODY,
            turn: 0,
            next_seq: base + 1,
            published: base,
            progress: [0; 2],
            inbox: [Seen::Never; IDS],
            horizon: 0,
            applied: Vec::new(),
            outbox: Vec::new(),
            counts: [0; 4],
            fates: Vec::new(),
        }
    }

    /// Facts after the cursor.
    pub(crate) fn unpublished(&self) -> Vec<(u8, Fact)> {
        self.outbox
            .iter()
            .filter(|row| row.0 > self.published)
            .copied()
            .collect()
    }

    /// Raises the horizon, and deletes what lies before it.
    pub(crate) fn retain(&mut self, model: &LaneModel, horizon: u8) {
        if model.rules.keep(Rule::Horizon) {
            self.horizon = horizon;
        }
        for seen in &mut self.inbox {
            let Seen::Applied { time, handled, .. } = *seen else {
                continue;
            };
            let old = time < horizon || !model.rules.keep(Rule::HorizonByBothTimes);
            if old && handled < horizon {
                *seen = Seen::Never;
            }
        }
    }
}

/// What the inbox says of a record.
pub(crate) fn admission(model: &LaneModel, db: &Db, topic: u8, event: Event) -> Admission {
    let rules = model.rules;
    if !rules.keep(Rule::Inbox) {
        return if topic == MAIN {
            Admission::New
        } else {
            Admission::Redriven
        };
    }
    if !rules.keep(Rule::InboxIsASet) {
        let highest = db.inbox.iter().rposition(|seen| *seen != Seen::Never);
        let known = highest.is_some_and(|highest| usize::from(event.id) <= highest);
        return if known { Admission::Duplicate } else { Admission::New };
    }
    let seen = db.inbox[usize::from(event.id)];
    if topic == REDRIVE {
        return match seen {
            Seen::Dead { .. } if !rules.keep(Rule::DeadIsNotSeen) => Admission::Duplicate,
            Seen::Dead { hash } if hash == event.hash => Admission::Redriven,
            Seen::Dead { .. } => Admission::Conflict,
            Seen::Applied { .. } | Seen::Never => Admission::NotDead,
        };
    }
    match seen {
        Seen::Never if event.time < db.horizon => Admission::TooOld,
        Seen::Never => Admission::New,
        Seen::Applied { hash, .. } | Seen::Dead { hash } => {
            let same = hash == event.hash || !rules.keep(Rule::InboxComparesBytes);
            if same {
                Admission::Duplicate
            } else {
                Admission::Conflict
            }
        }
    }
}

/// What becomes of the record at `(topic, offset)`.
pub(crate) fn decide(
    model: &LaneModel,
    state: &State,
    db: &Db,
    (topic, offset): (u8, u8),
    admitted: Admission,
) -> Decided {
    let event = model.record(state, topic, offset).expect("a record");
    let fact = |letter| {
        Some(Fact {
            event,
            letter,
            drawn: 0,
        })
    };
    let plain = |fate| Decided {
        fate,
        seen: None,
        fact: None,
    };
    let dead = |seen| Decided {
        fate: if model.rules.keep(Rule::RefusedIsKept) {
            Fate::Dead
        } else {
            Fate::Skipped
        },
        seen,
        fact: fact(Some((topic, offset))).filter(|_| model.rules.keep(Rule::RefusedIsKept)),
    };
    let buried = Some(Seen::Dead { hash: event.hash });
    match admitted {
        Admission::Duplicate => plain(Fate::Duplicate),
        Admission::NotDead => plain(Fate::Skipped),
        Admission::Conflict => dead(None),
        Admission::TooOld => dead(buried),
        Admission::New | Admission::Redriven => {
            if refusals(model, state, db, event) < event.refusals {
                return dead(buried);
            }
            let handled = state.clock;
            Decided {
                fate: Fate::Applied,
                seen: Some(Seen::Applied {
                    hash: event.hash,
                    time: event.time,
                    handled,
                }),
                fact: fact(None),
            }
        }
    }
}

/// How often the event was refused so far.
fn refusals(model: &LaneModel, state: &State, db: &Db, event: Event) -> u8 {
    let letters = db.fates.iter().filter(|(topic, offset, fate)| {
        matches!(fate, Fate::Dead | Fate::Skipped) && model.record(state, *topic, *offset) == Some(event)
    });
    u8::try_from(letters.count()).expect("a handful")
}
