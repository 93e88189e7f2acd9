//! What registries answer that is no answer: each has a sentence, and says whether waiting helps.

use std::net::TcpListener;
use std::time::{Duration, Instant};

use orderflow_schemas::registry::{Client, Credentials, RegistryError, Secret};

use super::stub::{Reply, Stub};
use super::{SUBJECT, at, client};

async fn refusal(reply: Reply) -> RegistryError {
    let stub = Stub::start(move |_| reply.clone());
    client(&stub.url()).schema(7).await.expect_err("no schema")
}

fn raw(answer: &str) -> Reply {
    Reply::Raw(answer.as_bytes().to_vec())
}

async fn assert_told(transient: bool, cases: &[(Reply, &str)]) {
    for (reply, expected) in cases {
        let error = refusal(reply.clone()).await;
        assert!(error.to_string().contains(expected), "{reply:?}: {error}");
        assert_eq!(error.is_transient(), transient, "{error}");
    }
}

#[tokio::test]
async fn what_passes_by_itself_is_told() {
    let slowly = Reply::problem(429, 42900, "slowly");
    let broken = Reply::problem(500, 50001, "store");
    let cases = [
        (slowly, "cannot answer now: 429 Too Many Requests: slowly"),
        (broken, "cannot answer now: 500 Internal Server Error: store"),
        (Reply::html(502), "cannot answer now: 502 Bad Gateway"),
        (raw(""), "does not answer: the connection ended"),
        (
            raw("HTTP/1.1 200 x\r\ncontent-length: 99\r\n\r\n{"),
            "its answer breaks off",
        ),
    ];
    assert_told(true, &cases).await;
}

#[tokio::test]
async fn what_somebody_has_to_mend_is_told_apart() {
    let denied = Reply::problem(401, 40101, "Unauthorized");
    let nothing = Reply::problem(404, 40403, "Schema 7 not found");
    let broken = Reply::problem(409, 409, "reader lacks a default");
    let invalid = Reply::problem(422, 42201, "Invalid schema");
    let cases = [
        (denied, "refuses: 401 Unauthorized: Unauthorized"),
        (Reply::html(403), "refuses: 403 Forbidden"),
        (nothing, "has no such thing (40403): Schema 7 not found"),
        (broken, "incompatible with what is registered: reader lacks a default"),
        (
            invalid,
            "does not take the request: 422 Unprocessable Entity: Invalid schema",
        ),
    ];
    assert_told(false, &cases).await;
}

#[tokio::test]
async fn what_is_no_registry_is_told() {
    let lost = Reply::problem(404, 404, "HTTP 404 Not Found");
    let moved = "HTTP/1.1 307 x\r\nlocation: http://there/\r\ncontent-length: 0\r\n\r\n";
    let cases = [
        (Reply::html(200), "is not a schema registry: it answers with HTML"),
        (
            Reply::html(404),
            "it answers 404 Not Found; is something missing behind",
        ),
        (lost, "is something missing behind the address"),
        (
            raw("HTTP/1.1 200 x\r\ncontent-length: 0\r\n\r\n"),
            "its answer is empty",
        ),
        (
            raw("HTTP/1.1 200 x\r\ncontent-length: 2\r\n\r\n{}"),
            "missing field `schema`",
        ),
        (raw(moved), "it sends us on to http://there/; give that address"),
        (raw("SSH-2.0-OpenSSH_9.2\r\n"), "it does not speak HTTP"),
    ];
    assert_told(false, &cases).await;
}

#[tokio::test]
async fn only_a_registrys_own_words_say_that_something_is_not_there() {
    assert!(refusal(Reply::problem(404, 40403, "no")).await.is_not_found());
    for reply in [
        Reply::html(404),
        Reply::problem(404, 404, "no"),
        Reply::problem(410, 40403, "no"),
    ] {
        assert!(!refusal(reply).await.is_not_found());
    }
}

#[tokio::test]
async fn an_answer_without_end_is_not_read_to_its_end() {
    let mut endless = b"HTTP/1.1 200 x\r\ncontent-type: application/json\r\n\r\n\"".to_vec();
    endless.resize(4 * 1024 * 1024, b'x');
    let error = refusal(Reply::Raw(endless)).await;
    assert!(error.to_string().contains("longer than 1048576 bytes"), "{error}");
}

#[tokio::test]
async fn words_of_a_registry_cannot_forge_a_line_of_a_log() {
    let error = refusal(Reply::problem(500, 50001, "no\nERROR \u{1b}[31mforged")).await;
    assert!(error.to_string().ends_with(": no ERROR [31mforged"), "{error:?}");
}

#[tokio::test]
async fn nobody_there_is_told_at_once_and_silence_when_time_is_up() {
    let port = TcpListener::bind("127.0.0.1:0")
        .expect("a free port")
        .local_addr()
        .expect("bound");
    let error = client(&format!("http://{port}")).schema(7).await.expect_err("nobody");
    assert!(error.is_transient() && error.to_string().contains("refused"), "{error}");

    let stub = Stub::start(|_| Reply::Silence);
    let mut options = at(&stub.url());
    options.timeout = Duration::from_millis(200);
    let began = Instant::now();
    let error = Client::new(&options)
        .expect("a client")
        .schema(7)
        .await
        .expect_err("silence");
    assert!(
        error.to_string().contains("no answer within 0.2 s") && error.is_transient(),
        "{error}"
    );
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
}

#[tokio::test]
async fn credentials_are_shown_to_the_registry_and_to_nobody_else() {
    let password = "päss:wörd-canary";
    for (credentials, expected) in [
        (Credentials::None, None),
        (
            Credentials::Basic {
                username: "ada".to_owned(),
                password: Secret::new(password),
            },
            Some("Basic YWRhOnDDpHNzOnfDtnJkLWNhbmFyeQ=="),
        ),
        (
            Credentials::Bearer(Secret::new("t0ken-canary")),
            Some("Bearer t0ken-canary"),
        ),
    ] {
        let stub = Stub::start(|_| Reply::problem(401, 40101, "who are you?"));
        let mut options = at(&stub.url());
        options.credentials = credentials;
        let client = Client::new(&options).expect("a client");
        let error = client.look_up(SUBJECT, "{}").await.expect_err("refused");
        let asked = stub.asked();
        assert_eq!(asked[0].headers.get("authorization").map(String::as_str), expected);
        let shown = format!("{error} {error:?} {client:?} {options:?}");
        assert!(!shown.contains("canary"), "{shown}");
    }
    let mut options = at("http://localhost:1");
    options.credentials = Credentials::Bearer(Secret::new("line\nbreak"));
    let error = Client::new(&options).expect_err("no header holds it");
    assert!(!error.to_string().contains("break"), "{error}");
}

#[tokio::test]
async fn a_request_says_what_registries_want_to_hear() {
    let stub = Stub::start(|_| Reply::Json(200, serde_json::json!({"id": 3, "version": 1, "schema": "{}"})));
    let client = client(&format!("{}/apis/ccompat/v7/", stub.url()));
    let found = client
        .look_up(SUBJECT, "{\"type\":\"long\"}")
        .await
        .expect("an answer")
        .expect("there");
    assert_eq!((found.id, found.version), (3, 1));
    client.version(SUBJECT, None).await.expect("an answer");
    let asked = stub.asked();
    assert_eq!(asked[0].line, format!("POST /apis/ccompat/v7/subjects/{SUBJECT}"));
    assert_eq!(
        asked[1].line,
        format!("GET /apis/ccompat/v7/subjects/{SUBJECT}/versions/latest")
    );
    assert_eq!(asked[0].body, r#"{"schema":"{\"type\":\"long\"}"}"#);
    assert_eq!(
        asked[0].headers["content-type"],
        "application/vnd.schemaregistry.v1+json"
    );
    assert_eq!(asked[0].headers["host"], stub.address.to_string());
    assert!(asked[0].headers["accept"].contains("application/vnd.schemaregistry.v1+json"));
}
