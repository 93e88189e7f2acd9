//! What was handed over and is not acknowledged: pure bookkeeping, without a client.

use std::collections::{BTreeMap, VecDeque};
use std::sync::Arc;

use crate::store::{Lane, OutboxRow, Sequence};

use super::Progress;

/// Rows of one lane offered before the next lane's turn: a long backlog of one does not hold up the others.
const RUN: usize = 256;

/// The rows of every lane that are not acknowledged yet.
pub(super) struct Ledger {
    /// What a client may have. A lane gets its share of it and no more: one whose partition has no leader would fill the
    /// client else, and no other lane could publish.
    room: Room,
    /// By number of the lane; lanes are partition numbers, so they are dense.
    lanes: Vec<Option<Backlog>>,
    /// What the client still has of lanes that were closed, which may be open again: it is of their share.
    left: BTreeMap<Lane, Room>,
    /// The lane whose turn it is to be offered first.
    turn: usize,
    /// Lanes whose prefix moved since the last [`Ledger::settle`].
    moved: Vec<Lane>,
}

/// What a client has room for, or a lane's share of it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Room {
    pub(super) rows: usize,
    pub(super) bytes: usize,
}

/// One lane's rows, from the first that is not acknowledged on.
struct Backlog {
    ownership: u64,
    progress: Arc<Progress>,
    /// Sequence of the first row, or of the next one to come.
    first: Sequence,
    rows: VecDeque<Slot>,
    /// How many rows, from the first on, the current client was given or has no need of, and their bytes.
    given: usize,
    given_bytes: usize,
}

struct Slot {
    row: OutboxRow,
    acknowledged: bool,
}

impl Ledger {
    /// No lanes yet, in front of clients with so much room.
    pub(super) fn new(room: Room) -> Self {
        Self {
            room,
            lanes: Vec::new(),
            left: BTreeMap::new(),
            turn: 0,
            moved: Vec::new(),
        }
    }

    /// Begins a lane at sequence `first`; what was known of it before is forgotten, but for what the client has of it.
    pub(super) fn open(&mut self, lane: Lane, ownership: u64, first: Sequence, progress: Arc<Progress>) {
        self.forget(lane);
        let at = index(lane);
        if self.lanes.len() <= at {
            self.lanes.resize_with(at + 1, || None);
        }
        self.lanes[at] = Some(Backlog {
            ownership,
            progress,
            first,
            rows: VecDeque::new(),
            given: 0,
            given_bytes: 0,
        });
    }

    /// Appends rows that follow what the lane has. Without effect for an ownership that was replaced.
    pub(super) fn submit(&mut self, lane: Lane, ownership: u64, rows: Vec<OutboxRow>) {
        if let Some(backlog) = self.owned(lane, ownership) {
            let slots = rows.into_iter().map(|row| Slot {
                row,
                acknowledged: false,
            });
            backlog.rows.extend(slots);
        }
    }

    /// Forgets a lane. Says whether the current client still has rows of it.
    pub(super) fn close(&mut self, lane: Lane, ownership: u64) -> bool {
        if self.owned(lane, ownership).is_none() {
            return false;
        }
        self.forget(lane);
        self.left.contains_key(&lane)
    }

    fn forget(&mut self, lane: Lane) {
        let Some(backlog) = self.lanes.get_mut(index(lane)).and_then(Option::take) else {
            return;
        };
        let given = backlog.rows.iter().take(backlog.given);
        let rows = given.filter(|slot| !slot.acknowledged).count();
        if rows > 0 {
            let left = self.left.entry(lane).or_insert(Room { rows: 0, bytes: 0 });
            left.rows += rows;
            left.bytes += backlog.given_bytes;
        }
    }

    /// Offers the rows that the current client was not given, lane after lane, each in sequence order, until every lane
    /// had its run or its share. Stops at the first row that is not taken: it is offered again first of its lane, and the
    /// next lane is first to offer.
    ///
    /// # Errors
    /// What `take` said of the row it did not take.
    pub(super) fn offer<E>(&mut self, mut take: impl FnMut(Lane, &OutboxRow) -> Result<(), E>) -> Result<(), E> {
        let (count, share) = (self.lanes.len(), self.share());
        for at in (0..count).map(|n| (self.turn + n) % count) {
            let share = self.without_what_is_left(lane_of(at), share);
            if let Some(backlog) = &mut self.lanes[at] {
                let taken = backlog.offer(share, |row| take(lane_of(at), row));
                if taken.is_err() {
                    self.turn = (at + 1) % count;
                    return taken;
                }
            }
        }
        Ok(())
    }

    /// Marks a fact as acknowledged. A fact nobody waits for any more is no news.
    pub(super) fn acknowledge(&mut self, lane: Lane, sequence: Sequence) {
        // What was given first comes back first.
        if let Some(left) = self.left.get_mut(&lane) {
            left.rows -= 1;
            if left.rows == 0 {
                self.left.remove(&lane);
            }
        }
        let backlog = self.lanes.get_mut(index(lane)).and_then(Option::as_mut);
        if backlog.is_some_and(|backlog| backlog.acknowledge(sequence)) && self.moved.last() != Some(&lane) {
            self.moved.push(lane);
        }
    }

    /// Tells the lanes whose prefix moved, and `tell` their new prefix.
    pub(super) fn settle(&mut self, mut tell: impl FnMut(Lane, Sequence)) {
        self.moved.sort_unstable();
        self.moved.dedup();
        for lane in self.moved.drain(..) {
            if let Some(backlog) = &self.lanes[index(lane)] {
                backlog.progress.reach(backlog.first - 1);
                tell(lane, backlog.first - 1);
            }
        }
    }

    /// The client is gone: every lane starts again at its first unacknowledged fact.
    ///
    /// What is acknowledged behind it is not repeated: it is in Kafka before anything that the next client adds, so first
    /// copies stay in order. A fact of which this is not known is never passed over.
    pub(super) fn restart(&mut self) {
        self.left.clear();
        for backlog in self.lanes.iter_mut().flatten() {
            backlog.given = 0;
            backlog.given_bytes = 0;
        }
    }

    /// Whether nothing waits and nothing is with the client.
    pub(super) fn is_empty(&self) -> bool {
        self.lanes.iter().flatten().all(|backlog| backlog.rows.is_empty())
    }

    /// Whether rows wait that the current client may be given.
    pub(super) fn is_waiting(&self) -> bool {
        let share = self.share();
        let mut lanes = (0..).zip(&self.lanes);
        lanes.any(|(lane, backlog)| {
            let share = self.without_what_is_left(lane, share);
            backlog.as_ref().is_some_and(|backlog| backlog.next(share).is_some())
        })
    }

    fn share(&self) -> Room {
        let lanes = self.lanes.iter().flatten().count().max(1);
        Room {
            rows: (self.room.rows / lanes).max(1),
            bytes: self.room.bytes / lanes,
        }
    }

    fn without_what_is_left(&self, lane: Lane, share: Room) -> Room {
        let Some(left) = self.left.get(&lane) else {
            return share;
        };
        Room {
            rows: share.rows.saturating_sub(left.rows),
            bytes: share.bytes.saturating_sub(left.bytes),
        }
    }

    fn owned(&mut self, lane: Lane, ownership: u64) -> Option<&mut Backlog> {
        let backlog = self.lanes.get_mut(index(lane))?.as_mut();
        backlog.filter(|backlog| backlog.ownership == ownership)
    }
}

impl Backlog {
    fn offer<E>(&mut self, share: Room, mut take: impl FnMut(&OutboxRow) -> Result<(), E>) -> Result<(), E> {
        let length = self.rows.len().min(share.rows).saturating_sub(self.given).min(RUN);
        for n in 0..length {
            let Some(slot) = self.next(share) else { break };
            if !slot.acknowledged {
                take(&slot.row)?;
            }
            let bytes = slot.bytes();
            self.given += 1;
            self.given_bytes += bytes;
            crash_points(n, length);
        }
        Ok(())
    }

    /// The row that the client may be given next; one row it may have, however long, where it has none.
    fn next(&self, share: Room) -> Option<&Slot> {
        let slot = self.rows.get(self.given)?;
        let fits = self.given < share.rows && self.given_bytes + slot.bytes() <= share.bytes;
        (fits || self.given == 0 && share.rows > 0).then_some(slot)
    }

    /// Says whether the acknowledged prefix moved.
    fn acknowledge(&mut self, sequence: Sequence) -> bool {
        let place = usize::try_from(sequence - self.first).ok();
        let Some(slot) = place.and_then(|place| self.rows.get_mut(place)) else {
            return false;
        };
        slot.acknowledged = true;
        let before = self.first;
        while let Some(slot) = self.rows.pop_front_if(|slot| slot.acknowledged) {
            self.first += 1;
            if self.given > 0 {
                self.given -= 1;
                self.given_bytes -= slot.bytes();
            }
        }
        self.first > before
    }
}

impl Slot {
    /// As the client counts them, but for what it adds itself.
    fn bytes(&self) -> usize {
        let of = |part: &Option<Vec<u8>>| part.as_ref().map_or(0, Vec::len);
        of(&self.row.key) + of(&self.row.value)
    }
}

/// Row `n` of a run of `length` was given to the client.
fn crash_points(n: usize, length: usize) {
    if n == 0 {
        crate::crash_point!("publish.first");
    }
    if n > 0 && n == length / 2 {
        crate::crash_point!("publish.mid");
    }
    if n + 1 == length {
        crate::crash_point!("publish.last");
    }
}

/// Lanes are partition numbers: never negative, and Kafka allows a few hundred thousand at most.
fn index(lane: Lane) -> usize {
    usize::try_from(lane).unwrap_or(0)
}

fn lane_of(index: usize) -> Lane {
    Lane::try_from(index).unwrap_or(Lane::MAX)
}
