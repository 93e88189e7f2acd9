//! What the inbox says of events that come back through a redrive topic: pure, on rows that are locked.

use std::collections::HashMap;

use uuid::Uuid;

use crate::store::{Admission, Arrival};

/// An inbox row: its bytes, and whether it is parked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Standing {
    pub(super) hash: [u8; 16],
    pub(super) dead: bool,
}

/// The rows that redriven events are about, as the judgements so far leave them, and what is to be written.
#[derive(Debug)]
pub(super) struct Redrive {
    rows: HashMap<Uuid, Standing>,
    /// Ids whose row says `applied` from now on.
    pub(super) revived: Vec<Uuid>,
    /// Events that go in under their own id, which had no row.
    pub(super) entered: Vec<Arrival>,
}

impl Redrive {
    pub(super) const fn new(rows: HashMap<Uuid, Standing>) -> Self {
        Self {
            rows,
            revived: Vec::new(),
            entered: Vec::new(),
        }
    }

    /// Only a dead row of the same bytes comes back to life, and only once.
    pub(super) fn judge(&mut self, arrival: &Arrival) -> Admission {
        match self.rows.get_mut(&arrival.id) {
            Some(row) if row.dead && row.hash == arrival.hash => {
                row.dead = false;
                self.revived.push(arrival.id);
                Admission::Redriven
            }
            Some(row) if row.dead => Admission::Conflict,
            _ => self.judge_unread(arrival),
        }
    }

    /// A record that could not be read when it was refused is known by its origin; its own id is looked at now, for the
    /// event may have come in another record meanwhile.
    fn judge_unread(&mut self, arrival: &Arrival) -> Admission {
        let origin = arrival.redriven.filter(|origin| *origin != arrival.id);
        let Some((origin, buried)) = origin.and_then(|id| Some((id, self.rows.get_mut(&id)?))) else {
            return Admission::NotDead;
        };
        if !buried.dead || buried.hash != arrival.hash {
            return Admission::NotDead;
        }
        buried.dead = false;
        self.revived.push(origin);
        match self.rows.get(&arrival.id) {
            Some(seen) if seen.hash == arrival.hash => Admission::Duplicate,
            Some(_) => Admission::Conflict,
            None => {
                let (hash, dead) = (arrival.hash, false);
                self.rows.insert(arrival.id, Standing { hash, dead });
                self.entered.push(*arrival);
                Admission::Redriven
            }
        }
    }
}
