//! From the client's record to one of our own.

use std::panic::{AssertUnwindSafe, catch_unwind};

use rdkafka::message::{BorrowedMessage, Headers, Message};

use crate::record::{Fetched, UNREADABLE_HEADERS};

/// So many headers of one record that the client panics on, and those behind them are left out unseen: a panic takes as
/// long as reading a hundred records, and a record has room for many.
const MOST_UNREADABLE: usize = 16;

/// A copy of the record. The client panics on a header whose name is no text, which any producer can write: such a record
/// goes on with its other headers, marked, and is refused where it is read.
pub(super) fn detach(source: u16, record: &BorrowedMessage<'_>) -> Fetched {
    let place = (source, record.offset(), record.timestamp().to_millis().unwrap_or(-1));
    let parts = (record.key(), record.payload());
    match record.headers() {
        Some(headers) => with_headers(place, parts, headers),
        None => Fetched::new(place, parts.0, parts.1, std::iter::empty()),
    }
}

fn with_headers(
    place: (u16, i64, i64),
    (key, value): (Option<&[u8]>, Option<&[u8]>),
    headers: &impl Headers,
) -> Fetched {
    let whole = || Fetched::new(place, key, value, headers.iter().map(|h| (h.key, h.value)));
    catch_unwind(AssertUnwindSafe(whole)).unwrap_or_else(|_| {
        let marked = std::iter::once((UNREADABLE_HEADERS, None)).chain(readable(headers));
        Fetched::new(place, key, value, marked)
    })
}

fn readable(headers: &impl Headers) -> impl Iterator<Item = (&str, Option<&[u8]>)> {
    let mut unreadable = 0;
    let mut next = 0..headers.count();
    std::iter::from_fn(move || {
        while unreadable < MOST_UNREADABLE {
            let at = next.next()?;
            match catch_unwind(AssertUnwindSafe(|| headers.get(at))) {
                Ok(header) => return Some((header.key, header.value)),
                Err(_) => unreadable += 1,
            }
        }
        None
    })
}

#[cfg(test)]
mod tests {
    use rdkafka::message::Header;

    use super::*;

    /// Names as bytes, read as the client reads them.
    struct Named(Vec<&'static [u8]>);

    impl Headers for Named {
        fn count(&self) -> usize {
            self.0.len()
        }

        fn try_get(&self, at: usize) -> Option<Header<'_, &[u8]>> {
            let key = std::str::from_utf8(self.0.get(at)?).expect("a name that is text");
            Some(Header { key, value: Some(b"v") })
        }
    }

    fn names(headers: Vec<&'static [u8]>) -> Vec<String> {
        let fetched = with_headers((0, 7, 0), (Some(b"k"), Some(b"v")), &Named(headers));
        assert_eq!((fetched.key(), fetched.value()), (Some(&b"k"[..]), Some(&b"v"[..])));
        fetched.headers().iter().map(|(name, _)| name.to_owned()).collect()
    }

    #[test]
    fn a_header_that_cannot_be_read_takes_no_other_with_it() {
        assert_eq!(names(vec![b"first", b"last"]), ["first", "last"]);
        assert_eq!(
            names(vec![b"first", b"\xff\xfe", b"last"]),
            [UNREADABLE_HEADERS, "first", "last"]
        );
    }

    #[test]
    fn whoever_writes_many_of_them_holds_up_no_other_record() {
        let mut headers = vec![&b"first"[..]];
        headers.extend(vec![&b"\xff"[..]; MOST_UNREADABLE - 1]);
        headers.extend([&b"between"[..], b"\xff", b"behind"]);
        assert_eq!(names(headers), [UNREADABLE_HEADERS, "first", "between"]);
    }
}
