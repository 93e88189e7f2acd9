//! A lane at work: where it lives, and how it is ended.
//!
//! On a store that works on its caller's thread ([`Store::BLOCKING`](crate::store::Store::BLOCKING)) lanes live on threads of
//! their own, a few for all of them. As a task among tasks a lane would compute for milliseconds between two waits, and
//! whoever it wakes is kept by tokio for the same worker, where nobody may take him away: lanes made to go on side by side
//! would take turns. Here whichever thread is free takes whoever was woken first.

use std::io;
use std::num::NonZero;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::thread;
use std::time::Duration;

use async_executor::Executor;
use futures_util::future::{AbortHandle, abortable};
use tokio::runtime::Handle;
use tokio::sync::oneshot::{self, error::TryRecvError};
use tokio::sync::watch;

/// As many threads as processors, but not fewer than units that may be under way at once on SQLite, and no more than find
/// work there: one connection writes, one lane decides, the others decode. Each more costs some 4 MiB, which the allocator
/// keeps for it.
const THREADS: RangeInclusive<usize> = 3..=5;

/// Where lanes live.
pub(super) enum Home {
    /// They are tasks of the service's runtime.
    Tasks(Handle),
    /// On threads of their own, which wait in the service's runtime and end with this value.
    Threads {
        executor: Arc<Executor<'static>>,
        _open: watch::Sender<()>,
    },
}

impl Home {
    /// A home on threads of its own, or in `runtime`.
    ///
    /// # Errors
    /// The system gives no more threads.
    pub(super) fn open(runtime: &Handle, own_threads: bool) -> io::Result<Self> {
        if !own_threads {
            return Ok(Self::Tasks(runtime.clone()));
        }
        let processors = thread::available_parallelism().map_or(1, NonZero::get);
        let executor = Arc::new(Executor::new());
        let (open, _) = watch::channel(());
        for number in 0..processors.clamp(*THREADS.start(), *THREADS.end()) {
            let (runtime, executor, mut open) = (runtime.clone(), Arc::clone(&executor), open.subscribe());
            let named = thread::Builder::new().name(format!("lanes-{number}"));
            // Tokio's budget is for a task, and this is all of a thread's lanes: used up, it would have them polled in vain.
            let all = async move { executor.run(open.changed()).await };
            named.spawn(move || runtime.block_on(tokio::task::unconstrained(all)))?;
        }
        Ok(Self::Threads { executor, _open: open })
    }

    fn spawn(&self, life: impl Future<Output = ()> + Send + 'static) {
        match self {
            Self::Tasks(runtime) => drop(runtime.spawn(life)),
            Self::Threads { executor, .. } => executor.spawn(life).detach(),
        }
    }
}

/// A lane at work.
pub(super) struct Life {
    /// Its channel closes when nothing of the lane is left.
    gone: oneshot::Receiver<()>,
    abort: AbortHandle,
}

impl Life {
    /// Lets it live.
    pub(super) fn start(home: &Home, life: impl Future<Output: Send> + Send + 'static) -> Self {
        let (life, abort) = abortable(life);
        let (going, gone) = oneshot::channel::<()>();
        home.spawn(async move {
            // What ended it has been told to the consumer thread.
            let _how = life.await;
            drop(going);
        });
        Self { gone, abort }
    }

    /// Waits for its end, then sees to it.
    pub(super) async fn finish(mut self, patience: Duration) {
        // Nothing is ever sent: the channel closes, after a panic too. Who has seen that may not wait for it again.
        if self.is_over() {
            return;
        }
        if tokio::time::timeout(patience, &mut self.gone).await.is_err() {
            self.abort.abort();
            let _closed = (&mut self.gone).await;
        }
    }

    pub(super) fn is_over(&mut self) -> bool {
        self.gone.try_recv() == Err(TryRecvError::Closed)
    }
}

impl Drop for Life {
    /// Whoever forgets a lane does not leave it at work.
    fn drop(&mut self) {
        self.abort.abort();
    }
}

#[cfg(test)]
mod tests {
    use std::sync::{Barrier, mpsc};
    use std::time::Instant;

    use super::*;

    const DEADLINE: Duration = Duration::from_secs(20);

    fn homes() -> [Home; 2] {
        [false, true].map(|own_threads| Home::open(&Handle::current(), own_threads).expect("threads"))
    }

    async fn in_time<T>(waiting: impl Future<Output = T>) -> T {
        tokio::time::timeout(DEADLINE, waiting).await.expect("in time")
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_life_that_does_not_end_is_ended() {
        for home in homes() {
            let held = Arc::new(());
            let kept = Arc::clone(&held);
            let mut life = Life::start(&home, async move {
                std::future::pending::<()>().await;
                drop(kept);
            });
            assert!(!life.is_over());
            in_time(life.finish(Duration::ZERO)).await;
            assert_eq!(Arc::strong_count(&held), 1, "nothing of it is left");
        }
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_panic_is_an_end_of_one_life_only() {
        for home in homes() {
            for _ in 0..=2 * THREADS.end() {
                let life = Life::start(&home, async {
                    assert!(std::hint::black_box(false), "in a test");
                });
                in_time(life.finish(2 * DEADLINE)).await;
            }
            let (tell, told) = oneshot::channel();
            let _another = Life::start(&home, async {
                tokio::time::sleep(Duration::ZERO).await;
                tell.send("got on")
            });
            assert_eq!(in_time(told).await, Ok("got on"));
        }
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_life_that_is_over_says_so() {
        for home in homes() {
            let (end, ended) = oneshot::channel::<()>();
            let mut life = Life::start(&home, ended);
            assert!(!life.is_over());
            end.send(()).expect("it waits");
            let deadline = Instant::now() + DEADLINE;
            while !life.is_over() {
                assert!(Instant::now() < deadline, "it has ended");
                tokio::task::yield_now().await;
            }
            assert!(life.is_over(), "asked again");
            in_time(life.finish(Duration::ZERO)).await;
        }
    }

    /// Each keeps its thread until all are there.
    #[tokio::test(flavor = "multi_thread", worker_threads = 1)]
    async fn lives_on_threads_compute_side_by_side() {
        let home = Home::open(&Handle::current(), true).expect("threads");
        let together = Arc::new(Barrier::new(*THREADS.start()));
        let (tell, met) = mpsc::channel();
        let start = || {
            let (together, tell) = (Arc::clone(&together), tell.clone());
            Life::start(&home, async move {
                together.wait();
                // Nobody waits for the second any more.
                let _waits = tell.send(());
            })
        };
        let _lives: Vec<_> = std::iter::repeat_with(start).take(*THREADS.start()).collect();
        assert_eq!(met.recv_timeout(DEADLINE), Ok(()), "each on a thread of its own");
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
    async fn a_life_ends_with_its_home() {
        let home = Home::open(&Handle::current(), true).expect("threads");
        let held = Arc::new(());
        let kept = Arc::clone(&held);
        let life = Life::start(&home, async move {
            std::future::pending::<()>().await;
            drop(kept);
        });
        drop(home);
        // Not by being told to: that would come later.
        in_time(life.finish(2 * DEADLINE)).await;
        assert_eq!(Arc::strong_count(&held), 1, "nothing of it is left");
    }
}
