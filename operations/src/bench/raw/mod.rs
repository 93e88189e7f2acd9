//! The yardstick: the same jobs with nothing but rdkafka. No state, no inbox, no outbox, no check of anything.

mod acknowledged;
mod producer;
mod relay;

pub(super) use producer::produce;
pub(super) use relay::relay;

use std::time::Duration;

use orderflow_runtime::kafka::Connection;
use orderflow_schemas::{Contract, Trace, headers};
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};
use rdkafka::types::RDKafkaErrorCode;

use self::acknowledged::Acknowledged;
use super::Error;

/// Headers a record has at most; one allocation holds their list.
const HEADERS: usize = 14;

/// An idempotent producer as one configures it who wants speed and every record once: what ours has, and
/// librdkafka's own queue of 100,000 records.
fn client(connection: &Connection, linger_millis: &str) -> Result<BaseProducer<Acknowledged>, Error> {
    connection
        .client(&[
            ("enable.idempotence", "true"),
            ("acks", "all"),
            ("compression.type", "lz4"),
            ("linger.ms", linger_millis),
            ("partitioner", "murmur2_random"),
        ])
        .create_with_context(Acknowledged::default())
        .map_err(Error::kafka("a raw producer"))
}

/// Sends one record, and waits while the queue is full.
fn send(producer: &BaseProducer<Acknowledged>, record: BaseRecord<'_, str, [u8], usize>) -> Result<(), Error> {
    let mut record = record;
    loop {
        match producer.send(record) {
            Ok(()) => return Ok(()),
            Err((error, again)) if error.rdkafka_error_code() == Some(RDKafkaErrorCode::QueueFull) => record = again,
            Err((error, _)) => return Err(Error::kafka("sending raw")(error)),
        }
        producer.poll(Duration::from_millis(1));
    }
}

fn flush(producer: &BaseProducer<Acknowledged>) -> Result<(), Error> {
    producer
        .flush(Duration::from_mins(1))
        .map_err(Error::kafka("flushing raw"))
}

/// The headers of a record that holds `event`, and `more`.
fn headers(event: &impl Contract, trace: &Trace, more: &[(&str, &str)]) -> OwnedHeaders {
    let mut list = Some(OwnedHeaders::new_with_capacity(HEADERS));
    let mut insert = |key: &str, value: &str| {
        let header = Header {
            key,
            value: Some(value.as_bytes()),
        };
        list = list.take().map(|list| list.insert(header));
    };
    headers::each(event, Some(trace), &mut insert);
    for (key, value) in more {
        insert(key, value);
    }
    list.unwrap_or_default()
}
