//! A shop whose services have run, and copies of it to damage.

use std::path::Path;
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use orderflow_consumers::inventory::{self, Inventory};
use orderflow_consumers::payment::simulator::Simulator;
use orderflow_consumers::payment::{self, CHARGE, Charging, Payment};
use orderflow_operations::audit::{AuditError, Databases, Options, Report, audit};
use orderflow_runtime::effects::{Callers, EffectSettings};
use orderflow_runtime::embedded::EmbeddedBroker;
use orderflow_runtime::kafka::Connection;
use orderflow_runtime::partitioner::partition_of;
use orderflow_runtime::store::sqlite::{SqliteOptions, SqliteStore};
use orderflow_runtime::store::{Database, Reader};
use orderflow_runtime::{Service, Settings, Topics};
use orderflow_schemas::TopicNames;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::message::{Header, Headers as _, OwnedHeaders};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};
use rdkafka::{Message as _, Offset, TopicPartitionList};
use rusqlite::Connection as Sqlite;
use tempfile::TempDir;
use uuid::Uuid;

use super::story;

pub(crate) const PARTITIONS: i32 = 3;
const PATIENCE: Duration = Duration::from_secs(30);

pub(crate) const TOPICS: [&str; 10] = [
    "orders",
    "stock",
    "inventory",
    "payments",
    "orders.inventory.dlq",
    "stock.inventory.dlq",
    "orders.payment.dlq",
    "orders.inventory.redrive",
    "stock.inventory.redrive",
    "orders.payment.redrive",
];

/// A record, and where it stands.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Captured {
    pub(crate) topic: String,
    pub(crate) partition: i32,
    pub(crate) timestamp: i64,
    pub(crate) key: Option<Vec<u8>>,
    pub(crate) value: Option<Vec<u8>>,
    pub(crate) headers: Vec<(String, Option<Vec<u8>>)>,
}

impl Captured {
    pub(crate) fn keyed(topic: &str, key: &[u8], value: Vec<u8>) -> Self {
        Self {
            topic: topic.to_owned(),
            partition: partition_of(key, PARTITIONS),
            timestamp: 1_700_000_000_000,
            key: Some(key.to_vec()),
            value: Some(value),
            headers: Vec::new(),
        }
    }

    pub(crate) fn to(&self, topic: &str) -> Self {
        let topic = topic.to_owned();
        Self { topic, ..self.clone() }
    }

    pub(crate) fn header(&self, name: &str) -> Option<&[u8]> {
        let found = self.headers.iter().find(|(found, _)| found == name);
        found.and_then(|(_, value)| value.as_deref())
    }

    /// The id of its event, if it can be read.
    pub(crate) fn event_id(&self) -> Option<Uuid> {
        let event = orderflow_schemas::decode(self.value.as_deref()?).ok()?;
        Some(event.meta().event_id.0)
    }
}

/// The dead letter of an event.
pub(crate) fn letter_of(records: &[Captured], topic: &str, event: u128) -> Captured {
    let id = story::event_id(event);
    let found = records
        .iter()
        .find(|record| record.topic == topic && record.event_id() == Some(id));
    found.expect("the event has a dead letter").clone()
}

/// The story after it has happened: made once, and copied.
struct Told {
    folder: TempDir,
    records: Vec<Captured>,
}

/// A copy of the story, for one test to damage.
pub(crate) struct World {
    pub(crate) broker: EmbeddedBroker,
    pub(crate) databases: Databases,
    pub(crate) records: u64,
    folder: TempDir,
}

impl World {
    pub(crate) fn new() -> Self {
        Self::damaged(|_| {})
    }

    /// A copy whose topics were changed; records of a partition stand in the order of the list.
    pub(crate) fn damaged(damage: impl FnOnce(&mut Vec<Captured>)) -> Self {
        let told = told();
        let mut records = told.records.clone();
        damage(&mut records);
        let broker = start();
        produce(&broker.connection(), &records);
        let folder = TempDir::new().expect("a folder");
        copy(told.folder.path(), folder.path());
        Self {
            broker,
            databases: databases(folder.path()),
            records: records.len() as u64,
            folder,
        }
    }

    /// Changes a database behind the services' backs.
    pub(crate) fn change(&self, database: &str, sql: &str) {
        let changed = self.sql(database).execute(sql, []).expect("sound SQL");
        assert!(changed > 0, "nothing was changed by {sql}");
    }

    pub(crate) fn sql(&self, database: &str) -> Sqlite {
        Sqlite::open(self.folder.path().join(format!("{database}.db"))).expect("a database")
    }

    pub(crate) fn audit(&self) -> Result<Report, AuditError> {
        let timeout = Duration::from_millis(300);
        self.audit_with(&Options {
            timeout,
            ..Options::default()
        })
    }

    pub(crate) fn audit_with(&self, options: &Options) -> Result<Report, AuditError> {
        audit(
            &self.broker.connection(),
            &TopicNames::default(),
            &self.databases,
            options,
        )
    }
}

pub(crate) fn start() -> EmbeddedBroker {
    EmbeddedBroker::start(&TOPICS.map(|topic| (topic, PARTITIONS))).expect("a broker")
}

pub(crate) fn databases(folder: &Path) -> Databases {
    Databases {
        inventory: folder.join("inventory.db").into(),
        payment: folder.join("payment.db").into(),
        ledger: Some(folder.join("ledger.db")),
    }
}

fn told() -> &'static Told {
    static TOLD: OnceLock<Told> = OnceLock::new();
    TOLD.get_or_init(tell)
}

/// Runs the services over the story, chapter by chapter: what depends on one another must not race.
fn tell() -> Told {
    let (broker, folder) = (start(), TempDir::new().expect("a folder"));
    let (connection, databases) = (broker.connection(), databases(folder.path()));
    let settled = || {
        let options = Options {
            timeout: PATIENCE,
            ..Options::default()
        };
        let report = audit(&connection, &TopicNames::default(), &databases, &options).expect("a report");
        assert!(report.clean, "{:#?}", report.violated().collect::<Vec<_>>());
    };
    let services = Services::start(&connection, folder.path());
    produce(&connection, &story::goods());
    services.open(&databases);
    settled();
    produce(&connection, &story::orders());
    settled();
    produce(&connection, &story::more_goods());
    settled();
    produce(&connection, &story::redriven(&capture(&connection)));
    settled();
    services.stop();
    let mut records = capture(&connection);
    let republished = records
        .iter()
        .find(|record| record.topic == "inventory")
        .expect("a fact")
        .clone();
    records.push(republished);
    Told { folder, records }
}

/// Both services, until they are stopped.
pub(crate) struct Services {
    runtime: tokio::runtime::Runtime,
    end: tokio::sync::watch::Sender<bool>,
    running: Vec<tokio::task::JoinHandle<()>>,
}

impl Services {
    pub(crate) fn start(connection: &Connection, folder: &Path) -> Self {
        let (end, _) = tokio::sync::watch::channel(false);
        let mut services = Self {
            runtime: tokio::runtime::Runtime::new().expect("a runtime"),
            end,
            running: Vec::new(),
        };
        let inventory = Inventory::new(TopicNames::default());
        let topics = Topics {
            reads: inventory.reads(),
            writes: inventory.writes(),
        };
        let service = Service::new(inventory::GROUP, topics, inventory);
        services.run(service, connection, &folder.join("inventory.db"));

        let payment = Payment::new(TopicNames::default());
        let topics = Topics {
            reads: payment.reads(),
            writes: payment.writes(),
        };
        let gateway = Simulator::open(&folder.join("ledger.db"), 1_000_000).expect("a ledger");
        let callers = Callers::none().with(CHARGE, Charging(gateway), EffectSettings::default());
        let service = Service::new(payment::GROUP, topics, payment).callers(callers.expect("sound settings"));
        services.run(service, connection, &folder.join("payment.db"));
        services
    }

    fn run<H: orderflow_runtime::Handler>(&mut self, service: Service<H>, connection: &Connection, database: &Path) {
        let service = service.settings(EmbeddedBroker::settings(Settings::default()));
        let store = SqliteStore::open(database, &SqliteOptions::default()).expect("a database");
        let (connection, mut ending) = (connection.clone(), self.end.subscribe());
        self.running.push(self.runtime.spawn(async move {
            let shutdown = async move { drop(ending.wait_for(|end| *end).await) };
            service
                .run(connection, store, shutdown)
                .await
                .expect("the service runs until it is stopped");
        }));
    }

    /// Waits until both databases belong to their groups.
    pub(crate) fn open(&self, databases: &Databases) {
        let belongs = |database: &Database| {
            let reader = Reader::open(database).expect("a reader");
            reader.summary().expect("a summary").group.is_some()
        };
        let until = Instant::now() + PATIENCE;
        while !belongs(&databases.inventory) || !belongs(&databases.payment) {
            assert!(Instant::now() < until, "the services do not make their databases");
            assert!(
                self.running.iter().all(|task| !task.is_finished()),
                "a service has ended"
            );
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    pub(crate) fn stop(self) {
        self.end.send_replace(true);
        for task in self.running {
            self.runtime.block_on(task).expect("the service ends well");
        }
    }
}

/// Produces records where they say they stand, and waits until the broker has them.
pub(crate) fn produce(connection: &Connection, records: &[Captured]) {
    let producer: BaseProducer = connection.client(&[("linger.ms", "1")]).create().expect("a producer");
    for captured in records {
        let mut headers = OwnedHeaders::new_with_capacity(captured.headers.len());
        for (key, value) in &captured.headers {
            headers = headers.insert(Header {
                key,
                value: value.as_deref(),
            });
        }
        let mut record: BaseRecord<'_, [u8], [u8]> = BaseRecord::to(&captured.topic)
            .partition(captured.partition)
            .timestamp(captured.timestamp)
            .headers(headers);
        record.key = captured.key.as_deref();
        record.payload = captured.value.as_deref();
        producer
            .send(record)
            .map_err(|(error, _)| error)
            .expect("room for a record");
    }
    producer.flush(PATIENCE).expect("every record is acknowledged");
}

/// Every record of every topic, by topic, partition and offset.
fn capture(connection: &Connection) -> Vec<Captured> {
    let config = connection.client(&[("group.id", "capture"), ("enable.auto.commit", "false")]);
    let consumer: BaseConsumer = config.create().expect("a consumer");
    let mut captured = Vec::new();
    for topic in TOPICS {
        for partition in 0..PARTITIONS {
            let (_, end) = consumer
                .fetch_watermarks(topic, partition, PATIENCE)
                .expect("watermarks");
            let mut from = TopicPartitionList::new();
            from.add_partition_offset(topic, partition, Offset::Offset(0))
                .expect("an offset");
            consumer.assign(&from).expect("an assignment");
            for _ in 0..end {
                let message = consumer.poll(PATIENCE).expect("a record in time").expect("a record");
                captured.push(detached(&message));
            }
            consumer.unassign().expect("no assignment");
        }
    }
    captured
}

fn detached(message: &rdkafka::message::BorrowedMessage<'_>) -> Captured {
    let headers = message.headers().into_iter().flat_map(|headers| headers.iter());
    Captured {
        topic: message.topic().to_owned(),
        partition: message.partition(),
        timestamp: message.timestamp().to_millis().expect("a timestamp"),
        key: message.key().map(Vec::from),
        value: message.payload().map(Vec::from),
        headers: headers
            .map(|header| (header.key.to_owned(), header.value.map(Vec::from)))
            .collect(),
    }
}

fn copy(from: &Path, to: &Path) {
    for entry in std::fs::read_dir(from).expect("a folder") {
        let path = entry.expect("an entry").path();
        std::fs::copy(&path, to.join(path.file_name().expect("a name"))).expect("a copy");
    }
}
