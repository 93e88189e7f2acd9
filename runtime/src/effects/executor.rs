//! Makes the calls of one lane.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use tokio::sync::OwnedMutexGuard;
use tokio::task::{Id, JoinError, JoinSet};
use tokio::time::Instant;
use uuid::Uuid;

use super::callers::{Callers, Dependency, Outcome};
use super::paging::Paging;
use super::queue::Queue;
use super::{Call, Event};
use crate::store::{Attempt, EffectRow, EffectState, Lane};

/// The calls of one lane: those that wait for their time, and those under way.
///
/// It works only while [`Executor::next`] is awaited, so a lane whose database is away starts no calls whose answers it
/// could not keep. Calls under way run on by themselves; dropping the executor aborts them.
#[derive(Debug)]
pub struct Executor {
    lane: Lane,
    callers: Callers,
    held: HashMap<Uuid, Held>,
    /// Of every kind there is a caller for, also while nothing is in it: what is for it may stand behind a full page.
    queues: Vec<Queue>,
    calls: JoinSet<Outcome>,
    under_way: HashMap<Id, Uuid>,
    ready: VecDeque<Event>,
    /// Effects of a kind without a caller of which that was said.
    told: HashSet<Uuid>,
    paging: Paging,
    stopped: bool,
}

/// How often something was asked about that is left to the database, which does not count it: as often as makes the wait longest.
const FORGOTTEN: u32 = u32::MAX;

#[derive(Debug)]
struct Held {
    effect: EffectRow,
    asked: u32,
}

impl Executor {
    /// Takes over a lane's effects as its database has them. If there were more than [`Executor::capacity`] to load, the
    /// first ones by due time will do: the executor says when it needs others.
    #[must_use]
    pub fn open(lane: Lane, callers: Callers, effects: Vec<EffectRow>) -> Self {
        let mut executor = Self {
            lane,
            queues: callers.each().flat_map(queues).collect(),
            callers,
            held: HashMap::new(),
            calls: JoinSet::new(),
            under_way: HashMap::new(),
            ready: VecDeque::new(),
            told: HashSet::new(),
            paging: Paging::new(),
            stopped: false,
        };
        executor.reload(effects);
        executor
    }

    /// Most effects worth loading at once: as many as are held of the kind that holds most, once to call and once to ask.
    /// More, while what is due first finds no room: what has room may stand behind it.
    #[must_use]
    pub fn capacity(&self) -> usize {
        self.callers.most_held().saturating_mul(2 * self.paging.pages())
    }

    /// Takes effects that have just become durable.
    pub fn add(&mut self, effects: impl IntoIterator<Item = EffectRow>) {
        for effect in effects {
            self.take(effect);
        }
    }

    /// Whether effects were left to the database for want of room, and there is room again: to be looked at after each
    /// event and now and then. The lane then loads its effects, once everything that [`Executor::next`] gave is durable,
    /// and calls [`Executor::reload`].
    #[must_use]
    pub fn needs_reload(&self) -> bool {
        self.reload_at().is_some_and(|at| Instant::now() >= at)
    }

    /// When [`Executor::needs_reload`] becomes true, if nothing else happens before.
    pub(crate) fn reload_at(&self) -> Option<Instant> {
        let is_wanted = self.queues.iter().any(Queue::needs_reload);
        self.paging.due(is_wanted, self.queues.iter().any(Queue::has_room))
    }

    /// Waits for its turn where much more than usual is to be loaded: one lane of the process does at a time.
    pub(crate) async fn turn_to_load(&self) -> Option<OwnedMutexGuard<()>> {
        if self.paging.pages() == 1 {
            return None;
        }
        Some(self.callers.large_page().lock_owned().await)
    }

    /// Takes the lane's effects as its database has them now; those it knows already it leaves as they are.
    pub fn reload(&mut self, effects: Vec<EffectRow>) {
        self.queues.iter_mut().for_each(Queue::reloading);
        let (known, loaded) = (self.held.len(), effects.len());
        self.add(effects);
        let is_full = loaded >= self.capacity();
        if is_full {
            self.queues
                .iter_mut()
                .filter(|queue| !queue.is_empty())
                .for_each(Queue::spill);
        }
        self.paging.loaded(is_full, loaded > 0 && self.held.len() == known);
    }

    /// Waits for something the lane is to make durable. Can be dropped and called again without losing anything.
    ///
    /// Never returns while there is nothing to wait for.
    pub async fn next(&mut self) -> Event {
        let closed = self.callers.closed();
        loop {
            // Listened for before the breakers are looked at, or one that closes in between would go unnoticed.
            let mut closed = std::pin::pin!(closed.notified());
            closed.as_mut().enable();
            if let Some(event) = self.try_next() {
                return event;
            }
            let wakes_at = self.wakes_at();
            tokio::select! {
                Some(joined) = self.calls.join_next_with_id() => {
                    if let Some(event) = self.finish(joined) {
                        return event;
                    }
                }
                () = sleep_until(wakes_at) => {}
                () = closed => {}
            }
        }
    }

    /// What is there already for the lane to make durable: for taking many answers into one unit of work.
    pub fn try_next(&mut self) -> Option<Event> {
        self.start_due();
        loop {
            if let Some(event) = self.ready.pop_front() {
                return Some(event);
            }
            let joined = self.calls.try_join_next_with_id()?;
            if let Some(event) = self.finish(joined) {
                return Some(event);
            }
        }
    }

    /// Starts no more calls: a drain. Answers of those under way still come.
    pub fn stop(&mut self) {
        self.stopped = true;
    }

    /// How many calls are under way.
    #[must_use]
    pub fn under_way(&self) -> usize {
        self.under_way.len()
    }

    /// How many effects are held in memory, those under way included.
    #[must_use]
    pub fn held(&self) -> usize {
        self.held.len()
    }

    fn take(&mut self, effect: EffectRow) {
        debug_assert_eq!(effect.lane, self.lane, "an effect is its lane's");
        if self.held.contains_key(&effect.id) {
            return;
        }
        let Some(dependency) = self.callers.get(&effect.kind).cloned() else {
            if self.told.insert(effect.id) {
                self.ready.push_back(nobody(&effect, self.callers.now()));
            }
            return;
        };
        let at = self.instant_of(effect.due);
        self.enqueue(&dependency, Held { effect, asked: 0 }, at);
    }

    fn enqueue(&mut self, dependency: &Dependency, held: Held, at: Instant) {
        let queue = queue_of(&mut self.queues, dependency, held.effect.state);
        if queue.is_some_and(|queue| queue.push(at, held.effect.id)) {
            self.held.insert(held.effect.id, held);
        }
    }

    fn start_due(&mut self) {
        let now = Instant::now();
        while let Some((effect, dependency, state)) = self.pop(now) {
            self.start(effect, &dependency, state);
        }
    }

    fn pop(&mut self, now: Instant) -> Option<(Uuid, Arc<Dependency>, EffectState)> {
        if self.stopped {
            return None;
        }
        self.queues
            .iter_mut()
            .find_map(|queue| Some((queue.pop(now)?, Arc::clone(&queue.dependency), queue.state)))
    }

    fn start(&mut self, effect: Uuid, dependency: &Arc<Dependency>, state: EffectState) {
        let Some(held) = self.held.get(&effect) else { return };
        let call = call_of(&held.effect, dependency.settings.call_timeout);
        let (clock, latest) = (self.callers.clock(), latest_call(&held.effect, dependency));
        let dependency = Arc::clone(dependency);
        let in_time = move || clock() < latest;
        let task = self
            .calls
            .spawn(async move { dependency.work(call, state, in_time).await });
        self.under_way.insert(task.id(), effect);
    }

    fn finish(&mut self, joined: Result<(Id, Outcome), JoinError>) -> Option<Event> {
        let (task, outcome) = match joined {
            Ok(done) => done,
            Err(error) => (error.id(), Outcome::Without(format!("the caller failed: {error}"))),
        };
        let effect = self.under_way.remove(&task)?;
        let held = self.held.get(&effect)?;
        let (dependency, state) = (self.callers.get(&held.effect.kind).cloned()?, held.effect.state);
        self.paging.went_on();
        match outcome {
            Outcome::Answer(answer) => self.answered(effect, &dependency, state, answer),
            Outcome::Without(why) => self.without_answer(effect, &dependency, state, why, 1),
            Outcome::Late => {
                let why = "the other side may have forgotten the key";
                self.without_answer(effect, &dependency, state, why.to_owned(), 0)
            }
            Outcome::Held => {
                queue_of(&mut self.queues, &dependency, state)?.put_back(Instant::now(), effect);
                None
            }
        }
    }

    fn answered(
        &mut self,
        effect: Uuid,
        dependency: &Arc<Dependency>,
        state: EffectState,
        answer: Vec<u8>,
    ) -> Option<Event> {
        queue_of(&mut self.queues, dependency, state)?.done();
        let effect = self.held.remove(&effect)?.effect;
        Some(Event::Answer { effect, answer })
    }

    /// The effect goes on: to a later call, or to being asked about. `calls` counts what was just tried. Where others were
    /// left to the database it is left there too, or those would have no turn while these have no answer.
    fn without_answer(
        &mut self,
        effect: Uuid,
        dependency: &Arc<Dependency>,
        was: EffectState,
        error: String,
        calls: u32,
    ) -> Option<Event> {
        queue_of(&mut self.queues, dependency, was)?.done();
        let mut held = self.held.remove(&effect)?;
        let earlier = count(&mut held, was, calls);
        let state = next_state(&held.effect, dependency, calls);
        let left = queue_of(&mut self.queues, dependency, state)?.leaves();
        let earlier = match (state == was, state) {
            (true, EffectState::Unknown) if left => FORGOTTEN,
            (true, _) => earlier,
            (false, _) => 0,
        };
        let wait = dependency.wait(state, effect, earlier);
        held.effect.state = state;
        held.effect.due = self.callers.now().saturating_add(millis(wait));
        let event = attempt(&held.effect, error);
        if !left {
            self.enqueue(dependency, held, Instant::now() + wait);
        }
        Some(event)
    }

    fn wakes_at(&self) -> Option<Instant> {
        if self.stopped {
            return None;
        }
        self.queues.iter().filter_map(Queue::wakes_at).min()
    }

    fn instant_of(&self, due: i64) -> Instant {
        let wait = due.saturating_sub(self.callers.now()).try_into().unwrap_or(0);
        Instant::now() + Duration::from_millis(wait)
    }
}

/// A call made from this time on could arrive when its key protects no more.
fn latest_call(effect: &EffectRow, dependency: &Dependency) -> i64 {
    let settings = &dependency.settings;
    effect
        .created_at
        .saturating_add(millis(settings.key_lifetime.saturating_sub(settings.call_timeout)))
}

/// For what is to be called and what is to be asked about.
fn queues(dependency: &Arc<Dependency>) -> [Queue; 2] {
    [EffectState::Pending, EffectState::Unknown].map(|state| Queue::new(Arc::clone(dependency), state))
}

/// The queue for effects of one kind in one state.
fn queue_of<'a>(queues: &'a mut [Queue], dependency: &Dependency, state: EffectState) -> Option<&'a mut Queue> {
    queues
        .iter_mut()
        .find(|queue| queue.state == state && queue.dependency.kind == dependency.kind)
}

/// Counts a try and says how many there were before it.
fn count(held: &mut Held, was: EffectState, calls: u32) -> u32 {
    let counter = match was {
        EffectState::Pending => &mut held.effect.attempts,
        EffectState::Unknown => &mut held.asked,
    };
    let earlier = *counter;
    *counter = counter.saturating_add(calls);
    earlier
}

/// A call that was not even made for its key's age, or that was the last one, leaves the effect unknown; unknown it stays.
fn next_state(effect: &EffectRow, dependency: &Dependency, calls: u32) -> EffectState {
    let over = calls == 0 || effect.attempts >= dependency.settings.max_attempts;
    match effect.state {
        EffectState::Pending if !over => EffectState::Pending,
        EffectState::Pending | EffectState::Unknown => EffectState::Unknown,
    }
}

fn call_of(effect: &EffectRow, timeout: Duration) -> Call {
    Call {
        effect: effect.id,
        idempotency_key: effect.idempotency_key.clone(),
        subject: effect.subject.clone(),
        request: effect.request.clone(),
        attempts: effect.attempts,
        timeout,
        traceparent: effect.traceparent.clone(),
    }
}

fn attempt(effect: &EffectRow, error: String) -> Event {
    Event::Attempt {
        kind: effect.kind.clone(),
        attempt: Attempt {
            effect: effect.id,
            attempts: effect.attempts,
            due: effect.due,
            state: effect.state,
            error,
        },
    }
}

/// No caller: it stays as it is in the database, with the reason to be seen, and is looked at again at the next start.
fn nobody(effect: &EffectRow, now: i64) -> Event {
    let effect = EffectRow {
        due: effect.due.max(now),
        ..effect.clone()
    };
    attempt(
        &effect,
        format!("no caller is configured for effects of kind {}", effect.kind),
    )
}

fn millis(wait: Duration) -> i64 {
    i64::try_from(wait.as_millis()).unwrap_or(i64::MAX)
}

async fn sleep_until(at: Option<Instant>) {
    match at {
        Some(at) => tokio::time::sleep_until(at).await,
        None => std::future::pending().await,
    }
}

#[cfg(test)]
mod tests;
