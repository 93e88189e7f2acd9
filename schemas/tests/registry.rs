//! The registry as an HTTP client sees it.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use orderflow_schemas::{EventType, history, registry};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

const ORDER_PLACED: &str = "orderflow.orders.OrderPlaced";

/// A registry on a free port of this machine.
struct Registry {
    address: SocketAddr,
    stop: oneshot::Sender<()>,
    served: JoinHandle<std::io::Result<()>>,
}

impl Registry {
    async fn start() -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let address = listener.local_addr().expect("bound");
        let (stop, stopped) = oneshot::channel();
        let served = tokio::spawn(registry::serve(listener, async {
            stopped.await.ok();
        }));
        Self { address, stop, served }
    }

    async fn stop(self) {
        self.stop.send(()).expect("still serving");
        self.served.await.expect("no panic").expect("served");
    }

    async fn get(&self, path: &str) -> Answer {
        self.ask("GET", path, "").await
    }

    async fn ask(&self, method: &str, path: &str, body: &str) -> Answer {
        let length = body.len();
        let request = format!(
            "{method} {path} HTTP/1.1\r\nhost: test\r\nconnection: close\r\ncontent-length: {length}\r\n\r\n{body}"
        );
        let mut stream = TcpStream::connect(self.address).await.expect("listening");
        stream.write_all(request.as_bytes()).await.expect("written");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.expect("answered");
        Answer::read(&answer)
    }
}

struct Answer {
    status: u16,
    head: String,
    body: Value,
}

impl Answer {
    fn read(answer: &str) -> Self {
        let (head, body) = answer.split_once("\r\n\r\n").expect("a head");
        let status = head
            .split(' ')
            .nth(1)
            .and_then(|status| status.parse().ok())
            .expect("a status");
        let body = serde_json::from_str(body).unwrap_or_else(|error| panic!("{error}: {body:?}"));
        Self {
            status,
            head: head.to_lowercase(),
            body,
        }
    }
}

fn order_placed() -> &'static history::Version {
    history::latest(EventType::OrderPlaced)
}

#[tokio::test]
async fn what_is_there_is_answered() {
    let registry = Registry::start().await;
    let version = order_placed();
    let schema: Value = serde_json::from_str(version.text).expect("JSON");
    let described = json!({"subject": ORDER_PLACED, "version": 1, "id": version.id, "schema": version.text});
    for (path, expected) in [
        ("/", json!({})),
        ("/mode", json!({"mode": "READONLY"})),
        ("/config", json!({"compatibilityLevel": "FULL_TRANSITIVE"})),
        (
            "/config/orderflow.orders.OrderPlaced",
            json!({"compatibilityLevel": "FULL_TRANSITIVE"}),
        ),
        ("/subjects/orderflow.orders.OrderPlaced/versions", json!([1])),
        (
            "/subjects/orderflow%2Eorders%2EOrderPlaced/versions/1",
            described.clone(),
        ),
        (
            "/subjects/orderflow.orders.OrderPlaced/versions/latest",
            described.clone(),
        ),
        ("/subjects/orderflow.orders.OrderPlaced/versions/-1", described),
        (
            "/subjects/orderflow.orders.OrderPlaced/versions/1/schema",
            schema.clone(),
        ),
        (
            "/subjects/orderflow.orders.OrderPlaced/versions/1/referencedby",
            json!([]),
        ),
        ("/schemas/types", json!(["AVRO"])),
        (
            "/schemas/ids/1000000000?fetchMaxId=false&subject=",
            json!({"schema": version.text}),
        ),
        ("/schemas/ids/1000000000/schema", schema),
        ("/schemas/ids/1000000000/subjects", json!([ORDER_PLACED])),
        (
            "/schemas/ids/1000000000/versions",
            json!([{"subject": ORDER_PLACED, "version": 1}]),
        ),
    ] {
        let answer = registry.get(path).await;
        assert_eq!((answer.status, answer.body), (200, expected), "{path}");
        assert!(
            answer
                .head
                .contains("content-type: application/vnd.schemaregistry.v1+json"),
            "{}",
            answer.head
        );
    }
    registry.stop().await;
}

#[tokio::test]
async fn everything_there_is_can_be_listed() {
    let registry = Registry::start().await;
    assert_eq!(
        registry.get("/subjects").await.body.as_array().map(Vec::len),
        Some(EventType::ALL.len())
    );
    assert_eq!(
        registry.get("/schemas").await.body.as_array().map(Vec::len),
        Some(history::all().len())
    );
    registry.stop().await;
}

#[tokio::test]
async fn what_is_not_there_has_confluents_error_code() {
    let registry = Registry::start().await;
    for (method, path, status, code) in [
        ("GET", "/nowhere", 404, 404),
        ("GET", "/subjects/OrderPlaced/versions", 404, 40401),
        ("GET", "/config/OrderPlaced", 404, 40401),
        ("GET", "/subjects/OrderPlaced/versions/1", 404, 40401),
        ("GET", "/subjects/orderflow.orders.OrderPlaced/versions/9", 404, 40402),
        ("GET", "/subjects/orderflow.orders.OrderPlaced/versions/0", 422, 42202),
        (
            "GET",
            "/subjects/orderflow.orders.OrderPlaced/versions/newest",
            422,
            42202,
        ),
        ("GET", "/schemas/ids/1", 404, 40403),
        ("GET", "/schemas/ids/one", 404, 40403),
        ("GET", "/schemas/ids/99999999999", 404, 40403),
        ("POST", "/subjects/orderflow.orders.OrderPlaced", 422, 42201),
        ("DELETE", "/subjects/orderflow.orders.OrderPlaced", 405, 405),
        ("DELETE", "/subjects/orderflow.orders.OrderPlaced/versions/1", 405, 405),
        ("PUT", "/config", 405, 405),
        ("PUT", "/mode", 405, 405),
        ("POST", "/nowhere", 405, 405),
    ] {
        let answer = registry.ask(method, path, "").await;
        assert_eq!(
            (answer.status, &answer.body["error_code"]),
            (status, &json!(code)),
            "{method} {path}"
        );
        assert!(
            answer.body["message"]
                .as_str()
                .is_some_and(|message| !message.is_empty()),
            "{method} {path}"
        );
    }
    registry.stop().await;
}

#[tokio::test]
async fn a_schema_is_found_however_it_is_written_and_documented() {
    let registry = Registry::start().await;
    let mut schema: Value = serde_json::from_str(order_placed().text).expect("JSON");
    schema["doc"] = json!("in other words");
    let body = json!({"schema": schema.to_string(), "schemaType": "AVRO"}).to_string();
    let found = registry
        .ask("POST", "/subjects/orderflow.orders.OrderPlaced", &body)
        .await;
    assert_eq!((found.status, &found.body["id"]), (200, &json!(order_placed().id)));
    let registered = registry
        .ask("POST", "/subjects/orderflow.orders.OrderPlaced/versions", &body)
        .await;
    assert_eq!(
        (registered.status, registered.body),
        (200, json!({"id": order_placed().id}))
    );

    let body = json!({"schema": "\"string\""}).to_string();
    let unknown = registry
        .ask("POST", "/subjects/orderflow.orders.OrderPlaced", &body)
        .await;
    assert_eq!((unknown.status, &unknown.body["error_code"]), (404, &json!(40403)));
    for subject in [ORDER_PLACED, "orders-value"] {
        let refused = registry
            .ask("POST", &format!("/subjects/{subject}/versions"), &body)
            .await;
        assert_eq!(
            (refused.status, &refused.body["error_code"]),
            (405, &json!(405)),
            "{subject}"
        );
    }
    let protobuf = json!({"schema": "", "schemaType": "PROTOBUF"}).to_string();
    let refused = registry
        .ask("POST", "/subjects/orderflow.orders.OrderPlaced", &protobuf)
        .await;
    assert_eq!((refused.status, &refused.body["error_code"]), (422, &json!(42201)));
    registry.stop().await;
}

#[tokio::test]
async fn a_schema_is_compared_with_what_is_there() {
    let registry = Registry::start().await;
    let mut schema: Value = serde_json::from_str(order_placed().text).expect("JSON");
    let paths = ["versions", "versions/latest", "versions/1"]
        .map(|versions| format!("/compatibility/subjects/orderflow.orders.OrderPlaced/{versions}"));
    for (field, compatible) in [
        (
            json!({"name": "note", "type": ["null", "string"], "default": null}),
            true,
        ),
        (json!({"name": "weight", "type": "long"}), false),
    ] {
        schema["fields"].as_array_mut().expect("fields").push(field);
        let body = json!({"schema": schema.to_string()}).to_string();
        for path in &paths {
            let answer = registry.ask("POST", path, &body).await;
            assert_eq!(
                (answer.status, &answer.body["is_compatible"]),
                (200, &json!(compatible)),
                "{path}: {}",
                answer.body
            );
        }
    }
    registry.stop().await;
}

#[tokio::test]
async fn a_client_that_says_nothing_does_not_keep_its_connection() {
    let registry = Registry::start().await;
    let began = Instant::now();
    let mut silent = TcpStream::connect(registry.address).await.expect("listening");
    silent.write_all(b"GET / HTTP/1.1\r\nhost:").await.expect("written");
    let mut rest = Vec::new();
    let end = silent.read_to_end(&mut rest);
    let deadline = registry::HEADER_READ_TIMEOUT + Duration::from_secs(20);
    tokio::time::timeout(deadline, end)
        .await
        .expect("closed by the server")
        .ok();
    assert!(
        began.elapsed() >= registry::HEADER_READ_TIMEOUT,
        "closed after {:?}",
        began.elapsed()
    );
    registry.stop().await;
}

#[tokio::test]
async fn an_idle_connection_does_not_hold_up_the_end() {
    let registry = Registry::start().await;
    let _idle = TcpStream::connect(registry.address).await.expect("listening");
    registry.get("/").await;
    let address = registry.address;
    tokio::time::timeout(registry::DRAIN_TIMEOUT + Duration::from_secs(20), registry.stop())
        .await
        .expect("stopped");
    assert!(TcpStream::connect(address).await.is_err(), "still listening");
}
