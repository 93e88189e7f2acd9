//! Our schemas into a registry, and beside those that are there.

use orderflow_schemas::registry::{RegistryError, Standing, State, compare, publish};
use orderflow_schemas::{EventType, history};
use serde_json::{Value, json};

use super::stub::{Book, Reply, Stub};
use super::{SUBJECT, client, text};

fn serve(book: &Book) -> Stub {
    let book = book.clone();
    Stub::start(move |asked| book.answer(asked))
}

#[tokio::test]
async fn registering_again_changes_nothing() {
    let book = Book::default();
    book.put(100, "somebody-elses", "\"string\"");
    let stub = serve(&book);
    let client = client(&stub.url());
    for (dry_run, state, registered) in [
        (true, State::Missing, 1),
        (false, State::Registered, 1 + history::all().len()),
        (false, State::Unchanged, 1 + history::all().len()),
        (true, State::Unchanged, 1 + history::all().len()),
    ] {
        let mut told = Vec::new();
        publish(&client, dry_run, |published| told.push(published))
            .await
            .expect("taken");
        let names: Vec<_> = told.iter().map(|published| published.version.to_string()).collect();
        assert_eq!(
            names,
            history::all().iter().map(ToString::to_string).collect::<Vec<_>>()
        );
        assert!(told.iter().all(|published| published.state == state), "{told:?}");
        assert!(
            told.iter()
                .all(|published| published.id.is_some() == (state != State::Missing))
        );
        assert_eq!(book.len(), registered);
    }
}

#[tokio::test]
async fn what_is_done_before_a_refusal_is_told() {
    let book = Book::default();
    let stub = Stub::start(move |asked| {
        if asked.line.contains("PaymentFailed/versions") {
            Reply::problem(409, 409, "no default for reason")
        } else {
            book.answer(asked)
        }
    });
    let mut told = 0;
    let refused = publish(&client(&stub.url()), false, |_| told += 1).await;
    assert!(
        matches!(refused, Err(RegistryError::Incompatible { .. })),
        "{refused:?}"
    );
    assert_eq!(told, 4);
}

#[tokio::test]
async fn a_dry_run_asks_whether_it_would_be_taken() {
    let stub = Stub::start(|asked| {
        if asked.line.starts_with("POST /compatibility") {
            Reply::Json(200, json!({"is_compatible": false, "messages": ["meta is missing"]}))
        } else {
            Reply::problem(404, 40403, "Schema not found")
        }
    });
    let refused = publish(&client(&stub.url()), true, |_| ())
        .await
        .expect_err("not taken");
    assert!(
        refused.to_string().contains("OrderPlaced v1: meta is missing"),
        "{refused}"
    );
    assert_eq!(stub.count("POST /subjects/orderflow.orders.OrderPlaced/versions"), 0);
}

#[tokio::test]
async fn each_version_of_a_registry_is_compared_both_ways_round() {
    let with = |field: Value| {
        let mut schema: Value = serde_json::from_str(text(EventType::StockReceived)).expect("JSON");
        schema["fields"].as_array_mut().expect("fields").push(field);
        schema.to_string()
    };
    let book = Book::default();
    book.put(1, SUBJECT, text(EventType::StockReceived));
    book.put(
        2,
        SUBJECT,
        &with(json!({"name": "shelf", "type": ["null", "string"], "default": null})),
    );
    // Ours can read it, and it cannot read ours.
    book.put(3, SUBJECT, &with(json!({"name": "shelf", "type": "string"})));
    let found = compare(&client(&serve(&book).url())).await.expect("an answer");
    let of: Vec<_> = found
        .iter()
        .filter(|one| one.event == EventType::StockReceived)
        .collect();
    assert_eq!(
        of.iter().map(|one| (one.version, one.id)).collect::<Vec<_>>(),
        [(Some(1), Some(1)), (Some(2), Some(2)), (Some(3), Some(3))]
    );
    assert_eq!(
        (&of[0].standing, &of[1].standing),
        (&Standing::Ours(1), &Standing::Compatible)
    );
    let Standing::Incompatible(problems) = &of[2].standing else {
        panic!("{found:?}")
    };
    assert_eq!(problems.len(), 1, "{problems:?}");
    assert!(
        problems[0].starts_with("version 3 of the registry cannot read what StockReceived v1 wrote"),
        "{problems:?}"
    );
    let missing = found.iter().filter(|one| one.standing == Standing::Missing).count();
    assert_eq!(missing, EventType::ALL.len() - 1);
}
