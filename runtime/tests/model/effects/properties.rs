//! What must hold in every state, and what must be reached in some.

use stateright::Property;

use super::{EffectsModel, Outcome, Phase, State};

pub(crate) const CHARGED_ONCE: &str = "charged once";
pub(crate) const INTENT_FIRST: &str = "what is charged was asked for by a durable intent";
pub(crate) const ANSWERED_ONCE: &str = "an effect is answered once";
pub(crate) const FAILED_IS_NOT_PAID: &str = "what is decided as failed was not charged";
pub(crate) const PAID_IS_PAID: &str = "what is decided as paid was charged";
pub(crate) const TIMERS_STAY: &str = "what is armed fires or waits";
pub(crate) const FIRES_ONCE: &str = "an arming fires once";
pub(crate) const FACTS_APART: &str = "each firing has a fact of its own";
pub(crate) const ALL_DONE: &str = "reached: paid, and every deadline passed";

pub(crate) fn all() -> Vec<Property<EffectsModel>> {
    vec![
        always(CHARGED_ONCE, |_, state| state.ledger.len() <= 1),
        always(INTENT_FIRST, |_, state| !state.unasked),
        always(ANSWERED_ONCE, |_, state| state.results.len() <= 1),
        always(FAILED_IS_NOT_PAID, |_, state| {
            !state.results.contains(&Outcome::Failed) || state.ledger.is_empty()
        }),
        always(PAID_IS_PAID, |_, state| {
            !state.results.contains(&Outcome::Paid) || !state.ledger.is_empty()
        }),
        always(TIMERS_STAY, |_, state| {
            (0..state.armed).all(|arming| {
                let remembered = state
                    .us
                    .iter()
                    .any(|us| us.timers.contains(&arming) || us.phase != Phase::Ready);
                remembered || state.timers.contains(&arming) || state.fired.iter().any(|fired| fired.0 == arming)
            })
        }),
        always(FIRES_ONCE, |_, state| {
            (0..state.armed).all(|arming| fired(state, |fired| fired.0 == arming) <= 1)
        }),
        always(FACTS_APART, |_, state| {
            state
                .fired
                .iter()
                .all(|one| fired(state, |other| other.1 == one.1 && other.0 != one.0) == 0)
        }),
        Property::sometimes(ALL_DONE, |model: &EffectsModel, state: &State| {
            let paid = !model.weather.pays || state.results == [Outcome::Paid];
            paid && state.handled && state.fired.len() == usize::from(model.weather.armings)
        }),
    ]
}

fn always(name: &'static str, holds: fn(&EffectsModel, &State) -> bool) -> Property<EffectsModel> {
    Property::always(name, holds)
}

fn fired(state: &State, which: impl Fn(&(u8, u8)) -> bool) -> usize {
    state.fired.iter().filter(|fired| which(fired)).count()
}
