//! What a lane waits for before it can read on. It takes no further records meanwhile; answers, timers and publishing go on.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::Mutex;
use tokio::time::Instant;

use crate::dependency::{Dependencies, Dependency};
use crate::effects::BoxFuture;
use crate::observer::Observer;
use crate::store::Lane;

/// Waits between two tries to fetch: from the first to the last of these.
const RETRY_FIRST: Duration = Duration::from_millis(50);
const RETRY_LAST: Duration = Duration::from_secs(5);

/// The one thing that the next record lacks, if it lacks anything.
#[derive(Default)]
pub(super) struct Missing(Option<Waiting>);

struct Waiting {
    what: Dependency,
    since: Instant,
    /// Before the next try.
    pause: Duration,
    failed: bool,
    /// The try under way; `None` once it came.
    fetching: Option<Fetching>,
}

/// The mutex is never locked: it is what lets a lane be looked at from several threads.
type Fetching = Mutex<BoxFuture<'static, Result<(), String>>>;

impl Missing {
    /// Whether reading on is of no use now.
    pub(super) fn is_awaited(&self) -> bool {
        self.0.as_ref().is_some_and(|waiting| waiting.fetching.is_some())
    }

    /// The next record lacks this. What was fetched and is lacking still is asked for again, more and more slowly.
    pub(super) fn want(&mut self, what: Dependency, from: &Arc<dyn Dependencies>) {
        match &mut self.0 {
            Some(waiting) if waiting.what == what => waiting.again(from),
            other => {
                *other = Some(Waiting {
                    what,
                    since: Instant::now(),
                    pause: RETRY_FIRST,
                    failed: false,
                    fetching: Some(fetch(Duration::ZERO, what, from)),
                });
            }
        }
    }

    /// A record was read: whatever was missing is there.
    pub(super) fn found(&mut self, lane: Lane, observer: &dyn Observer) {
        if let Some(waiting) = self.0.take()
            && waiting.failed
        {
            observer.resumed(lane, waiting.what, waiting.since.elapsed());
        }
    }

    /// Until what is missing may be there; for ever where nothing is. Dropped and called again, it goes on.
    pub(super) async fn fetched(&mut self, lane: Lane, observer: &dyn Observer, from: &Arc<dyn Dependencies>) {
        let Some(waiting) = &mut self.0 else {
            return std::future::pending().await;
        };
        while let Some(fetching) = &mut waiting.fetching {
            match fetching.get_mut().await {
                Ok(()) => waiting.fetching = None,
                Err(why) => {
                    waiting.failed = true;
                    observer.waiting(lane, waiting.what, &why);
                    waiting.again(from);
                }
            }
        }
    }
}

impl Waiting {
    fn again(&mut self, from: &Arc<dyn Dependencies>) {
        self.fetching = Some(fetch(self.pause, self.what, from));
        self.pause = (self.pause * 2).min(RETRY_LAST);
    }
}

fn fetch(pause: Duration, what: Dependency, from: &Arc<dyn Dependencies>) -> Fetching {
    let from = Arc::clone(from);
    Mutex::new(Box::pin(async move {
        tokio::time::sleep(pause).await;
        from.fetch(what).await
    }))
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    const SCHEMA: Dependency = Dependency { kind: "schema", id: 7 };

    /// Fails so many times, then gives what it is asked for.
    struct Away(AtomicUsize);

    impl Dependencies for Away {
        fn fetch(&self, _wanted: Dependency) -> BoxFuture<'_, Result<(), String>> {
            let left = self
                .0
                .fetch_update(Ordering::SeqCst, Ordering::SeqCst, |left| left.checked_sub(1));
            Box::pin(std::future::ready(
                left.map_or(Ok(()), |left| Err(format!("{left} to go"))),
            ))
        }
    }

    #[derive(Default)]
    struct Heard(std::sync::Mutex<Vec<String>>);

    impl Observer for Heard {
        fn waiting(&self, _lane: Lane, what: Dependency, why: &str) {
            self.0.lock().expect("heard").push(format!("{what}: {why}"));
        }

        fn resumed(&self, _lane: Lane, what: Dependency, _waited: Duration) {
            self.0.lock().expect("heard").push(format!("{what} is there"));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_away_is_asked_for_again_more_and_more_slowly_and_said() {
        let from: Arc<dyn Dependencies> = Arc::new(Away(AtomicUsize::new(3)));
        let (heard, mut missing) = (Heard::default(), Missing::default());
        assert!(!missing.is_awaited());
        missing.want(SCHEMA, &from);
        assert!(missing.is_awaited());
        let began = Instant::now();
        missing.fetched(0, &heard, &from).await;
        assert_eq!(began.elapsed().as_millis() / 10, (50 + 100 + 200) / 10);
        assert!(!missing.is_awaited());
        missing.found(0, &heard);
        let said = heard.0.into_inner().expect("heard");
        assert_eq!(
            said,
            [
                "schema 7: 3 to go",
                "schema 7: 2 to go",
                "schema 7: 1 to go",
                "schema 7 is there"
            ]
        );
    }

    #[tokio::test(start_paused = true)]
    async fn what_was_fetched_in_vain_is_not_asked_for_in_a_hurry() {
        let from: Arc<dyn Dependencies> = Arc::new(Away(AtomicUsize::new(0)));
        let (heard, mut missing) = (Heard::default(), Missing::default());
        let began = Instant::now();
        for _ in 0..10 {
            missing.want(SCHEMA, &from);
            missing.fetched(0, &heard, &from).await;
        }
        assert!(began.elapsed() > Duration::from_secs(10), "{:?}", began.elapsed());
        missing.found(0, &heard);
        assert_eq!(
            heard.0.into_inner().expect("heard"),
            [""; 0],
            "nobody had to wait for somebody else"
        );
    }

    #[tokio::test(start_paused = true)]
    async fn who_stops_listening_does_not_ask_from_the_beginning() {
        let from: Arc<dyn Dependencies> = Arc::new(Away(AtomicUsize::new(6)));
        let (heard, mut missing) = (Heard::default(), Missing::default());
        missing.want(SCHEMA, &from);
        let began = Instant::now();
        while missing.is_awaited() {
            let listening = missing.fetched(0, &heard, &from);
            drop(tokio::time::timeout(Duration::from_millis(7), listening).await);
        }
        assert_eq!(heard.0.into_inner().expect("heard").len(), 6);
        assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
    }
}
