//! What `./tests/run` says where something is missing that it may not install.

mod support;

use std::fs::{self, Permissions};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};
use std::process::Command;

use rustix::process::geteuid;
use support::process::{output_of, shown};

/// What the script calls before it looks for packages, and at its end.
const ITS_OWN: [&str; 9] = [
    "bash", "dirname", "mktemp", "nproc", "pgrep", "python3", "rm", "script", "sed",
];

#[test]
fn who_may_install_nothing_is_told_what_is_missing() {
    // Where everybody may look, unlike in what `TMPDIR` may name.
    let folder = tempfile::tempdir_in("/tmp").expect("a folder");
    let path = folder.path();
    for (made, mode) in [("", 0o755), ("tests", 0o755), ("bin", 0o755), ("tmp", 0o1777)] {
        fs::create_dir_all(path.join(made)).expect("a folder");
        fs::set_permissions(path.join(made), Permissions::from_mode(mode)).expect("it is ours");
    }
    let script = path.join("tests/run");
    fs::copy(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/run"), &script).expect("a copy");
    fs::set_permissions(&script, Permissions::from_mode(0o755)).expect("it is ours");
    for tool in ITS_OWN {
        if let Some(found) = found(tool) {
            symlink(found, path.join("bin").join(tool)).expect("a link");
        }
    }
    symlink("/bin/true", path.join("bin/cargo")).expect("a link");

    for (argument, missing) in [
        ("--fast", &["gcc", "g++", "make"][..]),
        (
            "--broker",
            &[
                "default-jre-headless",
                "maven",
                "kcat",
                "openssl",
                "postgresql-client",
                "sqlite3",
            ],
        ),
    ] {
        let mut command = as_nobody();
        command
            .args(["bash", "tests/run", argument])
            .current_dir(path)
            .env("PATH", path.join("bin"))
            .env("TMPDIR", path.join("tmp"));
        let output = output_of(&mut command);
        assert_eq!(output.status.code(), Some(1), "{}", shown(&output));
        let said = String::from_utf8_lossy(&output.stderr);
        let named = said.strip_prefix("tests/run: missing packages (names of Debian's): ");
        let named: Vec<_> = named.unwrap_or_else(|| panic!("{said}")).split_whitespace().collect();
        for package in missing {
            assert!(named.contains(package), "{package}: {said}");
        }
        let left = path.join("tmp").read_dir().expect("a folder").count();
        assert_eq!(left, 0, "nothing stays behind");
    }
}

/// A command that runs as somebody without rights, whoever runs the test.
fn as_nobody() -> Command {
    if geteuid().is_root() {
        let mut command = Command::new(found("setpriv").expect("util-linux is there"));
        command.args(["--reuid=65534", "--regid=65534", "--clear-groups"]);
        return command;
    }
    Command::new(found("env").expect("it is everywhere"))
}

fn found(tool: &str) -> Option<PathBuf> {
    let folders = ["/usr/bin", "/bin", "/usr/local/bin"].map(Path::new);
    folders
        .iter()
        .map(|folder| folder.join(tool))
        .find(|path| path.exists())
}
