//! The records that groups read.

use orderflow_domain::{Event, StockAdjusted};
use rdkafka::Message as _;
use rdkafka::message::BorrowedMessage;
use rusqlite::params;
use rusqlite::types::Value;
use uuid::Uuid;

use super::super::AuditError;
use super::super::digest;
use super::super::system::TopicIndex;
use super::{Gathered, letters};

/// What a record means to the judgement.
struct Meaning {
    event_id: Option<Uuid>,
    kind: i64,
    subject: Value,
    amount: Option<i64>,
    currency: Option<String>,
}

impl Gathered {
    pub(super) fn input(
        &mut self,
        (topic, redriven): (TopicIndex, bool),
        message: &BorrowedMessage<'_>,
    ) -> Result<(), AuditError> {
        const SQL: &str = "INSERT INTO inputs VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12, ?13)";
        self.totals.records += 1;
        let (key, value) = (message.key(), message.payload());
        let timestamp = message.timestamp().to_millis().unwrap_or(NO_TIMESTAMP);
        let place = (message.topic(), message.partition(), message.offset());
        let meaning = meaning(self.values.event(value)?);
        self.work.run(
            SQL,
            params![
                topic,
                message.partition(),
                message.offset(),
                redriven,
                timestamp,
                meaning.event_id.map(Uuid::into_bytes),
                digest::of_value(value),
                digest::of_body(key, value),
                meaning.kind,
                meaning.subject,
                meaning.amount,
                meaning.currency,
                redriven.then(|| letters::id(place, timestamp).into_bytes()),
            ],
        )?;
        Ok(())
    }
}

/// What the runtime takes a record without a timestamp to have.
const NO_TIMESTAMP: i64 = -1;

fn meaning(event: Option<Event>) -> Meaning {
    let event_id = event.as_ref().map(|event| event.meta().event_id.0);
    let (kind, subject, amount, currency) = match event {
        Some(Event::OrderPlaced(order)) => {
            let subject = Value::Blob(order.order_id.0.as_bytes().to_vec());
            let currency = order.currency.as_str().to_owned();
            (1, subject, Some(order.total_minor), Some(currency))
        }
        Some(Event::StockReceived(received)) => (
            2,
            Value::Text(received.product_id.0.into()),
            Some(received.quantity),
            None,
        ),
        Some(Event::StockAdjusted(adjusted)) => corrected(adjusted),
        _ => (0, Value::Null, None, None),
    };
    Meaning {
        event_id,
        kind,
        subject,
        amount,
        currency,
    }
}

fn corrected(event: StockAdjusted) -> (i64, Value, Option<i64>, Option<String>) {
    let product = Value::Text(event.product_id.0.into());
    match (event.delta, event.count) {
        (Some(delta), None) => (3, product, Some(delta), None),
        (None, Some(count)) => (4, product, Some(count), None),
        // No inventory applies it.
        _ => (0, product, None, None),
    }
}
