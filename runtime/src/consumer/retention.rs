//! When rows may be forgotten. The inbox horizon never passes a record that is still to be handled, or that record would
//! be taken for one forgotten (rule 2).

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use rdkafka::consumer::Consumer;
use rdkafka::error::KafkaResult;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::Edge;
use crate::handler::Handler;
use crate::settings::Settings;
use crate::shared::wall_clock;
use crate::store::{Lane, Retention, Store, StoreError};

/// How often rows past their time are looked for, and how many of a kind go in one transaction: deleting is done rarely
/// and in pieces, so that no batch waits for it long.
const EVERY: Duration = Duration::from_mins(1);
const ROWS: u32 = 5_000;

/// Where rows are kept for less than four minutes they are looked for more often than every minute: so many times while
/// they are kept.
const LOOKS: u32 = 4;

/// And no more often than that: Kafka is asked where the time lies.
const LEAST: Duration = Duration::from_secs(1);

/// How long batches have the database to themselves between two pieces.
const BETWEEN: Duration = Duration::from_millis(100);

/// How long Kafka has to say where a time lies.
const ANSWER: Duration = Duration::from_secs(2);

/// How often rows past their time are looked for under these settings.
pub(super) fn every(settings: &Settings) -> Duration {
    let shorter = settings.inbox_retention.min(settings.outbox_retention);
    (shorter / LOOKS).clamp(LEAST, EVERY)
}

/// Deleting in the background, which ends with this, after the piece it is at.
pub(super) struct Sweep {
    task: JoinHandle<()>,
    _go_on: watch::Sender<()>,
}

impl Sweep {
    /// Ends it and gives what still works: nobody else may have the database before.
    pub(super) fn end(self) -> JoinHandle<()> {
        self.task
    }
}

impl<H: Handler, S: Store> Edge<H, S> {
    /// Deletes what is past its time, in the background, unless it is being done.
    pub(super) fn retain(&mut self) {
        if self.sweep.as_ref().is_some_and(|sweep| !sweep.task.is_finished()) {
            return;
        }
        let settings = &self.with.shared.settings;
        let age = |age: Duration| wall_clock() - i64::try_from(age.as_millis()).unwrap_or(i64::MAX);
        let horizon = age(settings.inbox_retention);
        let retention = Retention {
            inbox_horizon: if may_forget(horizon, self.newest) && self.everything_before_is_handled(horizon) {
                horizon
            } else {
                i64::MIN
            },
            outbox_before: age(settings.outbox_retention),
            limit: ROWS,
        };
        let (go_on, going) = watch::channel(());
        let until = Instant::now() + every(settings);
        let sweeping = sweep(self.with.shared.store.clone(), retention, (until, going));
        self.sweep = Some(Sweep {
            task: self.with.runtime.spawn(sweeping),
            _go_on: go_on,
        });
    }

    /// Whether every record from before the horizon lies before this group's position, in every partition, whoever has
    /// it. A cluster that cannot say moves no horizon.
    fn everything_before_is_handled(&self, horizon: i64) -> bool {
        let (Ok(first_kept), Ok(positions)) = (self.offsets_at(horizon), self.positions_of_the_group()) else {
            return false;
        };
        all_passed(&first_kept, &positions)
    }

    /// Where the group stands in every partition: what other members hold is known by what they told the group, which is
    /// never more than they have handled.
    fn positions_of_the_group(&self) -> KafkaResult<BTreeMap<(u16, Lane), i64>> {
        let mut positions: BTreeMap<_, _> = self.positions.iter().map(|(place, at)| (*place, at.get())).collect();
        let others: Vec<_> = self.places().filter(|place| !positions.contains_key(place)).collect();
        if others.is_empty() {
            return Ok(positions);
        }
        let mut asked = TopicPartitionList::with_capacity(others.len());
        for (source, lane) in others {
            asked.add_partition(&self.with.shared.topology.source(source).topic, lane);
        }
        let told = self.consumer.committed_offsets(asked, ANSWER)?;
        for element in told.elements() {
            element.error()?;
            let source = self.with.shared.topology.index_of(element.topic());
            if let (Some(source), Offset::Offset(at)) = (source, element.offset()) {
                positions.insert((source, element.partition()), at);
            }
        }
        Ok(positions)
    }

    /// Every partition the group reads.
    fn places(&self) -> impl Iterator<Item = (u16, Lane)> {
        let topology = &self.with.shared.topology;
        let sources = (0..).zip(&topology.sources).map(|(source, _)| source);
        sources.flat_map(|source| (0..topology.lanes()).map(move |lane| (source, lane)))
    }

    /// The first offset at or after a time, per partition; its end where every record is older.
    fn offsets_at(&self, time: i64) -> KafkaResult<BTreeMap<(u16, Lane), i64>> {
        let mut asked = TopicPartitionList::new();
        for (source, lane) in self.places() {
            let topic = &self.with.shared.topology.source(source).topic;
            asked.add_partition_offset(topic, lane, Offset::Offset(time))?;
        }
        let answered = self.consumer.offsets_for_times(asked, ANSWER)?;
        let mut offsets = BTreeMap::new();
        for element in answered.elements() {
            element.error()?;
            let Some(source) = self.with.shared.topology.index_of(element.topic()) else {
                continue;
            };
            let first = match element.offset() {
                Offset::Offset(first) => first,
                _ => self.end_of(element.topic(), element.partition())?,
            };
            offsets.insert((source, element.partition()), first);
        }
        Ok(offsets)
    }

    fn end_of(&self, topic: &str, partition: i32) -> KafkaResult<i64> {
        self.consumer
            .fetch_watermarks(topic, partition, ANSWER)
            .map(|(_, high)| high)
    }
}

/// Whether a record was read that this horizon spares. By a clock that is far ahead none is, and the horizon never falls: every
/// later event would be too old. Where nothing comes, nothing need be forgotten.
fn may_forget(horizon: i64, newest: i64) -> bool {
    horizon <= newest
}

/// Whether the group has passed these offsets; where nothing is known of its position, it has not.
fn all_passed(offsets: &BTreeMap<(u16, Lane), i64>, positions: &BTreeMap<(u16, Lane), i64>) -> bool {
    let passed = |place, offset| positions.get(place).is_some_and(|at| *at >= offset);
    offsets.iter().all(|(place, offset)| passed(place, *offset))
}

/// Deletes in pieces until little is left, or until the next look is due, or nobody wants it any more.
async fn sweep<S: Store>(store: S, retention: Retention, (until, mut going): (Instant, watch::Receiver<()>)) {
    let mut deleted = 0;
    while Instant::now() < until {
        match store.retain(retention).await {
            Ok(rows) => {
                deleted += rows;
                if rows < u64::from(ROWS) {
                    break;
                }
            }
            Err(StoreError::Unavailable(why)) => return tracing::warn!(why, "retention waits for the database"),
            Err(error) => return tracing::error!(%error, "retention"),
        }
        // Nothing is ever sent.
        if let Ok(_over) = tokio::time::timeout(BETWEEN, going.changed()).await {
            break;
        }
    }
    if deleted > 0 {
        tracing::info!(rows = deleted, "deleted rows past their time");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_kept_for_a_short_time_is_looked_for_often() {
        let of = |inbox_retention, outbox_retention| {
            every(&Settings {
                inbox_retention,
                outbox_retention,
                ..Settings::default()
            })
        };
        let secs = Duration::from_secs;
        assert_eq!(every(&Settings::default()), secs(60));
        assert_eq!(of(secs(600), secs(20)), secs(5));
        assert_eq!(of(secs(20), secs(20)), secs(5));
        assert_eq!(of(secs(600), Duration::ZERO), LEAST);
    }

    #[test]
    fn a_lane_of_which_nothing_is_known_holds_the_horizon() {
        let kept = BTreeMap::from([((0, 0), 5), ((0, 1), 5)]);
        let mut positions = BTreeMap::from([((0, 0), 9)]);
        assert!(
            !all_passed(&kept, &positions),
            "another member has it and has told nothing"
        );
        positions.insert((0, 1), 4);
        assert!(!all_passed(&kept, &positions), "it is behind");
        positions.insert((0, 1), 5);
        assert!(all_passed(&kept, &positions));
    }
}
