//! A secret in every setting that has one is in no output, whatever is wrong beside it.

use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::process::Command;

use crate::behaviour::{folder, orderflow, run, stderr, stdout};

/// Runs a command and gives all it said, in which the secret is not.
fn said(command: &mut Command, secret: &str) -> String {
    let output = run(command);
    let said = stdout(&output) + &stderr(&output);
    assert!(!said.is_empty(), "{command:?} says nothing");
    assert!(!said.contains(secret), "{command:?}\n{said}");
    said
}

/// Whatever this build makes of them: a property that needs OpenSSL is refused by one without it.
#[test]
fn no_secret_of_the_kafka_client_is_printed() {
    let folder = folder();
    for variable in [
        "SASL_PASSWORD",
        "SSL_KEY_PASSWORD",
        "SSL_KEY_PEM",
        "SSL_KEYSTORE_PASSWORD",
        "SASL_OAUTHBEARER_CONFIG",
        "SASL_OAUTHBEARER_CLIENT_SECRET",
        "SASL_OAUTHBEARER_TOKEN",
        "SASL_OAUTHBEARER_TOKEN_COMMAND",
        "SASL_OAUTHBEARER_ASSERTION_PRIVATE_KEY_PASSPHRASE",
        "SASL_JAAS_CONFIG",
    ] {
        for arguments in [
            &["config", "show", "--origin"][..],
            &["config", "show", "--json"],
            &["topics", "plan", "--brokers", "localhost:1:2", "--log-level", "trace"],
        ] {
            let mut command = orderflow(folder.path(), arguments);
            command.env(format!("ORDERFLOW_KAFKA_{variable}"), "canary");
            let output = run(&mut command);
            let said = stdout(&output) + &stderr(&output);
            assert!(!said.is_empty(), "{variable} {arguments:?}");
            assert!(!said.contains("canary"), "{variable} {arguments:?}\n{said}");
        }
    }
}

/// The line that is wrong is drawn, and in these there is a secret; or nobody can tell that there is none.
#[test]
fn a_file_that_cannot_be_used_shows_no_secret() {
    for text in [
        "[kafka]\n'sasl.password' = 'canary\n",
        "[kafka]\n'sasl.password' = canary\n",
        "[kafka]\nsasl.password 'canary'\n",
        "[kafka]\nsasl.password = ['canary']\n",
        "[kafka]\n'sasl.password' = 'x' 'canary'\n",
        "[kafka]\n'ssl.key.pem' = '''\n-----BEGIN PRIVATE KEY-----\ncanary==\n",
        "[kafka.ssl.key]\npem = canary\n",
        "[kafka.sasl.oauthbearer]\nconfig = canary\n",
        "kafka = { 'sasl.password' = 'canary'\n",
        "[registry]\npassword = canary\n",
        "[registry]\npasswrod = 'canary'\n",
        "[registry]\nurl = 'http://u:canary@h\n",
        "[registry]\nurl = ['http://u:canary@h']\n",
        "registry = 'http://u:canary@h'\n",
        "database = 'postgres://u:canary@h/db\n",
        "database = 'postgres://u:canary@h:x/db'\n",
        "database = 'mysql://u:canary@h/db'\n",
        "database_url = 'postgres://u:canary@h/db'\n",
    ] {
        let folder = folder();
        std::fs::write(folder.path().join("orderflow.toml"), text).expect("written");
        for arguments in [&["config", "show"][..], &["config", "show", "--json"]] {
            let said = said(&mut orderflow(folder.path(), arguments), "canary");
            assert!(said.contains("orderflow.toml:"), "{text}\n{said}");
        }
    }
}

#[test]
fn the_password_in_an_address_of_a_database_is_not_printed() {
    for address in [
        "postgres://u:canary@127.0.0.1:1/db",
        "postgres://u:ca?nary@127.0.0.1:1/db",
        "postgres://u:ca/nary@127.0.0.1:1/db",
        "postgres://u:x@canary@127.0.0.1:1/db",
        "postgres://u@127.0.0.1:1/db?password=canary",
        "postgres:/u:canary@127.0.0.1/db",
        "mysql://u:canary@127.0.0.1/db",
        "host=127.0.0.1 user=u password=canary",
        "jdbc:postgresql://127.0.0.1/db?user=u&password=canary",
    ] {
        let folder = folder();
        for arguments in [
            &["config", "show", "--origin"][..],
            &["config", "show", "--json"],
            &["db", "status", "--log-level", "trace"],
        ] {
            let mut command = orderflow(folder.path(), arguments);
            command.env("ORDERFLOW_DATABASE", address);
            let said = said(&mut command, "canary");
            assert!(
                !said.contains("ca?nary") && !said.contains("ca/nary"),
                "{address}\n{said}"
            );
        }
    }
}

/// Whatever is logged: the password is shown to the server alone, here one that wants it in clear and refuses it.
#[test]
fn the_password_of_a_database_is_in_no_log() {
    let server = TcpListener::bind("127.0.0.1:0").expect("a port");
    let port = server.local_addr().expect("its address").port();
    let shown = std::thread::spawn(move || {
        server
            .incoming()
            .take(3)
            .map(|client| refuse(client.expect("a client")))
            .collect()
    });
    let folder = folder();
    let plain = format!("postgres://u@127.0.0.1:{port}/db?sslmode=disable");
    let within = format!("postgres://u:canary@127.0.0.1:{port}/db?sslmode=disable");
    for (address, password) in [(&plain, "canary"), (&within, ""), (&within, "")] {
        let mut command = orderflow(folder.path(), &["db", "status", "inventory", "--log-level", "trace"]);
        command.env("ORDERFLOW_DATABASE", address).env("PGPASSWORD", password);
        let said = said(&mut command, "canary");
        assert!(said.contains("error[database-unauthenticated]"), "{said}");
    }
    let shown: Vec<String> = shown.join().expect("three clients came");
    assert!(shown.iter().all(|password| password == "canary"), "{shown:?}");
}

/// Asks a client of PostgreSQL for its password, refuses it, and gives it.
fn refuse(mut client: TcpStream) -> String {
    let _startup = message(&mut client, 0);
    client.write_all(b"R\0\0\0\x08\0\0\0\x03").expect("written");
    let password = message(&mut client, 1);
    let fields = b"SFATAL\0C28P01\0Mpassword authentication failed\0\0";
    let length = u32::try_from(fields.len() + 4).expect("short").to_be_bytes();
    let refusal = [b"E", &length[..], fields].concat();
    client.write_all(&refusal).expect("written");
    String::from_utf8(password)
        .expect("text")
        .trim_end_matches('\0')
        .to_owned()
}

/// What a message holds, behind its kind, if it has one, and its length.
fn message(client: &mut TcpStream, kind: usize) -> Vec<u8> {
    let mut head = vec![0; kind + 4];
    client.read_exact(&mut head).expect("a message");
    rest(client, &head[kind..])
}

/// What a message of this length holds.
pub(crate) fn rest(client: &mut TcpStream, length: &[u8]) -> Vec<u8> {
    let length = u32::from_be_bytes(length.try_into().expect("four bytes"));
    let mut body = vec![0; usize::try_from(length).expect("short") - 4];
    client.read_exact(&mut body).expect("a message");
    body
}
