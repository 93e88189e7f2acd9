//! Orders into a topic, encoded live.

use std::time::Duration;

use orderflow_domain::OrderPlaced;
use orderflow_producers::emit::Generator;
use orderflow_runtime::kafka::Connection;
use orderflow_schemas::{Contract as _, Trace, encode};
use rdkafka::producer::{BaseRecord, Producer as _};

use super::send;
use crate::bench::Error;
use crate::bench::child::{Production, Said};
use crate::bench::load;
use crate::bench::producing::Clock;

/// Most orders made up before the clock runs; then they come again. Making them up is not what is measured here.
const POOL: u64 = 100_000;

/// After how many records deliveries are fetched.
const POLL_EVERY: u64 = 256;

/// Sends so many orders, as fast as they go.
pub(in crate::bench) fn produce(connection: &Connection, production: &Production) -> Result<Said, Error> {
    let orders = pool(production)?;
    let producer = super::client(connection, "5")?;
    producer
        .client()
        .fetch_metadata(Some(&production.topic), Duration::from_secs(30))
        .map_err(Error::kafka("connecting raw"))?;
    let mut value = Vec::with_capacity(1_024);
    let clock = Clock::start();
    for (sent, order) in (0..production.orders).zip(orders.iter().cycle()) {
        value.clear();
        encode(order, &mut value);
        let key = order.key();
        let record = BaseRecord::with_opaque_to(&production.topic, 0)
            .key(&*key)
            .payload(&value[..])
            .headers(super::headers(order, &Trace::begin(order), &[]));
        send(&producer, record)?;
        if sent.is_multiple_of(POLL_EVERY) {
            producer.poll(Duration::ZERO);
        }
    }
    super::flush(&producer)?;
    Ok(clock.stop())
}

/// The orders that `order emit` makes of the same seed.
fn pool(production: &Production) -> Result<Vec<OrderPlaced>, Error> {
    let mut generator =
        Generator::new(&production.workload.made_up()?, load::SOURCE, production.seed).map_err(|error| {
            Error::Load {
                topic: production.topic.clone(),
                cause: error.to_string(),
            }
        })?;
    let made = (0..production.orders.min(POOL)).map(|_| {
        let mut order = generator.blank();
        generator.fill(&mut order, load::now());
        order
    });
    Ok(made.collect())
}
