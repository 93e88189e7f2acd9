//! Claiming the lanes that the group has given, and where each of them goes on (rules 1 and 6).
//!
//! The group waits for one try and not for the database: what cannot be claimed is assigned and paused, and claimed once the
//! database answers, and Kafka does where it is asked about the lanes.

use std::collections::BTreeSet;
use std::pin::pin;
use std::sync::Arc;
use std::time::{Duration, Instant};

use super::assignment::client;
use super::checks::{self, Committed, Standing, Unchecked, Watermarks};
use super::{Edge, standing};
use crate::crash_point;
use crate::effects::Executor;
use crate::error::ServiceError;
use crate::handler::Handler;
use crate::lane::{TIMERS_HELD, load_effects};
use crate::record::NextOffset;
use crate::settings::StartAt;
use crate::store::{Claim, Lane as Number, Progress, Start, Store, StoreError, TimerRow};

/// How long a database, or Kafka, that was away is left alone before lanes are claimed again.
const CLAIM_RETRY: Duration = Duration::from_millis(200);

/// A lane of this member's, with all that the database holds of it to begin with.
pub(super) struct Claimed {
    pub(super) claim: Claim,
    /// The position of each source, by its index.
    pub(super) positions: Vec<NextOffset>,
    pub(super) executor: Executor,
    pub(super) timers: Vec<TimerRow>,
}

impl Claimed {
    pub(super) fn number(&self) -> Number {
        self.claim.at.owner.lane
    }
}

/// Lanes that are given and not claimed: they are being claimed now, or something was away.
pub(super) struct Unclaimed {
    lanes: BTreeSet<Number>,
    tried: Instant,
    /// Whether the group has its answer: one question to Kafka more or less is all the same, there is another try.
    late: bool,
}

impl<H: Handler, S: Store> Edge<H, S> {
    /// Claims lanes; `None` when that has to wait: for the database, for Kafka, or for what the group says next.
    ///
    /// # Errors
    /// Whatever no waiting mends.
    pub(super) fn claim_or_wait(&mut self, lanes: &BTreeSet<Number>) -> Result<Option<Vec<Claimed>>, ServiceError> {
        let unclaimed = |late| Unclaimed {
            lanes: lanes.clone(),
            tried: Instant::now(),
            late,
        };
        let late = self.unclaimed.is_some();
        self.unclaimed = Some(unclaimed(late));
        let why = match self.claim(lanes) {
            Ok(claimed) => {
                self.unclaimed = None;
                return Ok(Some(claimed));
            }
            Err(Unchecked::Lasting(error)) => return Err(error),
            Err(Unchecked::Passing(why)) => why,
        };
        // At the end of the service nobody waits for anything.
        if !self.with.is_ending() {
            let said = format!("lanes {lanes:?} wait to be claimed: {why}");
            self.with.shared.observer.trouble(None, &said);
        }
        self.unclaimed = Some(unclaimed(true));
        Ok(None)
    }

    /// Claims what could not be claimed when it was given, and assigns it anew, at its position.
    pub(super) fn claim_late(&mut self) -> Result<(), ServiceError> {
        let rested = |unclaimed: &Unclaimed| unclaimed.tried.elapsed() >= CLAIM_RETRY;
        if !self.unclaimed.as_ref().is_some_and(rested) {
            return Ok(());
        }
        let mut held = self.held()?;
        let mut lanes = self.whole_lanes(&held)?;
        lanes.retain(|lane| !self.lanes.contains_key(lane));
        let Some(claimed) = self.claim_or_wait(&lanes)? else {
            return Ok(());
        };
        if self.in_parts() {
            held.retain(|(_, lane)| lanes.contains(lane));
        }
        if held.is_empty() {
            return Ok(());
        }
        self.take_out(&held).map_err(|error| client("assigning late", &error))?;
        self.take_up(&held, claimed)
    }

    /// Lanes that are given and not claimed.
    pub(super) fn unclaimed_lanes(&self) -> impl Iterator<Item = Number> {
        self.unclaimed
            .iter()
            .flat_map(|unclaimed| unclaimed.lanes.iter().copied())
    }

    /// Claims lanes and says where each of their partitions stands, after looking whether the topics agree.
    fn claim(&self, lanes: &BTreeSet<Number>) -> Result<Vec<Claimed>, Unchecked> {
        if lanes.is_empty() {
            return Ok(Vec::new());
        }
        let numbers: Vec<_> = lanes.iter().copied().collect();
        let committed = self.committed(&numbers)?;
        crash_point!("claim.before");
        let claims = self.ask(self.with.shared.store.claim(&numbers))?;
        crash_point!("claim.after");
        let standings = claims
            .iter()
            .flat_map(|claim| self.standings(claim.at.owner.lane, &claim.progress));
        let standings: Vec<_> = standings.collect();
        if !self.with.shared.settings.adopt_database {
            checks::right_database(&standings, &committed, &self.with.identity.location)?;
        }
        let marks = checks::records_are_there(&self.consumer, &standings, &|waited| self.asks_on(waited))?;
        let per_lane = self.with.shared.topology.sources.len();
        let mut claimed = Vec::with_capacity(claims.len());
        for (at, claim) in claims.into_iter().enumerate() {
            let range = at * per_lane..(at + 1) * per_lane;
            let positions = self.positions(&claim, &standings[range.clone()], &marks[range])?;
            claimed.push(self.equipped(claim, positions)?);
        }
        Ok(claimed)
    }

    /// What the group was told of these lanes. It is asked before they are claimed: a claim that comes late may be of a lane
    /// that the group has given to somebody else meanwhile, and who cannot hear of that must not take it from him again and
    /// again. Whoever was ahead then is ahead still.
    fn committed(&self, lanes: &[Number]) -> Result<Committed, Unchecked> {
        let places = lanes.iter().flat_map(|lane| self.standings(*lane, &[]));
        let places: Vec<_> = places.collect();
        checks::committed(&self.consumer, &places, &|waited| self.asks_on(waited))
            .map_err(|error| Unchecked::of("asking for the group's offsets", &error))
    }

    /// With its effects and timers.
    fn equipped(&self, claim: Claim, positions: Vec<NextOffset>) -> Result<Claimed, StoreError> {
        let (store, lane) = (&self.with.shared.store, claim.at.owner.lane);
        let mut executor = Executor::open(lane, self.with.callers.clone(), Vec::new());
        let effects = self.ask(load_effects(store, lane, &executor))?;
        executor.reload(effects);
        Ok(Claimed {
            claim,
            positions,
            executor,
            timers: self.ask(store.timers(lane, TIMERS_HELD))?,
        })
    }

    fn standings(&self, lane: Number, progress: &[Progress]) -> Vec<Standing> {
        let held = |topic: &str| progress.iter().find(|p| &*p.topic == topic).map(|p| p.next_offset);
        let sources = self.with.shared.topology.sources.iter();
        let standing = |topic: &Arc<str>| Standing {
            topic: topic.to_string(),
            partition: lane,
            held: held(topic),
        };
        sources.map(|source| standing(&source.topic)).collect()
    }

    /// Where each source of a lane goes on; a partition never seen is recorded first.
    fn positions(
        &self,
        claim: &Claim,
        standings: &[Standing],
        marks: &[Watermarks],
    ) -> Result<Vec<NextOffset>, Unchecked> {
        let mut starts = Vec::new();
        let mut positions = Vec::with_capacity(standings.len());
        for (standing, marks) in standings.iter().zip(marks) {
            if let Some(held) = standing.held {
                positions.push(held);
                continue;
            }
            let at = self.first(standing, *marks)?;
            starts.push(Start {
                topic: standing.topic.as_str().into(),
                at,
            });
            positions.push(at);
        }
        if !starts.is_empty() {
            self.ask(self.with.shared.store.start_at(claim.at.owner, &starts))?;
        }
        Ok(positions)
    }

    /// Where a partition never seen before starts.
    fn first(&self, standing: &Standing, marks: Watermarks) -> Result<NextOffset, Unchecked> {
        let offset = match self.with.shared.settings.start {
            StartAt::Earliest => marks.low,
            StartAt::Latest => marks.high,
            StartAt::Since(millis) => {
                checks::first_since(&self.consumer, (standing, millis), &|waited| self.asks_on(waited))
                    .map_err(|error| Unchecked::of("asking for the first offset of a time", &error))?
                    .unwrap_or(marks.high)
            }
        };
        Ok(NextOffset::at(offset))
    }

    /// What the database answers. Where the service is to end, nobody waits for that; meanwhile the observer is told that
    /// this thread has not hung.
    fn ask<T>(&self, asking: impl Future<Output = Result<T, StoreError>>) -> Result<T, StoreError> {
        let mut shutdown = self.with.shutdown.clone();
        self.with.runtime.block_on(async {
            let mut asking = pin!(asking);
            loop {
                tokio::select! {
                    biased;
                    answer = &mut asking => return answer,
                    _ = shutdown.wait_for(|asked| *asked) => {
                        return Err(StoreError::Unavailable("the service ends".to_owned()));
                    }
                    () = tokio::time::sleep(standing::TELL_EVERY) => self.tell_observer(),
                }
            }
        })
    }

    /// Whether Kafka is asked something, or asked again, after so long. The observer is told as while the database is
    /// asked.
    fn asks_on(&self, waited: Duration) -> bool {
        let patience = if self.is_late() { checks::ONCE } else { checks::PATIENCE };
        waited < patience && self.asks_patiently(waited)
    }

    /// The same for whoever does not come back.
    pub(super) fn asks_patiently(&self, waited: Duration) -> bool {
        self.tell_observer();
        waited < checks::PATIENCE && !self.with.is_ending()
    }

    fn is_late(&self) -> bool {
        self.unclaimed.as_ref().is_some_and(|unclaimed| unclaimed.late)
    }
}
