//! Schema registries, from both sides: the read-only half of Confluent's API that we serve, and a client for the registry
//! that a company already has.
//!
//! ```text
//! server     the contracts over HTTP, for other people's tools
//! Client     one request, one answer: look up, register, compare
//! Registry   what a process keeps of a registry: the ids it writes, the schemas it reads, on disk as well
//! Reader     decodes for commands that wait: asks the registry where a schema is not known
//! register   brings our schemas into a registry
//! compare    ours beside what is registered
//! ```
//!
//! Subjects are the records' full names on both sides (`RecordNameStrategy`). Schema references are not used and not
//! followed.

mod address;
mod client;
mod compare;
mod error;
mod flight;
mod http;
mod keep;
mod options;
mod publish;
mod reader;
mod server;
mod source;
mod tls;

pub use address::{Address, InvalidAddress};
pub use client::{Client, Compatibility, Registered};
pub use compare::{Comparison, Standing, compare};
pub use error::RegistryError;
pub use options::{Credentials, Options, Secret};
pub use publish::{Published, State, publish};
pub use reader::{ReadError, Reader};
pub use server::{DRAIN_TIMEOUT, HEADER_READ_TIMEOUT, MAX_CONNECTIONS, serve};
pub use source::Registry;
