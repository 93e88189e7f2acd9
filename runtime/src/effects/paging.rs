//! When a lane loads more of its effects, and how many: its database has as many as it likes, and gives them by due time.

use std::time::Duration;

use tokio::time::Instant;

/// How long a load that brought nothing is not repeated, and how long no call ends before it is looked behind a full page:
/// what is left in the database is then of a kind for which there is no room yet. So many times longer as pages are loaded.
pub(super) const INTERVAL: Duration = Duration::from_secs(1);

/// The most that is loaded at once is as many times more than usual: with the defaults 16,000 effects, for a moment some
/// 15 MiB, and for one lane of the process at a time.
const MOST_PAGES: usize = 40;

/// What the last load of effects was like.
#[derive(Debug)]
pub(super) struct Paging {
    reload_after: Instant,
    look_after: Instant,
    /// It brought as many as may be loaded: more may stand behind them.
    is_full: bool,
    pages: usize,
}

impl Paging {
    pub(super) fn new() -> Self {
        Self {
            reload_after: Instant::now(),
            look_after: Instant::now(),
            is_full: false,
            pages: 1,
        }
    }

    /// How much more than usual is loaded at once.
    pub(super) fn pages(&self) -> usize {
        self.pages
    }

    /// Effects were loaded, as many as may be if `is_full`; in vain if none of them found room.
    pub(super) fn loaded(&mut self, is_full: bool, in_vain: bool) {
        self.is_full = is_full;
        self.pages = if in_vain { (self.pages * 2).min(MOST_PAGES) } else { 1 };
        if in_vain {
            self.reload_after = Instant::now() + self.interval();
        }
        self.went_on();
    }

    /// A call ended: while calls do, a full page empties, and what stands behind it comes by itself.
    pub(super) fn went_on(&mut self) {
        self.look_after = Instant::now() + self.interval();
    }

    /// When to load again, for queues that have left effects to the database and have room, or that have room only.
    pub(super) fn due(&self, is_wanted: bool, has_room: bool) -> Option<Instant> {
        let wanted = is_wanted.then_some(self.reload_after);
        let behind = (self.is_full && has_room).then_some(self.look_after);
        [wanted, behind].into_iter().flatten().min()
    }

    fn interval(&self) -> Duration {
        INTERVAL * u32::try_from(self.pages).unwrap_or(u32::MAX)
    }
}
