//! What every event of the contracts can say of itself.

use std::borrow::Cow;

use orderflow_domain::{
    Event, InventoryReserved, InventoryUnavailable, Meta, OrderId, OrderPlaced, PaymentFailed, PaymentProcessed,
    ProductId, StockAdjusted, StockReceived,
};
use serde::Serialize;

use crate::EventType;

/// An event with a contract: something [`encode`](crate::encode) can write.
pub trait Contract: Serialize {
    /// Which kind of event this is.
    fn event_type(&self) -> EventType;

    /// What the event says of itself.
    fn meta(&self) -> &Meta;

    /// The record's key: the order id, lower-case and hyphenated, or the product id.
    fn key(&self) -> Cow<'_, str>;
}

macro_rules! contracts {
    ($($event:ident keyed by $key:ident: $text:expr;)*) => {
        $(impl Contract for $event {
            fn event_type(&self) -> EventType {
                EventType::$event
            }

            fn meta(&self) -> &Meta {
                &self.meta
            }

            fn key(&self) -> Cow<'_, str> {
                $text(&self.$key)
            }
        })*

        /// Whichever event it holds.
        impl Contract for Event {
            fn event_type(&self) -> EventType {
                match self {
                    $(Self::$event(_) => EventType::$event,)*
                }
            }

            fn meta(&self) -> &Meta {
                self.meta()
            }

            fn key(&self) -> Cow<'_, str> {
                match self {
                    $(Self::$event(event) => event.key(),)*
                }
            }
        }
    };
}

contracts! {
    OrderPlaced keyed by order_id: order_key;
    InventoryReserved keyed by order_id: order_key;
    InventoryUnavailable keyed by order_id: order_key;
    PaymentProcessed keyed by order_id: order_key;
    PaymentFailed keyed by order_id: order_key;
    StockReceived keyed by product_id: product_key;
    StockAdjusted keyed by product_id: product_key;
}

fn order_key(id: &OrderId) -> Cow<'_, str> {
    Cow::Owned(id.text())
}

fn product_key(id: &ProductId) -> Cow<'_, str> {
    Cow::Borrowed(id.as_str())
}
