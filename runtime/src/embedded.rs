//! librdkafka's own broker inside the process: for examples, demonstrations and tests.
//!
//! Other processes reach it too, and it speaks the real group protocol. It is **not durable and keeps little**: a
//! partition holds 5 MiB or 100,000 batches, and then the oldest go without a word. So whoever counts on its records
//! checks [`EmbeddedBroker::nothing_evicted`] at the end. It has no static members, no admin API and no deduplication
//! of repeated requests, and a lane of a member that was killed is taken over after twice the session timeout.

use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread::JoinHandle;
use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::KafkaError;
use rdkafka::mocking::MockCluster;
use rdkafka::producer::DefaultProducerContext;
use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};
use thiserror::Error;

use crate::kafka::Connection;
use crate::settings::{self, Settings};

/// librdkafka's handle of the broker, for faults that [`EmbeddedBroker`] has no method for.
pub type Cluster = MockCluster<'static, DefaultProducerContext>;

/// How long the broker may take to answer what is asked of it here.
const PATIENCE: Duration = Duration::from_secs(10);

/// A session of the group protocol: 3 s is the shortest that forms a group here, and a rebalance takes a second less.
const SESSION: Duration = Duration::from_secs(3);

/// What goes wrong with an embedded broker.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum EmbeddedError {
    /// It did not start.
    #[error("the embedded broker did not start: {0}")]
    Start(String),
    /// It refused what was asked.
    #[error("the embedded broker refused to {what}: {why}")]
    Refused {
        /// What was asked.
        what: String,
        /// What it said.
        why: String,
    },
    /// It dropped records, so nothing that follows from them can be trusted.
    #[error(
        "the embedded broker dropped {records} records of {topic}/{partition}: a partition holds 5 MiB or 100,000 \
         batches; use fewer records, more partitions or compression, or a real Kafka"
    )]
    Evicted {
        /// The topic.
        topic: String,
        /// The partition.
        partition: i32,
        /// How many are gone.
        records: i64,
    },
}

type Act = Box<dyn FnOnce(&Cluster) + Send>;

/// A broker in this process, with one node. Dropped, it ends, and its records with it.
#[derive(Debug)]
pub struct EmbeddedBroker {
    acts: Option<Sender<Act>>,
    thread: Option<JoinHandle<()>>,
    bootstrap: String,
    topics: Mutex<Vec<(String, i32)>>,
}

impl EmbeddedBroker {
    /// Starts it on a free port of the loopback interface, with these topics: names and partition counts.
    ///
    /// # Errors
    /// [`EmbeddedError::Start`], or [`EmbeddedError::Refused`] for a topic.
    pub fn start(topics: &[(&str, i32)]) -> Result<Self, EmbeddedError> {
        let (acts, received) = channel();
        let (said, started) = channel();
        let thread = std::thread::Builder::new()
            .name("broker".to_owned())
            .spawn(move || serve(&said, &received))
            .map_err(|error| EmbeddedError::Start(error.to_string()))?;
        let said = started.recv().unwrap_or_else(|_| Err("its thread ended".to_owned()));
        let broker = Self {
            acts: Some(acts),
            thread: Some(thread),
            bootstrap: said.map_err(EmbeddedError::Start)?,
            topics: Mutex::default(),
        };
        for (name, partitions) in topics {
            broker.create_topic(name, *partitions)?;
        }
        Ok(broker)
    }

    /// Where clients find it: `host:port`.
    #[must_use]
    pub fn bootstrap(&self) -> String {
        self.bootstrap.clone()
    }

    /// A connection to it with [`EmbeddedBroker::properties`].
    #[must_use]
    pub fn connection(&self) -> Connection {
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        Connection {
            brokers: self.bootstrap(),
            properties: Self::properties().iter().map(owned).collect(),
            tokens: None,
        }
    }

    /// What clients must set on it. A fetch that finds nothing holds up every other request of its connection for the
    /// whole of its wait, so the wait is short. Producers ignore what is for consumers.
    #[must_use]
    pub fn properties() -> &'static [(&'static str, &'static str)] {
        &[("fetch.wait.max.ms", "10")]
    }

    /// Settings that fit it: no static membership, a short session and a drain within it.
    #[must_use]
    pub fn settings(said: Settings) -> Settings {
        Settings {
            cluster: settings::Cluster::Embedded,
            session_timeout: SESSION,
            drain: said.drain.min(SESSION / 2),
            ..said
        }
    }

    /// Makes a topic. Its admin API does not work, so clients cannot.
    ///
    /// # Errors
    /// [`EmbeddedError::Refused`], if the topic exists.
    pub fn create_topic(&self, name: &str, partitions: i32) -> Result<(), EmbeddedError> {
        let topic = name.to_owned();
        let made = self.inject(move |cluster| cluster.create_topic(&topic, partitions, 1))?;
        made.map_err(|error| refused(&format!("make the topic {name}"), &error))?;
        let mut topics = self.topics.lock().unwrap_or_else(PoisonError::into_inner);
        topics.push((name.to_owned(), partitions));
        Ok(())
    }

    /// Fails if a partition of its topics no longer has its first record.
    ///
    /// # Errors
    /// [`EmbeddedError::Evicted`] for the first such partition.
    pub fn nothing_evicted(&self) -> Result<(), EmbeddedError> {
        let client: Result<BaseConsumer, _> = self.connection().client(&[]).create();
        let client = client.map_err(|error| refused("make a client", &error))?;
        let topics = self.topics.lock().unwrap_or_else(PoisonError::into_inner).clone();
        for (topic, partitions) in topics {
            for partition in 0..partitions {
                let watermarks = client.fetch_watermarks(&topic, partition, PATIENCE);
                let (records, _) = watermarks.map_err(|error| refused("say its watermarks", &error))?;
                if records > 0 {
                    return Err(EmbeddedError::Evicted {
                        topic,
                        partition,
                        records,
                    });
                }
            }
        }
        Ok(())
    }

    /// The next requests of a kind fail with these errors, in this order; `__TRANSPORT` drops the connection instead.
    ///
    /// # Errors
    /// See [`EmbeddedBroker::inject`].
    pub fn fail_requests(&self, kind: RDKafkaApiKey, errors: &[RDKafkaRespErr]) -> Result<(), EmbeddedError> {
        let errors = errors.to_vec();
        self.inject(move |cluster| cluster.request_errors(kind, &errors))
    }

    /// Drops every connection and takes no new one.
    ///
    /// # Errors
    /// See [`EmbeddedBroker::inject`].
    pub fn down(&self) -> Result<(), EmbeddedError> {
        self.inject(|cluster| cluster.broker_down(ALL))?
            .map_err(|error| refused("go down", &error))
    }

    /// Takes connections again.
    ///
    /// # Errors
    /// See [`EmbeddedBroker::inject`].
    pub fn up(&self) -> Result<(), EmbeddedError> {
        self.inject(|cluster| cluster.broker_up(ALL))?
            .map_err(|error| refused("come up", &error))
    }

    /// Answers every request this much later.
    ///
    /// # Errors
    /// See [`EmbeddedBroker::inject`].
    pub fn delay(&self, round_trip: Duration) -> Result<(), EmbeddedError> {
        self.inject(move |cluster| cluster.broker_round_trip_time(ALL, round_trip))?
            .map_err(|error| refused("answer later", &error))
    }

    /// Does something to the broker, on its thread, and waits for it.
    ///
    /// # Errors
    /// [`EmbeddedError::Refused`] if the broker's thread has ended.
    pub fn inject<R: Send + 'static>(
        &self,
        act: impl FnOnce(&Cluster) -> R + Send + 'static,
    ) -> Result<R, EmbeddedError> {
        let (say, said) = channel();
        let act: Act = Box::new(move |cluster| {
            // Whoever asked is waiting below.
            let _received = say.send(act(cluster));
        });
        let sent = self.acts.as_ref().is_some_and(|acts| acts.send(act).is_ok());
        let answer = if sent { said.recv().ok() } else { None };
        answer.ok_or_else(|| EmbeddedError::Refused {
            what: "do anything".to_owned(),
            why: "its thread ended".to_owned(),
        })
    }
}

impl Drop for EmbeddedBroker {
    fn drop(&mut self) {
        self.acts = None;
        if let Some(thread) = self.thread.take() {
            // It panicked, if at all, with a message of its own.
            let _ended = thread.join();
        }
    }
}

/// Every broker of the cluster; it has one.
const ALL: i32 = -1;

/// librdkafka's handle stays on the thread that made it.
fn serve(say: &Sender<Result<String, String>>, acts: &Receiver<Act>) {
    match Cluster::new(1) {
        Ok(cluster) => {
            let _received = say.send(Ok(cluster.bootstrap_servers()));
            for act in acts {
                act(&cluster);
            }
        }
        Err(error) => {
            let _received = say.send(Err(error.to_string()));
        }
    }
}

fn refused(what: &str, error: &KafkaError) -> EmbeddedError {
    EmbeddedError::Refused {
        what: what.to_owned(),
        why: error.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};

    use super::*;

    fn produce(broker: &EmbeddedBroker, topic: &str, values: impl Iterator<Item = Vec<u8>>) {
        let producer: BaseProducer = broker.connection().client(&[]).create().expect("a producer");
        for value in values {
            let record = BaseRecord::<(), _>::to(topic).partition(0).payload(&value);
            producer.send(record).map_err(|(error, _)| error).expect("queued");
        }
        producer.flush(PATIENCE).expect("acknowledged");
    }

    #[test]
    fn it_keeps_what_it_is_given() {
        let broker = EmbeddedBroker::start(&[("orders", 3)]).expect("a broker");
        produce(&broker, "orders", (0..100).map(|n| vec![n; 10]));
        assert_eq!(broker.nothing_evicted(), Ok(()));
        let client: BaseConsumer = broker.connection().client(&[]).create().expect("a client");
        assert_eq!(client.fetch_watermarks("orders", 0, PATIENCE), Ok((0, 100)));
    }

    #[test]
    fn what_it_dropped_is_found() {
        let broker = EmbeddedBroker::start(&[("orders", 1)]).expect("a broker");
        produce(&broker, "orders", (0..80).map(|n| vec![n; 100_000]));
        let evicted = broker.nothing_evicted().expect_err("8 MB do not fit");
        assert!(matches!(
            evicted,
            EmbeddedError::Evicted {
                partition: 0,
                records: 1..,
                ..
            }
        ));
    }

    #[test]
    fn a_topic_is_made_once() {
        let broker = EmbeddedBroker::start(&[("orders", 3)]).expect("a broker");
        let refused = broker.create_topic("orders", 3).expect_err("it exists");
        assert!(refused.to_string().contains("make the topic orders"), "{refused}");
    }

    #[test]
    fn its_settings_hold() {
        assert_eq!(EmbeddedBroker::settings(Settings::default()).check(), Ok(()));
    }
}
