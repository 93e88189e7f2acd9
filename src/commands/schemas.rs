//! `schemas check` and `schemas serve`.

use orderflow_schemas::{EventType, compatibility, history, registry};
use serde::Serialize;
use tokio::net::TcpListener;

use super::prepare;
use super::run::threads;
use crate::args::{GlobalArgs, ServeArgs};
use crate::exit::Exit;
use crate::logging::Talk;
use crate::output::{Output, Row};
use crate::report::{Failure, Outcome};
use crate::signals::Signals;
use crate::slug::Slug;

/// Proves that all versions of all events stand beside one another.
pub(super) fn check(output: Output) -> Outcome {
    match compatibility::check_all() {
        Ok(proven) => {
            let versions: Vec<_> = EventType::ALL
                .into_iter()
                .flat_map(history::of)
                .map(Checked::of)
                .collect();
            output.list("schemas.check", &versions)?;
            output.note(&format!(
                "{} versions, {} pairs of reader and writer: compatible",
                proven.versions, proven.pairs
            ));
            Ok(Exit::Done)
        }
        Err(problems) => {
            let count = problems.len();
            let failure = Failure::new(
                Slug::SchemasIncompatible,
                format!("{count} pairs of versions cannot stand together"),
            );
            let told = problems
                .iter()
                .fold(failure, |failure, problem| failure.caused_by(problem));
            Err(told.into())
        }
    }
}

/// One version that was looked at.
#[derive(Debug, Serialize)]
struct Checked {
    event: &'static str,
    version: u32,
    id: u32,
    subject: &'static str,
}

impl Checked {
    fn of(version: &history::Version) -> Self {
        Self {
            event: version.event.name(),
            version: version.version,
            id: version.id,
            subject: version.event.record_name(),
        }
    }
}

impl Row for Checked {
    const HEADERS: &'static [&'static str] = &["EVENT", "VERSION", "ID", "SUBJECT"];

    fn cells(&self) -> Vec<String> {
        vec![
            self.event.to_owned(),
            self.version.to_string(),
            self.id.to_string(),
            self.subject.to_owned(),
        ]
    }
}

/// Serves the contracts until a signal ends it.
pub(super) fn serve(args: &ServeArgs, global: &GlobalArgs) -> Outcome {
    prepare(global, &(), Talk::Daemon)?;
    let signals = Signals::take()?;
    let served = threads()?.block_on(async {
        let listener = TcpListener::bind(args.listen).await?;
        registry::serve(listener, signals.asked()).await
    });
    served.map_err(|error| {
        Failure::new(Slug::ListenFailed, format!("cannot listen on {}", args.listen)).caused_by(&error)
    })?;
    Ok(Exit::Done)
}
