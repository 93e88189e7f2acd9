//! A small disk of a test's own, to be filled.

use std::fs::{self, File};
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempDir;

use super::process::{output_of, shown};

/// Names the folder of the disk to the process that has it.
const INSIDE: &str = "ORDERFLOW_TEST_DISK";

/// Namespaces in which a disk may be mounted: root's own, or one in which we are root.
const NAMESPACES: [&[&str]; 2] = [&["--mount"], &["--mount", "--user", "--map-root-user"]];

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
        let namespace = NAMESPACES.into_iter().find(|namespace| {
            output_of(&mut mounting(namespace, 1, folder.path(), Path::new("true")))
                .status
                .success()
        });
        let namespace =
            namespace.expect("a disk to fill is mounted by root, or in a user namespace, if the kernel lets us");
        let this = std::env::current_exe().expect("this program");
        let mut again = mounting(namespace, mebibytes, folder.path(), &this);
        again
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

/// `program`, to be given arguments, where a disk is mounted at `folder`.
fn mounting(namespace: &[&str], mebibytes: u32, folder: &Path, program: &Path) -> Command {
    let mut command = Command::new("unshare");
    command
        .args(namespace)
        .args(["bash", "-c"])
        .arg("mount -t tmpfs -o size=$1m tmpfs \"$2\" && shift 2 && exec \"$@\"")
        .args(["bash", &mebibytes.to_string()])
        .args([folder, program])
        .stdin(Stdio::null());
    command
}
