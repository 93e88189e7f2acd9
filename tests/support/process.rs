//! The program under test as a process: run to its end, or kept in the background and ended with the test.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

/// What meets the cluster first, in every way the program has.
pub(crate) const COMMANDS: [&[&str]; 7] = [
    &["topics", "plan"],
    &["topics", "apply"],
    &["topics", "tail", "orders"],
    &["order", "place", "--item", "85123A:6:2.55"],
    &["run", "inventory"],
    &["run", "payment"],
    &["audit"],
];

/// The `orderflow` binary of this build, with none of the caller's settings in its environment.
pub(crate) fn orderflow() -> Command {
    unsettled(env!("CARGO_BIN_EXE_orderflow"))
}

/// Commands as a user types them into bash, with `orderflow` on the path and none of the caller's settings.
pub(crate) fn shell(script: &str) -> Command {
    let folder = Path::new(env!("CARGO_BIN_EXE_orderflow")).parent().expect("a folder");
    let others = std::env::var("PATH").unwrap_or_default();
    let mut command = unsettled("bash");
    command
        .args(["-c", script])
        .env("PATH", format!("{}:{others}", folder.display()));
    command
}

fn unsettled(program: &str) -> Command {
    let mut command = Command::new(program);
    unsettle(&mut command);
    command.stdin(Stdio::null());
    command
}

/// Takes the caller's settings out of a command's environment.
pub(crate) fn unsettle(command: &mut Command) {
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("ORDERFLOW_") {
            command.env_remove(name);
        }
    }
}

/// Runs a command to its end and gives its standard output.
///
/// # Panics
/// When it does not start or does not end with code 0; both outputs are shown.
pub(crate) fn stdout_of(command: &mut Command) -> String {
    let output = output_of(command);
    assert!(
        output.status.success(),
        "{command:?} ended with {}\n{}",
        output.status,
        shown(&output)
    );
    String::from_utf8(output.stdout).expect("standard output is UTF-8")
}

/// Runs a command to its end, whatever its exit code.
///
/// # Panics
/// When it does not start.
pub(crate) fn output_of(command: &mut Command) -> Output {
    command
        .output()
        .unwrap_or_else(|error| panic!("{command:?} does not start: {error}"))
}

/// The same with a standard output that nobody reads.
///
/// # Panics
/// When it does not start.
pub(crate) fn output_unread(command: &mut Command) -> Output {
    let (_, closed) = std::io::pipe().expect("a pipe");
    output_of(command.stdout(closed))
}

/// Both outputs of a process, for the sentence of a failed assertion.
pub(crate) fn shown(output: &Output) -> String {
    let (out, err) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    format!("--- standard output\n{out}\n--- standard error\n{err}")
}

/// A process in the background. Dropping it kills it and waits for its end: this process alone, by its id.
#[derive(Debug)]
pub(crate) struct Daemon {
    child: Child,
    log: PathBuf,
}

impl Daemon {
    /// Starts `command` with both outputs appended to the file `log`, so that one file tells of several lives.
    ///
    /// # Panics
    /// When the file cannot be written or the command does not start.
    pub(crate) fn start(command: &mut Command, log: &Path) -> Self {
        let open = || {
            File::options()
                .create(true)
                .append(true)
                .open(log)
                .expect("the log can be written")
        };
        let child = command.stdout(open()).stderr(open()).spawn();
        let child = child.unwrap_or_else(|error| panic!("{command:?} does not start: {error}"));
        Self {
            child,
            log: log.to_owned(),
        }
    }

    /// The process's id.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }

    /// Most memory it has had resident, MiB; `None` once it has ended.
    pub(crate) fn peak_mib(&self) -> Option<u64> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.id())).ok()?;
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
        let kib: u64 = line.split_whitespace().next()?.parse().ok()?;
        Some(kib / 1_024)
    }

    /// What it has written so far.
    pub(crate) fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Whether it is still there.
    pub(crate) fn is_running(&mut self) -> bool {
        self.child
            .try_wait()
            .expect("a child's state can be asked for")
            .is_none()
    }

    /// SIGKILL, and its end.
    pub(crate) fn kill(&mut self) {
        self.child.kill().expect("a child can be killed");
        self.child.wait().expect("a child's end can be waited for");
    }

    /// SIGTERM, SIGINT, SIGSTOP or SIGCONT.
    pub(crate) fn signal(&self, signal: Signal) {
        signal_to(&self.child, signal).expect("a child takes signals");
    }

    /// Its exit status.
    ///
    /// # Panics
    /// When it does not end within `limit`; its log is shown.
    pub(crate) fn wait(&mut self, limit: Duration) -> ExitStatus {
        let deadline = std::time::Instant::now() + limit;
        while self.is_running() {
            assert!(
                std::time::Instant::now() < deadline,
                "still running after {limit:?}\n{}",
                self.log()
            );
            std::thread::sleep(Duration::from_millis(20));
        }
        self.child.wait().expect("a child's end can be waited for")
    }

    /// SIGTERM and the exit status.
    ///
    /// # Panics
    /// When it does not end within `limit`.
    pub(crate) fn stop(&mut self, limit: Duration) -> ExitStatus {
        self.signal(Signal::TERM);
        self.wait(limit)
    }

    /// SIGTERM, and an end as documented for a signal: all drained, or cut short while it waited for somebody.
    ///
    /// # Panics
    /// When it ends otherwise, or not within `limit`; its log is shown.
    pub(crate) fn stop_as_asked(&mut self, limit: Duration) {
        let status = self.stop(limit);
        assert!(matches!(status.code(), Some(0 | 143)), "{status}\n{}", self.log());
    }

    /// Waits until its log holds `text`.
    ///
    /// # Panics
    /// When it ends or `limit` passes before that; its log is shown.
    pub(crate) fn wait_for_log(&mut self, text: &str, limit: Duration) {
        let deadline = std::time::Instant::now() + limit;
        while !self.log().contains(text) {
            let alive = self.is_running() && std::time::Instant::now() < deadline;
            assert!(alive, "no {text:?} in the log\n{}", self.log());
            std::thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // A stopped process does not die of SIGTERM, but it does of SIGKILL.
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

fn signal_to(child: &Child, signal: Signal) -> io::Result<()> {
    Ok(kill_process(Pid::from_child(child), signal)?)
}
