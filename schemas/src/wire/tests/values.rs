//! Events that hold anything their types allow.

use apache_avro::Schema;
use apache_avro::writer::datum::GenericDatumWriter;
use orderflow_domain::{
    CustomerId, Event, EventId, Item, Meta, OrderId, OrderPlaced, ProductId, StockAdjusted, Timestamp,
};
use proptest::prelude::*;
use uuid::Uuid;

use super::encoded;
use crate::wire::{HEADER_BYTES, decode};
use crate::{Contract, history, json};

fn an_id() -> impl Strategy<Value = Uuid> {
    any::<u128>().prop_map(Uuid::from_u128)
}

fn a_meta() -> impl Strategy<Value = Meta> {
    (an_id(), any::<i64>(), ".{0,40}", prop::option::of(an_id()), ".{0,40}").prop_map(
        |(event_id, occurred_at, correlation_id, causation_id, source)| Meta {
            event_id: EventId(event_id),
            occurred_at: Timestamp(occurred_at),
            correlation_id,
            causation_id: causation_id.map(EventId),
            source: source.into(),
        },
    )
}

fn an_item() -> impl Strategy<Value = Item> {
    (".{0,20}", any::<i64>(), any::<i64>()).prop_map(|(product, quantity, unit_price_minor)| Item {
        product_id: ProductId(product.into()),
        quantity,
        unit_price_minor,
    })
}

fn an_order() -> impl Strategy<Value = Event> {
    let customer = prop::option::of(".{0,20}".prop_map(|id| CustomerId(id.into())));
    let items = prop::collection::vec(an_item(), 0..12);
    let currency = prop_oneof![Just("GBP"), Just("JPY"), Just("KWD")];
    (
        a_meta(),
        an_id(),
        customer,
        currency,
        items,
        any::<i64>(),
        ".{0,20}",
        any::<i64>(),
    )
        .prop_map(
            |(meta, order_id, customer_id, currency, items, total_minor, payment_token, placed_at)| {
                Event::OrderPlaced(OrderPlaced {
                    meta,
                    order_id: OrderId(order_id),
                    customer_id,
                    currency: currency.parse().expect("a currency"),
                    items,
                    total_minor,
                    payment_token: payment_token.into(),
                    placed_at: Timestamp(placed_at),
                })
            },
        )
}

fn an_adjustment() -> impl Strategy<Value = Event> {
    let number = prop::option::of(any::<i64>());
    (a_meta(), ".{0,20}", number.clone(), number, ".{0,20}").prop_map(|(meta, product, delta, count, reason)| {
        Event::StockAdjusted(StockAdjusted {
            meta,
            product_id: ProductId(product.into()),
            delta,
            count,
            reason,
        })
    })
}

/// What `apache-avro` writes of the same event.
fn written_by_the_other(event: &Event) -> Vec<u8> {
    let schema = Schema::parse_str(history::latest(event.event_type()).text).expect("valid");
    let writer = GenericDatumWriter::builder(&schema)
        .human_readable(true)
        .build()
        .expect("valid");
    writer.write_ser_to_vec(event).expect("an event of the schema")
}

proptest! {
    #[test]
    fn every_value_comes_back(event in prop_oneof![an_order(), an_adjustment()]) {
        let value = encoded(&event);
        prop_assert_eq!(&value[HEADER_BYTES..], written_by_the_other(&event));
        prop_assert_eq!(decode(&value), Ok(event.clone()));
        prop_assert_eq!(json::to_event(event.event_type(), &json::of_event(&event)), Ok(event));
    }
}
