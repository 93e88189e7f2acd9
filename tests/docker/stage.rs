//! The cluster of the compose file as a project of its own, on free ports.

use std::path::PathBuf;
use std::process::Command;
use std::time::{Duration, Instant};

use serde_json::Value;
use tempfile::TempDir;

use super::eye::Eye;
use super::project::{PORTS, Project};
use super::support::process::{Daemon, orderflow, output_of, shown, stdout_of};

/// From the start of a container that was there before to its health.
const HEALTHY: Duration = Duration::from_mins(3);

/// The cluster.
#[derive(Debug)]
pub(crate) struct Stage {
    project: Project,
    inventories: usize,
    folder: TempDir,
}

impl Stage {
    /// Brings everything up, with so many instances of inventory and this password of the database; an empty one is drawn.
    pub(crate) fn start(inventories: usize, password: &'static str) -> Self {
        let stage = Self {
            project: Project::new("cluster", password),
            inventories,
            folder: TempDir::with_prefix("orderflow-docker").expect("a temporary folder"),
        };
        stage.scale(inventories);
        stage.assert_hardened();
        stage.assert_registry_is_used();
        stage
    }

    /// Brings up what is not there, and as many instances of inventory.
    ///
    /// # Panics
    /// When there are not as many then, or something is not healthy in time.
    pub(crate) fn scale(&self, inventories: usize) {
        let scale = format!("inventory={inventories}");
        let expected = ["kafka-1", "kafka-2", "kafka-3", "postgres", "registry", "payment"];
        let mut wanted: Vec<_> = expected.iter().map(|service| (*service, 0)).collect();
        wanted.extend((0..inventories).map(|n| ("inventory", n)));
        self.project.up(&["--scale", &scale], &wanted);
        assert_eq!(self.project.containers("inventory").len(), inventories);
    }

    /// No daemon can write to its image, is anybody, or has a right that it does not need.
    fn assert_hardened(&self) {
        for service in ["inventory", "payment"] {
            let container = self.container(service, 0);
            let asked =
                "{{.Config.User}} {{.HostConfig.ReadonlyRootfs}} {{.HostConfig.CapDrop}} {{.HostConfig.SecurityOpt}}";
            let found = inspect(&container, asked);
            assert_eq!(found, "65532:65532 true [ALL] [no-new-privileges:true]", "{service}");
        }
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
        command.args(["schemas", "check", "--registry", &self.registry()]);
        command
    }

    /// The registry as this machine reaches it.
    fn registry(&self) -> String {
        format!(
            "http://127.0.0.1:{}/apis/ccompat/v7",
            self.project.port("REGISTRY_PORT")
        )
    }

    /// The brokers as this machine reaches them.
    pub(crate) fn brokers(&self) -> String {
        let ports = PORTS[..3]
            .iter()
            .map(|name| format!("127.0.0.1:{}", self.project.port(name)));
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

    /// An instance of inventory outside of the containers, as docs/docker.md says.
    pub(crate) fn inventory_outside(&self) -> Daemon {
        let password =
            stdout_of(docker().args(["exec", &self.container("postgres", 0), "cat", "/run/secrets/password"]));
        let port = self.project.port("POSTGRES_PORT");
        let mut command = self.orderflow();
        command
            .args(["run", "inventory", "--registry", &self.registry(), "--database"])
            .arg(format!("postgres://orderflow@127.0.0.1:{port}/orderflow"))
            .env("PGPASSWORD", password)
            .env("ORDERFLOW_LOG_FORMAT", "text");
        Daemon::start(&mut command, &self.folder.path().join("outside.log"))
    }

    /// The `n`-th container of a service.
    pub(crate) fn container(&self, service: &str, n: usize) -> String {
        self.project.container(service, n)
    }

    /// The network of the project.
    pub(crate) fn network(&self) -> String {
        self.project.network()
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
        let inventories = (0..self.inventories).map(|n| self.project.log("inventory", n));
        inventories.chain([self.project.log("payment", 0)]).collect()
    }
}

impl Drop for Stage {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{}", self.logs());
        }
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

pub(crate) fn health(container: &str) -> String {
    inspect(container, "{{if .State.Health}}{{.State.Health.Status}}{{end}}")
}
