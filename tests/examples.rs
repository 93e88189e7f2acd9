//! The examples of every `--help`: understood by plain `cargo test`, run on a real broker by `./tests/run`.
//!
//! They are read from the program itself, so that a new one is run as soon as it is written down. What an example names
//! and a test has not, another machine or a system folder, is replaced by what stands in [`HERE`]; an example that needs
//! anything else, or never ends and is not in [`Endless::of`], fails.

mod support;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use support::postgres::Database;
use support::process::{Daemon, orderflow, output_of, shown, stdout_of};
use support::system::System;
use support::tools::registry;
use support::unique;

/// What examples name, and what a test has in its place.
const HERE: &[(&str, &str)] = &[
    ("kafka-1:9092,kafka-2:9092", "$ORDERFLOW_BROKERS"),
    ("kafka-1:9092", "$ORDERFLOW_BROKERS"),
    ("old:9092", "$ORDERFLOW_BROKERS"),
    ("/var/lib/orderflow", "./orderflow-data"),
    (" /usr/", " ./usr/"),
    ("http://localhost:8081", "$REGISTRY"),
    ("https://registry.example/apis/ccompat/v7", "$REGISTRY"),
    (
        "schemas register --json",
        "schemas register --json --registry $REGISTRY",
    ),
    ("postgres://orderflow@db/shop", "$SHOP"),
    ("postgres://owner@db/shop", "$SHOP"),
    // One broker, and ports that are free.
    ("--replication 3", "--replication 1"),
    ("0.0.0.0:8081", "127.0.0.1:0"),
    ("schemas serve\n", "schemas serve --listen 127.0.0.1:0\n"),
    // The same, smaller: a test does not take minutes for a load.
    ("orderflow demo", "orderflow demo --orders 500"),
    ("--count 100000 --rate 5000", "--count 2000 --rate 1000"),
    ("--count 1000000", "--count 3000"),
    ("--orders 2000000", "--quick --measure producing --orders 2000"),
    ("--rounds 5", "--rounds 1 --orders 2000"),
];

/// Commands that no help lists and that have examples all the same.
const HIDDEN: [&str; 1] = ["bench"];

/// Longest that one example may take, on a busy machine and with a program that is not optimised.
const DONE: Duration = Duration::from_mins(5);

/// From a signal to the end, three times what is promised.
const ENDED: Duration = Duration::from_secs(15);

#[test]
fn every_example_of_every_help_is_understood() {
    let examples = examples();
    assert!(examples.len() >= 50, "{examples:?}");
    for example in examples {
        let words: Vec<_> = example
            .split(['|', '>'])
            .next()
            .unwrap_or_default()
            .split_whitespace()
            .skip(1)
            .collect();
        let output = output_of(orderflow().args(&words).arg("--help"));
        assert!(output.status.success(), "{example}\n{}", shown(&output));
    }
}

#[test]
fn what_is_replaced_in_examples_is_in_some() {
    let mut replaced = BTreeSet::new();
    for example in examples() {
        here(&example, &mut replaced);
    }
    let idle: Vec<_> = HERE.iter().filter(|(named, _)| !replaced.contains(named)).collect();
    assert!(idle.is_empty(), "no example names these any more: {idle:?}");
}

#[test]
#[ignore = "needs Kafka's jars, PostgreSQL and a registry; run by ./tests/run"]
fn examples_that_place_orders_do_what_they_say() {
    run(|command| ["demo", "order"].contains(&command));
}

#[test]
#[ignore = "needs Kafka's jars, PostgreSQL and a registry; run by ./tests/run"]
fn examples_that_run_services_do_what_they_say() {
    run(|command| ["bench", "run", "db"].contains(&command));
}

#[test]
#[ignore = "needs Kafka's jars, PostgreSQL and a registry; run by ./tests/run"]
fn all_other_examples_do_what_they_say() {
    run(|command| !["demo", "order", "bench", "run", "db"].contains(&command));
}

/// Runs the examples of the commands that are chosen, in a place of their own.
fn run(chosen: impl Fn(&str) -> bool) {
    let place = Place::make();
    let examples = examples();
    let of_ours = |example: &&String| chosen(example.split(' ').nth(1).unwrap_or_default());
    // What needs the databases for itself comes last.
    let (alone, others): (Vec<_>, Vec<_>) = examples
        .iter()
        .filter(of_ours)
        .partition(|example| example.starts_with("orderflow run ") || example.starts_with("orderflow db migrate"));
    assert!(others.len() > 2, "{others:?}");
    {
        let _services = (place.system.run("inventory"), place.system.run("payment"));
        // There is something to be seen.
        stdout_of(
            place
                .system
                .orderflow()
                .args(["order", "place", "--item", "22423:1:12.75"]),
        );
        for example in others {
            place.run(example);
        }
    }
    for example in alone {
        place.run(example);
    }
}

/// The lines behind `$` of the help of every command, each once.
fn examples() -> Vec<String> {
    let mut found = Vec::new();
    gather(&[], &mut found);
    for hidden in HIDDEN {
        gather(&[hidden], &mut found);
    }
    let mut known = BTreeSet::new();
    found.retain(|example| known.insert(example.clone()));
    found
}

fn gather(command: &[&str], found: &mut Vec<String>) {
    let help = stdout_of(orderflow().args(command).arg("--help"));
    let own = help.lines().filter_map(|line| line.trim().strip_prefix("$ "));
    let before = found.len();
    found.extend(own.map(str::to_owned));
    let below = subcommands(&help);
    assert!(
        found.len() > before || !below.is_empty(),
        "{command:?} --help has no example"
    );
    for name in below {
        gather(&[command, &[name]].concat(), found);
    }
}

fn subcommands(help: &str) -> Vec<&str> {
    let listed = help
        .lines()
        .skip_while(|line| *line != "Commands:")
        .skip(1)
        .take_while(|line| !line.is_empty());
    // What goes on in a further line stands further in.
    listed
        .filter_map(|line| line.strip_prefix("  ").filter(|entry| !entry.starts_with(' ')))
        .filter_map(|entry| entry.split_whitespace().next())
        .filter(|name| *name != "help")
        .collect()
}

/// A command that only a signal ends, by how it shows that it works.
enum Endless {
    /// A service has handled an order that was placed after its start.
    Service(&'static str),
    /// Its output holds this.
    Says(&'static str),
}

impl Endless {
    fn of(example: &str) -> Option<Self> {
        let services = ["inventory", "payment"];
        let service = services
            .into_iter()
            .find(|name| example.starts_with(&format!("orderflow run {name}")));
        match service {
            Some(name) => Some(Self::Service(name)),
            None if example.starts_with("orderflow schemas serve") => Some(Self::Says("\"address\":\"127.0.0.1:")),
            None if example.contains(" --follow") => Some(Self::Says("\"type\":\"OrderPlaced\"")),
            None => None,
        }
    }
}

/// A broker with the declared topics, a folder with the files that examples name, a database on a server, and
/// a registry.
struct Place {
    system: System,
    shop: Database,
}

impl Place {
    fn make() -> Self {
        let system = System::start(3);
        let folder = system.folder();
        let data = Path::new(env!("CARGO_MANIFEST_DIR")).join("producers/data/online_retail_2010-12_to_2011-05.csv.gz");
        fs::copy(data, folder.join("online_retail.csv.gz")).expect("the data set");
        let catalogue = "product_id,quantity\n85123A,100\n71053,100\n22423,100\n";
        for name in ["catalogue.csv", "delivery.csv"] {
            fs::write(folder.join(name), catalogue).expect("a catalogue");
        }
        stdout_of(Command::new("gzip").arg("delivery.csv").current_dir(folder));
        let shop = Database::make();
        Self { system, shop }
    }

    /// Runs one example as a user would, and asserts that it does well.
    fn run(&self, example: &str) {
        let script = here(example, &mut BTreeSet::new());
        let log = self.system.folder().join(format!("{}.log", unique("example")));
        let mut process = Daemon::start(&mut self.shell(example, &script), &log);
        let limit = if let Some(endless) = Endless::of(example) {
            self.await_sign(&endless, &mut process);
            process.signal(rustix::process::Signal::TERM);
            ENDED
        } else {
            DONE
        };
        let status = process.wait(limit);
        assert!(
            status.success(),
            "{example}\nrun as {script}ended with {status}\n{}",
            process.log()
        );
    }

    fn await_sign(&self, endless: &Endless, process: &mut Daemon) {
        match endless {
            Endless::Says(text) => process.wait_for_log(text, DONE),
            Endless::Service(name) => {
                process.wait_for_log("assigned", DONE);
                stdout_of(
                    self.system
                        .orderflow()
                        .args(["order", "place", "--item", "22423:1:12.75"]),
                );
                self.system.wait_caught_up(name);
            }
        }
    }

    fn shell(&self, example: &str, script: &str) -> Command {
        for target in script.split("> ").skip(1) {
            let file = target.trim().replace('~', &self.system.folder().to_string_lossy());
            let folder = self.system.folder().join(PathBuf::from(file));
            fs::create_dir_all(folder.parent().expect("a folder")).expect("a folder for its output");
        }
        // A process that gets signals must be the program, not a shell around it.
        let exec = if Endless::of(example).is_some() { "exec " } else { "" };
        let mut command = self.system.shell(&format!("set -euo pipefail\n{MAN}\n{exec}{script}"));
        command
            .env("HOME", self.system.folder())
            .env("SHOP", self.shop.url())
            .env("REGISTRY", registry());
        if example.contains("topics plan") || example.contains("topics apply") {
            // On a cluster that has none of them yet.
            command.env("ORDERFLOW_TOPICS_PREFIX", format!("{}.", unique("example")));
        }
        command
    }
}

/// A reader of manual pages that is there on every machine: it takes what is one.
const MAN: &str = "man() { grep '^[.]TH orderflow'; }";

/// An example with what a test has in the place of what it names.
fn here(example: &str, replaced: &mut BTreeSet<&'static str>) -> String {
    let mut script = format!("{example}\n");
    for (named, instead) in HERE {
        if script.contains(named) {
            script = script.replace(named, instead);
            replaced.insert(named);
        }
    }
    script
}
