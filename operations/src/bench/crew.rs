//! The processes that do one job together, looked at as one.

use std::time::Duration;

use super::Error;
use super::child::Child;
use super::group::Group;
use super::postgres::{APPLIED, Server, UNPUBLISHED};
use super::store::Store;

/// Processes of one group, and the server they work on where there is one.
pub(super) struct Crew<'a> {
    members: Vec<Child>,
    /// How they share the lanes; `None` for one process, which has them all.
    sharing: Option<Sharing<'a>>,
    server: Option<&'a Server>,
}

/// What several processes of one group share.
pub(super) struct Sharing<'a> {
    pub(super) group: Group,
    /// The topic of the orders.
    pub(super) topic: &'a str,
    pub(super) store: &'a Store,
}

/// What a crew has cost so far.
#[derive(Debug, Clone, Copy)]
pub(super) struct Cost {
    /// CPU of all members.
    pub(super) cpu: Duration,
    /// CPU of the database's server; `None` where it cannot be seen.
    pub(super) server: Option<Duration>,
    /// Most memory a member had resident, KiB.
    pub(super) peak_kib: u64,
}

impl<'a> Crew<'a> {
    pub(super) fn of(members: Vec<Child>, sharing: Option<Sharing<'a>>, server: Option<&'a Server>) -> Self {
        Self {
            members,
            sharing,
            server,
        }
    }

    /// A process that works alone.
    pub(super) fn one(child: Child) -> Self {
        Self::of(vec![child], None, None)
    }

    pub(super) fn job(&self) -> &'static str {
        self.members.first().map_or("nobody", Child::job)
    }

    /// Whether each of them has lanes to work on. Those who joined first hold all of them until the others are in.
    pub(super) fn is_complete(&self) -> Result<bool, Error> {
        let Some(Sharing { group, topic, .. }) = &self.sharing else {
            return Ok(true);
        };
        let lanes = group.lanes(topic)?;
        Ok(lanes.len() == self.members.len() && lanes.iter().all(|(_, lanes)| !lanes.is_empty()))
    }

    /// Whether so many orders, all there are, are applied, and all facts acknowledged. Where lanes change hands, facts are
    /// published again, and their number says too little.
    pub(super) fn is_done(&self, orders: u64) -> Result<bool, Error> {
        let Some(Sharing { store, .. }) = &self.sharing else {
            return Ok(true);
        };
        Ok(store.number(APPLIED)? >= orders && store.number(UNPUBLISHED)? == 0)
    }

    /// Whether a fact may be published more than once.
    pub(super) fn may_repeat(&self) -> bool {
        self.sharing.is_some()
    }

    pub(super) fn cost(&self) -> Cost {
        let usages = || self.members.iter().map(Child::usage);
        Cost {
            cpu: usages().map(|usage| usage.cpu).sum(),
            server: self.server.and_then(Server::cpu),
            peak_kib: usages().map(|usage| usage.peak_kib).max().unwrap_or(0),
        }
    }

    /// Fails when one of them has ended.
    pub(super) fn check(&mut self) -> Result<(), Error> {
        self.members.iter_mut().try_for_each(Child::check)
    }

    /// Kills a member without a word of warning.
    pub(super) fn kill(&mut self, member: usize) {
        drop(self.members.remove(member));
    }

    /// Another one joins, as the last.
    pub(super) fn join(&mut self, child: Child) {
        self.members.push(child);
    }

    /// Asks all of them to end, and waits until they have.
    pub(super) fn end(mut self) -> Result<(), Error> {
        self.members.iter_mut().for_each(Child::ask_to_end);
        self.members.into_iter().try_for_each(|child| child.end().map(drop))
    }
}
