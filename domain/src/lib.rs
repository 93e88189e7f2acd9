//! The rules of orders, stock and payments.
//!
//! Nothing here reads a clock, draws a random number or touches a file: a rule is a function from what is known to
//! what follows, so a test of it is a row in a table. Time comes in as a [`Timestamp`], identity as an id made elsewhere
//! or derived from its cause ([`id::derive`]).

#![deny(clippy::float_arithmetic)]

pub mod event;
pub mod id;
pub mod money;
pub mod order;
pub mod payment;
pub mod stock;
pub mod time;

pub use event::{
    Event, InventoryReserved, InventoryUnavailable, Item, Meta, OrderPlaced, PaymentFailed, PaymentProcessed,
    Reservation, StockAdjusted, StockReceived, UnavailableLine,
};
pub use id::{CustomerId, EventId, OrderId, ProductId};
pub use money::Currency;
pub use time::Timestamp;
