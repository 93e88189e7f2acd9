//! A broker with the topics, what to put into them, and what to look at.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use orderflow_domain::{
    CustomerId, Event, EventId, Item, Meta, OrderId, OrderPlaced, ProductId, StockReceived, Timestamp,
};
use orderflow_runtime::embedded::EmbeddedBroker;
use orderflow_runtime::store::Reader;
use orderflow_runtime::store::sqlite::{SqliteOptions, SqliteStore};
use orderflow_runtime::{Handler, Service, ServiceError, Settings, derive_id};
use orderflow_schemas::{Contract as _, encode};
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};
use rdkafka::{Message as _, Offset, TopicPartitionList};
use tempfile::TempDir;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

pub(crate) const PRODUCTS: [&str; 5] = ["71053", "84406B", "85123A", "84029E", "22752"];

const PARTITIONS: i32 = 3;

/// Groups form slowly on the embedded broker, and the machine may have other work.
const PATIENCE: Duration = Duration::from_mins(1);

/// 2010-12-01T08:26:00Z, milliseconds.
const TIME: i64 = 1_291_191_960_000;

const DEAD_LETTERS: [&str; 3] = ["orders.inventory.dlq", "stock.inventory.dlq", "orders.payment.dlq"];

pub(crate) struct Cluster {
    pub(crate) broker: EmbeddedBroker,
    pub(crate) settings: Settings,
    folder: TempDir,
}

/// A service that runs until it is told to end.
pub(crate) struct Running {
    end: oneshot::Sender<()>,
    service: JoinHandle<Result<(), ServiceError>>,
}

impl Cluster {
    pub(crate) fn start() -> Self {
        let redrive = [
            "orders.inventory.redrive",
            "stock.inventory.redrive",
            "orders.payment.redrive",
        ];
        let topics = ["orders", "stock", "inventory", "payments"].into_iter();
        let topics: Vec<_> = topics
            .chain(redrive)
            .chain(DEAD_LETTERS)
            .map(|name| (name, PARTITIONS))
            .collect();
        Self {
            broker: EmbeddedBroker::start(&topics).expect("a broker"),
            settings: EmbeddedBroker::settings(Settings::default()),
            folder: TempDir::new().expect("a folder"),
        }
    }

    pub(crate) fn run<H: Handler>(&self, make: impl FnOnce(&Path) -> (Service<H>, PathBuf)) -> Running {
        let (service, database) = make(self.folder.path());
        let service = service.settings(self.settings.clone());
        let store = SqliteStore::open(&database, &SqliteOptions::default()).expect("a database");
        let (end, ended) = oneshot::channel();
        let connection = self.broker.connection();
        let service = tokio::spawn(async move {
            let shutdown = async { drop(ended.await) };
            service.run(connection, store, shutdown).await
        });
        Running { end, service }
    }

    pub(crate) fn produce(&self, events: impl Iterator<Item = Event>) {
        let producer = self
            .broker
            .connection()
            .client(&[("partitioner", "murmur2_random")])
            .create();
        let producer: BaseProducer = producer.expect("a producer");
        for event in events {
            let (mut value, key) = (Vec::new(), event.key());
            encode(&event, &mut value);
            let topic = event.event_type().topic().default_name();
            let record = BaseRecord::to(topic).key(&*key).payload(&value).timestamp(TIME);
            producer.send(record).map_err(|(error, _)| error).expect("queued");
        }
        producer.flush(PATIENCE).expect("acknowledged");
    }

    /// Every event of a topic.
    pub(crate) fn read(&self, topic: &str) -> Vec<Event> {
        let mut events = Vec::new();
        self.each_value(topic, |value| {
            events.push(orderflow_schemas::decode(value).expect("an event"));
        });
        events
    }

    /// How many dead letters there are.
    pub(crate) fn parked(&self) -> u64 {
        let mut count = 0;
        for topic in DEAD_LETTERS {
            self.each_value(topic, |_| count += 1);
        }
        count
    }

    fn each_value(&self, topic: &str, mut see: impl FnMut(&[u8])) {
        let client: BaseConsumer = self
            .broker
            .connection()
            .client(&[("group.id", "test")])
            .create()
            .expect("a client");
        let mut from = TopicPartitionList::new();
        let mut left = 0;
        for partition in 0..PARTITIONS {
            let offset = Offset::Beginning;
            from.add_partition_offset(topic, partition, offset)
                .expect("a partition");
            left += client
                .fetch_watermarks(topic, partition, PATIENCE)
                .expect("watermarks")
                .1;
        }
        client.assign(&from).expect("assigned");
        let until = Instant::now() + PATIENCE;
        while left > 0 && Instant::now() < until {
            if let Some(Ok(record)) = client.poll(Duration::from_millis(100)) {
                see(record.payload().unwrap_or_default());
                left -= 1;
            }
        }
        assert_eq!(left, 0, "{topic} can be read to its end");
    }

    /// How many records of a topic a group has applied.
    pub(crate) fn facts_applied(&self, database: &str, topic: &str) -> usize {
        let progress = self.reader(database).progress().expect("positions");
        let of_topic = progress.iter().filter(|progress| &*progress.topic == topic);
        usize::try_from(of_topic.map(|progress| progress.counts.applied).sum::<u64>()).expect("small")
    }

    /// Facts that a service has written and not published, over all lanes.
    pub(crate) fn unpublished(&self, database: &str) -> i64 {
        let lanes = self.reader(database).lanes().expect("lanes");
        lanes.iter().map(|lane| lane.next_sequence - 1 - lane.published).sum()
    }

    pub(crate) async fn until(&self, what: &str, reached: impl Fn() -> bool) {
        let until = Instant::now() + PATIENCE;
        while !reached() {
            assert!(Instant::now() < until, "in vain: {what}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    pub(crate) fn reader(&self, database: &str) -> Reader {
        Reader::open(&self.path(database).into()).expect("a database")
    }

    pub(crate) fn path(&self, file: &str) -> PathBuf {
        self.folder.path().join(file)
    }
}

impl Running {
    pub(crate) async fn end(self) {
        self.end.send(()).expect("it runs still");
        self.service.await.expect("no panic").expect("an orderly end");
    }
}

pub(crate) fn order_id(n: u64) -> OrderId {
    OrderId(derive_id(TIME, &[b"order", &n.to_be_bytes()]))
}

pub(crate) fn order(n: u64, token: &str) -> OrderPlaced {
    let product = |at: u64| PRODUCTS[usize::try_from(at % 5).expect("small")];
    let item = |at, quantity| Item {
        product_id: ProductId(product(at).into()),
        quantity,
        unit_price_minor: 255,
    };
    let items = vec![item(n, 3), item(n / 5, 4)];
    OrderPlaced {
        meta: meta(b"placed", n, order_id(n).to_string()),
        order_id: order_id(n),
        customer_id: Some(CustomerId("17850".into())),
        currency: "GBP".parse().expect("a currency"),
        items,
        total_minor: 7 * 255,
        payment_token: token.into(),
        placed_at: Timestamp(TIME * 1_000),
    }
}

pub(crate) fn received(n: usize, product: &str, quantity: i64) -> Event {
    Event::StockReceived(StockReceived {
        meta: meta(b"received", n as u64, product.to_owned()),
        product_id: ProductId(product.into()),
        quantity,
    })
}

fn meta(what: &[u8], n: u64, correlation_id: String) -> Meta {
    Meta {
        event_id: EventId(derive_id(TIME, &[what, &n.to_be_bytes()])),
        occurred_at: Timestamp(TIME * 1_000),
        correlation_id,
        causation_id: None,
        source: "orderflow/test".into(),
    }
}

pub(crate) fn order_of(event: &Event) -> OrderId {
    match event {
        Event::InventoryReserved(event) => event.order_id,
        Event::InventoryUnavailable(event) => event.order_id,
        Event::PaymentProcessed(event) => event.order_id,
        Event::PaymentFailed(event) => event.order_id,
        Event::OrderPlaced(_) | Event::StockReceived(_) | Event::StockAdjusted(_) => panic!("no outcome: {event:?}"),
    }
}

pub(crate) fn units_reserved(event: &Event) -> i64 {
    match event {
        Event::InventoryReserved(event) => event.reservations.iter().map(|held| held.quantity).sum(),
        _ => 0,
    }
}
