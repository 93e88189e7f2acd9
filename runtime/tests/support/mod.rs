//! A service that is nothing but what the tests need, on a broker in the process.

#![allow(
    dead_code,
    reason = "each test file is a program of its own and uses its part of this"
)]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use orderflow_runtime::effects::{BoxFuture, Callers};
use orderflow_runtime::embedded::EmbeddedBroker;
use orderflow_runtime::observer::{Logging, Observer};
use orderflow_runtime::store::sqlite::{SqliteOptions, SqliteReader, SqliteStore};
use orderflow_runtime::store::{Store, StoreError};
use orderflow_runtime::{
    Answered, Cause, Decision, Decoded, Dependencies, Dependency, Effect, Entity, Fact, Fired, Handler, Reason, Record,
    Refusal, Rows, Service, ServiceError, Settings, Timer, Topics, Wanted,
};
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::{Header, Headers, Message, OwnedHeaders, OwnedMessage};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use uuid::Uuid;

pub(crate) const PARTITIONS: i32 = 3;

/// How long anything may take before a test gives up on it.
const PATIENCE: Duration = Duration::from_secs(40);

/// What was said about each key, in order.
const SAID: Entity<Vec<String>> = Entity::new("said", 0);

/// Remembers each word under its key and says it again. The word `panic` panics, `startle` panics in the hint, `refuse` is
/// refused unless something was said before, `first-shaky` would stop the service the first
/// three times it is decided on, `first-lost` stops it unless something was said
/// before, `book-7` cannot be read without book 7. `twice` is said twice under one id, which no database takes. After
/// `later-500` a timer is due half a second after the record's time, and `rang` is said. After `ask` somebody outside is asked, and the
/// answer is said.
pub(crate) struct Echo(Arc<Library>);

/// Lends books while it is open; it has all but number 404.
#[derive(Debug, Default)]
pub(crate) struct Library {
    lent: Mutex<BTreeMap<u64, bool>>,
    pub(crate) closed: AtomicBool,
    pub(crate) asked: AtomicUsize,
    /// How often `first-shaky` was decided on.
    shaken: AtomicUsize,
}

impl Dependencies for Library {
    fn fetch(&self, wanted: Dependency) -> BoxFuture<'_, Result<(), String>> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        let answer = if self.closed.load(Ordering::SeqCst) {
            Err("closed".to_owned())
        } else {
            self.lent.lock().expect("a shelf").insert(wanted.id, wanted.id != 404);
            Ok(())
        };
        Box::pin(std::future::ready(answer))
    }
}

#[derive(Debug)]
pub(crate) struct Word {
    key: String,
    word: String,
}

impl Handler for Echo {
    type Event = Word;

    /// A value is an id, a space and a word.
    fn decode(&self, record: &Record<'_>) -> Result<Decoded<Word>, Refusal> {
        let text = std::str::from_utf8(record.value.unwrap_or_default()).unwrap_or_default();
        let Some((id, word)) = text.split_once(' ') else {
            return Err(Refusal::new(
                Reason::Truncated,
                format!("{text:?} is not an id and a word"),
            ));
        };
        if word == "ignore" {
            return Ok(Decoded::Skip);
        }
        if let Some(id) = word.strip_prefix("book-").and_then(|id| id.parse().ok()) {
            match self.0.lent.lock().expect("a shelf").get(&id) {
                Some(true) => {}
                Some(false) => return Err(Refusal::new(Reason::UnknownSchema, "no such book")),
                None => return Ok(Decoded::Lacks(Dependency { kind: "book", id })),
            }
        }
        let id: Uuid = id.parse().map_err(|_| Refusal::new(Reason::BadMagic, "not an id"))?;
        let key = String::from_utf8_lossy(record.key.unwrap_or_default()).into_owned();
        Ok(Decoded::Event {
            id,
            event: Word {
                key,
                word: word.to_owned(),
            },
        })
    }

    /// Names none, so that every decision is asked for twice; but takes for granted that nothing was said before `first`,
    /// and before what is refused then.
    fn rows(&self, event: &Word, wanted: &mut Wanted<'_>) {
        assert_ne!(event.word, "startle", "asked to");
        if event.word == "refuse" || event.word.starts_with("first") {
            wanted.absent(SAID, &event.key);
        }
    }

    fn decide(&self, cause: &Cause, event: &Word, rows: &Rows) -> Result<Decision, Refusal> {
        let mut said = rows.get(SAID, &event.key).cloned().unwrap_or_default();
        match event.word.as_str() {
            "refuse" if said.is_empty() => return Err(Refusal::new(Reason::InvalidOrder, "nothing was said before")),
            "panic" => panic!("asked to"),
            word => said.push(word.to_owned()),
        }
        let later = event
            .word
            .strip_prefix("later-")
            .and_then(|wait| wait.parse::<i64>().ok());
        let shaky = event.word == "first-shaky" && self.0.shaken.fetch_add(1, Ordering::SeqCst) < 3;
        let nowhere = shaky || event.word == "first-lost" && said.len() == 1;
        let mut decision = Decision::new();
        let fact = Fact::new(
            cause.derive(0),
            if nowhere { "nowhere" } else { "echo" }.into(),
            event.key.as_str(),
            event.word.clone().into(),
        );
        if event.word == "twice" {
            decision.emit(fact.clone());
        }
        decision.emit(fact);
        if event.word == "ask" {
            decision.ask(Effect {
                id: cause.derive(2),
                kind: "question",
                idempotency_key: cause.id.to_string(),
                subject: event.key.clone(),
                request: Vec::new(),
            });
        }
        if let Some(wait) = later {
            decision.arm(Timer {
                id: cause.derive(1),
                kind: "later",
                subject: event.key.clone(),
                due: cause.time + wait,
            });
        }
        decision.put(SAID, event.key.as_str(), said);
        Ok(decision)
    }

    fn answer(&self, _cause: &Cause, answered: &Answered<'_>, rows: &Rows) -> Result<Decision, Refusal> {
        let mut said = rows.get(SAID, answered.subject).cloned().unwrap_or_default();
        said.push(String::from_utf8_lossy(answered.answer).into_owned());
        let mut decision = Decision::new();
        decision.put(SAID, answered.subject, said);
        Ok(decision)
    }

    fn timer(&self, cause: &Cause, fired: &Fired<'_>, rows: &Rows) -> Result<Decision, Refusal> {
        let mut said = rows.get(SAID, fired.subject).cloned().unwrap_or_default();
        said.push("rang".to_owned());
        let mut decision = Decision::new();
        decision.emit(Fact::new(cause.derive(0), "echo".into(), fired.subject, "rang".into()));
        decision.put(SAID, fired.subject, said);
        Ok(decision)
    }
}

/// A broker with the topics of [`Echo`], and a folder for its database.
pub(crate) struct World {
    pub(crate) broker: EmbeddedBroker,
    folder: tempfile::TempDir,
    pub(crate) settings: Settings,
    pub(crate) library: Arc<Library>,
    pub(crate) observer: Arc<dyn Observer>,
    pub(crate) callers: Callers,
}

impl World {
    pub(crate) fn new() -> Self {
        let names = ["words", "words.echo.redrive", "words.echo.dlq", "echo"];
        let broker = EmbeddedBroker::start(&names.map(|name| (name, PARTITIONS))).expect("a broker");
        let folder = tempfile::tempdir().expect("a folder");
        Self {
            broker,
            folder,
            settings: EmbeddedBroker::settings(Settings::default()),
            library: Arc::default(),
            observer: Arc::new(Logging::default()),
            callers: Callers::none(),
        }
    }

    pub(crate) fn database(&self) -> PathBuf {
        self.folder.path().join("echo.db")
    }

    /// Runs the service until `done` holds of its database. Fails the test when it never does.
    pub(crate) fn run_until(&self, done: impl Fn(&SqliteReader) -> bool + Send + Sync) {
        let database = self.database();
        let ended =
            self.run(async move { until(|| SqliteReader::open(&database).is_ok_and(|reader| done(&reader))).await });
        assert_eq!(ended, Ok(()));
    }

    /// Runs the service until it ends by itself, which it must, and says why it did.
    pub(crate) fn run_to_its_end(&self) -> ServiceError {
        let ended = self.run(async { tokio::time::sleep(PATIENCE).await });
        ended.expect_err("the service should have stopped by itself")
    }

    fn run(&self, shutdown: impl Future<Output = ()> + Send) -> Result<(), ServiceError> {
        self.run_on(self.store(), shutdown)
    }

    pub(crate) fn store(&self) -> SqliteStore {
        SqliteStore::open(&self.database(), &SqliteOptions::default()).expect("a database")
    }

    /// Runs the service on a store until `shutdown` says so, or it ends by itself.
    pub(crate) fn run_on(
        &self,
        store: impl Store,
        shutdown: impl Future<Output = ()> + Send,
    ) -> Result<(), ServiceError> {
        let runtime = tokio::runtime::Runtime::new().expect("a runtime");
        runtime.block_on(self.service().run(self.broker.connection(), store, shutdown))
    }

    /// Runs the service until `done`, and then waits for it no longer; returns when the database is free again.
    pub(crate) fn abandon_when(&self, done: impl Fn(&SqliteReader) -> bool + Send + Sync) {
        let (database, options) = (self.database(), SqliteOptions::default());
        let runtime = tokio::runtime::Runtime::new().expect("a runtime");
        runtime.block_on(async {
            let running = self
                .service()
                .run(self.broker.connection(), self.store(), std::future::pending());
            tokio::select! {
                ended = running => panic!("{ended:?}"),
                () = until(|| SqliteReader::open(&database).is_ok_and(|reader| done(&reader))) => {}
            }
            until(|| SqliteStore::open(&database, &options).is_ok()).await;
        });
    }

    fn service(&self) -> Service<Echo> {
        let topics = Topics {
            reads: vec!["words".into()],
            writes: vec!["echo".into()],
        };
        Service::new("echo", topics, Echo(Arc::clone(&self.library)))
            .settings(self.settings.clone())
            .observer(Arc::clone(&self.observer))
            .callers(self.callers.clone())
            .dependencies(Arc::clone(&self.library) as Arc<dyn Dependencies>)
    }

    /// Produces records, in order, and waits until the broker has them.
    pub(crate) fn send(&self, records: &[Sent]) {
        let config = self
            .broker
            .connection()
            .client(&[("partitioner", "murmur2_random"), ("linger.ms", "1")]);
        let producer: BaseProducer = config.create().expect("a producer");
        for sent in records {
            let mut record = BaseRecord::to(sent.topic).key(&sent.key).headers(sent.headers.clone());
            record.partition = sent.partition;
            record.payload = sent.value.as_deref();
            record.timestamp = sent.timestamp;
            producer
                .send(record)
                .map_err(|(error, _)| error)
                .expect("room for a record");
        }
        producer.flush(PATIENCE).expect("every record is acknowledged");
    }

    /// How many records of the topic are handled, as the group was told.
    pub(crate) fn told(&self) -> i64 {
        let config = self.broker.connection().client(&[("group.id", "echo")]);
        let consumer: BaseConsumer = config.create().expect("a consumer");
        let mut list = TopicPartitionList::new();
        list.add_partition_range("words", 0, PARTITIONS - 1);
        let told = consumer.committed_offsets(list, PATIENCE).expect("the group's offsets");
        told.elements()
            .iter()
            .filter_map(|at| at.offset().to_raw().filter(|offset| *offset > 0))
            .sum()
    }

    /// Everything in a topic, partition by partition, each in order.
    pub(crate) fn read(&self, topic: &str) -> Vec<OwnedMessage> {
        let config = self
            .broker
            .connection()
            .client(&[("group.id", "test"), ("enable.partition.eof", "true")]);
        let consumer: BaseConsumer = config.create().expect("a consumer");
        (0..PARTITIONS)
            .flat_map(|partition| read_partition(&consumer, topic, partition))
            .collect()
    }
}

fn read_partition(consumer: &BaseConsumer, topic: &str, partition: i32) -> Vec<OwnedMessage> {
    let (low, high) = consumer
        .fetch_watermarks(topic, partition, PATIENCE)
        .expect("watermarks");
    let mut list = TopicPartitionList::new();
    list.add_partition_offset(topic, partition, Offset::Beginning)
        .expect("a place");
    consumer.assign(&list).expect("assigned");
    let deadline = Instant::now() + PATIENCE;
    let mut records = Vec::new();
    while records.len() < usize::try_from(high - low).expect("a count") {
        assert!(
            Instant::now() < deadline,
            "{topic}/{partition} has {high} records, {} came",
            records.len()
        );
        if let Some(Ok(record)) = consumer.poll(Duration::from_millis(100)) {
            records.push(record.detach());
        }
    }
    records
}

/// A record to be produced.
#[derive(Debug, Clone)]
pub(crate) struct Sent {
    topic: &'static str,
    key: String,
    value: Option<Vec<u8>>,
    headers: OwnedHeaders,
    partition: Option<i32>,
    timestamp: Option<i64>,
}

/// The word under the key, as the event of number `id`.
pub(crate) fn word(id: u128, key: &str, word: &str) -> Sent {
    raw(key, format!("{} {word}", Uuid::from_u128(id)).as_bytes())
}

/// A record of these bytes.
pub(crate) fn raw(key: &str, value: &[u8]) -> Sent {
    Sent {
        topic: "words",
        key: key.to_owned(),
        value: Some(value.to_vec()),
        headers: OwnedHeaders::new(),
        partition: None,
        timestamp: None,
    }
}

impl Sent {
    /// The same, to a partition that its key does not choose.
    pub(crate) fn on_partition(self, partition: i32) -> Self {
        Self {
            partition: Some(partition),
            ..self
        }
    }

    /// The same with another header, behind those it has.
    pub(crate) fn with(mut self, key: &str, value: &str) -> Self {
        let value = Some(value);
        self.headers = self.headers.insert(Header { key, value });
        self
    }

    /// The same with this as its time, in milliseconds since 1970-01-01 UTC.
    pub(crate) fn at(mut self, millis: i64) -> Self {
        self.timestamp = Some(millis);
        self
    }
}

/// A dead letter, given back to the group as it is.
pub(crate) fn redriven(letter: &OwnedMessage) -> Sent {
    let headers = letter.headers().cloned().unwrap_or_default();
    let key = String::from_utf8_lossy(letter.key().unwrap_or_default()).into_owned();
    Sent {
        topic: "words.echo.redrive",
        key,
        value: letter.payload().map(Vec::from),
        headers,
        partition: None,
        timestamp: None,
    }
}

pub(crate) fn header(record: &OwnedMessage, name: &str) -> Option<String> {
    let headers = record.headers()?;
    let value = headers.iter().filter(|Header { key, .. }| *key == name).last()?.value?;
    Some(String::from_utf8_lossy(value).into_owned())
}

/// What was said about a key, as the database has it.
pub(crate) fn said(reader: &SqliteReader, key: &str) -> Vec<String> {
    let row = reader.row("said", key).expect("a readable row");
    row.map(|(_, body)| serde_json::from_slice(&body).expect("a list of words"))
        .unwrap_or_default()
}

/// When each timer is due that has not fired, as the database has it.
pub(crate) fn armed(reader: &SqliteReader) -> Vec<i64> {
    let mut due = Vec::new();
    let each = reader.each_timer(|timer| {
        due.push(timer.due);
        Ok::<_, StoreError>(())
    });
    each.expect("readable timers");
    due
}

/// Records handled so far: applied, duplicate, dead, skipped.
pub(crate) fn counts(reader: &SqliteReader) -> [u64; 4] {
    let progress = reader.progress().expect("progress");
    progress.iter().map(|at| at.counts).fold([0; 4], |sum, counts| {
        let more = [counts.applied, counts.duplicate, counts.dead, counts.skipped];
        std::array::from_fn(|at| sum[at] + more[at])
    })
}

pub(crate) fn handled(reader: &SqliteReader) -> u64 {
    counts(reader).iter().sum()
}

/// Whether everything made is recorded as published.
pub(crate) fn published(reader: &SqliteReader) -> Result<bool, StoreError> {
    Ok(reader
        .lanes()?
        .iter()
        .all(|lane| lane.published + 1 >= lane.next_sequence))
}

pub(crate) fn open(path: &Path) -> SqliteReader {
    SqliteReader::open(path).expect("a database to read")
}

/// Returns once `done` holds. Panics when it never does.
pub(crate) async fn until(done: impl Fn() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !done() {
        assert!(Instant::now() < deadline, "not done in time");
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}
