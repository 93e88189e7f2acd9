//! Why a value cannot be read.

use thiserror::Error;

use super::HEADER_BYTES;

/// Why a record's value cannot be read. But for [`Unreadable::UnfetchedSchema`] it does not get better by trying again.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Unreadable {
    /// No byte at all.
    #[error("the value is empty")]
    Empty,
    /// Shorter than the header.
    #[error("the value has {0} bytes; the magic byte and the schema id alone are 5")]
    TooShort(usize),
    /// Not in the wire format; JSON begins with `0x7b` for instance.
    #[error("the value begins with 0x{0:02x} instead of 0x00, so it is not in Confluent's wire format")]
    BadMagic(u8),
    /// An id that is not one of the contracts.
    #[error("schema id {0} is none of the contracts that this version knows")]
    UnknownSchema(u32),
    /// A registry's schema that is of no use here, or that it does not have.
    #[error("schema id {id} of the registry cannot be read: {why}")]
    ForeignSchema {
        /// The id.
        id: u32,
        /// What is wrong with it.
        why: String,
    },
    /// A registry's schema that has not been fetched. The one reason that may go away: by fetching it.
    #[error("schema id {0} has not been fetched from the registry")]
    UnfetchedSchema(u32),
    /// It ends before the event does.
    #[error("the value ends too early: {0}")]
    Truncated(String),
    /// It goes on after the event.
    #[error("{0} bytes follow the event")]
    TrailingBytes(usize),
    /// It claims a length that no event has.
    #[error("the value is out of bounds: {0}")]
    Limit(String),
    /// Something stands where something else is due, be it a field or the whole event.
    #[error("the value is of the wrong type: {0}")]
    WrongType(String),
}

impl Unreadable {
    /// The reason as dead letters name it.
    #[must_use]
    pub const fn reason(&self) -> &'static str {
        match self {
            Self::Empty => "empty",
            Self::TooShort(_) => "too_short",
            Self::BadMagic(_) => "bad_magic",
            Self::UnknownSchema(_) | Self::ForeignSchema { .. } | Self::UnfetchedSchema(_) => "unknown_schema",
            Self::Truncated(_) => "truncated",
            Self::TrailingBytes(_) => "trailing_bytes",
            Self::Limit(_) => "limit",
            Self::WrongType(_) => "wrong_type",
        }
    }

    /// Of a value that has less than a header.
    pub(super) fn shorter_than_header(value: &[u8]) -> Self {
        debug_assert!(value.len() < HEADER_BYTES, "a header fits");
        match *value {
            [] => Self::Empty,
            [magic, ..] if magic != super::MAGIC => Self::BadMagic(magic),
            _ => Self::TooShort(value.len()),
        }
    }
}
