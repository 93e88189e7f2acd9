//! What a unit of work changes, and how its instance hears of it.

use super::{ATTEMPTS, Call, Effect, EffectsModel, Input, Outcome, Phase, Rule, State, Worker};

impl EffectsModel {
    pub(crate) fn claim(state: &mut State, i: usize) {
        state.left.0 -= 1;
        state.owner = i;
        state.us[i] = Worker {
            alive: true,
            turn: state.turn,
            attempts: state.attempts,
            pending: state.effect == Effect::Pending,
            ..Worker::default()
        };
    }

    pub(crate) fn begin(&self, state: &mut State, i: usize, input: Input) {
        let ours = state.owner == i || !self.keep(Rule::EpochIsCompared);
        let now = state.turn == state.us[i].turn || !self.keep(Rule::TurnIsCompared);
        if ours && now {
            state.us[i].phase = Phase::Begun(input);
        } else {
            state.us[i] = Worker::default();
        }
    }

    /// The transaction takes effect.
    pub(crate) fn land(&self, state: &mut State, i: usize) {
        let Phase::Begun(input) = state.us[i].phase else {
            return;
        };
        state.us[i].phase = Phase::Landed(input);
        state.turn += 1;
        match input {
            // The position is compared: an event is handled once whatever else is left out.
            Input::Event if state.handled => {}
            Input::Event => {
                state.handled = true;
                state.effect = if self.weather.pays {
                    Effect::Pending
                } else {
                    Effect::None
                };
                self.arm(state);
            }
            Input::Answer => {
                if state.effect != Effect::Answered || !self.keep(Rule::OneRowOrNothing) {
                    state.effect = Effect::Answered;
                    state.results.push(Outcome::Paid);
                }
            }
            Input::Attempt if state.effect == Effect::Pending => {
                state.attempts += 1;
                if state.attempts == ATTEMPTS || state.forgot && self.keep(Rule::KeyLifetime) {
                    self.run_out(state);
                }
            }
            Input::Attempt => {}
            Input::Timer(arming) => self.fire(state, arming),
        }
    }

    pub(crate) fn run_out(&self, state: &mut State) {
        state.effect = Effect::Unknown;
        if !self.keep(Rule::OutOfAttemptsIsUnknown) {
            state.effect = Effect::Answered;
            state.results.push(Outcome::Failed);
        }
    }

    pub(crate) fn arm(&self, state: &mut State) {
        if state.armed < self.weather.armings {
            if self.keep(Rule::TimersAreRows) {
                state.timers.push(state.armed);
            }
            state.armed += 1;
        }
    }

    pub(crate) fn fire(&self, state: &mut State, arming: u8) {
        let there = state.timers.contains(&arming);
        if there || !self.keep(Rule::OneRowOrNothing) || !self.keep(Rule::TimersAreRows) {
            let id = if self.keep(Rule::IdOfTheArming) { arming } else { 0 };
            state.fired.push((arming, id));
            if self.keep(Rule::TimerGoesWithItsFact) {
                state.timers.retain(|timer| *timer != arming);
            }
            self.arm(state);
        }
    }

    pub(crate) fn heard(&self, state: &mut State, i: usize) {
        if let Phase::Landed(input) = state.us[i].phase {
            self.told(state, i, input);
        }
    }

    /// A commit that had not arrived when its connection broke is rolled back.
    pub(crate) fn answer_lost(state: &mut State, i: usize) {
        state.left.2 -= 1;
        if let Phase::Begun(input) | Phase::Landed(input) = state.us[i].phase {
            state.us[i].phase = Phase::Unknown(input);
        }
    }

    pub(crate) fn call(&self, state: &mut State, i: usize) {
        let attempts = state.us[i].attempts;
        let key = if self.keep(Rule::StableKey) { 0 } else { attempts };
        state.us[i].call = Call::Sent(key);
    }

    /// Nobody waits for a call any more; it may still be carried out.
    pub(crate) fn leave_call(state: &mut State, i: usize) {
        if let Call::Sent(key) = state.us[i].call {
            state.strays.push(key);
        }
    }

    /// The worker hears that its unit is durable.
    pub(crate) fn told(&self, state: &mut State, i: usize, input: Input) {
        let armed = state.armed;
        let me = &mut state.us[i];
        me.turn += 1;
        me.phase = Phase::Ready;
        match input {
            Input::Event => me.pending = self.weather.pays,
            Input::Answer => (me.pending, me.call) = (false, Call::None),
            Input::Attempt => {
                me.call = Call::None;
                me.attempts += 1;
                me.pending = me.attempts < ATTEMPTS && !(state.forgot && self.keep(Rule::KeyLifetime));
            }
            Input::Timer(arming) => {
                me.timers.retain(|timer| *timer != arming);
                if !self.keep(Rule::TimerGoesWithItsFact) {
                    me.undeleted.push(arming);
                }
            }
        }
        let sets = matches!(input, Input::Event | Input::Timer(_));
        if sets && armed > 0 && !self.keep(Rule::TimersAreRows) && !state.fired.iter().any(|fired| fired.0 + 1 == armed)
        {
            me.timers.push(armed - 1);
        }
    }

    pub(crate) fn resolve(&self, state: &mut State, i: usize) {
        let Phase::Unknown(input) = state.us[i].phase else {
            return;
        };
        if !self.keep(Rule::TurnIsCompared) {
            // By the position instead, which answers and timers do not move.
            if input == Input::Event && state.handled {
                return self.told(state, i, input);
            }
            state.us[i].phase = Phase::Ready;
            return;
        }
        let ours = state.owner == i || !self.keep(Rule::EpochIsCompared);
        let turn = state.us[i].turn;
        if ours && state.turn == turn + 1 {
            self.told(state, i, input);
        } else if ours && state.turn == turn {
            state.us[i].phase = Phase::Ready;
        } else {
            state.us[i] = Worker::default();
        }
    }

    /// A provider does what it is asked, once for each key that it remembers.
    pub(crate) fn charge(state: &mut State, key: u8) {
        state.unasked |= !state.handled;
        if state.forgot || !state.ledger.contains(&key) {
            state.ledger.push(key);
        }
    }
}
