//! What others do: the server, the group, Kafka, an operator, and whoever ends processes.

use super::database::Db;
use super::steps::{Instance, Phase, Server, Wire};
use super::unit::publish;
use super::{LaneModel, NOBODY, State};

pub(crate) fn answer_lost(state: &mut State, i: usize) {
    state.left.lost -= 1;
    state.us[i].phase = Phase::Unknown;
}

/// The transaction is rolled back, and whoever waits for it hears so.
pub(crate) fn roll_back(state: &mut State, i: usize) {
    state.left.aborts -= 1;
    let me = &mut state.us[i];
    me.server = Server::Nothing;
    if !matches!(me.phase, Phase::Unknown | Phase::Idle | Phase::Ready) {
        me.again();
    }
}

/// The first record in the queue times out, and the second arrives.
pub(crate) fn expire(state: &mut State, i: usize) {
    let (sequence, fact) = state.us[i].queue[1];
    publish(state, sequence, fact);
}

/// The former owner is not told yet.
pub(crate) fn move_lane(state: &mut State) {
    state.left.moves -= 1;
    state.group = 1 - state.group;
}

pub(crate) fn redrive(state: &mut State, letter: usize) {
    state.left.redrives -= 1;
    let event = state.log[letter].1.event;
    state.redrive.push(event);
}

pub(crate) fn retain(model: &LaneModel, state: &mut State) {
    state.left.retains -= 1;
    state.clock += 1;
    let horizon = state.clock;
    state.db.iter_mut().for_each(|db| db.retain(model, horizon));
}

/// The process forgets everything; what it has asked of the database may still be carried out.
pub(crate) fn crash(state: &mut State, i: usize) {
    state.left.crashes -= 1;
    let asked = matches!(state.us[i].wire, Wire::Sent(_) | Wire::Orphan);
    state.us[i] = Instance::default();
    if asked {
        state.us[i].wire = Wire::Orphan;
    }
}

/// All is stopped, the copy put in place, and its epochs raised past any before.
pub(crate) fn set_back(state: &mut State) {
    state.left.set_backs -= 1;
    let copy = state.backup.take().expect("a copy");
    state.db[0] = Db { owner: NOBODY, ..*copy };
    state.set_back = true;
    state.us = [Instance::default(), Instance::default()];
}
