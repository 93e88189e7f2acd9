//! What looks after the pipeline: topics, audit, demo, bench.

pub mod audit;
pub mod bench;
mod daemon;
pub mod demo;
mod real;
pub mod topics;
