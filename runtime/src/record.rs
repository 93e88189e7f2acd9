//! A record as Kafka gave it, kept in one allocation until its lane has handled it.

use std::cell::Cell;
use std::fmt;

/// One past the last record handled: the position in a partition, and the only way this crate writes it.
///
/// The arithmetic of positions occurs here and nowhere else, so an offset is never mistaken for a position.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NextOffset(i64);

impl NextOffset {
    /// The position before the first record of an empty partition.
    pub const START: Self = Self(0);

    /// The position behind the record at `offset`.
    #[must_use]
    pub const fn after(offset: i64) -> Self {
        Self(offset + 1)
    }

    /// The position at which the record with `offset` is the next one.
    #[must_use]
    pub const fn at(offset: i64) -> Self {
        Self(offset)
    }

    /// The offset of the record expected next, as Kafka and the database hold it.
    #[must_use]
    pub const fn get(self) -> i64 {
        self.0
    }
}

impl fmt::Display for NextOffset {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Where a record stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Origin<'a> {
    /// Topic it was read from.
    pub topic: &'a str,
    /// Partition it was read from.
    pub partition: i32,
    /// Its offset there.
    pub offset: i64,
}

impl fmt::Display for Origin<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}@{}", self.topic, self.partition, self.offset)
    }
}

/// What a handler sees of a record.
#[derive(Debug, Clone, Copy)]
pub struct Record<'a> {
    /// Where it stands; for a redriven record that is its place in the redrive topic.
    pub origin: Origin<'a>,
    /// The topic this group reads the record as: the source topic, also for its redrive topic.
    pub source: &'a str,
    /// Whether it came back through the redrive topic.
    pub redriven: bool,
    /// Kafka's timestamp in milliseconds since 1970-01-01 UTC; −1 where the producer set none.
    pub timestamp: i64,
    /// The key, if it has one.
    pub key: Option<&'a [u8]>,
    /// The value; `None` is a tombstone.
    pub value: Option<&'a [u8]>,
    /// The headers in their order.
    pub headers: HeaderSlice<'a>,
}

/// Stands before the headers of a record of which some could not be read, and are left out.
pub(crate) const UNREADABLE_HEADERS: &str = "orderflow-unreadable-headers";

/// Headers in a self-delimiting form, as a record carries them; a store packs them further.
///
/// Each header is name length (u16), name, value length (u32, all ones for null), value; big-endian.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Headers(Vec<u8>);

const NULL: u32 = u32::MAX;

impl Headers {
    /// No headers yet.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// No headers yet, and room for so many bytes of them.
    #[must_use]
    pub fn with_capacity(bytes: usize) -> Self {
        Self(Vec::with_capacity(bytes))
    }

    /// Appends a header. A name beyond 64 KiB is cut: Kafka's own limit on records makes it unreachable.
    pub fn push(&mut self, name: &str, value: impl AsRef<[u8]>) -> &mut Self {
        push_header(&mut self.0, name.as_bytes(), Some(value.as_ref()));
        self
    }

    /// Appends a header whose value may be null.
    pub fn push_nullable(&mut self, name: &str, value: Option<&[u8]>) -> &mut Self {
        push_header(&mut self.0, name.as_bytes(), value);
        self
    }

    /// Appends a header as [`HeaderSlice::raw`] gives it.
    pub(crate) fn push_raw(&mut self, name: &[u8], value: Option<&[u8]>) {
        push_header(&mut self.0, name, value);
    }

    /// The headers, borrowed.
    #[must_use]
    pub fn as_slice(&self) -> HeaderSlice<'_> {
        HeaderSlice(&self.0)
    }

    /// The encoded form.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// From the encoded form.
    #[must_use]
    pub fn from_bytes(bytes: Vec<u8>) -> Self {
        Self(bytes)
    }
}

fn push_header(into: &mut Vec<u8>, name: &[u8], value: Option<&[u8]>) {
    let name_len = u16::try_from(name.len()).unwrap_or(u16::MAX);
    into.extend_from_slice(&name_len.to_be_bytes());
    into.extend_from_slice(&name[..usize::from(name_len)]);
    let value_len = value.map_or(NULL, |v| u32::try_from(v.len()).unwrap_or(NULL - 1));
    into.extend_from_slice(&value_len.to_be_bytes());
    into.extend_from_slice(value.unwrap_or_default());
}

/// Borrowed [`Headers`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HeaderSlice<'a>(&'a [u8]);

impl<'a> HeaderSlice<'a> {
    /// The headers in their order, each a name and a value, which may be null.
    #[must_use]
    pub fn iter(self) -> HeaderIter<'a> {
        HeaderIter(self.raw())
    }

    /// The same with names as bytes: for whoever looks for some of many.
    pub(crate) fn raw(self) -> RawHeaders<'a> {
        RawHeaders(self.0)
    }

    /// The value of the last header of that name; Kafka lets a later one replace an earlier.
    #[must_use]
    pub fn get(self, name: &str) -> Option<&'a [u8]> {
        self.iter()
            .filter(|(n, _)| *n == name)
            .last()
            .and_then(|(_, value)| value)
    }
}

impl<'a> IntoIterator for HeaderSlice<'a> {
    type Item = (&'a str, Option<&'a [u8]>);
    type IntoIter = HeaderIter<'a>;

    fn into_iter(self) -> HeaderIter<'a> {
        self.iter()
    }
}

/// Iterates over headers; ends early where the bytes do.
#[derive(Debug, Clone)]
pub struct HeaderIter<'a>(RawHeaders<'a>);

impl<'a> Iterator for HeaderIter<'a> {
    type Item = (&'a str, Option<&'a [u8]>);

    fn next(&mut self) -> Option<Self::Item> {
        let (name, value) = self.0.next()?;
        Some((std::str::from_utf8(name).unwrap_or("?"), value))
    }
}

/// Iterates over headers without a look at what their names are made of.
#[derive(Debug, Clone)]
pub(crate) struct RawHeaders<'a>(&'a [u8]);

impl<'a> RawHeaders<'a> {
    /// What has not been iterated over; at the end of the list, bytes that are no header.
    pub(crate) fn rest(&self) -> &'a [u8] {
        self.0
    }
}

impl<'a> Iterator for RawHeaders<'a> {
    type Item = (&'a [u8], Option<&'a [u8]>);

    fn next(&mut self) -> Option<Self::Item> {
        let (name_len, rest) = self.0.split_first_chunk::<2>()?;
        let (name, rest) = rest.split_at_checked(usize::from(u16::from_be_bytes(*name_len)))?;
        let (value_len, rest) = rest.split_first_chunk::<4>()?;
        let (value, rest) = match u32::from_be_bytes(*value_len) {
            NULL => (None, rest),
            len => rest
                .split_at_checked(len as usize)
                .map(|(value, rest)| (Some(value), rest))?,
        };
        self.0 = rest;
        Some((name, value))
    }
}

/// A record detached from the client that fetched it: key, value and headers in one buffer.
#[derive(Debug, Clone)]
pub(crate) struct Fetched {
    /// Which of the group's subscriptions it came from.
    pub(crate) source: u16,
    pub(crate) offset: i64,
    pub(crate) timestamp: i64,
    bytes: Box<[u8]>,
    key_len: Option<u32>,
    value_len: Option<u32>,
}

thread_local! {
    /// How long the headers are is known when they have been looked at, so they are put together here and kept in one piece
    /// of the right size.
    static SCRATCH: Cell<Vec<u8>> = const { Cell::new(Vec::new()) };
}

impl Fetched {
    pub(crate) fn new<'h>(
        (source, offset, timestamp): (u16, i64, i64),
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        headers: impl Iterator<Item = (&'h str, Option<&'h [u8]>)>,
    ) -> Self {
        let length = |part: Option<&[u8]>| part.map(|p| u32::try_from(p.len()).unwrap_or(u32::MAX));
        let mut bytes = SCRATCH.take();
        bytes.clear();
        bytes.extend_from_slice(key.unwrap_or_default());
        bytes.extend_from_slice(value.unwrap_or_default());
        for (name, value) in headers {
            push_header(&mut bytes, name.as_bytes(), value);
        }
        let kept = bytes.as_slice().into();
        SCRATCH.set(bytes);
        Self {
            source,
            offset,
            timestamp,
            bytes: kept,
            key_len: length(key),
            value_len: length(value),
        }
    }

    pub(crate) fn size(&self) -> usize {
        self.bytes.len() + size_of::<Self>()
    }

    pub(crate) fn key(&self) -> Option<&[u8]> {
        self.key_len.map(|len| &self.bytes[..len as usize])
    }

    pub(crate) fn value(&self) -> Option<&[u8]> {
        let from = self.key_len.unwrap_or(0) as usize;
        self.value_len.map(|len| &self.bytes[from..from + len as usize])
    }

    pub(crate) fn headers(&self) -> HeaderSlice<'_> {
        let from = self.key_len.unwrap_or(0) as usize + self.value_len.unwrap_or(0) as usize;
        HeaderSlice(&self.bytes[from..])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fetched_record_gives_back_its_parts() {
        let headers = [("a", Some(&b"1"[..])), ("null", None), ("empty", Some(&b""[..]))];
        let record = Fetched::new((3, 41, 1_000), Some(b"key"), Some(b"value"), headers.into_iter());
        assert_eq!(record.key(), Some(&b"key"[..]));
        assert_eq!(record.value(), Some(&b"value"[..]));
        assert_eq!(record.headers().iter().collect::<Vec<_>>(), headers);
        assert_eq!(NextOffset::after(record.offset), NextOffset::at(42));
    }

    #[test]
    fn absent_and_empty_are_two_things() {
        let record = Fetched::new((0, 0, -1), None, Some(b""), std::iter::empty());
        assert_eq!((record.key(), record.value()), (None, Some(&b""[..])));
        let tombstone = Fetched::new((0, 0, -1), Some(b""), None, std::iter::empty());
        assert_eq!((tombstone.key(), tombstone.value()), (Some(&b""[..]), None));
    }

    #[test]
    fn cut_headers_end_the_list() {
        let mut headers = Headers::new();
        headers.push("name", "value");
        let cut = HeaderSlice(&headers.as_bytes()[..8]);
        assert_eq!(cut.iter().count(), 0);
    }

    #[test]
    fn the_last_header_of_a_name_counts() {
        let mut headers = Headers::new();
        headers.push("a", "1").push("b", "2").push("a", "3");
        assert_eq!(headers.as_slice().get("a"), Some(&b"3"[..]));
    }
}
