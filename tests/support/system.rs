//! A whole Orderflow of a test's own: a broker, the topics, the daemons, their databases.
//!
//! Topics and groups have the names that a user gives them, so daemons of two tests cannot share a broker.

use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::{Duration, Instant};

use rusqlite::{Connection, OpenFlags};
use tempfile::TempDir;

use super::broker::Broker;
use super::cluster;
use super::process::{Daemon, orderflow, shell, stdout_of};
use super::tools::kafka_tool;
use super::wait_until;

/// The longest that daemons may take for what a test gives them to do.
const CAUGHT_UP: Duration = Duration::from_mins(1);

/// The topics each service reads.
const READS: [(&str, &[&str]); 2] = [("inventory", &["orders", "stock"]), ("payment", &["orders"])];

/// A broker with the declared topics, and a folder for databases and logs. All of it goes when it is dropped.
#[derive(Debug)]
pub(crate) struct System {
    pub(crate) broker: Broker,
    folder: TempDir,
    data_dir: PathBuf,
    registry: Option<String>,
}

impl System {
    /// Starts a broker and makes the topics with `topics apply`.
    pub(crate) fn start(partitions: u32) -> Self {
        Self::with_topics(Broker::start(), partitions)
    }

    /// The same on a broker that was started otherwise.
    pub(crate) fn with_topics(broker: Broker, partitions: u32) -> Self {
        let system = Self::on(broker);
        stdout_of(
            system
                .orderflow()
                .args(["topics", "apply", "--partitions", &partitions.to_string()]),
        );
        system
    }

    /// On a broker without any topics.
    pub(crate) fn on(broker: Broker) -> Self {
        let folder = TempDir::with_prefix("orderflow-system").expect("a temporary folder");
        // The one that the program takes by itself.
        let data_dir = folder.path().join("orderflow-data");
        Self {
            broker,
            folder,
            data_dir,
            registry: None,
        }
    }

    /// The same with its databases in another folder.
    pub(crate) fn with_data_in(self, data_dir: &Path) -> Self {
        Self {
            data_dir: data_dir.to_owned(),
            ..self
        }
    }

    /// The same, with its ids from the schema registry at this address.
    pub(crate) fn with_registry(self, url: &str) -> Self {
        Self {
            registry: Some(url.to_owned()),
            ..self
        }
    }

    /// The address of its broker.
    pub(crate) fn brokers(&self) -> String {
        self.broker.address()
    }

    /// The program, told of this broker and this folder. In the folder, so that no configuration file of another is read.
    pub(crate) fn orderflow(&self) -> Command {
        self.told(orderflow())
    }

    /// Commands in bash, told the same.
    pub(crate) fn shell(&self, script: &str) -> Command {
        self.told(shell(script))
    }

    fn told(&self, mut command: Command) -> Command {
        command
            .current_dir(self.folder.path())
            .env("ORDERFLOW_BROKERS", self.brokers())
            .env("ORDERFLOW_DATA_DIR", self.data_dir());
        if let Some(url) = &self.registry {
            command.env("ORDERFLOW_REGISTRY", url);
        }
        command
    }

    /// Starts a daemon: `run inventory`, or `run payment`.
    pub(crate) fn run(&self, service: &str) -> Daemon {
        self.run_logging_to(service, service)
    }

    /// Starts a daemon whose log is told apart from another's of the same service.
    pub(crate) fn run_logging_to(&self, service: &str, log: &str) -> Daemon {
        let mut command = self.orderflow();
        command.args(["run", service]);
        Daemon::start(&mut command, &self.log_file(log))
    }

    /// Where the program runs.
    pub(crate) fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// The folder of the databases.
    pub(crate) fn data_dir(&self) -> &Path {
        &self.data_dir
    }

    /// Starts `schemas serve` and gives it with its URL.
    pub(crate) fn serve_schemas(&self) -> (Daemon, String) {
        let port = super::broker::free_port();
        let mut command = self.orderflow();
        command.args(["schemas", "serve", "--listen", &format!("127.0.0.1:{port}")]);
        let daemon = Daemon::start(&mut command, &self.log_file("schemas"));
        wait_until("the registry's port", Duration::from_secs(10), || {
            std::net::TcpStream::connect(("127.0.0.1", port)).is_ok()
        });
        (daemon, format!("http://127.0.0.1:{port}"))
    }

    /// A service's database, read-only, beside the running daemon; `None` before the daemon has made it.
    pub(crate) fn database(&self, service: &str) -> Option<Connection> {
        let path = self.data_dir().join(format!("{service}.db"));
        Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY).ok()
    }

    /// A number from a service's database; `None` while the database or its views are not there.
    pub(crate) fn number(&self, service: &str, query: &str) -> Option<i64> {
        self.database(service)?.query_row(query, [], |row| row.get(0)).ok()
    }

    /// Waits until a service has handled every record there is, and published and answered all that follows from them.
    ///
    /// # Panics
    /// When it does not within a minute.
    pub(crate) fn wait_caught_up(&self, service: &str) {
        self.wait_caught_up_within(service, CAUGHT_UP);
    }

    /// The same with another limit, for a test that gives it much to do.
    ///
    /// # Panics
    /// When it does not within that.
    pub(crate) fn wait_caught_up_within(&self, service: &str, limit: Duration) {
        let (_, reads) = READS.iter().find(|(name, _)| *name == service).expect("a service");
        let waiting: i64 = reads
            .iter()
            .map(|topic| cluster::end_offsets(&self.brokers(), topic))
            .sum();
        let open = "SELECT (SELECT coalesce(sum(unpublished), 0) FROM v_lanes)
                         + (SELECT count(*) FROM v_effects WHERE state = 'pending')";
        let named = reads
            .iter()
            .map(|topic| format!("'{topic}'"))
            .collect::<Vec<_>>()
            .join(", ");
        let handled = format!("SELECT coalesce(sum(next_offset), 0) FROM v_progress WHERE topic IN ({named})");
        let done = || self.number(service, &handled) == Some(waiting) && self.number(service, open) == Some(0);
        let deadline = Instant::now() + limit;
        while !done() {
            let log = self.log(service);
            assert!(
                Instant::now() < deadline,
                "{service} has not handled {waiting} records in {limit:?}\n{log}"
            );
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    /// Deletes what lies before `offset` in partition 0 of a topic, with Kafka's own tool.
    ///
    /// # Panics
    /// When Kafka refuses it.
    pub(crate) fn delete_records(&self, topic: &str, offset: i64) {
        let file = self.folder().join("delete.json");
        let places =
            format!(r#"{{"version": 1, "partitions": [{{"topic": "{topic}", "partition": 0, "offset": {offset}}}]}}"#);
        std::fs::write(&file, places).expect("the folder can be written");
        let mut delete = kafka_tool("org.apache.kafka.tools.DeleteRecordsCommand");
        delete.args(["--bootstrap-server", &self.brokers(), "--offset-json-file"]);
        stdout_of(delete.arg(file));
    }

    /// What a daemon has logged so far.
    pub(crate) fn log(&self, service: &str) -> String {
        std::fs::read_to_string(self.log_file(service)).unwrap_or_default()
    }

    /// The file of a log.
    pub(crate) fn log_file(&self, service: &str) -> PathBuf {
        self.folder.path().join(format!("{service}.log"))
    }
}
