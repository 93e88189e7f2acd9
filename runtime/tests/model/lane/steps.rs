//! What an instance may do, step by step, and what may be done to it.

use super::database::{Db, Fact};
use super::{Admission, LaneModel, MAIN, REDRIVE, Rule, State};

/// One process, as far as it works on the lane.
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub(crate) struct Instance {
    /// Whether it believes that the group gives it the lane.
    pub(crate) holds: bool,
    pub(crate) phase: Phase,
    /// Its claim, on the way to the database or back.
    pub(crate) wire: Wire,
    /// Its transaction, as the server sees it.
    pub(crate) server: Server,
    pub(crate) turn: u8,
    pub(crate) position: [u8; 2],
    /// What its client fetches next.
    pub(crate) fetch: [u8; 2],
    pub(crate) buffer: Vec<(u8, u8)>,
    /// The record of the unit under way; none records how far publishing has come.
    pub(crate) batch: Option<(u8, u8)>,
    /// What was read for the batch too early, by rules that allow it.
    pub(crate) early: Option<(Admission, Vec<(u8, u8)>)>,
    pub(crate) admitted: Option<Admission>,
    /// What the unit under way makes.
    pub(crate) made: Vec<(u8, Fact)>,
    /// What the unit under way records as published.
    pub(crate) noting: u8,
    /// Facts to publish, in order.
    pub(crate) queue: Vec<(u8, Fact)>,
    /// The last fact that is in the topic, the last whose acknowledgement came, the last recorded as published.
    pub(crate) landed: u8,
    pub(crate) acked: u8,
    pub(crate) recorded: u8,
    /// Letters to produce, by rules that do not put them into the outbox.
    pub(crate) letters: Vec<Fact>,
    /// Whether no unit has succeeded since the claim.
    pub(crate) fresh: bool,
}

/// A lane's life in one instance.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
pub(crate) enum Phase {
    #[default]
    Idle,
    Claiming,
    Claimed,
    Ready,
    Begun,
    Admitted,
    Loaded,
    Written,
    Committing,
    Unknown,
    /// Fenced, and given up for good, by rules that allow it.
    Dropped,
}

/// See [`Instance::wire`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub(crate) enum Wire {
    #[default]
    Nothing,
    /// Sent; with what was read before, by rules that allow it.
    Sent(Option<Box<Db>>),
    /// Carried out, with what was found.
    Landed(Box<Db>),
    /// Sent by a process that is no more.
    Orphan,
}

/// See [`Instance::server`].
#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
pub(crate) enum Server {
    #[default]
    Nothing,
    Open,
    /// COMMIT is on its way; this is what it makes of the database.
    Sent(Box<Db>),
    Landed,
}

/// A step. The number is the instance's, of [`Action::Redrive`] the letter's place in the topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Action {
    Claim(usize),
    ClaimLands(usize),
    ClaimAnswered(usize),
    Assign(usize),
    AssignTooFar(usize),
    Poll(usize, u8),
    Decode(usize),
    Begin(usize),
    Admit(usize),
    Load(usize),
    Write(usize),
    Send(usize),
    CommitLands(usize),
    Told(usize),
    AnswerLost(usize),
    Resolve(usize),
    RollBack(usize),
    Publish(usize),
    Expire(usize),
    Acknowledge(usize),
    ProduceLetter(usize),
    TellGroup(usize),
    Drained(usize),
    Revoked(usize),
    Crash(usize),
    Move,
    Redrive(usize),
    Retain,
    Backup,
    SetBack,
}

impl Action {
    /// The crash point a step ends at; or, in brackets, what nobody of us does.
    pub(crate) fn name(self, before: &State) -> &'static str {
        match self {
            Self::Claim(_) => "claim.before",
            Self::ClaimLands(_) => "(the database carries a claim out)",
            Self::ClaimAnswered(_) => "claim.after",
            Self::Assign(_) => "assign.after",
            Self::AssignTooFar(_) => "(the client starts too far on)",
            Self::Poll(..) => "poll.after",
            Self::Decode(_) => "decode.after",
            Self::Begin(_) => "tx.begin",
            Self::Admit(_) => "tx.inbox",
            Self::Load(_) => "tx.load",
            Self::Write(_) => "tx.outbox",
            Self::Send(_) => "commit.before",
            Self::CommitLands(_) => "commit.after",
            Self::Told(i) if before.us[i].noting > before.us[i].recorded => "cursor.after",
            Self::Told(_) => "commit.told",
            Self::AnswerLost(_) => "(the answer to COMMIT is lost)",
            Self::Resolve(_) => "(the lane row is read)",
            Self::RollBack(_) => "(the server rolls back)",
            Self::Publish(i) if before.us[i].queue.len() == 1 => "publish.last",
            Self::Publish(i) if before.us[i].landed == before.us[i].recorded => "publish.first",
            Self::Publish(_) => "publish.mid",
            Self::Acknowledge(i) if before.us[i].queue.is_empty() => "cursor.before",
            Self::Acknowledge(_) => "acks.partly",
            Self::Expire(_) => "(a record times out and the next does not)",
            Self::ProduceLetter(_) => "(a letter goes out past the outbox)",
            Self::TellGroup(_) => "(the group is told a position)",
            Self::Drained(_) => "drain.after",
            Self::Revoked(_) => "revoke.before",
            Self::Crash(_) => "(a process dies)",
            Self::Move => "(the group moves the lane)",
            Self::Redrive(_) => "(a letter is redriven)",
            Self::Retain => "(time passes and retention deletes)",
            Self::Backup => "(the database is copied)",
            Self::SetBack => "(the copy is put in its place)",
        }
    }
}

/// What the instance may do next.
pub(crate) fn own(model: &LaneModel, state: &State, i: usize, actions: &mut Vec<Action>) {
    let (me, rules) = (&state.us[i], model.rules);
    match me.phase {
        Phase::Idle if me.wire == Wire::Nothing && (me.holds || state.group == i) => actions.push(Action::Claim(i)),
        Phase::Claiming if matches!(me.wire, Wire::Landed(_)) => actions.push(Action::ClaimAnswered(i)),
        Phase::Claimed => actions.push(Action::Assign(i)),
        Phase::Ready => ready(model, state, i, actions),
        Phase::Begun if me.batch.is_some() => actions.push(Action::Admit(i)),
        Phase::Admitted => actions.push(Action::Load(i)),
        Phase::Loaded => actions.push(Action::Write(i)),
        Phase::Begun | Phase::Written => actions.push(Action::Send(i)),
        Phase::Committing if me.server == Server::Landed => actions.push(Action::Told(i)),
        Phase::Unknown if !matches!(me.server, Server::Sent(_)) || !rules.keep(Rule::ReadWithLock) => {
            actions.push(Action::Resolve(i));
        }
        _ => {}
    }
    if !me.queue.is_empty() {
        actions.push(Action::Publish(i));
        if me.queue.len() > 1 && !rules.keep(Rule::NoTimeouts) {
            actions.push(Action::Expire(i));
        }
    }
    if me.landed > me.acked {
        actions.push(Action::Acknowledge(i));
    }
    if !me.letters.is_empty() {
        actions.push(Action::ProduceLetter(i));
    }
    if me.holds && state.group != i {
        actions.push(Action::Revoked(i));
    }
}

fn ready(model: &LaneModel, state: &State, i: usize, actions: &mut Vec<Action>) {
    let me = &state.us[i];
    if me.buffer.len() < model.weather.buffer {
        for topic in [MAIN, REDRIVE] {
            if me.fetch[usize::from(topic)] < model.end(state, topic) {
                actions.push(Action::Poll(i, topic));
            }
        }
    }
    if me.batch.is_none() && !me.buffer.is_empty() {
        actions.push(Action::Decode(i));
    }
    let free = state
        .us
        .iter()
        .enumerate()
        .all(|(other, us)| !shares(state, i, other) || !us.locks());
    if free && (me.batch.is_some() || cursor(model, me) > me.recorded) {
        actions.push(Action::Begin(i));
    }
    let idle = me.batch.is_none() && me.queue.is_empty() && me.acked == me.recorded;
    if idle && state.group == i && state.left.moves > 0 && model.rules.keep(Rule::Drain) {
        actions.push(Action::Drained(i));
    }
    if idle && state.told != me.position && !model.rules.keep(Rule::DatabaseSaysWhere) {
        actions.push(Action::TellGroup(i));
    }
}

/// What others may do to the instance.
pub(crate) fn suffered(state: &State, i: usize, actions: &mut Vec<Action>) {
    let (me, left) = (&state.us[i], state.left);
    let free = state
        .us
        .iter()
        .enumerate()
        .all(|(other, us)| !shares(state, i, other) || !us.locks());
    if free && matches!(me.wire, Wire::Sent(_) | Wire::Orphan) {
        actions.push(Action::ClaimLands(i));
    }
    if matches!(me.server, Server::Sent(_)) {
        actions.push(Action::CommitLands(i));
    }
    if me.locks() && left.aborts > 0 {
        actions.push(Action::RollBack(i));
    }
    if me.phase == Phase::Committing && left.lost > 0 {
        actions.push(Action::AnswerLost(i));
    }
    if me.phase == Phase::Claimed && left.strays > 0 {
        actions.push(Action::AssignTooFar(i));
    }
    if me.phase != Phase::Idle && left.crashes > 0 {
        actions.push(Action::Crash(i));
    }
}

/// What happens around them.
pub(crate) fn around(state: &State, actions: &mut Vec<Action>) {
    let left = state.left;
    let free = state.us.iter().all(|us| !us.locks());
    if left.moves > 0 {
        actions.push(Action::Move);
    }
    if left.redrives > 0 {
        let letters = state
            .log
            .iter()
            .enumerate()
            .filter(|(_, (_, fact))| fact.letter.is_some());
        actions.extend(letters.map(|(at, _)| Action::Redrive(at)));
    }
    if left.retains > 0 && free {
        actions.push(Action::Retain);
    }
    if left.set_backs > 0 && free {
        actions.push(if state.backup.is_none() {
            Action::Backup
        } else {
            Action::SetBack
        });
    }
}

impl Instance {
    /// Whether its transaction holds the lane row.
    pub(crate) fn locks(&self) -> bool {
        matches!(self.server, Server::Open | Server::Sent(_))
    }

    /// The lane is no longer in this instance's hands; what is on the wire stays there.
    pub(crate) fn let_go(&mut self, fresh_buffer: bool) {
        let buffer = std::mem::take(&mut self.buffer);
        *self = Self {
            holds: self.holds,
            wire: std::mem::take(&mut self.wire),
            server: std::mem::take(&mut self.server),
            letters: std::mem::take(&mut self.letters),
            ..Self::default()
        };
        if !matches!(self.server, Server::Sent(_)) {
            self.server = Server::Nothing;
        }
        if !fresh_buffer {
            self.buffer = buffer;
        }
    }
}

/// Whether two instances have one database.
fn shares(state: &State, i: usize, other: usize) -> bool {
    at(state, i) == at(state, other)
}

pub(crate) fn at(state: &State, i: usize) -> usize {
    i % state.db.len()
}

/// How far publishing has come, as far as the next unit may say.
pub(crate) fn cursor(model: &LaneModel, me: &Instance) -> u8 {
    if model.rules.keep(Rule::AcksThenCursor) {
        return me.acked;
    }
    me.queue.last().map_or(me.landed, |(last, _)| *last)
}
