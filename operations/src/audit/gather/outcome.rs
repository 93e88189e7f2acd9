//! What facts say of orders.

use std::collections::HashMap;

use orderflow_domain::{Event, Reservation};
use rusqlite::params;
use uuid::Uuid;

use super::super::AuditError;
use super::super::digest::{self, Hash};
use super::super::system::{Group, TopicIndex};
use super::super::work::Work;

/// Products whose sums are kept in memory before they are written.
const PRODUCTS: usize = 50_000;

/// An outcome of an order.
#[derive(Debug)]
pub(super) struct Outcome {
    pub(super) order_id: Uuid,
    pub(super) event_id: Uuid,
    /// What is held for it.
    pub(super) reservations: Vec<Reservation>,
    kind: i64,
    digest: Hash,
    amount: Option<i64>,
    currency: Option<String>,
    said: Option<String>,
}

/// Where a fact stands; no offset where it is not published yet.
pub(super) type Place = (Option<TopicIndex>, i32, Option<i64>);

impl Outcome {
    /// What a fact says; `None` where it says nothing of an order's outcome.
    pub(super) fn of(event: Event) -> Option<Self> {
        let event_id = event.meta().event_id.0;
        let outcome = |order_id: orderflow_domain::OrderId, kind, digest| Self {
            order_id: order_id.0,
            event_id,
            reservations: Vec::new(),
            kind,
            digest,
            amount: None,
            currency: None,
            said: None,
        };
        match event {
            Event::InventoryReserved(fact) => Some(Self {
                reservations: fact.reservations.clone(),
                ..outcome(fact.order_id, 1, digest::of_held(&fact.reservations))
            }),
            Event::InventoryUnavailable(fact) => Some(outcome(fact.order_id, 2, digest::of_held(&[]))),
            Event::PaymentProcessed(fact) => Some(Self {
                amount: Some(fact.amount_minor),
                currency: Some(fact.currency.as_str().to_owned()),
                said: Some(fact.charge_id.clone()),
                ..outcome(fact.order_id, 3, digest::of_processed(&fact))
            }),
            Event::PaymentFailed(fact) => Some(Self {
                amount: Some(fact.amount_minor),
                currency: Some(fact.currency.as_str().to_owned()),
                said: Some(fact.reason.clone()),
                ..outcome(fact.order_id, 4, digest::of_failed(&fact))
            }),
            Event::OrderPlaced(_) | Event::StockReceived(_) | Event::StockAdjusted(_) => None,
        }
    }

    /// Notes it; the first one of an event id stays.
    pub(super) fn insert(self, work: &Work, group: Group, known: bool, place: Place) -> Result<(), AuditError> {
        const SQL: &str = "INSERT OR IGNORE INTO outcomes VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12)";
        let (topic, partition, offset) = place;
        work.run(
            SQL,
            params![
                group as i64,
                self.order_id.as_bytes(),
                self.event_id.as_bytes(),
                self.kind,
                known,
                topic,
                partition,
                offset,
                self.digest,
                self.amount,
                self.currency,
                self.said,
            ],
        )?;
        Ok(())
    }
}

/// How much of each product is reserved, by the facts.
#[derive(Debug, Default)]
pub(super) struct Held(HashMap<String, i64>);

impl Held {
    pub(super) fn add(&mut self, work: &Work, reservations: &[Reservation]) -> Result<(), AuditError> {
        for line in reservations {
            match self.0.get_mut(line.product_id.as_str()) {
                Some(sum) => *sum = sum.saturating_add(line.quantity),
                None => {
                    self.0.insert(line.product_id.as_str().to_owned(), line.quantity);
                }
            }
        }
        if self.0.len() > PRODUCTS {
            self.flush(work)
        } else {
            Ok(())
        }
    }

    pub(super) fn flush(&mut self, work: &Work) -> Result<(), AuditError> {
        const SQL: &str = "INSERT INTO held VALUES (?1, ?2) \
            ON CONFLICT (product) DO UPDATE SET quantity = quantity + excluded.quantity";
        for (product, quantity) in self.0.drain() {
            work.run(SQL, params![product, quantity])?;
        }
        Ok(())
    }
}
