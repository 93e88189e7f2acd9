//! A consumer runtime on Kafka in which every effect happens exactly once.

pub mod kafka;
