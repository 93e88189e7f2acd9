//! A service: a handler on its topics, its database and its calls to the outside, run until it is told to end.

use std::collections::BTreeMap;
use std::sync::{Arc, mpsc};
use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::RDKafkaErrorCode;
use rdkafka::metadata::Metadata;
use tokio::sync::watch;

use crate::access;
use crate::consumer::{self, Edge, Setup};
use crate::dependency::{Dependencies, Nowhere};
use crate::effects::Callers;
use crate::error::ServiceError;
use crate::flood::FloodGauge;
use crate::handler::Handler;
use crate::kafka::{Connection, Refusal, hear_out};
use crate::limits;
use crate::observer::{Logging, Observer};
use crate::relay::{Relay, RelayError};
use crate::settings::{Cluster, Settings};
use crate::shared::{Buffered, GroupPositions, Shared};
use crate::store::{Identity, Store, StoreError, TopicCount};
use crate::topology::{Source, Topics, Topology};

/// How long the cluster has to answer when a service starts.
const FIRST_ANSWER: Duration = Duration::from_secs(10);

/// How long the relay may wait for acknowledgements when everything else has ended: lanes have drained by then.
const RELAY_ENDS: Duration = Duration::from_millis(500);

/// One consumer group's work: what it reads, what it decides and whom it calls.
///
/// ```no_run
/// # use std::sync::Arc;
/// # use orderflow_runtime::{Handler, Service, Topics, kafka::Connection, store::sqlite::SqliteStore};
/// # async fn run(handler: impl Handler, store: SqliteStore) -> Result<(), orderflow_runtime::ServiceError> {
/// let topics = Topics { reads: vec!["visits".into()], writes: vec!["counts".into()] };
/// let service = Service::new("counting", topics, handler);
/// service.run(Connection::to("localhost:9092"), store, std::future::pending()).await
/// # }
/// ```
pub struct Service<H> {
    group: Arc<str>,
    group_id: Arc<str>,
    topics: Topics,
    handler: H,
    callers: Callers,
    settings: Settings,
    observer: Arc<dyn Observer>,
    dependencies: Arc<dyn Dependencies>,
}

impl<H: Handler> Service<H> {
    /// A service of consumer group `group`.
    #[must_use]
    pub fn new(group: &str, topics: Topics, handler: H) -> Self {
        Self {
            group: group.into(),
            group_id: group.into(),
            topics,
            handler,
            callers: Callers::none(),
            settings: Settings::default(),
            observer: Arc::new(Logging::default()),
            dependencies: Arc::new(Nowhere),
        }
    }

    /// The same under another name on Kafka: members join, and tell their positions, under this `group.id`. The database, the
    /// ids of what is made, and the topics of dead letters go by the name of [`Service::new`], so that one service can be there
    /// several times on one cluster, each on topics and a database of its own.
    #[must_use]
    pub fn group_id(mut self, id: &str) -> Self {
        self.group_id = id.into();
        self
    }

    /// The same, with what decoding lacks fetched by this.
    #[must_use]
    pub fn dependencies(mut self, dependencies: Arc<dyn Dependencies>) -> Self {
        self.dependencies = dependencies;
        self
    }

    /// The same, with its effects made by these callers.
    #[must_use]
    pub fn callers(mut self, callers: Callers) -> Self {
        self.callers = callers;
        self
    }

    /// The same under other settings.
    #[must_use]
    pub fn settings(mut self, settings: Settings) -> Self {
        self.settings = settings;
        self
    }

    /// The same, heard by another observer.
    #[must_use]
    pub fn observer(mut self, observer: Arc<dyn Observer>) -> Self {
        self.observer = observer;
        self
    }

    /// Consumes until `shutdown` resolves, then drains, leaves the group and returns.
    ///
    /// Call it within a multi-threaded tokio runtime. Dropped before it returns, it ends in the same way, and nobody hears
    /// when: the store is in use until then.
    ///
    /// # Errors
    /// See [`ServiceError`]: each says what its operator does next.
    pub async fn run<S: Store>(
        self,
        connection: Connection,
        store: S,
        shutdown: impl Future<Output = ()> + Send,
    ) -> Result<(), ServiceError> {
        self.settings.check()?;
        if let Some(name) = connection.forbidden_property() {
            return Err(ServiceError::Configuration(format!(
                "{name} is not yours to set: a guarantee rests on it"
            )));
        }
        let (end, ending) = watch::channel(false);
        let mut shutdown = std::pin::pin!(shutdown);
        let prepared = tokio::select! {
            biased;
            () = &mut shutdown => return Ok(()),
            prepared = self.prepare(&connection, store, ending) => prepared?,
        };
        let shared = Arc::clone(&prepared.1.shared);
        let observer = Arc::clone(&shared.observer);
        let ended = consume(prepared.0, prepared.1, (end, shutdown)).await;
        let stopping = tokio::task::spawn_blocking(move || shared.relay.stop(RELAY_ENDS));
        let _stopped = stopping.await;
        observer.ended();
        ended
    }

    /// Looks at the cluster, makes the database this group's, and starts the producer.
    async fn prepare<S: Store>(
        self,
        connection: &Connection,
        store: S,
        shutdown: watch::Receiver<bool>,
    ) -> Result<(Client, Setup<H, S>), ServiceError> {
        let sources = Topology::sources(&self.group, &self.topics);
        let counts = look_up(
            connection.clone(),
            self.settings.clone(),
            sources.clone(),
            self.topics.writes.clone(),
        );
        let counts = counts.await?;
        if self.settings.cluster == Cluster::Kafka {
            let memory = (self.settings.dense, self.settings.inbox_retention);
            limits::check(connection, &sources, memory).await?;
        }
        let identity = prepared(&store, (&self.group, &counts), &self.settings).await?;
        consumer::check_membership(&self.settings, &identity)?;
        let client = consumer::client(connection, &self.settings, (&self.group_id, &identity))?;
        let relay = Relay::start(
            connection,
            &self.settings,
            Arc::clone(&self.group),
            Arc::clone(&self.observer),
        )?;
        let (notices, heard) = mpsc::channel();
        let shared = Arc::new(Shared {
            topology: Topology::new((&self.group, &self.group_id), sources, &counts),
            handler: self.handler,
            store,
            settings: self.settings,
            observer: self.observer,
            dependencies: self.dependencies,
            relay,
            flood: FloodGauge::default(),
            positions: GroupPositions::default(),
            buffered: Buffered::default(),
            notices,
        });
        let runtime = tokio::runtime::Handle::current();
        Ok((
            client,
            Setup {
                shared,
                callers: self.callers,
                connection: connection.clone(),
                identity,
                notices: heard,
                shutdown,
                runtime,
            },
        ))
    }
}

impl<H> std::fmt::Debug for Service<H> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Service")
            .field("group", &self.group)
            .field("topics", &self.topics)
            .finish_non_exhaustive()
    }
}

impl From<RelayError> for ServiceError {
    fn from(error: RelayError) -> Self {
        Self::Configuration(error.to_string())
    }
}

type Client = BaseConsumer<consumer::Context>;

/// Runs the consumer thread until it ends by itself or `shutdown` resolves.
async fn consume<H: Handler, S: Store>(
    client: Client,
    setup: Setup<H, S>,
    (end, shutdown): (watch::Sender<bool>, impl Future<Output = ()> + Send),
) -> Result<(), ServiceError> {
    let (ended, mut waiting) = tokio::sync::oneshot::channel();
    let thread = std::thread::Builder::new().name("consumer".to_owned()).spawn(move || {
        let _nobody_waits = ended.send(Edge::new(client, setup).and_then(Edge::run));
    });
    thread.map_err(|error| ServiceError::Internal(format!("no thread for the consumer: {error}")))?;
    let died = |_| ServiceError::Internal("the consumer thread died; a defect".to_owned());
    tokio::select! {
        ended = &mut waiting => return ended.map_err(died)?,
        () = shutdown => end.send_replace(true),
    };
    waiting.await.map_err(died)?
}

/// Makes the database this group's; topics that have grown are taken where that is meant.
async fn prepared<S: Store>(
    store: &S,
    (group, counts): (&str, &[TopicCount]),
    settings: &Settings,
) -> Result<Identity, StoreError> {
    let prepare = || store.prepare(group, counts, settings.adopt_database);
    let before = prepare().await;
    let Err(StoreError::Grown {
        partitions, recorded, ..
    }) = &before
    else {
        return before;
    };
    if !settings.adopt_partitions || partitions < recorded {
        return before;
    }
    tracing::warn!(partitions, recorded, "topics have grown, and that is taken as meant");
    store.grow(counts).await?;
    prepare().await
}

/// Partition counts of everything the group reads and writes, after looking whether all of it is there and fits.
async fn look_up(
    connection: Connection,
    settings: Settings,
    sources: Vec<Source>,
    writes: Vec<Arc<str>>,
) -> Result<Vec<TopicCount>, ServiceError> {
    let looked = tokio::task::spawn_blocking(move || {
        let client = looker(&connection, &settings)?;
        let found = partitions(&client, &connection)?;
        access::check_hidden(&client, &connection.brokers, &found, (&sources, &writes))?;
        count(&found, &sources, &writes)
    });
    looked
        .await
        .map_err(|error| ServiceError::Internal(format!("looking at the topics: {error}")))?
}

fn looker(connection: &Connection, settings: &Settings) -> Result<Client, ServiceError> {
    let unused = Identity {
        instance: String::new(),
        exclusive: false,
        location: String::new(),
        fresh: true,
    };
    consumer::client(connection, settings, ("orderflow-looks-at-topics", &unused))
}

fn partitions(client: &Client, connection: &Connection) -> Result<BTreeMap<String, i32>, ServiceError> {
    let metadata = first_metadata(client, connection)?;
    let counted = metadata.topics().iter().filter(|topic| topic.error().is_none());
    let counted = counted.map(|topic| {
        (
            topic.name().to_owned(),
            i32::try_from(topic.partitions().len()).unwrap_or(0),
        )
    });
    Ok(counted.collect())
}

/// Asks for a little at a time, so that a refusal is noticed and told as what it is: the client tries for ever.
fn first_metadata(client: &Client, connection: &Connection) -> Result<Metadata, ServiceError> {
    let until = Instant::now() + FIRST_ANSWER;
    // A first token is fetched in here, where one is needed: without it nothing is sent.
    let _nothing_yet = client.poll(Duration::from_millis(1));
    loop {
        let error = match client.fetch_metadata(None, Duration::from_secs(2)) {
            Ok(metadata) => return Ok(metadata),
            Err(error) => error,
        };
        hear_out(client, |context| context.heard().refusal().is_some());
        let brokers = connection.brokers.clone();
        let heard = client.context().heard();
        match heard.refusal() {
            Some(Refusal::Credentials(why)) => return Err(ServiceError::Denied { brokers, why }),
            Some(Refusal::Tls(said)) => return Err(ServiceError::Untrusted(connection.distrust(&said))),
            None => {}
        }
        if error.rdkafka_error_code() == Some(RDKafkaErrorCode::ClusterAuthorizationFailed) {
            return Err(ServiceError::Denied {
                brokers,
                why: error.to_string(),
            });
        }
        if Instant::now() >= until {
            let why = heard.failure().unwrap_or_else(|| error.to_string());
            return Err(ServiceError::Unreachable { brokers, why });
        }
    }
}

fn count(
    found: &BTreeMap<String, i32>,
    sources: &[Source],
    writes: &[Arc<str>],
) -> Result<Vec<TopicCount>, ServiceError> {
    let read = sources.iter().map(|source| &source.topic);
    let letters = sources
        .iter()
        .filter(|source| !source.redrive)
        .map(|source| &source.dead_letters);
    let mut counts = Vec::new();
    for topic in read.chain(letters).chain(writes) {
        let Some(partitions) = found.get(&**topic).copied() else {
            return Err(ServiceError::Topics(format!("topic {topic} does not exist")));
        };
        counts.push(TopicCount {
            topic: Arc::clone(topic),
            partitions,
        });
    }
    let lanes = counts.first().map_or(0, |first| first.partitions);
    let lane_bound = counts.len() - writes.len();
    match counts[..lane_bound].iter().find(|count| count.partitions != lanes) {
        None => Ok(counts),
        Some(other) => Err(ServiceError::Topics(format!(
            "{} has {lanes} partitions and {} has {}: what one group reads must have one partition count, or a key's \
             records would be spread over lanes",
            counts[0].topic, other.topic, other.partitions
        ))),
    }
}
