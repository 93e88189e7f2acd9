//! How the lanes of the services get on: how long each handled nothing while orders came.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::stage::{Stage, wait_until};

const SERVICES: [&str; 2] = ["inventory", "payment"];

/// Partitions of `orders` in the compose file.
const LANES: usize = 12;

/// A service and a partition of `orders`.
pub(crate) type Lane = (&'static str, u32);

/// Between two looks at the database.
const LOOK_EVERY: Duration = Duration::from_millis(200);

/// Looks in the background until it is ended.
#[derive(Debug)]
pub(crate) struct Watch {
    looked: Arc<Mutex<Looked>>,
    end: Arc<AtomicBool>,
    thread: JoinHandle<()>,
}

/// What was seen so far.
#[derive(Debug, Default)]
struct Looked {
    /// When the last look began that showed something.
    begun: Option<Instant>,
    lanes: BTreeMap<Lane, Seen>,
}

/// What was seen of one lane.
#[derive(Debug, Clone, Copy)]
struct Seen {
    handled: i64,
    /// When it last handled something; `None` before the first time that was seen.
    moved: Option<Instant>,
    longest: Duration,
}

impl Watch {
    pub(crate) fn start(stage: &Stage) -> Self {
        let (looked, end) = (Arc::<Mutex<Looked>>::default(), Arc::<AtomicBool>::default());
        let (shared, ending) = (Arc::clone(&looked), Arc::clone(&end));
        let mut eye = stage.eye(SERVICES);
        let thread = std::thread::spawn(move || {
            while !ending.load(Ordering::Relaxed) {
                let (begun, found) = (Instant::now(), eye.look());
                if !found.is_empty() {
                    let mut looked = shared.lock().expect("no panic while it was held");
                    looked.begun = Some(begun);
                    for (lane, handled) in found {
                        note(&mut looked.lanes, lane, handled);
                    }
                }
                std::thread::sleep(LOOK_EVERY);
            }
        });
        Self { looked, end, thread }
    }

    /// Waits until each lane of each service has handled more than now. What a look already under way shows may be of
    /// before, so the next one is compared with.
    ///
    /// # Panics
    /// When one does not within `limit`.
    pub(crate) fn wait_for_progress(&self, limit: Duration) {
        let now = Instant::now();
        let mut before: Option<BTreeMap<Lane, i64>> = None;
        wait_until("every lane of both services to get on", limit, || {
            let looked = self.looked.lock().expect("no panic while it was held");
            if let Some(before) = &before {
                return before
                    .iter()
                    .all(|(lane, handled)| looked.lanes[lane].handled > *handled);
            }
            if looked.begun > Some(now) && looked.lanes.len() == SERVICES.len() * LANES {
                let handled = looked.lanes.iter().map(|(lane, seen)| (*lane, seen.handled));
                before = Some(handled.collect());
            }
            false
        });
    }

    /// The longest standstill of a lane of each service between two advances.
    pub(crate) fn end(self) -> Vec<(&'static str, Duration)> {
        self.end.store(true, Ordering::Relaxed);
        self.thread.join().expect("looking does not panic");
        let looked = self.looked.lock().expect("no panic while it was held");
        assert_eq!(looked.lanes.len(), SERVICES.len() * LANES, "not all: {looked:?}");
        let of = |service| looked.lanes.iter().filter(move |((of, _), _)| *of == service);
        let longest = |service| of(service).map(|(_, seen)| seen.longest).max();
        let found = SERVICES.map(|service| (service, longest(service).expect("it has lanes")));
        found.into()
    }
}

/// The time before the first advance does not count: there may have been nothing to handle.
fn note(seen: &mut BTreeMap<Lane, Seen>, lane: Lane, handled: i64) {
    let now = Instant::now();
    match seen.get_mut(&lane) {
        None => {
            let first = Seen {
                handled,
                moved: None,
                longest: Duration::ZERO,
            };
            seen.insert(lane, first);
        }
        Some(seen) if handled > seen.handled => {
            let still = seen.moved.map_or(Duration::ZERO, |moved| now.duration_since(moved));
            seen.longest = seen.longest.max(still);
            (seen.handled, seen.moved) = (handled, Some(now));
        }
        Some(_) => {}
    }
}
