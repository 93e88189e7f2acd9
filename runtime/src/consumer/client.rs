//! The client of a group, with everything a guarantee rests on set in one place.

use rdkafka::consumer::BaseConsumer;

use super::context::Context;
use crate::error::ServiceError;
use crate::kafka::{self, Connection};
use crate::settings::{Cluster, FETCH_BYTES, Settings};
use crate::store::Identity;

/// Keys and values that librdkafka may hold fetched, KiB. It counts no headers, and those are several times the value of
/// an order, so this is some 16 MiB.
const QUEUED_KIBIBYTES: &str = "2048";

/// The client of a group. Connects lazily; an unreachable broker shows in the loop.
///
/// # Errors
/// A property that librdkafka does not know or does not take.
pub(crate) fn client(
    connection: &Connection,
    settings: &Settings,
    (group, identity): (&str, &Identity),
) -> Result<BaseConsumer<Context>, ServiceError> {
    let mut config = connection.client(&[
        ("queued.max.messages.kbytes", QUEUED_KIBIBYTES),
        ("fetch.queue.backoff.ms", "2"),
        ("fetch.message.max.bytes", &FETCH_BYTES.to_string()),
        ("fetch.wait.max.ms", "100"),
        ("partition.assignment.strategy", "range"),
        ("session.timeout.ms", &settings.session_timeout.as_millis().to_string()),
        (
            "heartbeat.interval.ms",
            &(settings.session_timeout / 10).as_millis().to_string(),
        ),
        ("topic.metadata.refresh.interval.ms", "30000"),
    ]);
    config
        .set("group.id", group)
        .set("enable.auto.commit", "false")
        .set("enable.auto.offset.store", "false")
        .set("enable.partition.eof", "true")
        .set("isolation.level", "read_committed")
        .set("auto.offset.reset", "error");
    if identity.exclusive && settings.cluster == Cluster::Kafka {
        config.set("group.instance.id", &identity.instance);
    }
    config
        .create_with_context(Context::default())
        .map_err(|error| ServiceError::Configuration(kafka::plain(&error)))
}
