//! The benchmark: that everything can be measured, and that nothing of it stays behind.

mod support;

use serde_json::Value;
use support::cluster;
use support::postgres::Database;
use support::process::{orderflow, stdout_of};
use tempfile::TempDir;

/// Runs `bench --quick` with a database's URL, or without one.
fn quick(database: Option<&Database>, arguments: &[&str]) -> Value {
    let folder = TempDir::with_prefix("orderflow-bench").expect("a temporary folder");
    let mut command = orderflow();
    command
        .args(["bench", "--quick", "--json"])
        .args(arguments)
        .current_dir(folder.path())
        .env("ORDERFLOW_BROKERS", cluster::brokers());
    if let Some(database) = database {
        command.env("ORDERFLOW_DATABASE", database.url());
    }
    let report = serde_json::from_str(&stdout_of(&mut command)).expect("JSON");
    let left = folder.path().join("orderflow-data/bench");
    let left: Vec<_> = left.read_dir().map(Iterator::collect).unwrap_or_default();
    assert!(left.is_empty(), "left behind: {left:?}");
    report
}

/// The names of the figures or limits that have values, each with its unit.
fn names(report: &Value, list: &str, values: &str) -> Vec<String> {
    let listed = report["items"][0][list].as_array().expect("a list");
    let filled = listed.iter().filter(|entry| match &entry[values] {
        Value::Array(values) => !values.is_empty() && values.iter().all(|value| value.as_f64() > Some(0.0)),
        value => value.as_f64() > Some(0.0),
    });
    filled.map(|entry| entry["name"].to_string()).collect()
}

#[test]
#[ignore = "needs a broker and PostgreSQL; run by ./tests/run"]
fn everything_about_postgres_is_measured_and_removed() {
    let database = Database::make();
    let mut asked = vec!["--workload", "wide"];
    asked.extend(
        ["postgres", "latency", "recovery"]
            .iter()
            .flat_map(|name| ["--measure", name]),
    );
    let report = quick(Some(&database), &asked);
    let figures = names(&report, "figures", "ours").join("\n");
    for expected in [
        "catching up, one instance, 12 partitions, 3 items",
        "catching up, 3 instances, 12 partitions, 3 items",
        "catching up, one instance, 48 partitions, 3 items",
        "catching up, 3 instances, 48 partitions, 3 items",
        "batches of 100",
        "batches of 2000",
        "CPU of inventory per order",
        "log of the server per order",
        "due to readable, SQLite, p99",
        "due to readable, PostgreSQL, p99",
        "one of 3 killed until its lanes move, p50",
        "one of 3 killed until its lanes move, p99, which is the worst",
    ] {
        assert!(figures.contains(expected), "no figure of {expected}:\n{figures}");
    }
    let limits = names(&report, "limits", "found").join("\n");
    for expected in ["PostgreSQL resident at most", "its lanes move, worst of 1"] {
        assert!(limits.contains(expected), "no limit of {expected}:\n{limits}");
    }
    let left = "SELECT count(*) FROM pg_namespace WHERE nspname LIKE 'orderflow%'";
    assert_eq!(database.number(left), Some(0), "schemas are left behind");
}

#[test]
#[ignore = "needs a broker; run by ./tests/run"]
fn without_a_server_nothing_is_said_of_one() {
    let report = quick(
        None,
        &["--workload", "hot", "--measure", "catch-up", "--measure", "latency"],
    );
    let figures = names(&report, "figures", "ours").join("\n");
    assert!(figures.contains("catch-up, 3 items, 50 products"), "{figures}");
    assert!(figures.contains("due to readable, SQLite, p50"), "{figures}");
    assert!(!figures.contains("PostgreSQL"), "{figures}");
}
