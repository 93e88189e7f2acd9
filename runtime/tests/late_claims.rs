//! Claims that have to wait, for a database that takes its time or for Kafka: the service neither ends nor falls silent.

mod support;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use orderflow_runtime::effects::BoxFuture;
use orderflow_runtime::observer::Observer;
use orderflow_runtime::store::sqlite::SqliteStore;
use orderflow_runtime::store::{
    Claim, EffectRow, Identity, Lane, OutboxRow, Outcome, Owner, Retention, Sequence, Start, Store, StoreError,
    TimerRow, TopicCount, Turn,
};
use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};

use self::support::{PARTITIONS, World, handled, open, until, word};

/// What a question that fails is called.
const ASKING: &str = "asking for the ends of partitions";

/// Remembers what an observer is told of claims.
#[derive(Debug, Default)]
struct Told {
    standings: Mutex<Vec<BTreeMap<Lane, bool>>>,
    troubles: Mutex<Vec<String>>,
}

impl Told {
    /// How often it was told that every lane waits.
    fn waits(&self) -> usize {
        let all: BTreeMap<_, _> = (0..PARTITIONS).map(|lane| (lane, true)).collect();
        let standings = self.standings.lock().expect("a list");
        standings.iter().filter(|waiting| **waiting == all).count()
    }

    fn says(&self, what: &str) -> bool {
        self.troubles
            .lock()
            .expect("a list")
            .iter()
            .any(|said| said.contains(what))
    }
}

impl Observer for Told {
    fn standing(&self, waiting: &BTreeMap<Lane, bool>, _connected: bool) {
        self.standings.lock().expect("a list").push(waiting.clone());
    }

    fn trouble(&self, _lane: Option<Lane>, what: &str) {
        self.troubles.lock().expect("a list").push(what.to_owned());
    }
}

/// What happens before the claims of a store, by their number.
type Before = Arc<dyn Fn(usize) -> BoxFuture<'static, Result<(), StoreError>> + Send + Sync>;

/// A store whose claims are preceded by something.
#[derive(Clone)]
struct Late {
    store: SqliteStore,
    before: Before,
    claims: Arc<AtomicUsize>,
}

impl Late {
    fn new(world: &World, before: Before) -> Self {
        Self {
            store: world.store(),
            before,
            claims: Arc::default(),
        }
    }
}

impl Store for Late {
    type Unit = <SqliteStore as Store>::Unit;

    const BLOCKING: bool = SqliteStore::BLOCKING;
    const BATCH_RECORDS: usize = SqliteStore::BATCH_RECORDS;

    async fn claim(&self, lanes: &[Lane]) -> Result<Vec<Claim>, StoreError> {
        (self.before)(self.claims.fetch_add(1, Ordering::Relaxed)).await?;
        self.store.claim(lanes).await
    }

    async fn prepare(&self, group: &str, topics: &[TopicCount], adopts: bool) -> Result<Identity, StoreError> {
        self.store.prepare(group, topics, adopts).await
    }

    async fn grow(&self, topics: &[TopicCount]) -> Result<(), StoreError> {
        self.store.grow(topics).await
    }

    async fn start_at(&self, owner: Owner, starts: &[Start]) -> Result<(), StoreError> {
        self.store.start_at(owner, starts).await
    }

    async fn begin(&self, at: Turn, published: Sequence) -> Result<Self::Unit, StoreError> {
        self.store.begin(at, published).await
    }

    async fn resolve(&self, at: Turn) -> Result<Outcome, StoreError> {
        self.store.resolve(at).await
    }

    async fn outbox(&self, lane: Lane, after: Sequence, limit: usize) -> Result<Vec<OutboxRow>, StoreError> {
        self.store.outbox(lane, after, limit).await
    }

    async fn effects(&self, lane: Lane, limit: usize) -> Result<Vec<EffectRow>, StoreError> {
        self.store.effects(lane, limit).await
    }

    async fn timers(&self, lane: Lane, limit: usize) -> Result<Vec<TimerRow>, StoreError> {
        self.store.timers(lane, limit).await
    }

    async fn retain(&self, retention: Retention) -> Result<u64, StoreError> {
        self.store.retain(retention).await
    }
}

/// A world with two words in it, whose observer remembers.
fn world() -> (World, Arc<Told>) {
    let mut world = World::new();
    let told = Arc::<Told>::default();
    world.observer = Arc::clone(&told) as Arc<dyn Observer>;
    world.send(&[word(1, "a", "one"), word(2, "b", "two")]);
    (world, told)
}

#[test]
fn who_waits_for_the_database_says_that_his_lanes_wait() {
    let (world, told) = world();
    let hears = Arc::clone(&told);
    let before: Before = Arc::new(move |_| {
        let told = Arc::clone(&hears);
        Box::pin(async move {
            until(|| told.waits() >= 2).await;
            Ok(())
        })
    });
    let database = world.database();
    let ended = world.run_on(Late::new(&world, before), async move {
        until(|| handled(&open(&database)) == 2).await;
    });
    assert_eq!(ended, Ok(()));
}

#[test]
fn a_late_claim_waits_for_kafka_as_well() {
    let (world, told) = world();
    let world = Arc::new(world);
    let broker = Arc::clone(&world);
    // The database is away once, and then Kafka is.
    let before: Before = Arc::new(move |claim| {
        let answer = if claim == 0 {
            ends_fail(&broker, 12);
            Err(StoreError::Unavailable("for a moment".to_owned()))
        } else {
            Ok(())
        };
        Box::pin(std::future::ready(answer))
    });
    let database = world.database();
    let ended = world.run_on(Late::new(&world, before), async move {
        until(|| handled(&open(&database)) == 2).await;
    });
    assert_eq!(ended, Ok(()));
    assert!(told.says(ASKING), "{:?}", told.troubles.lock());
}

#[test]
fn who_asks_kafka_in_vain_ends_when_he_is_asked_to_and_says_meanwhile_that_his_lanes_wait() {
    let (world, told) = world();
    ends_fail(&world, 10_000);
    let hears = Arc::clone(&told);
    let asked = Arc::<Mutex<Option<Instant>>>::default();
    let since = Arc::clone(&asked);
    let before: Before = Arc::new(|_| Box::pin(std::future::ready(Ok(()))));
    let ended = world.run_on(Late::new(&world, before), async move {
        until(|| hears.waits() >= 2).await;
        *since.lock().expect("a time") = Some(Instant::now());
    });
    assert_eq!(ended, Ok(()));
    let took = asked.lock().expect("a time").expect("it was asked to end").elapsed();
    assert!(took < Duration::from_secs(10), "{took:?}");
}

/// The next questions for the ends of partitions are answered with an error that passes.
fn ends_fail(world: &World, times: usize) {
    let errors = vec![RDKafkaRespErr::RD_KAFKA_RESP_ERR_KAFKA_STORAGE_ERROR; times];
    world
        .broker
        .fail_requests(RDKafkaApiKey::ListOffsets, &errors)
        .expect("told");
}
