//! The headers that travel with a record: `CloudEvents` 1.0 in binary mode, and the trace.
//!
//! They repeat what the value says, for tools that route, filter and trace without decoding it. The value is the truth.

use uuid::Uuid;

use crate::{Contract, Trace};

/// What the value is, as `CloudEvents`' Kafka binding names it.
pub const CONTENT_TYPE: &str = "application/avro";

/// Name of the header with this hop of the trace.
pub const TRACEPARENT: &str = "traceparent";

/// Name of the header with the beginning of the trace.
pub const CE_TRACEPARENT: &str = "ce_traceparent";

/// Gives each header of a record that holds `event`, and stands where `trace` says, to `take`: name, then value.
///
/// Allocates nothing, since every record that is written passes here.
pub fn each(event: &impl Contract, trace: Option<&Trace>, mut take: impl FnMut(&'static str, &str)) {
    let meta = event.meta();
    take("ce_specversion", "1.0");
    take(
        "ce_id",
        meta.event_id.0.as_hyphenated().encode_lower(&mut Uuid::encode_buffer()),
    );
    take("ce_type", event.event_type().record_name());
    take("ce_source", &meta.source);
    take("ce_time", meta.occurred_at.text().as_str());
    take("ce_subject", &event.key());
    take("ce_correlationid", &meta.correlation_id);
    if let Some(cause) = meta.causation_id {
        take(
            "ce_causationid",
            cause.0.as_hyphenated().encode_lower(&mut Uuid::encode_buffer()),
        );
    }
    take("content-type", CONTENT_TYPE);
    if let Some(trace) = trace {
        take(TRACEPARENT, trace.hop.text().as_str());
        take(CE_TRACEPARENT, trace.origin.text().as_str());
    }
}

/// The same as a list.
#[must_use]
pub fn of(event: &impl Contract, trace: Option<&Trace>) -> Vec<(&'static str, String)> {
    let mut headers = Vec::with_capacity(11);
    each(event, trace, |name, value| headers.push((name, value.to_owned())));
    headers
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples;

    #[test]
    fn headers_repeat_what_the_value_says() {
        let event = samples::inventory_reserved();
        let trace = Trace::begin(&samples::order_placed()).next(event.meta.event_id);
        let expected = [
            ("ce_specversion", "1.0"),
            ("ce_id", "018f2a3e-0002-7000-8000-000000000002"),
            ("ce_type", "orderflow.inventory.InventoryReserved"),
            ("ce_source", "orderflow/inventory"),
            ("ce_time", "2010-12-01T08:26:00Z"),
            ("ce_subject", "018f2a3e-1000-7000-8000-000000000007"),
            ("ce_correlationid", "018f2a3e-1000-7000-8000-000000000007"),
            ("ce_causationid", "018f2a3e-0001-7000-8000-000000000001"),
            ("content-type", "application/avro"),
            ("traceparent", "00-018f2a3e100070008000000000000007-8000000000000002-01"),
            (
                "ce_traceparent",
                "00-018f2a3e100070008000000000000007-8000000000000001-01",
            ),
        ];
        let expected = expected.map(|(name, value)| (name, value.to_owned()));
        assert_eq!(of(&event, Some(&trace)), expected);
    }

    #[test]
    fn what_is_not_known_has_no_header() {
        let names: Vec<&str> = of(&samples::order_placed(), None)
            .iter()
            .map(|header| header.0)
            .collect();
        assert!(
            !names.contains(&"ce_causationid") && !names.contains(&TRACEPARENT),
            "{names:?}"
        );
    }
}
