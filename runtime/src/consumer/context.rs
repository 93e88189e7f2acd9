//! What librdkafka calls: every callback only says what happened, the consumer thread's loop decides.

use std::collections::{BTreeSet, VecDeque};
use std::sync::{Mutex, PoisonError};

use rdkafka::client::OAuthToken;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::KafkaError;
use rdkafka::topic_partition_list::TopicPartitionList;
use rdkafka::types::RDKafkaRespErr;
use rdkafka::{ClientContext, Statistics};

use super::standing::Figures;
use crate::kafka::{Connection, Heard, Tokens};

/// A change of what the group gives this member.
#[derive(Debug)]
pub(super) enum Rebalance {
    /// These partitions are given.
    Assign(BTreeSet<(String, i32)>),
    /// These partitions are taken: all of them, where the group does not give and take in parts.
    Revoke(BTreeSet<(String, i32)>),
}

/// Keeps what librdkafka said until the loop asks.
#[derive(Debug, Default)]
pub(crate) struct Context {
    rebalances: Mutex<VecDeque<Rebalance>>,
    heard: Heard,
    tokens: Tokens,
    figures: Mutex<Figures>,
    closing: std::sync::atomic::AtomicBool,
}

impl Context {
    pub(super) fn of(connection: &Connection) -> Self {
        Self {
            tokens: connection.tokens(),
            ..Self::default()
        }
    }

    /// What the client said of its connections.
    pub(crate) fn heard(&self) -> &Heard {
        &self.heard
    }

    pub(super) fn rebalance(&self) -> Option<Rebalance> {
        self.rebalances
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .pop_front()
    }

    /// What the client said of itself last.
    pub(super) fn figures(&self) -> Figures {
        self.figures.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// From now on nobody asks: what the group takes is let go at once.
    pub(super) fn close(&self) {
        self.closing.store(true, std::sync::atomic::Ordering::Relaxed);
    }
}

impl ClientContext for Context {
    const ENABLE_REFRESH_OAUTH_TOKEN: bool = true;

    fn log(&self, level: RDKafkaLogLevel, facility: &str, line: &str) {
        crate::kafka::log(level, facility, line);
    }

    fn stats(&self, statistics: Statistics) {
        *self.figures.lock().unwrap_or_else(PoisonError::into_inner) = Figures::from(&statistics);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        self.heard.note(&error, reason);
        tracing::debug!(%error, reason, "Kafka client");
    }

    fn generate_oauth_token(&self, _: Option<&str>) -> Result<OAuthToken, Box<dyn std::error::Error>> {
        self.tokens.fresh()
    }
}

impl ConsumerContext for Context {
    fn rebalance(&self, consumer: &BaseConsumer<Self>, error: RDKafkaRespErr, partitions: &mut TopicPartitionList) {
        if self.closing.load(std::sync::atomic::Ordering::Relaxed) {
            let _closing = consumer.unassign();
            return;
        }
        let rebalance = match error {
            RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS => Rebalance::Assign(named(partitions)),
            _ => Rebalance::Revoke(named(partitions)),
        };
        self.rebalances
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .push_back(rebalance);
    }
}

fn named(partitions: &TopicPartitionList) -> BTreeSet<(String, i32)> {
    partitions
        .elements()
        .iter()
        .map(|element| (element.topic().to_owned(), element.partition()))
        .collect()
}
