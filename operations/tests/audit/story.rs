//! What happens in the tests' shop: a bit of everything the services can meet.

use orderflow_domain::{
    Currency, EventId, Item, Meta, OrderId, OrderPlaced, ProductId, StockAdjusted, StockReceived, Timestamp,
};
use orderflow_schemas::{Contract, encode};
use uuid::Uuid;

use super::fixture::{Captured, letter_of};

/// Different order ids that are in the topic and can be read: those applied, and one that is invalid.
pub(crate) const ORDERS: u64 = 27;

/// Records that groups refused: five orders each, one of stock, and one redriven order again.
pub(crate) const DEAD: u64 = 2 * 7 + 1 + 1;

/// An order that is reserved and charged.
pub(crate) const PLAIN: u128 = 100;
/// An order that is refused for want of stock, and charged.
pub(crate) const SHORT: u128 = 122;
/// An order whose payment is declined.
pub(crate) const DECLINED: u128 = 110;
/// An order that is no order: its total is wrong.
pub(crate) const INVALID: u128 = 130;

/// The event of a correction that is refused at first.
const CORRECTION: u128 = 90;

/// What comes in before any order.
pub(crate) fn goods() -> Vec<Captured> {
    vec![
        of(&received(1, "A", 100)),
        of(&received(2, "B", 5)),
        of(&received(3, "C", 50)),
        of(&adjusted(4, "C", Some(-8), None)),
        of(&adjusted(5, "C", None, Some(45))),
        of(&adjusted(CORRECTION, "D", Some(-5), None)),
    ]
}

/// Orders, and what must not be taken for one.
pub(crate) fn orders() -> Vec<Captured> {
    let mut records: Vec<_> = (0..20).map(|n| of(&plain(PLAIN + n))).collect();
    records.extend((0..3).map(|n| of(&order(120 + n, "B", 3, 250, "tok_ok"))));
    records.push(of(&order(123, "unheard of", 1, 100, "tok_ok")));
    records.push(of(&order(124, "A", 1, 0, "tok_ok")));
    records.push(of(&order(125, "C", 1, 300, "tok_flaky_1")));
    records.extend((0..5).map(|n| of(&plain(PLAIN + n))));
    records.extend(repeated_and_changed());
    records.extend(unreadable());
    records
}

/// What comes back: a correction that fits now, twice, and an order that is still invalid.
pub(crate) fn redriven(letters: &[Captured]) -> Vec<Captured> {
    let correction = letter_of(letters, "stock.inventory.dlq", CORRECTION).to("stock.inventory.redrive");
    let invalid = letter_of(letters, "orders.payment.dlq", INVALID).to("orders.payment.redrive");
    vec![correction.clone(), correction, invalid]
}

/// Stock that makes room for the correction.
pub(crate) fn more_goods() -> Vec<Captured> {
    vec![of(&received(6, "D", 20))]
}

/// An order on ample stock, whose payment goes as its number says.
pub(crate) fn plain(n: u128) -> OrderPlaced {
    let token = match n {
        DECLINED | 115 => "tok_decline_lost_card",
        _ => "tok_ok",
    };
    order(n, if n.is_multiple_of(2) { "A" } else { "C" }, 2, 199, token)
}

fn repeated_and_changed() -> Vec<Captured> {
    let again = OrderPlaced {
        meta: meta(201, order_id(PLAIN).to_string()),
        ..plain(PLAIN)
    };
    let other = OrderPlaced {
        meta: meta(202, order_id(PLAIN).to_string()),
        ..order(PLAIN, "A", 1, 5, "tok_ok")
    };
    let conflict = order(PLAIN + 1, "A", 1, 5, "tok_ok");
    let invalid = OrderPlaced {
        total_minor: 1,
        ..order(INVALID, "A", 1, 5, "tok_ok")
    };
    [again, other, conflict, invalid].iter().map(of).collect()
}

fn unreadable() -> Vec<Captured> {
    let sound = of(&plain(PLAIN + 2));
    let with = |key: Option<&[u8]>, value: Option<&[u8]>| Captured {
        key: key.map(Vec::from),
        value: value.map(Vec::from),
        ..sound.clone()
    };
    vec![
        with(Some(b"k"), Some(b"{\"json\": true}")),
        with(None, None),
        with(Some(b"k"), Some(&[0, 0, 0, 0, 7, 1])),
        with(Some(b"another key"), sound.value.as_deref()),
    ]
}

fn order(n: u128, product: &str, quantity: i64, unit_price_minor: i64, token: &str) -> OrderPlaced {
    let order_id = order_id(n);
    OrderPlaced {
        meta: meta(n, order_id.to_string()),
        order_id,
        customer_id: None,
        currency: "GBP".parse::<Currency>().expect("a currency"),
        items: vec![Item {
            product_id: ProductId(product.into()),
            quantity,
            unit_price_minor,
        }],
        total_minor: quantity * unit_price_minor,
        payment_token: token.into(),
        placed_at: Timestamp(0),
    }
}

fn received(n: u128, product: &str, quantity: i64) -> StockReceived {
    StockReceived {
        meta: meta(n, product.to_owned()),
        product_id: ProductId(product.into()),
        quantity,
    }
}

fn adjusted(n: u128, product: &str, delta: Option<i64>, count: Option<i64>) -> StockAdjusted {
    StockAdjusted {
        meta: meta(n, product.to_owned()),
        product_id: ProductId(product.into()),
        delta,
        count,
        reason: "stock_take".to_owned(),
    }
}

pub(crate) fn order_id(n: u128) -> OrderId {
    OrderId(Uuid::from_u128(n))
}

pub(crate) fn event_id(n: u128) -> Uuid {
    Uuid::from_u128(1_000 + n)
}

fn meta(n: u128, correlation_id: String) -> Meta {
    Meta {
        event_id: EventId(event_id(n)),
        occurred_at: Timestamp(0),
        correlation_id,
        causation_id: None,
        source: "test".into(),
    }
}

/// The record of an event, in its topic, on the partition of its key.
pub(crate) fn of(event: &impl Contract) -> Captured {
    let mut value = Vec::new();
    encode(event, &mut value);
    let topic = event.event_type().topic().default_name();
    Captured::keyed(topic, event.key().as_bytes(), value)
}
