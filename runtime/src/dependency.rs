//! What decoding a record needs and does not have yet, and who fetches it.

use std::fmt;

use crate::effects::BoxFuture;

/// Something that decoding needs, named so that whoever fetches it knows what is meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Dependency {
    /// What it is, in a word: `schema`.
    pub kind: &'static str,
    /// Which one of them.
    pub id: u64,
}

impl fmt::Display for Dependency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind, self.id)
    }
}

/// Fetches what decoding lacks.
pub trait Dependencies: Send + Sync + 'static {
    /// Makes it so that decoding has what it wanted, or knows that there is no such thing: with `Ok` the record is decoded
    /// again. Several lanes may ask for one thing at a time. The future is dropped when the lane is let go.
    ///
    /// `Err` says why it could not be fetched now; the lane waits, says so, and asks again.
    fn fetch(&self, wanted: Dependency) -> BoxFuture<'_, Result<(), String>>;
}

/// Fetches nothing: for handlers that lack nothing.
pub(crate) struct Nowhere;

impl Dependencies for Nowhere {
    fn fetch(&self, _wanted: Dependency) -> BoxFuture<'_, Result<(), String>> {
        let why = "the service was not told who fetches what decoding lacks".to_owned();
        Box::pin(std::future::ready(Err(why)))
    }
}
