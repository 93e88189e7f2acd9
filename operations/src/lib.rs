//! What looks after the pipeline: topics, audit, demo, bench.

pub mod audit;
pub mod topics;
