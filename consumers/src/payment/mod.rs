//! Payment: each order's total is charged once, through a gateway that is asked under a key that never changes.
//!
//! A placed order becomes a call to the gateway, kept as an effect until there is an answer; the answer is a second
//! decision, which announces the outcome.

pub mod gateway;
mod handler;
pub mod simulator;

use orderflow_schemas::EventType;

pub use gateway::{Charging, Gateway, NoVerdict, Verdict};
pub use handler::{Event, PAYMENT, Payment};

/// The group this service consumes as.
pub const GROUP: &str = "payment";

/// What its facts say they come from.
pub const SOURCE: &str = "orderflow/payment";

/// What its facts are.
pub const EMITS: [EventType; 2] = [EventType::PaymentProcessed, EventType::PaymentFailed];

/// Kind of the effect by which an order is charged.
pub const CHARGE: &str = "charge";
