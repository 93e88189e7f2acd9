use std::collections::{HashMap, VecDeque};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use crate::effects::{Asked, BoxFuture, Call, Called, Caller};

/// Answers as its script says, by idempotency key; without a script it answers at once. Counts what it is asked.
#[derive(Default)]
pub(super) struct Scripted {
    script: Mutex<HashMap<String, VecDeque<Said>>>,
    pub(super) calls: AtomicUsize,
    pub(super) asks: AtomicUsize,
    pub(super) at_once: AtomicUsize,
    pub(super) most_at_once: AtomicUsize,
}

#[derive(Clone)]
pub(super) enum Said {
    Called(Called),
    Asked(Asked),
    AnswerAfter(Duration),
    Never,
    Panic,
}

impl Scripted {
    pub(super) fn saying(key: &str, said: impl IntoIterator<Item = Said>) -> Arc<Self> {
        let scripted = Self::default();
        scripted.script().insert(key.to_owned(), said.into_iter().collect());
        Arc::new(scripted)
    }

    pub(super) fn script(&self) -> MutexGuard<'_, HashMap<String, VecDeque<Said>>> {
        self.script.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn next(&self, call: &Call) -> Said {
        let mut script = self.script();
        let said = script.get_mut(&call.idempotency_key).and_then(VecDeque::pop_front);
        said.unwrap_or_else(|| Said::Called(Called::Answer(answer_to(&call.idempotency_key))))
    }

    pub(super) fn calls(&self) -> usize {
        self.calls.load(Ordering::SeqCst)
    }
}

impl Caller for Arc<Scripted> {
    fn call<'a>(&'a self, call: &'a Call) -> BoxFuture<'a, Called> {
        self.calls.fetch_add(1, Ordering::SeqCst);
        Box::pin(async move {
            let now = self.at_once.fetch_add(1, Ordering::SeqCst) + 1;
            self.most_at_once.fetch_max(now, Ordering::SeqCst);
            let called = match self.next(call) {
                Said::Called(called) => called,
                Said::AnswerAfter(wait) => {
                    tokio::time::sleep(wait).await;
                    Called::Answer(answer_to(&call.idempotency_key))
                }
                Said::Never => std::future::pending().await,
                Said::Panic => panic!("a caller with a mistake"),
                Said::Asked(_) => panic!("called where it was to be asked"),
            };
            self.at_once.fetch_sub(1, Ordering::SeqCst);
            called
        })
    }

    fn ask<'a>(&'a self, call: &'a Call) -> BoxFuture<'a, Asked> {
        self.asks.fetch_add(1, Ordering::SeqCst);
        Box::pin(async move {
            match self.next(call) {
                Said::Asked(asked) => asked,
                _ => panic!("asked where it was to be called"),
            }
        })
    }
}

pub(super) fn answer_to(key: &str) -> Vec<u8> {
    format!("answer to {key}").into_bytes()
}
