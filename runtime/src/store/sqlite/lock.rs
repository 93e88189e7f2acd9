//! The lock of the one process (rule 12): `flock` on a file beside the database, gone with the process that held it.

use std::fs::{File, OpenOptions, TryLockError};
use std::io::{self, Read as _, Write as _};
use std::path::{Path, PathBuf};

use super::OpenError;

/// Held for the life of a store.
#[derive(Debug)]
pub(super) struct ProcessLock {
    _file: File,
}

impl ProcessLock {
    /// Takes the lock of a database, or says who has it.
    pub(super) fn take(database: &Path) -> Result<Self, OpenError> {
        let path = beside(database);
        let unwritable = |error: io::Error| OpenError::Unwritable {
            path: path.clone(),
            detail: error.to_string(),
        };
        let mut file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(unwritable)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Err(held(database, path, &mut file)),
            Err(TryLockError::Error(error)) => return Err(unwritable(error)),
        }
        note_owner(&mut file).map_err(unwritable)?;
        Ok(Self { _file: file })
    }
}

/// `<database>.lock`. It stays when the process ends: deleting it would let two processes lock two files of one name.
fn beside(database: &Path) -> PathBuf {
    let mut name = database.as_os_str().to_owned();
    name.push(".lock");
    name.into()
}

fn note_owner(file: &mut File) -> io::Result<()> {
    file.set_len(0)?;
    writeln!(file, "{}", std::process::id())
}

/// The number in the file is for people only; the lock is the kernel's.
fn held(database: &Path, lock: PathBuf, file: &mut File) -> OpenError {
    let mut owner = String::new();
    let read = file.take(32).read_to_string(&mut owner);
    OpenError::Locked {
        path: database.to_owned(),
        lock,
        pid: read.ok().and_then(|_| owner.trim().parse().ok()),
    }
}
