//! The commands of the README on a real Kafka, as a user types them.

mod support;

use std::fs::File;
use std::io::{PipeReader, PipeWriter, Read as _, Write as _};
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use rustix::io::ioctl_fionbio;
use serde_json::Value;
use support::broker::{Broker, free_port};
use support::cluster::{end_offsets, partition_count};
use support::process::{orderflow, output_of, shown, stdout_of};
use support::system::System;
use support::tools::kafka_tool;
use support::wait_until;

const REAL_ORDERS: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/producers/data/online_retail_2010-12_to_2011-05.csv.gz"
);

/// Runs a command of the program that is expected to end with `code`.
fn ends_with(code: i32, command: &mut Command) -> Output {
    let output = output_of(command);
    assert_eq!(output.status.code(), Some(code), "{command:?}\n{}", shown(&output));
    output
}

fn stderr(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// A file with enough of every product.
fn catalogue(products: &[&str]) -> tempfile::NamedTempFile {
    let file = tempfile::NamedTempFile::with_suffix(".csv").expect("a temporary file");
    let lines: Vec<_> = products.iter().map(|product| format!("{product},100000")).collect();
    let text = format!("product_id,quantity\n{}\n", lines.join("\n"));
    std::fs::write(file.path(), text).expect("the file can be written");
    file
}

#[test]
#[ignore = "needs Kafka's jars; run by ./tests/run"]
fn from_an_empty_cluster_to_a_clean_audit() {
    let system = System::start(4);
    let (_inventory, _payment) = (system.run("inventory"), system.run("payment"));
    let run = |arguments: &[&str]| stdout_of(system.orderflow().args(arguments));

    let catalogue = catalogue(&["85123A", "71053"]);
    run(&["stock", "import", catalogue.path().to_str().expect("UTF-8"), "--wait"]);
    run(&[
        "order",
        "place",
        "--customer",
        "17850",
        "--item",
        "85123A:6:2.55",
        "--item",
        "71053:6:3.39",
    ]);
    run(&["order", "import", REAL_ORDERS, "--limit", "300"]);
    run(&["order", "emit", "--count", "2000", "--rate", "max"]);
    assert_eq!(end_offsets(&system.brokers(), "orders"), 2_301);
    run(&["audit"]);

    let placed = run(&["topics", "tail", "orders"]);
    assert_eq!(placed.lines().count(), 2_301);
    let first: Value = serde_json::from_str(placed.lines().next().expect("a line")).expect("JSON");
    assert_eq!(first["type"], "OrderPlaced");
    assert_eq!(first["key"], first["value"]["order_id"]);
    assert_eq!(
        run(&[
            "topics",
            "tail",
            "orders",
            "--key",
            first["key"].as_str().expect("text")
        ])
        .lines()
        .count(),
        1
    );

    // What was read goes in again, and counts once.
    let file = tempfile::NamedTempFile::new().expect("a temporary file");
    std::fs::write(file.path(), &placed).expect("the file can be written");
    stdout_of(
        system
            .orderflow()
            .args(["order", "import", "-"])
            .stdin(File::open(file.path()).expect("the file is there")),
    );
    run(&["audit"]);
    let duplicates = "SELECT sum(duplicate) FROM v_progress WHERE topic = 'orders'";
    for service in ["inventory", "payment"] {
        assert_eq!(system.number(service, duplicates), Some(2_301), "{service}");
    }
}

#[test]
#[ignore = "needs Kafka's jars; run by ./tests/run"]
fn a_topic_from_a_newcomers_guide_will_do() {
    let broker = Broker::start();
    let system = System::on(broker);
    let mut create = kafka_tool("org.apache.kafka.tools.TopicCommand");
    create.args([
        "--bootstrap-server",
        &system.brokers(),
        "--create",
        "--topic",
        "order-placed",
    ]);
    stdout_of(create.args(["--partitions", "1"]));
    let run = |arguments: &[&str]| {
        stdout_of(
            system
                .orderflow()
                .env("ORDERFLOW_TOPICS_ORDERS", "order-placed")
                .args(arguments),
        )
    };

    let planned = run(&["topics", "plan", "--json"]);
    let planned: Value = serde_json::from_str(&planned).expect("JSON");
    let steps = planned["items"].as_array().expect("a list");
    assert!(steps.iter().all(|step| step["partitions"] == 1), "{planned}");
    run(&["topics", "apply"]);
    run(&["order", "place", "--item", "85123A:6:2.55"]);
    assert_eq!(run(&["topics", "tail", "order-placed"]).lines().count(), 1);
}

/// Nobody reads what is shown, so the program waits with saying it, and has made nothing yet.
#[test]
#[ignore = "needs Kafka's jars; run by ./tests/run"]
fn topics_are_shown_before_they_are_made() {
    let system = System::on(Broker::start());
    let planned = stdout_of(system.orderflow().args(["topics", "plan"]));
    let (mut reads, writes) = full_pipe();
    let mut command = system.orderflow();
    command.args(["topics", "apply"]).stdout(writes);
    let mut apply = command.spawn().expect("it starts");
    drop(command);
    let waits_in = || std::fs::read_to_string(format!("/proc/{}/wchan", apply.id())).unwrap_or_default();
    wait_until("the program to write to the pipe", Duration::from_secs(30), || {
        waits_in().contains("pipe_write")
    });
    assert_eq!(partition_count(&system.brokers(), "orders"), None);

    let mut shown = String::new();
    reads.read_to_string(&mut shown).expect("text");
    assert!(apply.wait().expect("it ends").success(), "{shown}");
    assert_eq!(shown.trim_start(), planned);
    assert_eq!(partition_count(&system.brokers(), "orders"), Some(12));
}

/// One that takes not a byte before something is read of the blanks in it.
fn full_pipe() -> (PipeReader, PipeWriter) {
    let (reads, mut writes) = std::io::pipe().expect("a pipe");
    ioctl_fionbio(&writes, true).expect("a pipe can be that");
    for block in [1 << 10, 1] {
        while writes.write(&vec![b' '; block]).is_ok() {}
    }
    ioctl_fionbio(&writes, false).expect("a pipe can be that");
    (reads, writes)
}

#[test]
#[ignore = "needs Kafka's jars; run by ./tests/run"]
fn a_cluster_that_does_not_fit_is_told_with_the_way_out() {
    let system = System::on(Broker::start());
    // Nothing was made: each command says what is missing and how to make it.
    for arguments in [
        &["run", "inventory"][..],
        &["order", "place", "--item", "85123A:6:2.55"],
        &["topics", "tail", "orders"],
    ] {
        let output = output_of(system.orderflow().args(arguments));
        assert!(
            matches!(output.status.code(), Some(1..=5)),
            "{arguments:?}\n{}",
            shown(&output)
        );
        assert!(
            stderr(&output).contains("hint: orderflow topics apply"),
            "{arguments:?}\n{}",
            shown(&output)
        );
    }
    stdout_of(system.orderflow().args(["topics", "apply", "--partitions", "2"]));
    let refused = ends_with(5, system.orderflow().args(["topics", "apply", "--partitions", "3"]));
    assert!(
        stderr(&refused).contains("has 2 partitions, 3 are asked for"),
        "{}",
        shown(&refused)
    );
}

#[test]
#[ignore = "run by ./tests/run: it waits for deadlines"]
fn a_cluster_that_is_not_there_is_exit_code_4_within_seconds() {
    let nowhere = format!("127.0.0.1:{}", free_port());
    for arguments in [
        &["topics", "plan"][..],
        &["topics", "tail", "orders"],
        &["order", "place", "--item", "85123A:6:2.55", "--timeout", "3s"],
        &["run", "inventory"],
        &["audit", "--timeout", "3s"],
    ] {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let started = Instant::now();
        let output = ends_with(
            4,
            orderflow()
                .current_dir(folder.path())
                .args(["--brokers", &nowhere])
                .args(arguments),
        );
        assert!(stderr(&output).contains(&nowhere), "{arguments:?}\n{}", shown(&output));
        assert!(
            started.elapsed() < Duration::from_secs(30),
            "{arguments:?} took {:?}",
            started.elapsed()
        );
    }
}
