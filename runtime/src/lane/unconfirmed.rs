//! Positions that the group is not told yet: never ahead of the database (rule 4).

use std::collections::{BTreeMap, VecDeque};

use crate::record::NextOffset;
use crate::store::Sequence;

/// Positions by source.
type Positions = BTreeMap<u16, NextOffset>;

/// Positions in the order of their batches, each with the last fact that was made by then.
#[derive(Debug, Default)]
pub(super) struct Unconfirmed(VecDeque<(Sequence, Positions)>);

impl Unconfirmed {
    /// Positions that the group may be told once every fact up to `last` is recorded as published. Batches that made no fact are
    /// one with the batch before: there may be any number of them while that waits.
    pub(super) fn wait_for(&mut self, last: Sequence, positions: Positions) {
        match self.0.back_mut() {
            Some((sequence, waiting)) if *sequence == last => waiting.extend(positions),
            _ => self.0.push_back((last, positions)),
        }
    }

    /// What the group may be told, now that every fact up to `recorded` is recorded as published.
    pub(super) fn take(&mut self, recorded: Sequence) -> Positions {
        let mut confirmed = Positions::new();
        while let Some((_, positions)) = self.0.pop_front_if(|(last, _)| *last <= recorded) {
            confirmed.extend(positions);
        }
        confirmed
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at<const N: usize>(positions: [(u16, i64); N]) -> Positions {
        positions.map(|(source, next)| (source, NextOffset::at(next))).into()
    }

    #[test]
    fn positions_wait_for_the_facts_made_by_then() {
        let mut unconfirmed = Unconfirmed::default();
        unconfirmed.wait_for(2, at([(0, 10), (1, 5)]));
        unconfirmed.wait_for(4, at([(0, 20)]));
        assert_eq!(unconfirmed.take(1), at([]));
        assert_eq!(unconfirmed.take(3), at([(0, 10), (1, 5)]));
        assert_eq!(unconfirmed.take(4), at([(0, 20)]));
    }

    #[test]
    fn batches_without_facts_do_not_pile_up_behind_one_that_waits() {
        let mut unconfirmed = Unconfirmed::default();
        unconfirmed.wait_for(2, at([(1, 5)]));
        for next in 0..1_000 {
            unconfirmed.wait_for(2, at([(0, next)]));
        }
        assert_eq!(unconfirmed.0.len(), 1);
        assert_eq!(unconfirmed.take(2), at([(0, 999), (1, 5)]));
    }
}
