//! How far a topic has grown.

use std::time::{Duration, Instant};

use orderflow_producers::Stop;
use orderflow_runtime::kafka::Connection;
use orderflow_schemas::{Contract as _, EventType};
use rdkafka::consumer::{BaseConsumer, Consumer as _, DefaultConsumerContext};
use rdkafka::error::KafkaError;
use rdkafka::message::Message as _;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use super::Error;
use super::child::Child;
use super::ground::PARTITIONS;
use super::process::Usage;

/// How long nothing may come before it is given up.
const PATIENCE: Duration = Duration::from_mins(1);

/// How often the topic is looked at: often enough for figures of seconds, rarely enough to cost the broker nothing.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// How long the broker has for one answer.
const ANSWER: Duration = Duration::from_secs(10);

/// A topic, from where it stood when this was made.
pub(super) struct Watch {
    reader: BaseConsumer<DefaultConsumerContext>,
    topic: String,
    from: Vec<i64>,
}

/// From the first fact seen to the last.
#[derive(Debug, Clone, Copy)]
pub(super) struct Chase {
    /// Facts per second.
    pub(super) rate: f64,
    /// CPU of the process for one fact.
    pub(super) cpu: Duration,
    /// Most memory the process had resident, KiB.
    pub(super) peak_kib: u64,
}

/// A look at the topic and the process.
struct Look {
    at: Instant,
    facts: u64,
    usage: Usage,
}

impl Watch {
    pub(super) fn new(connection: &Connection, topic: &str) -> Result<Self, Error> {
        let reader = connection
            .client(&[
                ("group.id", "orderflow-bench-watches"),
                ("enable.auto.commit", "false"),
                ("enable.partition.eof", "true"),
                ("fetch.queue.backoff.ms", "2"),
                ("fetch.wait.max.ms", "100"),
            ])
            .create()
            .map_err(Error::kafka("a client that watches"))?;
        let mut watch = Self {
            reader,
            topic: topic.to_owned(),
            from: Vec::new(),
        };
        watch.from = watch.ends()?;
        Ok(watch)
    }

    /// Where each partition stood.
    pub(super) fn from(&self) -> &[i64] {
        &self.from
    }

    /// Records since this was made.
    pub(super) fn count(&self) -> Result<u64, Error> {
        let grown: i64 = self.ends()?.iter().sum::<i64>() - self.from.iter().sum::<i64>();
        Ok(u64::try_from(grown).unwrap_or(0))
    }

    /// Waits until there are `expected` facts, no more and no less.
    pub(super) fn chase(&self, child: &mut Child, expected: u64, stop: &Stop) -> Result<Chase, Error> {
        let began = Look {
            at: Instant::now(),
            facts: 0,
            usage: child.usage(),
        };
        let first = self.until(child, 1, stop)?;
        let last = self.until(child, expected, stop)?;
        if last.facts > expected {
            return Err(Error::Wrong {
                job: child.job(),
                problem: format!("{} facts of {expected} orders", last.facts),
            });
        }
        // A short job may be half done when it is first seen: then its start counts, client's connecting and all.
        let from = if first.facts * 2 < expected { first } else { began };
        let done = last.facts - from.facts;
        Ok(Chase {
            rate: float(done) / (last.at - from.at).as_secs_f64(),
            cpu: last.usage.cpu.saturating_sub(from.usage.cpu).div_f64(float(done)),
            peak_kib: last.usage.peak_kib,
        })
    }

    fn until(&self, child: &mut Child, expected: u64, stop: &Stop) -> Result<Look, Error> {
        let mut seen = (self.count()?, Instant::now());
        loop {
            let facts = self.count()?;
            let at = Instant::now();
            if facts >= expected {
                let usage = child.usage();
                return Ok(Look { at, facts, usage });
            }
            if facts > seen.0 {
                seen = (facts, at);
            }
            if stop.is_requested() {
                return Err(Error::Stopped);
            }
            child.check()?;
            let waited = at - seen.1;
            if waited > PATIENCE {
                let (job, found) = (child.job(), facts);
                return Err(Error::Stalled {
                    job,
                    found,
                    expected,
                    waited,
                });
            }
            std::thread::sleep(LOOK_EVERY);
        }
    }

    /// Reads what came since this was made, and asserts that nine of ten orders got their goods.
    pub(super) fn check_reserved(&self, orders: u64) -> Result<(), Error> {
        let wrong = |problem| Error::Wrong {
            job: "inventory",
            problem,
        };
        let (mut reserved, mut others) = (0, 0);
        self.read(
            |value| match orderflow_schemas::decode(value).map(|event| event.event_type()) {
                Ok(EventType::InventoryReserved) => reserved += 1,
                _ => others += 1,
            },
        )?;
        if reserved + others != orders {
            return Err(wrong(format!("{} facts can be read of {orders}", reserved + others)));
        }
        if reserved * 10 < orders * 9 {
            return Err(wrong(format!(
                "{reserved} of {orders} orders got their goods, expected 9 of 10"
            )));
        }
        Ok(())
    }

    fn read(&self, mut see: impl FnMut(&[u8])) -> Result<(), Error> {
        let failed = Error::kafka("reading facts back");
        let mut from = TopicPartitionList::new();
        for (partition, offset) in (0..).zip(&self.from) {
            from.add_partition_offset(&self.topic, partition, Offset::Offset(*offset))
                .map_err(&failed)?;
        }
        self.reader.assign(&from).map_err(&failed)?;
        let mut left = self.from.len();
        while left > 0 {
            match self.reader.poll(PATIENCE) {
                Some(Ok(record)) => see(record.payload().unwrap_or_default()),
                Some(Err(KafkaError::PartitionEOF(_))) => left -= 1,
                Some(Err(error)) => return Err(failed(error)),
                None => break,
            }
        }
        self.reader.unassign().map_err(&failed)
    }

    /// One past the last record of each partition. Leaders of a new topic may need a moment to know that they are.
    fn ends(&self) -> Result<Vec<i64>, Error> {
        let until = Instant::now() + ANSWER;
        loop {
            match self.ask_ends() {
                Err(_) if Instant::now() < until => std::thread::sleep(LOOK_EVERY),
                answered => return answered,
            }
        }
    }

    /// Asks for all partitions in one request a broker.
    fn ask_ends(&self) -> Result<Vec<i64>, Error> {
        let failed = Error::kafka("asking how far a topic is");
        let mut asked = TopicPartitionList::new();
        for partition in 0..PARTITIONS {
            asked
                .add_partition_offset(&self.topic, partition, Offset::End)
                .map_err(&failed)?;
        }
        let answered = self.reader.offsets_for_times(asked, ANSWER).map_err(&failed)?;
        let end = |partition| match answered
            .find_partition(&self.topic, partition)
            .map(|found| found.offset())
        {
            Some(Offset::Offset(offset)) => offset,
            _ => 0,
        };
        Ok((0..PARTITIONS).map(end).collect())
    }
}

/// A count as a number to divide by.
#[allow(clippy::cast_precision_loss, reason = "figures for people")]
pub(super) fn float(count: u64) -> f64 {
    count as f64
}
