//! Rights of Kafka's access control: which one is missing, and how it is given.

use std::fmt;
use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer as _, ConsumerContext};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::metadata::MetadataTopic;

/// How long the cluster has to say whether it hides a topic.
const ANSWER: Duration = Duration::from_secs(5);

/// What a client does, in the words of Kafka's access control lists.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Operation {
    /// Fetch from a topic, or join a group and commit its offsets.
    Read,
    /// Produce to a topic.
    Write,
    /// Make a topic.
    Create,
    /// Change a topic's settings.
    AlterConfigs,
    /// See that a topic is there and where it ends, or what a group has committed.
    Describe,
    /// Read a topic's settings.
    DescribeConfigs,
}

/// To what it does it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Resource {
    /// A topic by its name.
    Topic(String),
    /// A consumer group by its name.
    Group(String),
}

/// A right to do something to something. Read and Write on a topic include Describe.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Right {
    /// What is done.
    pub operation: Operation,
    /// To what.
    pub resource: Resource,
}

impl Right {
    /// To a topic.
    #[must_use]
    pub fn topic(operation: Operation, topic: impl Into<String>) -> Self {
        let resource = Resource::Topic(topic.into());
        Self { operation, resource }
    }

    /// To a group.
    #[must_use]
    pub fn group(operation: Operation, group: impl Into<String>) -> Self {
        let resource = Resource::Group(group.into());
        Self { operation, resource }
    }

    /// The command of Kafka's own tool that gives it.
    #[must_use]
    pub fn granted_by(&self) -> String {
        let Self { operation, resource } = self;
        let resource = match resource {
            Resource::Topic(topic) => format!("--topic {topic}"),
            Resource::Group(group) => format!("--group {group}"),
        };
        format!("kafka-acls.sh --add --allow-principal User:NAME --operation {operation:?} {resource}")
    }
}

impl fmt::Display for Right {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { operation, resource } = self;
        match resource {
            Resource::Topic(topic) => write!(f, "{operation:?} on topic {topic}"),
            Resource::Group(group) => write!(f, "{operation:?} on group {group}"),
        }
    }
}

/// Whether an error says that a right is missing.
#[must_use]
pub fn is_denial(error: &KafkaError) -> bool {
    let code = match error {
        KafkaError::AdminOp(code) => Some(*code),
        other => other.rdkafka_error_code(),
    };
    code.is_some_and(is_denied)
}

/// Whether an error says that a right to a topic is missing. Clients that read without a group are refused their group's
/// name too, of which they need nothing.
#[must_use]
pub fn is_topic_denial(error: &KafkaError) -> bool {
    error.rdkafka_error_code() == Some(RDKafkaErrorCode::TopicAuthorizationFailed)
}

/// Whether a code says that a right is missing.
#[must_use]
pub fn is_denied(code: RDKafkaErrorCode) -> bool {
    use RDKafkaErrorCode as Code;
    matches!(
        code,
        Code::TopicAuthorizationFailed | Code::GroupAuthorizationFailed | Code::ClusterAuthorizationFailed
    )
}

/// Whether the cluster hides a topic from this client: in a list of all topics one that may not be seen is left out, and
/// only who asks for it by name is told so. A consumer's question makes no topic, whatever the cluster does by default.
#[must_use]
pub fn hides<C: ConsumerContext>(client: &BaseConsumer<C>, topic: &str) -> bool {
    let Ok(metadata) = client.fetch_metadata(Some(topic), ANSWER) else {
        return false;
    };
    let error = metadata.topics().first().and_then(MetadataTopic::error);
    error.is_some_and(|error| is_denied(error.into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_right_is_named_and_given_in_kafkas_words() {
        let right = Right::topic(Operation::DescribeConfigs, "orders");
        assert_eq!(right.to_string(), "DescribeConfigs on topic orders");
        assert_eq!(
            right.granted_by(),
            "kafka-acls.sh --add --allow-principal User:NAME --operation DescribeConfigs --topic orders"
        );
        assert_eq!(
            Right::group(Operation::Read, "payment").to_string(),
            "Read on group payment"
        );
    }
}
