//! The front door is true: its links lead somewhere, and its commands do what it says.

mod support;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use support::process::shown;
use support::system::System;

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
#[ignore = "needs a Kafka broker; run by ./tests/run"]
fn the_commands_for_your_kafka_do_what_the_readme_says() {
    let system = System::start(3);
    let readme = fs::read_to_string(root().join("README.md")).expect("a README");
    let commands = console_block(&readme, "## On your Kafka");
    assert!(commands.len() >= 9, "{commands:?}");
    // The same load, smaller: what it does is the same, and a test does not take a minute for it.
    let script = commands
        .join("\n")
        .replace("--count 100000 --rate 5000", "--count 2000 --rate 1000");
    assert!(
        script.contains("--count 2000"),
        "the README emits another load now: {script}"
    );

    let folder = tempfile::tempdir().expect("a folder");
    let data = root().join("producers/data/online_retail_2010-12_to_2011-05.csv.gz");
    fs::copy(data, folder.path().join("online_retail.csv.gz")).expect("the data set");
    fs::write(
        folder.path().join("catalogue.csv"),
        "product_id,quantity\n85123A,100\n71053,100\n",
    )
    .expect("a catalogue");
    let output = shell(
        &system,
        folder.path(),
        &script.replace("localhost:9092", &system.brokers()),
    );
    assert!(output.status.success(), "{script}\n{}", shown(&output));
    assert!(
        String::from_utf8_lossy(&output.stdout).contains(r#""type":"OrderPlaced""#),
        "{}",
        shown(&output)
    );
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

/// Runs commands as a user would, one after another, with `orderflow` on the path; what they left running is ended.
fn shell(system: &System, folder: &Path, script: &str) -> std::process::Output {
    let binary = Path::new(env!("CARGO_BIN_EXE_orderflow"));
    let path = format!(
        "{}:{}",
        binary.parent().expect("a folder").display(),
        std::env::var("PATH").unwrap_or_default()
    );
    let ended = format!("set -e\ntrap 'kill $(jobs -p); wait' EXIT\n{script}\n");
    let mut command = Command::new("bash");
    command
        .args(["-c", &ended])
        .current_dir(folder)
        .env("PATH", path)
        .env("ORDERFLOW_BROKERS", system.brokers());
    command.output().expect("bash runs")
}
