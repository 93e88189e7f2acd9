//! The client against a registry that is not ours.

use orderflow_schemas::registry::{Client, Options, RegistryError};
use serde_json::json;

use super::support::tools::registry;
use super::support::unique;

fn client() -> Client {
    Client::new(&Options::at(registry().parse().expect("an address"))).expect("a client")
}

fn record(name: &str, fields: &[serde_json::Value]) -> String {
    json!({"type": "record", "name": name, "namespace": "tests", "fields": fields}).to_string()
}

#[tokio::test]
#[ignore = "needs a schema registry; run by ./tests/run"]
async fn every_question_is_understood_and_every_answer() {
    let (client, subject) = (client(), unique("tests.subject"));
    let name = format!("N{}", &subject[subject.len() - 16..]);
    let first = record(&name, &[json!({"name": "a", "type": "long"})]);
    let second = record(
        &name,
        &[
            json!({"name": "a", "type": "long"}),
            json!({"name": "b", "type": "long", "default": 0}),
        ],
    );
    assert_eq!(client.versions(&subject).await, Ok(vec![]));
    assert_eq!(client.look_up(&subject, &first).await, Ok(None));
    assert_eq!(client.compatibility(&subject, &first).await, Ok(None));
    let id = client.register(&subject, &first).await.expect("registered");
    assert_eq!(client.register(&subject, &first).await, Ok(id), "again is the same");
    let there = client
        .look_up(&subject, &first)
        .await
        .expect("an answer")
        .expect("there");
    assert_eq!((there.id, there.version), (id, 1));
    assert_eq!(client.look_up(&subject, &second).await, Ok(None));
    let other = client.register(&subject, &second).await.expect("registered");
    assert_ne!(other, id);
    assert_eq!(client.versions(&subject).await, Ok(vec![1, 2]));
    assert_eq!(client.version(&subject, None).await.map(|found| found.id), Ok(other));
    assert_eq!(client.version(&subject, Some(1)).await.map(|found| found.id), Ok(id));
    assert_eq!(client.schema(id).await, Ok(first));
}

#[tokio::test]
#[ignore = "needs a schema registry; run by ./tests/run"]
async fn what_is_not_there_or_not_taken_is_told_apart() {
    let (client, subject) = (client(), unique("tests.subject"));
    assert!(
        client
            .schema(2_000_000_000)
            .await
            .expect_err("no such id")
            .is_not_found()
    );
    assert!(
        client
            .version(&subject, None)
            .await
            .expect_err("no such subject")
            .is_not_found()
    );
    let broken = client.register(&subject, "{\"type\": \"recrod\"}").await;
    assert!(matches!(broken, Err(RegistryError::Refused { .. })), "{broken:?}");
    let elsewhere = registry().replace("/apis/ccompat/v7", "");
    let options = Options::at(elsewhere.parse().expect("an address"));
    let lost = Client::new(&options).expect("a client").versions(&subject).await;
    assert!(matches!(lost, Err(RegistryError::Unexpected { .. })), "{lost:?}");
}

#[tokio::test]
#[ignore = "needs a schema registry; run by ./tests/run"]
async fn a_schema_that_breaks_those_before_it_is_not_taken() {
    let (client, subject) = (client(), unique("tests.subject"));
    let name = format!("N{}", &subject[subject.len() - 16..]);
    let first = record(&name, &[json!({"name": "a", "type": "long"})]);
    let broken = record(&name, &[json!({"name": "a", "type": "string"})]);
    client.register(&subject, &first).await.expect("registered");
    put_config(&subject);
    let thinks = client
        .compatibility(&subject, &broken)
        .await
        .expect("an answer")
        .expect("a version");
    assert!(!thinks.is_compatible);
    let refused = client.register(&subject, &broken).await;
    assert!(
        matches!(refused, Err(RegistryError::Incompatible { .. })),
        "{refused:?}"
    );
}

/// This registry checks nothing unless it is told to.
fn put_config(subject: &str) {
    use std::io::{Read as _, Write as _};
    let url = registry();
    let authority = url
        .trim_start_matches("http://")
        .split('/')
        .next()
        .expect("an authority")
        .to_owned();
    let mut stream = std::net::TcpStream::connect(&authority).expect("a registry");
    let body = json!({"compatibility": "FULL"}).to_string();
    let request = format!(
        "PUT /apis/ccompat/v7/config/{subject} HTTP/1.1\r\nhost: {authority}\r\nconnection: close\r\n\
         content-type: application/json\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    );
    stream.write_all(request.as_bytes()).expect("sent");
    let mut answer = String::new();
    stream.read_to_string(&mut answer).expect("an answer");
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
}
