//! A small disk of a test's own, to be filled.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use super::namespace::where_mounted;
use super::process::{output_of, shown};

/// Names the folder of the disk to the process that has it.
const INSIDE: &str = "ORDERFLOW_TEST_DISK";

const MOUNT: &str = "mount -t tmpfs -o size=$1m tmpfs \"$2\"";

/// A disk that is there for one test and nobody else, as long as its process lives.
#[derive(Debug)]
pub(crate) struct Disk {
    folder: PathBuf,
}

impl Disk {
    /// Runs `scenario` with a disk of that size. The test of that name runs itself again in a namespace of its own, so
    /// that nothing stays mounted, whatever ends it.
    ///
    /// # Panics
    /// When no namespace can be had, or the scenario fails.
    pub(crate) fn small(mebibytes: u32, test: &str, scenario: impl FnOnce(&Self)) {
        if let Ok(folder) = std::env::var(INSIDE) {
            return scenario(&Self { folder: folder.into() });
        }
        let folder = TempDir::with_prefix("orderflow-disk").expect("a temporary folder");
        let this = std::env::current_exe().expect("this program");
        let size = mebibytes.to_string();
        let mut again = where_mounted(MOUNT, &[size.as_ref(), folder.path().as_os_str()]);
        again
            .arg(this)
            .args([test, "--exact", "--include-ignored", "--nocapture"])
            .env(INSIDE, folder.path());
        let output = output_of(&mut again);
        let ran = String::from_utf8_lossy(&output.stdout).contains("1 passed");
        assert!(output.status.success() && ran, "{}", shown(&output));
    }

    /// Where it is mounted.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Fills it to the last byte.
    pub(crate) fn fill(&self) {
        let mut filler = File::create(self.filler()).expect("a file on the disk");
        let mut block = &[0_u8; 1 << 13][..];
        while !block.is_empty() {
            if filler.write_all(block).is_err() {
                block = &block[..block.len() / 2];
            }
        }
    }

    /// Makes room again.
    pub(crate) fn make_room(&self) {
        fs::remove_file(self.filler()).expect("it was filled");
    }

    fn filler(&self) -> PathBuf {
        self.folder.join("filler")
    }
}
