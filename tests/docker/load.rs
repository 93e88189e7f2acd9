//! Orders from outside of the containers, for as long as they are wanted, each placed for sure.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::JoinHandle;
use std::time::Duration;

use orderflow_producers::emit::Shape;

use super::stage::Stage;
use super::support::catalogue::catalogue;
use super::support::process::{Daemon, stdout_of};

/// Orders a second.
const RATE: u64 = 150;

/// Orders that are placed by one command: some seconds of them.
const PORTION: u64 = 750;

/// Exit code of a command that could not reach the brokers in time.
const UNREACHABLE: i32 = 4;

/// How often it is repeated after that, byte for byte.
const AGAIN_AT_MOST: u32 = 5;

/// Orders on their way, until they are enough.
#[derive(Debug)]
pub(crate) struct Load {
    enough: Arc<AtomicBool>,
    given_up: Arc<AtomicBool>,
    thread: Option<JoinHandle<u64>>,
}

impl Load {
    /// Starts it; another `seed` places other orders.
    pub(crate) fn start(stage: &Stage, seed: u64) -> Self {
        let (enough, folder, brokers) = (Arc::<AtomicBool>::default(), stage.folder(), stage.brokers());
        let given_up = Arc::<AtomicBool>::default();
        let (told, over) = (Arc::clone(&enough), Arc::clone(&given_up));
        let thread = std::thread::spawn(move || {
            let mut portions = 0;
            while portions == 0 || !told.load(Ordering::Relaxed) {
                let mut command = super::support::process::orderflow();
                command.current_dir(&folder).env("ORDERFLOW_BROKERS", &brokers);
                place(
                    emit(&mut command, seed.wrapping_add(portions)),
                    &folder.join("emit.log"),
                    &over,
                );
                portions += 1;
            }
            portions * PORTION
        });
        let thread = Some(thread);
        Self {
            enough,
            given_up,
            thread,
        }
    }

    /// Waits until every order begun is acknowledged; gives how many there were.
    ///
    /// # Panics
    /// When they were not.
    pub(crate) fn finish(mut self) -> u64 {
        self.enough.store(true, Ordering::Relaxed);
        let thread = self.thread.take().expect("it is taken once, here");
        thread.join().expect("every order is placed")
    }
}

impl Drop for Load {
    fn drop(&mut self) {
        self.enough.store(true, Ordering::Relaxed);
        self.given_up.store(true, Ordering::Relaxed);
        if let Some(thread) = self.thread.take() {
            drop(thread.join());
        }
    }
}

/// Where brokers were away for longer than a producer waits, its hint is to repeat the same. A load given up is killed.
fn place(command: &mut Command, log: &Path, given_up: &AtomicBool) {
    for again in 0..=AGAIN_AT_MOST {
        let mut emit = Daemon::start(command, log);
        while emit.is_running() {
            if given_up.load(Ordering::Relaxed) {
                return;
            }
            std::thread::sleep(Duration::from_millis(100));
        }
        let status = emit.wait(Duration::ZERO);
        if status.success() {
            return;
        }
        let repeat = status.code() == Some(UNREACHABLE) && again < AGAIN_AT_MOST;
        assert!(repeat, "{status}: {}", emit.log());
    }
}

fn emit(command: &mut Command, seed: u64) -> &mut Command {
    command.args(["order", "emit", "--start", "2026-01-01T00:00:00Z"]);
    for (flag, number) in [
        ("--seed", seed),
        ("--count", PORTION),
        ("--rate", RATE),
        ("--products", 50),
    ] {
        command.args([flag, &number.to_string()]);
    }
    command
}

/// Receives enough of everything that the load can ask for.
pub(crate) fn stock_up(stage: &Stage) {
    let shape = Shape {
        products: 50,
        ..Shape::default()
    };
    let file = stage.folder().join("catalogue.csv");
    std::fs::write(&file, catalogue(&shape)).expect("the folder takes a catalogue");
    stdout_of(stage.orderflow().args(["stock", "import"]).arg(&file));
}
