//! A schema of the benchmark's own.

use orderflow_runtime::store::Database;
use orderflow_runtime::store::postgres::{PostgresAddress, PostgresConsole};

use crate::bench::Error;
use crate::bench::store::Place;

/// What a service keeps. A copy takes all of it, the record of migrations apart, which the copy has of its own.
const TABLES: [&str; 9] = [
    "meta", "topics", "lanes", "progress", "inbox", "state", "outbox", "effects", "timers",
];

/// A schema with a service's tables; dropped, it is removed from the database.
pub(in crate::bench) struct Schema {
    url: String,
    name: String,
    console: PostgresConsole,
}

impl Schema {
    /// Makes it, with empty tables.
    pub(in crate::bench) fn make(url: &str, name: &str) -> Result<Self, Error> {
        let name = name.replace('-', "_");
        let address = PostgresAddress::parse(url, &name)?;
        // Made first, so that what is made half is removed too.
        let schema = Self {
            console: PostgresConsole::open(&address)?,
            url: url.to_owned(),
            name: address.schema().to_owned(),
        };
        Database::from(address).migrate()?;
        Ok(schema)
    }

    /// Makes another one with the same rows. The planner learns of them as it would by autovacuum, later.
    pub(in crate::bench) fn copy(&self, name: &str) -> Result<Self, Error> {
        let copy = Self::make(&self.url, name)?;
        let each = TABLES.iter().map(|table| {
            format!(
                "TRUNCATE {table}; INSERT INTO {table} SELECT * FROM \"{}\".{table}; ANALYZE {table};",
                self.name
            )
        });
        copy.console.run(&each.collect::<String>())?;
        copy.settle();
        Ok(copy)
    }

    pub(in crate::bench) fn place(&self) -> Place {
        Place::Server {
            url: self.url.clone(),
            schema: self.name.clone(),
        }
    }

    /// A count; names without a schema mean those of this one.
    pub(in crate::bench) fn number(&self, sql: &str) -> Result<u64, Error> {
        let rows = self.console.rows(sql)?;
        let said = rows.first().and_then(|row| row.first()).cloned().flatten();
        said.as_deref()
            .and_then(|said| said.parse().ok())
            .ok_or_else(|| Error::Wrong {
                job: "asking the database",
                problem: format!("{sql} gave {said:?} instead of a number"),
            })
    }

    /// Writes out what is in memory, so that nobody pays for it later. Whoever may not ask for it measures with the noise.
    fn settle(&self) {
        if let Err(error) = self.console.run("CHECKPOINT") {
            tracing::debug!(%error, "no checkpoint between rounds");
        }
    }
}

impl Drop for Schema {
    fn drop(&mut self) {
        if let Err(error) = self
            .console
            .run(&format!("DROP SCHEMA IF EXISTS \"{}\" CASCADE", self.name))
        {
            tracing::warn!(schema = self.name, %error, "a schema of the benchmark is left behind");
        }
        self.settle();
    }
}
