//! Waiting until a group has handled records: `--wait`.

use std::time::{Duration, Instant};

use orderflow_producers::Position;
use orderflow_runtime::kafka::Connection;
use rdkafka::TopicPartitionList;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::KafkaError;

use crate::report::{Failure, Stop};
use crate::signals::Signals;
use crate::slug::Slug;

/// How often the group's offsets are looked at; a service tells them every half second.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// How long the brokers have for one answer.
const ANSWER: Duration = Duration::from_secs(5);

/// Waits until `group` has handled everything up to `positions`, as its committed offsets say; they are never ahead of
/// its database. Joins no group.
///
/// # Errors
/// `deadline-passed` after `timeout`; what was written stays written. A signal ends it early, with its exit code.
pub(crate) fn until_handled(
    connection: &Connection,
    group: &str,
    positions: &[Position],
    timeout: Duration,
    signals: &Signals,
) -> Result<(), Stop> {
    let deadline = Instant::now() + timeout;
    let client = client(connection, group).map_err(|error| unreachable(&error))?;
    while !has_handled(&client, positions).map_err(|error| unreachable(&error))? {
        if Instant::now() > deadline {
            return Err(too_late(group, timeout).into());
        }
        if let Some(exit) = signals.exit() {
            return Err(Stop::Signal(exit));
        }
        std::thread::sleep(LOOK_EVERY);
    }
    Ok(())
}

fn client(connection: &Connection, group: &str) -> Result<BaseConsumer, KafkaError> {
    connection
        .client(&[("group.id", group), ("enable.auto.commit", "false")])
        .create()
}

fn has_handled(client: &BaseConsumer, positions: &[Position]) -> Result<bool, KafkaError> {
    let mut asked = TopicPartitionList::new();
    for position in positions {
        asked.add_partition(&position.topic, position.partition);
    }
    let committed = client.committed_offsets(asked, ANSWER)?;
    Ok(positions.iter().all(|position| {
        let at = committed.find_partition(&position.topic, position.partition);
        at.and_then(|at| at.offset().to_raw())
            .is_some_and(|offset| offset > position.offset)
    }))
}

fn unreachable(error: &KafkaError) -> Failure {
    Failure::new(Slug::KafkaUnavailable, "the positions of the group could not be read").caused_by(error)
}

fn too_late(group: &str, timeout: Duration) -> Failure {
    let message = format!(
        "{group} had not handled it after {} s; what was written stays written",
        timeout.as_secs()
    );
    Failure::new(Slug::DeadlinePassed, message).hint(format!("is it running? orderflow run {group}"))
}
