//! Orders per second through a store: one durable unit of work per batch, as inventory would write it.
//!
//! Each order is let in, finds three of fifty hot rows, or of 3,375, writes a row of its own and one fact of 200 bytes with
//! headers of 600.
//!
//! On PostgreSQL too where `ORDERFLOW_TEST_POSTGRES` names a database; each run makes a schema there, which is left behind.

use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use orderflow_runtime::derive_id;
use orderflow_runtime::record::{Headers, NextOffset};
use orderflow_runtime::rows::{Entity, RowKey, StoredRow};
use orderflow_runtime::store::postgres::{PostgresAddress, PostgresOptions, PostgresStore};
use orderflow_runtime::store::sqlite::{SqliteOptions, SqliteStore};
use orderflow_runtime::store::{Arrival, Move, OutboxRow, Start, Store, Turn, Unit, Writes};
use tempfile::TempDir;
use tokio::runtime::Runtime;
use uuid::Uuid;

const TOPIC: &str = "orders";
const ORDER: Entity<u64> = Entity::new("order", 0);
const STOCK: Entity<u64> = Entity::shared("stock", 1);

/// Products that all lanes share, and how many orders of a batch meet on one of them.
const HOT: u64 = 50;
const WIDE: u64 = 3_375;
const BODY: &str = r#"{"available":1000000,"reserved":2500,"received":1002500,"adjusted":0,"shipped":0}"#;

/// One lane that takes batch after batch.
struct Lane<S> {
    store: S,
    products: u64,
    at: Turn,
    orders: u64,
    published: i64,
}

impl<S: Store> Lane<S> {
    async fn claim(store: &S, products: u64, number: i32) -> Self {
        let at = store.claim(&[number]).await.expect("claimed")[0].at;
        let start = Start {
            topic: TOPIC.into(),
            at: NextOffset::START,
        };
        store.start_at(at.owner, &[start]).await.expect("started");
        Self {
            store: store.clone(),
            products,
            at,
            orders: 0,
            published: 0,
        }
    }

    /// One batch from its lane row to its sync.
    async fn take(&mut self, batch: u64) {
        let mut unit = self.store.begin(self.at, self.published).await.expect("begun");
        self.published = unit.next_sequence() - 1;
        let moved = Move {
            topic: TOPIC.into(),
            expected: NextOffset::at(self.orders.cast_signed()),
            next: NextOffset::at((self.orders + batch).cast_signed()),
        };
        let orders: Vec<u64> = (self.orders..self.orders + batch).collect();
        let arrivals: Vec<Arrival> = orders.iter().map(|order| self.arrival(*order)).collect();
        unit.admit(&[moved], &arrivals).await.expect("admitted");
        let rows = unit.load(&self.keys(&orders)).await.expect("loaded");
        let writes = self.writes(rows, &arrivals, unit.next_sequence());
        unit.write(&writes).await.expect("written");
        unit.commit().await.expect("durable");
        self.at.turn += 1;
        self.orders += batch;
    }

    fn arrival(&self, order: u64) -> Arrival {
        Arrival {
            id: derive_id(order.cast_signed(), &[b"order", &self.at.owner.lane.to_be_bytes()]),
            hash: [7; 16],
            event_time: 1_760_000_000_000,
            redriven: None,
        }
    }

    /// Each order's own row, and every product that any of them names, in the order of locks.
    fn keys(&self, orders: &[u64]) -> Vec<RowKey> {
        let own = orders
            .iter()
            .map(|order| RowKey::new(ORDER, format!("{}-{order:012}", self.at.owner.lane)));
        let products = orders
            .iter()
            .flat_map(|order| (0..3).map(move |line| (order * 131 + line * 977) % self.products));
        let shared = products.map(|product| RowKey::new(STOCK, format!("product-{product:04}")));
        let mut keys: Vec<_> = own.chain(shared).collect();
        keys.sort();
        keys.dedup();
        keys
    }

    fn writes(&self, mut rows: Vec<StoredRow>, arrivals: &[Arrival], first: i64) -> Writes {
        for row in &mut rows {
            row.body = Some(BODY.into());
        }
        // Ids in the order of their causes, as derived ids are: random ones would cost half as much again.
        let fact = |(sequence, arrival): (i64, &Arrival)| OutboxRow {
            sequence,
            topic: "inventory".into(),
            partition: self.at.owner.lane,
            timestamp: arrival.event_time,
            event_id: derive_id(sequence, &[arrival.id.as_bytes()]),
            key: Some(arrival.id.to_string().into_bytes()),
            value: Some(vec![1; 200]),
            headers: headers(arrival.id),
            reason: None,
        };
        Writes {
            now: 1_760_000_000_000,
            rows,
            outbox: (first..).zip(arrivals).map(fact).collect(),
            ..Writes::default()
        }
    }
}

/// Those of a fact about the order of this id.
fn headers(order: Uuid) -> Headers {
    let (order, trace) = (
        order.to_string(),
        format!("00-{}-8000000000000002-01", order.as_simple()),
    );
    let mut headers = Headers::new();
    headers
        .push("ce_specversion", "1.0")
        .push("ce_id", &order)
        .push("ce_type", "orderflow.inventory.InventoryReserved")
        .push("ce_source", "orderflow/inventory")
        .push("ce_time", "2010-12-01T08:26:00.123456Z")
        .push("ce_subject", &order)
        .push("ce_correlationid", &order)
        .push("ce_causationid", &order)
        .push("content-type", "application/avro")
        .push("traceparent", &trace)
        .push("ce_traceparent", &trace);
    headers
}

/// So many lanes on one store in which all products are.
async fn lanes<S: Store>(store: &S, products: u64, count: i32) -> Vec<Lane<S>> {
    let mut lanes = Vec::new();
    for number in 0..count {
        lanes.push(Lane::claim(store, products, number).await);
    }
    let shelves = (0..products).map(|product| RowKey::new(STOCK, format!("product-{product:04}")));
    let shelves: Vec<RowKey> = shelves.collect();
    let first = &mut lanes[0];
    let mut unit = store.begin(first.at, 0).await.expect("begun");
    let rows = unit.load(&shelves).await.expect("loaded");
    let stocked = Writes {
        outbox: Vec::new(),
        ..first.writes(rows, &[], 1)
    };
    unit.write(&stocked).await.expect("written");
    unit.commit().await.expect("durable");
    first.at.turn += 1;
    lanes
}

/// One lane alone, what a batch costs; and twelve at once, what they gain or lose by one another.
fn measure<S: Store>(criterion: &mut Criterion, name: &str, open: impl AsyncFn() -> S) {
    let runtime = Runtime::new().expect("a runtime");
    for (count, products) in [(1, WIDE), (12, HOT), (12, WIDE)] {
        let mut group = criterion.benchmark_group(format!("{name}, {count} lanes, {products} products"));
        for batch in [1, 100, 500] {
            let mut made = runtime.block_on(async { lanes(&open().await, products, count).await });
            group.throughput(Throughput::Elements(batch * made.len() as u64));
            group.bench_function(BenchmarkId::from_parameter(batch), |bencher| {
                bencher.iter(|| made = runtime.block_on(all_take(std::mem::take(&mut made), batch)));
            });
        }
    }
}

fn sqlite(criterion: &mut Criterion) {
    let folder = TempDir::new().expect("a folder");
    let next = AtomicU32::new(0);
    measure(criterion, "sqlite", async || {
        let file = format!("{}.db", next.fetch_add(1, Ordering::Relaxed));
        SqliteStore::open(&folder.path().join(file), &SqliteOptions::default()).expect("opens")
    });
}

fn postgres(criterion: &mut Criterion) {
    let Ok(url) = std::env::var("ORDERFLOW_TEST_POSTGRES") else {
        return;
    };
    let next = AtomicU32::new(0);
    measure(criterion, "postgres", async || {
        let schema = format!("bench_{}_{}", std::process::id(), next.fetch_add(1, Ordering::Relaxed));
        let address = PostgresAddress::parse(&url, &schema).expect("a URL");
        PostgresStore::open(address, PostgresOptions::default())
            .await
            .expect("opens")
    });
}

async fn all_take<S: Store>(lanes: Vec<Lane<S>>, batch: u64) -> Vec<Lane<S>> {
    let take = |mut lane: Lane<S>| async move {
        lane.take(batch).await;
        lane
    };
    let taking: Vec<_> = lanes.into_iter().map(|lane| tokio::spawn(take(lane))).collect();
    let mut taken = Vec::with_capacity(taking.len());
    for lane in taking {
        taken.push(lane.await.expect("no panic"));
    }
    taken
}

criterion_group! {
    name = benches;
    config = Criterion::default()
        .sample_size(20)
        .warm_up_time(Duration::from_millis(500))
        .measurement_time(Duration::from_secs(2));
    targets = sqlite, postgres
}
criterion_main!(benches);
