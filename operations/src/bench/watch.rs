//! How far a topic has grown.

use std::collections::HashSet;
use std::time::{Duration, Instant};

use orderflow_producers::Stop;
use orderflow_runtime::kafka::Connection;
use orderflow_schemas::{Contract as _, EventType};
use rdkafka::consumer::{BaseConsumer, Consumer as _, DefaultConsumerContext};
use rdkafka::error::KafkaError;
use rdkafka::message::Message as _;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use super::Error;
use super::crew::{Cost, Crew};

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
    partitions: i32,
    from: Vec<i64>,
}

/// From the first fact seen to the last.
#[derive(Debug, Clone, Copy)]
pub(super) struct Chase {
    /// Facts per second.
    pub(super) rate: f64,
    /// CPU of the processes for one fact.
    pub(super) cpu: Duration,
    /// CPU of the database's server for one fact, where it can be seen.
    pub(super) server: Option<Duration>,
    /// Most memory a process had resident, KiB.
    pub(super) peak_kib: u64,
}

/// A look at the topic and the processes.
pub(super) struct Look {
    at: Instant,
    facts: u64,
    cost: Cost,
}

impl Watch {
    pub(super) fn new(connection: &Connection, topic: &str, partitions: i32) -> Result<Self, Error> {
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
            partitions,
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
    pub(super) fn chase(&self, crew: &mut Crew<'_>, expected: u64, stop: &Stop) -> Result<Chase, Error> {
        let began = Look {
            at: Instant::now(),
            facts: 0,
            cost: crew.cost(),
        };
        let first = self.until(crew, (expected, stop), |crew, facts| {
            Ok(facts * 2 >= expected || facts > 0 && crew.is_complete()?)
        })?;
        let last = self.until(crew, (expected, stop), |crew, facts| {
            Ok(facts >= expected && crew.is_done(expected)?)
        })?;
        if last.facts > expected && !crew.may_repeat() {
            return Err(Error::Wrong {
                job: crew.job(),
                problem: format!("{} facts of {expected} orders", last.facts),
            });
        }
        // A short job may be half done when it is first seen: then its start counts, client's connecting and all.
        let from = if first.facts * 2 < expected { first } else { began };
        let done = expected - from.facts.min(expected - 1);
        Ok(Chase {
            rate: float(done) / (last.at - from.at).as_secs_f64(),
            cpu: last.cost.cpu.saturating_sub(from.cost.cpu).div_f64(float(done)),
            server: last
                .cost
                .server
                .zip(from.cost.server)
                .map(|(last, from)| last.saturating_sub(from).div_f64(float(done))),
            peak_kib: last.cost.peak_kib,
        })
    }

    /// Waits for what is true of the crew and the number of facts.
    pub(super) fn until(
        &self,
        crew: &mut Crew<'_>,
        (expected, stop): (u64, &Stop),
        arrived: impl Fn(&Crew<'_>, u64) -> Result<bool, Error>,
    ) -> Result<Look, Error> {
        let mut seen = (self.count()?, Instant::now());
        loop {
            let facts = self.count()?;
            let at = Instant::now();
            if arrived(crew, facts)? {
                let cost = crew.cost();
                return Ok(Look { at, facts, cost });
            }
            if facts > seen.0 {
                seen = (facts, at);
            }
            if stop.is_requested() {
                return Err(Error::Stopped);
            }
            crew.check()?;
            let waited = at - seen.1;
            if waited > PATIENCE {
                let (job, found) = (crew.job(), facts);
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

    /// Reads what came since this was made, each fact once, and asserts that nine of ten orders got their goods.
    pub(super) fn check_reserved(&self, orders: u64) -> Result<(), Error> {
        let wrong = |problem| Error::Wrong {
            job: "inventory",
            problem,
        };
        let (mut seen, mut reserved) = (HashSet::new(), 0);
        self.read(|value| {
            let Ok(event) = orderflow_schemas::decode(value) else {
                return;
            };
            if seen.insert(event.meta().event_id) && event.event_type() == EventType::InventoryReserved {
                reserved += 1;
            }
        })?;
        if seen.len() as u64 != orders {
            return Err(wrong(format!("{} facts can be read of {orders}", seen.len())));
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
    pub(super) fn ends(&self) -> Result<Vec<i64>, Error> {
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
        for partition in 0..self.partitions {
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
        Ok((0..self.partitions).map(end).collect())
    }
}

/// A count as a number to divide by.
#[allow(clippy::cast_precision_loss, reason = "figures for people")]
pub(super) fn float(count: u64) -> f64 {
    count as f64
}
