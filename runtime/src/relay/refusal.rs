//! Which refusals end publishing and which are overcome by a new client.

use std::fmt;

use rdkafka::types::RDKafkaErrorCode as Code;

use crate::kafka::{Operation, Right};
use crate::store::{Lane, Sequence};

/// A fact that the client could not deliver.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Refusal {
    pub(super) lane: Lane,
    pub(super) sequence: Sequence,
    /// Topic and partition it was meant for.
    pub(super) to: (String, i32),
    pub(super) code: Code,
}

impl Refusal {
    /// The sentence for a person, if no retry can help.
    pub(super) fn permanent(&self) -> Option<String> {
        let remedy = match self.code {
            Code::TopicAuthorizationFailed => {
                let right = Right::topic(Operation::Write, &*self.to.0);
                format!("this client lacks {right}: {}", right.granted_by())
            }
            code => remedy(code)?.to_owned(),
        };
        Some(format!("{self}; {remedy}"))
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { lane, sequence, to, .. } = self;
        write!(
            f,
            "fact {sequence} of lane {lane} is refused by {}/{}: {}",
            to.0, to.1, self.code
        )
    }
}

/// What a person can do about an error that no retry overcomes; `None` for every other error.
pub(super) fn remedy(code: Code) -> Option<&'static str> {
    let remedy = match code {
        Code::MessageSizeTooLarge | Code::InvalidMessageSize | Code::MessageBatchTooLarge => {
            "raise max.message.bytes of the topic to 1 MiB or more (orderflow topics apply, or kafka-configs.sh): it is about \
             whole batches, and this client fills them up to batch.size, 1,000,000 bytes unless set under [kafka]"
        }
        Code::TopicAuthorizationFailed => "allow this client to write to the topic",
        Code::ClusterAuthorizationFailed => {
            "give this client Write on the topics it publishes to, and before Kafka 3.0 IdempotentWrite on the cluster"
        }
        Code::UnknownTopic | Code::UnknownTopicOrPartition | Code::InvalidTopic | Code::UnknownTopicId => {
            "create the topic (orderflow topics apply)"
        }
        Code::UnknownPartition => "the topic has fewer partitions than the database recorded; it was made anew",
        Code::InvalidRecord | Code::PolicyViolation => "the topic's settings do not admit this record",
        Code::InvalidTimestamp => "widen message.timestamp.before.max.ms and after.max.ms of the topic",
        Code::UnsupportedCompressionType => "set another compression",
        Code::UnsupportedForMessageFormat | Code::UnsupportedVersion | Code::UnsupportedFeature => {
            "the broker is too old: Kafka 2.1 or newer is needed"
        }
        Code::InvalidRequiredAcks | Code::InvalidArgument | Code::InvalidConfig => {
            "the producer's configuration does not fit the cluster"
        }
        _ => return None,
    };
    Some(remedy)
}
