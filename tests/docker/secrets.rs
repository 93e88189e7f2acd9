//! The password of the database: what the service `secrets` runs, in a folder instead of its volume.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;
use std::process::{Command, Output};

use tempfile::TempDir;

use super::support::process::{output_of, shown};

/// With everything in it that means something to somebody who reads it.
pub(crate) const AWKWARD: &str = r#"a\b:c$d\$e${HOME}"f'g$$h#=&"#;

const FILES: [&str; 3] = ["password", "pgpass", "registry.properties"];

struct Volume {
    folder: TempDir,
    /// A `chown` that changes nothing: this may be nobody who can, and there may be no user `postgres`.
    tools: TempDir,
}

impl Volume {
    fn empty() -> Self {
        let volume = Self {
            folder: TempDir::with_prefix("orderflow-secrets").expect("a temporary folder"),
            tools: TempDir::with_prefix("orderflow-tools").expect("a temporary folder"),
        };
        volume.give_away("true");
        volume
    }

    /// Lets `chown` do this.
    fn give_away(&self, script: &str) {
        let path = self.tools.path().join("chown");
        fs::write(&path, format!("#!/bin/sh\n{script}\n")).expect("a script");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).expect("it can be run");
    }

    fn draw(&self, given: &str) -> Output {
        let others = std::env::var("PATH").unwrap_or_default();
        let path = format!("{}:{others}", self.tools.path().display());
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/docker/draw-secrets");
        let mut command = Command::new("bash");
        command.arg(script).arg(self.folder.path());
        output_of(command.env("PATH", path).env("POSTGRES_PASSWORD", given))
    }

    fn drawn(&self, given: &str) -> [String; 3] {
        let output = self.draw(given);
        assert!(output.status.success(), "{}", shown(&output));
        self.files()
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    fn files(&self) -> [String; 3] {
        let found = fs::read_dir(self.folder.path()).expect("a folder").count();
        assert_eq!(found, FILES.len(), "nothing else is left there");
        FILES.map(|name| fs::read_to_string(self.path(name)).expect(name))
    }
}

#[test]
fn a_password_is_drawn_once() {
    let volume = Volume::empty();
    let files = volume.drawn("");
    assert_eq!(files[0].len(), 48, "24 bytes");
    assert_eq!(files[1], format!("postgres:5432:*:orderflow:{}\n", files[0]));
    assert_eq!(volume.drawn(""), files);
    assert_ne!(Volume::empty().drawn(""), files);
    let mode = fs::metadata(volume.path("password")).expect("a file").permissions();
    assert_eq!(mode.mode() & 0o777, 0o600);
}

#[test]
fn a_password_that_is_given_is_written_as_each_reads_it() {
    let [password, pgpass, properties] = Volume::empty().drawn(r"a\b:c$d\$e");
    assert_eq!(password, r"a\b:c$d\$e");
    assert_eq!(pgpass, "postgres:5432:*:orderflow:a\\\\b\\:c$d\\\\$e\n");
    // A property's value is \$ for a dollar, and a file of properties has \\ for a backslash.
    let value = r"a\\b:c\\$d\\\\$e";
    assert_eq!(
        properties,
        format!("registry.datasource.password={value}\nquarkus.datasource.password={value}\n")
    );
}

#[test]
fn the_password_of_a_database_is_never_overwritten() {
    let volume = Volume::empty();
    let files = volume.drawn(AWKWARD);
    assert_eq!(files[0], AWKWARD);
    assert_eq!(volume.drawn(AWKWARD), files);
    assert_eq!(volume.drawn(""), files);
    let output = volume.draw("another");
    assert_eq!(output.status.code(), Some(1), "{}", shown(&output));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(
        said.contains("not the password that the database was made with"),
        "{said}"
    );
    assert!(!said.contains("another") && !said.contains(AWKWARD), "{said}");
    assert_eq!(volume.files(), files);
}

/// A properties file has no blanks in front of a value.
#[test]
fn a_password_may_begin_with_a_blank() {
    let files = Volume::empty().drawn(" a b");
    assert!(
        files[2].starts_with("registry.datasource.password=\\ a b\n"),
        "{files:?}"
    );
}

#[test]
fn what_was_interrupted_is_done_again() {
    for file in FILES {
        let volume = Volume::empty();
        volume.give_away(&format!("case $2 in {file}*) kill -9 $PPID;; esac"));
        let output = volume.draw("");
        assert!(!output.status.success(), "{}", shown(&output));
        assert!(!volume.path("password").exists(), "the last is not there");
        volume.give_away("true");
        let files = volume.drawn("");
        assert!(
            files.iter().all(|text| text.contains(&files[0])),
            "one and the same: {files:?}"
        );
    }
    // As it could be when the password was written first.
    let volume = Volume::empty();
    fs::write(volume.path("password"), "left alone").expect("a file");
    assert_eq!(volume.drawn("")[1], "postgres:5432:*:orderflow:left alone\n");
}
