//! The topics and the group of one workload, there for as long as it is measured.

use std::hash::{BuildHasher as _, RandomState};

use orderflow_runtime::kafka::Connection;
use orderflow_schemas::{Topic, TopicNames};
use rdkafka::admin::{AdminClient, AdminOptions};
use rdkafka::client::DefaultClientContext;

use super::Error;
use crate::topics::{self, Declaration, Sizing};

/// Partitions of every topic, where nothing else is said by the targets.
pub(super) const PARTITIONS: i32 = 12;

/// Topics under a prefix of their own; dropped, they are removed.
pub(super) struct Ground {
    pub(super) connection: Connection,
    /// Partitions of every topic.
    pub(super) partitions: i32,
    pub(super) names: TopicNames,
    /// The group of our inventory.
    pub(super) group: String,
    /// Where the raw relay puts its facts.
    pub(super) relayed: String,
    made: Vec<String>,
}

impl Ground {
    /// Makes the topics.
    pub(super) fn make(connection: &Connection, what: &str, partitions: i32) -> Result<Self, Error> {
        let group = format!("orderflow-bench-{:08x}-{what}", fresh());
        let names = TopicNames::with_prefix(&format!("{group}.")).map_err(|error| Error::Child {
            job: "naming topics",
            cause: error.to_string(),
        })?;
        let relayed = format!("{group}.relayed");
        let events = [
            names.name(Topic::Orders),
            names.name(Topic::Stock),
            names.name(Topic::Inventory),
            &relayed,
        ];
        let readings = [
            (&*group, names.name(Topic::Orders)),
            (&*group, names.name(Topic::Stock)),
        ];
        let sizing = Sizing {
            partitions: Some(partitions),
            ..Sizing::default()
        };
        let declared = Declaration::new(events, readings, sizing);
        let made = declared.topics.iter().map(|topic| topic.name.clone()).collect();
        let plan = topics::plan(connection, &declared)?;
        let ground = Self {
            connection: connection.clone(),
            partitions,
            group,
            relayed,
            made,
            names,
        };
        topics::apply(connection, &plan)?;
        Ok(ground)
    }

    pub(super) fn orders(&self) -> &str {
        self.names.name(Topic::Orders)
    }

    pub(super) fn inventory(&self) -> &str {
        self.names.name(Topic::Inventory)
    }

    fn remove(&self) -> Result<(), Error> {
        let admin: AdminClient<DefaultClientContext> = self
            .connection
            .client(&[])
            .create()
            .map_err(Error::kafka("removing topics"))?;
        let names: Vec<&str> = self.made.iter().map(String::as_str).collect();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .build()
            .map_err(Error::io("a runtime"))?;
        let removed = runtime.block_on(admin.delete_topics(&names, &AdminOptions::new()));
        removed.map(drop).map_err(Error::kafka("removing topics"))
    }
}

impl Drop for Ground {
    fn drop(&mut self) {
        if let Err(error) = self.remove() {
            tracing::warn!(prefix = self.group, %error, "topics of the benchmark are left behind");
        }
    }
}

/// A number that no other run bears.
fn fresh() -> u32 {
    let random = RandomState::new().hash_one(std::process::id());
    u32::try_from(random & u64::from(u32::MAX)).unwrap_or_default()
}
