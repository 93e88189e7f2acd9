//! `db status`, `db migrate`.

use orderflow_runtime::store::Versions;
use serde::Serialize;

use super::failures::of_open;
use super::prepare;
use crate::args::{GlobalArgs, ServiceName};
use crate::config::Settings;
use crate::exit::Exit;
use crate::logging::Talk;
use crate::output::{Output, Row};
use crate::report::{Failure, Outcome};

/// Shows the version of each schema.
pub(super) fn status(services: &[ServiceName], global: &GlobalArgs, output: Output) -> Outcome {
    let settings = prepare(global, &(), Talk::Command)?;
    let looked: Result<Vec<_>, _> = named(services).map(|service| look(&settings, service)).collect();
    output.list("db.status", &looked?)?;
    Ok(Exit::Done)
}

/// Brings each schema up to date, one after the other; the first that cannot be ends it.
pub(super) fn migrate(services: &[ServiceName], global: &GlobalArgs, output: Output) -> Outcome {
    let settings = prepare(global, &(), Talk::Command)?;
    let mut migrated = Vec::new();
    for service in named(services) {
        let before = look(&settings, service)?.found;
        let database = settings.database(service)?;
        database.migrate().map_err(|error| of_open(&error))?;
        migrated.push(Migrated {
            from: before,
            now: look(&settings, service)?,
        });
    }
    output.list("db.migrate", &migrated)?;
    Ok(Exit::Done)
}

/// The services asked for, each once and in one order, or all of them.
fn named(services: &[ServiceName]) -> impl Iterator<Item = &'static str> {
    let asked = services.to_vec();
    [ServiceName::Inventory, ServiceName::Payment]
        .into_iter()
        .filter(move |name| asked.is_empty() || asked.contains(name))
        .map(ServiceName::group)
}

fn look(settings: &Settings, service: &'static str) -> Result<Looked, Failure> {
    let database = settings.database(service)?;
    let Versions { found, known } = database.versions().map_err(|error| of_open(&error))?;
    Ok(Looked {
        service,
        database: database.to_string(),
        found,
        known,
        state: match found {
            0 => "missing",
            found if found < known => "behind",
            found if found > known => "newer",
            _ => "current",
        },
    })
}

/// The schema of one service.
#[derive(Debug, Serialize)]
struct Looked {
    service: &'static str,
    database: String,
    #[serde(rename = "schema_version")]
    found: i64,
    #[serde(rename = "known_version")]
    known: i64,
    state: &'static str,
}

/// The same, with the version it had before.
#[derive(Debug, Serialize)]
struct Migrated {
    #[serde(rename = "from_version")]
    from: i64,
    #[serde(flatten)]
    now: Looked,
}

impl Row for Looked {
    const HEADERS: &'static [&'static str] = &["SERVICE", "VERSION", "KNOWN", "STATE", "DATABASE"];

    fn cells(&self) -> Vec<String> {
        vec![
            self.service.to_owned(),
            self.found.to_string(),
            self.known.to_string(),
            self.state.to_owned(),
            self.database.clone(),
        ]
    }
}

impl Row for Migrated {
    const HEADERS: &'static [&'static str] = &["SERVICE", "FROM", "VERSION", "DATABASE"];

    fn cells(&self) -> Vec<String> {
        vec![
            self.now.service.to_owned(),
            self.from.to_string(),
            self.now.found.to_string(),
            self.now.database.clone(),
        ]
    }
}
