//! Whether new topics can be used: known to every broker, led, and served by their leaders.

use std::time::{Duration, Instant};

use orderflow_runtime::kafka::Connection;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::KafkaError;
use rdkafka::metadata::Metadata;
use rdkafka::{Offset, TopicPartitionList};

use super::client::{self, Listener, REQUEST};
use super::error::Error;
use super::plan::Step;

/// How long brokers may take to learn of new topics, and their leaders to serve them.
const VISIBLE: Duration = Duration::from_secs(30);

/// Waits until every broker knows the topics, and every partition answers.
pub(super) fn await_visible(connection: &Connection, brokers: &[String], made: &[&Step]) -> Result<(), Error> {
    if made.is_empty() {
        return Ok(());
    }
    let deadline = Instant::now() + VISIBLE;
    for broker in brokers {
        until(deadline, || unknown_to(connection, broker, made))?;
    }
    // A leader is named before it serves: for a moment it answers that it is none.
    let reader = client::reader(connection, &[])?;
    until(deadline, || Ok(not_served(&reader, made)))
}

/// Asks until nothing is missing.
fn until(deadline: Instant, missing: impl Fn() -> Result<Option<String>, Error>) -> Result<(), Error> {
    while let Some(last) = missing()? {
        if Instant::now() > deadline {
            let seconds = VISIBLE.as_secs();
            return Err(Error::NotVisible { seconds, last });
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    Ok(())
}

/// The first topic that this broker does not know with a leader for each partition.
fn unknown_to(connection: &Connection, broker: &str, made: &[&Step]) -> Result<Option<String>, Error> {
    // A new client asks the one broker it was told of; later it would ask any.
    let alone = Connection {
        brokers: broker.to_owned(),
        ..connection.clone()
    };
    let reader = client::reader(&alone, &[])?;
    Ok(match reader.fetch_metadata(None, REQUEST) {
        Ok(metadata) => {
            let unknown = made.iter().find(|step| !is_led(&metadata, step));
            unknown.map(|step| format!("{broker} does not know `{}`", step.topic))
        }
        Err(error) => Some(format!("{broker}: {error}")),
    })
}

fn is_led(metadata: &Metadata, step: &Step) -> bool {
    let found = metadata.topics().iter().find(|topic| topic.name() == step.topic);
    found.is_some_and(|topic| {
        let led = topic.partitions().iter().all(|partition| partition.leader() >= 0);
        led && topic.error().is_none() && !topic.partitions().is_empty()
    })
}

/// The first partition whose leader does not say where it ends.
fn not_served(reader: &BaseConsumer<Listener>, made: &[&Step]) -> Option<String> {
    let ends = || -> Result<TopicPartitionList, KafkaError> {
        let mut asked = TopicPartitionList::new();
        for step in made {
            asked.add_partition_range(&step.topic, 0, step.partitions - 1);
        }
        asked.set_all_offsets(Offset::End)?;
        reader.offsets_for_times(asked, REQUEST)
    };
    match ends() {
        Ok(ends) => ends.elements().iter().find_map(|end| {
            let error = end.error().err()?;
            Some(format!("`{}` partition {}: {error}", end.topic(), end.partition()))
        }),
        Err(error) => Some(error.to_string()),
    }
}
