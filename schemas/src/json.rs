//! Events as JSON for people: the contract's field names, times in RFC 3339.
//!
//! What is shown can be read back. Reading goes by the schema, so that an error names the field and what is due there.

mod read;

use std::sync::LazyLock;

use apache_avro::Schema;
use orderflow_domain::order::FieldError;
use orderflow_domain::{Event, Timestamp};
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::{Contract, EventType, history};

/// The event as JSON.
///
/// # Panics
///
/// Never: the events hold texts, numbers and lists of them.
#[must_use]
pub fn of_event(event: &Event) -> Value {
    let mut value = serde_json::to_value(event).expect("texts, numbers and lists");
    show_times(schema(event.event_type()), &mut value);
    value
}

/// The event that JSON shows. Fields that may be null may be missing.
///
/// # Errors
///
/// The first field that is missing, unknown or holds something else than the contract says.
pub fn to_event(event: EventType, json: &Value) -> Result<Event, FieldError> {
    let value = read::conform(json, schema(event))?;
    match event {
        EventType::OrderPlaced => typed(value).map(Event::OrderPlaced),
        EventType::InventoryReserved => typed(value).map(Event::InventoryReserved),
        EventType::InventoryUnavailable => typed(value).map(Event::InventoryUnavailable),
        EventType::PaymentProcessed => typed(value).map(Event::PaymentProcessed),
        EventType::PaymentFailed => typed(value).map(Event::PaymentFailed),
        EventType::StockReceived => typed(value).map(Event::StockReceived),
        EventType::StockAdjusted => typed(value).map(Event::StockAdjusted),
    }
}

fn typed<E: DeserializeOwned>(value: Value) -> Result<E, FieldError> {
    serde_json::from_value(value).map_err(|error| FieldError::new("", "wrong_type", error.to_string()))
}

fn schema(event: EventType) -> &'static Schema {
    static SCHEMAS: LazyLock<[Schema; EventType::ALL.len()]> = LazyLock::new(|| {
        EventType::ALL
            .map(|event| Schema::parse_str(history::latest(event).text).expect("released schemas are parsed by a test"))
    });
    &SCHEMAS[event as usize]
}

fn show_times(schema: &Schema, value: &mut Value) {
    match (schema, value) {
        (Schema::TimestampMicros, time) => {
            if let Some(micros) = time.as_i64() {
                *time = Value::String(Timestamp(micros).to_string());
            }
        }
        (Schema::Record(record), Value::Object(fields)) => {
            for field in &record.fields {
                if let Some(value) = fields.get_mut(&field.name) {
                    show_times(&field.schema, value);
                }
            }
        }
        (Schema::Array(array), Value::Array(elements)) => {
            for element in elements {
                show_times(&array.items, element);
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::samples;

    #[test]
    fn an_order_is_shown_with_the_names_of_the_contract() {
        assert_eq!(
            of_event(&Event::OrderPlaced(samples::order_placed())),
            json!({
                "meta": {
                    "event_id": "018f2a3e-0001-7000-8000-000000000001",
                    "occurred_at": "2010-12-01T08:26:00Z",
                    "correlation_id": "018f2a3e-1000-7000-8000-000000000007",
                    "causation_id": null,
                    "source": "orderflow/cli",
                },
                "order_id": "018f2a3e-1000-7000-8000-000000000007",
                "customer_id": "17850",
                "currency": "GBP",
                "items": [
                    {"product_id": "85123A", "quantity": 6, "unit_price_minor": 255},
                    {"product_id": "71053", "quantity": 6, "unit_price_minor": 339},
                    {"product_id": "84406B", "quantity": 8, "unit_price_minor": 275},
                ],
                "total_minor": 5764,
                "payment_token": "tok_ok",
                "placed_at": "2010-12-01T08:26:00Z",
            })
        );
    }

    #[test]
    fn what_is_shown_is_read_back() {
        for event in samples::all() {
            assert_eq!(to_event(event.event_type(), &of_event(&event)), Ok(event));
        }
    }

    #[test]
    fn what_may_be_null_may_be_missing() {
        let Event::OrderPlaced(mut expected) = samples::all().swap_remove(0) else {
            panic!("not an order")
        };
        expected.customer_id = None;
        let mut json = of_event(&Event::OrderPlaced(expected.clone()));
        json.as_object_mut().expect("an object").remove("customer_id");
        assert_eq!(
            to_event(EventType::OrderPlaced, &json),
            Ok(Event::OrderPlaced(expected))
        );
    }

    #[test]
    fn what_is_wrong_is_named() {
        let sound = of_event(&Event::OrderPlaced(samples::order_placed()));
        for (pointer, wrong, expected) in [
            ("", json!([1]), ": is a list; an object is due here"),
            ("/meta", json!(null), "meta: is null; an object is due here"),
            ("/order_id", json!("7"), "order_id: \"7\" is no UUID"),
            ("/order_id", json!(7), "order_id: is 7; a text is due here"),
            ("/items", json!({}), "items: is an object; a list is due here"),
            (
                "/items/2/quantity",
                json!(2.5),
                "items[2].quantity: is 2.5; a whole number is due here",
            ),
            (
                "/items/0/quantity",
                json!("2"),
                "items[0].quantity: is a text; a whole number is due here",
            ),
            ("/items/1", json!({"product_id": "p"}), "items[1].quantity: is missing"),
            (
                "/items/1/product_id",
                json!(true),
                "items[1].product_id: is true; a text is due here",
            ),
            (
                "/placed_at",
                json!("yesterday"),
                "placed_at: \"yesterday\" is not a time",
            ),
            (
                "/placed_at",
                json!(1_291_191_960),
                "placed_at: is 1291191960; a text is due here",
            ),
            (
                "/customer_id",
                json!(17_850),
                "customer_id: is 17850; a text is due here",
            ),
            ("/meta/spurce", json!("x"), "meta.spurce: is no field of the contract"),
        ] {
            let mut json = sound.clone();
            match json.pointer_mut(pointer) {
                Some(place) => *place = wrong,
                None => json["meta"]["spurce"] = wrong,
            }
            let error = to_event(EventType::OrderPlaced, &json).expect_err(expected).to_string();
            assert!(error.starts_with(expected), "{error}");
        }
    }
}
