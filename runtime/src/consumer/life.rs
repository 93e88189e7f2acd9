//! A lane at work: where it lives, and how it is ended.
//!
//! On a store that works on its caller's thread ([`Store::BLOCKING`](crate::store::Store::BLOCKING)) a lane has a thread of
//! its own. As a task among tasks it would compute for milliseconds between two waits, and whoever it wakes is kept by tokio
//! for the same worker, where nobody may take him away: lanes made to go on side by side would take turns.

use std::io;
use std::thread;
use std::time::Duration;

use futures_util::future::{AbortHandle, abortable};
use tokio::runtime::Handle;
use tokio::sync::oneshot::{self, error::TryRecvError};

use crate::store::Lane;

/// A lane at work.
pub(super) struct Life {
    /// Its channel closes when nothing of the lane is left.
    gone: oneshot::Receiver<()>,
    abort: AbortHandle,
}

impl Life {
    /// Lets it live, on a thread of its own or as a task of `runtime`, in which it waits either way.
    ///
    /// # Errors
    /// The system gives no more threads.
    pub(super) fn start(
        lane: Lane,
        (runtime, own_thread): (&Handle, bool),
        life: impl Future<Output: Send> + Send + 'static,
    ) -> io::Result<Self> {
        let (life, abort) = abortable(life);
        let (going, gone) = oneshot::channel::<()>();
        let life = async move {
            // What ended it has been told to the consumer thread.
            let _how = life.await;
            drop(going);
        };
        if own_thread {
            let runtime = runtime.clone();
            let named = thread::Builder::new().name(format!("lane-{lane}"));
            named.spawn(move || runtime.block_on(life))?;
        } else {
            runtime.spawn(life);
        }
        Ok(Self { gone, abort })
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
    use std::sync::Arc;

    use super::*;

    fn start(own_thread: bool, life: impl Future<Output: Send> + Send + 'static) -> Life {
        Life::start(7, (&Handle::current(), own_thread), life).expect("a thread")
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 1)]
    async fn a_life_that_does_not_end_is_ended() {
        for own_thread in [true, false] {
            let held = Arc::new(());
            let kept = Arc::clone(&held);
            let mut life = start(own_thread, async move {
                std::future::pending::<()>().await;
                drop(kept);
            });
            assert!(!life.is_over());
            life.finish(Duration::ZERO).await;
            assert_eq!(Arc::strong_count(&held), 1, "nothing of it is left");
        }
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 1)]
    async fn a_panic_is_an_end() {
        for own_thread in [true, false] {
            let life = start(own_thread, async {
                assert!(std::hint::black_box(false), "in a test");
            });
            life.finish(Duration::from_mins(1)).await;
        }
    }

    #[tokio::test(flavor = "multi_thread", worker_threads = 1)]
    async fn a_life_that_is_over_says_so() {
        for own_thread in [true, false] {
            let (end, ended) = oneshot::channel::<()>();
            let mut life = start(own_thread, ended);
            assert!(!life.is_over());
            end.send(()).expect("it waits");
            let deadline = std::time::Instant::now() + Duration::from_mins(1);
            while !life.is_over() {
                assert!(std::time::Instant::now() < deadline, "it has ended");
                tokio::task::yield_now().await;
            }
            assert!(life.is_over(), "asked again");
            life.finish(Duration::ZERO).await;
        }
    }
}
