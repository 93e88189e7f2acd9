//! Decoded records of topics, in order, read in no group: what a consumer would see, without moving any consumer.

mod record;
mod span;
mod start;

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use orderflow_runtime::kafka::{self, Connection, Operation, Right};
use orderflow_schemas::registry::Reader;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::KafkaError;
use rdkafka::message::BorrowedMessage;
use rdkafka::{Message as _, Offset, TopicPartitionList};

pub use record::TailRecord;
pub use span::Span;
pub use start::{InvalidStart, Start};

use super::client::{self, Listener};
use super::error::Error;

/// How long a partition that holds more may give nothing before reading ends with an error.
const STALLED: Duration = Duration::from_secs(30);

/// What to read.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// The topics, in the order they are read.
    pub topics: Vec<String>,
    /// Where each partition begins.
    pub start: Start,
    /// Only this partition of each topic.
    pub partition: Option<i32>,
    /// Only records with this key. Unless `partition` says another, only the partition is read in which a producer that
    /// follows the contract (`murmur2`) puts the key.
    pub key: Option<String>,
    /// At most that many records.
    pub count: Option<u64>,
    /// Goes on with what is produced from now on, instead of ending where the topics ended at the beginning.
    pub follow: bool,
    /// What reads the values.
    pub reader: Reader,
}

/// What [`Tail::next`] found.
#[derive(Debug)]
pub enum Next {
    /// A record. By topic, partition and offset until the end that the topics had at the beginning; as they arrive after.
    Record(Box<TailRecord>),
    /// None within the time given; ask again.
    Idle,
    /// The last one was read.
    End,
}

/// A reading of topics.
pub struct Tail {
    connection: Connection,
    consumer: BaseConsumer<Listener>,
    searched: Vec<Span>,
    /// What is left to read up to the ends; the first is being read when `assigned`.
    left: VecDeque<Span>,
    assigned: bool,
    following: bool,
    key: Option<String>,
    wanted: u64,
    follow: bool,
    reader: Reader,
    last_progress: Instant,
}

impl std::fmt::Debug for Tail {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Tail")
            .field("searched", &self.searched)
            .field("left", &self.left)
            .finish_non_exhaustive()
    }
}

impl Tail {
    /// Looks up where the topics begin and end. The ends are fixed here: without [`Options::follow`], what is produced
    /// later is not read.
    ///
    /// # Errors
    /// [`Error::Unreachable`], [`Error::NoTopic`], [`Error::NoPartition`], or what a broker refuses.
    pub fn open(connection: &Connection, options: Options) -> Result<Self, Error> {
        let defaults = [
            // A name for the client library, which assigns nothing without one. No group is joined and nothing committed.
            ("group.id", "orderflow-tail"),
            ("enable.auto.commit", "false"),
            ("enable.auto.offset.store", "false"),
            ("enable.partition.eof", "true"),
            ("isolation.level", "read_committed"),
            // What retention deleted between looking up the beginning and reading it is passed over.
            ("auto.offset.reset", "earliest"),
            ("fetch.wait.max.ms", "50"),
        ];
        let consumer = client::reader(connection, &defaults)?;
        let searched = span::lookup(connection, &consumer, &options)?;
        Ok(Self {
            connection: connection.clone(),
            left: searched.iter().filter(|span| span.next < span.end).cloned().collect(),
            searched,
            consumer,
            assigned: false,
            following: false,
            key: options.key,
            wanted: options.count.unwrap_or(u64::MAX),
            follow: options.follow,
            reader: options.reader,
            last_progress: Instant::now(),
        })
    }

    /// What is searched: each partition, where reading it begins and where it ended when it began.
    #[must_use]
    pub fn searched(&self) -> &[Span] {
        &self.searched
    }

    /// The next record; waits for it at most `wait`.
    ///
    /// # Errors
    /// [`Error::Stalled`] when a partition gives nothing for 30 s although it holds more.
    pub fn next(&mut self, wait: Duration) -> Result<Next, Error> {
        let deadline = Instant::now() + wait;
        loop {
            if self.wanted == 0 || !self.assign_next()? {
                return Ok(Next::End);
            }
            if let Some(record) = self.poll(deadline.saturating_duration_since(Instant::now()))? {
                self.wanted -= 1;
                return Ok(Next::Record(record));
            }
            if Instant::now() >= deadline {
                return Ok(Next::Idle);
            }
        }
    }

    /// Makes sure that something is being read; false when everything was.
    fn assign_next(&mut self) -> Result<bool, Error> {
        if self.assigned {
            return Ok(true);
        }
        let following = self.left.is_empty();
        if following && !self.follow {
            return Ok(false);
        }
        let mut partitions = TopicPartitionList::new();
        let ends = self.searched.iter().map(|span| (span, span.end));
        let first = self.left.iter().take(1).map(|span| (span, span.next));
        let chosen: Vec<_> = if following { ends.collect() } else { first.collect() };
        for (span, offset) in chosen {
            let offset = Offset::Offset(offset);
            partitions
                .add_partition_offset(&span.topic, span.partition, offset)
                .map_err(|error| self.error(&error))?;
        }
        self.consumer.assign(&partitions).map_err(|error| self.error(&error))?;
        (self.assigned, self.following, self.last_progress) = (true, following, Instant::now());
        Ok(true)
    }

    fn poll(&mut self, wait: Duration) -> Result<Option<Box<TailRecord>>, Error> {
        let found = match self.consumer.poll(wait) {
            Some(Ok(message)) => Found::of(&message, self.left.front(), self.key.as_deref(), &self.reader),
            Some(Err(KafkaError::PartitionEOF(_))) => self.end_of_partition(),
            Some(Err(error)) if kafka::is_topic_denial(&error) => return Err(self.denied()),
            Some(Err(error)) => {
                tracing::debug!("reading: {error}");
                Found::Nothing
            }
            None => Found::Nothing,
        };
        match found {
            Found::Record(record) => {
                self.advance(record.offset + 1);
                Ok(Some(record))
            }
            Found::Other(offset) => {
                self.advance(offset + 1);
                Ok(None)
            }
            Found::End => {
                self.advance(i64::MAX);
                Ok(None)
            }
            Found::Nothing => self.check_progress().map(|()| None),
        }
    }

    /// The event names no topic, so the position says whether the partition being read is meant. Behind the last record
    /// there may be marks of transactions, which no record brings the position over.
    fn end_of_partition(&self) -> Found {
        let reached = self.left.front().is_some_and(|span| {
            let positions = self.consumer.position().unwrap_or_default();
            let position = positions
                .find_partition(&span.topic, span.partition)
                .and_then(|found| found.offset().to_raw());
            position.is_some_and(|position| position >= span.end)
        });
        if reached { Found::End } else { Found::Nothing }
    }

    /// Notes that everything before `next` of the partition being read is done.
    fn advance(&mut self, next: i64) {
        self.last_progress = Instant::now();
        if let Some(span) = self.left.front_mut() {
            span.next = next;
            if span.next >= span.end {
                self.left.pop_front();
                self.assigned = false;
            }
        }
    }

    fn check_progress(&self) -> Result<(), Error> {
        match self.left.front() {
            Some(span) if self.last_progress.elapsed() > STALLED => Err(Error::Stalled {
                topic: span.topic.clone(),
                partition: span.partition,
                offset: span.next,
                seconds: STALLED.as_secs(),
                cause: self.consumer.context().heard(),
            }),
            _ => Ok(()),
        }
    }

    /// Reading a topic is refused: the one that is being read.
    fn denied(&self) -> Error {
        let span = self.left.front().or(self.searched.first());
        let topic = span.map_or("", |span| &span.topic);
        client::forbidden(&self.connection, Right::topic(Operation::Read, topic))
    }

    fn error(&self, error: &KafkaError) -> Error {
        client::answer(
            &self.connection,
            self.consumer.context().heard(),
            "assigning partitions",
            error,
        )
    }
}

/// What one poll brought.
enum Found {
    Record(Box<TailRecord>),
    /// A record with another key, at this offset.
    Other(i64),
    /// All of the partition being read was read.
    End,
    Nothing,
}

impl Found {
    fn of(message: &BorrowedMessage<'_>, reading: Option<&Span>, key: Option<&str>, reader: &Reader) -> Self {
        match reading {
            // Left over from the assignment before this one.
            Some(span) if span.partition != message.partition() || span.topic != message.topic() => Self::Nothing,
            // Produced after the end was looked up.
            Some(span) if message.offset() >= span.end => Self::End,
            _ if key.is_some_and(|key| message.key() != Some(key.as_bytes())) => Self::Other(message.offset()),
            _ => Self::Record(Box::new(TailRecord::of(message, reader))),
        }
    }
}
