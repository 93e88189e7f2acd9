//! What became of the records: filled by the client's delivery reports, on the thread that polls.

use std::sync::atomic::{AtomicI64, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, OnceLock, PoisonError};
use std::time::Instant;

use orderflow_runtime::kafka::{Heard, Tokens, is_denial};
use rdkafka::Message as _;
use rdkafka::client::{ClientContext, OAuthToken};
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::error::KafkaError;
use rdkafka::producer::{DeliveryResult, ProducerContext};
use rdkafka::types::RDKafkaErrorCode;

use super::latency::Histogram;

/// Where a record stands in a topic.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Position {
    /// The topic.
    pub topic: String,
    /// The partition.
    pub partition: i32,
    /// The record's offset.
    pub offset: i64,
}

/// A record the broker or the client refused for good.
#[derive(Debug, Clone)]
pub(super) struct Refusal {
    pub(super) partition: i32,
    pub(super) reason: String,
    pub(super) too_large: Option<(String, usize)>,
    /// It was not refused itself; the client gave up what was queued behind a record that was.
    pub(super) is_consequence: bool,
    /// A right is missing.
    pub(super) is_denial: bool,
}

#[derive(Debug)]
pub(super) struct Ledger {
    began: Instant,
    /// The clock as it was last read, for the reports: a reading for each would cost more than all else done with it.
    /// While only waiting it is up to a millisecond behind.
    now: AtomicUsize,
    acknowledged: AtomicU64,
    failed: AtomicU64,
    pub(super) latencies: Histogram,
    /// Offset of the last acknowledged record of each partition, -1 where there is none.
    offsets: OnceLock<Box<[AtomicI64]>>,
    refusal: Mutex<Option<Refusal>>,
    heard: Heard,
    tokens: Tokens,
}

impl Ledger {
    pub(super) fn new(tokens: Tokens) -> Self {
        Self {
            began: Instant::now(),
            now: AtomicUsize::new(0),
            acknowledged: AtomicU64::new(0),
            failed: AtomicU64::new(0),
            latencies: Histogram::default(),
            offsets: OnceLock::new(),
            refusal: Mutex::default(),
            heard: Heard::default(),
            tokens,
        }
    }

    pub(super) fn has_partitions(&self, count: usize) {
        self.offsets
            .get_or_init(|| (0..count).map(|_| AtomicI64::new(-1)).collect());
    }

    pub(super) fn acknowledged(&self) -> u64 {
        self.acknowledged.load(Ordering::Relaxed)
    }

    pub(super) fn failed(&self) -> u64 {
        self.failed.load(Ordering::Relaxed)
    }

    pub(super) fn refusal(&self) -> Option<Refusal> {
        self.refusal.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What the client said of its connections, most of which it tries again by itself.
    pub(super) const fn heard(&self) -> &Heard {
        &self.heard
    }

    /// The time since the client began, which travels with a record as its opaque and comes back with its report.
    pub(super) fn stamp(&self) -> usize {
        let now = usize::try_from(self.began.elapsed().as_micros()).unwrap_or(usize::MAX);
        self.now.store(now, Ordering::Relaxed);
        now
    }

    /// The last acknowledged record of every partition that has one.
    pub(super) fn positions(&self, topic: &str) -> Vec<Position> {
        let offsets = self.offsets.get().map_or(&[][..], |offsets| offsets);
        let positions = offsets.iter().zip(0..).map(|(offset, partition)| Position {
            topic: topic.to_owned(),
            partition,
            offset: offset.load(Ordering::Relaxed),
        });
        positions.filter(|position| position.offset >= 0).collect()
    }

    fn acknowledge(&self, partition: i32, offset: i64, sent: usize) {
        self.acknowledged.fetch_add(1, Ordering::Relaxed);
        let now = self.now.load(Ordering::Relaxed);
        self.latencies.add(now.saturating_sub(sent) as u64);
        let last = usize::try_from(partition)
            .ok()
            .and_then(|partition| self.offsets.get()?.get(partition));
        if let Some(last) = last {
            last.fetch_max(offset, Ordering::Relaxed);
        }
    }

    /// Keeps the first that is no mere consequence of another.
    fn refuse(&self, error: &KafkaError, refusal: impl FnOnce() -> Refusal) {
        self.failed.fetch_add(1, Ordering::Relaxed);
        let mut first = self.refusal.lock().unwrap_or_else(PoisonError::into_inner);
        if first
            .as_ref()
            .is_none_or(|first| first.is_consequence && !is_consequence(error))
        {
            *first = Some(refusal());
        }
    }
}

impl ClientContext for Ledger {
    const ENABLE_REFRESH_OAUTH_TOKEN: bool = true;

    fn log(&self, level: RDKafkaLogLevel, facility: &str, line: &str) {
        tracing::debug!(target: "librdkafka", ?level, facility, "{line}");
    }

    fn error(&self, error: KafkaError, reason: &str) {
        tracing::debug!(target: "librdkafka", %error, "{reason}");
        self.heard.note(&error, reason);
    }

    fn generate_oauth_token(&self, _: Option<&str>) -> Result<OAuthToken, Box<dyn std::error::Error>> {
        self.tokens.fresh()
    }
}

impl ProducerContext for Ledger {
    type DeliveryOpaque = usize;

    fn delivery(&self, report: &DeliveryResult<'_>, sent: usize) {
        match report {
            Ok(record) => self.acknowledge(record.partition(), record.offset(), sent),
            Err((error, record)) => self.refuse(error, || Refusal {
                is_consequence: is_consequence(error),
                is_denial: is_denial(error),
                partition: record.partition(),
                reason: error.to_string(),
                too_large: is_about_size(error).then(|| {
                    let key = String::from_utf8_lossy(record.key().unwrap_or_default()).into_owned();
                    (key, record.payload().map_or(0, <[u8]>::len))
                }),
            }),
        }
    }
}

pub(super) fn is_about_size(error: &KafkaError) -> bool {
    let code = error.rdkafka_error_code();
    code.is_some_and(|code| {
        matches!(
            code,
            RDKafkaErrorCode::MessageSizeTooLarge | RDKafkaErrorCode::InvalidMessageSize
        )
    })
}

fn is_consequence(error: &KafkaError) -> bool {
    let code = error.rdkafka_error_code();
    code.is_some_and(|code| matches!(code, RDKafkaErrorCode::PurgeQueue | RDKafkaErrorCode::PurgeInflight))
}
