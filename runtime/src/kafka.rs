//! How a client of the cluster is configured: one place for the connection that consumers, producers and tools share.

use std::collections::BTreeMap;
use std::fmt;

use rdkafka::config::{ClientConfig, RDKafkaLogLevel};
use rdkafka::error::KafkaError;

/// The cluster and how to speak to it.
///
/// `properties` are librdkafka's own, as a user wrote them under `[kafka]`; they win over every default set here and by
/// the caller; the few that a guarantee rests on are refused, see [`Connection::forbidden_property`].
#[derive(Clone, Default)]
pub struct Connection {
    /// Comma-separated `host:port` list.
    pub brokers: String,
    /// librdkafka properties passed through.
    pub properties: BTreeMap<String, String>,
}

/// Properties whose value a guarantee rests on: passing them through would break it silently.
const OURS: &[&str] = &[
    "acks",
    "auto.offset.reset",
    "bootstrap.servers",
    "enable.auto.commit",
    "enable.auto.offset.store",
    "enable.gapless.guarantee",
    "enable.idempotence",
    "enable.partition.eof",
    "group.id",
    "group.protocol",
    "group.instance.id",
    "group.remote.assignor",
    "isolation.level",
    "message.timeout.ms",
    "metadata.broker.list",
    "partition.assignment.strategy",
    "partitioner",
    "request.required.acks",
    "session.timeout.ms",
    "delivery.timeout.ms",
    "transactional.id",
];

impl Connection {
    /// A connection to `brokers` with nothing else set.
    #[must_use]
    pub fn to(brokers: impl Into<String>) -> Self {
        Self {
            brokers: brokers.into(),
            properties: BTreeMap::new(),
        }
    }

    /// A client configuration: `defaults` first, the user's properties over them.
    #[must_use]
    pub fn client(&self, defaults: &[(&str, &str)]) -> ClientConfig {
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", &self.brokers);
        config.set("client.id", concat!("orderflow/", env!("CARGO_PKG_VERSION")));
        for (name, value) in defaults {
            config.set(*name, *value);
        }
        for (name, value) in &self.properties {
            config.set(name, value);
        }
        config
    }

    /// The first of the user's properties that is not theirs to set, if there is one.
    #[must_use]
    pub fn forbidden_property(&self) -> Option<&str> {
        self.properties
            .keys()
            .map(String::as_str)
            .find(|name| OURS.contains(name))
    }
}

impl fmt::Debug for Connection {
    /// Names the properties and hides their values: passwords are among them.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.properties.keys().collect();
        f.debug_struct("Connection")
            .field("brokers", &self.brokers)
            .field("properties", &names)
            .finish()
    }
}

/// What is wrong with a configuration, without the value, which may be a password.
pub(crate) fn plain(error: &KafkaError) -> String {
    match error {
        KafkaError::ClientConfig(_, why, name, _) => format!("{name}: {why}"),
        other => other.to_string(),
    }
}

/// librdkafka's own log lines, at the level they deserve here: most of its errors are retried by itself.
pub(crate) fn log(level: RDKafkaLogLevel, facility: &str, line: &str) {
    match level {
        RDKafkaLogLevel::Emerg | RDKafkaLogLevel::Alert | RDKafkaLogLevel::Critical => {
            tracing::error!(target: "librdkafka", facility, "{line}");
        }
        RDKafkaLogLevel::Error | RDKafkaLogLevel::Warning => tracing::debug!(target: "librdkafka", facility, "{line}"),
        _ => tracing::trace!(target: "librdkafka", facility, "{line}"),
    }
}
