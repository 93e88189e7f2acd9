//! Consume, decode, encode, produce; offsets by hand, behind the acknowledgements.

use std::time::{Duration, Instant};

use orderflow_domain::{Event, EventId, InventoryReserved, Meta, OrderPlaced, Reservation, Timestamp};
use orderflow_producers::Stop;
use orderflow_runtime::kafka::Connection;
use orderflow_schemas::{Contract as _, Trace, decode, encode, headers};
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer as _, DefaultConsumerContext};
use rdkafka::message::{BorrowedMessage, Headers as _, Message as _};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use uuid::Uuid;

use super::acknowledged::{Acknowledged, tag};
use super::send;
use crate::bench::{Error, load};

/// How often offsets are committed; our runtime tells the group as often.
const COMMIT_EVERY: Duration = Duration::from_millis(500);

/// After how many records deliveries are fetched.
const POLL_EVERY: u64 = 256;

/// How long to wait for a record.
const WAIT: Duration = Duration::from_millis(100);

/// Relays until asked to stop.
pub(in crate::bench) fn relay(
    connection: &Connection,
    (source, target): (&str, &str),
    group: &str,
    stop: &Stop,
) -> Result<(), Error> {
    let mut relay = Relay {
        consumer: consumer(connection, group)?,
        producer: super::client(connection, "2")?,
        group,
        source,
        target,
        value: Vec::with_capacity(1_024),
        relayed: 0,
        committed: Instant::now(),
    };
    relay
        .consumer
        .subscribe(&[source])
        .map_err(Error::kafka("subscribing raw"))?;
    while !stop.is_requested() {
        relay.step()?;
    }
    super::flush(&relay.producer)?;
    relay.commit(CommitMode::Sync);
    Ok(())
}

struct Relay<'a> {
    consumer: BaseConsumer<DefaultConsumerContext>,
    producer: BaseProducer<Acknowledged>,
    group: &'a str,
    source: &'a str,
    target: &'a str,
    value: Vec<u8>,
    relayed: u64,
    committed: Instant,
}

impl Relay<'_> {
    fn step(&mut self) -> Result<(), Error> {
        // The record borrows the consumer, which does not change.
        match self.consumer.poll(WAIT) {
            Some(Ok(record)) => forward(self.group, self.target, &self.producer, &mut self.value, &record)?,
            Some(Err(error)) => tracing::debug!(%error, "raw relay"),
            None => {
                self.producer.poll(Duration::ZERO);
            }
        }
        self.relayed += 1;
        if self.relayed.is_multiple_of(POLL_EVERY) {
            self.producer.poll(Duration::ZERO);
        }
        if self.committed.elapsed() > COMMIT_EVERY {
            self.committed = Instant::now();
            self.producer.poll(Duration::ZERO);
            self.commit(CommitMode::Async);
        }
        Ok(())
    }

    fn commit(&self, mode: CommitMode) {
        let mut offsets = TopicPartitionList::new();
        for (partition, next) in (0..).zip(self.producer.context().next()) {
            if next > 0 {
                let _known = offsets.add_partition_offset(self.source, partition, Offset::Offset(next));
            }
        }
        if let Err(error) = self.consumer.commit(&offsets, mode) {
            tracing::debug!(%error, "raw relay");
        }
    }
}

/// Fetches as our runtime does: the difference to be measured is not the consumer's configuration.
fn consumer(connection: &Connection, group: &str) -> Result<BaseConsumer<DefaultConsumerContext>, Error> {
    connection
        .client(&[
            ("group.id", group),
            ("enable.auto.commit", "false"),
            ("enable.auto.offset.store", "false"),
            ("auto.offset.reset", "earliest"),
            ("isolation.level", "read_committed"),
            ("queued.max.messages.kbytes", "8192"),
            ("fetch.queue.backoff.ms", "2"),
            ("fetch.message.max.bytes", "262144"),
            ("fetch.wait.max.ms", "100"),
            ("partition.assignment.strategy", "range"),
            ("session.timeout.ms", "10000"),
        ])
        .create()
        .map_err(Error::kafka("a raw consumer"))
}

fn forward(
    group: &str,
    target: &str,
    producer: &BaseProducer<Acknowledged>,
    value: &mut Vec<u8>,
    record: &BorrowedMessage<'_>,
) -> Result<(), Error> {
    let Ok(Event::OrderPlaced(order)) = decode(record.payload().unwrap_or_default()) else {
        return Ok(());
    };
    let trace = trace(record).unwrap_or_else(|| Trace::begin(&order));
    let fact = reserved(order, record.timestamp().to_millis().unwrap_or(0));
    value.clear();
    encode(&fact, value);
    let key = fact.key();
    let (lane, offset) = (record.partition().to_string(), record.offset().to_string());
    let more = [
        ("orderflow-group", group),
        ("orderflow-lane", &lane),
        ("orderflow-seq", &offset),
    ];
    let record = BaseRecord::with_opaque_to(target, tag(record.partition(), record.offset()))
        .key(&*key)
        .payload(&value[..])
        .headers(super::headers(&fact, &trace.next(fact.meta.event_id), &more));
    send(producer, record)
}

/// Of each item what it names: no product is looked up, no two lines are summed.
fn reserved(order: OrderPlaced, millis: i64) -> InventoryReserved {
    let caused_by = order.meta.event_id;
    let reservations = order.items.into_iter().map(|item| Reservation {
        product_id: item.product_id,
        quantity: item.quantity,
    });
    InventoryReserved {
        meta: Meta {
            // Another id than the cause's, for nothing.
            event_id: EventId(Uuid::from_u128(caused_by.0.as_u128() ^ 1)),
            occurred_at: Timestamp::from_unix_millis(millis),
            correlation_id: order.order_id.to_string(),
            causation_id: Some(caused_by),
            source: load::SOURCE.into(),
        },
        order_id: order.order_id,
        reservations: reservations.collect(),
    }
}

fn trace(record: &BorrowedMessage<'_>) -> Option<Trace> {
    let found = record.headers()?;
    let value = |name| found.iter().find(|header| header.key == name)?.value;
    Trace::of_headers(value(headers::TRACEPARENT), value(headers::CE_TRACEPARENT))
}
