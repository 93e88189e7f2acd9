//! Fills topics.

use orderflow_domain::{EventId, Meta, ProductId, StockReceived, Timestamp};
use orderflow_producers::emit::{EmitOptions, Rate, emit};
use orderflow_producers::{Sink, SinkOptions, Stop};
use orderflow_runtime::kafka::Connection;
use orderflow_schemas::Topic;
use uuid::{Builder, Uuid};

use super::ground::Ground;
use super::workload::Workload;
use super::{Error, real};

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
    for (index, product) in (0_u64..).zip(products(workload)?) {
        sink.send(&received(index, product)).map_err(failed)?;
    }
    Ok(sink.finish().map_err(failed)?.acknowledged)
}

fn products(workload: &Workload) -> Result<Vec<ProductId>, Error> {
    match workload.shape() {
        Some(shape) => Ok(shape.stock(PLENTY).map(|(product, _)| product).collect()),
        None => real::products(),
    }
}

fn received(index: u64, product_id: ProductId) -> StockReceived {
    StockReceived {
        meta: Meta {
            event_id: EventId(uuid(Kind::Stock, index)),
            occurred_at: now(),
            correlation_id: product_id.as_str().to_owned(),
            causation_id: None,
            source: SOURCE.into(),
        },
        product_id,
        quantity: PLENTY,
    }
}

/// What an id is of, so that no two of one index are alike.
#[derive(Debug, Clone, Copy)]
pub(super) enum Kind {
    Stock = 1,
    Order = 2,
    Event = 3,
}

/// An id in the order of time, as all ids are that are inserted somewhere.
pub(super) fn uuid(kind: Kind, index: u64) -> Uuid {
    let mut random = [0; 10];
    // The first bits make way for the version, and two of the third byte for the variant.
    random[1] = kind as u8;
    random[2..].copy_from_slice(&index.to_be_bytes());
    Builder::from_unix_timestamp_millis(now().0.unsigned_abs() / 1_000, &random).into_uuid()
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
        shape: workload.made_up()?,
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
    if !workload.is_made_up() {
        return real::orders(connection, topic, orders, stop);
    }
    let options = emission(topic, workload, orders, 0)?;
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
