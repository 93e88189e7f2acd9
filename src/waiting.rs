//! Waiting until a group has handled records: `--wait`.

use std::time::{Duration, Instant};

use orderflow_producers::Position;
use orderflow_runtime::kafka::{self, Asking, Connection, Operation, Right};
use rdkafka::TopicPartitionList;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::KafkaError;

use crate::commands::failures;
use crate::report::{Failure, Stop};
use crate::signals::Signals;
use crate::slug::Slug;

/// How often the group's offsets are looked at; a service tells them every half second.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// How long the brokers have for one answer.
const ANSWER: Duration = Duration::from_secs(5);

/// How long a command waits, and until when.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Deadline {
    timeout: Duration,
    at: Instant,
}

impl Deadline {
    /// From now on.
    pub(crate) fn after(timeout: Duration) -> Self {
        Self {
            timeout,
            at: Instant::now() + timeout,
        }
    }

    /// Whether it is over.
    pub(crate) fn has_passed(&self) -> bool {
        Instant::now() > self.at
    }

    /// What is told then: `what` had not happened.
    pub(crate) fn failure(&self, what: &str) -> Failure {
        let message = format!(
            "{what} after {} s; what was written stays written",
            self.timeout.as_secs()
        );
        Failure::new(Slug::DeadlinePassed, message)
    }
}

/// Waits until `service` has handled everything up to `positions`, as the committed offsets of its `group` say; they are
/// never ahead of its database. Joins no group. Brokers that do not answer meanwhile are asked again.
///
/// # Errors
/// `deadline-passed` after the deadline; what was written stays written. A right that is missing, and a signal, end it at
/// once.
pub(crate) fn until_handled(
    connection: &Connection,
    (service, group): (&str, &str),
    positions: &[Position],
    deadline: Deadline,
    signals: &Signals,
) -> Result<(), Stop> {
    let client = client(connection, group)
        .map_err(|error| Failure::new(Slug::Internal, "no client to read the group's positions").caused_by(&error))?;
    loop {
        let looked = has_handled(&client, positions);
        match &looked {
            Ok(true) => return Ok(()),
            Err(error) if kafka::is_denial(error) => {
                let right = Right::group(Operation::Describe, group);
                return Err(failures::forbidden(&connection.brokers, &right).into());
            }
            _ => {}
        }
        if let Some(exit) = signals.exit() {
            return Err(Stop::Signal(exit));
        }
        if deadline.has_passed() {
            return Err(too_late(service, deadline, looked.err()).into());
        }
        std::thread::sleep(LOOK_EVERY);
    }
}

fn client(connection: &Connection, group: &str) -> Result<BaseConsumer<Asking>, KafkaError> {
    connection
        .client(&[("group.id", group), ("enable.auto.commit", "false")])
        .create_with_context(Asking::of(connection))
}

fn has_handled(client: &BaseConsumer<Asking>, positions: &[Position]) -> Result<bool, KafkaError> {
    let mut asked = TopicPartitionList::new();
    for position in positions {
        asked.add_partition(&position.topic, position.partition);
    }
    listen(client)?;
    let answer = client.committed_offsets(asked, ANSWER);
    if answer.is_err() {
        listen(client)?;
    }
    let committed = answer?;
    Ok(positions.iter().all(|position| {
        let at = committed.find_partition(&position.topic, position.partition);
        at.and_then(|at| at.offset().to_raw())
            .is_some_and(|offset| offset > position.offset)
    }))
}

/// Lets the client say what it has to say: a question to a group that denies it is tried again until its time is up, and
/// only here is said why. A token that is needed is fetched in here too.
fn listen(client: &BaseConsumer<Asking>) -> Result<(), KafkaError> {
    while let Some(said) = client.poll(Duration::ZERO) {
        if let Err(error) = said
            && kafka::is_denial(&error)
        {
            return Err(error);
        }
    }
    Ok(())
}

/// Whoever got no answer at last does not know whether the service runs.
fn too_late(service: &str, deadline: Deadline, unanswered: Option<KafkaError>) -> Failure {
    let failure = deadline.failure(&format!("{service} had not handled it"));
    match unanswered {
        Some(error) => failure.because(format!("the positions of its group could not be read: {error}")),
        None => failure.hint(format!("is it running? orderflow run {service}")),
    }
}
