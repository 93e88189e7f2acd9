//! Why a service ended, by what its operator does next.

use thiserror::Error;

use crate::kafka::{Distrust, Right};
use crate::settings::InvalidSettings;
use crate::store::{Lane, StoreError};

/// Why a service could not start or go on.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ServiceError {
    /// Two settings do not go together: change one.
    #[error("the settings do not hold: {0}")]
    Settings(#[from] InvalidSettings),
    /// A librdkafka property is unknown, has a bad value, or is not the user's to set.
    #[error("Kafka client configuration: {0}")]
    Configuration(String),
    /// The cluster did not answer: see that it runs, then start again.
    #[error("no answer from Kafka at {brokers}: {why}")]
    Unreachable {
        /// The bootstrap servers.
        brokers: String,
        /// What the client says.
        why: String,
    },
    /// The brokers' certificate is not trusted, or TLS does not come about for another reason.
    #[error(transparent)]
    Untrusted(Distrust),
    /// The cluster knows us and denies us a right: grant it, then start again.
    #[error("Kafka at {brokers} denies this client {right}")]
    Forbidden {
        /// The bootstrap servers.
        brokers: String,
        /// What is missing.
        right: Right,
    },
    /// The cluster refuses us: it does not take our credentials.
    #[error("Kafka at {brokers} refuses this client: {why}")]
    Denied {
        /// The bootstrap servers.
        brokers: String,
        /// What the client says.
        why: String,
    },
    /// Topics are missing, or not as they must be: mend the topics, then start again.
    #[error("{0}")]
    Topics(String),
    /// The database is away, or cannot be used as it is though nothing in it is broken.
    #[error(transparent)]
    Store(StoreError),
    /// A person must decide. Starting again changes nothing and may lose something.
    #[error("halted: {0}")]
    Halted(#[from] Halt),
    /// The client ended for good in a way that a restart mends.
    #[error("the Kafka client ended: {0}")]
    Client(String),
    /// A defect of this program, or a machine that gives it no threads. Kafka has nothing to do with it.
    #[error("{0}")]
    Internal(String),
}

/// Why a service stopped itself: each needs a person, none is mended by a restart.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Halt {
    /// The group has positions that this database does not know: it is another database, or an old copy.
    #[error(
        "{topic}/{partition}: the group has committed offset {committed}, this database holds {held}; \
         it is the wrong database or an old copy of it ({location})"
    )]
    WrongDatabase {
        /// The topic.
        topic: String,
        /// The partition.
        partition: i32,
        /// What the group committed to Kafka.
        committed: i64,
        /// What the database holds; `nothing` where it holds none.
        held: String,
        /// The database.
        location: String,
    },
    /// Records were deleted from the topic before this group read them.
    #[error("{topic}/{partition}: records {position} to {low} are gone from the topic and were never handled")]
    DataLost {
        /// The topic.
        topic: String,
        /// The partition.
        partition: i32,
        /// Where this group stands.
        position: i64,
        /// The first offset there still is.
        low: i64,
    },
    /// The topic ends before this group's position: it was truncated or made anew.
    #[error("{topic}/{partition}: this group stands at {position}, the topic ends at {high}: truncated or re-created")]
    Truncated {
        /// The topic.
        topic: String,
        /// The partition.
        partition: i32,
        /// Where this group stands.
        position: i64,
        /// One past the last record.
        high: i64,
    },
    /// Kafka finds no record at a position that its watermarks admit: the log there is not the one that was read.
    #[error("a topic's log at this group's position is not the one that was read: truncated or re-created ({0})")]
    Diverged(String),
    /// A topic has other partitions than when this group began.
    #[error("{0}")]
    TopicGrown(String),
    /// Records are missing in the middle of a topic that should have none missing.
    #[error(
        "{topic}/{partition}: record {expected} is missing, the next is {found}; \
         if a producer writes the topic in transactions, nothing is missing: set runtime.dense=false"
    )]
    Hole {
        /// The topic.
        topic: String,
        /// The partition.
        partition: i32,
        /// The offset that should come.
        expected: i64,
        /// The offset that came.
        found: i64,
    },
    /// Records are compressed in a way that this build cannot undo.
    #[error("{0} is compressed with a codec this program does not read (zstd); it reads gzip, snappy, lz4 and none")]
    Codec(String),
    /// Too many records are refused.
    #[error("a flood of dead letters: {0}")]
    Flood(String),
    /// Another live member holds part of the partitions of a database that one process alone may serve.
    #[error("this member got {got} of {all} lanes and its database allows one process only: another member is alive")]
    SecondMember {
        /// Lanes assigned.
        got: usize,
        /// Lanes there are.
        all: usize,
    },
    /// Another process started with this member's identity.
    #[error("another process joined the group as this member ({instance}): {why}")]
    FencedMember {
        /// The `group.instance.id`.
        instance: String,
        /// How that comes.
        why: &'static str,
    },
    /// A decision is wrong in a way that no retry mends.
    #[error("lane {lane}: {why}")]
    Decision {
        /// The lane.
        lane: Lane,
        /// What is wrong.
        why: String,
    },
    /// Publishing cannot go on, whatever is retried.
    #[error("publishing: {0}")]
    Publishing(String),
    /// The database is damaged, or holds what this program never wrote.
    #[error("{0}")]
    Database(String),
}

impl Halt {
    /// A short name for scripts and tables.
    #[must_use]
    pub const fn slug(&self) -> &'static str {
        match self {
            Self::WrongDatabase { .. } => "wrong-database",
            Self::DataLost { .. } => "records-lost",
            Self::Truncated { .. } | Self::Diverged(_) => "topic-truncated",
            Self::TopicGrown(_) => "topic-grown",
            Self::Hole { .. } => "topic-hole",
            Self::Codec(_) => "codec-unsupported",
            Self::Flood(_) => "dead-letter-flood",
            Self::SecondMember { .. } => "second-member",
            Self::FencedMember { .. } => "fenced-member",
            Self::Decision { .. } => "decision",
            Self::Publishing(_) => "publishing",
            Self::Database(_) => "database-damaged",
        }
    }
}

impl From<StoreError> for ServiceError {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Halt(why) => Self::Halted(Halt::Database(why)),
            grown @ StoreError::Grown { .. } => Self::Halted(Halt::TopicGrown(grown.to_string())),
            other => Self::Store(other),
        }
    }
}
