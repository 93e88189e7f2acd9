//! The W3C trace that an order's records belong to.
//!
//! Ids of a trace are those of what it is about: the trace bears the order's id, each hop the tail of its event's id. So a
//! fact that is published again bears the same trace, and an order's trace is found without looking it up.

use std::fmt;
use std::str::FromStr;

use orderflow_domain::EventId;
use thiserror::Error;
use uuid::Uuid;

use crate::Contract;

/// Follow this trace: whoever samples decides at its beginning.
const SAMPLED: u8 = 1;

/// One hop of a trace: the header `traceparent` of W3C Trace Context.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TraceParent {
    /// The trace; not all zero.
    pub trace_id: [u8; 16],
    /// The hop; not all zero.
    pub span_id: [u8; 8],
    /// Bit 0: sampled.
    pub flags: u8,
}

/// Where a record stands in its trace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Trace {
    /// This hop: header `traceparent`.
    pub hop: TraceParent,
    /// Where the trace began: header `ce_traceparent`.
    pub origin: TraceParent,
}

/// The text is no `traceparent`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
#[error("not a W3C traceparent; expected 00-<32 hex digits>-<16 hex digits>-<2 hex digits>, ids not all zero")]
pub struct InvalidTraceParent;

impl Trace {
    /// The trace that begins with this event: of the order it belongs to, else of its own.
    #[must_use]
    pub fn begin(event: &impl Contract) -> Self {
        let meta = event.meta();
        let order = Uuid::try_parse(&meta.correlation_id).ok().filter(|id| !id.is_nil());
        let trace_id = order.unwrap_or(meta.event_id.0).into_bytes();
        let origin = TraceParent {
            trace_id,
            span_id: span_of(meta.event_id),
            flags: SAMPLED,
        };
        Self { hop: origin, origin }
    }

    /// The trace of a record, from its headers' values; `None` unless `traceparent` can be read.
    #[must_use]
    pub fn of_headers(traceparent: Option<&[u8]>, ce_traceparent: Option<&[u8]>) -> Option<Self> {
        let hop = TraceParent::from_bytes(traceparent?)?;
        let origin = ce_traceparent.and_then(TraceParent::from_bytes).unwrap_or(hop);
        Some(Self { hop, origin })
    }

    /// The same trace, one hop on, to the event that this record led to.
    #[must_use]
    pub fn next(&self, event: EventId) -> Self {
        Self {
            hop: TraceParent {
                span_id: span_of(event),
                ..self.hop
            },
            origin: self.origin,
        }
    }
}

/// The random or hashed half of an event's id; never zero, since the UUID's variant is in it.
fn span_of(event: EventId) -> [u8; 8] {
    let mut span = [0; 8];
    span.copy_from_slice(&event.0.as_bytes()[8..]);
    if span == [0; 8] { [1; 8] } else { span }
}

impl TraceParent {
    fn from_bytes(header: &[u8]) -> Option<Self> {
        read(header)
    }
}

/// A `traceparent` of version 00 as text.
const TEXT_BYTES: usize = 55;

/// A `traceparent` as text, on the stack.
#[derive(Debug, Clone, Copy)]
pub struct TraceParentText([u8; TEXT_BYTES]);

impl TraceParentText {
    /// The text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        // Hexadecimal digits and hyphens, so this never falls back.
        std::str::from_utf8(&self.0).unwrap_or_default()
    }
}

impl TraceParent {
    /// The value of the header.
    #[must_use]
    pub fn text(&self) -> TraceParentText {
        let mut text = *b"00-00000000000000000000000000000000-0000000000000000-00";
        put_hex(&self.trace_id, &mut text[3..35]);
        put_hex(&self.span_id, &mut text[36..52]);
        put_hex(&[self.flags], &mut text[53..]);
        TraceParentText(text)
    }
}

fn put_hex(bytes: &[u8], text: &mut [u8]) {
    for (byte, digits) in bytes.iter().zip(text.chunks_exact_mut(2)) {
        digits[0] = HEX_DIGITS[usize::from(byte >> 4)];
        digits[1] = HEX_DIGITS[usize::from(byte & 0xf)];
    }
}

const HEX_DIGITS: &[u8; 16] = b"0123456789abcdef";

impl fmt::Display for TraceParent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.text().as_str())
    }
}

impl FromStr for TraceParent {
    type Err = InvalidTraceParent;

    /// Takes version 00, and of later versions what version 00 has, as the recommendation asks.
    fn from_str(text: &str) -> Result<Self, Self::Err> {
        read(text.as_bytes()).ok_or(InvalidTraceParent)
    }
}

fn read(text: &[u8]) -> Option<TraceParent> {
    let (known, more) = text.split_at_checked(TEXT_BYTES)?;
    if [known[2], known[35], known[52]] != [b'-'; 3] {
        return None;
    }
    let [version] = hex(&known[..2])?;
    let trace_id = hex(&known[3..35]).filter(|id| *id != [0; 16])?;
    let span_id = hex(&known[36..52]).filter(|id| *id != [0; 8])?;
    let [flags] = hex(&known[53..])?;
    let ends_well = more.is_empty() || version != 0 && more[0] == b'-' && std::str::from_utf8(more).is_ok();
    (version != 0xff && ends_well).then_some(TraceParent {
        trace_id,
        span_id,
        flags,
    })
}

/// Two lower-case hexadecimal digits for each byte.
fn hex<const BYTES: usize>(digits: &[u8]) -> Option<[u8; BYTES]> {
    let mut bytes = [0; BYTES];
    let mut wrong = digits.len() != 2 * BYTES;
    for (byte, pair) in bytes.iter_mut().zip(digits.chunks_exact(2)) {
        let (high, low) = (VALUES[usize::from(pair[0])], VALUES[usize::from(pair[1])]);
        wrong |= (high | low) == NO_DIGIT;
        *byte = high << 4 | low & 0xf;
    }
    (!wrong).then_some(bytes)
}

/// What each byte is worth as a digit. Every record that is read has two of these texts, so they are not looked at twice.
const VALUES: [u8; 256] = {
    let mut values = [NO_DIGIT; 256];
    let mut value = 0_u8;
    while value < 16 {
        values[HEX_DIGITS[value as usize] as usize] = value;
        value += 1;
    }
    values
};

const NO_DIGIT: u8 = 0xff;

#[cfg(test)]
mod tests {
    use super::*;
    use crate::samples;

    const W3C: &str = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";

    #[test]
    fn a_traceparent_is_read_and_written() {
        let parent: TraceParent = W3C.parse().expect("the recommendation's own");
        assert_eq!(parent.flags, SAMPLED);
        assert_eq!(parent.to_string(), W3C);
        let later = W3C.replacen("00", "cc", 1) + "-what-the-future-brings";
        assert_eq!(later.parse(), Ok(parent));
    }

    #[test]
    fn what_is_no_traceparent_is_refused() {
        for text in [
            "",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-4BF92F3577B34DA6A3CE929D0E0E4736-00f067aa0ba902b7-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "00-4bf92f3577b34da6a3ce929d0e0e473-00f067aa0ba902b7-01",
            "00-+bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
        ] {
            assert_eq!(text.parse::<TraceParent>(), Err(InvalidTraceParent), "{text}");
        }
    }

    #[test]
    fn a_trace_bears_the_order_and_goes_on_from_hop_to_hop() {
        let order = samples::order_placed();
        let begun = Trace::begin(&order);
        assert_eq!(begun.hop.trace_id, *order.order_id.0.as_bytes());
        assert_eq!(begun.hop, begun.origin);
        let next = begun.next(samples::event_id(9));
        assert_eq!((next.origin, next.hop.trace_id), (begun.origin, begun.hop.trace_id));
        assert_ne!(next.hop.span_id, begun.hop.span_id);
        assert_eq!(next, begun.next(samples::event_id(9)));
        let hop = next.hop.to_string();
        let origin = next.origin.to_string();
        assert_eq!(
            Trace::of_headers(Some(hop.as_bytes()), Some(origin.as_bytes())),
            Some(next)
        );
    }

    #[test]
    fn a_trace_without_its_origin_begins_where_it_is_seen() {
        let hop: TraceParent = W3C.parse().expect("sound");
        let seen = Trace { hop, origin: hop };
        assert_eq!(Trace::of_headers(Some(W3C.as_bytes()), None), Some(seen));
        assert_eq!(Trace::of_headers(Some(W3C.as_bytes()), Some(b"\xff")), Some(seen));
        assert_eq!(Trace::of_headers(None, Some(W3C.as_bytes())), None);
        assert_eq!(Trace::of_headers(Some(b"\xff"), None), None);
        let later = [W3C.replacen("00", "cc", 1).as_bytes(), b"-\xff"].concat();
        assert_eq!(Trace::of_headers(Some(&later), None), None);
    }
}
