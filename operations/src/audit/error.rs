//! Why an audit could not judge.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use orderflow_consumers::payment::simulator::ledger::LedgerError;
use orderflow_runtime::store::{OpenError, StoreError};
use orderflow_schemas::registry::RegistryError;
use thiserror::Error;

use crate::topics;

/// Why there is no report. None of these says anything about the invariants.
#[derive(Debug, Error)]
pub enum AuditError {
    /// The groups did not pass the watermarks in time.
    #[error("after {} s the services are not where the topics ended: {}", waited.as_secs(), behind.join("; "))]
    Deadline {
        /// How long was waited.
        waited: Duration,
        /// What was still missing, the first few.
        behind: Vec<String>,
    },
    /// It was asked to end before the groups were there.
    #[error("asked to end before the services were where the topics ended")]
    Stopped,
    /// The topics could not be read.
    #[error(transparent)]
    Cluster(#[from] topics::Error),
    /// A schema could not be looked up, so nobody knows what its records say.
    #[error(transparent)]
    Registry(#[from] RegistryError),
    /// A database could not be read.
    #[error("{0}")]
    Database(String),
    /// Something that is needed to judge has been deleted, or was never there.
    #[error("{0}")]
    Missing(String),
    /// The audit's own temporary database failed, most likely for want of space.
    #[error("the audit's temporary database failed; it needs about 1 KB for each order in {}", folder.display())]
    Work {
        /// Where temporary files go.
        folder: PathBuf,
        /// What SQLite says.
        #[source]
        cause: rusqlite::Error,
    },
}

impl From<rusqlite::Error> for AuditError {
    fn from(cause: rusqlite::Error) -> Self {
        Self::Work {
            folder: temporary_folder(|name| std::env::var_os(name), Path::is_dir),
            cause,
        }
    }
}

/// Where SQLite puts temporary files on Unix: the first of these that is a folder
/// (<https://sqlite.org/tempfiles.html#temporary_file_storage_locations>).
fn temporary_folder(named: impl Fn(&str) -> Option<OsString>, is_folder: impl Fn(&Path) -> bool) -> PathBuf {
    let named = ["SQLITE_TMPDIR", "TMPDIR"]
        .into_iter()
        .filter_map(named)
        .map(PathBuf::from);
    let usual = ["/var/tmp", "/usr/tmp", "/tmp"].into_iter().map(PathBuf::from);
    named
        .chain(usual)
        .find(|folder| is_folder(folder))
        .unwrap_or_else(|| ".".into())
}

impl From<StoreError> for AuditError {
    fn from(error: StoreError) -> Self {
        Self::Database(error.to_string())
    }
}

impl From<OpenError> for AuditError {
    fn from(error: OpenError) -> Self {
        Self::Database(error.to_string())
    }
}

impl From<LedgerError> for AuditError {
    fn from(error: LedgerError) -> Self {
        Self::Database(error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn temporary_files_are_looked_for_where_sqlite_puts_them() {
        let folder = |name: Option<&str>, there: &[&str]| {
            let named = |variable: &str| name.filter(|_| variable == "TMPDIR").map(OsString::from);
            temporary_folder(named, |folder| there.iter().any(|there| folder == Path::new(there)))
        };
        assert_eq!(folder(Some("/roomy"), &["/roomy", "/tmp"]), Path::new("/roomy"));
        assert_eq!(folder(Some("/missing"), &["/tmp", "/var/tmp"]), Path::new("/var/tmp"));
        assert_eq!(folder(None, &["/tmp"]), Path::new("/tmp"));
        assert_eq!(folder(None, &[]), Path::new("."));
    }
}
