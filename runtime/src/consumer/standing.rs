//! What waits for each lane, and whether any broker is there: what a health check judges by.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use rdkafka::Statistics;
use rdkafka::statistics::Partition;

use crate::store::Lane;

/// How often an observer is told; what it is told of the broker's side is as old as [`FIGURES_EVERY`] at most.
pub(super) const TELL_EVERY: Duration = Duration::from_secs(1);

/// How often librdkafka gives its figures: they are text, and of every partition.
pub(super) const FIGURES_EVERY: Duration = Duration::from_secs(5);

/// What librdkafka's figures say, as far as anybody asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Figures {
    /// Lanes of which the brokers hold records that did not come here yet.
    pub(super) behind: BTreeSet<Lane>,
    /// Whether there is a connection to at least one broker.
    pub(super) connected: bool,
}

impl Default for Figures {
    /// Before the first figures nothing speaks against anything.
    fn default() -> Self {
        Self {
            behind: BTreeSet::new(),
            connected: true,
        }
    }
}

impl From<&Statistics> for Figures {
    fn from(statistics: &Statistics) -> Self {
        let topics = statistics.topics.values();
        let partitions = topics.flat_map(|topic| topic.partitions.values());
        let brokers = statistics.brokers.values();
        Self {
            behind: partitions
                .filter(|partition| is_behind(partition))
                .map(|partition| partition.partition)
                .collect(),
            connected: brokers
                .filter(|broker| broker.nodeid >= 0)
                .any(|broker| broker.state == "UP"),
        }
    }
}

/// Whether the partition ends further on than what was handed out. Behind the last record there may be marks of
/// transactions, which are never handed out: an end that was noticed counts as well.
fn is_behind(partition: &Partition) -> bool {
    let end = partition.ls_offset;
    let reached = if partition.app_offset >= 0 {
        partition.app_offset
    } else {
        partition.next_offset
    };
    partition.desired && partition.eof_offset < end && (0..end).contains(&reached)
}

/// Of the lanes held, those that have something to do, in the shape in which an observer is told.
pub(super) fn standing(held: impl Iterator<Item = (Lane, usize)>, figures: &Figures) -> BTreeMap<Lane, bool> {
    held.map(|(lane, buffered)| (lane, buffered > 0 || figures.behind.contains(&lane)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn partition(reached: (i64, i64), end: i64, noticed: i64) -> Partition {
        Partition {
            desired: true,
            app_offset: reached.0,
            next_offset: reached.1,
            ls_offset: end,
            eof_offset: noticed,
            ..Partition::default()
        }
    }

    const NONE: i64 = -1_001;

    #[test]
    fn a_partition_is_behind_until_its_end_was_handed_out_or_noticed() {
        assert!(is_behind(&partition((5, 9), 9, NONE)));
        assert!(!is_behind(&partition((9, 9), 9, NONE)));
        assert!(!is_behind(&partition((8, 9), 9, 9)), "a mark of a transaction");
        assert!(
            is_behind(&partition((8, 9), 12, 9)),
            "more came after the end was noticed"
        );
        assert!(is_behind(&partition((NONE, 3), 9, NONE)), "nothing was handed out yet");
        assert!(!is_behind(&partition((NONE, NONE), 9, NONE)), "not started");
        let other = Partition {
            desired: false,
            ..partition((5, 9), 9, NONE)
        };
        assert!(!is_behind(&other), "another member's");
    }

    #[test]
    fn a_lane_has_something_to_do_here_or_at_the_brokers() {
        let figures = Figures {
            behind: BTreeSet::from([1, 7]),
            connected: true,
        };
        let told = standing([(0, 0), (1, 0), (2, 30)].into_iter(), &figures);
        assert_eq!(told, BTreeMap::from([(0, false), (1, true), (2, true)]));
    }
}
