//! The client that puts events into a topic: in order, acknowledged by every in-sync replica, each once per session.
//!
//! One thread sends and polls. Records in flight are bounded: when the queue is full, [`Sink::send`] waits for room, so
//! order is kept and memory stays flat. A record never times out by itself, since its successors would overtake it;
//! instead the whole run ends when nothing was acknowledged for too long.

mod connect;
mod error;
mod latency;
mod ledger;

use std::time::{Duration, Instant};

use orderflow_runtime::kafka::{Connection, Operation, Right, is_denied};
use orderflow_schemas::{Codec, Contract, Trace, headers};
use rdkafka::error::KafkaError;
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};
use rdkafka::types::RDKafkaErrorCode;

use crate::Stop;
use ledger::{Ledger, Refusal, is_about_size};

pub use error::SinkError;
pub use latency::Latency;
pub use ledger::Position;

/// How long a [`Sink`] waits before it gives up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Patience {
    /// For the brokers to say which partitions the topic has.
    pub connect: Duration,
    /// For the next acknowledgement, while any is due.
    pub acknowledgement: Duration,
    /// For what is in flight, once asked to stop. Below the 5 seconds in which a stopped process has to be gone.
    pub stop: Duration,
}

impl Default for Patience {
    fn default() -> Self {
        Self {
            connect: Duration::from_secs(30),
            acknowledgement: Duration::from_secs(30),
            stop: Duration::from_secs(3),
        }
    }
}

/// How a [`Sink`] sends.
#[derive(Debug, Clone)]
pub struct SinkOptions {
    /// The topic's name on the cluster.
    pub topic: String,
    /// Most records sent and not yet acknowledged. A record of three items with its headers takes about 1.5 KiB here.
    pub in_flight: u32,
    /// How long a batch waits for company before it is sent.
    pub linger: Duration,
    /// When to give up.
    pub patience: Patience,
    /// What events are written with.
    pub codec: Codec,
}

impl SinkOptions {
    /// For many records in a row.
    #[must_use]
    pub fn stream(topic: impl Into<String>) -> Self {
        Self {
            topic: topic.into(),
            in_flight: 50_000,
            linger: Duration::from_millis(5),
            patience: Patience::default(),
            codec: Codec::builtin(),
        }
    }

    /// The same, written under the ids of another codec.
    #[must_use]
    pub fn written_with(self, codec: Codec) -> Self {
        Self { codec, ..self }
    }

    /// For one record that somebody waits for.
    #[must_use]
    pub fn single(topic: impl Into<String>) -> Self {
        Self {
            linger: Duration::ZERO,
            ..Self::stream(topic)
        }
    }
}

/// What became of the records so far.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Tally {
    /// Handed to the client.
    pub sent: u64,
    /// In every in-sync replica.
    pub acknowledged: u64,
    /// Refused, or given up by the client.
    pub failed: u64,
}

impl Tally {
    /// Sent, and nobody knows yet what became of them.
    #[must_use]
    pub const fn pending(&self) -> u64 {
        self.sent - self.acknowledged - self.failed
    }
}

/// Sends events to one topic. Dropped before [`Sink::finish`], it forgets what is in flight.
pub struct Sink {
    producer: BaseProducer<Ledger>,
    brokers: String,
    options: SinkOptions,
    stop: Stop,
    partitions: usize,
    value: Vec<u8>,
    sent: u64,
}

/// How often delivery reports are fetched while sending.
const POLL_EVERY: u64 = 64;

/// How long to wait for room or acknowledgements before looking again.
const WAIT: Duration = Duration::from_millis(1);

impl Sink {
    /// Connects, and makes sure that the topic is there.
    ///
    /// # Errors
    ///
    /// A configuration that is not accepted, no broker within [`Patience::connect`], wrong credentials, a missing topic.
    pub fn open(connection: &Connection, options: SinkOptions, stop: &Stop) -> Result<Self, SinkError> {
        let producer = connect::client(connection, &options)?;
        let partitions = connect::partitions(&producer, connection, &options, stop)?;
        producer.context().has_partitions(partitions);
        Ok(Self {
            producer,
            brokers: connection.brokers.clone(),
            options,
            stop: stop.clone(),
            partitions,
            value: Vec::with_capacity(1_024),
            sent: 0,
        })
    }

    /// Changes [`Patience::acknowledgement`].
    pub const fn set_acknowledgement(&mut self, patience: Duration) {
        self.options.patience.acknowledgement = patience;
    }

    /// How many partitions the topic had when it was opened.
    #[must_use]
    pub const fn partitions(&self) -> usize {
        self.partitions
    }

    /// What became of the records so far.
    #[must_use]
    pub fn tally(&self) -> Tally {
        let ledger = self.producer.context();
        Tally {
            sent: self.sent,
            acknowledged: ledger.acknowledged(),
            failed: ledger.failed(),
        }
    }

    /// How long acknowledgements took; `None` before the first.
    #[must_use]
    pub fn latency(&self) -> Option<Latency> {
        self.producer.context().latencies.percentiles()
    }

    /// The last acknowledged record of every partition that has one: whoever has applied these has applied all.
    #[must_use]
    pub fn positions(&self) -> Vec<Position> {
        self.producer.context().positions(&self.options.topic)
    }

    /// Sends one event behind all that were sent before it; waits while the queue is full.
    ///
    /// # Errors
    ///
    /// An event that is too large, a record refused earlier, no acknowledgement for too long, or a request to stop while
    /// waiting.
    pub fn send(&mut self, event: &impl Contract) -> Result<(), SinkError> {
        self.value.clear();
        self.options.codec.encode(event, &mut self.value);
        let key = event.key();
        let mut record = BaseRecord::with_opaque_to(&self.options.topic, self.producer.context().stamp())
            .key(key.as_ref())
            .payload(&self.value);
        record.headers = kafka_headers(event);
        let mut patience = self.patient();
        loop {
            match self.producer.send(record) {
                Ok(()) => break,
                Err((error, again)) if is_full(&error) => record = again,
                Err((error, _)) => return Err(self.not_taken(&error, &key)),
            }
            self.wait(&mut patience)?;
        }
        self.sent += 1;
        if self.sent.is_multiple_of(POLL_EVERY) {
            self.poll()?;
        }
        Ok(())
    }

    /// Takes in what was acknowledged or refused meanwhile.
    ///
    /// # Errors
    ///
    /// A record that was refused.
    pub fn poll(&self) -> Result<(), SinkError> {
        self.producer.context().stamp();
        self.producer.poll(Duration::ZERO);
        self.refused()
    }

    /// Waits until every record is acknowledged. Asked to stop, it waits for [`Patience::stop`] at most.
    ///
    /// # Errors
    ///
    /// A record that was refused, or no acknowledgement for too long.
    pub fn finish(&self) -> Result<Tally, SinkError> {
        let mut patience = self.patient();
        let mut stopped = None;
        while self.tally().pending() > 0 {
            match self.wait(&mut patience) {
                Err(SinkError::Stopped) => {
                    let since = *stopped.get_or_insert_with(Instant::now);
                    if since.elapsed() > self.options.patience.stop {
                        return Err(self.not_acknowledged(since.elapsed()));
                    }
                }
                outcome => outcome?,
            }
        }
        self.refused().map(|()| self.tally())
    }

    fn patient(&self) -> Patient {
        Patient {
            acknowledged: self.tally().acknowledged,
            since: Instant::now(),
        }
    }

    /// Waits a moment for acknowledgements.
    fn wait(&self, patient: &mut Patient) -> Result<(), SinkError> {
        self.producer.context().stamp();
        self.producer.poll(WAIT);
        self.refused()?;
        let acknowledged = self.tally().acknowledged;
        if acknowledged > patient.acknowledged {
            *patient = Patient {
                acknowledged,
                since: Instant::now(),
            };
        }
        if patient.since.elapsed() > self.options.patience.acknowledgement {
            return Err(self.not_acknowledged(patient.since.elapsed()));
        }
        if self.stop.is_requested() {
            Err(SinkError::Stopped)
        } else {
            Ok(())
        }
    }

    fn refused(&self) -> Result<(), SinkError> {
        let Some(refusal) = self.producer.context().refusal() else {
            return Ok(());
        };
        let topic = self.options.topic.clone();
        if let Some((key, bytes)) = refusal.too_large {
            return Err(SinkError::TooLarge { topic, key, bytes });
        }
        let end = self.end();
        if refusal.is_denial || end.as_ref().is_some_and(|end| end.is_denial) {
            return Err(self.denied());
        }
        let Refusal { partition, reason, .. } = refusal;
        // A fatal error purges the queue, and those reports can come before that of the record it is about.
        match end.filter(|_| refusal.is_consequence) {
            Some(End { reason, .. }) => Err(SinkError::GaveUp { topic, reason }),
            None => Err(SinkError::Refused {
                topic,
                partition,
                reason,
            }),
        }
    }

    /// The client does not take the record: it has given up, or the record is too large.
    fn not_taken(&self, error: &KafkaError, key: &str) -> SinkError {
        if let Err(earlier) = self.refused() {
            return earlier;
        }
        let topic = self.options.topic.clone();
        if is_about_size(error) {
            let (key, bytes) = (key.to_owned(), self.value.len());
            return SinkError::TooLarge { topic, key, bytes };
        }
        // Who may write to no topic at all is not given the id that a producer needs: that can be known before a first
        // record is refused.
        let end = self.end();
        if end.as_ref().is_some_and(|end| end.is_denial) {
            return self.denied();
        }
        SinkError::GaveUp {
            topic,
            reason: end.map_or_else(|| error.to_string(), |end| end.reason),
        }
    }

    /// Why the client gave up for good, if it did.
    fn end(&self) -> Option<End> {
        let (code, reason) = self.producer.client().fatal_error()?;
        Some(End {
            is_denial: is_denied(code) || follows_denial(&reason),
            reason,
        })
    }

    fn denied(&self) -> SinkError {
        SinkError::Denied {
            brokers: self.brokers.clone(),
            right: Right::topic(Operation::Write, &*self.options.topic),
        }
    }

    fn not_acknowledged(&self, waited: Duration) -> SinkError {
        SinkError::NotAcknowledged {
            topic: self.options.topic.clone(),
            pending: self.tally().pending(),
            waited,
            reason: self.producer.context().heard().last(),
        }
    }
}

/// Whether a fatal error says that a missing right left a gap: the client's own code is that of the gap, and the broker's
/// is in its words only.
fn follows_denial(why: &str) -> bool {
    // `TopicAuthorizationFailed (Broker: Topic authorization failed)`: the words are in the brackets.
    let told = RDKafkaErrorCode::TopicAuthorizationFailed.to_string();
    told.split_once('(')
        .is_some_and(|(_, words)| why.contains(words.trim_end_matches(')')))
}

impl std::fmt::Debug for Sink {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Sink")
            .field("options", &self.options)
            .field("tally", &self.tally())
            .finish_non_exhaustive()
    }
}

/// A fatal error of the client.
struct End {
    /// It stems from a right that is missing.
    is_denial: bool,
    reason: String,
}

/// Since when nothing new was acknowledged.
struct Patient {
    acknowledged: u64,
    since: Instant,
}

fn is_full(error: &KafkaError) -> bool {
    error.rdkafka_error_code() == Some(RDKafkaErrorCode::QueueFull)
}

fn kafka_headers(event: &impl Contract) -> Option<OwnedHeaders> {
    /// As many as an event without a cause has, its trace included.
    const USUAL: usize = 10;
    let mut owned = Some(OwnedHeaders::new_with_capacity(USUAL));
    headers::each(event, Some(&Trace::begin(event)), |key, value| {
        let header = Header {
            key,
            value: Some(value),
        };
        owned = owned.take().map(|list| list.insert(header));
    });
    owned
}

#[cfg(test)]
mod tests {
    use orderflow_domain::StockReceived;
    use orderflow_runtime::embedded::EmbeddedBroker;
    use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};

    use super::*;
    use crate::stock::{self, StockOptions};

    const DEADLINE: Duration = Duration::from_secs(30);

    #[test]
    fn who_may_write_nowhere_is_denied_however_late_the_first_record_comes() {
        let refused = RDKafkaRespErr::RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED;
        let (sink, error) = given_up_over(refused);
        assert_eq!(error, sink.denied());
    }

    #[test]
    fn a_client_that_gave_up_before_the_first_record_says_why() {
        let refused = RDKafkaRespErr::RD_KAFKA_RESP_ERR_TRANSACTIONAL_ID_AUTHORIZATION_FAILED;
        let (sink, error) = given_up_over(refused);
        assert!(!error.may_be_written(sink.tally()));
        let SinkError::GaveUp { topic, reason } = error else {
            panic!("{error:?}");
        };
        assert_eq!(topic, "stock");
        assert!(reason.contains("Transactional Id authorization failed"), "{reason}");
    }

    /// What the first record meets when the client was refused the id of a producer before.
    fn given_up_over(refused: RDKafkaRespErr) -> (Sink, SinkError) {
        let broker = EmbeddedBroker::start(&[("stock", 1)]).expect("the embedded broker starts");
        broker
            .fail_requests(RDKafkaApiKey::InitProducerId, &[refused; 100])
            .expect("injected");
        let options = SinkOptions::single("stock");
        let mut sink = Sink::open(&broker.connection(), options, &Stop::default()).expect("opened");
        let until = Instant::now() + DEADLINE;
        while sink.end().is_none() {
            assert!(Instant::now() < until, "the client does not give up");
            sink.poll().expect("nothing was sent");
            std::thread::yield_now();
        }
        let error = sink.send(&received()).expect_err("refused");
        (sink, error)
    }

    fn received() -> StockReceived {
        let options = StockOptions {
            source: "test".to_owned(),
            event_id: None,
            occurred_at: None,
        };
        stock::received("85123A", 1, &options).expect("sound")
    }
}
