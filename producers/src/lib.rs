//! What puts orders in: single orders, importers, the load generator, and the stock they draw on.
//!
//! Nothing here prints, reads arguments or handles signals: options come in as values, what happened goes out as a
//! report, and on the way a [`Watch`] is told how far it is. A [`Stop`] ends any of it early, in good order.

pub mod emit;
mod fresh;
pub mod import;
pub mod place;
mod progress;
mod sink;
pub mod stock;

pub use progress::{Progress, Stop, Watch};
pub use sink::{Latency, Patience, Position, Sink, SinkError, SinkOptions, Tally};
