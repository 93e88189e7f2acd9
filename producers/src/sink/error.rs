//! Why a record did not get into its topic, or nobody knows whether it did.

use std::time::Duration;

use orderflow_runtime::kafka::{Distrust, Right};
use thiserror::Error;

use super::Tally;

/// What ends a run of a [`Sink`](super::Sink). Each says what the caller can do next.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum SinkError {
    /// A property of the configuration that is not the user's to set.
    #[error("the property {0:?} cannot be set: a guarantee rests on its value")]
    Forbidden(String),
    /// librdkafka does not take its configuration. Values are left out: passwords are among them.
    #[error("the configuration of the Kafka client is not accepted: {0}")]
    Configuration(String),
    /// No broker answered. Nothing was written.
    #[error("no broker at {brokers} answered within {}: {reason}", seconds(.waited))]
    Unreachable {
        /// The brokers as configured.
        brokers: String,
        /// How long was waited.
        waited: Duration,
        /// The last thing the client said about it.
        reason: String,
    },
    /// The brokers refuse the credentials. Nothing was written.
    #[error("the brokers at {brokers} refuse the credentials: {reason}")]
    Credentials {
        /// The brokers as configured.
        brokers: String,
        /// What they say.
        reason: String,
    },
    /// The brokers' certificate is not trusted, or TLS does not come about for another reason. Nothing was written.
    #[error(transparent)]
    Untrusted(Distrust),
    /// The cluster knows this client and denies it a right. What was not acknowledged before is not written.
    #[error("Kafka at {brokers} denies this client {right}")]
    Denied {
        /// The brokers as configured.
        brokers: String,
        /// What is missing.
        right: Right,
    },
    /// The topic is not there. Nothing was written. `orderflow topics apply` makes it.
    #[error("the topic {topic:?} does not exist on {brokers}")]
    MissingTopic {
        /// The topic.
        topic: String,
        /// The brokers as configured.
        brokers: String,
    },
    /// The record is larger than the client or the topic takes. It was not written.
    #[error("the record of key {key:?} has {bytes} bytes of value; {topic} does not take that much")]
    TooLarge {
        /// The topic.
        topic: String,
        /// The record's key.
        key: String,
        /// Size of its value.
        bytes: usize,
    },
    /// The broker refused a record for good; what was behind it was not written.
    #[error("{topic}/{partition} refused a record: {reason}")]
    Refused {
        /// The topic.
        topic: String,
        /// The partition.
        partition: i32,
        /// What the broker or the client said.
        reason: String,
    },
    /// The client gave up for good, over no record of its own; it takes no more. What was not acknowledged before may have
    /// been written.
    #[error("the Kafka client gave up, and takes no more records to {topic}: {reason}")]
    GaveUp {
        /// The topic.
        topic: String,
        /// What the client said.
        reason: String,
    },
    /// Too long without an acknowledgement. What is pending may have been written or not.
    #[error(
        "{pending} records to {topic} were not acknowledged within {}; they may have been written. The brokers are away, \
         or too few replicas are in sync{}",
        seconds(.waited), said(.reason.as_deref())
    )]
    NotAcknowledged {
        /// The topic.
        topic: String,
        /// How many records nobody knows the fate of.
        pending: u64,
        /// How long was waited.
        waited: Duration,
        /// The last thing the client said, if anything.
        reason: Option<String>,
    },
    /// The run was asked to end while it waited for the brokers.
    #[error("stopped while waiting for the brokers")]
    Stopped,
}

impl SinkError {
    /// Whether the same may succeed later, without anybody changing anything here.
    #[must_use]
    pub const fn is_unavailable(&self) -> bool {
        matches!(self, Self::Unreachable { .. } | Self::NotAcknowledged { .. })
    }

    /// Whether a record of the run that this ended may be in the topic, or is. One that was refused is not; others that
    /// were sent with it may be, what was on its way then included, unless the whole topic is denied.
    #[must_use]
    pub const fn may_be_written(&self, tally: Tally) -> bool {
        match self {
            Self::NotAcknowledged { .. } | Self::GaveUp { .. } | Self::Stopped => tally.sent > 0,
            Self::Denied { .. } => tally.acknowledged > 0,
            _ => tally.sent > 1,
        }
    }
}

fn seconds(waited: &Duration) -> String {
    format!("{:.1} s", waited.as_secs_f32())
}

fn said(reason: Option<&str>) -> String {
    reason.map_or(String::new(), |reason| format!(" (the client says: {reason})"))
}

#[cfg(test)]
mod tests {
    use orderflow_runtime::kafka::Operation;

    use super::*;

    #[test]
    fn what_was_refused_is_not_written_and_the_rest_may_be() {
        let tally = |acknowledged, failed| Tally {
            sent: 3,
            acknowledged,
            failed,
        };
        let unanswered = SinkError::Stopped;
        assert!(unanswered.may_be_written(tally(0, 0)));
        assert!(!unanswered.may_be_written(Tally::default()));
        let denied = SinkError::Denied {
            brokers: "b".to_owned(),
            right: Right::topic(Operation::Write, "stock"),
        };
        assert!(!denied.may_be_written(tally(0, 1)));
        assert!(denied.may_be_written(tally(1, 1)));
        let refused = SinkError::Refused {
            topic: "stock".to_owned(),
            partition: 0,
            reason: "no".to_owned(),
        };
        assert!(refused.may_be_written(tally(0, 1)));
        // What was purged on its way counts as failed too.
        assert!(refused.may_be_written(tally(0, 3)));
        let alone = Tally {
            sent: 1,
            failed: 1,
            ..Tally::default()
        };
        assert!(!refused.may_be_written(alone));
    }
}
