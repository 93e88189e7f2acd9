//! What must hold in every state, and what must be reached in some.

use stateright::Property;

use super::database::{Db, Fact, Fate, Seen};
use super::steps::Phase;
use super::{LaneModel, MAIN, REDRIVE, State};

pub(crate) const NOTHING_LOST: &str = "nothing is lost";
pub(crate) const NOTHING_TWICE: &str = "nothing happens twice";
pub(crate) const NEVER_BACK: &str = "positions never go back";
pub(crate) const COUNTS: &str = "the counts add up to the records";
pub(crate) const PUBLISHED_IS_THERE: &str = "what is recorded as published is in the topic";
pub(crate) const PUBLISHED_WAS_COMMITTED: &str = "what is published was committed";
pub(crate) const IN_ORDER: &str = "first copies are in order";
pub(crate) const CLAIM_HELPS: &str = "whoever just claimed is not fenced";
pub(crate) const SOMEBODY_WORKS: &str = "somebody works the lane";

pub(crate) const ALL_HANDLED: &str = "reached: everything is handled and published";
/// Nothing else reaches a fence, and an answer that was lost before the commit and another after it.
pub(crate) const LONG_DAY: &str = "reached: all of it with a zombie fenced and lost answers of both kinds";
pub(crate) const CAME_BACK: &str = "reached: all of it, and what was refused is applied";

type Holds = fn(&LaneModel, &State) -> bool;

fn always(name: &'static str, holds: Holds) -> Property<LaneModel> {
    Property::always(name, holds)
}

fn sometimes(name: &'static str, holds: Holds) -> Property<LaneModel> {
    Property::sometimes(name, holds)
}

/// What a weather is there to reach.
pub(crate) fn goals(weather: &str) -> Vec<Property<LaneModel>> {
    match weather {
        "a long day" => vec![sometimes(LONG_DAY, |model, state| {
            let been = state.been;
            all_handled(model, state) && been.fenced && been.happened && been.did_not
        })],
        "refused" | "refused twice" | "refused at night" => vec![sometimes(CAME_BACK, |model, state| {
            let mut refused = model
                .weather
                .records
                .iter()
                .flatten()
                .filter(|event| event.refusals > 0);
            all_handled(model, state) && refused.all(|event| state.db[0].applied.contains(&(event.id, event.hash)))
        })],
        _ => Vec::new(),
    }
}

/// What holds in every weather.
pub(crate) fn all() -> Vec<Property<LaneModel>> {
    vec![
        always(NOTHING_LOST, |model, state| {
            state.db.iter().all(|db| nothing_lost(model, state, db))
        }),
        always(NOTHING_TWICE, |_, state| nothing_twice(state)),
        always(NEVER_BACK, |_, state| !state.wrong.went_back),
        always(COUNTS, counts_add_up),
        always(PUBLISHED_IS_THERE, |_, state| {
            let mut recorded = state
                .db
                .iter()
                .flat_map(|db| db.outbox.iter().filter(|row| row.0 <= db.published));
            recorded.all(|row| in_topic(state, row.1))
        }),
        always(PUBLISHED_WAS_COMMITTED, |_, state| {
            let mut facts = state.log.iter().filter(|row| row.1.letter.is_none());
            state.set_back || facts.all(|row| state.db.iter().any(|db| db.outbox.contains(row)))
        }),
        always(IN_ORDER, |_, state| {
            let sequences: Vec<_> = state
                .log
                .iter()
                .map(|row| row.0)
                .filter(|sequence| *sequence > 0)
                .collect();
            state.db.len() > 1 || sequences.is_sorted()
        }),
        always(CLAIM_HELPS, |_, state| !state.wrong.stuck),
        always(SOMEBODY_WORKS, |_, state| state.us[state.group].phase != Phase::Dropped),
        sometimes(ALL_HANDLED, all_handled),
    ]
}

/// Each record below the position has a fate, and the fate is true.
fn nothing_lost(model: &LaneModel, state: &State, db: &Db) -> bool {
    let mut records = [MAIN, REDRIVE].into_iter().flat_map(|topic| {
        let below = 0..db.progress[usize::from(topic)];
        below.filter_map(move |offset| Some((topic, offset, model.record(state, topic, offset)?)))
    });
    records.all(|(topic, offset, event)| {
        let applied = db.applied.contains(&(event.id, event.hash));
        let dead = db.inbox[usize::from(event.id)] == Seen::Dead { hash: event.hash };
        let mut fates = db.fates.iter().filter(|fate| (fate.0, fate.1) == (topic, offset));
        fates.any(|(_, _, fate)| match fate {
            Fate::Applied => applied,
            Fate::Duplicate => applied || (dead && topic == MAIN),
            Fate::Dead => has_letter(state, db, (topic, offset)),
            Fate::Skipped => topic == REDRIVE,
        })
    })
}

fn has_letter(state: &State, db: &Db, origin: (u8, u8)) -> bool {
    let is_it = |fact: &Fact| fact.letter == Some(origin);
    let produced = state.log.iter().any(|row| is_it(&row.1));
    let promised = state
        .us
        .iter()
        .flat_map(|us| us.made.iter().map(|row| &row.1).chain(&us.letters))
        .any(is_it);
    produced || promised || db.outbox.iter().any(|row| is_it(&row.1))
}

/// No event is in the state twice, and none has two facts.
fn nothing_twice(state: &State) -> bool {
    let mut applied: Vec<_> = state.db.iter().flat_map(|db| &db.applied).map(|(id, _)| *id).collect();
    let mut facts: Vec<_> = state
        .log
        .iter()
        .filter(|row| row.1.letter.is_none())
        .map(|row| row.1.event.id)
        .collect();
    let (all_applied, all_facts) = (applied.len(), facts.len());
    applied.sort_unstable();
    applied.dedup();
    facts.sort_unstable();
    facts.dedup();
    (applied.len(), facts.len()) == (all_applied, all_facts)
}

/// What the audit compares: the sum of the counts is the number of records below the positions.
fn counts_add_up(model: &LaneModel, state: &State) -> bool {
    state.db.iter().all(|db| {
        let main = (0..db.progress[0])
            .filter(|offset| model.record(state, MAIN, *offset).is_some())
            .count();
        let counted: u8 = db.counts.iter().sum();
        usize::from(counted) == main + usize::from(db.progress[1])
    })
}

fn in_topic(state: &State, fact: Fact) -> bool {
    state.log.iter().any(|row| row.1 == fact)
}

fn all_handled(model: &LaneModel, state: &State) -> bool {
    let db = &state.db[0];
    let ends = [model.end(state, MAIN), model.end(state, REDRIVE)];
    db.progress == ends && db.published + 1 == db.next_seq
}
