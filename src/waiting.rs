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

/// Waits until `service` has handled everything up to `positions`, as the committed offsets of its `group` say; they are
/// never ahead of its database. Joins no group.
///
/// # Errors
/// `deadline-passed` after `timeout`; what was written stays written. A signal ends it early, with its exit code.
pub(crate) fn until_handled(
    connection: &Connection,
    (service, group): (&str, &str),
    positions: &[Position],
    timeout: Duration,
    signals: &Signals,
) -> Result<(), Stop> {
    let deadline = Instant::now() + timeout;
    let failed = |error: KafkaError| unreadable(&connection.brokers, group, &error);
    let client = client(connection, group).map_err(failed)?;
    while !has_handled(&client, positions).map_err(failed)? {
        if Instant::now() > deadline {
            return Err(too_late(service, timeout).into());
        }
        if let Some(exit) = signals.exit() {
            return Err(Stop::Signal(exit));
        }
        std::thread::sleep(LOOK_EVERY);
    }
    Ok(())
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

fn unreadable(brokers: &str, group: &str, error: &KafkaError) -> Failure {
    if kafka::is_denial(error) {
        return failures::forbidden(brokers, &Right::group(Operation::Describe, group));
    }
    Failure::new(Slug::KafkaUnavailable, "the positions of the group could not be read").caused_by(error)
}

fn too_late(service: &str, timeout: Duration) -> Failure {
    let message = format!(
        "{service} had not handled it after {} s; what was written stays written",
        timeout.as_secs()
    );
    Failure::new(Slug::DeadlinePassed, message).hint(format!("is it running? orderflow run {service}"))
}
