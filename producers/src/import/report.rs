//! What an import found and did.

use std::collections::{BTreeMap, HashSet};
use std::fmt;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::time::{Duration, Instant};

use orderflow_domain::OrderPlaced;

use super::{ImportError, ImportFailed};
use crate::sink::{Position, Tally};

/// What became of a line. Every line has exactly one.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reason {
    /// It is part of an order that was placed.
    Accepted,
    /// An invoice number that begins with `C`: a cancellation or return.
    Cancellation,
    /// Another invoice number that is not all digits: an accounting adjustment.
    Adjustment,
    /// Postage, a fee, a discount, a manual entry.
    NotAProduct,
    /// A quantity of zero or less.
    NoQuantity,
    /// A price of zero or less.
    NoPrice,
    /// A record of another event than `OrderPlaced` (NDJSON only).
    OtherEvent,
    /// It cannot be read; a [`Problem`] says why.
    Unreadable,
    /// Sound itself, but its order is not placed, or was placed before; a [`Problem`] says why.
    HeldBack,
    /// Its order was not complete when the import ended early, or the limit was reached.
    Unfinished,
}

impl Reason {
    /// Every reason, in the order in which a report shows them.
    pub const ALL: [Self; 10] = [
        Self::Accepted,
        Self::Cancellation,
        Self::Adjustment,
        Self::NotAProduct,
        Self::NoQuantity,
        Self::NoPrice,
        Self::OtherEvent,
        Self::Unreadable,
        Self::HeldBack,
        Self::Unfinished,
    ];

    /// Its name in reports, as `not_a_product`.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Accepted => "accepted",
            Self::Cancellation => "cancellation",
            Self::Adjustment => "adjustment",
            Self::NotAProduct => "not_a_product",
            Self::NoQuantity => "no_quantity",
            Self::NoPrice => "no_price",
            Self::OtherEvent => "other_event",
            Self::Unreadable => "unreadable",
            Self::HeldBack => "held_back",
            Self::Unfinished => "unfinished",
        }
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// How many lines, and which were the first.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Count {
    /// How many.
    pub lines: u64,
    /// Numbers of the first few, as an editor counts them.
    pub first: Vec<u64>,
}

impl Count {
    /// Most line numbers kept.
    pub const SHOWN: usize = 5;

    pub(super) fn add(&mut self, line: u64) {
        self.lines += 1;
        if self.first.len() < Self::SHOWN {
            self.first.push(line);
        }
    }

    pub(super) fn absorb(&mut self, other: &Self) {
        self.lines += other.lines;
        self.first.extend(&other.first);
        self.first.sort_unstable();
        self.first.truncate(Self::SHOWN);
    }
}

/// Why a line was not taken as it stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    /// The line.
    pub line: u64,
    /// The field it is about, if it is about one.
    pub field: Option<&'static str>,
    /// What is wrong, with what was found.
    pub why: String,
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: ", self.line)?;
        if let Some(field) = self.field {
            write!(f, "{field}: ")?;
        }
        f.write_str(&self.why)
    }
}

/// What an import found and did.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct ImportReport {
    /// What was read, as the user named it; `-` is standard input.
    pub file: String,
    /// Lines read, without the header and empty ones: the sum of `counts`.
    pub lines: u64,
    /// Lines by what became of them.
    pub counts: BTreeMap<Reason, Count>,
    /// The first problems, [`ImportReport::MAX_PROBLEMS`] at most.
    pub problems: Vec<Problem>,
    /// Orders that were read whole, and placed unless it was a dry run.
    pub orders: u64,
    /// Orders without a customer.
    pub guests: u64,
    /// Items of all orders.
    pub items: u64,
    /// Items of the longest order.
    pub longest: u64,
    /// Units of all items.
    pub units: i128,
    /// Minor units of all orders, whatever their currency.
    pub total_minor: i128,
    /// How many different products were ordered; `None` when there are more than are worth remembering.
    pub products: Option<u64>,
    /// What became of the records; all zero for a dry run.
    pub tally: Tally,
    /// The last acknowledged record of every partition.
    pub positions: Vec<Position>,
    /// How long it took.
    pub elapsed: Duration,
    /// Whether it was asked to stop before the end of the file.
    pub stopped: bool,
    pub(super) gathering: Gathering,
}

/// What only matters while reading.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Gathering {
    products: HashSet<u64>,
    began: Instant,
}

impl Default for Gathering {
    fn default() -> Self {
        Self {
            products: HashSet::new(),
            began: Instant::now(),
        }
    }
}

impl ImportReport {
    /// Most problems kept; the counts go on.
    pub const MAX_PROBLEMS: usize = 20;

    /// Most different products counted: 2 MiB of memory.
    const MAX_PRODUCTS: usize = 100_000;

    /// How many lines have this reason.
    #[must_use]
    pub fn count(&self, reason: Reason) -> u64 {
        self.counts.get(&reason).map_or(0, |count| count.lines)
    }

    pub(super) fn line(&mut self, reason: Reason, line: u64) {
        self.lines += 1;
        self.counts.entry(reason).or_default().add(line);
    }

    pub(super) fn lines(&mut self, reason: Reason, count: &Count) {
        if count.lines > 0 {
            self.lines += count.lines;
            self.counts.entry(reason).or_default().absorb(count);
        }
    }

    pub(super) fn problem(&mut self, line: u64, field: Option<&'static str>, why: impl Into<String>) {
        if self.problems.len() < Self::MAX_PROBLEMS {
            self.problems.push(Problem {
                line,
                field,
                why: why.into(),
            });
        }
    }

    pub(super) fn order(&mut self, order: &OrderPlaced) {
        self.orders += 1;
        self.guests += u64::from(order.customer_id.is_none());
        self.items += order.items.len() as u64;
        self.longest = self.longest.max(order.items.len() as u64);
        self.total_minor += i128::from(order.total_minor);
        for item in &order.items {
            self.units += i128::from(item.quantity);
            if self.gathering.products.len() <= Self::MAX_PRODUCTS {
                let mut hasher = DefaultHasher::new();
                item.product_id.hash(&mut hasher);
                self.gathering.products.insert(hasher.finish());
            }
        }
    }

    /// The report of a reading that ended so.
    pub(super) fn finish(mut self, outcome: Result<(), ImportError>) -> Result<Self, ImportFailed> {
        let gathering = std::mem::take(&mut self.gathering);
        let products = gathering.products.len();
        self.products = (products <= Self::MAX_PRODUCTS).then_some(products as u64);
        self.elapsed = gathering.began.elapsed();
        self.problems.sort_by_key(|problem| problem.line);
        match outcome {
            Ok(()) => Ok(self),
            Err(cause) => Err(ImportFailed {
                cause,
                report: Box::new(self),
            }),
        }
    }
}
