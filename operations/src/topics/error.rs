//! What can go wrong with topics, by what the caller does next.

use std::fmt;

use orderflow_runtime::kafka::{Distrust, Right};
use serde::Serialize;
use thiserror::Error;

/// Why topics could not be looked at, changed or read.
#[derive(Debug, Error)]
pub enum Error {
    /// No broker answered. Nothing was changed; try again when the cluster is back.
    #[error("no broker of {brokers} answered within {seconds} s")]
    Unreachable {
        /// As configured.
        brokers: String,
        /// How long was waited.
        seconds: u64,
        /// The last thing the client said about it, such as a refused connection or wrong credentials.
        #[source]
        cause: Heard,
    },
    /// The cluster is there and refuses our credentials.
    #[error("the brokers at {brokers} refuse the credentials")]
    Credentials {
        /// As configured.
        brokers: String,
        /// What they say.
        #[source]
        cause: Heard,
    },
    /// The brokers' certificate is not trusted, or TLS does not come about for another reason.
    #[error(transparent)]
    Untrusted(Distrust),
    /// The cluster knows us and denies us a right.
    #[error("Kafka at {brokers} denies this client {right}")]
    Forbidden {
        /// As configured.
        brokers: String,
        /// What is missing.
        right: Right,
    },
    /// The client could not be configured; a property is wrong.
    #[error("the Kafka client does not take its configuration: {0}")]
    Configuration(String),
    /// The cluster answered a request with an error.
    #[error("{what}: {code}")]
    Broker {
        /// What was asked for.
        what: String,
        /// Kafka's word for the error.
        code: String,
    },
    /// The plan holds refusals; nothing of it was done.
    #[error("refused, and nothing was changed: {}", listed(.0))]
    Refused(Vec<(String, Refusal)>),
    /// The topics were made, and could not be used in time.
    #[error("after {seconds} s the new topics cannot be used everywhere; last: {last}")]
    NotVisible {
        /// How long was waited.
        seconds: u64,
        /// What was missing when last asked.
        last: String,
    },
    /// A topic to read does not exist.
    #[error("there is no topic `{topic}` on {brokers}")]
    NoTopic {
        /// The name asked for.
        topic: String,
        /// As configured.
        brokers: String,
    },
    /// A partition to read does not exist.
    #[error("topic `{topic}` has no partition {partition}: it has {count}, numbered from 0")]
    NoPartition {
        /// The topic.
        topic: String,
        /// The partition asked for.
        partition: i32,
        /// How many there are.
        count: i32,
    },
    /// Nothing came although the topic holds more; the cluster was there before.
    #[error("`{topic}` partition {partition} gave nothing at offset {offset} for {seconds} s")]
    Stalled {
        /// The topic.
        topic: String,
        /// Its partition.
        partition: i32,
        /// The next offset to read.
        offset: i64,
        /// How long was waited.
        seconds: u64,
        /// The last thing the client said about it.
        #[source]
        cause: Heard,
    },
}

/// Why something was not done, and the way out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Refusal {
    /// One sentence.
    pub reason: String,
    /// What to do next: a command where there is one.
    pub hint: String,
}

/// What the Kafka client last said by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Heard(pub(crate) Option<String>);

impl fmt::Display for Heard {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.as_deref().unwrap_or("the client gave no reason"))
    }
}

impl std::error::Error for Heard {}

fn listed(refusals: &[(String, Refusal)]) -> String {
    let each: Vec<_> = refusals
        .iter()
        .map(|(topic, refusal)| format!("`{topic}` {}", refusal.reason))
        .collect();
    each.join("; ")
}
