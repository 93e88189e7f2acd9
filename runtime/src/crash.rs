//! Named points at which the kill tests end the process.
//!
//! With the feature `crash-points`, `ORDERFLOW_TEST_CRASH=name:n` ends the process at the n-th passing of `name`,
//! without unwinding and without flushing anything, as `kill -9` would; `ORDERFLOW_TEST_CRASH_COUNTS=file` appends the
//! name of each point at its first passing and its count at every doubling. With `ORDERFLOW_TEST_CRASH_AFTER=file` no
//! passing counts before that file exists. Without the feature a point is nothing at all.

/// Marks a point at which a kill test may end the process.
#[macro_export]
macro_rules! crash_point {
    ($name:literal) => {{
        #[cfg(feature = "crash-points")]
        $crate::crash::reached($name);
    }};
}

/// Every point there is, in the order a record passes them.
pub const POINTS: &[&str] = &[
    "poll.after",
    "decode.after",
    "claim.before",
    "claim.after",
    "tx.begin",
    "tx.compare_and_set",
    "tx.inbox",
    "tx.load",
    "tx.state",
    "tx.outbox",
    "tx.release",
    "commit.before",
    "commit.after",
    "commit.told",
    "publish.first",
    "publish.mid",
    "publish.last",
    "acks.partly",
    "cursor.before",
    "cursor.after",
    "effect.before_call",
    "effect.after_call",
    "effect.answer",
    "assign.after",
    "revoke.before",
    "drain.after",
];

#[cfg(feature = "crash-points")]
pub use armed::reached;

#[cfg(feature = "crash-points")]
mod armed {
    use std::collections::HashMap;
    use std::io::Write as _;
    use std::path::PathBuf;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::sync::{LazyLock, Mutex, PoisonError};

    static PASSED: LazyLock<Mutex<HashMap<&'static str, u64>>> = LazyLock::new(Mutex::default);
    static TARGET: LazyLock<Option<(String, u64)>> = LazyLock::new(|| {
        let said = std::env::var("ORDERFLOW_TEST_CRASH").ok()?;
        let (name, nth) = said.split_once(':')?;
        Some((name.to_owned(), nth.parse().ok()?))
    });
    static AFTER: LazyLock<Option<PathBuf>> =
        LazyLock::new(|| std::env::var_os("ORDERFLOW_TEST_CRASH_AFTER").map(PathBuf::from));
    static COUNTS: LazyLock<Option<String>> = LazyLock::new(|| std::env::var("ORDERFLOW_TEST_CRASH_COUNTS").ok());

    /// A point was passed: end the process if this is the passing that was asked for.
    pub fn reached(name: &'static str) {
        if !counting() {
            return;
        }
        let mut passed = PASSED.lock().unwrap_or_else(PoisonError::into_inner);
        let count = passed.entry(name).or_default();
        *count += 1;
        if let Some(file) = COUNTS.as_deref().filter(|_| count.is_power_of_two()) {
            note(file, &format!("{name} {count}\n"));
        }
        if TARGET
            .as_ref()
            .is_some_and(|(target, nth)| target == name && nth == count)
        {
            end(name);
        }
    }

    fn counting() -> bool {
        static BEGUN: AtomicBool = AtomicBool::new(false);
        if !BEGUN.load(Ordering::Relaxed) && AFTER.as_ref().is_none_or(|file| file.exists()) {
            BEGUN.store(true, Ordering::Relaxed);
        }
        BEGUN.load(Ordering::Relaxed)
    }

    fn note(file: &str, line: &str) {
        let opened = std::fs::OpenOptions::new().create(true).append(true).open(file);
        if let Ok(mut file) = opened {
            let _written = file.write_all(line.as_bytes());
        }
    }

    /// `abort` neither unwinds nor runs exit handlers: nothing is flushed, drained or left in order.
    fn end(name: &str) -> ! {
        let _written = writeln!(std::io::stderr(), "crash point {name}");
        std::process::abort()
    }
}
