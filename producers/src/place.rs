//! Places one order, and waits until it is safe.

mod item;

use std::time::Duration;

use orderflow_domain::money::Currency;
use orderflow_domain::order::{FieldError, total_minor};
use orderflow_domain::{CustomerId, EventId, Item, Meta, OrderId, OrderPlaced, Timestamp, id};
use orderflow_runtime::kafka::Connection;
use thiserror::Error;
use uuid::Uuid;

use crate::sink::{Patience, Position, Sink, SinkError, SinkOptions};
use crate::{Stop, fresh};

pub use item::{ItemError, ItemText};

/// What to order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlaceOptions {
    /// Who orders; `None` is a guest.
    pub customer: Option<String>,
    /// What is ordered.
    pub items: Vec<ItemText>,
    /// Currency of the prices.
    pub currency: Currency,
    /// What the payment gateway is to charge.
    pub payment_token: String,
    /// Identity of the order; `None` makes a new one.
    pub order_id: Option<OrderId>,
    /// When it was placed; `None` is now. With the same id, time and contents the order has the same bytes, and counts
    /// once however often it is placed.
    pub placed_at: Option<Timestamp>,
    /// What places it, as `orderflow/cli`.
    pub source: String,
}

/// An order that is in every in-sync replica.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Placed {
    /// The order as it was written.
    pub order: OrderPlaced,
    /// Where its record stands.
    pub position: Option<Position>,
}

/// The options make no order. Every broken field is named.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("the order is not valid: {}", list(.0))]
pub struct InvalidOrder(pub Vec<FieldError>);

/// Why an order was not placed, or may not have been.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum PlaceError {
    /// Nothing was written: the options make no order.
    #[error(transparent)]
    Invalid(#[from] InvalidOrder),
    /// Nothing was written.
    #[error(transparent)]
    NotWritten(SinkError),
    /// Time was up before the acknowledgement came. Placing it again under this id and time is safe.
    #[error(
        "order {order_id} may have been written: {cause}; repeat with --order-id {order_id} --placed-at {placed_at}, \
         which places it once in any case"
    )]
    MaybeWritten {
        /// The order's id, made here if it was not given.
        order_id: OrderId,
        /// When it was placed, likewise.
        placed_at: Timestamp,
        /// What happened.
        cause: SinkError,
    },
}

/// The order that these options describe.
///
/// `now` and `new_id` stand in for what the options leave open. The event's id is computed from the order's id, its time
/// and everything it says, so the same order has the same bytes.
///
/// # Errors
///
/// Every field that breaks a rule.
pub fn order(options: &PlaceOptions, now: Timestamp, new_id: OrderId) -> Result<OrderPlaced, InvalidOrder> {
    let mut errors = Vec::new();
    let items = items(options, &mut errors);
    let placed_at = options.placed_at.unwrap_or(now);
    let order_id = options.order_id.unwrap_or(new_id);
    let mut order = OrderPlaced {
        meta: Meta {
            event_id: EventId(Uuid::nil()),
            occurred_at: placed_at,
            correlation_id: order_id.to_string(),
            causation_id: None,
            source: options.source.as_str().into(),
        },
        order_id,
        customer_id: options.customer.as_deref().map(|id| CustomerId(id.into())),
        currency: options.currency,
        total_minor: total_minor(&items).unwrap_or_default(),
        items,
        payment_token: options.payment_token.as_str().into(),
        placed_at,
    };
    if errors.is_empty() {
        errors = order.validate().err().unwrap_or_default();
    }
    order.meta.event_id = event_id(&order);
    if errors.is_empty() {
        Ok(order)
    } else {
        Err(InvalidOrder(errors))
    }
}

/// Places an order and waits for its acknowledgement, all within `deadline`.
///
/// # Errors
///
/// See [`PlaceError`].
pub fn place(
    connection: &Connection,
    sink: SinkOptions,
    options: &PlaceOptions,
    deadline: Duration,
    stop: &Stop,
) -> Result<Placed, PlaceError> {
    let now = fresh::now();
    let order = order(options, now, OrderId(fresh::uuid(now)))?;
    let began = std::time::Instant::now();
    let patience = Patience {
        connect: deadline,
        acknowledgement: deadline,
        stop: Duration::ZERO,
    };
    let mut sink = Sink::open(connection, SinkOptions { patience, ..sink }, stop).map_err(PlaceError::NotWritten)?;
    sink.set_acknowledgement(deadline.saturating_sub(began.elapsed()));
    let sent = sink.send(&order).and_then(|()| sink.finish());
    match sent {
        Ok(_) => Ok(Placed {
            position: sink.positions().pop(),
            order,
        }),
        Err(cause) if cause.may_be_written(sink.tally()) => Err(PlaceError::MaybeWritten {
            order_id: order.order_id,
            placed_at: order.placed_at,
            cause,
        }),
        Err(refused) => Err(PlaceError::NotWritten(refused)),
    }
}

fn items(options: &PlaceOptions, errors: &mut Vec<FieldError>) -> Vec<Item> {
    let mut items = Vec::with_capacity(options.items.len());
    for (index, text) in options.items.iter().enumerate() {
        match text.priced(options.currency) {
            Ok(item) => items.push(item),
            Err(error) => {
                let field = format!("items[{index}].unit_price_minor");
                errors.push(FieldError::new(field, "not_a_price", error.to_string()));
            }
        }
    }
    items
}

/// Of the payload as JSON: its field names and values, not the bytes of a schema's version.
fn event_id(order: &OrderPlaced) -> EventId {
    let payload = serde_json::to_vec(order).unwrap_or_default();
    EventId(id::derive(
        order.placed_at,
        &[b"OrderPlaced", order.order_id.0.as_bytes(), &payload],
    ))
}

fn list(errors: &[FieldError]) -> String {
    let errors: Vec<String> = errors.iter().map(ToString::to_string).collect();
    errors.join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options(items: &[&str]) -> PlaceOptions {
        PlaceOptions {
            customer: Some("17850".to_owned()),
            items: items.iter().map(|item| item.parse().expect("an item")).collect(),
            currency: "GBP".parse().expect("a currency"),
            payment_token: "tok_ok".to_owned(),
            order_id: None,
            placed_at: None,
            source: "orderflow/cli".to_owned(),
        }
    }

    fn made(options: &PlaceOptions) -> Result<OrderPlaced, InvalidOrder> {
        order(options, Timestamp(1_291_191_960_000_000), OrderId(Uuid::from_u128(7)))
    }

    #[test]
    fn an_order_adds_up_and_belongs_to_itself() {
        let order = made(&options(&["85123A:6:2.55", "71053:6:3.39"])).expect("a sound order");
        assert_eq!(order.total_minor, 6 * 255 + 6 * 339);
        assert_eq!(order.meta.correlation_id, order.order_id.to_string());
        assert_eq!(order.meta.occurred_at, order.placed_at);
        assert_eq!(order.validate(), Ok(()));
    }

    #[test]
    fn the_same_id_time_and_contents_are_the_same_event_and_others_are_not() {
        let first = options(&["85123A:6:2.55"]);
        assert_eq!(made(&first), made(&first));
        let other = PlaceOptions {
            payment_token: "tok_decline_lost".to_owned(),
            ..first.clone()
        };
        let event_id = |options| made(options).expect("a sound order").meta.event_id;
        assert_ne!(event_id(&first), event_id(&other));
    }

    #[test]
    fn every_broken_field_is_named() {
        let mut broken = options(&["85123A:6:2.555", "71053:6:x"]);
        let fields = |broken: &PlaceOptions| -> Vec<String> {
            let InvalidOrder(errors) = made(broken).expect_err("broken");
            errors.into_iter().map(|error| error.field).collect()
        };
        assert_eq!(
            fields(&broken),
            ["items[0].unit_price_minor", "items[1].unit_price_minor"]
        );
        broken = options(&[]);
        broken.customer = Some(String::new());
        assert_eq!(fields(&broken), ["customer_id", "items"]);
        assert_eq!(
            fields(&options(&["a:0:1", "b:1:-1"])),
            ["items[0].quantity", "items[1].unit_price_minor"]
        );
        assert_eq!(fields(&options(&["a:9223372036854775807:1"])), ["items"]);
    }
}
