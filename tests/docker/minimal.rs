//! The small profile: one broker, and the daemons on SQLite in one volume.

use std::process::Command;

use serde_json::Value;

use super::CAUGHT_UP;
use super::project::Project;
use super::stage::docker;
use super::support::process::{orderflow, output_of, shown, stdout_of};

#[test]
#[ignore = "needs Docker; run by ./tests/run"]
fn the_small_profile_takes_orders_and_passes_its_audit() {
    let project = Project::new("minimal", "");
    project.up(&[], &[("kafka", 0), ("minimal-inventory", 0), ("minimal-payment", 0)]);
    let from_here = |arguments: &[&str]| {
        let brokers = format!("127.0.0.1:{}", project.port("KAFKA_1_PORT"));
        stdout_of(orderflow().args(arguments).args(["--brokers", &brokers]))
    };
    from_here(&["stock", "receive", "85123A", "100"]);
    for _ in 0..3 {
        from_here(&["order", "place", "--customer", "17850", "--item", "85123A:6:2.55"]);
    }
    // As docs/docker.md has it.
    let mut read = docker();
    read.args(["exec", &project.container("kafka", 0)])
        .args([
            "/opt/kafka/bin/kafka-console-consumer.sh",
            "--bootstrap-server",
            "localhost:9092",
        ])
        .args([
            "--topic",
            "orders",
            "--from-beginning",
            "--max-messages",
            "3",
            "--timeout-ms",
            "60000",
        ]);
    let read = output_of(&mut read);
    let orders = String::from_utf8_lossy(&read.stdout).matches("85123A").count();
    assert!(read.status.success() && orders == 3, "{}", shown(&read));

    let daemons = || project.log("minimal-inventory", 0) + &project.log("minimal-payment", 0);
    let output = output_of(&mut audit(&project.container("minimal-payment", 0)));
    assert!(output.status.success(), "{}\n{}", shown(&output), daemons());
    let report: Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let totals = &report["items"][0]["totals"];
    assert_eq!(
        (&totals["orders"], &totals["reserved"]),
        (&3.into(), &3.into()),
        "{report}"
    );
}

/// Within a daemon's container, where the databases are.
fn audit(container: &str) -> Command {
    let timeout = format!("{}s", CAUGHT_UP.as_secs());
    let mut command = docker();
    command
        .args(["exec", container, "/usr/local/bin/orderflow"])
        .args(["audit", "--json", "--timeout", &timeout]);
    command
}
