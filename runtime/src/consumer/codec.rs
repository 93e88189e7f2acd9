//! Which batch it is that cannot be decompressed: the client library's error names no partition.

use std::time::{Duration, Instant};

use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};

use super::checks::{self, Standing};
use super::client;
use super::context::Context;
use super::{Edge, TICK};
use crate::error::Halt;
use crate::handler::Handler;
use crate::record::NextOffset;
use crate::store::Store;

/// How long the search may take; the service ends in any case.
const SEARCH: Duration = Duration::from_secs(10);

impl<H: Handler, S: Store> Edge<H, S> {
    /// The halt, with the place where it was found. Errors come in the order of the records, so the batch is the next that
    /// its partition would give: each partition that has more is asked for that, by a client that joins no group.
    pub(super) fn codec(&self) -> Halt {
        let place = match self.undecodable() {
            Ok(Some(Standing { topic, partition, held })) => {
                let offset = held.map_or(0, NextOffset::get);
                format!("{topic}/{partition}: the batch at offset {offset}")
            }
            Ok(None) => "a batch in a partition that was not found".to_owned(),
            Err(error) => format!("a batch in a partition that was not found ({error})"),
        };
        Halt::Codec(place)
    }

    fn undecodable(&self) -> KafkaResult<Option<Standing>> {
        let standings = self.standings_now();
        let marks = checks::watermarks(&self.consumer, &standings, &|waited| self.asks_patiently(waited))?;
        let unread = standings.into_iter().zip(marks).filter_map(|(standing, marks)| {
            let more = standing.held.is_some_and(|held| held.get() < marks.high);
            more.then_some(standing)
        });
        let probe = self.probe()?;
        let until = Instant::now() + SEARCH;
        for standing in unread {
            if refuses(&probe, &standing, until)? {
                return Ok(Some(standing));
            }
        }
        Ok(None)
    }

    /// A client like the group's own, with a place for one partition at a time. The group's name is for the client
    /// library, which assigns nothing without one, and for the rights that go with it.
    fn probe(&self) -> KafkaResult<BaseConsumer<Context>> {
        let connection = &self.with.connection;
        let group = &*self.with.shared.topology.group_id;
        client::reading(connection, group, &[("fetch.wait.max.ms", "20")]).create_with_context(Context::of(connection))
    }
}

/// Whether the next thing a partition gives is that error.
fn refuses(probe: &BaseConsumer<Context>, standing: &Standing, until: Instant) -> KafkaResult<bool> {
    let at = Offset::Offset(standing.held.map_or(0, NextOffset::get));
    let mut one = TopicPartitionList::new();
    one.add_partition_offset(&standing.topic, standing.partition, at)?;
    probe.assign(&one)?;
    while Instant::now() < until {
        match probe.poll(TICK) {
            Some(Ok(_) | Err(KafkaError::PartitionEOF(_))) => return Ok(false),
            Some(Err(error)) if error.rdkafka_error_code() == Some(RDKafkaErrorCode::NotImplemented) => {
                return Ok(true);
            }
            Some(Err(_)) | None => {}
        }
    }
    Err(KafkaError::MessageConsumption(RDKafkaErrorCode::OperationTimedOut))
}
