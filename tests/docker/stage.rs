//! The cluster of the compose file as a project of its own, on free ports.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

use super::eye::Eye;
use super::support::broker::free_port;
use super::support::process::{orderflow, output_of, shown, stdout_of};
use super::support::unique;

/// From nothing to every container healthy.
const UP: Duration = Duration::from_mins(4);

/// From the start of a container that was there before to its health.
const HEALTHY: Duration = Duration::from_mins(3);

/// The ports of this machine under which the cluster is reached, by the variables of the compose file.
const PORTS: [&str; 5] = [
    "KAFKA_1_PORT",
    "KAFKA_2_PORT",
    "KAFKA_3_PORT",
    "POSTGRES_PORT",
    "REGISTRY_PORT",
];

/// The cluster. Containers, network and volumes go when it is dropped.
#[derive(Debug)]
pub(crate) struct Stage {
    project: String,
    ports: BTreeMap<&'static str, u16>,
    inventories: usize,
    folder: TempDir,
}

impl Stage {
    /// Brings everything up, with so many instances of inventory.
    pub(crate) fn start(inventories: usize) -> Self {
        let stage = Self {
            project: unique(&super::support::setting("ORDERFLOW_TEST_PROJECT")),
            ports: PORTS.map(|name| (name, free_port())).into(),
            inventories,
            folder: TempDir::with_prefix("orderflow-docker").expect("a temporary folder"),
        };
        let started = Instant::now();
        let scale = format!("inventory={inventories}");
        stdout_of(stage.compose().args(["up", "-d", "--scale", &scale]));
        let expected = ["kafka-1", "kafka-2", "kafka-3", "postgres", "registry", "payment"];
        let mut wanted: Vec<_> = expected.iter().map(|service| (*service, 0)).collect();
        wanted.extend((0..inventories).map(|n| ("inventory", n)));
        for (service, n) in wanted {
            let healthy = || {
                stage
                    .try_container(service, n)
                    .is_some_and(|id| health(&id) == "healthy")
            };
            wait_until(&format!("{service} to be healthy"), UP, healthy);
        }
        eprintln!("up after {:.1?}", started.elapsed());
        stage.assert_registry_is_used();
        stage
    }

    /// The contracts are in the registry, and each daemon has its ids from there.
    fn assert_registry_is_used(&self) {
        stdout_of(&mut self.check_registry());
        let inventories = (0..self.inventories).map(|n| self.container("inventory", n));
        for daemon in inventories.chain([self.container("payment", 0)]) {
            let kept = format!("{daemon}:/var/lib/orderflow/registry.json");
            let kept = stdout_of(docker().args(["cp", &kept, "-"]));
            assert!(
                kept.contains("\"registry\": \"http://registry:8080/apis/ccompat/v7\"") && kept.contains(" v1\": "),
                "{kept}"
            );
        }
    }

    /// A command that ends with 0 when our contracts are in the registry.
    pub(crate) fn check_registry(&self) -> Command {
        let mut command = self.orderflow();
        let registry = format!("http://127.0.0.1:{}/apis/ccompat/v7", self.ports["REGISTRY_PORT"]);
        command.args(["schemas", "check", "--registry", &registry]);
        command
    }

    /// The brokers as this machine reaches them.
    pub(crate) fn brokers(&self) -> String {
        let ports = PORTS[..3].iter().map(|name| format!("127.0.0.1:{}", self.ports[name]));
        ports.collect::<Vec<_>>().join(",")
    }

    /// A folder for files of the test.
    pub(crate) fn folder(&self) -> PathBuf {
        self.folder.path().to_owned()
    }

    /// How many instances of inventory there are.
    pub(crate) fn inventories(&self) -> usize {
        self.inventories
    }

    /// The program outside of the containers.
    pub(crate) fn orderflow(&self) -> Command {
        let mut command = orderflow();
        command
            .current_dir(self.folder.path())
            .env("ORDERFLOW_BROKERS", self.brokers());
        command
    }

    /// The `n`-th container of a service.
    pub(crate) fn container(&self, service: &str, n: usize) -> String {
        self.try_container(service, n)
            .unwrap_or_else(|| panic!("no container {n} of {service}"))
    }

    /// By label: the two versions of compose name containers in two ways.
    fn try_container(&self, service: &str, n: usize) -> Option<String> {
        let project = format!("label=com.docker.compose.project={}", self.project);
        let service = format!("label=com.docker.compose.service={service}");
        let number = format!("label=com.docker.compose.container-number={}", n + 1);
        let filters = ["-f", &project, "-f", &service, "-f", &number];
        let found = stdout_of(docker().args(["ps", "-aq", "--no-trunc"]).args(filters));
        found.lines().next().map(str::to_owned)
    }

    /// The network of the project.
    pub(crate) fn network(&self) -> String {
        format!("{}_default", self.project)
    }

    /// Sees how far each lane of these services has come.
    pub(crate) fn eye(&self, services: [&'static str; 2]) -> Eye {
        Eye::on(self.container("postgres", 0), services)
    }

    /// Waits until everything is handled and published, and judges it.
    ///
    /// # Panics
    /// When the audit finds something, when it takes longer than `within`, or when it saw another number of orders.
    pub(crate) fn audit(&self, after: &str, within: Duration, orders: u64) {
        let container = self.container("payment", 0);
        let timeout = format!("{}s", within.as_secs());
        let audit = ["/usr/local/bin/orderflow", "audit", "--json", "--timeout", &timeout];
        let output = output_of(docker().args(["exec", &container]).args(audit));
        assert!(output.status.success(), "{after}: {}\n{}", shown(&output), self.logs());
        let report: Value = serde_json::from_slice(&output.stdout).expect("JSON");
        let found = &report["items"][0];
        assert_eq!(found["totals"]["orders"], orders, "{after}: {report}");
        let reserved = found["totals"]["reserved"].as_u64();
        assert!(reserved > Some(orders / 2), "{after}: {report}");
    }

    /// The last lines of the daemons, for the sentence of a failed assertion.
    fn logs(&self) -> String {
        let of = |service: &str, n| {
            let container = self.container(service, n);
            let output = output_of(docker().args(["logs", "--tail", "30", &container]));
            format!("--- {service} {n}\n{}", shown(&output))
        };
        let inventories = (0..self.inventories).map(|n| of("inventory", n));
        inventories.chain([of("payment", 0)]).collect()
    }

    fn compose(&self) -> Command {
        let said = super::support::setting("ORDERFLOW_TEST_COMPOSE");
        let mut words = said.split_whitespace();
        let mut command = Command::new(words.next().expect("a command"));
        command
            .args(words)
            .args(["--env-file", &super::support::setting("ORDERFLOW_TEST_IMAGES")])
            .args(["-f", concat!(env!("CARGO_MANIFEST_DIR"), "/docker/compose.yaml")])
            .args(["-p", &self.project])
            .env("COMPOSE_PROFILES", "cluster")
            .envs(self.ports.iter().map(|(name, port)| (name, port.to_string())));
        command
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}", self.logs());
        }
        drop(self.compose().args(["down", "-v", "-t", "1"]).output());
    }
}

/// Waits for a condition, asked twice a second: each question to the engine is a process, which must not take the time of
/// what it asks about.
///
/// # Panics
/// When `limit` has passed; `what` says what was waited for.
pub(crate) fn wait_until(what: &str, limit: Duration, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + limit;
    while !condition() {
        assert!(Instant::now() < deadline, "waited {limit:?} for {what}");
        std::thread::sleep(Duration::from_millis(500));
    }
}

/// The client of the engine.
pub(crate) fn docker() -> Command {
    Command::new("docker")
}

/// One thing the engine knows of a container.
pub(crate) fn inspect(container: &str, what: &str) -> String {
    let output = output_of(docker().args(["inspect", "-f", what, container]));
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
}

/// Waits until a container is healthy again.
///
/// # Panics
/// When it is not in time.
pub(crate) fn wait_healthy(container: &str) {
    wait_until("a container to be healthy again", HEALTHY, || {
        health(container) == "healthy"
    });
}

fn health(container: &str) -> String {
    inspect(container, "{{if .State.Health}}{{.State.Health.Status}}{{end}}")
}
