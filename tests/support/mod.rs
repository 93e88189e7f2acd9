//! What the integration tests share: the broker, the program under test, and tools that are not ours.
//!
//! `./tests/run` sets the environment these helpers read (`docs/testing.md`). Without it they fail with a sentence: a
//! test that needs a broker and has none must not pass.

#![allow(
    dead_code,
    clippy::print_stderr,
    reason = "each test file is a program of its own and uses its part of this; seeds are shown with the test"
)]

pub(crate) mod broker;
pub(crate) mod catalogue;
pub(crate) mod cluster;
pub(crate) mod disk;
pub(crate) mod fleet;
pub(crate) mod namespace;
pub(crate) mod postgres;
pub(crate) mod process;
pub(crate) mod records;
pub(crate) mod seed;
pub(crate) mod shape;
pub(crate) mod system;
pub(crate) mod tools;

use std::collections::hash_map::RandomState;
use std::hash::BuildHasher as _;
use std::time::{Duration, Instant};

/// Waits until `condition` gives something, asking every 50 ms.
///
/// # Panics
/// When `limit` has passed; `what` says what was waited for.
pub(crate) fn wait_for<T>(what: &str, limit: Duration, mut condition: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + limit;
    loop {
        if let Some(found) = condition() {
            return found;
        }
        assert!(Instant::now() < deadline, "waited {limit:?} for {what}");
        std::thread::sleep(Duration::from_millis(50));
    }
}

/// [`wait_for`] with a plain condition.
///
/// # Panics
/// When `limit` has passed.
pub(crate) fn wait_until(what: &str, limit: Duration, mut condition: impl FnMut() -> bool) {
    wait_for(what, limit, || condition().then_some(()));
}

/// A name that no other test and no earlier run has used, fit for a topic, a group or a client. `./tests/run` knows those of
/// its own by what it has them begin with behind the stem.
pub(crate) fn unique(stem: &str) -> String {
    let run = std::env::var("ORDERFLOW_TEST_RUN").unwrap_or_default();
    format!("{stem}-{run}{:016x}", random())
}

/// Sixty-four random bits: each [`RandomState`] has a key of its own.
fn random() -> u64 {
    RandomState::new().hash_one(())
}

/// The value of a variable that `./tests/run` sets.
///
/// # Panics
/// When it is not set.
pub(crate) fn setting(name: &str) -> String {
    std::env::var(name).unwrap_or_else(|_| panic!("{name} is not set: run this test by ./tests/run (docs/testing.md)"))
}
