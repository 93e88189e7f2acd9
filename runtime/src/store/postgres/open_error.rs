//! Why a database was not opened.

use std::error::Error as _;

use thiserror::Error;
use tokio_postgres::Error;
use tokio_postgres::error::SqlState;
use tokio_rustls::rustls;

use super::failure::{is_unreadable, passes, plain, sentence, words};
use crate::store::{StoreError, Unusable};

/// Why a database was not opened: what, where, and what to do.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum OpenError {
    /// Something that may pass: no server there, a standby, no connection left.
    #[error("{0}")]
    Unavailable(String),
    /// The user or the password is wrong, or there is none.
    #[error(
        "{location} refuses the user or the password; put the password into PGPASSWORD, PGPASSFILE or ~/.pgpass ({why})"
    )]
    Credentials {
        /// Where.
        location: String,
        /// What the server says.
        why: String,
    },
    /// The server's certificate is not to be trusted.
    #[error("{location} does not prove who it is; look at its certificate, sslmode and sslrootcert ({why})")]
    Certificate {
        /// Where.
        location: String,
        /// What is wrong with it.
        why: String,
    },
    /// A right is missing.
    #[error("{location}: the user lacks a right; {what} ({why})")]
    Forbidden {
        /// Where.
        location: String,
        /// What to grant.
        what: String,
        /// What the server says.
        why: String,
    },
    /// The database or the schema is not there.
    #[error("{location}: {what}")]
    Missing {
        /// Where.
        location: String,
        /// What is not there, and who makes it.
        what: String,
    },
    /// The server cannot be used: too old, or set up in a way that would break a guarantee.
    #[error("{location} cannot be used: {why}")]
    Unfit {
        /// Where.
        location: String,
        /// Why not.
        why: String,
    },
    /// The server says that what it holds is damaged, or it holds what this program never wrote.
    #[error("{location} is damaged; keep a copy of it and restore a backup ({why})")]
    Damaged {
        /// Where.
        location: String,
        /// What the server says.
        why: String,
    },
    /// It was written by a newer version of this program.
    #[error(
        "{location} has schema version {found}, this program knows up to {known}; use the newer program that wrote it"
    )]
    NewerVersion {
        /// Where.
        location: String,
        /// The schema's version.
        found: i64,
        /// The latest version this program knows.
        known: i64,
    },
    /// It was written by an older version of this program and may not be brought up to date here.
    #[error(
        "{location} has schema version {found}, this program needs {known}; run orderflow db migrate, or start its service without database_migrate=false"
    )]
    OlderVersion {
        /// Where.
        location: String,
        /// The schema's version.
        found: i64,
        /// The version this program needs.
        known: i64,
    },
    /// The schema is another program's.
    #[error("{location} is a schema of another program; nothing in it was changed. Give another one with ?schema=NAME")]
    Foreign {
        /// Where.
        location: String,
    },
}

impl From<OpenError> for StoreError {
    fn from(error: OpenError) -> Self {
        let why = error.to_string();
        let kind = match error {
            OpenError::Unavailable(_) => return Self::Unavailable(why),
            OpenError::Damaged { .. } => return Self::Halt(why),
            OpenError::Credentials { .. } => Unusable::Credentials,
            OpenError::Certificate { .. } => Unusable::Certificate,
            OpenError::Forbidden { .. } => Unusable::Right,
            OpenError::Missing { .. } => Unusable::Missing,
            OpenError::Unfit { .. }
            | OpenError::NewerVersion { .. }
            | OpenError::OlderVersion { .. }
            | OpenError::Foreign { .. } => Unusable::Unfit,
        };
        Self::Unusable { kind, why }
    }
}

/// Why the server, or the way to it, would not have us.
pub(super) fn refusal(error: &Error, location: &str) -> OpenError {
    let (location, why) = (location.to_owned(), plain(error));
    match error.code().map(SqlState::code) {
        Some("28P01" | "28000") => OpenError::Credentials { location, why },
        Some("3D000") => OpenError::Missing {
            location,
            what: "there is no such database; create it, or give another URL".to_owned(),
        },
        Some("42501") => OpenError::Forbidden {
            location,
            what: "its owner grants CONNECT on the database and USAGE on the schema".to_owned(),
            why,
        },
        Some("XX001" | "XX002") => OpenError::Damaged { location, why },
        None if is_unreadable(error) => OpenError::Damaged { location, why },
        None if is_certificate(error) => OpenError::Certificate { location, why },
        None if error.to_string().starts_with("invalid configuration")
            || error.to_string().starts_with("authentication error") =>
        {
            OpenError::Credentials { location, why }
        }
        // A server without TLS does not get it by waiting.
        None if why.contains("does not support TLS") => OpenError::Unfit { location, why },
        // What is between us and the server may say XX000, an error of its own, of something that passes.
        Some(code) if !passes(code) && code != "XX000" => OpenError::Unfit {
            location,
            why: words(error),
        },
        Some(_) | None => OpenError::Unavailable(sentence(error, &location)),
    }
}

fn is_certificate(error: &Error) -> bool {
    let Some(cause) = error.source().and_then(|cause| cause.downcast_ref::<std::io::Error>()) else {
        return false;
    };
    let inner = cause.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    matches!(inner, Some(rustls::Error::InvalidCertificate(_)))
}
