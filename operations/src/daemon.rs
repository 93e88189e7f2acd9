//! A service of the program as a child of this process, on the embedded broker, and how far it is.

use std::path::Path;
use std::process::{Child, Command, Stdio};

use orderflow_runtime::embedded::EmbeddedBroker;
use orderflow_runtime::settings::Settings;
use orderflow_runtime::store::sqlite::SqliteReader;
use rustix::process::{Pid, Signal, kill_process};

/// `orderflow run SERVICE` with nothing of this process's own configuration.
pub(crate) fn command(executable: &Path, service: &str, data_dir: &Path, broker: &EmbeddedBroker) -> Command {
    let settings = EmbeddedBroker::settings(Settings::default());
    let mut command = Command::new(executable);
    command.args(["run", service]).arg("--data-dir").arg(data_dir);
    command.args(["--brokers", &broker.bootstrap()]);
    for (name, value) in EmbeddedBroker::properties() {
        command.arg("-X").arg(format!("{name}={value}"));
    }
    without_settings(&mut command);
    command
        .env("ORDERFLOW_RUNTIME_CLUSTER", "embedded")
        .env(
            "ORDERFLOW_RUNTIME_SESSION_TIMEOUT",
            format!("{}ms", settings.session_timeout.as_millis()),
        )
        .env("ORDERFLOW_RUNTIME_DRAIN", format!("{}ms", settings.drain.as_millis()))
        .env("ORDERFLOW_LOG_FORMAT", "text")
        .current_dir(data_dir)
        .stdin(Stdio::null())
        .stdout(Stdio::null());
    command
}

/// Takes this process's own settings out of a child's environment.
pub(crate) fn without_settings(command: &mut Command) {
    let ours = std::env::vars_os().filter(|(name, _)| name.to_string_lossy().starts_with("ORDERFLOW_"));
    ours.for_each(|(name, _)| _ = command.env_remove(name));
}

/// SIGTERM. Without the program `kill`, which a bare Debian has not.
pub(crate) fn terminate(child: &Child) {
    // One that has ended already needs none.
    let _sent = kill_process(Pid::from_child(child), Signal::TERM);
}

/// Orders a service has handled by now; 0 until there is a database to read.
pub(crate) fn handled(data_dir: &Path, service: &str) -> u64 {
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
