use uuid::Uuid;

use super::*;
use crate::{CustomerId, EventId, Meta, OrderId, ProductId, Timestamp};

fn item(product: &str, quantity: i64, unit_price_minor: i64) -> Item {
    Item {
        product_id: ProductId(product.into()),
        quantity,
        unit_price_minor,
    }
}

fn order() -> OrderPlaced {
    let order_id = OrderId(Uuid::from_u128(7));
    OrderPlaced {
        meta: Meta {
            event_id: EventId(Uuid::from_u128(1)),
            occurred_at: Timestamp(1_291_191_960_000_000),
            correlation_id: order_id.to_string(),
            causation_id: None,
            source: "test".into(),
        },
        order_id,
        customer_id: Some(CustomerId("17850".into())),
        currency: "GBP".parse().expect("a currency"),
        items: vec![item("85123A", 6, 255), item("71053", 6, 339)],
        total_minor: 3_564,
        payment_token: "tok_ok".into(),
        placed_at: Timestamp(1_291_191_960_000_000),
    }
}

fn unknown_currency() -> crate::Currency {
    use serde::Deserialize as _;
    use serde::de::IntoDeserializer as _;
    let text: serde::de::value::StrDeserializer<'_, serde::de::value::Error> = "DOUBLOONS".into_deserializer();
    crate::Currency::deserialize(text).expect("any text")
}

#[test]
fn a_sound_order_is_taken() {
    assert_eq!(order().validate(), Ok(()));
    assert_eq!(
        OrderPlaced {
            customer_id: None,
            ..order()
        }
        .validate(),
        Ok(())
    );
}

#[test]
fn an_order_at_the_bounds_is_taken() {
    let items: Vec<Item> = (0..MAX_ITEMS).map(|_| item(&"p".repeat(MAX_ID_BYTES), 1, 0)).collect();
    let payment_token = "t".repeat(MAX_PAYMENT_TOKEN_BYTES);
    assert_eq!(
        OrderPlaced {
            items,
            total_minor: 0,
            payment_token: payment_token.into(),
            ..order()
        }
        .validate(),
        Ok(())
    );
}

/// A change that breaks one rule, and the field and slug that say so.
type Broken = (fn(&mut OrderPlaced), &'static str, &'static str);

const BROKEN: &[Broken] = &[
    (|o| o.items.clear(), "items", "empty"),
    (|o| o.items = vec![item("p", 1, 1); MAX_ITEMS + 1], "items", "too_many"),
    (|o| o.items[1].quantity = 0, "items[1].quantity", "too_small"),
    (|o| o.items[0].quantity = -1, "items[0].quantity", "too_small"),
    (
        |o| o.items[0].unit_price_minor = -1,
        "items[0].unit_price_minor",
        "too_small",
    ),
    (|o| o.items[1].product_id.0.clear(), "items[1].product_id", "empty"),
    (
        |o| o.items[1].product_id.0 = "p".repeat(MAX_ID_BYTES + 1).into(),
        "items[1].product_id",
        "too_long",
    ),
    (
        |o| o.items[1].product_id.0 = "a\0b".into(),
        "items[1].product_id",
        "control_character",
    ),
    (|o| o.total_minor += 1, "total_minor", "wrong_sum"),
    (|o| o.items[0].unit_price_minor = i64::MAX, "items", "overflow"),
    (
        |o| o.items = vec![item("a", i64::MAX, 0), item("b", 1, 0)],
        "items",
        "overflow",
    ),
    (|o| o.currency = unknown_currency(), "currency", "unknown_currency"),
    (
        |o| o.customer_id = Some(CustomerId(String::new().into())),
        "customer_id",
        "empty",
    ),
    (
        |o| o.customer_id = Some(CustomerId("line\nbreak".into())),
        "customer_id",
        "control_character",
    ),
    (|o| o.payment_token.clear(), "payment_token", "empty"),
    (
        |o| o.payment_token = "t".repeat(MAX_PAYMENT_TOKEN_BYTES + 1).into(),
        "payment_token",
        "too_long",
    ),
    (|o| o.meta.source.clear(), "meta.source", "empty"),
    (
        |o| o.meta.correlation_id = "c".repeat(MAX_ID_BYTES + 1),
        "meta.correlation_id",
        "too_long",
    ),
];

#[test]
fn every_broken_rule_names_its_field() {
    for (break_it, field, slug) in BROKEN {
        let mut order = order();
        break_it(&mut order);
        let errors = order.validate().expect_err(field);
        assert_eq!(
            (errors[0].field.as_str(), errors[0].slug),
            (*field, *slug),
            "{errors:?}"
        );
    }
}

#[test]
fn all_errors_are_told_at_once() {
    let mut order = order();
    order.items[0].quantity = 0;
    order.items[1].unit_price_minor = -3;
    order.payment_token.clear();
    let errors: Vec<String> = order
        .validate()
        .expect_err("three rules broken")
        .iter()
        .map(ToString::to_string)
        .collect();
    assert_eq!(
        errors,
        [
            "payment_token: must not be empty",
            "items[0].quantity: is 0; must be at least 1",
            "items[1].unit_price_minor: is -3; must not be negative",
        ]
    );
}

#[test]
fn meta_does_not_make_another_order() {
    let mut again = order();
    again.meta.event_id = EventId(Uuid::from_u128(2));
    again.meta.source = "elsewhere".into();
    assert!(same_payload(&order(), &again));
    assert_eq!(
        recognise(Some(payload_digest(&order())), payload_digest(&again)),
        Recognised::Repeated
    );
    assert_eq!(recognise(None, payload_digest(&again)), Recognised::New);
}

#[test]
fn any_other_field_makes_another_order() {
    let changes: &[fn(&mut OrderPlaced)] = &[
        |o| o.order_id = OrderId(Uuid::from_u128(8)),
        |o| o.customer_id = None,
        |o| o.currency = "EUR".parse().expect("a currency"),
        |o| o.items[0].quantity = 7,
        |o| o.items[0].unit_price_minor = 7,
        |o| o.items[0].product_id.0 = "85123B".into(),
        |o| o.items.swap(0, 1),
        |o| o.total_minor = 7,
        |o| o.payment_token = "tok_decline_lost_card".into(),
        |o| o.placed_at = Timestamp(7),
    ];
    for (index, change) in changes.iter().enumerate() {
        let mut other = order();
        change(&mut other);
        assert!(!same_payload(&order(), &other), "change {index}");
        assert_eq!(
            recognise(Some(payload_digest(&order())), payload_digest(&other)),
            Recognised::Different,
            "change {index}"
        );
    }
}

#[test]
fn the_digest_never_changes() {
    assert_eq!(
        payload_digest(&order()).0.to_string(),
        "bbe7abc2-c3f4-8978-a767-a9ffc3638f42"
    );
}
