//! What looks after the pipeline: topics, audit, health, demo, bench.

pub mod audit;
pub mod bench;
mod daemon;
pub mod demo;
pub mod health;
mod real;
pub mod topics;
