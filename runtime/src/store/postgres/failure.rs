//! What an error of PostgreSQL means to the caller: what he does next, and a sentence for a person.

use std::error::Error as _;
use std::time::Duration;

use tokio_postgres::Error;
use tokio_postgres::error::SqlState;

use crate::store::{StoreError, Unusable};

/// What went wrong inside a unit, before it is put into words.
#[derive(Debug)]
pub(super) enum Failure {
    /// The server, or the way to it, said no.
    Sql(Error),
    /// The server, or the way to it, said nothing for so long.
    Silence(Duration),
    /// We said no.
    Store(StoreError),
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Sql(error)
    }
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl Failure {
    /// A contradiction between what the program says and what the database holds.
    pub(super) fn halt(why: impl Into<String>) -> Self {
        Self::Store(StoreError::Halt(why.into()))
    }

    /// A database that is sound and not this group's.
    pub(super) fn unfit(why: impl Into<String>) -> Self {
        Self::Store(StoreError::Unusable {
            kind: Unusable::Unfit,
            why: why.into(),
        })
    }

    /// In the words of the store.
    pub(super) fn of(self, location: &str) -> StoreError {
        match self {
            Self::Store(error) => error,
            Self::Sql(error) => meaning(&error, location),
            Self::Silence(_) => StoreError::Unavailable(self.sentence(location)),
        }
    }

    /// What happened, where, and what to do.
    pub(super) fn sentence(&self, location: &str) -> String {
        match self {
            Self::Sql(error) => sentence(error, location),
            Self::Silence(time) => format!(
                "{location} says nothing for {} s; check that the server runs and can be reached",
                time.as_secs()
            ),
            Self::Store(error) => error.to_string(),
        }
    }

    /// Whether `table` has a row of that key already.
    pub(super) fn is_taken(&self, table: &str) -> bool {
        let Self::Sql(error) = self else {
            return false;
        };
        let said = error.as_db_error();
        said.is_some_and(|said| *said.code() == SqlState::UNIQUE_VIOLATION && said.table() == Some(table))
    }

    /// Whether the session is of no further use.
    pub(super) fn is_loss(&self) -> bool {
        match self {
            Self::Sql(error) => is_lost(error),
            Self::Silence(_) => true,
            Self::Store(_) => false,
        }
    }
}

/// What the caller of a statement does next.
fn meaning(error: &Error, location: &str) -> StoreError {
    let why = sentence(error, location);
    match error.code() {
        // An earlier statement of the transaction failed, as a rule another unit's.
        Some(code) if *code == SqlState::IN_FAILED_SQL_TRANSACTION => StoreError::Undone,
        Some(code) if is_refusal(code) => StoreError::Refused(plain(error)),
        Some(code) if passes(code.code()) => StoreError::Unavailable(why),
        Some(code) => lasting(code, why),
        None if is_too_large(error) => StoreError::Refused(plain(error)),
        None if is_unreadable(error) => StoreError::Halt(why),
        None => StoreError::Unavailable(why),
    }
}

/// What another try would meet again. Only an error of the server itself tells of damage: whoever is told so sets the
/// database back.
fn lasting(code: &SqlState, why: String) -> StoreError {
    let kind = match code.code() {
        "28P01" | "28000" => Unusable::Credentials,
        "42501" => Unusable::Right,
        "3D000" => Unusable::Missing,
        _ if class(code.code()) == "XX" => return StoreError::Halt(why),
        _ => Unusable::Unfit,
    };
    StoreError::Unusable { kind, why }
}

/// Whether the session is of no further use: its connection is gone, or it leads to a server that takes no writes.
fn is_lost(error: &Error) -> bool {
    match error.code() {
        Some(code) => {
            ["57", "58", "08"].contains(&class(code.code())) && *code != SqlState::QUERY_CANCELED
                || [SqlState::READ_ONLY_SQL_TRANSACTION, SqlState::IDLE_IN_TRANSACTION_SESSION_TIMEOUT].contains(code)
                // A plan made before the tables changed: a new session makes new ones.
                || *code == SqlState::FEATURE_NOT_SUPPORTED
        }
        None => !is_too_large(error),
    }
}

/// The two characters that say what kind of error a code is.
fn class(code: &str) -> &str {
    code.get(..2).unwrap_or_default()
}

/// In the data: a NUL in a text, a key too long for its index, an id that is there already.
fn is_refusal(code: &SqlState) -> bool {
    ["22", "23", "54"].contains(&class(code.code()))
}

/// What another try may not meet: a server that starts or ends, a lock, a deadlock, too many connections, a full disk,
/// a standby.
pub(super) fn passes(code: &str) -> bool {
    ["08", "40", "53", "57", "58"].contains(&class(code))
        || [
            SqlState::LOCK_NOT_AVAILABLE,
            SqlState::READ_ONLY_SQL_TRANSACTION,
            SqlState::IDLE_IN_TRANSACTION_SESSION_TIMEOUT,
            SqlState::FEATURE_NOT_SUPPORTED,
        ]
        .iter()
        .any(|passing| passing.code() == code)
}

/// The client library tells these apart by their words only.
fn is_too_large(error: &Error) -> bool {
    let said = error.to_string();
    said.starts_with("error serializing") || said.starts_with("error encoding")
}

/// A row that is not as it was written, or is not there.
pub(super) fn is_unreadable(error: &Error) -> bool {
    let said = error.to_string();
    ["error deserializing", "invalid column", "query returned", "expected"]
        .iter()
        .any(|start| said.starts_with(start))
}

/// What was said, without where.
pub(super) fn plain(error: &Error) -> String {
    let Some(said) = error.as_db_error() else {
        let mut said = error.to_string();
        let mut cause = error.source();
        while let Some(next) = cause {
            said = format!("{said}: {next}");
            cause = next.source();
        }
        return said;
    };
    let detail = said.detail().map(|detail| format!("; {detail}")).unwrap_or_default();
    format!("{}{detail} (SQLSTATE {})", said.message(), said.code().code())
}

/// What happened, where, and what to do.
pub(super) fn sentence(error: &Error, location: &str) -> String {
    match error.code() {
        Some(_) => format!("{location}: {}", words(error)),
        None if is_unreadable(error) => format!(
            "{location} holds what this program never wrote; keep a copy of it and restore a backup ({})",
            plain(error)
        ),
        None => format!(
            "{location} does not answer; check that the server runs and can be reached ({})",
            plain(error)
        ),
    }
}

/// What happened and what to do, without where.
pub(super) fn words(error: &Error) -> String {
    let said = plain(error);
    match error.code().and_then(|code| advice(code.code())) {
        Some(what) => format!("{what} ({said})"),
        None => said,
    }
}

fn advice(code: &str) -> Option<&'static str> {
    Some(match code {
        "53100" => {
            "the server's disk is full; free some space there: a service at work goes on by itself, one that ends is to be \
             started again"
        }
        "53300" => {
            "the server has no connection left; raise its max_connections or lower the setting database_connections"
        }
        "25006" => {
            "the server takes no writes: it is a standby or set to read only; the service waits for one that does"
        }
        "40P01" | "40001" | "55P03" | "57014" => "another transaction was in the way; it is tried again",
        "57P03" => "the server starts or stops; the service waits",
        "42501" => "the user lacks a right; grant it, then start again",
        "3D000" => "there is no such database; create it, or give another URL",
        "42P01" | "3F000" => {
            "the tables are not to be seen; does the user still have USAGE on the schema? was it renamed or dropped?"
        }
        "42703" => "a column is not there: a newer program has changed the schema; start that one instead",
        "28P01" | "28000" => "the server refuses the user or the password",
        "26000" => {
            "the server lost our statements; a pooler in transaction mode stands between, connect to the server itself"
        }
        "XX000" => "the server failed in itself, as it does where something is damaged; look at its log",
        _ => match class(code) {
            "08" | "57" => "the server ended the connection; the service connects again",
            "53" | "58" => "the server lacks a resource or failed; look at its log",
            "XX" => "the database is damaged; keep a copy of it and restore a backup",
            _ => return None,
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_the_server_finds_broken_in_itself_is_called_damaged() {
        for (code, expected) in [
            ("28P01", Some(Unusable::Credentials)),
            ("28000", Some(Unusable::Credentials)),
            ("42501", Some(Unusable::Right)),
            ("3D000", Some(Unusable::Missing)),
            ("42P01", Some(Unusable::Unfit)),
            ("3F000", Some(Unusable::Unfit)),
            ("42703", Some(Unusable::Unfit)),
            ("26000", Some(Unusable::Unfit)),
            ("42601", Some(Unusable::Unfit)),
            ("XX000", None),
            ("XX001", None),
            ("XX002", None),
        ] {
            assert!(!passes(code), "{code}");
            let kind = match lasting(&SqlState::from_code(code), String::new()) {
                StoreError::Unusable { kind, .. } => Some(kind),
                StoreError::Halt(_) => None,
                other => panic!("{code}: {other:?}"),
            };
            assert_eq!(kind, expected, "{code}");
            let damaged = advice(code).is_some_and(|what| what.contains("backup"));
            assert_eq!(damaged, code > "XX000", "{code}");
        }
    }
}
