//! The difference between what the topics should be and what they are.

use std::collections::BTreeMap;

use serde::Serialize;

use super::cluster::{Cluster, ConfigValue, ExistingTopic};
use super::declared::{Declaration, DeclaredTopic, Demand, Role, Rule, as_config};
use super::error::Refusal;

/// What is to be done, a step for each declared topic.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Plan {
    /// In the declaration's order.
    pub steps: Vec<Step>,
}

/// What is to be done about one topic.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Step {
    /// Its name.
    pub topic: String,
    /// What it is for.
    #[serde(flatten)]
    pub role: Role,
    /// What is to be done.
    pub action: Action,
    /// How many partitions it has, or gets.
    pub partitions: i32,
    /// How many replicas each partition has, or gets.
    pub replication: i32,
    /// The properties that it gets, by name.
    pub changes: Vec<Change>,
    /// Why it is refused.
    pub refusals: Vec<Refusal>,
    /// What differs and is left as it is, or cannot be changed from here.
    pub notes: Vec<String>,
    /// The properties set on the topic that stay: Kafka replaces them all when one changes.
    #[serde(skip)]
    pub(super) kept: BTreeMap<String, String>,
}

/// What is done about a topic.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Action {
    /// It does not exist and is made.
    Create,
    /// It exists, and properties change.
    Change,
    /// It is as it should be.
    Fine,
    /// It must not become what is declared; the whole plan is refused.
    Refused,
}

/// One property, before and after.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Change {
    /// Kafka's name of it.
    pub property: String,
    /// What it is; `None` for a topic that does not exist.
    pub from: Option<String>,
    /// What it becomes.
    pub to: String,
}

impl Plan {
    /// Compares. Touches nothing.
    #[must_use]
    pub fn new(declaration: &Declaration, cluster: &Cluster) -> Self {
        let difference = Difference {
            declaration,
            cluster,
            lead: lead(declaration, cluster),
        };
        Self {
            steps: declaration.topics.iter().map(|topic| difference.step(topic)).collect(),
        }
    }

    /// Whether everything is as it should be.
    #[must_use]
    pub fn is_fine(&self) -> bool {
        self.steps.iter().all(|step| step.action == Action::Fine)
    }

    /// The refusals, each with the topic it is about.
    #[must_use]
    pub fn refusals(&self) -> Vec<(String, Refusal)> {
        let of = |step: &Step| {
            step.refusals
                .iter()
                .map(|refusal| (step.topic.clone(), refusal.clone()))
                .collect()
        };
        self.steps.iter().flat_map(|step| -> Vec<_> { of(step) }).collect()
    }

    /// The steps with this action.
    pub fn with(&self, action: Action) -> impl Iterator<Item = &Step> {
        self.steps.iter().filter(move |step| step.action == action)
    }
}

/// The first declared topic that exists: its partition count decides where none was asked for.
fn lead<'a>(declaration: &Declaration, cluster: &'a Cluster) -> Option<(&'a str, i32)> {
    let mut existing = declaration
        .topics
        .iter()
        .filter_map(|topic| cluster.topics.get_key_value(&topic.name));
    existing.next().map(|(name, topic)| (name.as_str(), topic.partitions))
}

struct Difference<'a> {
    declaration: &'a Declaration,
    cluster: &'a Cluster,
    lead: Option<(&'a str, i32)>,
}

impl Difference<'_> {
    fn step(&self, topic: &DeclaredTopic) -> Step {
        match self.cluster.topics.get(&topic.name) {
            None => self.creation(topic),
            Some(existing) => self.comparison(topic, existing),
        }
    }

    fn creation(&self, topic: &DeclaredTopic) -> Step {
        let replication = self.declaration.replication(self.cluster.brokers.len());
        let mut step = Step::of(topic, self.partitions(), replication);
        step.action = Action::Create;
        let config = as_config(&self.demands(topic, replication));
        step.changes = config
            .into_iter()
            .map(|(property, to)| Change {
                property,
                from: None,
                to,
            })
            .collect();
        if let Some(refusal) = self.too_few_brokers(replication) {
            step.refuse(refusal);
        }
        step
    }

    fn comparison(&self, topic: &DeclaredTopic, existing: &ExistingTopic) -> Step {
        let mut step = Step::of(topic, existing.partitions, existing.replication);
        let own = existing.config.iter().filter(|(_, config)| config.own);
        step.kept = own.map(|(name, config)| (name.clone(), config.value.clone())).collect();
        self.compare_partitions(&mut step);
        self.compare_replication(&mut step);
        for demand in self.demands(topic, existing.replication) {
            compare(&mut step, &demand, existing.config.get(demand.name));
        }
        step
    }

    fn partitions(&self) -> i32 {
        match (self.declaration.sizing.partitions, self.lead) {
            (None, Some((_, count))) => count,
            _ => self.declaration.partitions(),
        }
    }

    /// A topic with another number than the rest: its lanes would not line up, and it cannot grow without splitting keys.
    fn compare_partitions(&self, step: &mut Step) {
        let (has, wanted) = (step.partitions, self.partitions());
        if has == wanted {
            return;
        }
        step.refuse(match self.lead {
            Some((lead, _)) if self.declaration.sizing.partitions.is_none() => Refusal {
                reason: format!(
                    "has {} and `{lead}` has {wanted}: a key's records must lie in partitions of one number everywhere",
                    partitions(has)
                ),
                hint: format!(
                    "if it holds nothing worth keeping: kafka-topics.sh --delete --topic {}; else give one of the two another \
                     name in the configuration. Where all of them are to grow: orderflow explain topic-grown",
                    step.topic
                ),
            },
            _ => Refusal {
                reason: format!(
                    "has {}, {wanted} are asked for: with another number a key's later records go elsewhere than its \
                     earlier ones",
                    partitions(has)
                ),
                hint: "leave the number out: the topics that exist then decide it for the rest. How they grow: orderflow \
                       explain topic-grown"
                    .to_owned(),
            },
        });
    }

    fn compare_replication(&self, step: &mut Step) {
        let wanted = self.declaration.replication(self.cluster.brokers.len());
        if step.replication < wanted {
            step.notes.push(format!(
                "has {} of {wanted} replicas: a broker lost may lose records; kafka-reassign-partitions.sh adds replicas",
                step.replication
            ));
        }
    }

    fn too_few_brokers(&self, replication: i32) -> Option<Refusal> {
        let brokers = self.cluster.brokers.len();
        (i32::try_from(brokers).is_ok_and(|brokers| brokers < replication)).then(|| Refusal {
            reason: format!("should have {replication} replicas, and the cluster has {brokers} brokers up"),
            hint: format!("ask for at most {brokers} replicas, or start the missing brokers"),
        })
    }

    fn demands(&self, topic: &DeclaredTopic, replication: i32) -> Vec<Demand> {
        let source_bytes = topic.role.source().map_or(0, |source| self.record_bytes_of(source));
        self.declaration.demands(&topic.role, replication, source_bytes)
    }

    /// The limit a source topic has, or gets when it is made or raised.
    fn record_bytes_of(&self, source: &str) -> i64 {
        let existing = self
            .cluster
            .topics
            .get(source)
            .and_then(|topic| topic.config.get("max.message.bytes"));
        let has = existing.and_then(|config| config.value.parse().ok()).unwrap_or(0);
        self.declaration.record_bytes().max(has)
    }
}

impl Step {
    fn of(topic: &DeclaredTopic, partitions: i32, replication: i32) -> Self {
        Self {
            topic: topic.name.clone(),
            role: topic.role.clone(),
            action: Action::Fine,
            partitions,
            replication,
            changes: Vec::new(),
            refusals: Vec::new(),
            notes: Vec::new(),
            kept: BTreeMap::new(),
        }
    }

    fn refuse(&mut self, refusal: Refusal) {
        self.action = Action::Refused;
        self.refusals.push(refusal);
    }

    fn change(&mut self, demand: &Demand, from: Option<String>) {
        if self.action == Action::Fine {
            self.action = Action::Change;
        }
        self.changes.push(Change {
            property: demand.name.to_owned(),
            from,
            to: demand.value.clone(),
        });
    }
}

fn compare(step: &mut Step, demand: &Demand, existing: Option<&ConfigValue>) {
    let Some(ConfigValue { value: has, .. }) = existing else {
        return step.change(demand, None);
    };
    if *has == demand.value {
        return;
    }
    match demand.rule {
        Rule::AnyOf(values) if values.contains(&has.as_str()) => {}
        Rule::Exactly | Rule::AnyOf(_) => step.change(demand, Some(has.clone())),
        Rule::Only => step.refuse(other_use(step, has)),
        Rule::AtLeast { .. } if Demand::magnitude(has) < Demand::magnitude(&demand.value) => {
            step.change(demand, Some(has.clone()));
        }
        Rule::AtLeast { asked_for: true } => step.refuse(shrinks(step, demand, has)),
        Rule::AtLeast { asked_for: false } => {
            step.notes.push(format!(
                "{} is {has}, more than the declared {}: left as it is",
                demand.name, demand.value
            ));
        }
    }
}

fn other_use(step: &Step, has: &str) -> Refusal {
    Refusal {
        reason: format!("has cleanup.policy={has}: compaction deletes all but the last record of a key"),
        hint: format!(
            "kafka-configs.sh --alter --entity-type topics --entity-name {} --add-config cleanup.policy=delete, if nothing \
             in it was compacted yet; else another name in the configuration",
            step.topic
        ),
    }
}

fn shrinks(step: &Step, demand: &Demand, has: &str) -> Refusal {
    let loss = match demand.name {
        "retention.ms" => "records that are kept now would be deleted",
        _ => "a record already accepted by a service could no longer be published",
    };
    Refusal {
        reason: format!("has {}={has}, {} is asked for: {loss}", demand.name, demand.value),
        hint: format!(
            "leave the setting out to keep {has}; if the loss is meant: kafka-configs.sh --alter --entity-type topics \
             --entity-name {} --add-config {}={}",
            step.topic, demand.name, demand.value
        ),
    }
}

fn partitions(count: i32) -> String {
    if count == 1 {
        "1 partition".to_owned()
    } else {
        format!("{count} partitions")
    }
}

#[cfg(test)]
mod tests;
