//! A consumer runtime on Kafka in which every effect happens exactly once.

pub mod crash;
mod decision;
pub mod effects;
#[cfg(any(test, feature = "embedded-broker"))]
pub mod embedded;
pub mod handler;
pub mod kafka;
pub mod observer;
pub mod partitioner;
pub mod record;
#[allow(dead_code, reason = "the lane workers that publish through it are the next step")]
mod relay;
pub mod rows;
pub mod settings;
pub mod store;

pub use handler::{
    Answered, Cause, Decision, Decoded, Effect, Fact, Fired, Handler, Reason, Refusal, Timer, derive_id,
};
pub use record::{Headers, NextOffset, Origin, Record};
pub use rows::{Entity, Rows, Wanted};
pub use settings::Settings;
