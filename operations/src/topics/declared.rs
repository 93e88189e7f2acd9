//! What the topics of the system should be.

use std::collections::BTreeMap;
use std::time::Duration;

use orderflow_runtime::{dead_letter_topic, redrive_topic};
use serde::Serialize;

/// Partitions of every topic where nobody says otherwise and none exists yet: room for twelve members of a group, cheap
/// on one broker.
const PARTITIONS: i32 = 12;
/// Replicas where the cluster has at least that many brokers: one may be lost without losing an acknowledged record.
const REPLICATION: i32 = 3;
/// In-sync replicas an acknowledged record is on, where there are three: one broker may be down without a stop.
const MIN_IN_SYNC: i32 = 2;
const EVENTS_KEPT: Duration = Duration::from_hours(30 * 24);
/// Three times as long as events: a dead letter waits for a person.
const LETTERS_KEPT: Duration = Duration::from_hours(90 * 24);
/// Largest batch of records an event topic takes, bytes.
const RECORD_BYTES: i64 = 1 << 20;
/// What dead-letter and redrive topics take beyond their source: the same record with the headers of its refusal.
const LETTER_HEADROOM: i64 = 64 << 10;
/// What they take at least, bytes. Brokers bound what is compressed: a record may be many times as long as the limit of its
/// topic, and its letter is compressed otherwise or not at all. Below the 100 MB that brokers take in one request and
/// clients in one answer.
const LETTER_BYTES: i64 = 64 << 20;

/// What a topic is for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(tag = "role", rename_all = "snake_case")]
pub enum Role {
    /// Facts; other systems read it too.
    Events,
    /// What a group refused of `source`.
    DeadLetters {
        /// The topic the letters come from.
        source: String,
    },
    /// Dead letters of `source` given back to the group that refused them.
    Redrive {
        /// The topic the letters came from.
        source: String,
    },
}

impl Role {
    /// The topic that decides how large a record may be here, if it is not this one.
    #[must_use]
    pub fn source(&self) -> Option<&str> {
        match self {
            Self::Events => None,
            Self::DeadLetters { source } | Self::Redrive { source } => Some(source),
        }
    }
}

/// One topic that should exist.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DeclaredTopic {
    /// Its name on the cluster.
    pub name: String,
    /// What it is for.
    pub role: Role,
}

/// What a user may say about all topics. What is `None` follows the topics that exist, and else the defaults.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Sizing {
    /// Partitions of every topic, at least 1; else those of the topics that exist, else 12.
    pub partitions: Option<i32>,
    /// Replicas of every partition, at least 1; else 3 where there are three brokers, else 1.
    pub replication: Option<i32>,
    /// How long event topics keep records; else at least 30 days.
    pub events_kept: Option<Duration>,
    /// How long dead-letter and redrive topics keep records; else at least 90 days.
    pub letters_kept: Option<Duration>,
    /// Largest batch of records an event topic takes, bytes, not less than what producers send at once; else at least 1 MiB.
    pub record_bytes: Option<i64>,
}

/// The topics that should exist, events first, and how large.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Declaration {
    /// In the order they are planned, shown and made: a source before its dead letters.
    pub topics: Vec<DeclaredTopic>,
    /// What was said about all of them.
    pub sizing: Sizing,
}

impl Declaration {
    /// Declares the event topics and, for each group that reads one, the topics of its dead letters.
    ///
    /// `readings` pairs a group with a topic it reads.
    #[must_use]
    pub fn new<'a>(
        events: impl IntoIterator<Item = &'a str>,
        readings: impl IntoIterator<Item = (&'a str, &'a str)>,
        sizing: Sizing,
    ) -> Self {
        let events = events.into_iter().map(|name| DeclaredTopic {
            name: name.to_owned(),
            role: Role::Events,
        });
        let letters = readings.into_iter().flat_map(|(group, topic)| letters(group, topic));
        Self {
            topics: events.chain(letters).collect(),
            sizing,
        }
    }

    /// The partition count where no topic exists that decides it.
    pub(super) fn partitions(&self) -> i32 {
        self.sizing.partitions.unwrap_or(PARTITIONS)
    }

    /// The replication factor on a cluster of that many brokers.
    pub(super) fn replication(&self, brokers: usize) -> i32 {
        let enough = i32::try_from(brokers).is_ok_and(|brokers| brokers >= REPLICATION);
        self.sizing.replication.unwrap_or(if enough { REPLICATION } else { 1 })
    }

    /// The configuration a topic should have. `source_bytes` is the limit of the topic its letters come from.
    pub(super) fn demands(&self, role: &Role, replication: i32, source_bytes: i64) -> Vec<Demand> {
        let events = *role == Role::Events;
        let (kept, default) = if events {
            (self.sizing.events_kept, EVENTS_KEPT)
        } else {
            (self.sizing.letters_kept, LETTERS_KEPT)
        };
        let record_bytes = if events {
            self.record_bytes()
        } else {
            LETTER_BYTES.max(source_bytes + LETTER_HEADROOM)
        };
        let in_sync = if replication >= REPLICATION { MIN_IN_SYNC } else { 1 };
        vec![
            Demand::only_delete(),
            Demand::at_least("retention.ms", millis(kept.unwrap_or(default)), kept.is_some()),
            Demand::at_least("retention.bytes", UNLIMITED, false),
            Demand::at_least(
                "max.message.bytes",
                record_bytes,
                events && self.sizing.record_bytes.is_some(),
            ),
            Demand::exactly("message.timestamp.type", "CreateTime"),
            Demand::any_of("compression.type", READABLE),
            Demand::at_least("min.insync.replicas", i64::from(in_sync), false),
            Demand::exactly("unclean.leader.election.enable", "false"),
        ]
    }

    /// The declared limit of an event topic's batches, bytes.
    pub(super) fn record_bytes(&self) -> i64 {
        self.sizing.record_bytes.unwrap_or(RECORD_BYTES)
    }
}

/// What the brokers may make of batches so that the services read them, the preferred one first: not zstd.
const READABLE: &[&str] = &["producer", "lz4", "snappy", "gzip", "uncompressed"];

/// Kafka's value for "no limit" of a retention.
const UNLIMITED: i64 = -1;

/// One property a topic should have, and what is done about another value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Demand {
    pub(super) name: &'static str,
    pub(super) value: String,
    pub(super) rule: Rule,
}

/// What is done about another value.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rule {
    /// It is changed: nothing is lost by it.
    Exactly,
    /// It stays if it is one of these, else it is changed.
    AnyOf(&'static [&'static str]),
    /// It is refused: the topic is kept for something else.
    Only,
    /// A smaller one is raised. A larger one stays; when the value was asked for, it is refused instead of lowered.
    AtLeast { asked_for: bool },
}

impl Demand {
    fn exactly(name: &'static str, value: &str) -> Self {
        Self {
            name,
            value: value.to_owned(),
            rule: Rule::Exactly,
        }
    }

    fn any_of(name: &'static str, values: &'static [&'static str]) -> Self {
        Self {
            name,
            value: values[0].to_owned(),
            rule: Rule::AnyOf(values),
        }
    }

    fn only_delete() -> Self {
        Self {
            name: "cleanup.policy",
            value: "delete".to_owned(),
            rule: Rule::Only,
        }
    }

    fn at_least(name: &'static str, value: i64, asked_for: bool) -> Self {
        Self {
            name,
            value: value.to_string(),
            rule: Rule::AtLeast { asked_for },
        }
    }

    /// How large a value of this property is; "no limit" of a retention is larger than any.
    pub(super) fn magnitude(value: &str) -> Option<i64> {
        value
            .parse()
            .ok()
            .map(|number| if number == UNLIMITED { i64::MAX } else { number })
    }
}

/// The properties as a new topic gets them.
pub(super) fn as_config(demands: &[Demand]) -> BTreeMap<String, String> {
    demands
        .iter()
        .map(|demand| (demand.name.to_owned(), demand.value.clone()))
        .collect()
}

fn letters(group: &str, topic: &str) -> [DeclaredTopic; 2] {
    let source = topic.to_owned();
    [
        DeclaredTopic {
            name: dead_letter_topic(topic, group),
            role: Role::DeadLetters { source: source.clone() },
        },
        DeclaredTopic {
            name: redrive_topic(topic, group),
            role: Role::Redrive { source },
        },
    ]
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}
