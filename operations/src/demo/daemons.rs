//! The services as children of this process, and how far they are, read from their databases.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use orderflow_runtime::embedded::EmbeddedBroker;
use orderflow_runtime::settings::Settings;
use orderflow_runtime::store::sqlite::SqliteReader;

use super::Options;
use super::error::DemoError;

/// How long a daemon has to drain when the demonstration is over.
const ENDS: Duration = Duration::from_secs(6);

/// How much of a log is shown when its daemon failed.
const LAST_WORDS: usize = 1_000;

/// One service in a process of its own. Dropped, it is killed.
pub(super) struct Daemon {
    service: &'static str,
    child: Child,
    log: PathBuf,
}

impl Daemon {
    /// Starts `orderflow run SERVICE` with nothing of this process's own configuration.
    pub(super) fn start(service: &'static str, options: &Options, broker: &EmbeddedBroker) -> Result<Self, DemoError> {
        let log = options.data_dir.join(format!("{service}.log"));
        let lines = File::options().create(true).append(true).open(&log);
        let lines = lines.map_err(|error| DemoError::folder(&options.data_dir, &error))?;
        let settings = EmbeddedBroker::settings(Settings::default());
        let mut command = Command::new(&options.executable);
        command.args(["run", service]).arg("--data-dir").arg(&options.data_dir);
        command.args(["--brokers", &broker.bootstrap()]);
        for (name, value) in EmbeddedBroker::properties() {
            command.arg("-X").arg(format!("{name}={value}"));
        }
        let ours = std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("ORDERFLOW_"));
        ours.for_each(|(name, _)| _ = command.env_remove(name));
        command
            .env("ORDERFLOW_RUNTIME_CLUSTER", "embedded")
            .env(
                "ORDERFLOW_RUNTIME_SESSION_TIMEOUT",
                format!("{}ms", settings.session_timeout.as_millis()),
            )
            .env("ORDERFLOW_RUNTIME_DRAIN", format!("{}ms", settings.drain.as_millis()))
            .env("ORDERFLOW_LOG_FORMAT", "text")
            .current_dir(&options.data_dir)
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(lines);
        match command.spawn() {
            Ok(child) => Ok(Self { service, child, log }),
            Err(error) => Err(failed(service, &log, &format!("did not start: {error}"))),
        }
    }

    pub(super) fn service(&self) -> &'static str {
        self.service
    }

    /// Fails if the daemon has ended by itself.
    pub(super) fn check(&mut self) -> Result<(), DemoError> {
        match self.child.try_wait() {
            Ok(None) => Ok(()),
            Ok(Some(status)) => Err(self.ended(status)),
            Err(error) => Err(failed(
                self.service,
                &self.log,
                &format!("cannot be looked after: {error}"),
            )),
        }
    }

    /// SIGKILL: nothing is flushed, drained or left in order.
    pub(super) fn kill(&mut self) -> Result<(), DemoError> {
        let killed = self.child.kill().and_then(|()| self.child.wait());
        killed
            .map(drop)
            .map_err(|error| failed(self.service, &self.log, &format!("cannot be killed: {error}")))
    }

    /// SIGTERM, and the end of its drain.
    pub(super) fn stop(mut self) -> Result<(), DemoError> {
        terminate(&self.child);
        let deadline = Instant::now() + ENDS;
        while Instant::now() < deadline {
            match self.child.try_wait() {
                Ok(Some(status)) if status.success() => return Ok(()),
                Ok(Some(status)) => return Err(self.ended(status)),
                _ => std::thread::sleep(Duration::from_millis(10)),
            }
        }
        Err(failed(self.service, &self.log, "did not end in time"))
    }

    fn ended(&self, status: ExitStatus) -> DemoError {
        failed(self.service, &self.log, &format!("ended by itself ({status})"))
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // A child that has ended cannot be killed, which is as well.
        let _ended = self.child.kill().and_then(|()| self.child.wait().map(drop));
    }
}

/// A signal without a crate for it: every system that has signals has `kill`.
fn terminate(child: &Child) {
    let _sent = Command::new("kill").args(["-TERM", &child.id().to_string()]).status();
}

fn failed(service: &str, log: &Path, what: &str) -> DemoError {
    let text = std::fs::read_to_string(log).unwrap_or_default();
    let from = text.ceil_char_boundary(text.len().saturating_sub(LAST_WORDS));
    DemoError::Daemon {
        service: service.to_owned(),
        what: what.to_owned(),
        log: log.display().to_string(),
        tail: text[from..].to_owned(),
    }
}

/// Records a service has handled by now; 0 until there is a database to read.
pub(super) fn handled(data_dir: &Path, service: &str) -> u64 {
    let reader = SqliteReader::open(&data_dir.join(format!("{service}.db")));
    let progress = reader
        .ok()
        .and_then(|reader| reader.progress().ok())
        .unwrap_or_default();
    progress
        .iter()
        .filter(|at| &*at.topic == "orders")
        .map(|at| at.counts.total())
        .sum()
}
