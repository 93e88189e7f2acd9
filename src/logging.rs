//! Logs: on stderr, as text for a person and as JSON for a machine.

use std::io::{self, IsTerminal as _};
use std::str::FromStr;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::SubscriberBuilder;
use tracing_subscriber::fmt::format::{DefaultFields, Format as Layout};

/// What is logged, and how.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Log {
    /// Text or JSON.
    pub(crate) format: Format,
    /// A level or a filter; none leaves it to the command.
    pub(crate) level: Option<String>,
}

/// The form of a line.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    /// Text on a terminal, JSON otherwise.
    Auto,
    /// One line a person reads.
    Text,
    /// One JSON object a line.
    Json,
}

impl FromStr for Format {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "auto" => Ok(Self::Auto),
            "text" => Ok(Self::Text),
            "json" => Ok(Self::Json),
            _ => Err(format!("{text:?} is not a log format; write auto, text or json")),
        }
    }
}

/// A level such as `debug`, or a filter such as `info,orderflow_runtime=debug`; `auto` is none.
///
/// # Errors
/// A sentence that says what was expected.
pub(crate) fn level(text: &str) -> Result<Option<String>, String> {
    if text == "auto" {
        return Ok(None);
    }
    match EnvFilter::builder().parse(text) {
        Ok(_) => Ok(Some(text.to_owned())),
        Err(error) => Err(format!("{text:?} is not a log level: {error}")),
    }
}

/// What kind of command is running: daemons tell what they do, other commands only what is wrong.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Talk {
    /// A daemon.
    Daemon,
    /// A command that ends by itself.
    Command,
}

impl Log {
    /// Starts logging; `steps` is how often `-v` was given less how often `-q`. A level that was said wins over both.
    pub(crate) fn start(&self, talk: Talk, steps: i8) {
        let level = self.level.clone().unwrap_or_else(|| stepped(talk, steps).to_owned());
        let logs = tracing_subscriber::fmt().with_writer(io::stderr);
        let filter = EnvFilter::new(level);
        match self.format {
            Format::Json => logs.json().flatten_event(true).with_env_filter(filter).init(),
            Format::Auto if !io::stderr().is_terminal() && talk == Talk::Daemon => {
                logs.json().flatten_event(true).with_env_filter(filter).init();
            }
            Format::Text | Format::Auto => text(logs).with_env_filter(filter).init(),
        }
    }
}

fn text<W>(
    logs: SubscriberBuilder<DefaultFields, Layout, tracing::level_filters::LevelFilter, W>,
) -> SubscriberBuilder<DefaultFields, Layout, tracing::level_filters::LevelFilter, W> {
    let coloured = anstream::AutoStream::choice(&io::stderr()) != anstream::ColorChoice::Never;
    logs.with_ansi(coloured).with_target(false)
}

fn stepped(talk: Talk, steps: i8) -> &'static str {
    const LEVELS: [&str; 5] = ["error", "warn", "info", "debug", "trace"];
    let start = if talk == Talk::Daemon { 2 } else { 1 };
    let place = (start + steps).clamp(0, 4);
    LEVELS[usize::try_from(place).unwrap_or_default()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_v_says_more_and_each_q_less() {
        assert_eq!(stepped(Talk::Command, 0), "warn");
        assert_eq!(stepped(Talk::Daemon, 0), "info");
        assert_eq!(stepped(Talk::Daemon, 9), "trace");
        assert_eq!(stepped(Talk::Command, -2), "error");
    }

    #[test]
    fn a_level_is_checked_before_anything_runs() {
        assert_eq!(level("auto"), Ok(None));
        assert_eq!(
            level("info,orderflow_runtime=debug"),
            Ok(Some("info,orderflow_runtime=debug".to_owned()))
        );
        assert!(level("orderflow=loud").is_err());
    }
}
