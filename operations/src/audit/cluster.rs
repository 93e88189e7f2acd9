//! The topics: where they end, and every record up to there, read in no group.

use std::time::{Duration, Instant};

use orderflow_runtime::kafka::{Connection, Operation, Right};
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::error::{KafkaError, RDKafkaErrorCode};
use rdkafka::message::BorrowedMessage;
use rdkafka::{Message as _, Offset, TopicPartitionList};

use super::AuditError;
use super::system::{System, TopicIndex};
use crate::topics::Error;
use crate::topics::client::{self, Listener, REQUEST};

/// How long a partition that holds more may give nothing.
const STALLED: Duration = Duration::from_secs(30);

/// The topics on the cluster, with their partition counts.
pub(super) struct Cluster {
    connection: Connection,
    consumer: BaseConsumer<Listener>,
    /// In the order of [`System::topics`].
    topics: Vec<(String, i32)>,
}

/// One past the last offset of each partition.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Ends(Vec<Vec<i64>>);

impl Ends {
    /// Of a topic, by partition.
    pub(super) fn of(&self, topic: TopicIndex) -> &[i64] {
        &self.0[usize::from(topic)]
    }

    /// Of one partition; 0 for one that there is not.
    pub(super) fn at(&self, topic: TopicIndex, partition: i32) -> i64 {
        let at = usize::try_from(partition).unwrap_or(usize::MAX);
        self.of(topic).get(at).copied().unwrap_or(0)
    }
}

impl Cluster {
    /// Connects, and looks whether every topic is there.
    pub(super) fn open(connection: &Connection, system: &System) -> Result<Self, AuditError> {
        let defaults = [
            // A name for the client library, which assigns nothing without one. No group is joined, nothing committed.
            ("group.id", "orderflow-audit"),
            ("enable.auto.commit", "false"),
            ("enable.auto.offset.store", "false"),
            ("enable.partition.eof", "true"),
            ("isolation.level", "read_committed"),
            ("auto.offset.reset", "error"),
            ("fetch.wait.max.ms", "20"),
            ("fetch.queue.backoff.ms", "1"),
            // What is fetched and not looked at yet is most of what an audit would take: a topic's partitions come all at once.
            ("queued.max.messages.kbytes", "512"),
            ("fetch.message.max.bytes", "262144"),
        ];
        let consumer = client::reader(connection, &defaults)?;
        let metadata = client::metadata(connection, &consumer)?;
        let mut topics = Vec::with_capacity(system.topics.len());
        for topic in &system.topics {
            let found = metadata
                .topics()
                .iter()
                .find(|found| found.name() == topic.name && found.error().is_none());
            let right = || Right::topic(Operation::Read, &topic.name);
            let found = found.ok_or_else(|| client::absent(connection, &consumer, right(), &topic.name))?;
            let partitions = i32::try_from(found.partitions().len()).unwrap_or(i32::MAX);
            topics.push((topic.name.clone(), partitions));
        }
        let connection = connection.clone();
        Ok(Self {
            connection,
            consumer,
            topics,
        })
    }

    /// Where every partition ends now. Refuses when the beginning of one is gone: nothing can be proved without it.
    pub(super) fn watermarks(&self) -> Result<Ends, AuditError> {
        let ends = self
            .topics
            .iter()
            .map(|(topic, partitions)| (0..*partitions).map(|partition| self.end(topic, partition)).collect());
        ends.collect::<Result<_, _>>().map(Ends)
    }

    fn end(&self, topic: &str, partition: i32) -> Result<i64, AuditError> {
        let asked = self.consumer.fetch_watermarks(topic, partition, REQUEST);
        let (low, high) = asked.map_err(|error| self.failed(topic, &error))?;
        if low > 0 {
            return Err(AuditError::Missing(format!(
                "{topic}/{partition} begins at offset {low}: retention has deleted {low} records, and without them \
                 nothing can be proved. Audit while every topic still has its first record"
            )));
        }
        Ok(high)
    }

    /// Hands over every record of a topic below `ends`, each partition in order.
    pub(super) fn read(
        &self,
        topic: TopicIndex,
        ends: &[i64],
        mut see: impl FnMut(&BorrowedMessage<'_>) -> Result<(), AuditError>,
    ) -> Result<(), AuditError> {
        let name = &self.topics[usize::from(topic)].0;
        let mut reading = Reading::of(ends);
        if reading.left == 0 {
            return Ok(());
        }
        self.assign(name, &reading)?;
        while reading.left > 0 {
            match self.consumer.poll(Duration::from_millis(100)) {
                Some(Ok(message)) => {
                    let at = (message.partition(), message.offset());
                    if reading.wants(at) {
                        see(&message)?;
                    }
                    if reading.pass(at) {
                        self.pause(name, at.0)?;
                    }
                }
                Some(Err(KafkaError::PartitionEOF(partition))) => reading.finish(partition),
                Some(Err(error)) if is_final(&error) => return Err(self.failed(name, &error)),
                Some(Err(_)) | None => self.check_stalled(name, &reading)?,
            }
        }
        self.consumer.unassign().map_err(|error| self.failed(name, &error))
    }

    fn assign(&self, topic: &str, reading: &Reading<'_>) -> Result<(), AuditError> {
        let mut partitions = TopicPartitionList::new();
        for partition in reading.open() {
            partitions
                .add_partition_offset(topic, partition, Offset::Offset(0))
                .map_err(|error| self.failed(topic, &error))?;
        }
        self.consumer
            .assign(&partitions)
            .map_err(|error| self.failed(topic, &error))
    }

    /// What comes after the end is not fetched for nothing.
    fn pause(&self, topic: &str, partition: i32) -> Result<(), AuditError> {
        let mut finished = TopicPartitionList::new();
        finished.add_partition(topic, partition);
        self.consumer
            .pause(&finished)
            .map_err(|error| self.failed(topic, &error))
    }

    fn check_stalled(&self, topic: &str, reading: &Reading<'_>) -> Result<(), AuditError> {
        if reading.last_progress.elapsed() < STALLED {
            return Ok(());
        }
        let partition = reading.open().next().unwrap_or(0);
        Err(AuditError::Cluster(Error::Stalled {
            topic: topic.to_owned(),
            partition,
            offset: reading.next[usize::try_from(partition).unwrap_or(0)],
            seconds: STALLED.as_secs(),
            cause: self.consumer.context().heard(),
        }))
    }

    fn failed(&self, topic: &str, error: &KafkaError) -> AuditError {
        let what = format!("reading `{topic}`");
        AuditError::Cluster(client::answer_or(
            Right::topic(Operation::Read, topic),
            &self.connection,
            self.consumer.context().heard(),
            &what,
            error,
        ))
    }
}

/// Whether reading on is of no use: the client does not try again by itself.
fn is_final(error: &KafkaError) -> bool {
    use RDKafkaErrorCode as Code;
    matches!(
        error.rdkafka_error_code(),
        Some(
            Code::AutoOffsetReset
                | Code::OffsetOutOfRange
                | Code::Fatal
                | Code::UnknownTopicOrPartition
                | Code::UnknownPartition
                | Code::TopicAuthorizationFailed
                | Code::BadMessage
                | Code::BadCompression
                | Code::NotImplemented
        )
    )
}

/// How far each partition of a topic is read.
struct Reading<'a> {
    ends: &'a [i64],
    next: Vec<i64>,
    done: Vec<bool>,
    left: usize,
    last_progress: Instant,
}

impl<'a> Reading<'a> {
    fn of(ends: &'a [i64]) -> Self {
        let done: Vec<_> = ends.iter().map(|end| *end == 0).collect();
        Self {
            ends,
            next: vec![0; ends.len()],
            left: done.iter().filter(|done| !**done).count(),
            done,
            last_progress: Instant::now(),
        }
    }

    fn open(&self) -> impl Iterator<Item = i32> {
        (0..)
            .zip(&self.done)
            .filter(|(_, done)| !**done)
            .map(|(partition, _)| partition)
    }

    fn wants(&self, (partition, offset): (i32, i64)) -> bool {
        self.index(partition).is_some_and(|at| offset < self.ends[at])
    }

    /// Takes note of a record; says whether it was the last one that is wanted of its partition.
    fn pass(&mut self, (partition, offset): (i32, i64)) -> bool {
        let Some(at) = self.index(partition) else { return false };
        self.next[at] = offset + 1;
        self.last_progress = Instant::now();
        let last = !self.done[at] && offset + 1 >= self.ends[at];
        if last {
            self.finish(partition);
        }
        last
    }

    /// Nothing more comes: what stood before the end holds no records.
    fn finish(&mut self, partition: i32) {
        if let Some(at) = self.index(partition).filter(|at| !self.done[*at]) {
            self.done[at] = true;
            self.left -= 1;
        }
    }

    fn index(&self, partition: i32) -> Option<usize> {
        usize::try_from(partition).ok().filter(|at| *at < self.ends.len())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_partition_is_read_to_its_end_and_no_further() {
        let mut reading = Reading::of(&[2, 0, 5]);
        assert_eq!(reading.open().collect::<Vec<_>>(), [0, 2]);
        assert!(reading.wants((0, 1)) && !reading.wants((0, 2)) && !reading.wants((7, 0)));
        assert!(!reading.pass((0, 0)));
        assert!(reading.pass((0, 1)));
        assert!(!reading.pass((0, 2)), "it has ended before");
        assert_eq!(reading.open().collect::<Vec<_>>(), [2]);
    }

    #[test]
    fn an_end_of_partition_ends_it_once() {
        let mut reading = Reading::of(&[2, 3]);
        reading.finish(1);
        reading.finish(1);
        assert_eq!(reading.left, 1);
    }
}
