//! How facts about one key leave: from two topics of a service, two partitions of a grown topic, or one lane.

use stateright::{Model, Property};

use super::rules::rules;
use super::search::Tried;

rules! {
    /// Partition *n* of every topic is one lane, with one sequence and one relay.
    OneLane,
    /// A sequence number is drawn under the lane row's lock.
    NumberUnderLock,
    /// A topic that has grown is not consumed.
    GrownStops,
}

#[derive(Debug, Clone)]
pub(crate) struct RelaysModel {
    pub(crate) removed: Vec<Rule>,
    pub(crate) weather: Weather,
    pub(crate) only: Option<&'static str>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Weather {
    pub(crate) name: &'static str,
    /// Events of the key in each of two partitions.
    events: [u8; 2],
    /// Whether all events of the first were produced before those of the second: one topic that has grown.
    grown: bool,
    pub(crate) states: usize,
}

pub(crate) const WEATHERS: [Weather; 2] = [
    Weather {
        name: "two topics",
        events: [3, 3],
        grown: false,
        states: 689,
    },
    Weather {
        name: "a grown topic",
        events: [2, 2],
        grown: true,
        states: 17,
    },
];

#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub(crate) struct State {
    /// Events handled of each partition.
    handled: [u8; 2],
    /// Which number the unit under way of each partition has drawn.
    drawn: [Option<u8>; 2],
    next: [u8; 2],
    /// Events as they were decided on, by partition and place in it.
    decided: Vec<(usize, u8)>,
    /// For each relay, sequence and what is said there.
    outbox: [Vec<(u8, (usize, u8))>; 2],
    cursor: [u8; 2],
    log: Vec<(usize, u8)>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Action {
    Begin(usize),
    Commit(usize),
    Publish(usize),
}

impl RelaysModel {
    pub(crate) fn new(removed: &[Rule], weather: &str) -> Self {
        let weather = WEATHERS.iter().find(|known| known.name == weather).expect("a weather");
        Self {
            removed: removed.to_vec(),
            weather: *weather,
            only: None,
        }
    }

    fn keep(&self, rule: Rule) -> bool {
        !self.removed.contains(&rule)
    }

    /// The relay of what a partition's events say.
    fn relay(&self, partition: usize) -> usize {
        if self.keep(Rule::OneLane) && !self.weather.grown {
            0
        } else {
            partition
        }
    }

    /// Who migrates a grown topic reads the old partitions to their end first, and publishes all of it.
    fn may_consume(&self, state: &State, partition: usize) -> bool {
        let first_is_done = state.handled[0] == self.weather.events[0] && state.cursor[0] == state.next[0];
        partition == 0 || !self.weather.grown || first_is_done || !self.keep(Rule::GrownStops)
    }
}

impl Model for RelaysModel {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        vec![State::default()]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        let nobody = state.drawn.iter().all(Option::is_none);
        for partition in 0..2 {
            let more = state.handled[partition] < self.weather.events[partition];
            let alone = nobody || !self.keep(Rule::NumberUnderLock);
            if state.drawn[partition].is_some() {
                actions.push(Action::Commit(partition));
            } else if more && alone && self.may_consume(state, partition) {
                actions.push(Action::Begin(partition));
            }
            if state.outbox[partition]
                .iter()
                .any(|row| row.0 > state.cursor[partition])
            {
                actions.push(Action::Publish(partition));
            }
        }
    }

    fn next_state(&self, state: &State, action: Action) -> Option<State> {
        let mut state = state.clone();
        match action {
            Action::Begin(partition) => {
                let relay = self.relay(partition);
                state.next[relay] += 1;
                state.drawn[partition] = Some(state.next[relay]);
            }
            Action::Commit(partition) => {
                let sequence = state.drawn[partition].take()?;
                let event = (partition, state.handled[partition]);
                state.handled[partition] += 1;
                state.decided.push(event);
                let outbox = &mut state.outbox[self.relay(partition)];
                outbox.push((sequence, event));
                outbox.sort_unstable();
            }
            Action::Publish(relay) => {
                let cursor = state.cursor[relay];
                let (sequence, event) = *state.outbox[relay].iter().find(|row| row.0 > cursor)?;
                state.cursor[relay] = sequence;
                state.log.push(event);
            }
        }
        Some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        let all = [
            always(IN_ORDER, |_, state| {
                let place = |event| state.decided.iter().position(|decided| *decided == event);
                state.log.iter().map(|event| place(*event)).is_sorted()
            }),
            always(NONE_SKIPPED, |_, state| {
                let rows = state
                    .outbox
                    .iter()
                    .zip(state.cursor)
                    .flat_map(|(outbox, cursor)| outbox.iter().filter(move |row| row.0 <= cursor));
                rows.into_iter().all(|row| state.log.contains(&row.1))
            }),
            always(EVENTS_IN_ORDER, |model, state| {
                !model.weather.grown || state.decided.is_sorted()
            }),
            Property::sometimes(ALL_DONE, |model: &Self, state: &State| {
                state.log.len()
                    == model
                        .weather
                        .events
                        .iter()
                        .map(|events| usize::from(*events))
                        .sum::<usize>()
            }),
        ];
        all.into_iter()
            .filter(|property| self.only.is_none_or(|only| property.name == only))
            .collect()
    }
}

pub(crate) const IN_ORDER: &str = "facts of a key leave as they were decided";
pub(crate) const NONE_SKIPPED: &str = "what the cursor has passed is in the topic";
pub(crate) const EVENTS_IN_ORDER: &str = "events of a key are decided as they came";
pub(crate) const ALL_DONE: &str = "reached: every fact is published";

fn always(name: &'static str, holds: fn(&RelaysModel, &State) -> bool) -> Property<RelaysModel> {
    Property::always(name, holds)
}

impl Tried for RelaysModel {
    fn tried_on(&self) -> (&'static str, usize) {
        (self.weather.name, self.weather.states)
    }

    fn only(self, property: &'static str) -> Self {
        Self {
            only: Some(property),
            ..self
        }
    }

    fn name(&self, _before: &State, action: &Action) -> &'static str {
        match action {
            Action::Begin(_) => "tx.begin",
            Action::Commit(_) => "commit.after",
            Action::Publish(_) => "publish.first",
        }
    }
}
