//! A broker with a listener for each way of proving oneself, and rights by access control lists.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

use crate::certificates::{Authority, Wanted};
use crate::support::broker::{Broker, free_port};
use crate::support::process::{Daemon, orderflow, stdout_of};
use crate::support::tools::{kafka_tool, python};
use crate::support::unique;

/// May do everything.
pub(crate) const ADMIN: &str = "admin";

/// Users who may do what a test grants them, and nothing else.
pub(crate) const USERS: [&str; 4] = ["inventory", "payment", "shop", "looker"];

/// Longest that a refusal may take; producers wait 30 s for brokers that do not answer.
pub(crate) const REFUSED: Duration = Duration::from_secs(50);

/// How clients show their password, unless a test says otherwise.
const MECHANISM: &str = "SCRAM-SHA-512";

/// What the listener `SECURE` presents: the certificate `secure`, until a test presents another.
const PRESENTED: &str = "presented.both";

/// Ways to reach the broker, each with a port of its own.
const LISTENERS: [(&str, &str); 6] = [
    ("SECURE", "SASL_SSL"),
    ("EXPIRED", "SASL_SSL"),
    ("ELSEWHERE", "SASL_SSL"),
    ("MUTUAL", "SSL"),
    ("TOKENS", "SASL_PLAINTEXT"),
    ("SCRAM", "SASL_PLAINTEXT"),
];

/// The broker. `PLAINTEXT` is for the tests' own set-up.
#[derive(Debug)]
pub(crate) struct Guarded {
    pub(crate) broker: Broker,
    pub(crate) authority: Authority,
    ports: Vec<u16>,
    password: String,
    /// The databases of the daemons: they belong to the groups, which are the broker's.
    data: TempDir,
}

impl Guarded {
    pub(crate) fn start() -> Self {
        let authority = Authority::new();
        let here = "DNS:localhost,IP:127.0.0.1";
        authority.sign(
            "secure",
            Wanted {
                names: here,
                expired: false,
            },
        );
        authority.sign(
            "expired",
            Wanted {
                names: here,
                expired: true,
            },
        );
        authority.sign(
            "elsewhere",
            Wanted {
                names: "DNS:elsewhere.example",
                expired: false,
            },
        );
        authority.sign(
            "client",
            Wanted {
                names: "DNS:client",
                expired: false,
            },
        );
        fs::copy(authority.path("secure.both"), authority.path(PRESENTED)).expect("a file");
        let mut ports = BTreeSet::new();
        while ports.len() < LISTENERS.len() + 2 {
            ports.insert(free_port());
        }
        let mut ports: Vec<_> = ports.into_iter().collect();
        let (port, controller_port) = (ports.remove(0), ports.remove(0));
        let password = unique("right");
        let properties = properties(&authority, (port, controller_port), &ports, &password);
        Self {
            broker: Broker::launched((port, controller_port), &properties),
            authority,
            ports,
            password,
            data: TempDir::with_prefix("orderflow-data").expect("a temporary folder"),
        }
    }

    /// The address of a listener.
    pub(crate) fn address(&self, listener: &str) -> String {
        let at = LISTENERS
            .iter()
            .position(|(name, _)| *name == listener)
            .expect("a listener");
        format!("127.0.0.1:{}", self.ports[at])
    }

    /// A client of `user`, with all that the listener `SECURE` asks for.
    pub(crate) fn client(&self, user: &str) -> Client {
        self.client_at("SECURE", user)
    }

    /// The same at another listener of SASL over TLS.
    pub(crate) fn client_at(&self, listener: &str, user: &str) -> Client {
        self.stranger(listener)
            .scram(user, &self.password)
            .with("security.protocol", "sasl_ssl")
            .trusting(&self.authority.certificate())
    }

    /// A client that proves nothing yet.
    pub(crate) fn stranger(&self, listener: &str) -> Client {
        Client::at(&self.address(listener), self.data.path())
    }

    /// Ends the broker and starts it again, with the certificate of `name` at the listener `SECURE`.
    pub(crate) fn present(&mut self, name: &str) {
        self.broker.kill();
        let presented = self.authority.path(&format!("{name}.both"));
        fs::copy(presented, self.authority.path(PRESENTED)).expect("a file");
        self.broker.restart();
    }

    /// Gives a user another password under the mechanism that clients use here, with Kafka's own tool. Connections that are
    /// open stay so.
    pub(crate) fn change_password(&self, user: &str, password: &str) {
        let mut configs = kafka_tool("kafka.admin.ConfigCommand");
        configs.args(["--bootstrap-server", &self.broker.address(), "--alter"]);
        configs.args(["--entity-type", "users", "--entity-name", user, "--add-config"]);
        stdout_of(configs.arg(format!("{MECHANISM}=[password={password}]")));
    }

    /// The password of every user, until it is changed.
    pub(crate) fn password(&self) -> &str {
        &self.password
    }
}

/// A folder with a configuration file.
#[derive(Debug)]
pub(crate) struct Client {
    folder: TempDir,
    file: String,
    variables: Vec<(&'static str, String)>,
}

impl Client {
    fn at(brokers: &str, data: &Path) -> Self {
        let client = Self {
            folder: TempDir::with_prefix("orderflow-client").expect("a temporary folder"),
            file: format!("brokers = '{brokers}'\ndata_dir = '{}'\n[kafka]\n", data.display()),
            variables: Vec::new(),
        };
        client.written()
    }

    /// Sets a property of the Kafka client, the last word on it.
    pub(crate) fn with(mut self, name: &str, value: &str) -> Self {
        let key = format!("\"{name}\" = ");
        let others: Vec<_> = self.file.lines().filter(|line| !line.starts_with(&key)).collect();
        let mut file = others.join("\n");
        write!(file, "\n{key}'{value}'\n").expect("a string takes text");
        self.file = file;
        self.written()
    }

    pub(crate) fn scram(self, user: &str, password: &str) -> Self {
        self.with("sasl.mechanism", MECHANISM)
            .with("sasl.username", user)
            .with("sasl.password", password)
    }

    pub(crate) fn trusting(self, authority: &Path) -> Self {
        self.with("ssl.ca.location", &authority.display().to_string())
    }

    /// Sets a variable of the environment.
    pub(crate) fn set(&mut self, name: &'static str, value: &str) {
        self.variables.push((name, value.to_owned()));
    }

    fn written(self) -> Self {
        fs::write(self.folder.path().join("orderflow.toml"), &self.file).expect("a configuration file");
        self
    }

    /// Where the client runs.
    pub(crate) fn path(&self) -> &Path {
        self.folder.path()
    }

    pub(crate) fn orderflow(&self, arguments: &[&str]) -> Command {
        let mut command = orderflow();
        command
            .current_dir(self.path())
            .args(arguments)
            .envs(self.variables.iter().map(|(name, value)| (*name, value)));
        command
    }

    /// Starts a command that runs on.
    pub(crate) fn start(&self, arguments: &[&str]) -> Daemon {
        let log = self.path().join(format!("{}.log", unique("daemon")));
        Daemon::start(&mut self.orderflow(arguments), &log)
    }

    /// Runs a command that is to end by itself; gives its exit code and all it said.
    pub(crate) fn said(&self, arguments: &[&str]) -> (Option<i32>, String) {
        let mut process = self.start(arguments);
        let deadline = Instant::now() + REFUSED;
        while process.is_running() {
            assert!(Instant::now() < deadline, "{arguments:?} goes on\n{}", process.log());
            std::thread::sleep(Duration::from_millis(10));
        }
        (process.wait(Duration::ZERO).code(), process.log())
    }

    /// Runs a command that is to work, and gives what it said.
    pub(crate) fn run(&self, arguments: &[&str]) -> String {
        let (code, said) = self.said(arguments);
        assert_eq!(code, Some(0), "{arguments:?}\n{said}");
        said
    }
}

/// Grants and takes rights.
#[derive(Debug)]
pub(crate) struct Rights {
    process: Child,
    orders: ChildStdin,
    answers: BufReader<ChildStdout>,
}

impl Rights {
    pub(crate) fn of(guarded: &Guarded) -> Self {
        let mut command = python("acls.py");
        command
            .arg(guarded.broker.address())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped());
        let mut process = command.spawn().expect("Python starts");
        Self {
            orders: process.stdin.take().expect("a pipe"),
            answers: BufReader::new(process.stdout.take().expect("a pipe")),
            process,
        }
    }

    /// `right` is written as in the documents: `Read topic orders`.
    pub(crate) fn grant(&mut self, user: &str, right: &str) {
        self.order(&format!("grant {user} {right}"));
    }

    pub(crate) fn revoke(&mut self, user: &str, right: &str) {
        self.order(&format!("revoke {user} {right}"));
    }

    fn order(&mut self, order: &str) {
        writeln!(self.orders, "{order}").expect("it takes orders");
        let mut answer = String::new();
        self.answers.read_line(&mut answer).expect("it answers");
        assert_eq!(answer.trim(), "done", "{order}");
    }
}

impl Drop for Rights {
    fn drop(&mut self) {
        drop(self.process.kill());
        drop(self.process.wait());
    }
}

fn properties(
    authority: &Authority,
    (port, controller_port): (u16, u16),
    ports: &[u16],
    password: &str,
) -> Vec<String> {
    let mut listeners = format!("PLAINTEXT://127.0.0.1:{port}");
    let mut protocols = "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT".to_owned();
    for ((name, protocol), port) in LISTENERS.iter().zip(ports) {
        write!(listeners, ",{name}://127.0.0.1:{port}").expect("a string takes text");
        write!(protocols, ",{name}:{protocol}").expect("a string takes text");
    }
    let file = |name: &str| authority.path(name).display().to_string();
    let scram = "org.apache.kafka.common.security.scram.ScramLoginModule";
    let plain = "org.apache.kafka.common.security.plain.PlainLoginModule";
    let bearer = "org.apache.kafka.common.security.oauthbearer.OAuthBearerLoginModule";
    let mut properties = vec![
        format!("listeners={listeners},CONTROLLER://127.0.0.1:{controller_port}"),
        format!("advertised.listeners={listeners}"),
        format!("listener.security.protocol.map={protocols}"),
        "inter.broker.listener.name=PLAINTEXT".to_owned(),
        "ssl.keystore.type=PEM".to_owned(),
        "ssl.truststore.type=PEM".to_owned(),
        format!("ssl.keystore.location={}", file(PRESENTED)),
        format!("ssl.truststore.location={}", file("ca.pem")),
        format!("listener.name.expired.ssl.keystore.location={}", file("expired.both")),
        format!(
            "listener.name.elsewhere.ssl.keystore.location={}",
            file("elsewhere.both")
        ),
        "listener.name.mutual.ssl.client.auth=required".to_owned(),
        "sasl.enabled.mechanisms=SCRAM-SHA-256,SCRAM-SHA-512,PLAIN".to_owned(),
        "listener.name.tokens.sasl.enabled.mechanisms=OAUTHBEARER".to_owned(),
        format!(
            "listener.name.tokens.oauthbearer.sasl.jaas.config={bearer} required unsecuredLoginStringClaim_sub=\"b\";"
        ),
        "authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer".to_owned(),
        format!("super.users=User:ANONYMOUS;User:{ADMIN};User:CN=client;User:bearer"),
    ];
    for listener in ["secure", "expired", "elsewhere", "scram"] {
        for mechanism in ["scram-sha-256", "scram-sha-512"] {
            properties.push(format!(
                "listener.name.{listener}.{mechanism}.sasl.jaas.config={scram} required;"
            ));
        }
        properties.push(format!(
            "listener.name.{listener}.plain.sasl.jaas.config={plain} required user_{ADMIN}=\"{password}\";"
        ));
    }
    for user in USERS.iter().chain([&ADMIN]) {
        for mechanism in ["SCRAM-SHA-256", "SCRAM-SHA-512"] {
            properties.push(format!("{mechanism}=[name={user},password={password}]"));
        }
    }
    properties
}
