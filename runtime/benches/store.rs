//! Orders per second through a store: one durable unit of work per batch, as inventory would write it.
//!
//! Each order is let in, finds three of fifty hot rows, writes a row of its own and one fact of 200 bytes.

use std::time::Duration;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use orderflow_runtime::derive_id;
use orderflow_runtime::record::{Headers, NextOffset};
use orderflow_runtime::rows::{Entity, RowKey, StoredRow};
use orderflow_runtime::store::sqlite::{SqliteOptions, SqliteStore};
use orderflow_runtime::store::{Arrival, Move, OutboxRow, Start, Store, Turn, Unit, Writes};
use tempfile::TempDir;
use tokio::runtime::Runtime;

const TOPIC: &str = "orders";
const ORDER: Entity<u64> = Entity::new("order", 0);
const STOCK: Entity<u64> = Entity::new("stock", 1);
const PRODUCTS: u64 = 50;
const BODY: &[u8] = br#"{"available":1000000,"reserved":2500,"received":1002500,"adjusted":0,"shipped":0}"#;

/// One lane that takes batch after batch.
struct Lane {
    store: SqliteStore,
    at: Turn,
    orders: u64,
    published: i64,
}

impl Lane {
    async fn claim(store: &SqliteStore, number: i32) -> Self {
        let at = store.claim(&[number]).await.expect("claimed")[0].at;
        let start = Start {
            topic: TOPIC.into(),
            at: NextOffset::START,
        };
        store.start_at(at.owner, &[start]).await.expect("started");
        Self {
            store: store.clone(),
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
            .flat_map(|order| (0..3).map(move |line| (order * 7 + line * 13) % PRODUCTS));
        let shared = products.map(|product| RowKey::new(STOCK, format!("product-{product:03}")));
        let mut keys: Vec<_> = own.chain(shared).collect();
        keys.sort();
        keys.dedup();
        keys
    }

    fn writes(&self, mut rows: Vec<StoredRow>, arrivals: &[Arrival], first: i64) -> Writes {
        for row in &mut rows {
            row.body = Some(BODY.to_vec());
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
            headers: Headers::new(),
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

fn open(folder: &TempDir) -> SqliteStore {
    SqliteStore::open(&folder.path().join("bench.db"), &SqliteOptions::default()).expect("opens")
}

/// One lane alone: what a batch costs.
fn one_lane(criterion: &mut Criterion) {
    let runtime = Runtime::new().expect("a runtime");
    let mut group = criterion.benchmark_group("sqlite, one lane");
    for batch in [1, 100, 1_000] {
        let folder = TempDir::new().expect("a folder");
        let mut lane = runtime.block_on(Lane::claim(&open(&folder), 0));
        group.throughput(Throughput::Elements(batch));
        group.bench_function(BenchmarkId::from_parameter(batch), |bencher| {
            bencher.iter(|| runtime.block_on(lane.take(batch)));
        });
    }
}

/// Twelve lanes at once: what they gain by sharing a sync.
fn twelve_lanes(criterion: &mut Criterion) {
    let runtime = Runtime::new().expect("a runtime");
    let mut group = criterion.benchmark_group("sqlite, twelve lanes");
    for batch in [1, 100, 1_000] {
        let folder = TempDir::new().expect("a folder");
        let store = open(&folder);
        let mut lanes: Vec<Lane> = (0..12)
            .map(|lane| runtime.block_on(Lane::claim(&store, lane)))
            .collect();
        group.throughput(Throughput::Elements(batch * 12));
        group.bench_function(BenchmarkId::from_parameter(batch), |bencher| {
            bencher.iter(|| lanes = runtime.block_on(all_take(std::mem::take(&mut lanes), batch)));
        });
    }
}

async fn all_take(lanes: Vec<Lane>, batch: u64) -> Vec<Lane> {
    let take = |mut lane: Lane| async move {
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
    targets = one_lane, twelve_lanes
}
criterion_main!(benches);
