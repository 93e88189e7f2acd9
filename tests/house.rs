//! The house keeps its shape: who may depend on whom, and how large a file grows before it is two.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

/// What each crate may name in its `[dependencies]`. A new line here is a decision: the crate's own reason for it belongs
/// into the commit that adds it.
const DEPENDENCIES: &str = include_str!("house/dependencies.txt");

/// Lines of a file before its tests: beyond it one scrolls, and it is likely two things.
const LINES: usize = 400;

const CRATES: [&str; 7] = [
    ".",
    "domain",
    "schemas",
    "runtime",
    "producers",
    "consumers",
    "operations",
];

#[test]
fn every_crate_depends_on_what_the_list_says_and_on_nothing_else() {
    let mut listed: BTreeMap<&str, BTreeSet<String>> = BTreeMap::new();
    for line in DEPENDENCIES
        .lines()
        .filter(|line| !line.is_empty() && !line.starts_with('#'))
    {
        let (name, dependencies) = line.split_once(':').expect("a crate, a colon and its dependencies");
        listed.insert(name, dependencies.split_whitespace().map(str::to_owned).collect());
    }
    for name in CRATES {
        assert_eq!(
            Some(&dependencies(name)),
            listed.get(name),
            "[dependencies] of {name} and tests/house/dependencies.txt"
        );
    }
}

#[test]
fn the_rules_touch_no_io_and_the_runtime_knows_no_orders() {
    let domain = dependencies("domain");
    assert!(
        ["rdkafka", "rusqlite", "tokio", "axum", "tracing"]
            .iter()
            .all(|io| !domain.contains(*io)),
        "{domain:?}"
    );
    let runtime = dependencies("runtime");
    assert!(
        !runtime.iter().any(|name| name.starts_with("orderflow-")),
        "{runtime:?}"
    );
}

/// A panic in a decision is a refusal of that record; a program that ends with it would end with each try.
#[test]
fn no_profile_ends_the_program_with_a_panic() {
    let manifest = fs::read_to_string(root().join("Cargo.toml")).expect("a manifest");
    let settings = manifest.lines().filter(|line| !line.trim_start().starts_with('#'));
    let settings: Vec<_> = settings.filter(|line| line.contains("panic")).collect();
    assert_eq!(settings, Vec::<&str>::new());
}

#[test]
fn no_file_is_longer_than_one_reads_in_a_sitting() {
    let mut long = Vec::new();
    for name in CRATES {
        let folder = root().join(name).join("src");
        for file in files(&folder)
            .into_iter()
            .filter(|file| file.extension().is_some_and(|is| is == "rs"))
        {
            let text = fs::read_to_string(&file).expect("a readable file");
            let lines = text
                .split("#[cfg(test)]\nmod tests {")
                .next()
                .unwrap_or_default()
                .lines()
                .count();
            let is_test = file.components().any(|part| part.as_os_str() == "tests") || file.ends_with("tests.rs");
            if lines > LINES && !is_test {
                long.push(format!("{}: {lines} lines", file.display()));
            }
        }
    }
    assert!(long.is_empty(), "{long:#?}");
}

/// A crate's own `clippy.toml` replaces the root's, and without the line a function may have a hundred lines.
#[test]
fn no_crate_of_its_own_lints_lets_functions_grow() {
    let files = CRATES.map(|name| root().join(name).join("clippy.toml"));
    for file in files.iter().filter(|file| file.exists()) {
        let text = fs::read_to_string(file).expect("a readable file");
        let holds = text.lines().any(|line| line == "too-many-lines-threshold = 60");
        assert!(holds, "{}", file.display());
    }
}

#[test]
fn one_call_is_made_without_the_compilers_guarantees() {
    // The lint denies it everywhere, so whoever does it names the lint.
    let lint = concat!("unsafe", "_code");
    let mut found = Vec::new();
    for (name, room) in CRATES
        .iter()
        .flat_map(|name| ["src", "tests", "benches", "examples"].map(|room| (name, room)))
    {
        let folder = root().join(name).join(room);
        let there = if folder.is_dir() { files(&folder) } else { Vec::new() };
        for file in there {
            let text = fs::read_to_string(&file).unwrap_or_default();
            let times = text
                .matches(lint)
                .count()
                .max(text.matches(concat!("unsafe", " {")).count());
            let file = file.strip_prefix(root()).expect("inside").to_owned();
            found.extend(std::iter::repeat_n(file, times));
        }
    }
    assert_eq!(
        found,
        [Path::new("runtime/src/kafka/admin.rs")],
        "docs/decisions/0098 says why there is one"
    );
}

#[test]
fn nothing_stands_at_the_top_that_the_house_does_not_name() {
    let allowed = [
        ".ci",
        ".dockerignore",
        ".git",
        ".gitignore",
        "ARCHITECTURE.md",
        "CHANGELOG.md",
        "Cargo.lock",
        "Cargo.toml",
        "LICENSE",
        "README.md",
        "clippy.toml",
        "consumers",
        "deny.toml",
        "docker",
        "docs",
        "domain",
        "operations",
        "orderflow-data",
        "producers",
        "runtime",
        "rust-toolchain.toml",
        "rustfmt.toml",
        "schemas",
        "src",
        "target",
        "tests",
    ];
    let found = fs::read_dir(root())
        .expect("the house")
        .flatten()
        .map(|entry| entry.file_name());
    let strangers: Vec<_> = found
        .filter(|name| !allowed.contains(&name.to_string_lossy().as_ref()))
        .collect();
    assert!(strangers.is_empty(), "{strangers:?}");
}

fn dependencies(name: &str) -> BTreeSet<String> {
    let manifest = fs::read_to_string(root().join(name).join("Cargo.toml")).expect("a manifest");
    let manifest: toml::Table = manifest.parse().expect("a manifest in TOML");
    let named = manifest
        .get("dependencies")
        .and_then(toml::Value::as_table)
        .expect("[dependencies]");
    named.keys().cloned().collect()
}

fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder)
        .expect("a folder")
        .flatten()
        .map(|entry| entry.path());
    entries
        .flat_map(|path| if path.is_dir() { files(&path) } else { vec![path] })
        .collect()
}

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}
