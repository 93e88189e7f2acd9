//! Values that bear the ids of a registry.

use std::sync::Arc;

use orderflow_schemas::registry::{ReadError, Reader, Registry, RegistryError};
use orderflow_schemas::{Codec, EventType, Unreadable};
use serde_json::{Value, json};

use super::stub::{Book, Reply, Stub};
use super::{SUBJECT, at, event, received, text, value_under};

fn serve(book: &Book) -> Stub {
    let book = book.clone();
    Stub::start(move |asked| book.answer(asked))
}

async fn open(stub: &Stub, writes: &[EventType]) -> Result<Registry, RegistryError> {
    Registry::open(&at(&stub.url()), writes).await
}

/// What becomes of a value once its schema was asked for.
async fn read(registry: &Registry, value: &[u8]) -> Result<orderflow_domain::Event, Unreadable> {
    match registry.codec().decode(value) {
        Err(Unreadable::UnfetchedSchema(id)) => {
            registry.learn(id).await.expect("an answer");
            registry.codec().decode(value)
        }
        read => read,
    }
}

#[tokio::test]
async fn what_is_written_bears_the_registrys_id_and_nothing_else_changes() {
    let book = Book::default();
    book.put(41, SUBJECT, text(EventType::StockReceived));
    let stub = serve(&book);
    let registry = open(&stub, &[EventType::StockReceived]).await.expect("registered");
    let mut value = Vec::new();
    registry.codec().encode(&received(), &mut value);
    assert_eq!(value, value_under(41));
    assert_eq!(
        registry.codec().decode(&value),
        Ok(event()),
        "what we write we can read without asking"
    );
    assert_eq!(stub.count("GET /schemas"), 0);
    // Of events that are not written here the contracts' own ids are known to everybody.
    assert_eq!(registry.codec().id(EventType::OrderPlaced), 1_000_000_000);
}

#[tokio::test]
async fn a_schema_that_is_not_registered_is_named() {
    let stub = serve(&Book::default());
    let error = open(&stub, &[EventType::StockReceived]).await.expect_err("not there");
    assert!(error.is_not_found(), "{error}");
    assert!(
        error
            .to_string()
            .contains("StockReceived v1 is not registered under orderflow.stock"),
        "{error}"
    );
}

#[tokio::test]
async fn the_contracts_own_ids_are_read_whatever_the_registry_says() {
    let stub = Stub::start(|_| Reply::problem(500, 50001, "broken"));
    let registry = open(&stub, &[]).await.expect("nothing to ask");
    let mut value = Vec::new();
    orderflow_schemas::encode(&received(), &mut value);
    assert_eq!(registry.codec().decode(&value), Ok(event()));
    assert_eq!(
        Codec::builtin().decode(&value_under(7)),
        Err(Unreadable::UnknownSchema(7))
    );
    assert_eq!(stub.asked(), []);
}

#[tokio::test]
async fn our_schema_is_recognised_however_it_is_written() {
    let mut other: Value = serde_json::from_str(text(EventType::StockReceived)).expect("JSON");
    other["doc"] = json!("in other words");
    let book = Book::default();
    book.put(7, "any-subject", &other.to_string());
    let stub = serve(&book);
    let registry = open(&stub, &[]).await.expect("open");
    assert_eq!(
        registry.codec().decode(&value_under(7)),
        Err(Unreadable::UnfetchedSchema(7))
    );
    assert_eq!(read(&registry, &value_under(7)).await, Ok(event()));
}

/// Somebody else's version: more fields, of every type there is, one of ours left out, and another order.
#[tokio::test]
async fn somebody_elses_version_is_read_with_his_schema() {
    let mut theirs: Value = serde_json::from_str(text(EventType::StockReceived)).expect("JSON");
    let fields = theirs["fields"].as_array_mut().expect("fields");
    // Ours has a default for it.
    let meta = fields[0]["type"]["fields"].as_array_mut().expect("meta");
    meta.retain(|field| field["name"] != "causation_id");
    fields.reverse();
    fields.insert(0, json!({"name": "shelf", "type": {"type": "map", "values": "int"}}));
    fields.insert(1, json!({"name": "weight", "type": "double"}));
    fields.insert(
        2,
        json!({"name": "seal", "type": {"type": "fixed", "name": "Seal", "size": 2}}),
    );
    fields.insert(
        3,
        json!({"name": "kind", "type": {"type": "enum", "name": "Kind", "symbols": ["A", "B"]}}),
    );
    fields.push(json!({"name": "cold", "type": "boolean"}));
    for field in fields.iter_mut().filter(|field| field["name"] == "quantity") {
        field["type"] = json!("int");
    }
    let book = Book::default();
    book.put(7, SUBJECT, &theirs.to_string());
    let stub = serve(&book);
    let registry = open(&stub, &[]).await.expect("open");

    let mut value = vec![0, 0, 0, 0, 7];
    value.extend([2, 4, b'A', b'1', 6, 0]); // shelf: one entry, A1 = 3, end
    value.extend(1.5_f64.to_le_bytes());
    value.extend([0xab, 0xcd, 2]); // seal, kind B
    value.push(12); // quantity
    value.push(12);
    value.extend(b"85123A");
    let id = uuid::Uuid::from_u128(7).to_string();
    value.push(72);
    value.extend(id.as_bytes());
    value.extend(varint(1_291_191_960_000_000));
    value.push(12);
    value.extend(b"85123A");
    value.push(10);
    value.extend(b"tests");
    value.push(1); // cold
    assert_eq!(read(&registry, &value).await, Ok(event()));

    // What is wrong with it is told as of ours.
    for (cut, reason, named) in [
        (value.len() - 1, "truncated", "cold"),
        (20, "truncated", "seal"),
        (10, "truncated", "shelf"),
    ] {
        let error = registry.codec().decode(&value[..cut]).expect_err("cut");
        assert_eq!(error.reason(), reason, "{cut}: {error}");
        assert!(error.to_string().contains(named), "{cut}: {error}");
    }
    value.push(0);
    assert_eq!(registry.codec().decode(&value), Err(Unreadable::TrailingBytes(1)));
    let mut hostile = vec![0, 0, 0, 0, 7];
    hostile.extend(varint(i64::from(i32::MAX)));
    assert_eq!(
        registry.codec().decode(&hostile).expect_err("hostile").reason(),
        "limit"
    );
}

fn varint(number: i64) -> Vec<u8> {
    let mut zigzag = (number << 1).cast_unsigned() ^ (number >> 63).cast_unsigned();
    let mut bytes = Vec::new();
    while zigzag > 0x7f {
        bytes.push(zigzag.to_le_bytes()[0] | 0x80);
        zigzag >>= 7;
    }
    bytes.push(zigzag.to_le_bytes()[0]);
    bytes
}

#[tokio::test]
async fn what_cannot_be_used_is_refused_with_the_reason_and_not_asked_for_again() {
    let mut narrow: Value = serde_json::from_str(text(EventType::StockReceived)).expect("JSON");
    narrow["fields"]
        .as_array_mut()
        .expect("fields")
        .retain(|field| field["name"] != "quantity");
    let book = Book::default();
    book.put(1, SUBJECT, &narrow.to_string());
    book.put(
        2,
        "x",
        r#"{"type":"record","name":"Other","namespace":"org.example","fields":[]}"#,
    );
    book.put(3, "x", "\"string\"");
    book.put(4, "x", "{not json");
    // A UUID that is a plain string, as hand-written schemas have it.
    book.put(
        6,
        "x",
        &text(EventType::StockReceived).replace("\"logicalType\": \"uuid\"", "\"doc\": \"an id\""),
    );
    let stub = serve(&book);
    let registry = open(&stub, &[]).await.expect("open");
    for (id, expected) in [
        (
            1,
            "StockReceived v1 cannot read what it wrote: quantity was not written",
        ),
        (2, "it is org.example.Other, which is none of the contracts"),
        (3, "it is not a record"),
        (4, "key must be a string"),
        (5, "does not have it"),
        (6, "meta.causation_id is"),
    ] {
        for _ in 0..3 {
            let error = read(&registry, &value_under(id)).await.expect_err("refused");
            assert_eq!(error.reason(), "unknown_schema");
            assert!(
                matches!(&error, Unreadable::ForeignSchema { why, .. } if why.contains(expected)),
                "{error}"
            );
        }
        assert_eq!(stub.count(&format!("GET /schemas/ids/{id}")), 1);
    }
}

#[tokio::test]
async fn schemas_of_another_kind_are_of_no_use() {
    for (answer, expected) in [
        (
            json!({"schema": "syntax = \"proto3\";", "schemaType": "PROTOBUF"}),
            "it is a PROTOBUF schema",
        ),
        (
            json!({"schema": "{}", "references": [{"name": "a", "subject": "b", "version": 1}]}),
            "it refers to other schemas",
        ),
    ] {
        let stub = Stub::start(move |_| Reply::Json(200, answer.clone()));
        let registry = open(&stub, &[]).await.expect("open");
        let error = read(&registry, &value_under(7)).await.expect_err("refused");
        assert!(error.to_string().contains(expected), "{error}");
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn many_lanes_that_want_one_id_ask_once() {
    let book = Book::default();
    book.put(7, SUBJECT, text(EventType::StockReceived));
    let stub = serve(&book);
    let registry = Arc::new(open(&stub, &[]).await.expect("open"));
    let mut lanes = tokio::task::JoinSet::new();
    for _ in 0..32 {
        let registry = Arc::clone(&registry);
        lanes.spawn(async move { registry.learn(7).await });
    }
    assert!(lanes.join_all().await.iter().all(Result::is_ok));
    assert_eq!(registry.codec().decode(&value_under(7)), Ok(event()));
    assert_eq!(stub.count("GET /schemas/ids/7"), 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_reader_asks_and_does_not_ask_a_registry_that_is_away_for_every_record() {
    let book = Book::default();
    book.put(7, SUBJECT, text(EventType::StockReceived));
    let stub = serve(&book);
    let registry = Arc::new(open(&stub, &[]).await.expect("open"));
    let reader = Reader::asking(registry, tokio::runtime::Handle::current());
    let read = move |value: Vec<u8>| {
        let reader = reader.clone();
        tokio::task::spawn_blocking(move || reader.read(&value))
    };
    assert_eq!(read(value_under(7)).await.expect("no panic"), Ok(event()));
    assert_eq!(
        read(value_under(7)[..9].to_vec())
            .await
            .expect("no panic")
            .map_err(|error| matches!(error, ReadError::Unreadable(_))),
        Err(true)
    );

    let away = Stub::start(|_| Reply::problem(503, 50301, "away"));
    let registry = Arc::new(open(&away, &[]).await.expect("open"));
    let reader = Reader::asking(registry, tokio::runtime::Handle::current());
    for id in 1..20 {
        let reader = reader.clone();
        let failed = tokio::task::spawn_blocking(move || reader.read(&value_under(id)))
            .await
            .expect("no panic");
        let Err(ReadError::Unknown { id: named, cause }) = failed else {
            panic!("{failed:?}")
        };
        assert!(named == id && cause.is_transient(), "{cause}");
    }
    assert_eq!(away.asked().len(), 1);
}
