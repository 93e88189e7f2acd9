//! Two pipelines on one cluster, told apart by `topics.prefix` alone: how to go on past one database.

mod support;

use std::process::Command;

use serde_json::Value;
use support::cluster::brokers;
use support::postgres::Database;
use support::process::{Daemon, orderflow, stdout_of};
use support::tools::consumer_groups;
use support::unique;
use tempfile::TempDir;

const ORDERS: i64 = 200;

const SERVICES: [&str; 2] = ["inventory", "payment"];

/// Topics, groups, folder and databases of its own.
struct Pipeline {
    prefix: String,
    folder: TempDir,
    /// Where there is no URL they are files in the folder.
    databases: Option<String>,
}

impl Pipeline {
    fn start(stem: &str, databases: Option<String>) -> Self {
        let pipeline = Self {
            prefix: format!("{}.", unique(stem)),
            folder: TempDir::with_prefix("orderflow-pipeline").expect("a temporary folder"),
            databases,
        };
        stdout_of(pipeline.orderflow().args(["topics", "apply", "--partitions", "3"]));
        pipeline
    }

    fn orderflow(&self) -> Command {
        let mut command = orderflow();
        command
            .current_dir(self.folder.path())
            .env("ORDERFLOW_BROKERS", brokers())
            .env("ORDERFLOW_TOPICS_PREFIX", &self.prefix);
        if let Some(url) = &self.databases {
            command.env("ORDERFLOW_DATABASE", url);
        }
        command
    }

    fn run(&self, service: &str) -> Daemon {
        let log = self.folder.path().join(format!("{service}.log"));
        Daemon::start(self.orderflow().args(["run", service]), &log)
    }

    /// `--wait` asks the group, under the name that this pipeline gives it.
    fn stock_up(&self) {
        stdout_of(
            self.orderflow()
                .args(["stock", "receive", "85123A", "1000000", "--wait"]),
        );
    }

    /// The same seed makes the same orders, ids included.
    fn place(&self, seed: &str) {
        let count = ORDERS.to_string();
        let mut emit = self.orderflow();
        emit.args(["order", "emit", "--count", &count, "--seed", seed, "--declined", "0"]);
        emit.args(["--start", "2026-11-01T00:00:00Z"]);
        stdout_of(&mut emit);
    }

    fn audited(&self) -> Value {
        let told = stdout_of(self.orderflow().args(["audit", "--timeout", "60s", "--json"]));
        serde_json::from_str(&told).expect("an envelope")
    }

    /// Members of a group, and the topics it has positions in, as Kafka's own tool tells them.
    fn described(&self, service: &str, what: &[&str]) -> Vec<Vec<String>> {
        let group = format!("{}{service}", self.prefix);
        let mut tool = consumer_groups(&brokers());
        let told = stdout_of(tool.args(["--describe", "--group", &group]).args(what));
        let words = |line: &str| line.split_whitespace().map(str::to_owned).collect();
        let rows = told.lines().filter(|line| line.starts_with(&self.prefix));
        rows.map(words).collect()
    }
}

#[test]
#[ignore = "needs Kafka's jars and PostgreSQL; run by ./tests/run"]
fn pipelines_whose_prefixes_differ_share_a_cluster_and_nothing_else() {
    let (_databases, url) = Database::of_services(SERVICES);
    let east = Pipeline::start("east", None);
    let west = Pipeline::start("west", Some(url));
    let both = [&east, &west];
    let mut daemons = both.map(|pipeline| SERVICES.map(|service| pipeline.run(service)));
    for pipeline in both {
        pipeline.stock_up();
        pipeline.place("7");
    }
    for pipeline in both {
        let audited = pipeline.audited();
        let totals = &audited["items"][0]["totals"];
        assert_eq!(totals["orders"], ORDERS, "{audited}");
        assert_eq!(totals["processed"], ORDERS, "{audited}");
        assert_eq!(totals["dead"], 0, "{audited}");
        for service in SERVICES {
            let members = pipeline.described(service, &["--members"]);
            assert_eq!(members.len(), 1, "nobody of the other pipeline: {members:?}");
            let positions = pipeline.described(service, &[]);
            assert!(!positions.is_empty(), "{service} has told where it stands");
            let own = |row: &Vec<String>| row[1].starts_with(&pipeline.prefix);
            assert!(positions.iter().all(own), "{positions:?}");
        }
    }

    // Whoever dies in one leaves the other at work.
    daemons[0][0].kill();
    west.stock_up();
    west.place("8");
    assert_eq!(west.audited()["items"][0]["totals"]["orders"], 2 * ORDERS);
}
