//! Orders and stock as records, made without the program: what a test puts in must not depend on what it tries.

use orderflow_domain::{Currency, Item, Meta, OrderPlaced, ProductId, StockReceived, Timestamp};

use super::cluster::Sent;

/// The key and the bytes of a record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Made {
    pub(crate) key: String,
    pub(crate) value: Vec<u8>,
}

impl Made {
    /// As it is produced, now.
    pub(crate) fn sent(&self) -> Sent<'_> {
        Sent {
            key: &self.key,
            value: &self.value,
            millis: None,
        }
    }
}

/// An order of `quantity` pieces of one product at 2.50 EUR each, under new ids.
pub(crate) fn order(product: &str, quantity: i64) -> Made {
    order_of_lines(product, quantity, 1)
}

/// The same on several lines, each of `quantity` pieces: ten bytes and more a line.
pub(crate) fn order_of_lines(product: &str, quantity: i64, lines: i32) -> Made {
    let order_id = new_id();
    let item = Item {
        product_id: ProductId(product.into()),
        quantity,
        unit_price_minor: 250,
    };
    let order = OrderPlaced {
        meta: meta(&order_id),
        order_id: order_id.parse().expect("a UUID"),
        customer_id: None,
        currency: "EUR".parse::<Currency>().expect("a currency"),
        items: (0..lines).map(|_| item.clone()).collect(),
        total_minor: quantity * 250 * i64::from(lines),
        payment_token: "tok_ok".into(),
        placed_at: Timestamp(1_291_191_960_000_000),
    };
    made(order_id, &order)
}

/// The arrival of `quantity` pieces of a product, under a new id.
pub(crate) fn receipt(product: &str, quantity: i64) -> Made {
    let received = StockReceived {
        meta: meta(product),
        product_id: ProductId(product.into()),
        quantity,
    };
    made(product.to_owned(), &received)
}

/// A random UUID, version 4.
pub(crate) fn new_id() -> String {
    let (high, low) = (super::random(), super::random());
    let (first, second, third) = (high >> 32, high >> 16 & 0xffff, high & 0xfff);
    format!(
        "{first:08x}-{second:04x}-4{third:03x}-8{:03x}-{:012x}",
        low >> 48 & 0xfff,
        low & 0xffff_ffff_ffff
    )
}

fn made(key: String, event: &impl orderflow_schemas::Contract) -> Made {
    let mut value = Vec::new();
    orderflow_schemas::encode(event, &mut value);
    Made { key, value }
}

fn meta(correlation_id: &str) -> Meta {
    Meta {
        event_id: new_id().parse().expect("a UUID"),
        occurred_at: Timestamp(1_291_191_960_000_000),
        correlation_id: correlation_id.to_owned(),
        causation_id: None,
        source: "tests".into(),
    }
}
