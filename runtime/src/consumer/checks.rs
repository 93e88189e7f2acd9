//! What is looked at before a lane is consumed: is this the right database, and does the topic still hold what the
//! database expects of it (rule 6).

use std::collections::HashMap;
use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList, TopicPartitionListElem};

use crate::error::{Halt, ServiceError};
use crate::record::NextOffset;
use crate::store::StoreError;

/// How long Kafka has for one question.
const ANSWER: Duration = Duration::from_secs(10);

/// How long a question is asked again: a client learns of new leaders and coordinators by being refused.
pub(super) const PATIENCE: Duration = Duration::from_secs(30);

/// The patience of whoever comes back anyway: less than the time between two tries.
pub(super) const ONCE: Duration = Duration::from_millis(100);
const AGAIN: Duration = Duration::from_millis(200);

/// How long a new leader has to catch up with what the old one acknowledged, before its end of a partition is believed.
const LEADER_CATCHES_UP: Duration = Duration::from_millis(500);

/// One partition and where this group stands in it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Standing {
    pub(super) topic: String,
    pub(super) partition: i32,
    /// What the database holds; `None` for a partition never seen.
    pub(super) held: Option<NextOffset>,
}

/// First and one past the last offset of a partition.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Watermarks {
    pub(super) low: i64,
    pub(super) high: i64,
}

/// Asked before each question, with how long it has been asked already: whether it is asked once more.
pub(super) type AsksOn<'a> = &'a dyn Fn(Duration) -> bool;

/// Why a lane is not checked, by whether another try may do it.
pub(super) enum Unchecked {
    /// Something is away, or another's for a while.
    Passing(String),
    /// The service ends.
    Lasting(ServiceError),
}

impl Unchecked {
    /// Kafka did not answer.
    pub(super) fn of(asking: &str, error: &KafkaError) -> Self {
        let why = format!("{asking}: {error}");
        if may_pass(error) {
            Self::Passing(why)
        } else {
            Self::Lasting(ServiceError::Client(why))
        }
    }
}

impl From<Halt> for Unchecked {
    fn from(halt: Halt) -> Self {
        Self::Lasting(halt.into())
    }
}

impl From<StoreError> for Unchecked {
    fn from(error: StoreError) -> Self {
        match error {
            StoreError::Unavailable(why) => Self::Passing(why),
            // Another member has claimed one since: the group has given it away, and this member has yet to hear of it.
            StoreError::Fenced { .. } => Self::Passing(error.to_string()),
            other => Self::Lasting(other.into()),
        }
    }
}

/// For whoever does not try again.
impl From<Unchecked> for ServiceError {
    fn from(why: Unchecked) -> Self {
        match why {
            Unchecked::Passing(why) => Self::Client(why),
            Unchecked::Lasting(error) => error,
        }
    }
}

/// What the group has committed to Kafka, per partition.
pub(super) type Committed = HashMap<(String, i32), i64>;

/// Asks the cluster about all partitions at once: one request a broker, not one a partition.
///
/// # Errors
/// What the client says when the cluster does not answer.
pub(super) fn watermarks<C: ConsumerContext>(
    consumer: &BaseConsumer<C>,
    standings: &[Standing],
    asks_on: AsksOn<'_>,
) -> KafkaResult<Vec<Watermarks>> {
    let low = ends(consumer, (standings, Offset::Beginning), asks_on)?;
    let high = ends(consumer, (standings, Offset::End), asks_on)?;
    Ok(low
        .into_iter()
        .zip(high)
        .map(|(low, high)| Watermarks { low, high })
        .collect())
}

/// The logical offsets stand for times in this request, by the protocol itself.
fn ends<C: ConsumerContext>(
    consumer: &BaseConsumer<C>,
    (standings, end): (&[Standing], Offset),
    asks_on: AsksOn<'_>,
) -> KafkaResult<Vec<i64>> {
    let mut asked = TopicPartitionList::with_capacity(standings.len());
    for standing in standings {
        asked.add_partition_offset(&standing.topic, standing.partition, end)?;
    }
    patiently(asks_on, || {
        let answered = consumer.offsets_for_times(asked.clone(), ANSWER)?;
        standings
            .iter()
            .map(|standing| offset_in(&answered, standing))
            .collect()
    })
}

fn patiently<T>(asks_on: AsksOn<'_>, mut ask: impl FnMut() -> KafkaResult<T>) -> KafkaResult<T> {
    let began = Instant::now();
    let mut why = KafkaError::Canceled;
    while asks_on(began.elapsed()) {
        match ask() {
            Err(error) if may_pass(&error) => why = error,
            answer => return answer,
        }
        std::thread::sleep(AGAIN);
    }
    Err(why)
}

/// Whether asking again may help. It does not against a missing right.
fn may_pass(error: &KafkaError) -> bool {
    !matches!(
        error.rdkafka_error_code(),
        Some(
            RDKafkaErrorCode::TopicAuthorizationFailed
                | RDKafkaErrorCode::GroupAuthorizationFailed
                | RDKafkaErrorCode::ClusterAuthorizationFailed
        )
    )
}

fn offset_in(answered: &TopicPartitionList, standing: &Standing) -> KafkaResult<i64> {
    match element_of(answered, standing)?.offset() {
        Offset::Offset(offset) => Ok(offset),
        // An empty partition has no record at any time: some brokers answer its end so.
        _ => Ok(0),
    }
}

/// What was answered about a partition; left out, it is no answer.
fn element_of<'a>(answered: &'a TopicPartitionList, standing: &Standing) -> KafkaResult<TopicPartitionListElem<'a>> {
    let none = || KafkaError::MetadataFetch(RDKafkaErrorCode::UnknownPartition);
    let element = answered
        .find_partition(&standing.topic, standing.partition)
        .ok_or_else(none)?;
    element.error()?;
    Ok(element)
}

/// The first offset of a partition whose timestamp is not below a time, in milliseconds; `None` where there is none yet.
///
/// # Errors
/// What the client says when the cluster does not answer.
pub(super) fn first_since<C: ConsumerContext>(
    consumer: &BaseConsumer<C>,
    (standing, millis): (&Standing, i64),
    asks_on: AsksOn<'_>,
) -> KafkaResult<Option<i64>> {
    let mut asked = TopicPartitionList::with_capacity(1);
    asked.add_partition_offset(&standing.topic, standing.partition, Offset::Offset(millis))?;
    patiently(asks_on, || {
        let answered = consumer.offsets_for_times(asked.clone(), ANSWER)?;
        let element = element_of(&answered, standing)?;
        match element.offset() {
            Offset::Offset(offset) => Ok(Some(offset)),
            _ => Ok(None),
        }
    })
}

/// What the group has committed; the list is copied out, for it must not outlive the consumer.
///
/// # Errors
/// What the client says when the cluster does not answer.
pub(super) fn committed<C: ConsumerContext>(
    consumer: &BaseConsumer<C>,
    standings: &[Standing],
    asks_on: AsksOn<'_>,
) -> KafkaResult<Committed> {
    let mut asked = TopicPartitionList::with_capacity(standings.len());
    for standing in standings {
        asked.add_partition(&standing.topic, standing.partition);
    }
    patiently(asks_on, || {
        let answered = consumer.committed_offsets(asked.clone(), ANSWER)?;
        let mut committed = Committed::new();
        for element in answered.elements() {
            element.error()?;
            if let Offset::Offset(offset) = element.offset() {
                committed.insert((element.topic().to_owned(), element.partition()), offset);
            }
        }
        Ok(committed)
    })
}

/// Halts when the group was further than this database, or anywhere where this database was nowhere.
pub(super) fn right_database(standings: &[Standing], committed: &Committed, location: &str) -> Result<(), Halt> {
    for standing in standings {
        let Some(committed) = committed.get(&(standing.topic.clone(), standing.partition)) else {
            continue;
        };
        let held = standing.held.map_or(0, NextOffset::get);
        if *committed > held {
            return Err(Halt::WrongDatabase {
                topic: standing.topic.clone(),
                partition: standing.partition,
                committed: *committed,
                held: standing.held.map_or("nothing".to_owned(), |held| held.to_string()),
                location: location.to_owned(),
            });
        }
    }
    Ok(())
}

/// Halts when a topic no longer holds what the database expects. An end that lies before the position is asked for
/// twice, for a new leader's may lag.
pub(super) fn records_are_there<C: ConsumerContext>(
    consumer: &BaseConsumer<C>,
    standings: &[Standing],
    asks_on: AsksOn<'_>,
) -> Result<Vec<Watermarks>, Unchecked> {
    let asked = |error: KafkaError| Unchecked::of("asking for the ends of partitions", &error);
    let first = watermarks(consumer, standings, asks_on).map_err(asked)?;
    if standings
        .iter()
        .zip(&first)
        .all(|(standing, marks)| !is_past(standing, *marks))
    {
        judge(standings, &first)?;
        return Ok(first);
    }
    std::thread::sleep(LEADER_CATCHES_UP);
    let second = watermarks(consumer, standings, asks_on).map_err(asked)?;
    judge(standings, &second)?;
    Ok(second)
}

fn is_past(standing: &Standing, marks: Watermarks) -> bool {
    standing.held.is_some_and(|held| held.get() > marks.high)
}

fn judge(standings: &[Standing], marks: &[Watermarks]) -> Result<(), Halt> {
    for (standing, marks) in standings.iter().zip(marks) {
        let Some(position) = standing.held.map(NextOffset::get) else {
            continue;
        };
        let (topic, partition) = (standing.topic.clone(), standing.partition);
        if position < marks.low {
            return Err(Halt::DataLost {
                topic,
                partition,
                position,
                low: marks.low,
            });
        }
        if position > marks.high {
            return Err(Halt::Truncated {
                topic,
                partition,
                position,
                high: marks.high,
            });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};

    use super::*;
    use crate::embedded::EmbeddedBroker;

    fn standing(held: Option<i64>) -> Standing {
        Standing {
            topic: "orders".into(),
            partition: 3,
            held: held.map(NextOffset::at),
        }
    }

    #[test]
    fn a_group_further_than_the_database_halts_it() {
        let committed = Committed::from([(("orders".to_owned(), 3), 8)]);
        assert_eq!(right_database(&[standing(Some(8))], &committed, "db"), Ok(()));
        assert!(right_database(&[standing(Some(7))], &committed, "db").is_err());
        assert!(right_database(&[standing(None)], &committed, "db").is_err());
        assert_eq!(right_database(&[standing(None)], &Committed::new(), "db"), Ok(()));
    }

    #[test]
    fn a_leader_that_has_changed_is_asked_again() {
        let broker = EmbeddedBroker::start(&[("orders", 4)]).expect("a broker");
        let consumer: BaseConsumer = broker
            .connection()
            .client(&[("group.id", "tests")])
            .create()
            .expect("a client");
        let refused = [RDKafkaRespErr::RD_KAFKA_RESP_ERR_FENCED_LEADER_EPOCH; 2];
        broker
            .fail_requests(RDKafkaApiKey::ListOffsets, &refused)
            .expect("told");
        let marks = watermarks(&consumer, &[standing(None)], &|waited| waited < PATIENCE);
        assert_eq!(marks, Ok(vec![Watermarks { low: 0, high: 0 }]));
    }

    #[test]
    fn a_position_outside_the_topic_halts() {
        let marks = [Watermarks { low: 5, high: 9 }];
        assert!(matches!(
            judge(&[standing(Some(4))], &marks),
            Err(Halt::DataLost { low: 5, .. })
        ));
        assert_eq!(judge(&[standing(Some(5))], &marks), Ok(()));
        assert_eq!(judge(&[standing(Some(9))], &marks), Ok(()));
        assert!(matches!(
            judge(&[standing(Some(10))], &marks),
            Err(Halt::Truncated { high: 9, .. })
        ));
        assert_eq!(judge(&[standing(None)], &marks), Ok(()));
    }
}
