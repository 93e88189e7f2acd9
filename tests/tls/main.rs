//! A cluster that trusts nobody: certificates, SCRAM, tokens, rights, and secrets that nobody sees.
//!
//! ```text
//! main.rs          who gets in, and what is said to who does not
//! tokens.rs        OAUTHBEARER
//! rights.rs        the rights of docs/security.md, those and no more
//! secrecy.rs       secrets are in no output
//! guarded.rs       the broker, its clients, its access control lists
//! certificates.rs  an authority and what it signs
//! ```
//!
//! Built with the feature `tls`: librdkafka without OpenSSL has nothing of all this.

#[path = "../support/mod.rs"]
mod support;

mod certificates;
mod guarded;
mod rights;
mod secrecy;
mod tokens;

use std::time::{Duration, Instant};

use certificates::Authority;
use guarded::{ADMIN, Client, Guarded};
use support::process::{COMMANDS, Daemon};
use support::wait_until;

/// Lines that a refused command may say in all: the error, its hints, and a little from the log.
const LINES: usize = 12;

#[test]
#[ignore = "needs the feature tls and Kafka's jars; run by ./tests/run"]
fn who_proves_himself_does_everything() {
    let guarded = Guarded::start();
    a_password_and_the_authority_do(&guarded);
    a_certificate_is_as_good(&guarded);
}

#[test]
#[ignore = "needs the feature tls and Kafka's jars; run by ./tests/run"]
fn who_is_not_let_in_learns_why_and_what_to_do() {
    let guarded = Guarded::start();
    each_refusal_has_its_sentence(&guarded);
    verification_is_not_switched_off_without_a_word(&guarded);
}

#[test]
#[ignore = "needs the feature tls and Kafka's jars; run by ./tests/run"]
fn a_daemon_waits_for_a_certificate_that_is_renewed() {
    let mut guarded = Guarded::start();
    let client = guarded.client(ADMIN);
    client.run(&["topics", "apply", "--partitions", "2"]);
    let mut daemon = client.start(&["run", "inventory"]);
    client.run(&["stock", "receive", "85123A", "100", "--wait"]);
    complains_seldom(&daemon, "certificate verify failed", || guarded.present("expired"));

    guarded.present("secure");
    client.run(&["stock", "receive", "85123A", "1", "--wait"]);
    let stopped = daemon.stop(Duration::from_secs(10));
    assert_eq!(stopped.code(), Some(0), "{}", daemon.log());
}

#[test]
#[ignore = "needs the feature tls and Kafka's jars; run by ./tests/run"]
fn a_daemon_waits_for_a_password_that_was_changed() {
    let mut guarded = Guarded::start();
    let client = guarded.client(ADMIN);
    // The other mechanism has a password of its own, which nobody changes.
    let other = guarded.client(ADMIN).with("sasl.mechanism", "SCRAM-SHA-256");
    client.run(&["topics", "apply", "--partitions", "2"]);
    let mut daemon = client.start(&["run", "inventory"]);
    client.run(&["stock", "receive", "85123A", "100", "--wait"]);

    guarded.change_password(ADMIN, "another");
    complains_seldom(&daemon, "invalid credentials", || {
        guarded.broker.kill();
        guarded.broker.restart();
    });
    refused(&client, &["topics", "plan"], "unauthenticated");
    other.run(&["order", "place", "--item", "85123A:6:2.55"]);
    let has_fact = || {
        let facts = other.run(&["topics", "tail", "inventory"]);
        facts.contains("InventoryReserved")
    };
    assert!(!has_fact(), "nobody is let in");

    guarded.change_password(ADMIN, guarded.password());
    wait_until("the order's fact", Duration::from_secs(30), has_fact);
    let stopped = daemon.stop(Duration::from_secs(10));
    assert_eq!(stopped.code(), Some(0), "{}", daemon.log());
}

/// Does what a daemon complains of, and sees that it says why more than once, and not often.
fn complains_seldom(daemon: &Daemon, why: &str, act: impl FnOnce()) {
    let lines = || daemon.log().lines().count();
    let (before, since) = (lines(), Instant::now());
    act();
    let complaints = || daemon.log().matches(why).count();
    wait_until("four complaints", Duration::from_secs(90), || complaints() >= 4);
    // Consumer and producer complain each by itself; beside that lanes come and go.
    let most = 2 * (since.elapsed().as_secs() / 10 + 1) + 6;
    assert!(
        lines() - before <= usize::try_from(most).expect("a few"),
        "more than {most} lines\n{}",
        daemon.log()
    );
    repeats(daemon, why);
}

/// Once the consumer and the producer have said why, each says it again, or something newer, and not only that no broker is
/// there, which librdkafka says more often.
fn repeats(daemon: &Daemon, why: &str) {
    let log = daemon.log();
    let is_publishing = |line: &&str| line.contains("publishing: ");
    let (producer, consumer): (Vec<&str>, Vec<&str>) = log.lines().partition(is_publishing);
    for mut said in [producer.into_iter(), consumer.into_iter()] {
        assert!(said.any(|line| line.contains(why)), "{log}");
        let less = said.find(|line| line.contains("brokers are down") || line.contains("AllBrokersDown"));
        assert_eq!(less, None, "{log}");
    }
}

fn a_password_and_the_authority_do(guarded: &Guarded) {
    for mechanism in ["SCRAM-SHA-512", "SCRAM-SHA-256", "PLAIN"] {
        let client = guarded.client(ADMIN).with("sasl.mechanism", mechanism);
        client.run(&["topics", "apply", "--partitions", "2"]);
    }
    does_everything(&guarded.client(ADMIN));
}

fn a_certificate_is_as_good(guarded: &Guarded) {
    let file = |name: &str| guarded.authority.path(name).display().to_string();
    let stranger = || guarded.stranger("MUTUAL").with("security.protocol", "ssl");
    let anonymous = stranger().trusting(&guarded.authority.certificate());
    for arguments in COMMANDS {
        let said = refused(&anonymous, arguments, "untrusted");
        assert!(
            said.contains("wants a certificate of this client"),
            "{arguments:?}\n{said}"
        );
        assert!(said.contains("ssl.certificate.location"), "{arguments:?}\n{said}");
    }
    let key = guarded.authority.lock_key("client", guarded.password());
    let client = stranger()
        .trusting(&guarded.authority.certificate())
        .with("ssl.certificate.location", &file("client.pem"))
        .with("ssl.key.location", &key.display().to_string())
        .with("ssl.key.password", guarded.password());
    client.run(&["topics", "apply", "--partitions", "2"]);
    does_everything(&client);
}

fn each_refusal_has_its_sentence(guarded: &Guarded) {
    let stranger = Authority::new();
    let cases = [
        (
            guarded.client(ADMIN).trusting(&stranger.certificate()),
            "untrusted",
            "is signed by an authority that is not trusted here",
            "set ssl.ca.location",
        ),
        (
            guarded.client_at("EXPIRED", ADMIN),
            "untrusted",
            " days ago",
            "have the brokers' certificate renewed",
        ),
        (
            guarded.client_at("ELSEWHERE", ADMIN),
            "untrusted",
            "is for another host: DnsName(\"elsewhere.example\")",
            "set brokers to a name that the certificate is for",
        ),
        (
            guarded.client(ADMIN).with("sasl.password", "wrong"),
            "unauthenticated",
            "refuse",
            "orderflow explain unauthenticated",
        ),
        (
            guarded.client_at("SCRAM", ADMIN),
            "kafka-unavailable",
            "PLAINTEXT broker listener?",
            "does it speak what security.protocol under [kafka] says?",
        ),
        (
            guarded.stranger("MUTUAL"),
            "kafka-unavailable",
            "no broker of ",
            "does it speak what security.protocol under [kafka] says?",
        ),
    ];
    for (client, slug, what, next) in cases {
        // What does not answer is waited for, which is the same everywhere.
        let commands = if slug == "kafka-unavailable" {
            &COMMANDS[..1]
        } else {
            &COMMANDS
        };
        for arguments in commands {
            let said = refused(&client, arguments, slug);
            assert!(said.contains(what), "{arguments:?} does not say {what:?}\n{said}");
            assert!(said.contains(next), "{arguments:?} does not say what next\n{said}");
        }
    }
}

fn verification_is_not_switched_off_without_a_word(guarded: &Guarded) {
    for (listener, property, value) in [
        ("EXPIRED", "enable.ssl.certificate.verification", "false"),
        ("ELSEWHERE", "ssl.endpoint.identification.algorithm", "none"),
    ] {
        let client = guarded.client_at(listener, ADMIN).with(property, value);
        let said = client.run(&["topics", "plan"]);
        assert!(said.contains("WARN") && said.contains(property), "{said}");
    }
    let said = guarded.client(ADMIN).run(&["topics", "plan"]);
    assert!(!said.contains("WARN"), "{said}");
}

/// Every command and both daemons, from stock to audit.
pub(crate) fn does_everything(client: &Client) {
    let services = [client.start(&["run", "inventory"]), client.start(&["run", "payment"])];
    client.run(&["stock", "receive", "85123A", "100", "--wait"]);
    client.run(&["order", "place", "--item", "85123A:6:2.55"]);
    client.run(&["order", "emit", "--count", "20", "--rate", "max"]);
    client.run(&["audit"]);
    wait_until("the order's fact", Duration::from_secs(30), || {
        client
            .run(&["topics", "tail", "inventory"])
            .contains("InventoryReserved")
    });
    for mut service in services {
        assert_eq!(
            service.stop(Duration::from_secs(10)).code(),
            Some(0),
            "{}",
            service.log()
        );
    }
}

/// Runs a command that is to fail once, as what it is called, within the time of [`guarded::REFUSED`] and in few lines.
pub(crate) fn refused(client: &Client, arguments: &[&str], slug: &str) -> String {
    let (code, said) = client.said(arguments);
    let failures: Vec<_> = said.lines().filter(|line| line.starts_with("error[")).collect();
    let [failure] = &*failures else {
        panic!("{arguments:?} does not fail once\n{said}");
    };
    assert!(
        failure.starts_with(&format!("error[{slug}]: ")),
        "{arguments:?}\n{said}"
    );
    let documented = if slug == "kafka-unavailable" { 4 } else { 3 };
    assert_eq!(code, Some(documented), "{arguments:?}\n{said}");
    assert!(said.contains("\nhint: "), "{arguments:?}\n{said}");
    assert!(said.lines().count() <= LINES, "{arguments:?} says too much\n{said}");
    said
}
