mod conservation;

use orderflow_domain::{EventId, Timestamp, UnavailableLine};
use orderflow_runtime::Fact;

use super::*;
use crate::samples::{Stored, TIME, adjusted, event_id, order, order_id, received};

fn inventory() -> Inventory {
    Inventory::new(TopicNames::default())
}

/// What the runtime makes of the `n`-th event.
fn cause(n: u64) -> Cause {
    Cause::new(GROUP, event_id(n).0, TIME + 1)
}

fn decide(event: &Event, n: u64, rows: &Rows) -> Result<Decision, Refusal> {
    inventory().decide(&cause(n), event, rows)
}

fn stock(available: i64, reserved: i64) -> Stock {
    Stock {
        received: available + reserved,
        adjusted: 0,
        available,
        reserved,
    }
}

fn rows(stocks: &[(&str, Stock)]) -> Rows {
    let rows = Rows::new().without(RESERVATION, &order_id(7).to_string());
    stocks
        .iter()
        .fold(rows, |rows, (product, stock)| rows.with(STOCK, product, *stock))
}

fn held(product: &str, quantity: i64) -> Reservation {
    Reservation {
        product_id: ProductId(product.into()),
        quantity,
    }
}

fn expected_meta(n: u64) -> Meta {
    Meta {
        event_id: EventId(cause(n).derive(0)),
        occurred_at: Timestamp((TIME + 1) * 1_000),
        correlation_id: order_id(n).to_string(),
        causation_id: Some(event_id(n)),
        source: "orderflow/inventory".into(),
    }
}

fn said(fact: &Fact) -> Known {
    orderflow_schemas::decode(&fact.value).expect("a fact can be read")
}

#[test]
fn an_order_in_stock_is_held_whole_and_said_so() {
    let placed = order(7, &[("b", 2), ("a", 3), ("b", 4)]);
    let rows = rows(&[("a", stock(3, 1)), ("b", stock(10, 0))]);
    let decision = decide(&Event::placed(placed.clone()), 7, &rows).expect("taken");
    assert_eq!(decision.row(STOCK, "a"), Some(&stock(0, 4)));
    assert_eq!(decision.row(STOCK, "b"), Some(&stock(4, 6)));
    let reservations = vec![held("a", 3), held("b", 6)];
    let record = OrderRecord {
        digest: payload_digest(&placed),
        held: reservations.clone(),
    };
    assert_eq!(decision.row(RESERVATION, &order_id(7).to_string()), Some(&record));
    let [fact] = decision.facts() else {
        panic!("{:?}", decision.facts())
    };
    let (meta, order_id) = (expected_meta(7), placed.order_id);
    assert_eq!(
        said(fact),
        Known::InventoryReserved(InventoryReserved {
            meta,
            order_id,
            reservations
        })
    );
}

#[test]
fn a_fact_stands_in_its_topic_under_the_order_with_its_headers() {
    let rows = rows(&[("a", stock(3, 0))]);
    let decision = decide(&Event::placed(order(7, &[("a", 3)])), 7, &rows).expect("taken");
    let fact = &decision.facts()[0];
    assert_eq!(
        (&*fact.topic, fact.key.as_slice()),
        ("inventory", order_id(7).to_string().as_bytes())
    );
    assert_eq!(fact.id, cause(7).derive(0));
    let header = |name| fact.headers.as_slice().get(name).map(String::from_utf8_lossy);
    assert_eq!(header("ce_id").as_deref(), Some(fact.id.to_string().as_str()));
    assert_eq!(
        header("ce_type").as_deref(),
        Some("orderflow.inventory.InventoryReserved")
    );
    assert!(header("traceparent").is_some_and(|trace| trace.contains(&order_id(7).0.simple().to_string())));
}

#[test]
fn a_trace_that_comes_with_the_order_goes_on() {
    let hop = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
    let origin = "00-4bf92f3577b34da6a3ce929d0e0e4736-1111111111111111-01";
    let mut cause = cause(7);
    cause.traceparent = Some(hop.to_owned());
    cause.origin_traceparent = Some(origin.to_owned());
    let rows = rows(&[("a", stock(3, 0))]);
    let decision = inventory().decide(&cause, &Event::placed(order(7, &[("a", 3)])), &rows);
    let decision = decision.expect("taken");
    let headers = decision.facts()[0].headers.as_slice();
    let next = headers.get("traceparent").expect("a hop");
    assert!(next.starts_with(&hop.as_bytes()[..36]) && next != hop.as_bytes());
    assert_eq!(headers.get("ce_traceparent"), Some(origin.as_bytes()));
}

#[test]
fn an_order_that_cannot_be_held_changes_no_stock_and_names_each_line() {
    let placed = order(7, &[("b", 11), ("a", 3), ("c", 1)]);
    let rows = rows(&[("a", stock(3, 0)), ("b", stock(10, 0))]).without(STOCK, "c");
    let decision = decide(&Event::placed(placed), 7, &rows).expect("taken");
    for product in ["a", "b", "c"] {
        assert_eq!(decision.row(STOCK, product), None);
    }
    let record = decision.row(RESERVATION, &order_id(7).to_string()).expect("remembered");
    assert_eq!(record.held, []);
    let line = |product: &str, requested, available, reason: &str| UnavailableLine {
        product_id: ProductId(product.into()),
        requested,
        available,
        reason: reason.to_owned(),
    };
    let (meta, order_id) = (expected_meta(7), order_id(7));
    let lines = vec![
        line("b", 11, 10, "insufficient_stock"),
        line("c", 1, 0, "unknown_product"),
    ];
    assert_eq!(
        said(&decision.facts()[0]),
        Known::InventoryUnavailable(InventoryUnavailable { meta, order_id, lines })
    );
}

#[test]
fn an_order_that_comes_again_is_a_duplicate_and_another_under_its_id_is_refused() {
    let placed = order(7, &[("a", 3)]);
    let record = OrderRecord {
        digest: payload_digest(&placed),
        held: vec![held("a", 3)],
    };
    let rows = Rows::new()
        .with(RESERVATION, &order_id(7).to_string(), record)
        .with(STOCK, "a", stock(5, 3));
    let again = OrderPlaced {
        meta: order(8, &[]).meta,
        ..placed.clone()
    };
    let decision = decide(&Event::placed(again), 8, &rows).expect("a duplicate");
    assert!(decision.is_repeat() && decision.facts().is_empty());
    assert_eq!(decision.row(STOCK, "a"), None);
    let other = OrderPlaced {
        payment_token: "tok_other".into(),
        ..placed
    };
    let refusal = decide(&Event::placed(other), 9, &rows).expect_err("refused");
    assert_eq!(
        (refusal.reason, refusal.event_id),
        (Reason::OrderExists, Some(event_id(9).0))
    );
}

#[test]
fn stock_comes_in_and_is_corrected() {
    let rows = Rows::new().with(STOCK, "a", stock(5, 2)).without(STOCK, "new");
    let by = |received, adjusted, available, reserved| Stock {
        received,
        adjusted,
        available,
        reserved,
    };
    for (event, product, expected) in [
        (Event::Received(received(1, "new", 4)), "new", by(4, 0, 4, 0)),
        (Event::Received(received(2, "a", 1)), "a", by(8, 0, 6, 2)),
        (
            Event::Adjusted(adjusted(3, "a", (Some(-5), None))),
            "a",
            by(7, -5, 0, 2),
        ),
        (Event::Adjusted(adjusted(4, "a", (None, Some(10)))), "a", by(7, 3, 8, 2)),
    ] {
        let decision = decide(&event, 1, &rows).expect("taken");
        assert_eq!(decision.row(STOCK, product), Some(&expected), "{event:?}");
        assert!(decision.facts().is_empty());
    }
}

#[test]
fn a_movement_against_the_rules_is_refused_with_the_sentence() {
    let rows = Rows::new().with(STOCK, "a", stock(5, 2));
    for (event, sentence) in [
        (Event::Received(received(1, "a", 0)), "must be at least 1"),
        (
            Event::Adjusted(adjusted(1, "a", (Some(-6), None))),
            "less than nothing of 5 available",
        ),
        (
            Event::Adjusted(adjusted(1, "a", (None, Some(1)))),
            "1 counted, but 2 are reserved",
        ),
        (Event::Adjusted(adjusted(1, "a", (None, None))), "neither"),
        (Event::Adjusted(adjusted(1, "a", (Some(1), Some(1)))), "both"),
    ] {
        let refusal = decide(&event, 1, &rows).expect_err("refused");
        assert_eq!(
            (refusal.reason, refusal.event_id),
            (Reason::InvalidOrder, Some(event_id(1).0))
        );
        assert!(
            refusal.detail.starts_with("product \"a\": ") && refusal.detail.contains(sentence),
            "{}",
            refusal.detail
        );
    }
}

#[test]
fn records_are_read_as_its_events() {
    let decoded = |stored: &Stored| match inventory().decode(&stored.record()).expect("read") {
        Decoded::Event { id, event } => (id, event),
        other => panic!("{other:?}"),
    };
    let (placed, came, set) = (
        order(7, &[("a", 3)]),
        received(8, "a", 1),
        adjusted(9, "a", (None, Some(4))),
    );
    assert_eq!(decoded(&Stored::of(&placed)), (event_id(7).0, Event::placed(placed)));
    assert_eq!(decoded(&Stored::of(&came)), (event_id(8).0, Event::Received(came)));
    assert_eq!(decoded(&Stored::of(&set)), (event_id(9).0, Event::Adjusted(set)));
    let broken = Stored::of(&order(7, &[("a", 0)]));
    let refusal = inventory().decode(&broken.record()).expect_err("refused");
    assert_eq!(refusal.reason, Reason::InvalidOrder);
}

#[test]
fn the_topics_go_by_their_configured_names() {
    let inventory = Inventory::new(TopicNames::with_prefix("shop.").expect("sound"));
    assert_eq!(inventory.reads(), ["shop.orders".into(), "shop.stock".into()]);
    assert_eq!(inventory.writes(), ["shop.inventory".into()]);
}
