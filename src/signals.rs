//! Signals: the first asks for an end in good order, the second ends the process at once.

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::Duration;

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::flag;

use crate::exit::Exit;
use crate::report::Failure;
use crate::slug::Slug;

/// How often a waiting daemon looks whether a signal came.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// What signals have asked for. Clones see the same.
#[derive(Debug, Clone)]
pub(crate) struct Signals {
    asked: Arc<AtomicBool>,
    code: Arc<AtomicUsize>,
}

impl Signals {
    /// Takes SIGINT and SIGTERM from now on.
    ///
    /// # Errors
    /// The system does not let a handler be set.
    pub(crate) fn take() -> Result<Self, Failure> {
        let signals = Self {
            asked: Arc::default(),
            code: Arc::default(),
        };
        signals.register().map_err(|error| {
            Failure::new(Slug::Internal, "the handlers of SIGINT and SIGTERM could not be set").caused_by(&error)
        })?;
        Ok(signals)
    }

    /// Whether an end was asked for, as a flag that others may look at.
    pub(crate) fn flag(&self) -> Arc<AtomicBool> {
        Arc::clone(&self.asked)
    }

    /// Resolves when an end is asked for.
    pub(crate) async fn asked(self) {
        while !self.asked.load(Ordering::Relaxed) {
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// How a command that a signal cut short ends; none, if there was no signal.
    pub(crate) fn exit(&self) -> Option<Exit> {
        [Exit::Interrupted, Exit::Terminated]
            .into_iter()
            .find(|exit| usize::from(exit.code()) == self.code.load(Ordering::Relaxed))
    }

    fn register(&self) -> io::Result<()> {
        for (signal, exit) in [(SIGINT, Exit::Interrupted), (SIGTERM, Exit::Terminated)] {
            // In this order: the first signal finds the flag still down and does not end the process.
            flag::register_conditional_shutdown(signal, exit.code().into(), self.flag())?;
            flag::register(signal, self.flag())?;
            flag::register_usize(signal, Arc::clone(&self.code), exit.code().into())?;
        }
        Ok(())
    }
}
