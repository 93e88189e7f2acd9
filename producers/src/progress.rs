//! How far a run is, and how it is asked to end.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

/// How far a run is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Progress {
    /// How much is done: records of a load, bytes of a file as it lies on the disk.
    pub done: u64,
    /// How much there is to do, in the same unit; `None` where nobody knows, as of a pipe.
    pub of: Option<u64>,
    /// Records handed to the client.
    pub sent: u64,
    /// Records every in-sync replica has.
    pub acknowledged: u64,
}

/// Is told now and then how far a run is, from the thread that runs it, a few times a second at most.
pub type Watch<'a> = &'a mut dyn FnMut(Progress);

/// Asks a run to end early; once asked, always asked. Clones are the same request.
#[derive(Debug, Clone, Default)]
pub struct Stop(Arc<AtomicBool>);

impl Stop {
    /// Asks.
    pub fn request(&self) {
        self.0.store(true, Ordering::Relaxed);
    }

    /// Whether somebody has asked.
    #[must_use]
    pub fn is_requested(&self) -> bool {
        self.0.load(Ordering::Relaxed)
    }
}

impl From<Arc<AtomicBool>> for Stop {
    /// Asked for by setting the flag, as a signal's handler does.
    fn from(flag: Arc<AtomicBool>) -> Self {
        Self(flag)
    }
}
