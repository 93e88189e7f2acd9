//! What the declared topics are on the cluster.

use std::collections::BTreeMap;

use orderflow_runtime::kafka::{self, Connection, Operation, Right};
use rdkafka::admin::{AdminOptions, ConfigResource, ConfigSource, OwnedResourceSpecifier, ResourceSpecifier};
use rdkafka::metadata::{Metadata, MetadataTopic};

use super::client::{self, REQUEST};
use super::declared::Declaration;
use super::error::{Error, Heard};

/// The brokers, and those of the declared topics that exist.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Cluster {
    /// `host:port` of each broker that is up.
    pub brokers: Vec<String>,
    /// By name.
    pub topics: BTreeMap<String, ExistingTopic>,
}

/// A topic as it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExistingTopic {
    /// How many it has.
    pub partitions: i32,
    /// The fewest replicas any of its partitions has.
    pub replication: i32,
    /// Every property the brokers tell, by name.
    pub config: BTreeMap<String, ConfigValue>,
}

/// A property of a topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigValue {
    /// As the brokers print it.
    pub value: String,
    /// Whether it was set on this topic, and is not the cluster's default.
    pub own: bool,
}

impl Cluster {
    /// Asks the brokers.
    ///
    /// # Errors
    /// [`Error::Unreachable`], [`Error::Configuration`], or [`Error::Broker`] when a topic may not be looked at.
    pub fn read(connection: &Connection, declaration: &Declaration) -> Result<Self, Error> {
        let reader = client::reader(connection, &[])?;
        let metadata = client::metadata(connection, &reader)?;
        let declared = |topic: &&MetadataTopic| declaration.topics.iter().any(|wanted| wanted.name == topic.name());
        let found: Vec<_> = metadata.topics().iter().filter(declared).collect();
        let unlisted = |name: &str| metadata.topics().iter().all(|topic| topic.name() != name);
        let wanted = declaration.topics.iter().map(|wanted| &wanted.name);
        if let Some(hidden) = wanted
            .into_iter()
            .find(|name| unlisted(name) && kafka::hides(&reader, name))
        {
            return Err(client::forbidden(connection, Right::topic(Operation::Describe, hidden)));
        }
        let names: Vec<_> = found.iter().map(|topic| topic.name()).collect();
        let mut configs = configurations(connection, &names)?;
        let topics = found.iter().map(|topic| {
            let config = configs.remove(topic.name()).unwrap_or_default();
            (topic.name().to_owned(), existing(topic, config))
        });
        Ok(Self {
            brokers: addresses(&metadata),
            topics: topics.collect(),
        })
    }
}

pub(super) fn addresses(metadata: &Metadata) -> Vec<String> {
    metadata
        .brokers()
        .iter()
        .map(|broker| format!("{}:{}", broker.host(), broker.port()))
        .collect()
}

fn existing(topic: &MetadataTopic, config: BTreeMap<String, ConfigValue>) -> ExistingTopic {
    let replicas = topic
        .partitions()
        .iter()
        .map(|partition| partition.replicas().len())
        .min()
        .unwrap_or(0);
    ExistingTopic {
        partitions: count(topic.partitions().len()),
        replication: count(replicas),
        config,
    }
}

fn count(number: usize) -> i32 {
    i32::try_from(number).unwrap_or(i32::MAX)
}

pub(super) fn configurations(
    connection: &Connection,
    names: &[&str],
) -> Result<BTreeMap<String, BTreeMap<String, ConfigValue>>, Error> {
    if names.is_empty() {
        return Ok(BTreeMap::new());
    }
    let wanted: Vec<_> = names.iter().map(|name| ResourceSpecifier::Topic(name)).collect();
    let options = AdminOptions::new().request_timeout(Some(REQUEST));
    let what = "asking for the configuration of the topics";
    let answers = client::wait(client::admin(connection)?.describe_configs(&wanted, &options))
        .map_err(|error| client::answer(connection, Heard(None), what, &error))?;
    let refused = |code: rdkafka::types::RDKafkaErrorCode| Error::Broker {
        what: what.into(),
        code: code.to_string(),
    };
    let mut configurations = BTreeMap::new();
    for answer in answers {
        let (name, values) = configuration(answer.map_err(refused)?);
        // The client library hands on a refusal as a topic without a single setting.
        if values.is_empty() {
            let right = Right::topic(Operation::DescribeConfigs, name);
            return Err(client::forbidden(connection, right));
        }
        configurations.insert(name, values);
    }
    Ok(configurations)
}

fn configuration(resource: ConfigResource) -> (String, BTreeMap<String, ConfigValue>) {
    let name = match resource.specifier {
        OwnedResourceSpecifier::Topic(name) | OwnedResourceSpecifier::Group(name) => name,
        OwnedResourceSpecifier::Broker(id) => id.to_string(),
    };
    let values = resource.entries.into_iter().filter_map(|entry| {
        let own = entry.source == ConfigSource::DynamicTopic;
        entry.value.map(|value| (entry.name, ConfigValue { value, own }))
    });
    (name, values.collect())
}
