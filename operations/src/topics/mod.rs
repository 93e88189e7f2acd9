//! The topics of the system on a cluster: what they should be, what they are, the difference, and what is in them.
//!
//! ```text
//! Declaration   what the topics should be        declared.rs   pure
//! Cluster       what they are                    cluster.rs    asks the brokers
//! Plan          the difference, or why not       plan.rs       pure
//! apply         makes it so                      apply.rs      tells the brokers
//! Tail          decoded records                  tail/         reads, in no group
//! ```
//!
//! Nothing here destroys: what could lose records or put the records of a key out of order is refused with its reason
//! and a way out, and left to Kafka's own tools. All calls block; each has a deadline.

mod apply;
pub(crate) mod client;
mod cluster;
mod declared;
mod error;
mod plan;
pub mod tail;
mod visible;

pub use apply::{Outcome, apply};
pub use cluster::{Cluster, ConfigValue, ExistingTopic};
pub use declared::{Declaration, DeclaredTopic, Role, Sizing};
pub use error::{Error, Refusal};
pub use plan::{Action, Change, Plan, Step};

use orderflow_runtime::kafka::Connection;

/// Reads the cluster and gives the difference to the declaration. Changes nothing.
///
/// # Errors
/// [`Error::Unreachable`] when no broker answers, [`Error::Broker`] when one answers with an error.
pub fn plan(connection: &Connection, declaration: &Declaration) -> Result<Plan, Error> {
    Ok(Plan::new(declaration, &Cluster::read(connection, declaration)?))
}
