//! Who makes which calls, and what all lanes of the process share about it.

use std::collections::HashMap;
use std::fmt;
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::sync::{Mutex, Notify, Semaphore};
use tokio::time::Instant;
use uuid::Uuid;

use super::breaker::Breaker;
use super::settings::longest_wait;
use super::{Asked, Call, Called, Caller, EffectSettings};
use crate::settings::InvalidSettings;
use crate::store::EffectState;

/// Wall clock: milliseconds since 1970-01-01 UTC.
pub type WallClock = Arc<dyn Fn() -> i64 + Send + Sync>;

/// The callers of a process by kind of effect. Cheap to clone; clones share concurrency and circuit breakers.
#[derive(Clone)]
pub struct Callers {
    kinds: HashMap<&'static str, Arc<Dependency>>,
    wall: WallClock,
    closed: Arc<Notify>,
    large_page: Arc<Mutex<()>>,
}

impl Callers {
    /// No callers: for a service that asks nothing of the outside.
    #[must_use]
    pub fn none() -> Self {
        Self {
            kinds: HashMap::new(),
            wall: Arc::new(system_millis),
            closed: Arc::default(),
            large_page: Arc::default(),
        }
    }

    /// The same, with effects of `kind` made by `caller`.
    ///
    /// # Errors
    /// When the settings do not go together.
    pub fn with(
        mut self,
        kind: &'static str,
        caller: impl Caller,
        settings: EffectSettings,
    ) -> Result<Self, InvalidSettings> {
        settings.check()?;
        let dependency = Dependency::new(kind, Arc::new(caller), settings, Arc::clone(&self.closed));
        self.kinds.insert(kind, Arc::new(dependency));
        Ok(self)
    }

    /// The same under another wall clock: for tests.
    #[must_use]
    pub fn with_clock(mut self, wall: WallClock) -> Self {
        self.wall = wall;
        self
    }

    pub(super) fn get(&self, kind: &str) -> Option<&Arc<Dependency>> {
        self.kinds.get(kind)
    }

    pub(super) fn each(&self) -> impl Iterator<Item = &Arc<Dependency>> {
        self.kinds.values()
    }

    /// Held by the lane that loads much more than usual.
    pub(super) fn large_page(&self) -> Arc<Mutex<()>> {
        Arc::clone(&self.large_page)
    }

    /// The largest [`EffectSettings::held`] of any kind.
    pub(super) fn most_held(&self) -> usize {
        let held = self.kinds.values().map(|dependency| dependency.settings.held);
        held.max().unwrap_or(0)
    }

    pub(super) fn now(&self) -> i64 {
        (self.wall)()
    }

    pub(super) fn clock(&self) -> WallClock {
        Arc::clone(&self.wall)
    }

    /// Says when a circuit breaker has closed.
    pub(super) fn closed(&self) -> Arc<Notify> {
        Arc::clone(&self.closed)
    }
}

impl fmt::Debug for Callers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_set().entries(self.kinds.keys()).finish()
    }
}

/// One kind's caller with its limits.
pub(super) struct Dependency {
    pub(super) kind: &'static str,
    pub(super) settings: EffectSettings,
    pub(super) breaker: Breaker,
    caller: Arc<dyn Caller>,
    permits: Semaphore,
    closed: Arc<Notify>,
    dice: RandomState,
}

/// What came of work on an effect.
#[derive(Debug)]
pub(super) enum Outcome {
    Answer(Vec<u8>),
    /// No answer; why.
    Without(String),
    /// The breaker opened before the call was made.
    Held,
    /// Its turn came when its key may have protected no more; the call was not made.
    Late,
}

impl Dependency {
    fn new(kind: &'static str, caller: Arc<dyn Caller>, settings: EffectSettings, closed: Arc<Notify>) -> Self {
        Self {
            kind,
            breaker: Breaker::new(settings.breaker_threshold, settings.breaker_cool_down),
            caller,
            permits: Semaphore::new(settings.concurrency),
            closed,
            dice: RandomState::new(),
            settings,
        }
    }

    /// Calls or asks, when it is this effect's turn among those of all lanes; calls if that is `in_time`.
    pub(super) async fn work(&self, call: Call, state: EffectState, in_time: impl Fn() -> bool) -> Outcome {
        let _permit = self.permits.acquire().await;
        match state {
            EffectState::Pending if !in_time() => Outcome::Late,
            EffectState::Pending if !self.breaker.admit(Instant::now()) => Outcome::Held,
            EffectState::Pending => self.call(call).await,
            EffectState::Unknown => self.ask(call).await,
        }
    }

    /// How long to wait after `earlier` tries: evenly from zero to the longest wait ("full jitter").
    pub(super) fn wait(&self, state: EffectState, effect: Uuid, earlier: u32) -> Duration {
        let s = &self.settings;
        let longest = match state {
            EffectState::Pending => longest_wait(s.backoff_base, s.backoff_ceiling, earlier),
            EffectState::Unknown => longest_wait(s.ask_base, s.ask_ceiling, earlier),
        };
        let millis = u64::try_from(longest.as_millis()).unwrap_or(u64::MAX);
        // The hasher's keys are random per process: a die that needs no state and no lock. The time is in it, for effects
        // whose tries are no longer counted.
        let drawn = self.dice.hash_one((effect, earlier, Instant::now()));
        Duration::from_millis(drawn % millis.saturating_add(1))
    }

    async fn call(&self, call: Call) -> Outcome {
        crate::crash_point!("effect.before_call");
        let called = tokio::time::timeout(call.timeout, self.caller.call(&call)).await;
        crate::crash_point!("effect.after_call");
        match called {
            Ok(Called::Answer(answer)) => {
                self.there();
                Outcome::Answer(answer)
            }
            Ok(Called::InProgress) => {
                self.there();
                Outcome::Without("an earlier call under this key is still in progress".to_owned())
            }
            Ok(Called::Retry(why)) => self.away(why),
            Err(_elapsed) => self.away(too_long(&call)),
        }
    }

    /// Past the breaker: asking is slow by itself.
    async fn ask(&self, call: Call) -> Outcome {
        match tokio::time::timeout(call.timeout, self.caller.ask(&call)).await {
            Ok(Asked::Answer(answer)) => Outcome::Answer(answer),
            Ok(Asked::Unknown(why)) => Outcome::Without(why),
            Err(_elapsed) => Outcome::Without(too_long(&call)),
        }
    }

    fn there(&self) {
        if self.breaker.succeeded() {
            tracing::info!(kind = self.kind, "the other side answers again");
            self.closed.notify_waiters();
        }
    }

    fn away(&self, why: String) -> Outcome {
        if self.breaker.failed(Instant::now()) {
            tracing::warn!(
                kind = self.kind,
                why,
                "the other side does not answer; left alone for a while"
            );
        }
        Outcome::Without(why)
    }
}

impl fmt::Debug for Dependency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Dependency")
            .field("kind", &self.kind)
            .field("breaker", &self.breaker)
            .finish_non_exhaustive()
    }
}

fn too_long(call: &Call) -> String {
    format!("no answer within {:?}", call.timeout)
}

fn system_millis() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
