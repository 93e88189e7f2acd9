//! A cluster that asks who one is: with the right password everything works, with a wrong one everything says so.

mod support;

use std::fs;
use std::path::Path;
use std::process::Command;
use std::time::Duration;

use support::broker::Broker;
use support::process::{COMMANDS, Daemon, orderflow, stdout_of};
use support::unique;
use support::wait_until;
use tempfile::TempDir;

const USER: &str = "shop";

/// Longest that a refusal may take. No command waits longer than that for a broker that is there and says no.
const REFUSED: Duration = Duration::from_secs(20);

/// A folder whose configuration file names the guarded listener and a password.
struct Client {
    folder: TempDir,
}

impl Client {
    fn of(brokers: &str, password: &str) -> Self {
        let folder = TempDir::with_prefix("orderflow-client").expect("a temporary folder");
        let file = format!(
            "brokers = '{brokers}'\n\n[kafka]\n\"security.protocol\" = 'sasl_plaintext'\n\"sasl.mechanism\" = 'PLAIN'\n\
             \"sasl.username\" = '{USER}'\n\"sasl.password\" = '{password}'\n"
        );
        fs::write(folder.path().join("orderflow.toml"), file).expect("a configuration file");
        Self { folder }
    }

    fn orderflow(&self, arguments: &[&str]) -> Command {
        let mut command = orderflow();
        command.current_dir(self.folder.path()).args(arguments);
        command
    }

    fn path(&self) -> &Path {
        self.folder.path()
    }

    /// Runs a command that is to end by itself; gives its exit code and all it said.
    fn said(&self, arguments: &[&str]) -> (Option<i32>, String) {
        let log = self.path().join(format!("{}.log", unique("said")));
        let mut process = Daemon::start(&mut self.orderflow(arguments), &log);
        (process.wait(REFUSED).code(), process.log())
    }
}

#[test]
#[ignore = "needs Kafka's jars; run by ./tests/run"]
fn the_right_password_opens_everything() {
    let password = unique("right");
    let (_broker, address) = Broker::start_guarded(USER, &password);
    let client = Client::of(&address, &password);
    let run = |arguments: &[&str]| stdout_of(&mut client.orderflow(arguments));

    run(&["topics", "apply", "--partitions", "2"]);
    let service = |name| {
        let log = client.path().join(format!("{name}.log"));
        Daemon::start(&mut client.orderflow(&["run", name, "--log-level", "trace"]), &log)
    };
    let services = [service("inventory"), service("payment")];
    run(&["stock", "receive", "85123A", "100", "--wait"]);
    run(&["order", "place", "--item", "85123A:6:2.55"]);
    run(&["audit"]);
    let facts = || run(&["topics", "tail", "inventory"]);
    wait_until("the order's fact", Duration::from_secs(30), || {
        facts().contains("InventoryReserved")
    });
    for service in services {
        assert!(!service.log().contains(&password), "{}", service.log());
    }
}

#[test]
#[ignore = "needs Kafka's jars; run by ./tests/run"]
fn a_wrong_password_is_one_clear_refusal_everywhere() {
    let (_broker, address) = Broker::start_guarded(USER, &unique("right"));
    let wrong = unique("wrong");
    let client = Client::of(&address, &wrong);
    for arguments in COMMANDS {
        let (code, said) = client.said(arguments);
        assert_eq!(code, Some(3), "{arguments:?}\n{said}");
        let failures: Vec<_> = said.lines().filter(|line| line.starts_with("error[")).collect();
        let [failure] = &*failures else {
            panic!("{arguments:?} does not fail once\n{said}");
        };
        assert!(failure.starts_with("error[unauthenticated]: "), "{arguments:?}\n{said}");
        assert!(failure.contains(&address), "{arguments:?} does not say where\n{said}");
        assert!(failure.contains("refuse"), "{arguments:?} does not say what\n{said}");
        assert!(
            said.contains("hint: orderflow explain unauthenticated"),
            "{arguments:?} does not say what next\n{said}"
        );
        assert!(!said.contains("answered within"), "a broker did answer\n{said}");
        assert!(!said.contains(&wrong), "{arguments:?}\n{said}");
    }
}

/// Brokers hang up on who speaks another protocol, and librdkafka does not always say so.
#[test]
#[ignore = "needs Kafka's jars; run by ./tests/run"]
fn who_gives_no_credentials_is_told_what_to_look_at() {
    let (_broker, address) = Broker::start_guarded(USER, &unique("right"));
    let client = Client::of(&address, "none");
    fs::write(client.path().join("orderflow.toml"), format!("brokers = '{address}'\n")).expect("a file");
    // Each waits for brokers as long as for any that do not answer; two of them stand for all.
    for arguments in [COMMANDS[0], COMMANDS[4]] {
        let (code, said) = client.said(arguments);
        assert_eq!(code, Some(4), "{arguments:?}\n{said}");
        assert!(said.contains("error[kafka-unavailable]: "), "{arguments:?}\n{said}");
        let hint =
            format!("hint: something listens at {address}: does it speak what security.protocol under [kafka] says?");
        assert!(said.contains(&hint), "{arguments:?}\n{said}");
    }
}

/// Whatever is logged: the program's own lines, those of its libraries, and all that librdkafka can say of itself.
#[test]
#[ignore = "needs Kafka's jars; run by ./tests/run"]
fn a_password_is_in_no_log_at_any_level() {
    let (_broker, address) = Broker::start_guarded(USER, &unique("right"));
    let wrong = unique("wrong");
    let client = Client::of(&address, &wrong);
    for arguments in COMMANDS {
        for more in [
            &["--log-level", "trace"][..],
            &["--log-level", "trace", "-X", "debug=all"],
            &["--log-level", "trace", "--json"],
        ] {
            let (_, said) = client.said(&[arguments, more].concat());
            assert!(said.contains("unauthenticated"), "{arguments:?} {more:?}\n{said}");
            assert!(!said.contains(&wrong), "{arguments:?} {more:?}\n{said}");
        }
    }
}
