//! What each step changes.

use super::database::{self, Db, Fact, Fate};
use super::steps::{Action, Instance, Phase, Server, Wire, at, cursor};
use super::{LaneModel, MAIN, NOBODY, Rule, State, around};

/// Takes a step that is possible.
pub(crate) fn take(model: &LaneModel, state: &mut State, action: Action) {
    match action {
        Action::Claim(i) => claim(model, state, i),
        Action::ClaimLands(i) => claim_lands(state, i),
        Action::ClaimAnswered(i) => claim_answered(model, state, i),
        Action::Assign(i) => assign(model, state, i, 0),
        Action::AssignTooFar(i) => assign(model, state, i, 1),
        Action::Poll(i, topic) => poll(model, state, i, topic),
        Action::Decode(i) => decode(model, state, i),
        Action::Begin(i) => begin(model, state, i),
        Action::Admit(i) => admit(model, state, i),
        Action::Load(i) => state.us[i].phase = Phase::Loaded,
        Action::Write(i) => write(model, state, i),
        Action::Send(i) => send(model, state, i),
        Action::CommitLands(i) => commit_lands(state, i),
        Action::Told(i) => told(model, state, i),
        Action::AnswerLost(i) => around::answer_lost(state, i),
        Action::Resolve(i) => resolve(model, state, i),
        Action::RollBack(i) => around::roll_back(state, i),
        Action::Publish(i) => publish_next(state, i),
        Action::Expire(i) => around::expire(state, i),
        Action::Acknowledge(i) => state.us[i].acked = state.us[i].landed,
        Action::ProduceLetter(i) => produce_letter(state, i),
        Action::TellGroup(i) => state.told = state.us[i].position,
        Action::Drained(i) => {
            around::move_lane(state);
            revoked(model, state, i);
        }
        Action::Revoked(i) => revoked(model, state, i),
        Action::Crash(i) => around::crash(state, i),
        Action::Move => around::move_lane(state),
        Action::Redrive(letter) => around::redrive(state, letter),
        Action::Retain => around::retain(model, state),
        Action::Backup => state.backup = Some(Box::new(state.db[0].clone())),
        Action::SetBack => around::set_back(state),
    }
}

impl Instance {
    /// The unit did not take place, and its batch is still to be handled.
    pub(crate) fn again(&mut self) {
        self.phase = Phase::Ready;
        self.admitted = None;
        self.made.clear();
    }
}

fn claim(model: &LaneModel, state: &mut State, i: usize) {
    let read = state.db[at(state, i)].clone();
    let early = !model.rules.keep(Rule::ClaimIsOneStatement);
    let me = &mut state.us[i];
    me.holds = true;
    me.phase = Phase::Claiming;
    me.wire = Wire::Sent(early.then(|| Box::new(read)));
}

fn claim_lands(state: &mut State, i: usize) {
    let db = at(state, i);
    let waiting = state.us[i].phase == Phase::Claiming;
    state.db[db].owner = if waiting {
        u8::try_from(i).expect("0 or 1")
    } else {
        NOBODY
    };
    let found = Box::new(state.db[db].clone());
    let me = &mut state.us[i];
    me.wire = match std::mem::take(&mut me.wire) {
        _ if !waiting => Wire::Nothing,
        Wire::Sent(Some(read)) => Wire::Landed(read),
        _ => Wire::Landed(found),
    };
}

fn claim_answered(model: &LaneModel, state: &mut State, i: usize) {
    let told = state.told;
    let me = &mut state.us[i];
    let Wire::Landed(found) = std::mem::take(&mut me.wire) else {
        return;
    };
    me.phase = Phase::Claimed;
    me.fresh = true;
    me.turn = found.turn;
    me.position = if model.rules.keep(Rule::DatabaseSaysWhere) {
        found.progress
    } else {
        told
    };
    me.landed = found.published;
    me.acked = found.published;
    me.recorded = found.published;
    if model.rules.keep(Rule::Republish) {
        me.queue = found.unpublished();
    }
}

/// The client is told the positions, and starts there or further on.
fn assign(model: &LaneModel, state: &mut State, i: usize, too_far: u8) {
    state.left.strays -= too_far;
    let me = &mut state.us[i];
    me.phase = Phase::Ready;
    me.fetch = me.position;
    me.fetch[usize::from(MAIN)] += too_far;
    if model.rules.keep(Rule::FreshBuffer) {
        me.buffer.clear();
    }
}

fn poll(model: &LaneModel, state: &mut State, i: usize, topic: u8) {
    let mut offset = state.us[i].fetch[usize::from(topic)];
    while model.record(state, topic, offset).is_none() {
        offset += 1;
    }
    state.us[i].fetch[usize::from(topic)] = offset + 1;
    state.us[i].buffer.push((topic, offset));
}

/// A record before the position was handled; one behind it proves on a dense topic that records were left out.
fn decode(model: &LaneModel, state: &mut State, i: usize) {
    let (topic, offset) = state.us[i].buffer.remove(0);
    let position = state.us[i].position[usize::from(topic)];
    if offset < position {
        return;
    }
    if offset > position && model.dense() && model.rules.keep(Rule::Density) {
        state.us[i].let_go(model.rules.keep(Rule::FreshBuffer));
        return;
    }
    let event = model.record(state, topic, offset).expect("a record");
    let db = &state.db[at(state, i)];
    let early = (database::admission(model, db, topic, event), db.applied.clone());
    let reads_early = !model.rules.keep(Rule::LoadIsInside) || !model.rules.keep(Rule::InboxIsInside);
    let me = &mut state.us[i];
    me.batch = Some((topic, offset));
    me.early = reads_early.then_some(early);
}

fn begin(model: &LaneModel, state: &mut State, i: usize) {
    let db = at(state, i);
    let (owner, turn) = (state.db[db].owner, state.db[db].turn);
    let me = &state.us[i];
    let ours = usize::from(owner) == i || !model.rules.keep(Rule::EpochIsCompared);
    let now = turn == me.turn || !model.rules.keep(Rule::TurnIsCompared);
    if !ours || !now {
        fenced(model, state, i);
        return;
    }
    let noting = cursor(model, me);
    let me = &mut state.us[i];
    me.phase = Phase::Begun;
    me.server = Server::Open;
    me.noting = noting;
}

/// Positions are compared, and the inbox is asked.
fn admit(model: &LaneModel, state: &mut State, i: usize) {
    let db = &state.db[at(state, i)];
    let me = &state.us[i];
    let (topic, offset) = me.batch.expect("a batch");
    let t = usize::from(topic);
    let expected = if model.rules.keep(Rule::ExpectedIsHeld) {
        me.position[t]
    } else {
        offset
    };
    let equal = db.progress[t] == expected;
    let at_most = db.progress[t] <= expected && !model.rules.keep(Rule::PositionIsEqual);
    if !(equal || at_most || !model.rules.keep(Rule::PositionIsCompared)) {
        fenced(model, state, i);
        return;
    }
    let event = model.record(state, topic, offset).expect("a record");
    let early = me
        .early
        .as_ref()
        .map(|early| early.0)
        .filter(|_| !model.rules.keep(Rule::InboxIsInside));
    let admitted = early.unwrap_or_else(|| database::admission(model, db, topic, event));
    state.us[i].admitted = Some(admitted);
    state.us[i].phase = Phase::Admitted;
}

/// Decides, and draws the sequence.
fn write(model: &LaneModel, state: &mut State, i: usize) {
    let db = at(state, i);
    let me = &state.us[i];
    let (batch, admitted) = (me.batch.expect("a batch"), me.admitted.expect("admitted"));
    let decided = database::decide(model, state, &state.db[db], batch, admitted);
    if let Some(mut fact) = decided.fact {
        if !model.rules.keep(Rule::IdsFromTheCause) {
            state.drawn += 1;
            fact.drawn = state.drawn;
        }
        let sequence = state.db[db].next_seq;
        if !model.rules.keep(Rule::NoGaps) {
            state.db[db].next_seq += 1;
        }
        state.us[i].made = vec![(sequence, fact)];
        if fact.letter.is_some() && !model.rules.keep(Rule::LetterInOutbox) {
            state.us[i].made.clear();
            publish(state, 0, fact);
        }
        if fact.letter.is_some() && !model.rules.keep(Rule::LetterBeforePosition) {
            state.us[i].made = vec![(0, fact)];
        }
        if !model.rules.keep(Rule::CommitThenPublish) {
            let made = state.us[i].made.clone();
            state.us[i].queue.extend(made);
        }
    }
    state.us[i].phase = Phase::Written;
}

fn send(model: &LaneModel, state: &mut State, i: usize) {
    let made = unit(model, state, i);
    state.us[i].server = Server::Sent(Box::new(made));
    state.us[i].phase = Phase::Committing;
}

/// The database as the unit under way makes it.
fn unit(model: &LaneModel, state: &State, i: usize) -> Db {
    let me = &state.us[i];
    let mut db = state.db[at(state, i)].clone();
    db.turn += 1;
    db.published = if model.rules.keep(Rule::CursorOnlyRises) {
        db.published.max(me.noting)
    } else {
        me.noting
    };
    let Some((topic, offset)) = me.batch else { return db };
    let event = model.record(state, topic, offset).expect("a record");
    let decided = database::decide(model, state, &db, (topic, offset), me.admitted.expect("admitted"));
    db.progress[usize::from(topic)] = offset + 1;
    db.fates.push((topic, offset, decided.fate));
    db.counts[decided.fate as usize] += 1;
    if let Some(seen) = decided.seen {
        db.inbox[usize::from(event.id)] = seen;
    }
    if decided.fate == Fate::Applied {
        if let Some((_, early)) = me.early.as_ref().filter(|_| !model.rules.keep(Rule::LoadIsInside)) {
            db.applied.clone_from(early);
        }
        db.applied.push((event.id, event.hash));
    }
    for row in me.made.iter().filter(|row| row.0 > 0) {
        db.outbox.push(*row);
        db.next_seq = row.0 + 1;
    }
    db
}

fn commit_lands(state: &mut State, i: usize) {
    let db = at(state, i);
    let Server::Sent(made) = std::mem::replace(&mut state.us[i].server, Server::Landed) else {
        return;
    };
    let before = state.db[db].progress;
    state.wrong.went_back |= made.progress.iter().zip(before).any(|(after, before)| *after < before);
    state.db[db] = *made;
}

/// The unit is durable: the instance remembers where the lane stands, and publishes.
fn told(model: &LaneModel, state: &mut State, i: usize) {
    let me = &mut state.us[i];
    me.turn += 1;
    me.recorded = me.noting;
    me.fresh = false;
    if let Some((topic, offset)) = me.batch.take() {
        me.position[usize::from(topic)] = offset + 1;
    }
    let made = std::mem::take(&mut me.made);
    let (letters, facts): (Vec<_>, Vec<_>) = made.into_iter().partition(|row| row.0 == 0);
    me.letters.extend(letters.into_iter().map(|row| row.1));
    if model.rules.keep(Rule::CommitThenPublish) {
        me.queue.extend(facts);
    }
    me.server = Server::Nothing;
    me.early = None;
    me.again();
}

/// Reads the lane row: one turn on, it happened; unchanged, it did not; anything else is another's.
fn resolve(model: &LaneModel, state: &mut State, i: usize) {
    if !model.rules.keep(Rule::UnknownIsNotDone) {
        told(model, state, i);
        return;
    }
    let db = &state.db[at(state, i)];
    let me = &mut state.us[i];
    if me.server == Server::Landed {
        me.server = Server::Nothing;
    }
    if !model.rules.keep(Rule::UnknownIsNotFailed) {
        me.again();
        return;
    }
    let ours = usize::from(db.owner) == i || !model.rules.keep(Rule::EpochIsCompared);
    if ours && db.turn == me.turn + 1 {
        state.been.happened |= model.weather.noted;
        told(model, state, i);
    } else if ours && db.turn == me.turn {
        me.again();
        state.been.did_not |= model.weather.noted;
    } else {
        fenced(model, state, i);
    }
}

/// Keeps nothing, and claims again while the group still gives the lane.
fn fenced(model: &LaneModel, state: &mut State, i: usize) {
    let db = &state.db[at(state, i)];
    let me = &mut state.us[i];
    let undisturbed = usize::from(db.owner) == i && me.fresh && db.turn == me.turn;
    state.wrong.stuck |= undisturbed;
    state.been.fenced |= model.weather.noted && usize::from(db.owner) != i;
    if me.server == Server::Open {
        me.server = Server::Nothing;
    }
    me.let_go(model.rules.keep(Rule::FreshBuffer));
    if !model.rules.keep(Rule::ClaimAgain) {
        me.phase = Phase::Dropped;
    }
}

fn revoked(model: &LaneModel, state: &mut State, i: usize) {
    state.us[i].holds = false;
    state.us[i].let_go(model.rules.keep(Rule::FreshBuffer));
}

fn publish_next(state: &mut State, i: usize) {
    let (sequence, fact) = state.us[i].queue.remove(0);
    state.us[i].landed = sequence;
    publish(state, sequence, fact);
}

fn produce_letter(state: &mut State, i: usize) {
    let letter = state.us[i].letters.remove(0);
    publish(state, 0, letter);
}

/// Only the first copy of a fact is looked at by whoever reads it.
pub(crate) fn publish(state: &mut State, sequence: u8, fact: Fact) {
    if !state.log.iter().any(|row| row.1 == fact) {
        state.log.push((sequence, fact));
    }
}
