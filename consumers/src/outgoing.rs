//! From what follows to a fact that is published.

use std::sync::Arc;

use orderflow_domain::{EventId, Meta, OrderId, Timestamp};
use orderflow_runtime::{Cause, Fact, Headers};
use orderflow_schemas::{Codec, Contract, Trace, headers};

/// What the `index`-th fact of a cause says of itself. Everything comes from the cause, so a decision taken again says the
/// same.
pub(crate) fn meta(cause: &Cause, index: u32, order_id: OrderId, caused_by: EventId, source: &str) -> Meta {
    Meta {
        event_id: EventId(cause.derive(index)),
        occurred_at: Timestamp::from_unix_millis(cause.time),
        correlation_id: order_id.text(),
        causation_id: Some(caused_by),
        source: source.into(),
    }
}

/// The record for `event`, one hop on in `trace`.
pub(crate) fn fact(codec: &Codec, event: &impl Contract, topic: &Arc<str>, trace: Trace) -> Fact {
    let id = event.meta().event_id;
    let mut value = Vec::with_capacity(VALUE_BYTES);
    codec.encode(event, &mut value);
    let mut fact = Fact::new(id.0, Arc::clone(topic), event.key().into_owned(), value);
    fact.headers = headers_of(event, trace.next(id));
    fact
}

/// The trace that a cause's record stands in; one that begins with its event where the record bears none.
pub(crate) fn trace(cause: &Cause, event: &impl Contract) -> Trace {
    let hop = cause.traceparent.as_deref().map(str::as_bytes);
    let origin = cause.origin_traceparent.as_deref().map(str::as_bytes);
    Trace::of_headers(hop, origin).unwrap_or_else(|| Trace::begin(event))
}

/// Room for a fact about an order of a few items, so that encoding it does not grow the buffer.
const VALUE_BYTES: usize = 256;

/// Room for the headers of a fact: eleven of them, most of them ids and times.
const HEADER_BYTES: usize = 640;

fn headers_of(event: &impl Contract, trace: Trace) -> Headers {
    let mut list = Headers::with_capacity(HEADER_BYTES);
    headers::each(event, Some(&trace), |name, value| _ = list.push(name, value.as_bytes()));
    list
}
