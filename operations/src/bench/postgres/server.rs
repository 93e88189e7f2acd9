//! The server itself: what it is, and what it spends.

use std::fmt;
use std::fs;
use std::time::Duration;

use orderflow_runtime::store::postgres::{PostgresAddress, PostgresConsole};
use serde::Serialize;

use crate::bench::{Error, process};

/// Settings that decide what a figure is worth.
const SETTINGS: [&str; 6] = [
    "server_version",
    "fsync",
    "full_page_writes",
    "shared_buffers",
    "max_wal_size",
    "wal_sync_method",
];

/// A schema's name nothing is ever made in.
const NOWHERE: &str = "orderflow_bench";

/// A server of PostgreSQL, while it is measured.
pub(in crate::bench) struct Server {
    console: PostgresConsole,
    /// The process all others of it come from, where it runs on this machine.
    postmaster: Option<u32>,
}

/// What to know of a server to judge the figures.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct ServerFacts {
    /// Settings and their values, as the server shows them.
    pub settings: Vec<(String, String)>,
}

impl ServerFacts {
    /// What it would have to be for its figures to count.
    pub const DURABLE: &str = "a durable PostgreSQL (fsync and full_page_writes on)";

    /// Whether a commit is on disk once it is answered: without it no figure counts.
    #[must_use]
    pub fn is_durable(&self) -> bool {
        self.settings
            .iter()
            .all(|(name, value)| !["fsync", "full_page_writes"].contains(&name.as_str()) || value == "on")
    }
}

impl fmt::Display for ServerFacts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let settings: Vec<_> = self
            .settings
            .iter()
            .map(|(name, value)| format!("{name} {value}"))
            .collect();
        write!(f, "PostgreSQL: {}", settings.join(", "))?;
        if !self.is_durable() {
            f.write_str("; NOT DURABLE: these figures say nothing")?;
        }
        Ok(())
    }
}

impl Server {
    pub(in crate::bench) fn connect(url: &str) -> Result<Self, Error> {
        let console = PostgresConsole::open(&PostgresAddress::parse(url, NOWHERE)?)?;
        let postmaster = one(&console, "SELECT pg_backend_pid()")?.parse().ok().and_then(parent);
        Ok(Self { console, postmaster })
    }

    pub(in crate::bench) fn facts(&self) -> Result<ServerFacts, Error> {
        let settings = SETTINGS.map(|name| {
            let value = one(&self.console, &format!("SHOW {name}"))?;
            Ok::<_, Error>((name.to_owned(), value))
        });
        Ok(ServerFacts {
            settings: settings.into_iter().collect::<Result<_, _>>()?,
        })
    }

    /// CPU of all its processes so far, those that have ended included.
    pub(in crate::bench) fn cpu(&self) -> Option<Duration> {
        process::family(self.postmaster?)
    }

    /// Bytes of log written so far.
    pub(in crate::bench) fn log_bytes(&self) -> Result<u64, Error> {
        let said = one(&self.console, "SELECT pg_wal_lsn_diff(pg_current_wal_lsn(), '0/0')")?;
        said.parse().map_err(|_| Error::Wrong {
            job: "asking the server",
            problem: format!("{said:?} is no position in its log"),
        })
    }
}

fn one(console: &PostgresConsole, sql: &str) -> Result<String, Error> {
    let rows = console.rows(sql)?;
    let said = rows.into_iter().next().and_then(|row| row.into_iter().next());
    Ok(said.flatten().unwrap_or_default())
}

/// The parent of one of its processes, if what bears that number here is one of PostgreSQL: a server elsewhere, or in a
/// container, counts by other numbers.
fn parent(backend: u32) -> Option<u32> {
    let named = fs::read_to_string(format!("/proc/{backend}/comm")).ok()?;
    if named.trim_end() != "postgres" {
        return None;
    }
    process::parent(backend)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_that_does_not_sync_is_not_durable() {
        let facts = |value: &str| ServerFacts {
            settings: vec![
                ("server_version".to_owned(), "15".to_owned()),
                ("fsync".to_owned(), value.to_owned()),
            ],
        };
        assert!(facts("on").is_durable());
        assert!(!facts("off").is_durable());
        assert!(
            facts("off")
                .to_string()
                .contains("server_version 15, fsync off; NOT DURABLE")
        );
        assert!(!facts("on").to_string().contains("NOT"));
    }
}
