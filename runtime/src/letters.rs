//! Dead letters: the record as it came, with where from and why in its headers (rule 9).

use std::sync::Arc;

use uuid::Uuid;

use crate::handler::{Reason, Refusal, derive_id};
use crate::record::{Headers, Origin, Record};
use crate::store::OutboxRow;

/// Longest detail kept in a header, bytes: the headroom of a dead-letter topic is for all headers together.
const DETAIL_BYTES: usize = 1_024;

/// Header names that tools for Spring's dead letters read.
mod dlt {
    pub(super) const PREFIX: &str = "kafka_dlt-";
    pub(super) const TOPIC: &str = "kafka_dlt-original-topic";
    pub(super) const PARTITION: &str = "kafka_dlt-original-partition";
    pub(super) const OFFSET: &str = "kafka_dlt-original-offset";
    pub(super) const TIMESTAMP: &str = "kafka_dlt-original-timestamp";
    pub(super) const GROUP: &str = "kafka_dlt-original-consumer-group";
    pub(super) const MESSAGE: &str = "kafka_dlt-exception-message";
}

const OURS: &str = "orderflow-";

/// Header of a dead letter: the [`Reason`], by its name.
pub const REASON_HEADER: &str = "orderflow-reason";

/// Header of a dead letter: what was wrong with this record, in a sentence of at most 1,024 bytes.
pub const DETAIL_HEADER: &str = dlt::MESSAGE;

/// Where a record first stood, which for a redriven one is not where it stands now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct FirstOrigin {
    topic: String,
    partition: i32,
    offset: i64,
    timestamp: i64,
}

impl FirstOrigin {
    pub(crate) fn of(record: &Record<'_>) -> Self {
        Self::told(record).unwrap_or_else(|| Self {
            topic: record.origin.topic.to_owned(),
            partition: record.origin.partition,
            offset: record.origin.offset,
            timestamp: record.timestamp,
        })
    }

    /// What the headers of a redriven dead letter tell.
    fn told(record: &Record<'_>) -> Option<Self> {
        if !record.redriven {
            return None;
        }
        Some(Self {
            topic: std::str::from_utf8(record.headers.get(dlt::TOPIC)?).ok()?.to_owned(),
            partition: i32::from_be_bytes(record.headers.get(dlt::PARTITION)?.try_into().ok()?),
            offset: i64::from_be_bytes(record.headers.get(dlt::OFFSET)?.try_into().ok()?),
            timestamp: i64::from_be_bytes(record.headers.get(dlt::TIMESTAMP)?.try_into().ok()?),
        })
    }

    /// The id of a record that tells none: the same after a redrive.
    pub(crate) fn id(&self) -> Uuid {
        let place = [&self.partition.to_be_bytes()[..], &self.offset.to_be_bytes()].concat();
        derive_id(self.timestamp, &[b"origin", self.topic.as_bytes(), &place])
    }
}

/// Identity of the dead letter made of the record that stands at `origin`.
fn letter_id(origin: Origin<'_>, timestamp: i64) -> Uuid {
    let place = [&origin.partition.to_be_bytes()[..], &origin.offset.to_be_bytes()].concat();
    derive_id(timestamp, &[b"dead letter", origin.topic.as_bytes(), &place])
}

/// The dead letter of a refused record: bytes and key untouched. Its sequence is given when it is written.
pub(crate) fn letter(record: &Record<'_>, refusal: &Refusal, (topic, group, now): (&Arc<str>, &str, i64)) -> OutboxRow {
    OutboxRow {
        sequence: 0,
        topic: Arc::clone(topic),
        partition: record.origin.partition,
        timestamp: now,
        event_id: letter_id(record.origin, record.timestamp),
        key: record.key.map(Vec::from),
        value: record.value.map(Vec::from),
        headers: headers(record, refusal, group),
        reason: Some(refusal.reason),
    }
}

/// The record's own headers, then where it first stood and why it is here. What an earlier refusal added is replaced, or
/// a record redriven again and again would outgrow its topic.
fn headers(record: &Record<'_>, refusal: &Refusal, group: &str) -> Headers {
    let first = FirstOrigin::of(record);
    let mut headers = Headers::new();
    for (name, value) in record.headers {
        if !name.starts_with(dlt::PREFIX) && !name.starts_with(OURS) {
            headers.push_nullable(name, value);
        }
    }
    headers
        .push(dlt::TOPIC, &first.topic)
        .push(dlt::PARTITION, first.partition.to_be_bytes())
        .push(dlt::OFFSET, first.offset.to_be_bytes())
        .push(dlt::TIMESTAMP, first.timestamp.to_be_bytes())
        .push(dlt::GROUP, group)
        .push(DETAIL_HEADER, cut(&refusal.detail))
        .push(REASON_HEADER, refusal.reason.as_str());
    headers
}

fn cut(detail: &str) -> &str {
    &detail[..detail.floor_char_boundary(DETAIL_BYTES)]
}

/// A refusal of a record whose value is larger than the group takes.
pub(crate) fn oversized(bytes: usize, limit: usize) -> Refusal {
    Refusal::new(
        Reason::Oversized,
        format!("the value has {bytes} bytes, the limit is {limit}"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::record::Headers;

    fn record<'a>(topic: &'a str, headers: &'a Headers, redriven: bool) -> Record<'a> {
        Record {
            origin: Origin {
                topic,
                partition: 3,
                offset: 41,
            },
            source: "orders",
            redriven,
            timestamp: 1_000,
            key: Some(b"k"),
            value: Some(b"v"),
            headers: headers.as_slice(),
        }
    }

    fn refuse(record: &Record<'_>) -> OutboxRow {
        let refusal = Refusal::new(Reason::Truncated, "ends early");
        letter(record, &refusal, (&"orders.g.dlq".into(), "g", 2_000))
    }

    #[test]
    fn a_letter_keeps_the_bytes_and_says_where_from_and_why() {
        let mut own = Headers::new();
        own.push("traceparent", "00-x");
        let letter = refuse(&record("orders", &own, false));
        assert_eq!(
            (letter.key.as_deref(), letter.value.as_deref()),
            (Some(&b"k"[..]), Some(&b"v"[..]))
        );
        let headers = letter.headers.as_slice();
        assert_eq!(headers.get("traceparent"), Some(&b"00-x"[..]));
        assert_eq!(headers.get(dlt::OFFSET), Some(&41_i64.to_be_bytes()[..]));
        assert_eq!(headers.get("orderflow-reason"), Some(&b"truncated"[..]));
    }

    #[test]
    fn a_letter_refused_again_keeps_its_first_origin_and_does_not_grow() {
        let none = Headers::new();
        let source = record("orders", &none, false);
        let first = refuse(&source);
        let again = record("orders.g.redrive", &first.headers, true);
        assert_eq!(FirstOrigin::of(&again).id(), FirstOrigin::of(&source).id());
        let second = refuse(&again);
        assert_eq!(second.headers, first.headers);
        assert_ne!(second.event_id, first.event_id);
    }

    #[test]
    fn headers_of_a_record_that_was_not_redriven_prove_nothing() {
        let none = Headers::new();
        let forged = refuse(&record("elsewhere", &none, false)).headers;
        assert_eq!(FirstOrigin::of(&record("orders", &forged, false)).topic, "orders");
    }

    #[test]
    fn a_long_detail_is_cut_at_a_character() {
        let detail = "é".repeat(DETAIL_BYTES);
        assert_eq!(cut(&detail).len(), DETAIL_BYTES);
        assert_eq!(cut(&format!("a{detail}")).len(), DETAIL_BYTES - 1);
    }
}
