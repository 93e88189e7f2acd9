//! What a group reads and writes, and which lane and partition a thing belongs to.

use std::collections::HashMap;
use std::sync::Arc;

use crate::partitioner::partition_of;
use crate::store::TopicCount;

/// Name of the topic that takes what `group` refuses of `topic`.
#[must_use]
pub fn dead_letter_topic(topic: &str, group: &str) -> String {
    format!("{topic}.{group}.dlq")
}

/// Name of the topic through which dead letters of `topic` come back to the one `group` that refused them.
#[must_use]
pub fn redrive_topic(topic: &str, group: &str) -> String {
    format!("{topic}.{group}.redrive")
}

/// The topics a service reads and writes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Topics {
    /// Topics it reads; each has a dead-letter and a redrive topic of the group beside it.
    pub reads: Vec<Arc<str>>,
    /// Topics its facts go to.
    pub writes: Vec<Arc<str>>,
}

/// One topic the group is subscribed to.
#[derive(Debug, Clone)]
pub(crate) struct Source {
    /// Its name on the cluster.
    pub(crate) topic: Arc<str>,
    /// The topic a handler sees: the same, but for a redrive topic.
    pub(crate) reads_as: Arc<str>,
    pub(crate) redrive: bool,
    /// Where its refused records go.
    pub(crate) dead_letters: Arc<str>,
}

/// The subscription of a group with the partition counts of all it touches.
#[derive(Debug)]
pub(crate) struct Topology {
    pub(crate) group: Arc<str>,
    /// What Kafka calls the group.
    pub(crate) group_id: Arc<str>,
    pub(crate) sources: Vec<Source>,
    counts: HashMap<Arc<str>, i32>,
}

impl Topology {
    /// The subscription that follows from what a service reads: its topics, then their redrive topics.
    pub(crate) fn sources(group: &str, topics: &Topics) -> Vec<Source> {
        let source = |topic: &Arc<str>, redrive| Source {
            topic: if redrive {
                redrive_topic(topic, group).into()
            } else {
                Arc::clone(topic)
            },
            reads_as: Arc::clone(topic),
            redrive,
            dead_letters: dead_letter_topic(topic, group).into(),
        };
        let direct = topics.reads.iter().map(|topic| source(topic, false));
        direct
            .chain(topics.reads.iter().map(|topic| source(topic, true)))
            .collect()
    }

    pub(crate) fn new((group, group_id): (&str, &str), sources: Vec<Source>, counts: &[TopicCount]) -> Self {
        let counts = counts
            .iter()
            .map(|count| (Arc::clone(&count.topic), count.partitions))
            .collect();
        Self {
            group: group.into(),
            group_id: group_id.into(),
            sources,
            counts,
        }
    }

    /// Number of lanes: the one partition count of everything the group reads.
    pub(crate) fn lanes(&self) -> i32 {
        self.sources
            .first()
            .and_then(|source| self.counts.get(&source.topic))
            .copied()
            .unwrap_or(0)
    }

    pub(crate) fn source(&self, index: u16) -> &Source {
        &self.sources[usize::from(index)]
    }

    /// Which subscription a topic is; `None` for a topic nobody asked for.
    pub(crate) fn index_of(&self, topic: &str) -> Option<u16> {
        let at = self.sources.iter().position(|source| &*source.topic == topic)?;
        u16::try_from(at).ok()
    }

    /// The partition of a fact, by the recorded count; `None` for a topic the service did not name.
    pub(crate) fn partition(&self, topic: &str, key: &[u8]) -> Option<i32> {
        self.counts.get(topic).map(|count| partition_of(key, *count))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_group_reads_its_topics_and_their_redrive_topics() {
        let topics = Topics {
            reads: vec!["orders".into(), "stock".into()],
            writes: vec![],
        };
        let sources = Topology::sources("inventory", &topics);
        let names: Vec<_> = sources.iter().map(|s| &*s.topic).collect();
        assert_eq!(
            names,
            ["orders", "stock", "orders.inventory.redrive", "stock.inventory.redrive"]
        );
        assert_eq!(&*sources[2].reads_as, "orders");
        assert_eq!(&*sources[2].dead_letters, "orders.inventory.dlq");
    }
}
