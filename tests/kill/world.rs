//! A broker with the topics, a folder with the databases, and the daemons on them.

use std::cell::Cell;
use std::path::PathBuf;
use std::process::Command;
use std::time::Duration;

use orderflow_consumers::payment::simulator::ledger;
use orderflow_operations::audit::{Databases, Options, Report, audit};
use orderflow_runtime::kafka::Connection;
use orderflow_runtime::store::postgres::PostgresAddress;
use orderflow_schemas::TopicNames;
use tempfile::TempDir;

use super::support::broker::Broker;
use super::support::postgres::Database;
use super::support::process::{Daemon, orderflow, stdout_of};

/// The services, each with a group of its own name.
pub(crate) const SERVICES: [&str; 2] = ["inventory", "payment"];

/// Partitions of every topic: enough that lanes share transactions, few enough that each sees every fate.
pub(crate) const LANES: u32 = 4;

/// The longest that daemons may take for what a test gives them to do; a restarted broker included.
const CAUGHT_UP: Duration = Duration::from_mins(1);

/// From SIGTERM to the end: the program's own bound is 5 s.
const STOPPED: Duration = Duration::from_secs(15);

/// As short as brokers allow, so that a test of what comes after it does not take long.
pub(crate) const SESSION_TIMEOUT: Duration = Duration::from_secs(6);

/// A whole pipeline. The broker and all folders go when it is dropped.
#[derive(Debug)]
pub(crate) struct World {
    pub(crate) broker: Broker,
    folder: TempDir,
    brokers: String,
    /// Where there is one, the services live on it, each in a fixed place of its group.
    server: Option<Database>,
    lives: Cell<u32>,
}

/// How a daemon's life is to go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Life {
    /// Nothing is done to it.
    Unharmed,
    /// What points it passes is counted in the file.
    Counted,
    /// It ends at the n-th passing of a point.
    Doomed(&'static str, u64),
    /// It ends at the first passing after [`World::release`].
    DoomedLater(&'static str),
}

impl World {
    /// A fresh broker with the declared topics.
    pub(crate) fn start() -> Self {
        let broker = Broker::start();
        let brokers = broker.address();
        Self::on(broker, brokers)
    }

    /// The same with the services on PostgreSQL. Each has a fixed place in its group: who dies has its lanes back at once.
    pub(crate) fn on_postgres() -> Self {
        let broker = Broker::start();
        let brokers = broker.address();
        Self::made(broker, brokers, Some(Database::make()))
    }

    /// The same on a broker that is reached under another address.
    pub(crate) fn on(broker: Broker, brokers: String) -> Self {
        Self::made(broker, brokers, None)
    }

    fn made(broker: Broker, brokers: String, server: Option<Database>) -> Self {
        let world = Self {
            broker,
            folder: TempDir::with_prefix("orderflow-kill").expect("a temporary folder"),
            brokers,
            server,
            lives: Cell::new(0),
        };
        let partitions = LANES.to_string();
        stdout_of(world.orderflow().args(["topics", "apply", "--partitions", &partitions]));
        world
    }

    /// Where daemons and tests reach the broker.
    pub(crate) fn brokers(&self) -> &str {
        &self.brokers
    }

    /// The program, told of this broker and this folder; it runs in the folder, where there is no configuration file.
    pub(crate) fn orderflow(&self) -> Command {
        let mut command = orderflow();
        command
            .current_dir(self.folder.path())
            .env("ORDERFLOW_BROKERS", &self.brokers)
            .env("ORDERFLOW_DATA_DIR", self.data())
            .env("ORDERFLOW_LOG_FORMAT", "text")
            .env(
                "ORDERFLOW_RUNTIME_SESSION_TIMEOUT",
                format!("{}s", SESSION_TIMEOUT.as_secs()),
            )
            // Small units, sent at once: more of everything that can be cut in two.
            .env("ORDERFLOW_RUNTIME_BATCH_RECORDS", "5")
            .env("ORDERFLOW_RUNTIME_LINGER", "0ms");
        if let Some(server) = &self.server {
            command
                .env("ORDERFLOW_DATABASE", server.url())
                .env("ORDERFLOW_RUNTIME_INSTANCE_ID", "the-only-one");
        }
        command
    }

    /// Starts a service; each life has a log of its own.
    pub(crate) fn run(&self, service: &str, life: Life) -> Daemon {
        let mut command = self.orderflow();
        match life {
            Life::Unharmed => {}
            Life::Counted => {
                command.env("ORDERFLOW_TEST_CRASH_COUNTS", self.counts(service));
            }
            Life::Doomed(point, nth) => {
                command.env("ORDERFLOW_TEST_CRASH", format!("{point}:{nth}"));
            }
            Life::DoomedLater(point) => {
                drop(std::fs::remove_file(self.released()));
                command.env("ORDERFLOW_TEST_CRASH", format!("{point}:1"));
                command.env("ORDERFLOW_TEST_CRASH_AFTER", self.released());
            }
        }
        self.start_logged(command.args(["run", service]), service)
    }

    /// Starts a command in the background, with a log of its own.
    pub(crate) fn start_logged(&self, command: &mut Command, name: &str) -> Daemon {
        self.lives.set(self.lives.get() + 1);
        let log = self.folder.path().join(format!("{name}-{}.log", self.lives.get()));
        Daemon::start(command, &log)
    }

    /// From now on, passings count for [`Life::DoomedLater`].
    pub(crate) fn release(&self) {
        std::fs::write(self.released(), "").expect("the folder takes a file");
    }

    /// How often each point was passed in lives that were [`Life::Counted`], rounded down to a power of two.
    pub(crate) fn counted(&self, service: &str) -> Vec<(String, u64)> {
        let lines = std::fs::read_to_string(self.counts(service)).expect("a counted life has passed a point");
        let count = |line: &str| {
            let (name, count) = line.split_once(' ').expect("a name and a count");
            (name.to_owned(), count.parse().expect("a count"))
        };
        lines.lines().map(count).collect()
    }

    /// Waits until the services have handled and published everything, and judges it.
    ///
    /// # Panics
    /// When the audit finds something, or they do not get there within a minute.
    pub(crate) fn audit(&self, after: &str) -> Report {
        let place = |service: &str| match &self.server {
            Some(server) => PostgresAddress::parse(&server.url(), service).expect("a URL").into(),
            None => self.database(service).into(),
        };
        let databases = Databases {
            inventory: place("inventory"),
            payment: place("payment"),
            ledger: Some(self.data().join(ledger::FILE_NAME)),
        };
        let options = Options {
            timeout: CAUGHT_UP,
            ..Options::default()
        };
        let report = audit(
            &Connection::to(&self.brokers),
            &TopicNames::default(),
            &databases,
            &options,
        )
        .unwrap_or_else(|error| panic!("{after}: {error}\n{}", self.logs()));
        let violated: Vec<_> = report.violated().collect();
        assert!(report.clean, "{after}: {violated:#?}\n{}", self.logs());
        report
    }

    /// SIGTERM to all, each of which ends in order.
    pub(crate) fn stop(daemons: Vec<Daemon>) {
        for daemon in &daemons {
            daemon.signal(rustix::process::Signal::TERM);
        }
        for mut daemon in daemons {
            let status = daemon.wait(STOPPED);
            assert!(status.success(), "{status} after SIGTERM\n{}", daemon.log());
        }
    }

    /// A service's file.
    pub(crate) fn database(&self, service: &str) -> PathBuf {
        self.data().join(format!("{service}.db"))
    }

    fn data(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    fn counts(&self, service: &str) -> PathBuf {
        self.folder.path().join(format!("{service}.counts"))
    }

    fn released(&self) -> PathBuf {
        self.folder.path().join("released")
    }

    /// The logs of the last lives, for the sentence of a failed assertion.
    fn logs(&self) -> String {
        let last = self.lives.get().saturating_sub(3)..=self.lives.get();
        let of = |life| {
            let logs = SERVICES.map(|service| self.folder.path().join(format!("{service}-{life}.log")));
            let read = |path: &PathBuf| {
                Some(format!(
                    "--- {}\n{}",
                    path.display(),
                    std::fs::read_to_string(path).ok()?
                ))
            };
            logs.iter().find_map(read).unwrap_or_default()
        };
        last.map(of).collect()
    }
}
