//! What an error of SQLite means to the caller: what he does next, and a sentence for a person.

use std::path::Path;

use rusqlite::{ErrorCode, ffi};

use crate::store::{StoreError, Unusable};

/// What went wrong inside a unit, before it is put into words.
#[derive(Debug)]
pub(super) enum Failure {
    /// SQLite said no.
    Sql(rusqlite::Error),
    /// We said no.
    Store(StoreError),
}

impl From<rusqlite::Error> for Failure {
    fn from(error: rusqlite::Error) -> Self {
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
    pub(super) fn of(self, path: &Path) -> StoreError {
        match self {
            Self::Store(error) => error,
            Self::Sql(error) => meaning(&error, path),
        }
    }
}

/// What the caller of a statement does next.
pub(super) fn meaning(error: &rusqlite::Error, path: &Path) -> StoreError {
    use ErrorCode as Code;
    match error.sqlite_error_code() {
        Some(Code::ConstraintViolation | Code::TooBig | Code::TypeMismatch) => StoreError::Refused(error.to_string()),
        Some(
            Code::DiskFull
            | Code::SystemIoFailure
            | Code::DatabaseBusy
            | Code::DatabaseLocked
            | Code::CannotOpen
            | Code::OutOfMemory
            | Code::OperationInterrupted
            | Code::OperationAborted
            | Code::FileLockingProtocolFailed,
        ) => StoreError::Unavailable(sentence(error, path)),
        Some(Code::DatabaseCorrupt | Code::NotADatabase | Code::InternalMalfunction) | None => {
            StoreError::Halt(sentence(error, path))
        }
        Some(code) => StoreError::Unusable {
            kind: match code {
                Code::ReadOnly | Code::PermissionDenied if !is_moved(error) => Unusable::Place,
                _ => Unusable::Unfit,
            },
            why: sentence(error, path),
        },
    }
}

/// Whether the file was taken away while in use. Whoever started again would begin with an empty one.
fn is_moved(error: &rusqlite::Error) -> bool {
    let code = error.sqlite_error().map(|error| error.extended_code);
    code == Some(ffi::SQLITE_READONLY_DBMOVED)
}

/// What happened, where, and what to do.
pub(super) fn sentence(error: &rusqlite::Error, path: &Path) -> String {
    use ErrorCode as Code;
    let file = path.display();
    match error.sqlite_error_code() {
        Some(Code::DiskFull) => format!(
            "the disk that holds {file} is full; free some space there: a service at work goes on by itself, one that ends \
             is to be started again ({error})"
        ),
        Some(Code::SystemIoFailure) => format!("the disk failed under {file}; look at the system's log ({error})"),
        Some(Code::DatabaseBusy | Code::DatabaseLocked) => format!(
            "another program holds a lock on {file}; end what writes to it, readers open it read-only ({error})"
        ),
        Some(Code::CannotOpen) => {
            format!("{file} or its -wal file cannot be opened; check that the folder exists and is ours ({error})")
        }
        Some(Code::ReadOnly | Code::PermissionDenied) => format!(
            "{file} may not be written, or was moved or deleted while in use; restore its place and rights, then start again ({error})"
        ),
        Some(Code::DatabaseCorrupt | Code::NotADatabase) => {
            format!("{file} is damaged; keep a copy of it and restore a backup ({error})")
        }
        _ => format!("{file}: {error}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(code: i32) -> StoreError {
        let error = rusqlite::Error::SqliteFailure(ffi::Error::new(code), None);
        meaning(&error, Path::new("/data/inventory.db"))
    }

    #[test]
    fn what_passes_by_itself_is_unavailable() {
        for code in [
            ffi::SQLITE_FULL,
            ffi::SQLITE_IOERR,
            ffi::SQLITE_IOERR_FSYNC,
            ffi::SQLITE_BUSY,
            ffi::SQLITE_CANTOPEN,
            ffi::SQLITE_NOMEM,
        ] {
            assert!(matches!(said(code), StoreError::Unavailable(_)), "{code}");
        }
    }

    #[test]
    fn what_is_damaged_halts() {
        for code in [ffi::SQLITE_CORRUPT, ffi::SQLITE_CORRUPT_INDEX, ffi::SQLITE_NOTADB] {
            assert!(matches!(said(code), StoreError::Halt(_)), "{code}");
        }
        let unreadable = rusqlite::Error::InvalidColumnType(0, "epoch".to_owned(), rusqlite::types::Type::Text);
        let unreadable = meaning(&unreadable, Path::new("/data/inventory.db"));
        assert!(matches!(unreadable, StoreError::Halt(_)), "{unreadable:?}");
    }

    #[test]
    fn what_is_sound_and_cannot_be_used_is_not_called_damaged() {
        for (code, expected) in [
            (ffi::SQLITE_READONLY, Unusable::Place),
            (ffi::SQLITE_PERM, Unusable::Place),
            (ffi::SQLITE_READONLY_DBMOVED, Unusable::Unfit),
            (ffi::SQLITE_ERROR, Unusable::Unfit),
            (ffi::SQLITE_MISUSE, Unusable::Unfit),
        ] {
            let said = said(code);
            assert!(
                matches!(&said, StoreError::Unusable { kind, .. } if *kind == expected),
                "{code}: {said:?}"
            );
        }
    }

    #[test]
    fn what_is_in_the_data_is_refused() {
        for code in [ffi::SQLITE_CONSTRAINT_UNIQUE, ffi::SQLITE_TOOBIG, ffi::SQLITE_MISMATCH] {
            assert!(matches!(said(code), StoreError::Refused(_)), "{code}");
        }
    }

    #[test]
    fn a_full_disk_is_named_with_its_file_and_the_way_out() {
        let StoreError::Unavailable(sentence) = said(ffi::SQLITE_FULL) else {
            panic!("unavailable");
        };
        assert!(
            sentence.contains("/data/inventory.db") && sentence.contains("free some space"),
            "{sentence}"
        );
    }
}
