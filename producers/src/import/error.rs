//! Why an import ended early.

use std::io;

use orderflow_domain::order::FieldError;
use thiserror::Error;

use super::ImportReport;
use crate::sink::SinkError;

/// Why an import ended early.
#[derive(Debug, Error)]
pub enum ImportError {
    /// An option that would make every order invalid.
    #[error(transparent)]
    Option(FieldError),
    /// The file cannot be opened.
    #[error("{file} cannot be opened: {cause}")]
    Open {
        /// The file.
        file: String,
        /// Why.
        cause: io::Error,
    },
    /// Reading failed on the way: a disk, a pipe, a gzip file that is cut off or damaged.
    #[error("{file}:{line}: reading failed behind this line: {cause}")]
    Read {
        /// The file.
        file: String,
        /// The last line that was read whole.
        line: u64,
        /// Why.
        cause: io::Error,
    },
    /// The first line does not name the columns that are needed.
    #[error("{file}:1: {problem}; expected the columns {expected}")]
    Header {
        /// The file.
        file: String,
        /// What is wrong.
        problem: String,
        /// The columns, in any order.
        expected: String,
    },
    /// More invoice numbers, scattered more widely, than the bounded memory can tell apart.
    #[error(
        "{file}:{line}: too many scattered invoice numbers to remember; sort the file by invoice number or split it"
    )]
    Scattered {
        /// The file.
        file: String,
        /// The line.
        line: u64,
    },
    /// Sending failed.
    #[error(transparent)]
    Sink(#[from] SinkError),
}

/// An import that ended early, and what it did before.
#[derive(Debug, Error)]
#[error("{cause}")]
pub struct ImportFailed {
    /// What happened.
    pub cause: ImportError,
    /// What was read and placed before. The lines of an invoice that was not complete are counted as `unfinished`.
    pub report: Box<ImportReport>,
}

impl From<SinkError> for ImportFailed {
    fn from(cause: SinkError) -> Self {
        Self {
            cause: cause.into(),
            report: Box::default(),
        }
    }
}
