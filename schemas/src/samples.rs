//! One event of each kind, for tests.

use orderflow_domain::{
    CustomerId, Event, EventId, InventoryReserved, InventoryUnavailable, Item, Meta, OrderId, OrderPlaced,
    PaymentFailed, PaymentProcessed, ProductId, Reservation, StockAdjusted, StockReceived, Timestamp, UnavailableLine,
};
use uuid::Uuid;

pub(crate) fn event_id(n: u16) -> EventId {
    EventId(Uuid::from_u128(
        0x018f_2a3e_0000_7000_8000_0000_0000_0000 | u128::from(n) << 80 | u128::from(n),
    ))
}

pub(crate) fn order_id() -> OrderId {
    "018f2a3e-1000-7000-8000-000000000007".parse().expect("a UUID")
}

pub(crate) fn product(id: &str) -> ProductId {
    ProductId(id.into())
}

fn meta(n: u16, source: &str, causation_id: Option<EventId>) -> Meta {
    let (event_id, correlation_id, source) = (event_id(n), order_id().to_string(), source.to_owned());
    Meta {
        event_id,
        occurred_at: Timestamp(1_291_191_960_000_000),
        correlation_id,
        causation_id,
        source: source.into(),
    }
}

pub(crate) fn order_placed() -> OrderPlaced {
    let item = |id, quantity, unit_price_minor| Item {
        product_id: product(id),
        quantity,
        unit_price_minor,
    };
    OrderPlaced {
        meta: meta(1, "orderflow/cli", None),
        order_id: order_id(),
        customer_id: Some(CustomerId("17850".into())),
        currency: "GBP".parse().expect("a currency"),
        items: vec![item("85123A", 6, 255), item("71053", 6, 339), item("84406B", 8, 275)],
        total_minor: 5_764,
        payment_token: "tok_ok".into(),
        placed_at: Timestamp(1_291_191_960_000_000),
    }
}

pub(crate) fn inventory_reserved() -> InventoryReserved {
    InventoryReserved {
        meta: meta(2, "orderflow/inventory", Some(event_id(1))),
        order_id: order_id(),
        reservations: vec![Reservation {
            product_id: product("71053"),
            quantity: 6,
        }],
    }
}

/// One of each kind, with every optional field both ways round somewhere.
pub(crate) fn all() -> Vec<Event> {
    let currency = "GBP".parse().expect("a currency");
    let stock_meta = |n| Meta {
        correlation_id: "85123A".to_owned(),
        ..meta(n, "orderflow/cli", None)
    };
    vec![
        Event::OrderPlaced(order_placed()),
        Event::InventoryReserved(inventory_reserved()),
        Event::InventoryUnavailable(InventoryUnavailable {
            meta: meta(3, "orderflow/inventory", Some(event_id(1))),
            order_id: order_id(),
            lines: vec![UnavailableLine {
                product_id: product("Ärmel-✓"),
                requested: 6,
                available: 0,
                reason: "unknown_product".to_owned(),
            }],
        }),
        Event::PaymentProcessed(PaymentProcessed {
            meta: meta(4, "orderflow/payment", Some(event_id(1))),
            order_id: order_id(),
            amount_minor: 5_764,
            currency,
            charge_id: "ch_1".to_owned(),
        }),
        Event::PaymentFailed(PaymentFailed {
            meta: meta(5, "orderflow/payment", Some(event_id(1))),
            order_id: order_id(),
            amount_minor: 5_764,
            currency,
            reason: "insufficient_funds".to_owned(),
        }),
        Event::StockReceived(StockReceived {
            meta: stock_meta(6),
            product_id: product("85123A"),
            quantity: 100,
        }),
        Event::StockAdjusted(StockAdjusted {
            meta: stock_meta(7),
            product_id: product("85123A"),
            delta: Some(-3),
            count: None,
            reason: "damaged".to_owned(),
        }),
    ]
}
