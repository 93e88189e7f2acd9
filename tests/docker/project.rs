//! A project of the compose file: one profile of it, on free ports.

use std::collections::BTreeMap;
use std::process::Command;
use std::time::Duration;

use super::stage::{docker, health, wait_until};
use super::support::broker::free_port;
use super::support::process::{output_of, shown, stdout_of};
use super::support::unique;

/// From nothing to every container healthy.
const UP: Duration = Duration::from_mins(4);

/// The ports of this machine under which the project is reached, by the variables of the compose file.
pub(crate) const PORTS: [&str; 5] = [
    "KAFKA_1_PORT",
    "KAFKA_2_PORT",
    "KAFKA_3_PORT",
    "POSTGRES_PORT",
    "REGISTRY_PORT",
];

/// Containers, network and volumes go when it is dropped.
#[derive(Debug)]
pub(crate) struct Project {
    name: String,
    profile: &'static str,
    ports: BTreeMap<&'static str, u16>,
}

impl Project {
    /// One with nothing in it.
    pub(crate) fn new(profile: &'static str) -> Self {
        Self {
            name: unique(&super::support::setting("ORDERFLOW_TEST_PROJECT")),
            profile,
            ports: PORTS.map(|name| (name, free_port())).into(),
        }
    }

    /// Brings it up, and waits until these containers are healthy.
    ///
    /// # Panics
    /// When they are not in time.
    pub(crate) fn up(&self, arguments: &[&str], wanted: &[(&str, usize)]) {
        stdout_of(self.compose().args(["up", "-d"]).args(arguments));
        for (service, n) in wanted {
            let healthy = || {
                self.try_container(service, *n)
                    .is_some_and(|id| health(&id) == "healthy")
            };
            wait_until(&format!("{service} to be healthy"), UP, healthy);
        }
    }

    /// A port of this machine.
    pub(crate) fn port(&self, name: &str) -> u16 {
        self.ports[name]
    }

    /// The `n`-th container of a service.
    pub(crate) fn container(&self, service: &str, n: usize) -> String {
        self.try_container(service, n)
            .unwrap_or_else(|| panic!("no container {n} of {service}"))
    }

    /// The network of the project.
    pub(crate) fn network(&self) -> String {
        format!("{}_default", self.name)
    }

    /// The last lines of a container, for the sentence of a failed assertion.
    pub(crate) fn log(&self, service: &str, n: usize) -> String {
        let container = self.container(service, n);
        let output = output_of(docker().args(["logs", "--tail", "30", &container]));
        format!("--- {service} {n}\n{}", shown(&output))
    }

    /// By label: the two versions of compose name containers in two ways.
    fn try_container(&self, service: &str, n: usize) -> Option<String> {
        let project = format!("label=com.docker.compose.project={}", self.name);
        let service = format!("label=com.docker.compose.service={service}");
        let number = format!("label=com.docker.compose.container-number={}", n + 1);
        let filters = ["-f", &project, "-f", &service, "-f", &number];
        let found = stdout_of(docker().args(["ps", "-aq", "--no-trunc"]).args(filters));
        found.lines().next().map(str::to_owned)
    }

    fn compose(&self) -> Command {
        let said = super::support::setting("ORDERFLOW_TEST_COMPOSE");
        let mut words = said.split_whitespace();
        let mut command = Command::new(words.next().expect("a command"));
        command
            .args(words)
            .args(["--env-file", &super::support::setting("ORDERFLOW_TEST_IMAGES")])
            .args(["-f", concat!(env!("CARGO_MANIFEST_DIR"), "/docker/compose.yaml")])
            .args(["-p", &self.name])
            .env("COMPOSE_PROFILES", self.profile)
            .envs(self.ports.iter().map(|(name, port)| (name, port.to_string())));
        command
    }
}

impl Drop for Project {
    fn drop(&mut self) {
        drop(self.compose().args(["down", "-v", "-t", "1"]).output());
    }
}
