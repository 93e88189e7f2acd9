//! From the client's record to one of our own.

use std::panic::{AssertUnwindSafe, catch_unwind};

use rdkafka::message::{BorrowedMessage, Headers as _, Message};

use crate::record::{Fetched, UNREADABLE_HEADERS};

/// A copy of the record. The client panics on a header whose name is no text, which any producer can write: such a record
/// goes on without its headers, marked, and is refused where it is read.
pub(super) fn detach(source: u16, record: &BorrowedMessage<'_>) -> Fetched {
    let place = (source, record.offset(), record.timestamp().to_millis().unwrap_or(-1));
    let (key, value) = (record.key(), record.payload());
    let Some(headers) = record.headers() else {
        return Fetched::new(place, key, value, std::iter::empty());
    };
    let whole = || Fetched::new(place, key, value, headers.iter().map(|h| (h.key, h.value)));
    catch_unwind(AssertUnwindSafe(whole))
        .unwrap_or_else(|_| Fetched::new(place, key, value, std::iter::once((UNREADABLE_HEADERS, None))))
}
