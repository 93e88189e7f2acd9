//! Events and records for tests.

use orderflow_domain::{
    CustomerId, EventId, Item, Meta, OrderId, OrderPlaced, ProductId, StockAdjusted, StockReceived, Timestamp,
};
use orderflow_runtime::{Headers, Origin, Record};
use orderflow_schemas::{Contract, encode};
use uuid::Uuid;

/// 2010-12-01T08:26:00Z, milliseconds.
pub(crate) const TIME: i64 = 1_291_191_960_000;

pub(crate) fn order_id(n: u64) -> OrderId {
    OrderId(Uuid::from_u64_pair(0x012c_a0b1_c200_7000, 0x8000_0000_0000_0000 | n))
}

pub(crate) fn event_id(n: u64) -> EventId {
    EventId(Uuid::from_u64_pair(0x012c_a0b1_c200_7001, 0x8000_0000_0000_0000 | n))
}

/// Placed by the event of the same number; every line costs 2.50.
pub(crate) fn order(n: u64, lines: &[(&str, i64)]) -> OrderPlaced {
    let item = |(product, quantity): &(&str, i64)| Item {
        product_id: ProductId((*product).into()),
        quantity: *quantity,
        unit_price_minor: 250,
    };
    OrderPlaced {
        meta: meta(n, order_id(n).to_string()),
        order_id: order_id(n),
        customer_id: Some(CustomerId("17850".into())),
        currency: "GBP".parse().expect("a currency"),
        items: lines.iter().map(item).collect(),
        total_minor: lines.iter().map(|line| line.1 * 250).sum(),
        payment_token: "tok_ok".into(),
        placed_at: Timestamp(TIME * 1_000),
    }
}

pub(crate) fn received(n: u64, product: &str, quantity: i64) -> StockReceived {
    StockReceived {
        meta: meta(n, product.to_owned()),
        product_id: ProductId(product.into()),
        quantity,
    }
}

pub(crate) fn adjusted(n: u64, product: &str, (delta, count): (Option<i64>, Option<i64>)) -> StockAdjusted {
    StockAdjusted {
        meta: meta(n, product.to_owned()),
        product_id: ProductId(product.into()),
        delta,
        count,
        reason: "stock_take".to_owned(),
    }
}

fn meta(n: u64, correlation_id: String) -> Meta {
    Meta {
        event_id: event_id(n),
        occurred_at: Timestamp(TIME * 1_000),
        correlation_id,
        causation_id: None,
        source: "orderflow/test".into(),
    }
}

/// A record that owns its bytes.
#[derive(Debug, Clone)]
pub(crate) struct Stored {
    pub(crate) topic: &'static str,
    pub(crate) timestamp: i64,
    pub(crate) key: Option<Vec<u8>>,
    pub(crate) value: Option<Vec<u8>>,
    pub(crate) headers: Headers,
}

impl Stored {
    /// As a sound producer writes it.
    pub(crate) fn of(event: &impl Contract) -> Self {
        let mut value = Vec::new();
        encode(event, &mut value);
        Self {
            topic: event.event_type().topic().default_name(),
            timestamp: TIME,
            key: Some(event.key().into_owned().into_bytes()),
            value: Some(value),
            headers: Headers::new(),
        }
    }

    pub(crate) fn record(&self) -> Record<'_> {
        Record {
            origin: Origin {
                topic: self.topic,
                partition: 3,
                offset: 41,
            },
            source: self.topic,
            redriven: false,
            timestamp: self.timestamp,
            key: self.key.as_deref(),
            value: self.value.as_deref(),
            headers: self.headers.as_slice(),
        }
    }
}
