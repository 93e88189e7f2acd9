//! One producer client: how it is configured, given rows, asked for acknowledgements, and thrown away.

use std::fmt::Write as _;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use rdkafka::ClientContext;
use rdkafka::Message as _;
use rdkafka::client::OAuthToken;
use rdkafka::config::{ClientConfig, RDKafkaLogLevel};
use rdkafka::error::KafkaError;
use rdkafka::message::{Header, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, DeliveryResult, Producer, ProducerContext, PurgeConfig};
use rdkafka::types::RDKafkaErrorCode as Code;

use crate::kafka::{self, Connection, Lately, Tokens};
use crate::settings::Settings;
use crate::store::{Lane, OutboxRow, Sequence};

use super::RelayError;
use super::refusal::{Refusal, remedy};

/// Records in librdkafka's queue and on the wire. A record with a dozen headers takes about 2 KiB there, so these are
/// 8 MiB; at 100,000 records/s they cover a round trip of 40 ms.
pub(super) const QUEUED_RECORDS: usize = 4_000;

/// Values in librdkafka's queue, KiB: bounds what few large records take, as [`QUEUED_RECORDS`] bounds many small ones.
pub(super) const QUEUED_KIBIBYTES: usize = 131_072;

/// Largest record the client sends, bytes: whatever a consumer could fetch. What is refused as oversized must still fit
/// as a dead letter; facts are bounded before they are written.
const LARGEST_RECORD: &str = "100000000";

/// How long a client that is thrown away may take to report what it purged.
const PURGE: Duration = Duration::from_millis(300);

/// Headers a fact typically has; one allocation holds their list.
const HEADERS: usize = 20;

/// Everything a client is made of; the next client is made of the same.
pub(super) struct Recipe {
    config: ClientConfig,
    tokens: Tokens,
    group: Arc<str>,
}

impl Recipe {
    pub(super) fn new(connection: &Connection, settings: &Settings, group: Arc<str>) -> Result<Self, RelayError> {
        if let Some(name) = connection.forbidden_property() {
            return Err(RelayError::Forbidden(name.to_owned()));
        }
        let micros = settings.linger.as_micros();
        let linger = format!("{}.{:03}", micros / 1_000, micros % 1_000);
        let defaults = [
            ("enable.idempotence", "true"),
            ("enable.gapless.guarantee", "true"),
            ("acks", "all"),
            ("message.timeout.ms", "0"),
            ("max.in.flight.requests.per.connection", "5"),
            ("compression.codec", &settings.compression),
            ("linger.ms", &linger),
            ("message.max.bytes", LARGEST_RECORD),
            ("queue.buffering.max.messages", &QUEUED_RECORDS.to_string()),
            ("queue.buffering.max.kbytes", &QUEUED_KIBIBYTES.to_string()),
            ("log.connection.close", "false"),
        ];
        let defaults: Vec<_> = defaults.into_iter().filter(|d| !renamed(connection, d.0)).collect();
        let config = connection.client(&defaults);
        Ok(Self {
            config,
            tokens: connection.tokens(),
            group,
        })
    }
}

/// Whether the user set the property under its other name: of two names for one property, either could win.
fn renamed(connection: &Connection, name: &str) -> bool {
    const ALIASES: [(&str, &str); 3] = [
        ("compression.codec", "compression.type"),
        ("linger.ms", "queue.buffering.max.ms"),
        ("max.in.flight.requests.per.connection", "max.in.flight"),
    ];
    ALIASES
        .iter()
        .any(|(ours, theirs)| *ours == name && connection.properties.contains_key(*theirs))
}

/// One client, from its making to its end.
pub(super) struct Session {
    producer: BaseProducer<Inbox>,
    group: Arc<str>,
    lane: String,
    sequence: String,
}

/// Why a row was not taken.
pub(super) enum NotTaken {
    /// The client has as much as it may hold: offer the row again later.
    Full,
    /// The client is of no more use.
    Broken,
    /// This row will not be taken.
    Refused(Refusal),
}

/// What came back from the client since it was asked last.
#[derive(Default)]
pub(super) struct Returned {
    /// Lanes and sequences, packed.
    acknowledged: Vec<usize>,
    /// The refusal that decides: a permanent one, else the first.
    pub(super) refusal: Option<Refusal>,
    /// The client reported a fatal error.
    pub(super) fatal: bool,
    /// What librdkafka complained of last: brokers away, wrong credentials.
    pub(super) trouble: Option<String>,
}

impl Session {
    /// Makes the client. It connects by itself, in the background.
    pub(super) fn open(recipe: &Recipe) -> Result<Self, RelayError> {
        let inbox = Inbox {
            tokens: recipe.tokens.clone(),
            ..Inbox::default()
        };
        let producer = recipe.config.create_with_context(inbox).map_err(refused)?;
        Ok(Self {
            producer,
            group: Arc::clone(&recipe.group),
            lane: String::new(),
            sequence: String::new(),
        })
    }

    /// Gives the client one row, copied.
    pub(super) fn take(&mut self, lane: Lane, row: &OutboxRow) -> Result<(), NotTaken> {
        let record = BaseRecord {
            topic: &row.topic,
            partition: Some(row.partition),
            payload: row.value.as_deref(),
            key: row.key.as_deref(),
            timestamp: Some(row.timestamp),
            headers: Some(self.headers(lane, row)),
            delivery_opaque: pack(lane, row.sequence),
        };
        let Err((error, _)) = self.producer.send(record) else {
            return Ok(());
        };
        match error.rdkafka_error_code() {
            Some(Code::QueueFull) => Err(NotTaken::Full),
            Some(Code::Fatal) => Err(NotTaken::Broken),
            code => Err(NotTaken::Refused(Refusal {
                lane,
                sequence: row.sequence,
                to: (row.topic.to_string(), row.partition),
                // Only a topic's name that is no name at all is refused without a code.
                code: code.unwrap_or(Code::InvalidTopic),
            })),
        }
    }

    fn headers(&mut self, lane: Lane, row: &OutboxRow) -> OwnedHeaders {
        let mut headers = OwnedHeaders::new_with_capacity(HEADERS);
        for (key, value) in row.headers.as_slice() {
            headers = headers.insert(Header { key, value });
        }
        headers
            .insert(text("orderflow-group", &self.group))
            .insert(text("orderflow-lane", digits(&mut self.lane, i64::from(lane))))
            .insert(text("orderflow-seq", digits(&mut self.sequence, row.sequence)))
    }

    /// Takes all that the client has to report, without waiting.
    pub(super) fn collect(&self) -> Returned {
        // One poll takes one event, the acknowledgements of one request.
        self.producer.poll(Duration::ZERO);
        while std::mem::take(&mut self.inbox().news) {
            self.producer.poll(Duration::ZERO);
        }
        self.returned()
    }

    /// Whether the client still has something to deliver or to report.
    pub(super) fn is_busy(&self) -> bool {
        self.producer.in_flight_count() > 0
    }

    /// What the client says it died of, with a remedy if there is one.
    pub(super) fn fatal(&self) -> (String, Option<&'static str>) {
        match self.producer.client().fatal_error() {
            Some((code, why)) => (why, remedy(code)),
            None => ("the client reported a fatal error".to_owned(), None),
        }
    }

    /// Throws the client away, with everything it still has. What it reports meanwhile still counts: a record
    /// acknowledged is in Kafka whoever asks.
    pub(super) fn close(self) -> Returned {
        self.producer.purge(PurgeConfig::default().queue().inflight());
        let until = Instant::now() + PURGE;
        while self.is_busy() && Instant::now() < until {
            self.producer.poll(Duration::ZERO);
        }
        self.returned()
    }

    /// An error's callback names the cause of a fatal one, not that it is fatal: only the client knows.
    fn returned(&self) -> Returned {
        let mut returned = std::mem::take(&mut self.inbox().returned);
        returned.fatal = returned.trouble.is_some() && self.producer.client().fatal_error().is_some();
        returned
    }

    fn inbox(&self) -> MutexGuard<'_, Arrived> {
        self.producer.context().lock()
    }
}

impl Returned {
    /// Lane and sequence of each fact acknowledged.
    pub(super) fn acknowledged(&self) -> impl Iterator<Item = (Lane, Sequence)> {
        self.acknowledged.iter().map(|place| unpack(*place))
    }

    fn refused(&mut self, refusal: Refusal) {
        let decides = match &self.refusal {
            None => true,
            Some(earlier) => earlier.permanent().is_none() && refusal.permanent().is_some(),
        };
        if decides {
            self.refusal = Some(refusal);
        }
    }
}

/// What librdkafka's callbacks leave for the thread that polls; they run on that same thread, inside `poll`.
#[derive(Default)]
struct Inbox {
    arrived: Mutex<Arrived>,
    tokens: Tokens,
}

#[derive(Default)]
struct Arrived {
    returned: Returned,
    /// Something arrived since this was last looked at.
    news: bool,
    /// What the client said last that says most.
    why: Lately,
}

impl Inbox {
    fn lock(&self) -> MutexGuard<'_, Arrived> {
        self.arrived.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ProducerContext for Inbox {
    type DeliveryOpaque = usize;

    fn delivery(&self, result: &DeliveryResult<'_>, place: usize) {
        let mut arrived = self.lock();
        arrived.news = true;
        match result {
            Ok(_) => arrived.returned.acknowledged.push(place),
            Err((error, record)) => match error.rdkafka_error_code().unwrap_or(Code::Unknown) {
                // Our own doing: the client is being thrown away.
                Code::PurgeQueue | Code::PurgeInflight => {}
                code => {
                    let (lane, sequence) = unpack(place);
                    let to = (record.topic().to_owned(), record.partition());
                    arrived.returned.refused(Refusal {
                        lane,
                        sequence,
                        to,
                        code,
                    });
                }
            },
        }
    }
}

impl ClientContext for Inbox {
    const ENABLE_REFRESH_OAUTH_TOKEN: bool = true;

    fn generate_oauth_token(&self, _: Option<&str>) -> Result<OAuthToken, Box<dyn std::error::Error>> {
        self.tokens.fresh()
    }

    fn log(&self, level: RDKafkaLogLevel, facility: &str, line: &str) {
        kafka::log(level, facility, line);
    }

    fn error(&self, error: KafkaError, reason: &str) {
        let mut arrived = self.lock();
        arrived.news = true;
        // Follows every other failure and says less. What failed as before is itself told twice a minute only.
        let is_echo = error.rdkafka_error_code() == Some(Code::AllBrokersDown);
        if !is_echo {
            arrived.why.hear(reason);
        }
        let trouble = format!("publishing: {}", arrived.why.reason().unwrap_or(reason));
        arrived.returned.trouble = Some(trouble);
    }
}

fn text<'a>(key: &'a str, value: &'a str) -> Header<'a, &'a [u8]> {
    Header {
        key,
        value: Some(value.as_bytes()),
    }
}

fn digits(buffer: &mut String, number: i64) -> &str {
    buffer.clear();
    // Writing to a string cannot fail.
    let _infallible = write!(buffer, "{number}");
    buffer
}

/// The value is left out: it may be a password.
fn refused(error: KafkaError) -> RelayError {
    RelayError::Configuration(match error {
        KafkaError::ClientConfig(_, why, property, _) => format!("Kafka property `{property}`: {why}"),
        KafkaError::ClientCreation(why) => why,
        other => other.to_string(),
    })
}

/// Bits of a sequence in a delivery's tag: 70,000,000,000,000 facts a lane, which leaves 262,144 lanes.
const SEQUENCE_BITS: u32 = 46;

const _: () = assert!(usize::BITS == 64, "a lane and a sequence are packed into one word");

/// A lane and a sequence in the one word that librdkafka carries along with a record, so that none is allocated.
#[allow(clippy::cast_possible_truncation, reason = "a word has 64 bits, asserted above")]
fn pack(lane: Lane, sequence: Sequence) -> usize {
    (u64::from(lane.cast_unsigned()) << SEQUENCE_BITS | sequence.cast_unsigned()) as usize
}

#[allow(clippy::cast_possible_truncation, reason = "18 bits are left for the lane")]
fn unpack(place: usize) -> (Lane, Sequence) {
    let sequence = place as u64 & ((1 << SEQUENCE_BITS) - 1);
    ((place as u64 >> SEQUENCE_BITS) as Lane, sequence.cast_signed())
}
