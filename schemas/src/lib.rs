//! Bytes to domain and back: Avro contracts, wire format, headers, compatibility.
//!
//! Everything here is pure but [`registry`], which serves the contracts over HTTP and asks registries that others serve.
//!
//! ```
//! # use orderflow_domain::{Event, EventId, Meta, ProductId, StockReceived, Timestamp};
//! # let meta = Meta { event_id: "018f2a3e-0000-7000-8000-000000000001".parse().expect("a UUID"), occurred_at: Timestamp(0),
//! #     correlation_id: "85123A".to_owned(), causation_id: None, source: "doc".into() };
//! let event = StockReceived { meta, product_id: ProductId("85123A".into()), quantity: 6 };
//! let mut bytes = Vec::new();
//! orderflow_schemas::encode(&event, &mut bytes);
//! assert_eq!(orderflow_schemas::decode(&bytes), Ok(Event::StockReceived(event)));
//! ```

mod codec;
pub mod compatibility;
mod contract;
pub mod document;
mod event_type;
pub mod headers;
pub mod history;
pub mod json;
pub mod registry;
#[cfg(test)]
mod samples;
mod topic;
pub mod trace;
mod wire;

pub use codec::Codec;
pub use contract::Contract;
pub use event_type::EventType;
pub use topic::{InvalidTopicNames, Topic, TopicNames};
pub use trace::{Trace, TraceParent};
pub use wire::{MAX_ARRAY_ITEMS, MAX_VALUE_BYTES, Unreadable, decode, encode};
