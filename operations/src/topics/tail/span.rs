//! Which offsets of which partitions are read.

use orderflow_runtime::kafka::{Connection, Operation, Right};
use orderflow_runtime::partitioner::partition_of;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::KafkaError;
use rdkafka::metadata::Metadata;
use rdkafka::{Offset, TopicPartitionList};
use serde::Serialize;

use super::super::client::{self, Listener, REQUEST};
use super::super::error::Error;
use super::{Options, Start};

/// A stretch of one partition.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Span {
    /// The topic.
    pub topic: String,
    /// Its partition.
    pub partition: i32,
    /// The first offset to read.
    pub next: i64,
    /// One past the last offset to read: the high watermark when it was looked up.
    pub end: i64,
}

/// The stretch of each partition that the options ask for, empty ones included.
pub(super) fn lookup(
    connection: &Connection,
    consumer: &BaseConsumer<Listener>,
    options: &Options,
) -> Result<Vec<Span>, Error> {
    let metadata = client::metadata(connection, consumer)?;
    let lookup = Lookup {
        connection,
        consumer,
        options,
    };
    let mut spans = Vec::new();
    for topic in &options.topics {
        for partition in lookup.partitions(&metadata, topic)? {
            spans.push(lookup.span(topic, partition)?);
        }
    }
    Ok(spans)
}

struct Lookup<'a> {
    connection: &'a Connection,
    consumer: &'a BaseConsumer<Listener>,
    options: &'a Options,
}

impl Lookup<'_> {
    fn partitions(&self, metadata: &Metadata, topic: &str) -> Result<Vec<i32>, Error> {
        let found = metadata
            .topics()
            .iter()
            .find(|found| found.name() == topic && found.error().is_none());
        let right = || Right::topic(Operation::Read, topic);
        let found = found.ok_or_else(|| client::absent(self.connection, self.consumer, right(), topic))?;
        let count = i32::try_from(found.partitions().len()).unwrap_or(i32::MAX);
        match (self.options.partition, &self.options.key) {
            (Some(partition), _) if partition < 0 || partition >= count => Err(Error::NoPartition {
                topic: topic.to_owned(),
                partition,
                count,
            }),
            (Some(partition), _) => Ok(vec![partition]),
            (None, Some(key)) => Ok(vec![partition_of(key.as_bytes(), count)]),
            (None, None) => Ok((0..count).collect()),
        }
    }

    fn span(&self, topic: &str, partition: i32) -> Result<Span, Error> {
        let what = format!("asking where `{topic}` partition {partition} begins and ends");
        let failed =
            |error: KafkaError| client::answer(self.connection, self.consumer.context().heard(), &what, &error);
        let (low, end) = self
            .consumer
            .fetch_watermarks(topic, partition, REQUEST)
            .map_err(failed)?;
        let next = match self.options.start {
            Start::Beginning => low,
            Start::End => end,
            Start::At(offset) => offset.clamp(low, end),
            Start::AfterBeginning(count) => low.saturating_add(count).min(end),
            Start::BeforeEnd(count) => end.saturating_sub(count).max(low),
            Start::Time(time) => self
                .offset_at(topic, partition, time.unix_millis())
                .map_err(failed)?
                .unwrap_or(end),
        };
        Ok(Span {
            topic: topic.to_owned(),
            partition,
            next,
            end,
        })
    }

    /// The first offset whose timestamp is not before `millis`; `None` when all are.
    fn offset_at(&self, topic: &str, partition: i32, millis: i64) -> Result<Option<i64>, KafkaError> {
        let mut times = TopicPartitionList::new();
        times.add_partition_offset(topic, partition, Offset::Offset(millis.max(0)))?;
        let found = self.consumer.offsets_for_times(times, REQUEST)?;
        let offset = found.find_partition(topic, partition).map(|element| element.offset());
        Ok(offset.and_then(Offset::to_raw).filter(|&offset| offset >= 0))
    }
}
