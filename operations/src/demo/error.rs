//! Why a demonstration ended early.

use std::path::Path;
use std::time::Duration;

use orderflow_producers::SinkError;
use orderflow_producers::import::ImportFailed;
use orderflow_runtime::embedded::EmbeddedError;
use orderflow_runtime::store::StoreError;
use thiserror::Error;

use super::MOST_ORDERS;
use crate::audit::AuditError;

/// Why a demonstration ended early. Start it again; the causes that a person can mend are named.
#[derive(Debug, Error)]
pub enum DemoError {
    /// More orders are asked for than the data set has. Nothing was done.
    #[error("{asked} orders are asked for, and the data set has {MOST_ORDERS}")]
    TooManyOrders {
        /// So many.
        asked: u64,
    },
    /// The folder for databases and logs has something in it already. Nothing was done.
    #[error("the folder {folder} is not empty, and the demonstration begins with databases of its own")]
    NotEmpty {
        /// The folder.
        folder: String,
    },
    /// The broker in this process failed, or dropped records.
    #[error(transparent)]
    Broker(#[from] EmbeddedError),
    /// The folder for databases and logs cannot be used.
    #[error("cannot use the folder {folder}: {why}")]
    Folder {
        /// The folder.
        folder: String,
        /// What the operating system says.
        why: String,
    },
    /// A daemon could not be started, or ended by itself; its log says why.
    #[error("{service} {what}; its last words, of {log}:\n{tail}")]
    Daemon {
        /// Which.
        service: String,
        /// What happened.
        what: String,
        /// Its log.
        log: String,
        /// The end of that.
        tail: String,
    },
    /// The data set could not be read or placed.
    #[error(transparent)]
    Import(#[from] ImportFailed),
    /// Records could not be sent.
    #[error(transparent)]
    Sink(#[from] SinkError),
    /// A database could not be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The audit could not judge.
    #[error(transparent)]
    Audit(#[from] AuditError),
    /// A client of the broker failed.
    #[error("Kafka client: {0}")]
    Client(String),
    /// Something took too long.
    #[error("waited {} s for {what}", patience.as_secs())]
    Late {
        /// For what.
        what: &'static str,
        /// How long.
        patience: Duration,
    },
    /// The user ended it.
    #[error("stopped")]
    Stopped,
    /// A defect of this program.
    #[error("a defect: {0}")]
    Defect(&'static str),
}

impl DemoError {
    pub(super) fn folder(folder: &Path, why: &std::io::Error) -> Self {
        Self::Folder {
            folder: folder.display().to_string(),
            why: why.to_string(),
        }
    }
}
