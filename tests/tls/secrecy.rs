//! What is secret is in no output, whatever is logged and however it fails.

use std::fs;

use crate::guarded::{ADMIN, Client, Guarded};
use crate::support::process::COMMANDS;

/// Every property with a secret in it, but for those that a build or another property rules out.
const SECRETS: [&str; 5] = [
    "sasl.password",
    "ssl.key.password",
    "ssl.keystore.password",
    "sasl.oauthbearer.client.secret",
    "ssl.key.pem",
];

/// As much as can be logged.
const TALKATIVE: [&[&str]; 3] = [
    &["--log-level", "trace", "-X", "debug=all"],
    &["--log-level", "trace", "-X", "debug=all", "--json"],
    &[],
];

#[test]
#[ignore = "needs the feature tls and Kafka's jars; run by ./tests/run"]
fn what_is_secret_is_in_no_output() {
    let guarded = Guarded::start();
    a_password_is_kept(&guarded);
    every_secret_setting_is_kept(&guarded);
    a_token_and_its_command_are_kept(&guarded);
}

fn a_password_is_kept(guarded: &Guarded) {
    // What lets in, and what does not: both are said to librdkafka, and to the broker.
    for password in [guarded.password(), "canary-in-the-password"] {
        let client = guarded.client(ADMIN).with("sasl.password", password);
        for more in TALKATIVE {
            said_nowhere(&client, &["topics", "plan"], more, password);
            said_nowhere(&client, &["topics", "tail", "orders"], more, password);
        }
    }
    let client = guarded.client(ADMIN).with("sasl.password", "canary-in-the-password");
    for arguments in COMMANDS {
        said_nowhere(&client, arguments, TALKATIVE[0], "canary");
    }
}

fn every_secret_setting_is_kept(guarded: &Guarded) {
    for name in SECRETS {
        let client = guarded.client(ADMIN).with(name, "canary-secret");
        canary_is_kept(&client);
    }
}

fn a_token_and_its_command_are_kept(guarded: &Guarded) {
    let bearer = || {
        guarded
            .stranger("TOKENS")
            .with("security.protocol", "sasl_plaintext")
            .with("sasl.mechanism", "OAUTHBEARER")
    };
    let file = guarded.authority.path("token");
    fs::write(&file, "canary-token").expect("a file");
    let clients = [
        bearer().with("sasl.oauthbearer.token", "canary-token"),
        bearer().with("sasl.oauthbearer.token", "canary token"),
        bearer().with("sasl.oauthbearer.token_file", &file.display().to_string()),
        bearer().with("sasl.oauthbearer.token.command", "echo canary-token"),
        bearer().with("sasl.oauthbearer.token.command", "echo canary-token; exit 7"),
    ];
    clients.iter().for_each(canary_is_kept);
}

/// There are no topics: whoever is let in ends as well.
fn canary_is_kept(client: &Client) {
    for more in TALKATIVE {
        for arguments in [
            &["topics", "tail", "orders"][..],
            &["run", "inventory"],
            &["config", "show", "--origin"],
        ] {
            said_nowhere(client, arguments, more, "canary");
        }
    }
}

fn said_nowhere(client: &Client, arguments: &[&str], more: &[&str], secret: &str) {
    let (_, said) = client.said(&[arguments, more].concat());
    assert!(!said.is_empty(), "{arguments:?} {more:?} says nothing");
    assert!(!said.contains(secret), "{arguments:?} {more:?}\n{said}");
}
