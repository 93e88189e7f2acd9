//! A broker of a test's own, for tests that kill, stop or restart it. All others share the one of `cluster`.

use std::collections::BTreeSet;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::Mutex;
use std::time::Duration;

use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rustix::process::Signal;
use tempfile::TempDir;

use super::process::Daemon;

/// From start to the first answer; a JVM on a busy machine of two cores.
const STARTED: Duration = Duration::from_mins(1);

/// One broker of Apache Kafka on ports and in a folder of its own. Dropping it ends it and removes the folder.
#[derive(Debug)]
pub(crate) struct Broker {
    process: Daemon,
    port: u16,
    controller_port: u16,
    folder: TempDir,
}

impl Broker {
    /// Starts a fresh broker and waits until it answers.
    ///
    /// # Panics
    /// When `./tests/run` did not fetch Kafka's jars, or the broker does not answer; its log is shown.
    pub(crate) fn start() -> Self {
        Self::start_with(&[])
    }

    /// The same with properties of the broker's own, each `NAME=VALUE`.
    pub(crate) fn start_with(properties: &[&str]) -> Self {
        let properties: Vec<_> = properties.iter().map(|property| (*property).to_owned()).collect();
        Self::launched((free_port(), free_port()), &properties)
    }

    /// The same behind a door: `door` is given the port the broker will listen on, and gives the port of 127.0.0.1 that
    /// the broker tells its clients to use.
    pub(crate) fn start_behind(door: impl FnOnce(u16) -> u16) -> Self {
        let (port, controller_port) = (free_port(), free_port());
        let advertised = format!("advertised.listeners=PLAINTEXT://127.0.0.1:{}", door(port));
        Self::launched((port, controller_port), &[advertised])
    }

    /// The same with a second listener, on which clients say who they are by SASL PLAIN. Gives its address too.
    pub(crate) fn start_guarded(user: &str, password: &str) -> (Self, String) {
        let (port, controller_port, guarded) = (free_port(), free_port(), free_port());
        let listeners = format!("PLAINTEXT://127.0.0.1:{port},GUARDED://127.0.0.1:{guarded}");
        let module = "org.apache.kafka.common.security.plain.PlainLoginModule";
        let properties = [
            format!("listeners={listeners},CONTROLLER://127.0.0.1:{controller_port}"),
            format!("advertised.listeners={listeners}"),
            "listener.security.protocol.map=PLAINTEXT:PLAINTEXT,GUARDED:SASL_PLAINTEXT,CONTROLLER:PLAINTEXT".to_owned(),
            "inter.broker.listener.name=PLAINTEXT".to_owned(),
            "sasl.enabled.mechanisms=PLAIN".to_owned(),
            format!("listener.name.guarded.plain.sasl.jaas.config={module} required user_{user}=\"{password}\";"),
        ];
        let broker = Self::launched((port, controller_port), &properties);
        (broker, format!("127.0.0.1:{guarded}"))
    }

    /// A broker on these ports with these properties, which win over what the script sets, and users for SCRAM.
    pub(crate) fn launched((port, controller_port): (u16, u16), properties: &[String]) -> Self {
        let folder = TempDir::with_prefix("orderflow-broker").expect("a temporary folder");
        let process = launch(folder.path(), (port, controller_port), properties);
        let mut broker = Self {
            process,
            port,
            controller_port,
            folder,
        };
        broker.await_answer();
        broker
    }

    /// Its address, as `--brokers` takes it.
    pub(crate) fn address(&self) -> String {
        format!("127.0.0.1:{}", self.port)
    }

    /// SIGKILL: nothing is flushed, nobody is told.
    pub(crate) fn kill(&mut self) {
        self.process.kill();
    }

    /// Starts again on the data and ports it had, after [`Broker::kill`], and waits until it answers.
    pub(crate) fn restart(&mut self) {
        self.launch_again();
        self.await_answer();
    }

    /// The same without asking it: behind a door that is shut nobody has an answer.
    pub(crate) fn launch_again(&mut self) {
        self.process = launch(self.folder.path(), (self.port, self.controller_port), &[]);
    }

    /// SIGSTOP: connections stay open and nothing answers.
    pub(crate) fn freeze(&self) {
        self.process.signal(Signal::STOP);
    }

    /// SIGCONT.
    pub(crate) fn thaw(&self) {
        self.process.signal(Signal::CONT);
    }

    fn await_answer(&mut self) {
        let address = self.address();
        let deadline = std::time::Instant::now() + STARTED;
        while !answers(&address) {
            let alive = self.process.is_running() && std::time::Instant::now() < deadline;
            let log = std::fs::read_to_string(self.folder.path().join("broker.log")).unwrap_or_default();
            assert!(alive, "the broker does not start\n{}\n{log}", self.process.log());
        }
    }
}

/// `properties` count at the first start on a folder, and win over what the script sets.
fn launch(folder: &Path, (port, controller_port): (u16, u16), properties: &[String]) -> Daemon {
    let script = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/kafka/broker");
    let mut command = Command::new(script);
    command
        .arg(folder)
        .args([port.to_string(), controller_port.to_string()])
        .args(properties)
        .stdin(Stdio::null());
    command.env("ORDERFLOW_TEST_KAFKA_LIBS", super::setting("ORDERFLOW_TEST_KAFKA_LIBS"));
    Daemon::start(&mut command, &folder.join("start.log"))
}

/// A broker that knows itself among its brokers takes requests.
fn answers(address: &str) -> bool {
    if std::net::TcpStream::connect(address).is_err() {
        std::thread::sleep(Duration::from_millis(100));
        return false;
    }
    let client: BaseConsumer = orderflow_runtime::kafka::Connection::to(address)
        .client(&[("group.id", "tests")])
        .create()
        .expect("a consumer is configured");
    client
        .fetch_metadata(None, Duration::from_secs(2))
        .is_ok_and(|metadata| !metadata.brokers().is_empty())
}

/// A port nobody listens on, below the range that outgoing connections take theirs from: a broker that is down for a
/// moment must find its own free again. None is given out twice, for nobody listens on it yet when the next is asked for.
pub(crate) fn free_port() -> u16 {
    static GIVEN: Mutex<BTreeSet<u16>> = Mutex::new(BTreeSet::new());
    let draw = || 20_000 + u16::try_from(super::random() % 12_000).expect("below 12,000");
    let mut given = GIVEN.lock().expect("nobody panics while it is held");
    std::iter::repeat_with(draw)
        .find(|&port| TcpListener::bind(("127.0.0.1", port)).is_ok() && given.insert(port))
        .expect("endless")
}
