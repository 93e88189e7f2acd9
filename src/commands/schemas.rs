//! `schemas check`, `schemas register` and `schemas serve`.

use orderflow_schemas::registry::{self, Client, Comparison, Published, Standing, State, compare, publish};
use orderflow_schemas::{compatibility, history};
use serde::Serialize;
use tokio::net::TcpListener;

use super::failures::of_registry;
use super::run::threads;
use super::{contracts, prepare};
use crate::args::{CheckArgs, GlobalArgs, RegisterArgs, ServeArgs};
use crate::exit::Exit;
use crate::logging::Talk;
use crate::output::{Output, Row};
use crate::report::{Failure, Outcome};
use crate::signals::Signals;
use crate::slug::Slug;

/// Proves that all versions of all events stand beside one another, and beside those of the registry, if there is one.
pub(super) fn check(args: &CheckArgs, global: &GlobalArgs, output: Output) -> Outcome {
    let settings = prepare(global, &(), Talk::Command)?;
    let proven = compatibility::check_all().map_err(|problems| incompatible(&problems))?;
    let ours: Vec<_> = history::all().iter().map(Checked::of).collect();
    let Some(options) = settings.registry.as_ref().filter(|_| !args.offline) else {
        output.list("schemas.check", &ours)?;
        output.note(&in_words(proven));
        return Ok(Exit::Done);
    };
    let found = contracts::thread()?.block_on(async { compare(&Client::new(options)?).await });
    let found = found.map_err(|error| of_registry(&error))?;
    let rows: Vec<_> = ours
        .into_iter()
        .map(Placed)
        .chain(found.iter().map(Placed::of))
        .collect();
    output.list("schemas.check", &rows)?;
    output.note(&in_words(proven));
    let problems: Vec<_> = found.iter().filter_map(problems).flatten().collect();
    if !problems.is_empty() {
        return Err(incompatible(&problems).into());
    }
    if found.iter().any(|one| one.standing == Standing::Missing) {
        output.note("some are not registered: orderflow schemas register");
    }
    Ok(Exit::Done)
}

fn in_words(proven: compatibility::Proven) -> String {
    let compatibility::Proven { versions, pairs } = proven;
    format!("{versions} versions, {pairs} pairs of reader and writer: compatible")
}

fn incompatible(problems: &[impl ToString]) -> Failure {
    let message = format!("{} pairs of versions cannot stand together", problems.len());
    let failure = Failure::new(Slug::SchemasIncompatible, message);
    problems
        .iter()
        .fold(failure, |failure, problem| failure.because(problem.to_string()))
}

fn problems(found: &Comparison) -> Option<&[String]> {
    match &found.standing {
        Standing::Incompatible(problems) => Some(problems),
        _ => None,
    }
}

/// One version that was looked at.
#[derive(Debug, Serialize)]
struct Checked {
    event: &'static str,
    version: Option<u32>,
    id: Option<u32>,
    subject: &'static str,
    /// Whose it is: `built-in` or `registry`.
    source: &'static str,
    /// How one of the registry stands to ours: `ours` (with our version), `compatible`, `incompatible`, `missing`.
    standing: Option<&'static str>,
    same_as: Option<u32>,
}

impl Checked {
    fn of(version: &history::Version) -> Self {
        Self {
            event: version.event.name(),
            version: Some(version.version),
            id: Some(version.id),
            subject: version.event.record_name(),
            source: "built-in",
            standing: None,
            same_as: None,
        }
    }

    fn of_registry(found: &Comparison) -> Self {
        let (standing, same_as) = match found.standing {
            Standing::Ours(version) => ("ours", Some(version)),
            Standing::Compatible => ("compatible", None),
            Standing::Incompatible(_) => ("incompatible", None),
            Standing::Missing => ("missing", None),
        };
        Self {
            event: found.event.name(),
            version: found.version,
            id: found.id,
            subject: found.event.record_name(),
            source: "registry",
            standing: Some(standing),
            same_as,
        }
    }
}

impl Row for Checked {
    const HEADERS: &'static [&'static str] = &["EVENT", "VERSION", "ID", "SUBJECT"];

    fn cells(&self) -> Vec<String> {
        vec![
            self.event.to_owned(),
            known(self.version),
            known(self.id),
            self.subject.to_owned(),
        ]
    }
}

/// The same beside those of a registry.
#[derive(Debug, Serialize)]
#[serde(transparent)]
struct Placed(Checked);

impl Placed {
    fn of(found: &Comparison) -> Self {
        Self(Checked::of_registry(found))
    }
}

impl Row for Placed {
    const HEADERS: &'static [&'static str] = &["EVENT", "VERSION", "ID", "SUBJECT", "SOURCE", "STANDING"];

    fn cells(&self) -> Vec<String> {
        let standing = match (self.0.standing, self.0.same_as) {
            (_, Some(version)) => format!("ours, v{version}"),
            (standing, None) => standing.unwrap_or("-").to_owned(),
        };
        let mut cells = self.0.cells();
        cells.extend([self.0.source.to_owned(), standing]);
        cells
    }
}

/// Registers what is missing.
pub(super) fn register(args: &RegisterArgs, global: &GlobalArgs, output: Output) -> Outcome {
    let settings = prepare(global, &(), Talk::Command)?;
    let Some(options) = &settings.registry else {
        return Err(Failure::new(Slug::Usage, "no schema registry is configured")
            .hint("--registry URL, or ORDERFLOW_REGISTRY, or url under [registry] in orderflow.toml")
            .into());
    };
    let mut rows = Vec::new();
    let published = contracts::thread()?.block_on(async {
        let client = Client::new(options)?;
        publish(&client, args.dry_run, |published| rows.push(Registered::of(published))).await
    });
    // What is done before a failure stays done, so it is told.
    if !rows.is_empty() || published.is_ok() {
        output.list("schemas.register", &rows)?;
    }
    published.map_err(|error| of_registry(&error))?;
    Ok(Exit::Done)
}

/// What became of one version.
#[derive(Debug, Serialize)]
struct Registered {
    event: &'static str,
    version: u32,
    subject: &'static str,
    id: Option<u32>,
    /// `unchanged`, `registered`, or `missing` where nothing was to be changed.
    state: &'static str,
}

impl Registered {
    fn of(published: Published) -> Self {
        let Published { version, id, state } = published;
        Self {
            event: version.event.name(),
            version: version.version,
            subject: version.event.record_name(),
            id,
            state: match state {
                State::Unchanged => "unchanged",
                State::Registered => "registered",
                State::Missing => "missing",
            },
        }
    }
}

impl Row for Registered {
    const HEADERS: &'static [&'static str] = &["EVENT", "VERSION", "SUBJECT", "ID", "STATE"];

    fn cells(&self) -> Vec<String> {
        vec![
            self.event.to_owned(),
            self.version.to_string(),
            self.subject.to_owned(),
            known(self.id),
            self.state.to_owned(),
        ]
    }
}

fn known(number: Option<u32>) -> String {
    number.map_or_else(|| "-".to_owned(), |number| number.to_string())
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
