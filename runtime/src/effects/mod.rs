//! Calls to the outside: made at least once under a key that never changes, their answer applied once (rule 10).
//!
//! A decision stores an effect; once that is durable, the lane's [`Executor`] makes the call and hands back what came of
//! it. An answer goes into a second decision, in a second unit of work; anything else becomes a later attempt. Only an
//! answer is a result: out of attempts, or past the time the other side remembers the key, an effect is `unknown`, asked
//! about and never called again, for the call may have succeeded.
//!
//! Nothing here knows of Kafka or a database: effects come in as rows, and [`Event`]s go out for the lane to write.

mod breaker;
mod callers;
mod executor;
mod paging;
mod queue;
mod settings;

use std::pin::Pin;
use std::time::Duration;

use uuid::Uuid;

use crate::store::{Attempt, EffectRow};

pub use callers::{Callers, WallClock};
pub use executor::Executor;
pub use settings::EffectSettings;

/// A future of a caller; boxed, so that callers of several kinds can be kept side by side.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Makes the calls of one kind.
///
/// The future is dropped when it takes longer than [`EffectSettings::call_timeout`] or when the lane is let go; the call
/// may have arrived all the same, which is why it is made again under the same key.
pub trait Caller: Send + Sync + 'static {
    /// Makes the call, under [`Call::idempotency_key`].
    fn call<'a>(&'a self, call: &'a Call) -> BoxFuture<'a, Called>;

    /// Asks what became of a call that nobody knows the end of, without making it.
    ///
    /// By default nobody can be asked, and the effect waits for a person.
    fn ask<'a>(&'a self, _call: &'a Call) -> BoxFuture<'a, Asked> {
        Box::pin(std::future::ready(Asked::Unknown(
            "the other side cannot be asked about earlier calls".to_owned(),
        )))
    }
}

/// A call to be made, or to be asked about.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Call {
    /// Identity of the effect.
    pub effect: Uuid,
    /// What the other side recognises a repetition by; the same at every attempt.
    pub idempotency_key: String,
    /// Key of the entity it is about, as the decision named it.
    pub subject: String,
    /// What is asked, as the decision wrote it.
    pub request: Vec<u8>,
    /// How many calls ended without an answer before this one, as far as is known.
    pub attempts: u32,
    /// How long the caller has before it is dropped.
    pub timeout: Duration,
    /// W3C `traceparent` of the effect's cause.
    pub traceparent: Option<String>,
}

/// What came of a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Called {
    /// The other side has decided, for or against; the bytes go to [`Handler::answer`](crate::Handler::answer).
    Answer(Vec<u8>),
    /// No answer; why. The call may have arrived. It is made again, and counts against the other side's health.
    Retry(String),
    /// The other side is still at work on an earlier call under this key. It is made again later.
    InProgress,
}

/// What came of asking.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Asked {
    /// The call had arrived, and this was its answer.
    Answer(Vec<u8>),
    /// Still not known; why.
    Unknown(String),
}

/// What the lane is to make durable.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// The other side answered; the executor has forgotten the effect.
    Answer {
        /// The effect, as it was before the answer.
        effect: EffectRow,
        /// What the other side said.
        answer: Vec<u8>,
    },
    /// There is no answer yet; the executor goes on with the effect as the attempt says.
    Attempt {
        /// Kind of the effect, for counters.
        kind: String,
        /// How the effect stands now.
        attempt: Attempt,
    },
}
