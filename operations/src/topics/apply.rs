//! Makes the topics what a plan says.

use std::time::{Duration, Instant};

use orderflow_runtime::kafka::{self, Connection, Operation, Right};
use rdkafka::admin::{AdminClient, AdminOptions, AlterConfig, NewTopic, ResourceSpecifier, TopicReplication};
use rdkafka::types::RDKafkaErrorCode;
use serde::Serialize;

use super::client::{self, Listener, REQUEST};
use super::cluster::{addresses, configurations};
use super::error::{Error, Heard};
use super::plan::{Action, Change, Plan, Step};
use super::visible::await_visible;

/// How long the brokers may take to know a change that was made.
const CHANGED: Duration = Duration::from_secs(5);

/// What became of one step.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Outcome {
    /// The topic.
    pub topic: String,
    /// What was to be done; `Fine` for a topic that somebody else made meanwhile.
    pub action: Action,
    /// Kafka's error, if it said no; the other steps were done all the same.
    pub error: Option<String>,
}

/// Does what the plan says, then waits until every broker knows the new topics and their leaders answer.
///
/// A topic that somebody else made meanwhile is left as it is; the next plan shows how it differs.
///
/// # Errors
/// [`Error::Refused`] when the plan holds a refusal: then nothing is done. [`Error::Unreachable`] when no broker answers,
/// [`Error::NotVisible`] when the brokers do not agree in time. What a broker refuses is in the outcome of its step.
pub fn apply(connection: &Connection, plan: &Plan) -> Result<Vec<Outcome>, Error> {
    let refusals = plan.refusals();
    if !refusals.is_empty() {
        return Err(Error::Refused(refusals));
    }
    let cluster = Link {
        connection,
        brokers: addresses(&client::metadata(connection, &client::reader(connection, &[])?)?),
        admin: client::admin(connection)?,
    };
    let mut outcomes = cluster.create(&plan.with(Action::Create).collect::<Vec<_>>())?;
    outcomes.extend(cluster.change(&plan.with(Action::Change).collect::<Vec<_>>())?);
    let made: Vec<_> = plan
        .with(Action::Create)
        .filter(|step| outcomes.iter().any(|outcome| outcome.is_made(step)))
        .collect();
    await_visible(connection, &cluster.brokers, &made)?;
    Ok(outcomes)
}

struct Link<'a> {
    connection: &'a Connection,
    brokers: Vec<String>,
    admin: AdminClient<Listener>,
}

impl Link<'_> {
    fn create(&self, steps: &[&Step]) -> Result<Vec<Outcome>, Error> {
        if steps.is_empty() {
            return Ok(Vec::new());
        }
        let topics: Vec<_> = steps.iter().map(|step| new_topic(step)).collect();
        let options = AdminOptions::new()
            .operation_timeout(Some(REQUEST))
            .request_timeout(Some(REQUEST));
        let results = client::wait(self.admin.create_topics(&topics, &options))
            .map_err(|error| client::answer(self.connection, Heard(None), "creating topics", &error))?;
        let outcomes = results.into_iter().map(|result| match result {
            Ok(topic) => Outcome::of(topic, Action::Create, None),
            Err((topic, RDKafkaErrorCode::TopicAlreadyExists)) => Outcome::of(topic, Action::Fine, None),
            Err((topic, code)) => Outcome::of(topic, Action::Create, Some(code)),
        });
        Ok(outcomes.collect())
    }

    fn change(&self, steps: &[&Step]) -> Result<Vec<Outcome>, Error> {
        if steps.is_empty() {
            return Ok(Vec::new());
        }
        let alterations: Vec<_> = steps.iter().map(|step| alteration(step)).collect();
        let options = AdminOptions::new().request_timeout(Some(REQUEST));
        client::wait(self.admin.alter_configs(&alterations, &options))
            .map_err(|error| client::answer(self.connection, Heard(None), "changing topics", &error))?;
        let unchanged = self.unchanged(steps)?;
        let outcomes = steps.iter().map(|step| Outcome {
            topic: step.topic.clone(),
            action: Action::Change,
            error: unchanged.contains(&&*step.topic).then(|| left(&step.topic)),
        });
        Ok(outcomes.collect())
    }

    /// The topics that are still as they were. The client library drops what the brokers say about each, so they are asked
    /// again, for a moment: who has been told of a change does not know it at once.
    fn unchanged<'a>(&self, steps: &[&'a Step]) -> Result<Vec<&'a str>, Error> {
        let names: Vec<_> = steps.iter().map(|step| &*step.topic).collect();
        let until = Instant::now() + CHANGED;
        loop {
            let found = configurations(self.connection, &names)?;
            let is_as_it_was = |step: &&&Step| {
                let values = found.get(&step.topic);
                let has = |change: &Change| {
                    values.is_some_and(|all| all.get(&change.property).is_some_and(|value| value.value == change.to))
                };
                !step.changes.iter().all(has)
            };
            let left: Vec<_> = steps.iter().filter(is_as_it_was).map(|step| &*step.topic).collect();
            if left.is_empty() || Instant::now() > until {
                return Ok(left);
            }
            std::thread::sleep(Duration::from_millis(100));
        }
    }
}

fn left(topic: &str) -> String {
    let right = Right::topic(Operation::AlterConfigs, topic);
    format!("Kafka left it as it was; does this client have {right}?")
}

fn new_topic(step: &Step) -> NewTopic<'_> {
    let topic = NewTopic::new(&step.topic, step.partitions, TopicReplication::Fixed(step.replication));
    step.changes
        .iter()
        .fold(topic, |topic, change| topic.set(&change.property, &change.to))
}

/// Everything that is set on the topic and stays, and what changes: the request replaces all of it.
fn alteration(step: &Step) -> AlterConfig<'_> {
    let kept = step.kept.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    let changed = step
        .changes
        .iter()
        .map(|change| (change.property.as_str(), change.to.as_str()));
    kept.chain(changed).fold(
        AlterConfig::new(ResourceSpecifier::Topic(&step.topic)),
        |all, (name, value)| all.set(name, value),
    )
}

impl Outcome {
    fn is_made(&self, step: &Step) -> bool {
        self.topic == step.topic && self.action == Action::Create && self.error.is_none()
    }

    fn of(topic: String, action: Action, error: Option<RDKafkaErrorCode>) -> Self {
        let right = Right::topic(Operation::Create, &topic);
        let error = error.map(|code| match code {
            code if kafka::is_denied(code) => format!("Kafka denies this client {right}"),
            code => code.to_string(),
        });
        Self { topic, action, error }
    }
}
