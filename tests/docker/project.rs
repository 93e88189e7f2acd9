//! A project of the compose file: one profile of it, on free ports.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;
use std::time::{Duration, Instant};

use super::stage::{docker, health, wait_until};
use super::support::broker::free_port;
use super::support::process::{output_of, shown, stdout_of};
use super::support::unique;

/// From nothing to every container healthy: a minute on a machine that has nothing else to do, and this one may have.
const UP: Duration = Duration::from_mins(3);

const FILE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/docker/compose.yaml");

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
    password: &'static str,
    ports: BTreeMap<&'static str, u16>,
}

impl Project {
    /// One with nothing in it; an empty `password` is one that is drawn.
    pub(crate) fn new(profile: &'static str, password: &'static str) -> Self {
        Self {
            name: unique(&super::support::setting("ORDERFLOW_TEST_PROJECT")),
            profile,
            password,
            ports: PORTS.map(|name| (name, free_port())).into(),
        }
    }

    /// Brings it up, and waits until these containers are healthy.
    ///
    /// # Panics
    /// When they are not in time.
    pub(crate) fn up(&self, arguments: &[&str], wanted: &[(&str, usize)]) {
        let started = Instant::now();
        stdout_of(self.compose().args(["up", "-d"]).args(arguments));
        for (service, n) in wanted {
            let healthy = || {
                self.try_container(service, *n)
                    .is_some_and(|id| health(&id) == "healthy")
            };
            let left = UP.saturating_sub(started.elapsed());
            wait_until(&format!("{service} to be healthy"), left, healthy);
        }
        let took = started.elapsed();
        eprintln!("{}: up after {took:.1?}", self.profile);
        assert!(took <= UP, "up after {took:?}, and at most {UP:?} is allowed");
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

    /// The containers of a service, by their numbers.
    pub(crate) fn containers(&self, service: &str) -> Vec<String> {
        // By label: the two versions of compose name containers in two ways.
        let project = format!("label=com.docker.compose.project={}", self.name);
        let service = format!("label=com.docker.compose.service={service}");
        let shown = "{{.Label \"com.docker.compose.container-number\"}} {{.ID}}";
        let arguments = [
            "ps",
            "-a",
            "--no-trunc",
            "-f",
            &project,
            "-f",
            &service,
            "--format",
            shown,
        ];
        let told = stdout_of(docker().args(arguments));
        let found = told.lines().filter_map(|line| line.split_once(' '));
        let mut found: Vec<(u32, _)> = found
            .map(|(number, id)| (number.parse().expect("a number"), id.to_owned()))
            .collect();
        found.sort_unstable();
        found.into_iter().map(|(_, id)| id).collect()
    }

    fn try_container(&self, service: &str, n: usize) -> Option<String> {
        self.containers(service).into_iter().nth(n)
    }

    fn compose(&self) -> Command {
        let mut command = compose();
        command
            .args(["--env-file", &super::support::setting("ORDERFLOW_TEST_IMAGES")])
            .args(["-f", FILE, "-p", &self.name])
            .env("COMPOSE_PROFILES", self.profile)
            .env("POSTGRES_PASSWORD", self.password)
            .envs(self.ports.iter().map(|(name, port)| (name, port.to_string())));
        command
    }
}

/// The command itself.
fn compose() -> Command {
    let said = super::support::setting("ORDERFLOW_TEST_COMPOSE");
    let mut words = said.split_whitespace();
    let mut command = Command::new(words.next().expect("a command"));
    command.args(words);
    command
}

impl Drop for Project {
    fn drop(&mut self) {
        drop(self.compose().args(["down", "-v", "-t", "1"]).output());
    }
}

#[test]
#[ignore = "needs Docker; run by ./tests/run"]
fn every_profile_can_be_read() {
    let cluster = "kafka-1 kafka-2 kafka-3 secrets postgres registry topics schemas inventory payment";
    let minimal = "kafka minimal-topics minimal-inventory minimal-payment";
    for (profiles, services) in [
        // What docker/.env says.
        (None, cluster),
        (Some("cluster"), cluster),
        (Some("minimal"), minimal),
        (Some("cluster,tools"), &*format!("{cluster} kafka-ui")),
        (Some("minimal,tools"), &*format!("{minimal} kafka-ui")),
    ] {
        let mut config = compose();
        config.args(["-f", FILE, "config"]).env_remove("COMPOSE_PROFILES");
        config.envs(profiles.map(|profiles| ("COMPOSE_PROFILES", profiles)));
        stdout_of(&mut config);
        let told = stdout_of(config.arg("--services"));
        let found: BTreeSet<_> = told.lines().collect();
        let wanted: BTreeSet<_> = services.split(' ').collect();
        assert!(found.is_superset(&wanted), "{profiles:?}: {found:?}");
        // The first version of compose tells of all services, whatever is asked for.
        assert!(found == wanted || found.len() == 15, "{profiles:?}: {found:?}");
    }
}
