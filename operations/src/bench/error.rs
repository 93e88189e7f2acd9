//! Why nothing was measured.

use std::io;
use std::time::Duration;

use orderflow_runtime::ServiceError;
use orderflow_runtime::store::postgres::{self, InvalidAddress};
use orderflow_runtime::store::{OpenError, StoreError, sqlite};
use rdkafka::error::KafkaError;
use thiserror::Error;

use crate::topics;

/// Why nothing was measured.
#[derive(Debug, Error)]
pub enum Error {
    /// The topics could not be made.
    #[error("making the topics: {0}")]
    Topics(#[from] topics::Error),
    /// A client of the harness failed.
    #[error("{what}: {cause}")]
    Kafka {
        /// What was asked for.
        what: &'static str,
        /// What the client said, without values of properties.
        cause: String,
    },
    /// Orders or stock could not be put in.
    #[error("filling topic {topic}: {cause}")]
    Load {
        /// The topic.
        topic: String,
        /// What the sink said.
        cause: String,
    },
    /// The measured process ended early, or did not start; its own words are on standard error.
    #[error("{job}: {cause}")]
    Child {
        /// What it was to do.
        job: &'static str,
        /// What became of it.
        cause: String,
    },
    /// Nothing came any more.
    #[error("{job}: {found} of {expected} facts, and none for {} s", waited.as_secs())]
    Stalled {
        /// What was measured.
        job: &'static str,
        /// Facts so far.
        found: u64,
        /// Facts there should be.
        expected: u64,
        /// How long nothing came.
        waited: Duration,
    },
    /// The work was done, and is wrong.
    #[error("{job}: {problem}; a figure of wrong work is none")]
    Wrong {
        /// What was measured.
        job: &'static str,
        /// What is wrong.
        problem: String,
    },
    /// The measured service ended with an error.
    #[error(transparent)]
    Service(#[from] ServiceError),
    /// The measured service's database could not be opened.
    #[error(transparent)]
    Open(#[from] OpenError),
    /// The URL names no database that can be used.
    #[error("the database: {0}")]
    Address(#[from] InvalidAddress),
    /// The measured service's database could not be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// A file, a pipe or a thread.
    #[error("{what}: {cause}")]
    Io {
        /// What was done.
        what: &'static str,
        /// What the system said.
        cause: io::Error,
    },
    /// It was asked to end.
    #[error("asked to stop")]
    Stopped,
}

impl From<postgres::OpenError> for Error {
    fn from(error: postgres::OpenError) -> Self {
        Self::Open(error.into())
    }
}

impl From<sqlite::OpenError> for Error {
    fn from(error: sqlite::OpenError) -> Self {
        Self::Open(error.into())
    }
}

impl Error {
    /// For `map_err`: an error of a Kafka client while it did `what`.
    pub(super) fn kafka(what: &'static str) -> impl Fn(KafkaError) -> Self {
        move |error| Self::Kafka {
            what,
            // The value of a property may be a password.
            cause: match error {
                KafkaError::ClientConfig(_, why, property, _) => format!("{property}: {why}"),
                other => other.to_string(),
            },
        }
    }

    /// For `map_err`: an error of the system while it did `what`.
    pub(super) fn io(what: &'static str) -> impl Fn(io::Error) -> Self {
        move |cause| Self::Io { what, cause }
    }
}
