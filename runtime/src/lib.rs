//! A consumer runtime on Kafka in which every effect happens exactly once.

mod access;
mod batch;
mod consumer;
pub mod crash;
mod deciding;
mod decision;
mod dependency;
pub mod effects;
#[cfg(any(test, feature = "embedded-broker"))]
pub mod embedded;
mod entity;
mod error;
mod flood;
pub mod handler;
pub mod kafka;
mod lane;
mod letters;
mod limits;
mod made;
pub mod observer;
pub mod partitioner;
mod pipeline;
pub mod record;
mod relay;
pub mod rows;
mod service;
pub mod settings;
mod shared;
pub mod store;
mod topology;
mod wanted;

pub use dependency::{Dependencies, Dependency};
pub use error::{Halt, ServiceError};
pub use handler::{
    Answered, Cause, Decision, Decoded, Effect, Fact, Fired, Handler, Reason, Refusal, Timer, derive_id,
};
pub use letters::{DETAIL_HEADER, REASON_HEADER};
pub use observer::Observer;
pub use record::{Headers, NextOffset, Origin, Record};
pub use rows::{Entity, Rows, Wanted};
pub use service::Service;
pub use settings::Settings;
pub use topology::{Topics, dead_letter_topic, redrive_topic};
