//! Calls to the outside and timers: one event that asks for a payment and sets a deadline, two instances, and a provider
//! that recognises a repetition by its key for as long as it remembers it.
//!
//! Claims are one step here: how a lane changes hands is the business of the lane's model.

mod properties;
mod unit;
mod weather;

use stateright::{Model, Property};

use super::rules::rules;
use super::search::Tried;

pub(crate) use properties::*;
pub(crate) use weather::{WEATHERS, Weather};

rules! {
    EpochIsCompared,
    TurnIsCompared,
    /// `pending → answered`, a timer's row deleted: one row or nothing.
    OneRowOrNothing,
    StableKey,
    CommitThenCall,
    OutOfAttemptsIsUnknown,
    KeyLifetime,
    TimersAreRows,
    TimerGoesWithItsFact,
    IdOfTheArming,
}

/// How often a call is tried.
const ATTEMPTS: u8 = 2;

#[derive(Debug, Clone)]
pub(crate) struct EffectsModel {
    pub(crate) removed: Vec<Rule>,
    pub(crate) weather: Weather,
    pub(crate) only: Option<&'static str>,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct State {
    owner: usize,
    turn: u8,
    handled: bool,
    effect: Effect,
    attempts: u8,
    /// What was decided on the effect's outcome.
    results: Vec<Outcome>,
    timers: Vec<u8>,
    armed: u8,
    /// Armings as they fired, and the ids of their facts.
    fired: Vec<(u8, u8)>,
    /// Keys charged, in order.
    ledger: Vec<u8>,
    forgot: bool,
    /// Calls whose caller is no more.
    strays: Vec<u8>,
    us: [Worker; 2],
    left: (u8, u8, u8, u8),
    /// Whether anything was charged that no durable intent had asked for.
    unasked: bool,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Effect {
    None,
    Pending,
    Unknown,
    Answered,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Outcome {
    Paid,
    Failed,
}

/// What a unit is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Input {
    Event,
    Answer,
    Attempt,
    Timer(u8),
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
struct Worker {
    alive: bool,
    turn: u8,
    phase: Phase,
    call: Call,
    attempts: u8,
    /// Whether it knows of a pending effect.
    pending: bool,
    /// Armings it remembers, by rules that keep them in memory.
    timers: Vec<u8>,
    /// Fired timers it has still to delete, by rules that delete later.
    undeleted: Vec<u8>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
enum Phase {
    #[default]
    Ready,
    Begun(Input),
    Landed(Input),
    Unknown(Input),
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
enum Call {
    #[default]
    None,
    Sent(u8),
    Done,
    Answered,
    TimedOut,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Action {
    Claim(usize),
    Begin(usize, Input),
    Land(usize),
    Told(usize),
    AnswerLost(usize),
    Resolve(usize),
    Call(usize),
    GiveUp(usize),
    Charge(usize),
    ChargeStray,
    Return(usize),
    TimeOut(usize),
    DeleteTimer(usize),
    Forget,
    Crash(usize),
}

impl EffectsModel {
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

    fn own(&self, state: &State, i: usize, actions: &mut Vec<Action>) {
        let me = &state.us[i];
        let locked = state.us.iter().any(|us| matches!(us.phase, Phase::Begun(_)));
        match me.phase {
            Phase::Ready if !locked => {
                let timers = if self.keep(Rule::TimersAreRows) {
                    &state.timers
                } else {
                    &me.timers
                };
                let inputs = [
                    (!state.handled).then_some(Input::Event),
                    (me.call == Call::Answered).then_some(Input::Answer),
                    (me.call == Call::TimedOut).then_some(Input::Attempt),
                    timers.first().map(|arming| Input::Timer(*arming)),
                ];
                actions.extend(inputs.into_iter().flatten().map(|input| Action::Begin(i, input)));
            }
            Phase::Begun(_) => actions.push(Action::Land(i)),
            Phase::Landed(_) => actions.push(Action::Told(i)),
            Phase::Unknown(..) => actions.push(Action::Resolve(i)),
            Phase::Ready => {}
        }
        let early = matches!(me.phase, Phase::Begun(Input::Event)) && !self.keep(Rule::CommitThenCall);
        if (me.pending || early && self.weather.pays) && me.call == Call::None {
            let over = state.forgot && self.keep(Rule::KeyLifetime);
            actions.push(if over { Action::GiveUp(i) } else { Action::Call(i) });
        }
        match me.call {
            Call::Sent(_) => actions.push(Action::Charge(i)),
            Call::Done => actions.push(Action::Return(i)),
            _ => {}
        }
        if !me.undeleted.is_empty() {
            actions.push(Action::DeleteTimer(i));
        }
    }

    fn suffered(state: &State, i: usize, actions: &mut Vec<Action>) {
        let me = &state.us[i];
        let (_, crashes, lost, timeouts) = state.left;
        if lost > 0 && matches!(me.phase, Phase::Begun(_) | Phase::Landed(_)) {
            actions.push(Action::AnswerLost(i));
        }
        if timeouts > 0 && matches!(me.call, Call::Sent(_) | Call::Done) {
            actions.push(Action::TimeOut(i));
        }
        if crashes > 0 {
            actions.push(Action::Crash(i));
        }
    }
}

impl Model for EffectsModel {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        let Weather {
            claims,
            crashes,
            lost,
            timeouts,
            ..
        } = self.weather;
        vec![State {
            owner: 2,
            turn: 0,
            handled: false,
            effect: Effect::None,
            attempts: 0,
            results: Vec::new(),
            timers: Vec::new(),
            armed: 0,
            fired: Vec::new(),
            ledger: Vec::new(),
            forgot: false,
            strays: Vec::new(),
            us: [Worker::default(), Worker::default()],
            left: (claims, crashes, lost, timeouts),
            unasked: false,
        }]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        let locked = state.us.iter().any(|us| matches!(us.phase, Phase::Begun(_)));
        for i in 0..2 {
            if state.us[i].alive {
                self.own(state, i, actions);
                Self::suffered(state, i, actions);
            } else if state.left.0 > 0 && !locked {
                actions.push(Action::Claim(i));
            }
        }
        if !state.strays.is_empty() {
            actions.push(Action::ChargeStray);
        }
        // A call is given up long before its key is forgotten.
        let calling = state.us.iter().any(|us| matches!(us.call, Call::Sent(_))) || !state.strays.is_empty();
        if self.weather.forgets && !state.forgot && !calling {
            actions.push(Action::Forget);
        }
    }

    fn next_state(&self, before: &State, action: Action) -> Option<State> {
        let mut state = before.clone();
        match action {
            Action::Claim(i) => Self::claim(&mut state, i),
            Action::Begin(i, input) => self.begin(&mut state, i, input),
            Action::Land(i) => self.land(&mut state, i),
            Action::Told(i) => self.heard(&mut state, i),
            Action::AnswerLost(i) => Self::answer_lost(&mut state, i),
            Action::Resolve(i) => self.resolve(&mut state, i),
            Action::Call(i) => self.call(&mut state, i),
            Action::GiveUp(i) => state.us[i].call = Call::TimedOut,
            Action::Charge(i) => {
                if let Call::Sent(key) = std::mem::replace(&mut state.us[i].call, Call::Done) {
                    Self::charge(&mut state, key);
                }
            }
            Action::ChargeStray => {
                let key = state.strays.remove(0);
                Self::charge(&mut state, key);
            }
            Action::Return(i) => state.us[i].call = Call::Answered,
            Action::TimeOut(i) => {
                state.left.3 -= 1;
                Self::leave_call(&mut state, i);
                state.us[i].call = Call::TimedOut;
            }
            Action::DeleteTimer(i) => {
                let arming = state.us[i].undeleted.remove(0);
                state.timers.retain(|timer| *timer != arming);
            }
            Action::Forget => state.forgot = true,
            Action::Crash(i) => {
                state.left.1 -= 1;
                Self::leave_call(&mut state, i);
                state.us[i] = Worker::default();
            }
        }
        (state != *before).then_some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        let all = properties::all().into_iter();
        all.filter(|property| self.only.is_none_or(|only| property.name == only))
            .collect()
    }
}

impl Tried for EffectsModel {
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
            Action::Claim(_) => "claim.after",
            Action::Begin(_, Input::Answer) => "effect.answer",
            Action::Begin(..) => "tx.begin",
            Action::Land(_) => "commit.after",
            Action::Told(_) => "commit.told",
            Action::Call(_) => "effect.before_call",
            Action::Return(_) => "effect.after_call",
            Action::AnswerLost(_) => "(the answer to COMMIT is lost)",
            Action::Resolve(_) => "(the lane row is read)",
            Action::GiveUp(_) => "(the key's lifetime is over)",
            Action::Charge(_) | Action::ChargeStray => "(the provider charges)",
            Action::TimeOut(_) => "(the provider's answer is lost)",
            Action::DeleteTimer(_) => "(a timer is deleted later)",
            Action::Forget => "(the provider forgets)",
            Action::Crash(_) => "(a process dies)",
        }
    }
}
