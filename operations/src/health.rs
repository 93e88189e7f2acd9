//! Health by progress: a daemon writes down how its lanes get on, and whoever asks judges by it.
//!
//! A port that answers proves that a process is there. What matters is that each lane which has records to handle handles
//! some, so that is what is written and judged.

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::{Duration, Instant, SystemTime};

use orderflow_runtime::Observer;
use orderflow_runtime::observer::Applied;
use orderflow_runtime::store::Lane;
use serde::{Deserialize, Serialize};

/// How often the file is written.
const WRITE_EVERY: Duration = Duration::from_secs(1);

/// What a daemon writes down. The numbers are taken from a clock that nobody sets; that the file is fresh, its own time
/// says.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Pulse {
    /// The lanes the daemon holds.
    pub lanes: Vec<LanePulse>,
    /// Since when the thread that reads from Kafka has said nothing.
    pub silent_seconds: u64,
    /// Since when there is no connection to any broker; 0 while there is one.
    pub disconnected_seconds: u64,
}

/// How one lane gets on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct LanePulse {
    /// Its number.
    pub lane: Lane,
    /// Since when it has had records to handle and has handled none; 0 when there are none.
    pub still_seconds: u64,
}

/// How long something may last before it counts as illness.
#[derive(Debug, Clone, Copy)]
pub struct Patience {
    /// A lane with records to handle and no progress; a daemon without any broker.
    pub still: Duration,
    /// A daemon that writes nothing, or whose reading thread says nothing.
    pub stale: Duration,
}

/// An observer that keeps the file fresh until it is dropped.
#[derive(Debug)]
pub struct Health {
    state: Arc<State>,
    writer: Option<JoinHandle<()>>,
}

#[derive(Debug)]
struct State {
    path: PathBuf,
    known: Mutex<Known>,
    end: Condvar,
}

#[derive(Debug)]
struct Known {
    /// Each lane held, with since when it has had records and made no progress.
    lanes: BTreeMap<Lane, Option<Instant>>,
    heard: Instant,
    disconnected: Option<Instant>,
    ended: bool,
}

impl Health {
    /// Writes to `path` from now on, every second.
    ///
    /// # Errors
    /// The file or its folder cannot be made.
    pub fn start(path: &Path) -> io::Result<Self> {
        if let Some(folder) = path.parent() {
            fs::create_dir_all(folder)?;
        }
        let state = Arc::new(State {
            path: path.to_owned(),
            known: Mutex::new(Known::new(Instant::now())),
            end: Condvar::new(),
        });
        state.write(&state.known().pulse(Instant::now()))?;
        let shared = Arc::clone(&state);
        let writer = std::thread::Builder::new()
            .name("health".to_owned())
            .spawn(move || shared.keep_writing())?;
        Ok(Self {
            state,
            writer: Some(writer),
        })
    }
}

impl Drop for Health {
    fn drop(&mut self) {
        self.state.known().ended = true;
        self.state.end.notify_all();
        let _ended = self.writer.take().map(JoinHandle::join);
        // Who ended in order is not ill.
        let _gone = fs::remove_file(&self.state.path);
    }
}

impl Observer for Health {
    fn applied(&self, unit: &Applied<'_>) {
        self.state.known().progress(unit.lane, Instant::now());
    }

    fn standing(&self, waiting: &BTreeMap<Lane, bool>, connected: bool) {
        self.state.known().stand(waiting, connected, Instant::now());
    }
}

impl State {
    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// On a thread of its own: a disk that hangs holds up nobody else.
    fn keep_writing(&self) {
        let mut troubled = false;
        let mut known = self.known();
        while !known.ended {
            let pulse = known.pulse(Instant::now());
            drop(known);
            let written = self.write(&pulse);
            if let (Err(error), false) = (&written, troubled) {
                tracing::warn!(%error, path = %self.path.display(), "the health file cannot be written");
            }
            troubled = written.is_err();
            known = self.known();
            if !known.ended {
                known = self
                    .end
                    .wait_timeout(known, WRITE_EVERY)
                    .unwrap_or_else(PoisonError::into_inner)
                    .0;
            }
        }
    }

    /// Whole or not at all: whoever reads meanwhile finds the one before. A second daemon that was given the same file
    /// is in nobody's way.
    fn write(&self, pulse: &Pulse) -> io::Result<()> {
        let mut fresh = self.path.clone().into_os_string();
        fresh.push(format!(".{}", std::process::id()));
        fs::write(&fresh, serde_json::to_vec(pulse)?)?;
        fs::rename(fresh, &self.path)
    }
}

impl Known {
    fn new(now: Instant) -> Self {
        Self {
            lanes: BTreeMap::new(),
            heard: now,
            disconnected: None,
            ended: false,
        }
    }

    fn progress(&mut self, lane: Lane, now: Instant) {
        if let Some(Some(since)) = self.lanes.get_mut(&lane) {
            *since = now;
        }
    }

    fn stand(&mut self, waiting: &BTreeMap<Lane, bool>, connected: bool, now: Instant) {
        self.heard = now;
        self.disconnected = if connected {
            None
        } else {
            self.disconnected.or(Some(now))
        };
        let before = std::mem::take(&mut self.lanes);
        let since = |lane: &Lane, waits: bool| waits.then(|| before.get(lane).copied().flatten().unwrap_or(now));
        self.lanes = waiting
            .iter()
            .map(|(lane, waits)| (*lane, since(lane, *waits)))
            .collect();
    }

    fn pulse(&self, now: Instant) -> Pulse {
        let seconds = |since: Instant| now.saturating_duration_since(since).as_secs();
        let lanes = self.lanes.iter().map(|(lane, still)| LanePulse {
            lane: *lane,
            still_seconds: still.map_or(0, seconds),
        });
        Pulse {
            lanes: lanes.collect(),
            silent_seconds: seconds(self.heard),
            disconnected_seconds: self.disconnected.map_or(0, seconds),
        }
    }
}

/// What a daemon wrote last, and how long ago.
///
/// # Errors
/// There is no such file, or something else is in it.
pub fn read(path: &Path) -> io::Result<(Pulse, Duration)> {
    let text = fs::read(path)?;
    let written = fs::metadata(path)?.modified()?;
    // A clock that was set back does not make a file stale.
    let age = SystemTime::now().duration_since(written).unwrap_or_default();
    Ok((serde_json::from_slice(&text)?, age))
}

impl Pulse {
    /// What is wrong with a daemon that wrote this `age` ago, a sentence each; nothing, when it is well.
    #[must_use]
    pub fn complaints(&self, age: Duration, patience: Patience) -> Vec<String> {
        let mut found = Vec::new();
        if age > patience.stale {
            found.push(format!(
                "nothing was written for {} s: the process hangs or is gone",
                age.as_secs()
            ));
        }
        if self.silent_seconds > patience.stale.as_secs() {
            found.push(format!(
                "the thread that reads from Kafka has hung for {} s",
                self.silent_seconds
            ));
        }
        if self.disconnected_seconds > patience.still.as_secs() {
            found.push(format!("no broker has answered for {} s", self.disconnected_seconds));
        }
        let still = self
            .lanes
            .iter()
            .filter(|lane| lane.still_seconds > patience.still.as_secs());
        found.extend(still.map(|LanePulse { lane, still_seconds }| {
            format!(
                "lane {lane} has records to handle, or waits to be claimed, and has handled none for {still_seconds} s"
            )
        }));
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Patience = Patience {
        still: Duration::from_mins(1),
        stale: Duration::from_secs(15),
    };

    fn after(seconds: u64, start: Instant) -> Instant {
        start + Duration::from_secs(seconds)
    }

    #[test]
    fn a_lane_with_records_and_without_progress_stands_still() {
        let start = Instant::now();
        let mut known = Known::new(start);
        for second in 0..100 {
            known.stand(
                &BTreeMap::from([(0, true), (1, true), (2, false)]),
                true,
                after(second, start),
            );
            known.progress(1, after(second, start));
        }
        let complaints = known.pulse(after(100, start)).complaints(Duration::ZERO, PATIENCE);
        assert_eq!(
            complaints,
            ["lane 0 has records to handle, or waits to be claimed, and has handled none for 100 s"]
        );
    }

    #[test]
    fn the_time_counts_from_when_records_came_and_ends_when_they_are_gone() {
        let start = Instant::now();
        let mut known = Known::new(start);
        known.stand(&BTreeMap::from([(0, false)]), true, start);
        known.stand(&BTreeMap::from([(0, true)]), true, after(100, start));
        assert_eq!(known.pulse(after(130, start)).lanes[0].still_seconds, 30);
        known.stand(&BTreeMap::from([(0, false)]), true, after(131, start));
        assert_eq!(known.pulse(after(300, start)).lanes[0].still_seconds, 0);
        known.stand(&BTreeMap::new(), true, after(301, start));
        assert!(
            known.pulse(after(400, start)).lanes.is_empty(),
            "a lane that was let go"
        );
    }

    #[test]
    fn silence_and_absent_brokers_are_told_once_they_last() {
        let start = Instant::now();
        let mut known = Known::new(start);
        known.stand(&BTreeMap::new(), false, after(1, start));
        known.stand(&BTreeMap::new(), false, after(50, start));
        let soon = known.pulse(after(60, start)).complaints(Duration::ZERO, PATIENCE);
        assert!(soon.is_empty(), "{soon:?}");
        let late = known
            .pulse(after(66, start))
            .complaints(Duration::from_secs(16), PATIENCE);
        assert_eq!(late.len(), 3, "{late:?}");
        known.stand(&BTreeMap::new(), true, after(67, start));
        assert!(
            known
                .pulse(after(67, start))
                .complaints(Duration::ZERO, PATIENCE)
                .is_empty()
        );
    }

    #[test]
    fn what_was_written_is_read_and_goes_with_the_daemon() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("made/inventory.health");
        let health = Health::start(&path).expect("a folder that takes files");
        let (pulse, age) = read(&path).expect("it was written at once");
        assert!(pulse.complaints(age, PATIENCE).is_empty());
        drop(health);
        assert_eq!(read(&path).expect_err("it is gone").kind(), io::ErrorKind::NotFound);
    }
}
