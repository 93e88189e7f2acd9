//! The setting `database`: a file or a server.

use std::fmt;
use std::path::{Path, PathBuf};

use orderflow_runtime::store::Database;
use orderflow_runtime::store::postgres::{PostgresAddress, masked};

use super::said::{Origin, Value};
use super::secret;
use crate::report::Failure;
use crate::slug::Slug;

/// Where services keep their state, as it was said; `{service}` stands for the name of one.
#[derive(Clone)]
pub(super) struct Place {
    kind: Kind,
    value: Value,
}

#[derive(Clone)]
enum Kind {
    /// The path of a file.
    File(String),
    /// The URL of a server's database.
    Server(String),
}

impl Place {
    /// Tells the kinds apart and tries the URL of a server on a service, so that what is wrong with it is told by every
    /// command.
    ///
    /// # Errors
    /// What is neither, and a password among the flags: other users can read a command line.
    pub(super) fn read(value: &Value, data_dir: &Path) -> Result<Self, Failure> {
        let kind = match value.text.split_once(':') {
            Some(("sqlite", path)) if !path.is_empty() => {
                Kind::File(path.replace("{data_dir}", &data_dir.to_string_lossy()))
            }
            Some(("postgres" | "postgresql", _)) => Kind::Server(value.text.clone()),
            _ => return Err(value.invalid("database", &unknown(&value.text))),
        };
        let place = Self {
            kind,
            value: value.clone(),
        };
        if matches!(value.origin, Origin::Flag(_)) && masked(&value.text) != value.text {
            return Err(shown());
        }
        place.of("orderflow").map(|_| place)
    }

    /// The database of one service.
    pub(super) fn of(&self, service: &str) -> Result<Database, Failure> {
        match &self.kind {
            Kind::File(path) => Ok(Database::Sqlite(PathBuf::from(path.replace("{service}", service)))),
            Kind::Server(url) => {
                let address = PostgresAddress::parse(url, service);
                let invalid = |error: &dyn fmt::Display| self.value.invalid("database", &error.to_string());
                address.map(Database::from).map_err(|error| invalid(&error))
            }
        }
    }

    /// The URL of a server's database, password and all, where schemas can be told apart by name; `None` for a file.
    pub(super) fn server(&self) -> Result<Option<String>, Failure> {
        match &self.kind {
            Kind::File(_) => Ok(None),
            Kind::Server(url) if self.is_per_service() => Ok(Some(url.clone())),
            Kind::Server(_) => Err(self
                .value
                .invalid("database", "leave out schema=: schemas are made for what is run")),
        }
    }

    /// Whether every service has one of its own.
    pub(super) fn is_per_service(&self) -> bool {
        match &self.kind {
            Kind::File(path) => path.contains("{service}"),
            Kind::Server(url) => !url.contains("schema=") || url.contains("{service}"),
        }
    }
}

/// Without the password of a URL.
impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&masked(&self.value.text))
    }
}

fn unknown(text: &str) -> String {
    let way_out = "write it as sqlite:PATH or postgres://USER@HOST/DATABASE";
    // Other programs take other forms, with the password in other places.
    if text.contains(['@', '=', '?']) || secret::is_secret(text) {
        format!("it is not a database of a kind that is known; {way_out}")
    } else {
        format!("{text:?} is not a database; {way_out}")
    }
}

fn shown() -> Failure {
    let message =
        "the password of the database stands on the command line, where every user of the machine can read it";
    Failure::new(Slug::SecretOnCommandLine, message)
        .hint("put it into PGPASSWORD or ~/.pgpass, or the URL into a file and set ORDERFLOW_DATABASE_FILE=PATH")
}
