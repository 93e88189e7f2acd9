//! What will be done: every setting with its type, checked once.

use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::str::FromStr;

use clap::ColorChoice;
use orderflow_operations::topics::Sizing;
use orderflow_runtime::kafka::Connection;
use orderflow_runtime::store::Database;
use orderflow_runtime::store::postgres::PostgresOptions;
use orderflow_schemas::{TopicNames, registry as schema_registry};

use super::said::Said;
use super::{database, kafka, registry, runtime, topics};
use crate::logging::{Format, Log};
use crate::report::Failure;

/// The settings of a run.
#[derive(Debug, Clone)]
pub(crate) struct Settings {
    /// The cluster and how to speak to it.
    pub(crate) connection: Connection,
    /// The folder of databases, ledgers and lock files.
    pub(crate) data_dir: PathBuf,
    /// Whether to colour.
    pub(crate) color: ColorChoice,
    /// What is logged, and how.
    pub(crate) log: Log,
    /// The schema registry that ids come from, if there is one.
    pub(crate) registry: Option<schema_registry::Options>,
    /// What the topics are called.
    pub(crate) topics: TopicNames,
    /// How large topics are made.
    pub(crate) sizing: Sizing,
    /// Every bound of the runtime.
    pub(crate) runtime: orderflow_runtime::Settings,
    /// Largest amount the built-in payment gateway charges, minor units.
    pub(crate) amount_limit_minor: i64,
    /// How a database on a server is used.
    pub(crate) postgres: PostgresOptions,
    database: database::Place,
    health_file: String,
}

impl Settings {
    /// Gives every value its type.
    ///
    /// # Errors
    /// The first value that does not parse or is out of its bounds, with where it was said.
    pub(crate) fn resolve(said: &Said) -> Result<Self, Failure> {
        let data_dir = PathBuf::from(&said.value("data_dir")?.text);
        let database = database::Place::read(said.value("database")?, &data_dir)?;
        let health_file = parse(said, "health_file", some_text)?.replace("{data_dir}", &data_dir.to_string_lossy());
        let color = parse(said, "color", ColorChoice::from_str)?;
        let format = parse(said, "log.format", Format::from_str)?;
        let level = parse(said, "log.level", crate::logging::level)?;
        Ok(Self {
            connection: kafka::connection(said)?,
            registry: registry::options(said, &data_dir)?,
            data_dir,
            color,
            log: Log { format, level },
            topics: topics::names(said)?,
            sizing: topics::sizing(said)?,
            runtime: runtime::settings(said)?,
            amount_limit_minor: parse(said, "gateway.amount_limit_minor", amount)?,
            postgres: PostgresOptions {
                connections: parse(said, "database_connections", connections)?,
                migrate: parse(said, "database_migrate", truth)?,
                ..PostgresOptions::default()
            },
            database,
            health_file,
        })
    }

    /// A service's database.
    ///
    /// # Errors
    /// A schema that cannot be a service's.
    pub(crate) fn database(&self, service: &str) -> Result<Database, Failure> {
        self.database.of(service)
    }

    /// The file of the built-in payment gateway's ledger.
    pub(crate) fn ledger(&self) -> PathBuf {
        self.data_dir
            .join(orderflow_consumers::payment::simulator::ledger::FILE_NAME)
    }

    /// The file in which a service writes how its lanes get on.
    pub(crate) fn health_file(&self, service: &str) -> PathBuf {
        self.health_file.replace("{service}", service).into()
    }

    /// The URL of the server that holds the databases, password and all; `None` where they are files.
    ///
    /// # Errors
    /// A URL that puts everything into one schema.
    pub(crate) fn server(&self) -> Result<Option<String>, Failure> {
        self.database.server()
    }

    /// Whether every service has a database of its own.
    pub(crate) fn database_per_service(&self) -> bool {
        self.database.is_per_service()
    }
}

/// A setting's value read by `read`, whose error is a sentence.
pub(super) fn parse<T>(said: &Said, key: &str, read: impl Fn(&str) -> Result<T, String>) -> Result<T, Failure> {
    let value = said.value(key)?;
    read(&value.text).map_err(|why| value.invalid(key, &why))
}

/// Yes or no.
pub(super) fn truth(text: &str) -> Result<bool, String> {
    text.parse().map_err(|_| format!("{text:?} is neither true nor false"))
}

fn amount(text: &str) -> Result<i64, String> {
    let amount = text.parse().ok().filter(|amount| *amount >= 0);
    amount.ok_or_else(|| format!("{text:?} is not a whole number of minor units"))
}

fn some_text(text: &str) -> Result<String, String> {
    if text.is_empty() {
        Err("it names no file".to_owned())
    } else {
        Ok(text.to_owned())
    }
}

fn connections(text: &str) -> Result<NonZeroUsize, String> {
    let most = text.parse::<NonZeroUsize>();
    most.map_err(|_| format!("{text:?} is not a whole number from 1 on"))
}
