//! What works on orders: each service joins the rules and the runtime in a page.
//!
//! A service is a [`Handler`](orderflow_runtime::Handler): what a record means to it, which rows a decision needs, and
//! what follows. The rules themselves are in `orderflow_domain`, the bytes in `orderflow_schemas`, and how an effect
//! happens exactly once in `orderflow_runtime`.

mod incoming;
pub mod inventory;
pub mod kept;
mod outgoing;
pub mod payment;
#[cfg(test)]
mod samples;
mod schemas;

pub use schemas::Schemas;
