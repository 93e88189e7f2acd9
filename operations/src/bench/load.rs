//! Fills topics.

use orderflow_domain::{EventId, Meta, ProductId, StockReceived, Timestamp};
use orderflow_producers::emit::{EmitOptions, Rate, emit};
use orderflow_producers::{Sink, SinkOptions, Stop};
use orderflow_runtime::kafka::Connection;
use orderflow_schemas::Topic;
use uuid::{Builder, Uuid};

use super::Error;
use super::ground::Ground;
use super::workload::Workload;

/// Stock of each product: more than any run can order.
const PLENTY: i64 = 1_000_000_000;

/// What emits the orders, as their source says.
pub(super) const SOURCE: &str = "orderflow/bench";

/// Everything in stock; returns how many products there are.
pub(super) fn stock(ground: &Ground, workload: &Workload, stop: &Stop) -> Result<u64, Error> {
    let topic = ground.names.name(Topic::Stock);
    let failed = |cause: orderflow_producers::SinkError| Error::Load {
        topic: topic.to_owned(),
        cause: cause.to_string(),
    };
    let mut sink = Sink::open(&ground.connection, SinkOptions::stream(topic), stop).map_err(failed)?;
    for (index, (product, quantity)) in (0_u64..).zip(workload.shape().stock(PLENTY)) {
        sink.send(&received(index, product, quantity)).map_err(failed)?;
    }
    Ok(sink.finish().map_err(failed)?.acknowledged)
}

fn received(index: u64, product_id: ProductId, quantity: i64) -> StockReceived {
    let mut random = [0; 10];
    // At the end: bits at the beginning make way for the version.
    random[2..].copy_from_slice(&index.to_be_bytes());
    StockReceived {
        meta: Meta {
            event_id: EventId(Builder::from_unix_timestamp_millis(now().0.unsigned_abs() / 1_000, &random).into_uuid()),
            occurred_at: now(),
            correlation_id: product_id.as_str().to_owned(),
            causation_id: None,
            source: SOURCE.to_owned(),
        },
        product_id,
        quantity,
    }
}

/// Made-up orders as fast as they go in, as one would with `order emit`.
pub(super) fn emission(topic: &str, workload: &Workload, orders: u64, seed: u64) -> Result<EmitOptions, Error> {
    let count = orders.try_into().map_err(|_| Error::Load {
        topic: topic.to_owned(),
        cause: "no orders at all were asked for".to_owned(),
    })?;
    Ok(EmitOptions {
        count,
        rate: Rate::Max,
        seed: Some(seed),
        start: None,
        shape: workload.shape(),
        source: SOURCE.to_owned(),
        sink: SinkOptions::stream(topic),
    })
}

/// Orders that wait.
pub(super) fn orders(
    connection: &Connection,
    topic: &str,
    workload: &Workload,
    (orders, stop): (u64, &Stop),
) -> Result<(), Error> {
    let options = emission(topic, workload, orders, Uuid::nil().as_u64_pair().0)?;
    let emitted = emit(connection, &options, stop, &mut |_| {}).map_err(|error| Error::Load {
        topic: topic.to_owned(),
        cause: error.to_string(),
    })?;
    if emitted.stopped { Err(Error::Stopped) } else { Ok(()) }
}

/// The wall clock.
pub(super) fn now() -> Timestamp {
    let since = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .unwrap_or_default();
    Timestamp(i64::try_from(since.as_micros()).unwrap_or(i64::MAX))
}
