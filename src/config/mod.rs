//! Configuration in two steps: what was said, and where ([`Said`]); then what will be done ([`Settings`]).
//!
//! Flags win over `ORDERFLOW_*` variables, those over the configuration file, that over the defaults.

mod database;
mod environment;
mod file;
mod kafka;
mod keys;
mod registry;
mod resolved;
mod runtime;
mod said;
mod secret;
mod shown;
mod topics;

pub(crate) use keys::{about, closest};
pub(crate) use resolved::Settings;
pub(crate) use said::{Origin, Said, Value};
pub(crate) use secret::is_secret;
