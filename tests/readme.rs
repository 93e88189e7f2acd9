//! The front door is true: its links lead somewhere, and its commands do what it says.

mod support;

use std::fs;
use std::path::PathBuf;

use support::broker::Broker;
use support::process::{output_of, shell, shown};

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

#[test]
fn every_link_of_a_document_leads_to_a_file() {
    let mut documents = vec![root().join("README.md"), root().join("ARCHITECTURE.md")];
    for folder in ["docs", "docs/decisions", "producers/data"] {
        let entries = fs::read_dir(root().join(folder))
            .expect("a folder")
            .flatten()
            .map(|entry| entry.path());
        documents.extend(entries.filter(|path| path.extension().is_some_and(|is| is == "md")));
    }
    let mut dead = Vec::new();
    for document in documents {
        let text = fs::read_to_string(&document).expect("a document");
        let folder = document.parent().expect("a folder");
        dead.extend(
            links(&text)
                .filter(|link| !folder.join(link).exists())
                .map(|link| format!("{document:?}: {link}")),
        );
    }
    assert!(dead.is_empty(), "{dead:#?}");
}

/// Targets of Markdown links into this repository, without what follows a `#`.
fn links(text: &str) -> impl Iterator<Item = &str> {
    let targets = text
        .split("](")
        .skip(1)
        .filter_map(|rest| rest.split_once(')'))
        .map(|(target, _)| target);
    let inside = targets.filter(|target| !target.contains("://") && !target.starts_with('#'));
    inside.filter_map(|target| target.split('#').next())
}

#[test]
#[ignore = "needs Kafka's jars; run by ./tests/run"]
fn the_commands_for_your_kafka_do_what_the_readme_says() {
    let broker = Broker::start();
    let readme = fs::read_to_string(root().join("README.md")).expect("a README");
    let commands = console_block(&readme, "## On your Kafka");
    assert!(commands.len() >= 10, "{commands:?}");
    // This build of the program stands on the path in the place of what the first command would put there: it takes
    // minutes, and the folder it writes to is the user's own.
    let (install, commands) = commands.split_first().expect("commands");
    assert_eq!(*install, "cargo install --locked --path .");
    // The same load, smaller: what it does is the same, and a test does not take a minute for it.
    let script = commands
        .join("\n")
        .replace("--count 100000 --rate 5000", "--count 2000 --rate 1000");
    assert!(
        script.contains("--count 2000"),
        "the README emits another load now: {script}"
    );

    let clone = fresh_clone();
    let ended = format!("set -e -o pipefail\ntrap 'kill $(jobs -p); wait' EXIT\n{script}\n");
    let mut command = shell(&ended);
    command
        .current_dir(clone.path())
        // As the README says: the test's broker is not at localhost:9092.
        .env("ORDERFLOW_BROKERS", broker.address());
    let output = output_of(&mut command);
    assert!(output.status.success(), "{script}\n{}", shown(&output));
    assert!(
        String::from_utf8_lossy(&output.stdout).contains(r#""type":"OrderPlaced""#),
        "{}",
        shown(&output)
    );
}

/// A folder with what the repository's root holds, and without what a developer's own has beside it: builds, databases
/// and settings.
fn fresh_clone() -> tempfile::TempDir {
    let folder = tempfile::tempdir().expect("a folder");
    for entry in fs::read_dir(root()).expect("the root").flatten() {
        let name = entry.file_name();
        let own = ["target", "orderflow-data", "orderflow.toml"];
        if !own.iter().any(|own| name == *own) {
            std::os::unix::fs::symlink(entry.path(), folder.path().join(&name)).expect("a link");
        }
    }
    folder
}

/// The commands of the first console block behind a heading.
fn console_block<'a>(text: &'a str, heading: &str) -> Vec<&'a str> {
    let section = text.split_once(heading).expect("the heading").1;
    let block = section.split_once("```console\n").expect("a console block").1;
    block
        .split("```")
        .next()
        .unwrap_or_default()
        .lines()
        .filter_map(|line| line.strip_prefix("$ "))
        .collect()
}
