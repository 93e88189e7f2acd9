//! The headers that travel with a record: `CloudEvents` 1.0 in binary mode, and the trace.
//!
//! They repeat what the value says, for tools that route, filter and trace without decoding it. The value is the truth.

use std::borrow::Cow;

use crate::{Contract, Trace};

/// What the value is, as `CloudEvents`' Kafka binding names it.
pub const CONTENT_TYPE: &str = "application/avro";

/// Name of the header with this hop of the trace.
pub const TRACEPARENT: &str = "traceparent";

/// Name of the header with the beginning of the trace.
pub const CE_TRACEPARENT: &str = "ce_traceparent";

/// A header: its name and its value, in UTF-8.
pub type Header = (&'static str, Cow<'static, str>);

/// The headers of a record that holds `event`, and stands where `trace` says.
#[must_use]
pub fn of(event: &impl Contract, trace: Option<&Trace>) -> Vec<Header> {
    let meta = event.meta();
    let mut headers = Vec::with_capacity(11);
    headers.extend([
        ("ce_specversion", Cow::Borrowed("1.0")),
        ("ce_id", meta.event_id.to_string().into()),
        ("ce_type", Cow::Borrowed(event.event_type().record_name())),
        ("ce_source", meta.source.clone().into()),
        ("ce_time", meta.occurred_at.to_string().into()),
        ("ce_subject", event.key().into_owned().into()),
        ("ce_correlationid", meta.correlation_id.clone().into()),
    ]);
    headers.extend(
        meta.causation_id
            .map(|cause| ("ce_causationid", cause.to_string().into())),
    );
    headers.push(("content-type", Cow::Borrowed(CONTENT_TYPE)));
    if let Some(trace) = trace {
        headers.push((TRACEPARENT, trace.hop.to_string().into()));
        headers.push((CE_TRACEPARENT, trace.origin.to_string().into()));
    }
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
        let expected: [Header; 11] = [
            ("ce_specversion", "1.0".into()),
            ("ce_id", "018f2a3e-0002-7000-8000-000000000002".into()),
            ("ce_type", "orderflow.inventory.InventoryReserved".into()),
            ("ce_source", "orderflow/inventory".into()),
            ("ce_time", "2010-12-01T08:26:00Z".into()),
            ("ce_subject", "018f2a3e-1000-7000-8000-000000000007".into()),
            ("ce_correlationid", "018f2a3e-1000-7000-8000-000000000007".into()),
            ("ce_causationid", "018f2a3e-0001-7000-8000-000000000001".into()),
            ("content-type", "application/avro".into()),
            (
                "traceparent",
                "00-018f2a3e100070008000000000000007-8000000000000002-01".into(),
            ),
            (
                "ce_traceparent",
                "00-018f2a3e100070008000000000000007-8000000000000001-01".into(),
            ),
        ];
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
