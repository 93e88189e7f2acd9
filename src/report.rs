//! Failures, and how they are told: on stderr, for a person or as one JSON object.

use std::error::Error;
use std::io::Write as _;

use anstyle::{AnsiColor, Style};
use serde_json::json;

use crate::exit::Exit;
use crate::slug::Slug;

/// What a command comes to.
pub(crate) type Outcome = Result<Exit, Stop>;

/// Why a command ended early.
#[derive(Debug)]
pub(crate) enum Stop {
    /// Something failed; it is reported and decides the exit code.
    Failed(Box<Failure>),
    /// A signal ended it before its end; there is nothing to report.
    Signal(Exit),
    /// Whoever read the stream on stdout has seen enough: the end of the work, and no failure.
    OutputClosed,
}

impl From<Failure> for Stop {
    fn from(failure: Failure) -> Self {
        Self::Failed(Box::new(failure))
    }
}

/// One failure: what happened, what caused it, what to do next.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failure {
    slug: Slug,
    message: String,
    excerpt: Option<String>,
    causes: Vec<String>,
    hints: Vec<String>,
}

impl Failure {
    /// A failure of the kind `slug`; `message` is one sentence without a full stop.
    pub(crate) fn new(slug: Slug, message: impl Into<String>) -> Self {
        Self {
            slug,
            message: message.into(),
            excerpt: None,
            causes: Vec::new(),
            hints: Vec::new(),
        }
    }

    /// A failure whose message is `error` and whose causes are the errors below it.
    pub(crate) fn from_error(slug: Slug, error: &dyn Error) -> Self {
        let failure = Self::new(slug, error.to_string());
        match error.source() {
            Some(source) => failure.caused_by(source),
            None => failure,
        }
    }

    /// Adds `error` and every error below it; a cause that only repeats the line above it is left out.
    pub(crate) fn caused_by(mut self, error: &dyn Error) -> Self {
        let mut next = Some(error);
        while let Some(error) = next {
            let text = error.to_string();
            if !self.causes.last().unwrap_or(&self.message).contains(&text) {
                self.causes.push(text);
            }
            next = error.source();
        }
        self
    }

    /// Adds a cause that is no error.
    pub(crate) fn because(mut self, cause: impl Into<String>) -> Self {
        self.causes.push(cause.into());
        self
    }

    /// Adds another failure and what caused it. Its hints are left out: they are for whoever meets it first.
    pub(crate) fn after(mut self, other: &Self) -> Self {
        self.causes.push(other.message.clone());
        self.causes.extend(other.causes.iter().cloned());
        self
    }

    /// Adds a command to run or a sentence that helps.
    pub(crate) fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }

    /// Adds the place in a file, already drawn with its line and caret.
    pub(crate) fn excerpt(mut self, excerpt: impl Into<String>) -> Self {
        self.excerpt = Some(excerpt.into());
        self
    }

    /// The same as a stop: a failure that is nothing but the signal that was sent is told by the exit code alone.
    pub(crate) fn unless(self, signal: Option<Exit>) -> Stop {
        match signal {
            Some(exit) if self.slug == Slug::Interrupted => Stop::Signal(exit),
            _ => self.into(),
        }
    }

    /// Whether it is of this kind.
    pub(crate) fn is(&self, slug: Slug) -> bool {
        self.slug == slug
    }

    /// The code this failure ends the process with.
    pub(crate) const fn exit(&self) -> Exit {
        self.slug.exit()
    }

    /// Tells it on stderr. That nobody can read it there is no reason to fail again.
    pub(crate) fn print(&self, json: bool) {
        let text = if json {
            format!("{}\n", self.problem())
        } else {
            self.text()
        };
        let _nobody_reads = anstream::stderr().write_all(text.as_bytes());
    }

    /// As [`Failure::print`] tells it to a person, without colour.
    #[cfg(test)]
    pub(crate) fn plain(&self) -> String {
        anstream::adapter::strip_str(&self.text()).to_string()
    }

    /// For a person: `error[slug]: …`, `caused by: …`, `hint: …`.
    fn text(&self) -> String {
        let red = Style::new().bold().fg_color(Some(AnsiColor::Red.into()));
        let green = Style::new().bold().fg_color(Some(AnsiColor::Green.into()));
        let mut text = format!("{red}error[{}]{red:#}: {}\n", self.slug.name(), self.message);
        text.extend(self.excerpt.clone());
        text.extend(self.causes.iter().map(|cause| format!("caused by: {cause}\n")));
        text.extend(self.hints.iter().map(|hint| format!("{green}hint{green:#}: {hint}\n")));
        text
    }

    /// File, line and column, if it is about a place: what the excerpt begins with.
    fn place(&self) -> Option<&str> {
        self.excerpt
            .as_deref()?
            .lines()
            .next()?
            .trim_start()
            .strip_prefix("--> ")
    }

    /// For a program: the shape of an RFC 9457 problem, with the exit code where HTTP has its status.
    fn problem(&self) -> serde_json::Value {
        json!({
            "type": format!("/problems/{}", self.slug.name()),
            "title": self.slug.title(),
            "detail": self.message,
            "place": self.place(),
            "causes": self.causes,
            "hints": self.hints,
            "exit_code": self.exit().code(),
        })
    }
}

/// What clap has to say: help goes to stdout as it is, an error to stderr in our own form.
pub(crate) fn tell(said: &clap::Error, json: bool) -> Exit {
    if !said.use_stderr() {
        let _closed_is_fine = anstream::stdout().write_all(said.render().ansi().to_string().as_bytes());
        return Exit::Done;
    }
    if json {
        Failure::new(Slug::Usage, first_line(said))
            .hint("orderflow --help")
            .print(true);
    } else {
        let red = Style::new().bold().fg_color(Some(AnsiColor::Red.into()));
        let text = said.render().ansi().to_string();
        let told = text.replacen("error:", &format!("{red}error[{}]{red:#}:", Slug::Usage.name()), 1);
        let _nobody_reads = anstream::stderr().write_all(told.as_bytes());
    }
    Exit::Usage
}

fn first_line(said: &clap::Error) -> String {
    let text = said.render().to_string();
    let line = text.lines().next().unwrap_or_default();
    line.strip_prefix("error: ").unwrap_or(line).to_owned()
}

#[cfg(test)]
mod tests {
    use std::io;

    use super::*;

    fn failure() -> Failure {
        let cause = io::Error::other("connection refused");
        Failure::new(Slug::KafkaUnavailable, "no broker of localhost:9092 answers")
            .caused_by(&cause)
            .hint("look there")
    }

    #[test]
    fn a_person_reads_what_why_and_what_next() {
        insta::assert_snapshot!(failure().plain(), @r"
        error[kafka-unavailable]: no broker of localhost:9092 answers
        caused by: connection refused
        hint: look there
        ");
    }

    #[test]
    fn a_program_reads_a_problem_object() {
        insta::assert_snapshot!(failure().problem().to_string(), @r#"{"causes":["connection refused"],"detail":"no broker of localhost:9092 answers","exit_code":4,"hints":["look there"],"place":null,"title":"Kafka cannot be reached","type":"/problems/kafka-unavailable"}"#);
    }

    #[test]
    fn a_cause_that_repeats_its_effect_is_left_out() {
        let twice = Failure::new(Slug::Internal, "disk full").caused_by(&io::Error::other("disk full"));
        assert!(twice.causes.is_empty());
    }
}
