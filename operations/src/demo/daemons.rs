//! The services as children of this process.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::{Child, ExitStatus};
use std::time::{Duration, Instant};

use orderflow_runtime::embedded::EmbeddedBroker;

use super::Options;
use super::error::DemoError;
use crate::daemon;

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
        let mut command = daemon::command(&options.executable, service, &options.data_dir, broker);
        command.stderr(lines);
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
        daemon::terminate(&self.child);
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
