//! Where the measured inventory keeps its state: a file, or a schema on a server. Made for it, and removed.

use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use orderflow_runtime::store::Database;
use orderflow_runtime::store::postgres::{PostgresAddress, masked};
use serde::{Deserialize, Serialize};

use super::postgres::Schema;
use super::{Error, Options};

const DATABASE: &str = "inventory.db";

/// What kind of database.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    Sqlite,
    Postgres,
}

impl Kind {
    /// Its name in reports.
    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Sqlite => "SQLite",
            Self::Postgres => "PostgreSQL",
        }
    }
}

/// Where a database is, as a process is told; it may hold a password, and is shown without.
#[derive(Clone, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Place {
    File(PathBuf),
    Server { url: String, schema: String },
}

impl Place {
    pub(super) fn database(&self) -> Result<Database, Error> {
        match self {
            Self::File(path) => Ok(path.clone().into()),
            Self::Server { url, schema } => Ok(PostgresAddress::parse(url, schema)?.into()),
        }
    }
}

impl fmt::Debug for Place {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::File(path) => path.fmt(f),
            Self::Server { url, schema } => write!(f, "{} schema {schema}", masked(url)),
        }
    }
}

/// A database of the benchmark's own; dropped, it is removed.
pub(super) enum Store {
    File(Folder),
    Server(Box<Schema>),
}

impl Store {
    /// An empty one.
    pub(super) fn make(options: &Options, kind: Kind, name: &str) -> Result<Self, Error> {
        match (kind, &options.database) {
            (Kind::Sqlite, _) => Folder::make(&options.folder, name).map(Self::File),
            (Kind::Postgres, Some(url)) => Schema::make(url, name).map(Self::server),
            (Kind::Postgres, None) => Err(Error::Child {
                job: "making a schema",
                cause: "no PostgreSQL was named".to_owned(),
            }),
        }
    }

    /// Another one with the same in it. Nobody may be at work on this one.
    pub(super) fn copy(&self, options: &Options, name: &str) -> Result<Self, Error> {
        match self {
            Self::File(stocked) => {
                let folder = Folder::make(&options.folder, name)?;
                fs::copy(stocked.database(), folder.database()).map_err(Error::io("copying the stocked database"))?;
                Ok(Self::File(folder))
            }
            Self::Server(stocked) => stocked.copy(name).map(Self::server),
        }
    }

    /// A number that a server is asked for; 0 of a file.
    pub(super) fn number(&self, sql: &str) -> Result<u64, Error> {
        match self {
            Self::File(_) => Ok(0),
            Self::Server(schema) => schema.number(sql),
        }
    }

    fn server(schema: Schema) -> Self {
        Self::Server(Box::new(schema))
    }

    pub(super) fn place(&self) -> Place {
        match self {
            Self::File(folder) => Place::File(folder.database()),
            Self::Server(schema) => schema.place(),
        }
    }
}

/// A folder with a database.
pub(super) struct Folder(PathBuf);

impl Folder {
    pub(super) fn make(parent: &Path, name: &str) -> Result<Self, Error> {
        // Processes work in it under its name, wherever they are.
        let path = std::path::absolute(parent.join(name)).map_err(Error::io("finding a folder for a database"))?;
        fs::create_dir_all(&path).map_err(Error::io("making a folder for a database"))?;
        Ok(Self(path))
    }

    pub(super) fn path(&self) -> &Path {
        &self.0
    }

    pub(super) fn database(&self) -> PathBuf {
        self.0.join(DATABASE)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if let Err(error) = fs::remove_dir_all(&self.0) {
            tracing::warn!(folder = %self.0.display(), %error, "a folder of the benchmark is left behind");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_told_whole_and_shown_without_its_password() {
        let place = Place::Server {
            url: "postgres://me:hush@localhost/shop".to_owned(),
            schema: "bench_1".to_owned(),
        };
        assert_eq!(format!("{place:?}"), "postgres://me:***@localhost/shop schema bench_1");
        let told = serde_json::to_string(&place).expect("it can be told");
        let heard: Place = serde_json::from_str(&told).expect("it can be heard");
        let database = heard.database().expect("a database");
        assert_eq!(database.to_string(), "postgres://localhost:5432/shop schema bench_1");
    }
}
