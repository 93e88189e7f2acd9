//! What a registry said, kept in a file, so that a process can start while the registry is away.
//!
//! A registry never gives an id twice, so nothing in the file goes out of date, as long as it is the same registry: the
//! file bears its address, and who finds another id for a schema of ours forgets all of it.

use std::collections::BTreeMap;
use std::collections::hash_map::RandomState;
use std::fs::{self, File};
use std::hash::BuildHasher as _;
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// Longest file that is read: a thousand schemas of the contracts' size.
const MAX_BYTES: u64 = 8 * 1024 * 1024;

/// What a registry said.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Said {
    /// Which registry: its address.
    pub(super) registry: String,
    /// Ids of our own schemas, by their names, as `OrderPlaced v1`.
    pub(super) ours: BTreeMap<String, u32>,
    /// Other schemas by their ids.
    pub(super) others: BTreeMap<u32, String>,
}

/// The file in which it is kept.
#[derive(Debug)]
pub(super) struct Keep {
    path: Option<PathBuf>,
    registry: String,
}

impl Keep {
    /// What is kept of the registry at this address; nowhere, without a path.
    pub(super) const fn new(path: Option<PathBuf>, registry: String) -> Self {
        Self { path, registry }
    }

    /// What was kept. A file that is not there, is another registry's or cannot be read is as good as none: all of it can
    /// be asked for again.
    pub(super) fn load(&self) -> Said {
        let nothing = || Said {
            registry: self.registry.clone(),
            ..Said::default()
        };
        let Some(path) = &self.path else { return nothing() };
        match read(path) {
            Ok(said) if said.registry == self.registry => said,
            Ok(_) => nothing(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => nothing(),
            Err(error) => {
                tracing::warn!(file = %path.display(), %error, "what was kept of the schema registry cannot be used");
                nothing()
            }
        }
    }

    /// Adds to what is kept. Processes share the file: one at a time reads it again and writes it, so that none leaves out
    /// what another has just added. That it cannot be written is said and does no harm before the registry goes away.
    pub(super) fn add(&self, news: impl FnOnce(&mut Said)) {
        let Some(path) = &self.path else { return };
        let kept = lock(path).and_then(|_lock| {
            let before = self.load();
            let mut said = before.clone();
            news(&mut said);
            if said == before && path.exists() {
                return Ok(());
            }
            write(path, &said)
        });
        if let Err(error) = kept {
            tracing::warn!(file = %path.display(), %error, "what the schema registry said cannot be kept");
        }
    }
}

/// Alone with the file, until what this gives is dropped. The lock is on a file beside it, since it is replaced itself.
fn lock(path: &Path) -> io::Result<File> {
    fs::create_dir_all(folder_of(path))?;
    let lock = File::options()
        .create(true)
        .truncate(false)
        .write(true)
        .open(path.with_extension("lock"))?;
    lock.lock()?;
    Ok(lock)
}

fn folder_of(path: &Path) -> &Path {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    folder.unwrap_or(Path::new("."))
}

fn read(path: &Path) -> io::Result<Said> {
    let length = fs::metadata(path)?.len();
    if length > MAX_BYTES {
        return Err(io::Error::other(format!(
            "it has {length} bytes; at most {MAX_BYTES} are read"
        )));
    }
    Ok(serde_json::from_slice(&fs::read(path)?)?)
}

/// Whole or not at all: written beside it, made durable, then put in its place.
fn write(path: &Path, said: &Said) -> io::Result<()> {
    // Not by the process's id: instances in containers share the folder, and each is process 1.
    let drawn = RandomState::new().hash_one(());
    let beside = path.with_extension(format!("{drawn:016x}.new"));
    let written = write_durably(&beside, said).and_then(|()| fs::rename(&beside, path));
    if written.is_err() {
        drop(fs::remove_file(&beside));
        return written;
    }
    File::open(folder_of(path))?.sync_all()
}

fn write_durably(path: &Path, said: &Said) -> io::Result<()> {
    let mut file = File::create(path)?;
    serde_json::to_writer_pretty(&mut file, said)?;
    file.write_all(b"\n")?;
    file.sync_all()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_who_add_at_the_same_time_lose_nothing() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let keep = || Keep::new(Some(folder.path().join("registry.json")), "http://localhost".to_owned());
        std::thread::scope(|scope| {
            for id in 0..16 {
                scope.spawn(move || keep().add(|said| _ = said.ours.insert(format!("Event v{id}"), id)));
            }
        });
        assert_eq!(keep().load().ours.len(), 16);
    }
}
