//! What goes in: real orders, some that will be refused or declined, some sent twice, and some that nobody can read.

use std::time::{Duration, Instant};

use orderflow_domain::id::derive;
use orderflow_domain::{EventId, Meta, OrderPlaced, ProductId, StockReceived, Timestamp};
use orderflow_producers::import::{self, ImportOptions, Input};
use orderflow_producers::{Sink, SinkOptions, Stop, Tally};
use orderflow_runtime::kafka::Connection;
use orderflow_schemas::{Topic, TopicNames, encode};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};

use super::error::DemoError;

/// Orders a second: slow enough that a daemon can be killed in the middle, fast enough to be over soon.
const PACE: u32 = 1_000;

/// Every so many products there is only half of what is asked for.
const SHORT: usize = 97;

/// Every so many orders: the card is declined; the gateway loses its answer twice; the order is sent again.
const DECLINED: u64 = 40;
const FLAKY: u64 = 90;
const SENT_AGAIN: u64 = 50;

/// Records that nobody can read.
pub(super) const NONSENSE: usize = 6;

/// How long the broker has to acknowledge what nobody can read.
const PATIENCE: Duration = Duration::from_secs(10);

fn data(orders: u64) -> (Input, ImportOptions) {
    let options = ImportOptions {
        limit: Some(orders),
        ..ImportOptions::default()
    };
    (crate::real::input(), options)
}

/// Puts in the stock that the orders ask for, but for a few products.
pub(super) fn stock(connection: &Connection, names: &TopicNames, orders: u64, stop: &Stop) -> Result<(), DemoError> {
    let (input, options) = data(orders);
    let demand = import::demand(input, &options)?;
    let mut sink = Sink::open(connection, SinkOptions::stream(names.name(Topic::Stock)), stop)?;
    for (at, (product, units)) in demand.into_iter().enumerate() {
        let quantity = if at % SHORT == SHORT / 2 {
            (units / 2).max(1)
        } else {
            units
        };
        sink.send(&received(product, quantity))?;
    }
    sink.finish()?;
    Ok(())
}

fn received(product_id: ProductId, quantity: i64) -> StockReceived {
    let occurred_at = Timestamp(0);
    let meta = Meta {
        event_id: EventId(derive(occurred_at, &[b"demo stock", product_id.as_str().as_bytes()])),
        occurred_at,
        correlation_id: product_id.as_str().to_owned(),
        causation_id: None,
        source: "orderflow/demo".into(),
    };
    StockReceived {
        meta,
        product_id,
        quantity,
    }
}

/// Places the orders, at [`PACE`], and among them what no consumer likes.
pub(super) fn orders(
    connection: &Connection,
    names: &TopicNames,
    orders: u64,
    stop: &Stop,
) -> Result<Tally, DemoError> {
    let (input, options) = data(orders);
    let topic = names.name(Topic::Orders);
    let mut sink = Sink::open(connection, import::sink_options(topic), stop)?;
    let began = Instant::now();
    let mut placed = 0;
    import::read(input, &options, stop, &mut |order| {
        let order = with_token(order.clone(), placed);
        sink.send(&order)?;
        if placed % SENT_AGAIN == 0 {
            sink.send(&order)?;
        }
        placed += 1;
        wait_until(began + Duration::from_secs(1) * u32::try_from(placed).unwrap_or(u32::MAX) / PACE);
        sink.poll()
    })?;
    nonsense(connection, topic)?;
    Ok(sink.finish()?)
}

fn with_token(mut order: OrderPlaced, placed: u64) -> OrderPlaced {
    if placed % DECLINED == 1 {
        order.payment_token = "tok_decline_insufficient_funds".into();
    } else if placed % FLAKY == 2 {
        order.payment_token = "tok_flaky_2".into();
    }
    order
}

fn wait_until(due: Instant) {
    let early = due.saturating_duration_since(Instant::now());
    if early > Duration::from_millis(5) {
        std::thread::sleep(early);
    }
}

/// Records that no consumer can read, each for a reason of its own.
fn nonsense(connection: &Connection, topic: &str) -> Result<(), DemoError> {
    let client = |error: rdkafka::error::KafkaError| DemoError::Client(error.to_string());
    let producer: BaseProducer = connection
        .client(&[("partitioner", "murmur2_random")])
        .create()
        .map_err(client)?;
    let mut order = Vec::new();
    encode(&received(ProductId("stray".into()), 1), &mut order);
    let cut = order[..order.len() / 2].to_vec();
    let values: [(&str, Vec<u8>); NONSENSE] = [
        ("empty", Vec::new()),
        ("json", br#"{"order_id": 1}"#.to_vec()),
        ("foreign", vec![0, 0, 0, 0, 7, 1, 2, 3]),
        ("cut", cut),
        ("stray", order.clone()),
        ("more", [order, b"and more".to_vec()].concat()),
    ];
    for (key, value) in &values {
        let record = BaseRecord::to(topic).key(*key).payload(value);
        producer.send(record).map_err(|(error, _)| client(error))?;
    }
    producer.flush(PATIENCE).map_err(client)
}
