//! Puts goods into stock: what came in, and what was counted.

mod catalogue;

use std::time::Instant;

use orderflow_domain::order::{FieldError, MAX_ID_BYTES, check_product_id, check_text};
use orderflow_domain::{EventId, Meta, ProductId, StockAdjusted, StockReceived, Timestamp};
use orderflow_runtime::kafka::Connection;
use orderflow_schemas::Contract;
use thiserror::Error;

use crate::sink::{Position, Sink, SinkError, SinkOptions, Tally};
use crate::{Progress, Stop, Watch, fresh};

pub use catalogue::{BadLine, CatalogueError, CatalogueOptions, parse, write};

/// Who says so, and under which identity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StockOptions {
    /// What says it, as `orderflow/cli`.
    pub source: String,
    /// Identity of the event; `None` makes a new one. With the same id, time and contents it counts once.
    pub event_id: Option<EventId>,
    /// When it happened; `None` is now.
    pub occurred_at: Option<Timestamp>,
}

/// Events about stock that are in every in-sync replica.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StockReport {
    /// What became of the records.
    pub tally: Tally,
    /// The last acknowledged record of every partition: inventory has applied all once it has passed these.
    pub positions: Vec<Position>,
    /// Ids of the events, in the order of sending.
    pub event_ids: Vec<EventId>,
}

/// Why stock was not moved, or may not have been.
#[derive(Debug, Error)]
pub enum StockError {
    /// Nothing was written: a field breaks a rule.
    #[error(transparent)]
    Invalid(#[from] FieldError),
    /// Nothing was written: the catalogue cannot be taken.
    #[error(transparent)]
    Catalogue(#[from] CatalogueError),
    /// Nothing was written.
    #[error(transparent)]
    NotWritten(SinkError),
    /// Some may have been written. The same event again, under the same id and time, counts once.
    #[error("{cause}; the first event of this call has the id {event_id} and the time {occurred_at}")]
    MaybeWritten {
        /// Id of the first event.
        event_id: EventId,
        /// Its time.
        occurred_at: Timestamp,
        /// What happened.
        cause: SinkError,
    },
}

/// Goods came in.
///
/// # Errors
///
/// A product id that is none, or a quantity below 1.
pub fn received(product: &str, quantity: i64, options: &StockOptions) -> Result<StockReceived, FieldError> {
    check_product_id("product_id", product)?;
    if quantity < 1 {
        let message = format!("is {quantity}; must be at least 1");
        return Err(FieldError::new("quantity", "too_small", message));
    }
    Ok(StockReceived {
        meta: meta(product, options)?,
        product_id: ProductId(product.into()),
        quantity,
    })
}

/// So many were counted on the shelf, reserved goods included. Inventory makes the difference of it.
///
/// # Errors
///
/// A product id that is none, a negative count, or no reason.
pub fn counted(product: &str, count: i64, reason: &str, options: &StockOptions) -> Result<StockAdjusted, FieldError> {
    check_product_id("product_id", product)?;
    check_text("reason", reason, MAX_ID_BYTES)?;
    if count < 0 {
        let message = format!("is {count}; must not be negative");
        return Err(FieldError::new("count", "too_small", message));
    }
    Ok(StockAdjusted {
        meta: meta(product, options)?,
        product_id: ProductId(product.into()),
        delta: None,
        count: Some(count),
        reason: reason.to_owned(),
    })
}

/// Sends events about stock and waits until all are acknowledged.
///
/// # Errors
///
/// See [`StockError`].
pub fn send<E: Contract>(
    connection: &Connection,
    sink: SinkOptions,
    events: &[E],
    stop: &Stop,
    watch: Watch<'_>,
) -> Result<StockReport, StockError> {
    let mut sink = Sink::open(connection, sink, stop).map_err(StockError::NotWritten)?;
    let sent = send_all(&mut sink, events, watch).and_then(|()| sink.finish());
    match (sent, events.first()) {
        (Ok(tally), _) => Ok(StockReport {
            tally,
            positions: sink.positions(),
            event_ids: events.iter().map(|event| event.meta().event_id).collect(),
        }),
        (Err(cause), Some(first)) if cause.may_be_written(sink.tally()) => Err(StockError::MaybeWritten {
            event_id: first.meta().event_id,
            occurred_at: first.meta().occurred_at,
            cause,
        }),
        (Err(cause), _) => Err(StockError::NotWritten(cause)),
    }
}

fn send_all<E: Contract>(sink: &mut Sink, events: &[E], watch: Watch<'_>) -> Result<(), SinkError> {
    const TELL_EVERY_MILLIS: u128 = 200;
    let mut told = Instant::now();
    for event in events {
        sink.send(event)?;
        if told.elapsed().as_millis() >= TELL_EVERY_MILLIS {
            told = Instant::now();
            let Tally { sent, acknowledged, .. } = sink.tally();
            watch(Progress {
                done: acknowledged,
                of: Some(events.len() as u64),
                sent,
                acknowledged,
            });
        }
    }
    Ok(())
}

fn meta(product: &str, options: &StockOptions) -> Result<Meta, FieldError> {
    check_text("source", &options.source, MAX_ID_BYTES)?;
    let occurred_at = options.occurred_at.unwrap_or_else(fresh::now);
    Ok(Meta {
        event_id: options.event_id.unwrap_or_else(|| EventId(fresh::uuid(occurred_at))),
        occurred_at,
        correlation_id: product.to_owned(),
        causation_id: None,
        source: options.source.as_str().into(),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn options() -> StockOptions {
        StockOptions {
            source: "test".to_owned(),
            event_id: None,
            occurred_at: None,
        }
    }

    #[test]
    fn events_are_about_their_product_and_each_is_its_own() {
        let first = received("85123A", 6, &options()).expect("sound");
        assert_eq!((first.meta.correlation_id.as_str(), first.quantity), ("85123A", 6));
        assert_ne!(
            first.meta.event_id,
            received("85123A", 6, &options()).expect("sound").meta.event_id
        );
        let set = counted("85123A", 0, "stock_take", &options()).expect("sound");
        assert_eq!((set.count, set.delta), (Some(0), None));
    }

    #[test]
    fn a_repeat_under_the_same_id_and_time_is_the_same_event() {
        let options = StockOptions {
            event_id: Some(EventId(uuid::Uuid::from_u128(7))),
            occurred_at: Some(Timestamp(1)),
            ..options()
        };
        assert_eq!(received("a", 1, &options), received("a", 1, &options));
    }

    #[test]
    fn what_breaks_a_rule_is_named() {
        let problem = |outcome: Result<StockReceived, FieldError>| outcome.expect_err("refused").to_string();
        assert_eq!(problem(received("", 1, &options())), "product_id: must not be empty");
        assert_eq!(
            problem(received("a", 0, &options())),
            "quantity: is 0; must be at least 1"
        );
        let set = |count, reason| {
            counted("a", count, reason, &options())
                .expect_err("refused")
                .to_string()
        };
        assert_eq!(set(-1, "stock_take"), "count: is -1; must not be negative");
        assert_eq!(set(1, ""), "reason: must not be empty");
    }
}
