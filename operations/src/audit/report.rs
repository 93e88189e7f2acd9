//! What an audit found: each invariant, how much of it was judged, and what violates it.

use std::fmt;

use serde::{Serialize, Serializer};
use uuid::Uuid;

/// What must hold between the topics and the databases.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Invariant {
    /// See [`Invariant::statement`], here and below.
    RecordCounts,
    /// Every record handled is known.
    Inbox,
    /// Exactly one inventory and one payment outcome.
    OrderOutcomes,
    /// What is kept of an order is what was announced.
    OrderRows,
    /// The parts of a product's stock add up.
    StockBalance,
    /// Stock is what the topics make of it.
    StockFacts,
    /// Payments and the gateway's books are the same.
    Charges,
    /// Facts in topics and outbox are the same.
    Outbox,
    /// First copies in order.
    PublishOrder,
    /// Refused records are kept as they came.
    DeadLetters,
}

impl Invariant {
    /// Every invariant, in the order of a report.
    pub const ALL: [Self; 10] = [
        Self::RecordCounts,
        Self::Inbox,
        Self::OrderOutcomes,
        Self::OrderRows,
        Self::StockBalance,
        Self::StockFacts,
        Self::Charges,
        Self::Outbox,
        Self::PublishOrder,
        Self::DeadLetters,
    ];

    /// Its name: never changes its meaning.
    #[must_use]
    pub const fn slug(self) -> &'static str {
        match self {
            Self::RecordCounts => "record-counts",
            Self::Inbox => "inbox",
            Self::OrderOutcomes => "order-outcomes",
            Self::OrderRows => "order-rows",
            Self::StockBalance => "stock-balance",
            Self::StockFacts => "stock-facts",
            Self::Charges => "charges",
            Self::Outbox => "outbox",
            Self::PublishOrder => "publish-order",
            Self::DeadLetters => "dead-letters",
        }
    }

    /// What holds, in a sentence.
    #[must_use]
    pub const fn statement(self) -> &'static str {
        match self {
            Self::RecordCounts => "applied, duplicate, dead and skipped records add up to the records in the topics",
            Self::Inbox => "every record handled is known to the inbox, with its bytes, or is a dead letter",
            Self::OrderOutcomes => "every order applied has exactly one inventory outcome and one payment outcome",
            Self::OrderRows => "what a database keeps of an order is what its fact says",
            Self::StockBalance => "received and adjusted stock is available or reserved, and nothing is negative",
            Self::StockFacts => "stock is what the events on the topics make of it",
            Self::Charges => "processed payments, the orders' totals and the gateway's charges are the same",
            Self::Outbox => "facts in the topics and in the outbox are the same, and no sequence is missing",
            Self::PublishOrder => {
                "first copies of a lane's facts stand in their topics in the order of their sequences"
            }
            Self::DeadLetters => "every refused record is a dead letter with its key and bytes untouched",
        }
    }
}

impl Serialize for Invariant {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.slug())
    }
}

/// What an audit found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Whether every invariant holds.
    pub clean: bool,
    /// Each invariant, in the order of [`Invariant::ALL`].
    pub invariants: Vec<Finding>,
    /// What there was.
    pub totals: Totals,
    /// What was not judged, and why; empty in most cases.
    pub notes: Vec<String>,
    /// How long it took, waiting included, milliseconds.
    pub took_ms: u64,
}

impl Report {
    /// The invariants that do not hold.
    pub fn violated(&self) -> impl Iterator<Item = &Finding> {
        self.invariants.iter().filter(|finding| finding.violated > 0)
    }
}

/// How one invariant fared.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// Which.
    pub invariant: Invariant,
    /// What it says.
    pub statement: &'static str,
    /// How many things it was judged on: records, orders, products or facts.
    pub checked: u64,
    /// How many violations there are.
    pub violated: u64,
    /// The first of them.
    pub violations: Vec<Violation>,
}

/// One thing that is not as it must be. Places and ids are there where there is a record to point to.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Violation {
    /// The consumer group whose work it is.
    pub group: Option<&'static str>,
    /// The topic of the record it is about.
    pub topic: Option<String>,
    /// Its partition.
    pub partition: Option<i32>,
    /// Its offset; `null` where the record is in no topic.
    pub offset: Option<i64>,
    /// Id of the event it is about.
    pub event_id: Option<Uuid>,
    /// What is wrong.
    pub sentence: String,
}

impl fmt::Display for Violation {
    /// For people: `payments/3@41, event 018f…, payment: what is wrong`, as far as there is such a place.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let partition = self.partition.map(|partition| format!("/{partition}"));
        let offset = self.offset.map(|offset| format!("@{offset}"));
        let place = self.topic.as_ref().map(|topic| {
            let (partition, offset) = (partition.unwrap_or_default(), offset.unwrap_or_default());
            format!("{topic}{partition}{offset}")
        });
        let event = self.event_id.map(|id| format!("event {id}"));
        let parts = [place, event, self.group.map(str::to_owned)];
        let named: Vec<_> = parts.into_iter().flatten().collect();
        let colon = if named.is_empty() { "" } else { ": " };
        write!(f, "{}{colon}{}", named.join(", "), self.sentence)
    }
}

/// What an audit went through.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Totals {
    /// Records read from the topics.
    pub records: u64,
    /// Different orders.
    pub orders: u64,
    /// Orders of which every line is reserved.
    pub reserved: u64,
    /// Orders refused for want of stock.
    pub unavailable: u64,
    /// Orders charged.
    pub processed: u64,
    /// Orders whose payment was refused.
    pub failed: u64,
    /// Records that groups recognised as handled before.
    pub duplicates: u64,
    /// Records that groups refused.
    pub dead: u64,
    /// Facts and dead letters written by the groups.
    pub facts: u64,
    /// Further copies of them in the topics.
    pub republished: u64,
    /// Products.
    pub products: u64,
    /// Entries in the gateway's ledger.
    pub ledger: u64,
}

/// Violations as they are found: all counted, the first ones kept.
#[derive(Debug)]
pub(super) struct Findings {
    listed: usize,
    found: Vec<Finding>,
}

impl Findings {
    pub(super) fn new(listed: usize) -> Self {
        let none = |invariant: Invariant| Finding {
            invariant,
            statement: invariant.statement(),
            checked: 0,
            violated: 0,
            violations: Vec::new(),
        };
        Self {
            listed,
            found: Invariant::ALL.map(none).into(),
        }
    }

    pub(super) fn checked(&mut self, invariant: Invariant, count: u64) {
        self.found[invariant as usize].checked += count;
    }

    pub(super) fn violation(&mut self, invariant: Invariant, violation: Violation) {
        let finding = &mut self.found[invariant as usize];
        finding.violated += 1;
        if finding.violations.len() < self.listed {
            finding.violations.push(violation);
        }
    }

    pub(super) fn into_invariants(self) -> Vec<Finding> {
        self.found
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_invariant_has_its_place_and_a_name_of_its_own() {
        for (at, invariant) in Invariant::ALL.into_iter().enumerate() {
            assert_eq!(invariant as usize, at);
            let same = Invariant::ALL.iter().filter(|other| other.slug() == invariant.slug());
            assert_eq!(same.count(), 1, "{}", invariant.slug());
        }
    }

    #[test]
    fn a_violation_is_told_with_what_is_known_of_its_place() {
        let nowhere = Violation {
            sentence: "it is wrong".to_owned(),
            ..Violation::default()
        };
        assert_eq!(nowhere.to_string(), "it is wrong");
        let counted = Violation {
            group: Some("payment"),
            topic: Some("orders".to_owned()),
            partition: Some(3),
            ..nowhere
        };
        assert_eq!(counted.to_string(), "orders/3, payment: it is wrong");
        let (offset, event_id) = (Some(41), Some(Uuid::nil()));
        let placed = Violation {
            offset,
            event_id,
            ..counted
        };
        let told = "orders/3@41, event 00000000-0000-0000-0000-000000000000, payment: it is wrong";
        assert_eq!(placed.to_string(), told);
    }

    #[test]
    fn all_violations_are_counted_and_the_first_are_listed() {
        let mut findings = Findings::new(2);
        for sentence in ["a", "b", "c"] {
            let sentence = sentence.to_owned();
            findings.violation(
                Invariant::Outbox,
                Violation {
                    sentence,
                    ..Violation::default()
                },
            );
        }
        let outbox = &findings.into_invariants()[Invariant::Outbox as usize];
        assert_eq!((outbox.violated, outbox.violations.len()), (3, 2));
        assert_eq!(outbox.violations[1].sentence, "b");
    }
}
