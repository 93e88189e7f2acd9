//! One lane of one group: two instances, a database, a topic with its redrive topic, and the topic of facts.
//!
//! Everything that is not on the way of a record is left out: bytes are a number, a batch is one record, and every event has
//! the same key. What remains is every step between a poll and the group's offset at which something can die, wait or be
//! overtaken.

mod around;
mod database;
mod events;
pub(crate) mod properties;
mod steps;
mod unit;

use stateright::{Model, Property};

use super::rules::rules;
use super::search::Tried;

pub(crate) use database::{Admission, Db, Fact, Fate, decide};
pub(crate) use events::{Event, Faults, Weather, weathers};
pub(crate) use steps::{Action, Instance, Phase};

/// Topics of the lane.
pub(crate) const MAIN: u8 = 0;
pub(crate) const REDRIVE: u8 = 1;

/// Nobody whom a process that lives knows: a claim landed after whoever sent it had died.
pub(crate) const NOBODY: u8 = 2;

rules! {
    EpochIsCompared,
    TurnIsCompared,
    PositionIsCompared,
    PositionIsEqual,
    ExpectedIsHeld,
    LoadIsInside,
    Inbox,
    InboxIsInside,
    InboxIsASet,
    InboxComparesBytes,
    Horizon,
    HorizonByBothTimes,
    IdsFromTheCause,
    CommitThenPublish,
    AcksThenCursor,
    Republish,
    CursorOnlyRises,
    DatabaseSaysWhere,
    NoTimeouts,
    NoGaps,
    ClaimIsOneStatement,
    Density,
    Drain,
    FreshBuffer,
    UnknownIsNotDone,
    UnknownIsNotFailed,
    ReadWithLock,
    ClaimAgain,
    LetterBeforePosition,
    LetterInOutbox,
    RefusedIsKept,
    DeadIsNotSeen,
    OneDatabase,
}

/// The rules in force.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Rules(u64);

impl Rules {
    /// All of them, as ARCHITECTURE.md has them.
    pub(crate) const AMENDED: Self = Self(0);

    /// All but these.
    pub(crate) fn without(removed: &[Rule]) -> Self {
        Self(removed.iter().fold(0, |bits, rule| bits | 1 << *rule as u64))
    }

    pub(crate) fn keep(self, rule: Rule) -> bool {
        self.0 & (1 << rule as u64) == 0
    }
}

/// Rules, and what they are tried on.
#[derive(Debug, Clone)]
pub(crate) struct LaneModel {
    pub(crate) rules: Rules,
    pub(crate) weather: Weather,
    /// Check this property alone.
    pub(crate) only: Option<&'static str>,
}

/// Everything there is at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct State {
    /// One; two where every instance has a file of its own.
    pub(crate) db: Vec<Db>,
    pub(crate) us: [Instance; 2],
    /// Whom the group gives the lane.
    pub(crate) group: usize,
    /// The redrive topic.
    pub(crate) redrive: Vec<Event>,
    /// The topic of facts and letters: first copies in order. A further copy is recognised by whoever reads it.
    pub(crate) log: Vec<(u8, Fact)>,
    /// The group's offsets as told to Kafka.
    pub(crate) told: [u8; 2],
    pub(crate) left: Faults,
    /// The database's clock.
    pub(crate) clock: u8,
    /// Ids drawn by chance so far.
    pub(crate) drawn: u8,
    pub(crate) backup: Option<Box<Db>>,
    pub(crate) set_back: bool,
    /// What went wrong on the way and no later state shows.
    pub(crate) wrong: Wrong,
    /// What a trace has been through, noted where the weather asks for it.
    pub(crate) been: Been,
}

/// See [`State::wrong`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub(crate) struct Wrong {
    pub(crate) went_back: bool,
    pub(crate) stuck: bool,
}

/// See [`State::been`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub(crate) struct Been {
    pub(crate) fenced: bool,
    pub(crate) happened: bool,
    pub(crate) did_not: bool,
}

impl LaneModel {
    pub(crate) fn new(rules: Rules, weather: &str) -> Self {
        Self {
            rules,
            weather: events::weather(weather),
            only: None,
        }
    }

    /// The record at an offset, if there is one.
    pub(crate) fn record(&self, state: &State, topic: u8, offset: u8) -> Option<Event> {
        let at = usize::from(offset);
        match topic {
            MAIN => self.weather.records.get(at).copied().flatten(),
            _ => state.redrive.get(at).copied(),
        }
    }

    /// One past the last record of a topic.
    pub(crate) fn end(&self, state: &State, topic: u8) -> u8 {
        let records = match topic {
            MAIN => self.weather.records.len(),
            _ => state.redrive.len(),
        };
        u8::try_from(records).expect("a handful")
    }

    pub(crate) fn dense(&self) -> bool {
        self.weather.records.iter().all(Option::is_some)
    }
}

impl Model for LaneModel {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        let mut db = vec![Db::new(0)];
        if !self.rules.keep(Rule::OneDatabase) {
            db.push(Db::new(100));
        }
        vec![State {
            db,
            us: [Instance::default(), Instance::default()],
            group: 0,
            redrive: Vec::new(),
            log: Vec::new(),
            told: [0; 2],
            left: self.weather.faults,
            clock: 0,
            drawn: 0,
            backup: None,
            set_back: false,
            wrong: Wrong::default(),
            been: Been::default(),
        }]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        for i in 0..2 {
            steps::own(self, state, i, actions);
            steps::suffered(state, i, actions);
        }
        steps::around(state, actions);
    }

    fn next_state(&self, state: &State, action: Action) -> Option<State> {
        let mut next = state.clone();
        unit::take(self, &mut next, action);
        (next != *state).then_some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        let all = properties::all()
            .into_iter()
            .chain(properties::goals(self.weather.name));
        all.filter(|property| self.only.is_none_or(|only| property.name == only))
            .collect()
    }
}

impl Tried for LaneModel {
    fn tried_on(&self) -> (&'static str, usize) {
        (self.weather.name, self.weather.states)
    }

    fn only(self, property: &'static str) -> Self {
        Self {
            only: Some(property),
            ..self
        }
    }

    fn name(&self, state: &State, action: &Action) -> &'static str {
        action.name(state)
    }
}
