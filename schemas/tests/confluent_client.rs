//! Other people's client against our registry and our bytes.

use std::path::Path;
use std::process::{Command, Output};

use orderflow_domain::Event;
use orderflow_schemas::{decode, history, registry};
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::oneshot;

#[tokio::test(flavor = "multi_thread")]
#[ignore = "needs Python with confluent-kafka; run by ./tests/run"]
async fn confluents_client_reads_and_writes_our_contracts() {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let url = format!("http://{}", listener.local_addr().expect("bound"));
    let (stop, stopped) = oneshot::channel::<()>();
    let served = tokio::spawn(registry::serve(listener, async {
        stopped.await.ok();
    }));
    let run = tokio::task::spawn_blocking(move || run_client(&url))
        .await
        .expect("no panic");
    stop.send(()).expect("still serving");
    served.await.expect("no panic").expect("served");

    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    let lines: Vec<Value> = String::from_utf8(run.stdout)
        .expect("UTF-8")
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();
    assert_eq!(lines.len(), history::all().len(), "a line for each golden value");
    assert_order(&lines);
}

/// What the client made of the golden order is what it says.
fn assert_order(lines: &[Value]) {
    let line = lines
        .iter()
        .find(|line| line["subject"] == "orderflow.orders.OrderPlaced")
        .expect("an order");
    let bytes = std::fs::read(golden().join("OrderPlaced.v1.avro")).expect("kept");
    let Ok(Event::OrderPlaced(order)) = decode(&bytes) else {
        panic!("not an order")
    };
    let read = &line["event"];
    assert_eq!(read["order_id"], json!(order.order_id.to_string()));
    assert_eq!(read["total_minor"], json!(order.total_minor));
    assert_eq!(read["items"].as_array().map(Vec::len), Some(order.items.len()));
    assert_eq!(read["placed_at"], json!("2010-12-01T08:26:00+00:00"));
    assert_eq!(read["meta"]["causation_id"], Value::Null);
}

fn run_client(url: &str) -> Output {
    let python = std::env::var_os("ORDERFLOW_TEST_PYTHON").expect(
        "set ORDERFLOW_TEST_PYTHON to a Python that has confluent-kafka[avro,schemaregistry], or run ./tests/run",
    );
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/confluent_client.py");
    Command::new(python)
        .arg(script)
        .arg(url)
        .arg(golden())
        .output()
        .expect("Python starts")
}

fn golden() -> std::path::PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("golden")
}
