//! Kinds of rows, and the order in which their rows are locked.

use std::cmp::Ordering;
use std::fmt;
use std::marker::PhantomData;

/// A kind of row, and the type of its body.
///
/// A service declares its entities as constants. `rank` is the place in the one order in which rows are locked: what is
/// found by reading another entity has a later rank (rule 15).
pub struct Entity<T> {
    name: &'static str,
    rank: u8,
    shared: bool,
    body: PhantomData<fn() -> T>,
}

impl<T> Entity<T> {
    /// An entity called `name` in the database, locked after those of a lower `rank`. Each of its rows is written by one
    /// lane, as those are whose key is the key of the records they are made from.
    #[must_use]
    pub const fn new(name: &'static str, rank: u8) -> Self {
        Self {
            name,
            rank,
            shared: false,
            body: PhantomData,
        }
    }

    /// An entity whose rows are written by several lanes. Transactions that touch one then take turns: batches of different
    /// lanes mostly want the same rows, and in different orders. A kind of row that is shared and not said to
    /// be costs waiting and repetition, and no update.
    #[must_use]
    pub const fn shared(name: &'static str, rank: u8) -> Self {
        Self {
            name,
            rank,
            shared: true,
            body: PhantomData,
        }
    }

    /// Its name in the database: for tools that read it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        self.name
    }

    pub(crate) const fn rank(self) -> Rank {
        Rank {
            place: self.rank,
            name: self.name,
            shared: self.shared,
        }
    }
}

impl<T> Clone for Entity<T> {
    fn clone(&self) -> Self {
        *self
    }
}

impl<T> Copy for Entity<T> {}

impl<T> fmt::Debug for Entity<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Entity({})", self.name)
    }
}

/// An entity without its type: first its place in the order of locks, then its name.
#[derive(Debug, Clone, Copy)]
pub struct Rank {
    place: u8,
    /// Its name in the database.
    pub name: &'static str,
    /// Whether several lanes write its rows.
    pub shared: bool,
}

impl Ord for Rank {
    /// Every comparison of two rows comes here first, so the names are looked at only where they are two texts.
    fn cmp(&self, other: &Self) -> Ordering {
        let same_text = std::ptr::eq(self.name, other.name);
        let by_rank = self.place.cmp(&other.place);
        if same_text {
            by_rank
        } else {
            by_rank.then_with(|| self.name.cmp(other.name))
        }
    }
}

impl PartialOrd for Rank {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Rank {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Rank {}
