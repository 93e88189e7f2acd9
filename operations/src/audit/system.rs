//! Which groups read and write which topics.

use orderflow_consumers::{inventory, payment};
use orderflow_runtime::{dead_letter_topic, redrive_topic};
use orderflow_schemas::{Topic, TopicNames};

/// A topic, by its place in [`System::topics`]. Inputs come before what is made of them, which is how they are read.
pub(super) type TopicIndex = u16;

/// A group, by its place in [`System::groups`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(super) enum Group {
    Inventory,
    Payment,
}

impl Group {
    pub(super) const ALL: [Self; 2] = [Self::Inventory, Self::Payment];

    pub(super) const fn name(self) -> &'static str {
        match self {
            Self::Inventory => inventory::GROUP,
            Self::Payment => payment::GROUP,
        }
    }

    pub(super) fn named(name: &[u8]) -> Option<Self> {
        Self::ALL.into_iter().find(|group| group.name().as_bytes() == name)
    }

    /// The group of that number in the work database.
    pub(super) fn numbered(number: i64) -> Option<Self> {
        Self::ALL.into_iter().find(|group| *group as i64 == number)
    }

    const fn reads(self) -> &'static [Topic] {
        match self {
            Self::Inventory => &[Topic::Orders, Topic::Stock],
            Self::Payment => &[Topic::Orders],
        }
    }
}

/// What a topic is to the audit.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Role {
    /// Events that come from outside of the groups.
    Source,
    /// Dead letters given back to a group.
    Redrive,
    /// What groups announce.
    Facts,
    /// What a group refused.
    Letters,
}

impl Role {
    /// Whether groups read it.
    pub(super) const fn is_input(self) -> bool {
        matches!(self, Self::Source | Self::Redrive)
    }
}

/// A topic with its name on this cluster.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct AuditedTopic {
    pub(super) name: String,
    pub(super) role: Role,
    /// Who reads it, or writes it where nobody does.
    pub(super) groups: Vec<Group>,
}

/// All of it.
#[derive(Debug)]
pub(super) struct System {
    pub(super) topics: Vec<AuditedTopic>,
}

impl System {
    pub(super) fn new(names: &TopicNames) -> Self {
        let mut topics = sources(names);
        topics.extend(beside(names, Role::Redrive, redrive_topic));
        topics.push(facts(names, Topic::Inventory, Group::Inventory));
        topics.push(facts(names, Topic::Payments, Group::Payment));
        topics.extend(beside(names, Role::Letters, dead_letter_topic));
        Self { topics }
    }

    /// Every topic with its place.
    pub(super) fn indexed(&self) -> impl Iterator<Item = (TopicIndex, &AuditedTopic)> {
        (0..).zip(&self.topics)
    }

    pub(super) fn index_of(&self, name: &str) -> Option<TopicIndex> {
        self.indexed()
            .find(|(_, topic)| topic.name == name)
            .map(|(index, _)| index)
    }

    pub(super) fn name(&self, topic: TopicIndex) -> &str {
        &self.topics[usize::from(topic)].name
    }

    /// The topics a group reads.
    pub(super) fn read_by(&self, group: Group) -> impl Iterator<Item = (TopicIndex, &AuditedTopic)> {
        let reads = move |topic: &AuditedTopic| topic.role.is_input() && topic.groups.contains(&group);
        self.indexed().filter(move |(_, topic)| reads(topic))
    }
}

fn sources(names: &TopicNames) -> Vec<AuditedTopic> {
    let source = |topic: Topic| AuditedTopic {
        name: names.name(topic).to_owned(),
        role: Role::Source,
        groups: Group::ALL
            .into_iter()
            .filter(|group| group.reads().contains(&topic))
            .collect(),
    };
    [Topic::Orders, Topic::Stock].map(source).into()
}

/// The topics beside each one that a group reads.
fn beside(names: &TopicNames, role: Role, beside: fn(&str, &str) -> String) -> Vec<AuditedTopic> {
    let of = |group: Group| {
        let topic = move |topic: &Topic| AuditedTopic {
            name: beside(names.name(*topic), group.name()),
            role,
            groups: vec![group],
        };
        group.reads().iter().map(topic)
    };
    Group::ALL.into_iter().flat_map(of).collect()
}

fn facts(names: &TopicNames, topic: Topic, group: Group) -> AuditedTopic {
    AuditedTopic {
        name: names.name(topic).to_owned(),
        role: Role::Facts,
        groups: vec![group],
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn inputs_come_first() {
        let system = System::new(&TopicNames::default());
        let names: Vec<_> = system.topics.iter().map(|topic| topic.name.as_str()).collect();
        assert_eq!(
            names,
            [
                "orders",
                "stock",
                "orders.inventory.redrive",
                "stock.inventory.redrive",
                "orders.payment.redrive",
                "inventory",
                "payments",
                "orders.inventory.dlq",
                "stock.inventory.dlq",
                "orders.payment.dlq",
            ]
        );
    }

    #[test]
    fn a_group_reads_its_topics_and_what_is_redriven_to_it() {
        let system = System::new(&TopicNames::default());
        let read: Vec<_> = system
            .read_by(Group::Payment)
            .map(|(_, topic)| topic.name.as_str())
            .collect();
        assert_eq!(read, ["orders", "orders.payment.redrive"]);
    }

    #[test]
    fn a_group_has_its_place_as_its_number() {
        for (at, group) in Group::ALL.into_iter().enumerate() {
            assert_eq!(group as usize, at);
            assert_eq!(Group::named(group.name().as_bytes()), Some(group));
        }
    }
}
