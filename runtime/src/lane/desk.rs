//! What is known of a lane while a batch of it is handled.

use std::sync::Arc;

use crate::error::Halt;
use crate::handler::Handler;
use crate::made::Made;
use crate::record::NextOffset;
use crate::relay::LaneRelay;
use crate::settings::Settings;
use crate::shared::Shared;
use crate::store::{Flood, Lane, Sequence, Store, Turn};
use crate::topology::Topology;

/// Everything a batch needs to know of the lane it is on.
pub(crate) struct Desk<H, S> {
    pub(super) shared: Arc<Shared<H, S>>,
    pub(super) at: Turn,
    pub(super) positions: Vec<NextOffset>,
    pub(super) flood: Flood,
    pub(super) relay: LaneRelay,
    /// How many batches must still find none of the rows that are hardly ever there before these are taken not to be.
    pub(super) caution: u32,
}

impl<H: Handler, S: Store> Desk<H, S> {
    pub(crate) fn store(&self) -> &S {
        &self.shared.store
    }

    pub(crate) fn handler(&self) -> &H {
        &self.shared.handler
    }

    pub(crate) fn topology(&self) -> &Topology {
        &self.shared.topology
    }

    pub(crate) fn settings(&self) -> &Settings {
        &self.shared.settings
    }

    pub(crate) fn batch_records(&self) -> usize {
        self.settings().batch_records.unwrap_or(S::BATCH_RECORDS)
    }

    pub(crate) fn lane(&self) -> Lane {
        self.at.owner.lane
    }

    pub(crate) fn at(&self) -> Turn {
        self.at
    }

    pub(crate) fn position(&self, source: u16) -> NextOffset {
        self.positions[usize::from(source)]
    }

    pub(crate) fn flood(&self) -> Flood {
        self.flood
    }

    pub(crate) fn acknowledged(&self) -> Sequence {
        self.relay.acknowledged()
    }

    /// Whether rows that are most likely not there are taken not to be ([`Wanted::absent`](crate::Wanted::absent)).
    pub(crate) fn presumes(&self) -> bool {
        self.caution == 0
    }

    /// Whether the group is flooded with dead letters if this becomes durable.
    pub(crate) fn judge(&self, made: &Made) -> Result<(), Halt> {
        if made.refused.is_empty() {
            return Ok(());
        }
        self.shared.flood.judge(self.lane(), made.flood, &self.shared.settings)
    }
}
