//! The relay: the one producer client of a process, which publishes the facts of every lane it owns (rules 4 and 5).
//!
//! One thread owns the client and the ledger of what is not acknowledged yet. A lane hands over its rows in sequence
//! order and reads off how far Kafka has them. What an unlucky client leaves behind is published again by the next one,
//! every lane from its first unacknowledged fact on: a client passes over no fact that is not known to be in Kafka, so
//! the first copies of a lane's facts stand in order however often a client is replaced.
//!
//! ```text
//! lane ──submit──> ledger ──in order──> librdkafka ──> Kafka
//!      <──changed── prefix <──deliveries──┘
//! ```

mod ledger;
mod refusal;
mod session;
#[cfg(test)]
mod tests;
mod worker;

use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use thiserror::Error;
use tokio::sync::{Notify, watch};

use crate::kafka::Connection;
use crate::observer::Observer;
use crate::settings::Settings;
use crate::store::{Lane, OutboxRow, Sequence};

use self::session::{Recipe, Session};
use self::worker::{Timing, Worker};

/// The producer could not be made.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub(crate) enum RelayError {
    /// A property that is not the user's to set.
    #[error("the Kafka property `{0}` is set by this program, because a guarantee rests on it; remove it")]
    Forbidden(String),
    /// librdkafka refuses the configuration.
    #[error("the producer cannot be set up: {0}")]
    Configuration(String),
    /// The operating system gives no thread.
    #[error("no thread for the producer: {0}")]
    Thread(String),
}

/// Publishes the facts of every lane of a process. Cheap to clone; the clones share one client.
#[derive(Clone)]
pub(crate) struct Relay {
    inner: Arc<Inner>,
}

struct Inner {
    commands: mpsc::Sender<Command>,
    failure: Failure,
    ownerships: AtomicU64,
}

impl Relay {
    /// Makes the client and starts the thread that owns it. Does not wait for a broker.
    ///
    /// # Errors
    /// See [`RelayError`].
    pub(crate) fn start(
        connection: &Connection,
        settings: &Settings,
        group: Arc<str>,
        observer: Arc<dyn Observer>,
    ) -> Result<Self, RelayError> {
        Self::start_with(connection, settings, group, observer, Timing::default())
    }

    fn start_with(
        connection: &Connection,
        settings: &Settings,
        group: Arc<str>,
        observer: Arc<dyn Observer>,
        timing: Timing,
    ) -> Result<Self, RelayError> {
        let recipe = Recipe::new(connection, settings, group)?;
        let session = Session::open(&recipe)?;
        let (commands, receiver) = mpsc::channel();
        let failure = Failure::default();
        let worker = Worker::new(recipe, session, receiver, (observer, failure.clone()), timing);
        std::thread::Builder::new()
            .name("relay".to_owned())
            .spawn(move || worker.run())
            .map_err(|error| RelayError::Thread(error.to_string()))?;
        Ok(Self {
            inner: Arc::new(Inner {
                commands,
                failure,
                ownerships: AtomicU64::new(0),
            }),
        })
    }

    /// Begins to publish a lane from sequence `first` on; every fact before it is acknowledged already.
    ///
    /// An earlier [`LaneRelay`] of the same lane has no effect any more.
    pub(crate) fn open(&self, lane: Lane, first: Sequence) -> LaneRelay {
        let progress = Arc::new(Progress::before(first));
        let ownership = self.inner.ownerships.fetch_add(1, Ordering::Relaxed);
        self.inner.command(Command::Open {
            lane,
            ownership,
            first,
            progress: Arc::clone(&progress),
        });
        LaneRelay {
            inner: Arc::clone(&self.inner),
            lane,
            ownership,
            progress,
        }
    }

    /// Set once, to a sentence, when publishing cannot go on whatever is retried: a record too large, a topic gone, a
    /// right missing. Nothing is skipped: from then on nothing is published.
    pub(crate) fn failure(&self) -> watch::Receiver<Option<String>> {
        self.inner.failure.0.subscribe()
    }

    /// Ends the thread: waits for what is handed over until shortly before `deadline` has passed, then gives it up. What
    /// is not acknowledged by then is published again at the next start.
    ///
    /// Blocks, at most for `deadline`, broker or not.
    pub(crate) fn stop(&self, deadline: Duration) {
        let (ended, wait) = mpsc::sync_channel(0);
        let until = Instant::now() + deadline.saturating_sub(RESERVE.min(deadline / 2));
        self.inner.command(Command::Stop { until, ended });
        // Nothing is ever sent: the end of the thread closes the channel.
        let _closed_or_late = wait.recv_timeout(deadline);
    }
}

/// What [`Relay::stop`] keeps of its deadline for closing the client: purging it and joining its threads.
const RESERVE: Duration = Duration::from_millis(500);

impl Inner {
    /// A relay that was stopped takes no commands: its lanes are published by the next start.
    fn command(&self, command: Command) {
        let _stopped = self.commands.send(command);
    }
}

/// One ownership of one lane. Dropped, it forgets what is not acknowledged: nobody waits for it any more, though what
/// librdkafka already has may still go out.
pub(crate) struct LaneRelay {
    inner: Arc<Inner>,
    lane: Lane,
    ownership: u64,
    progress: Arc<Progress>,
}

impl LaneRelay {
    /// Hands over committed rows, in sequence order and without a gap to what was handed over before.
    ///
    /// A gap would publish out of order for good, so it is a permanent [`Relay::failure`]; debug builds panic.
    pub(crate) fn submit(&self, rows: Vec<OutboxRow>) {
        let from = self.progress.submitted.load(Ordering::Relaxed);
        let gap = (from + 1..)
            .zip(&rows)
            .find(|(expected, row)| *expected != row.sequence);
        if let Some((expected, row)) = gap {
            debug_assert!(false, "lane {}: fact {} instead of {expected}", self.lane, row.sequence);
            let (lane, got) = (self.lane, row.sequence);
            self.inner.failure.set(&format!(
                "lane {lane}: fact {got} came to be published where fact {expected} was expected; this is a defect"
            ));
            return;
        }
        let Some(last) = rows.last() else { return };
        self.progress.submitted.store(last.sequence, Ordering::Relaxed);
        self.inner.command(Command::Submit {
            lane: self.lane,
            ownership: self.ownership,
            rows,
        });
    }

    /// Every fact up to here is in Kafka, on every in-sync replica.
    pub(crate) fn acknowledged(&self) -> Sequence {
        self.progress.acknowledged.load(Ordering::Acquire)
    }

    /// Rows handed over and not counted by [`LaneRelay::acknowledged`].
    pub(crate) fn in_flight(&self) -> usize {
        let submitted = self.progress.submitted.load(Ordering::Relaxed);
        usize::try_from(submitted - self.acknowledged()).unwrap_or(0)
    }

    /// Resolves when [`LaneRelay::acknowledged`] has moved since this resolved last. One waiter at a time.
    pub(crate) async fn changed(&self) {
        self.progress.moved.notified().await;
    }

    /// The lane is another owner's: what can still be held back is. Other lanes start again at their first
    /// unacknowledged fact.
    pub(crate) fn fenced(&self) {
        self.inner.command(Command::Fenced {
            lane: self.lane,
            ownership: self.ownership,
        });
    }
}

impl Drop for LaneRelay {
    fn drop(&mut self) {
        self.inner.command(Command::Close {
            lane: self.lane,
            ownership: self.ownership,
        });
    }
}

/// What the lanes ask of the relay's thread. A command of an ownership that was replaced has no effect.
enum Command {
    Open {
        lane: Lane,
        ownership: u64,
        first: Sequence,
        progress: Arc<Progress>,
    },
    Submit {
        lane: Lane,
        ownership: u64,
        rows: Vec<OutboxRow>,
    },
    Close {
        lane: Lane,
        ownership: u64,
    },
    Fenced {
        lane: Lane,
        ownership: u64,
    },
    Stop {
        until: Instant,
        /// Never sent to; closed at the end of the thread.
        ended: mpsc::SyncSender<()>,
    },
}

/// How far one ownership of a lane is, shared between the lane and the relay's thread.
struct Progress {
    /// Last sequence handed over; written by the lane alone.
    submitted: AtomicI64,
    /// Last sequence of the acknowledged prefix; written by the relay's thread alone.
    acknowledged: AtomicI64,
    moved: Notify,
}

impl Progress {
    fn before(first: Sequence) -> Self {
        Self {
            submitted: AtomicI64::new(first - 1),
            acknowledged: AtomicI64::new(first - 1),
            moved: Notify::new(),
        }
    }

    fn reach(&self, acknowledged: Sequence) {
        self.acknowledged.store(acknowledged, Ordering::Release);
        self.moved.notify_one();
    }
}

/// Why publishing cannot go on; the first reason stays.
#[derive(Clone, Default)]
struct Failure(Arc<watch::Sender<Option<String>>>);

impl Failure {
    fn set(&self, why: &str) {
        self.0.send_if_modified(|failure| {
            let first = failure.is_none();
            if first {
                *failure = Some(why.to_owned());
            }
            first
        });
    }

    fn is_set(&self) -> bool {
        self.0.borrow().is_some()
    }
}
