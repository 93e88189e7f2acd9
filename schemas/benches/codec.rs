//! What one order costs on its way from bytes to domain and back.
//!
//! `cargo bench -p orderflow-schemas`; a line per order of 3 and of 25 items, the average of the real data.

use std::hint::black_box;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use orderflow_domain::{
    CustomerId, Event, EventId, Item, Meta, OrderId, OrderPlaced, ProductId, Timestamp, order, stock,
};
use orderflow_schemas::{Trace, decode, encode, headers};
use uuid::Uuid;

fn order_of(items: u16) -> OrderPlaced {
    let order_id = OrderId(Uuid::from_u128(0x018f_2a3e_1000_7000_8000_0000_0000_0007));
    let event_id = EventId(Uuid::from_u128(0x018f_2a3e_0001_7000_8000_0000_0000_0001));
    let (occurred_at, correlation_id) = (Timestamp(1_291_191_960_123_000), order_id.to_string());
    let item = |n| Item {
        product_id: ProductId(format!("8512{n}A").into()),
        quantity: 6,
        unit_price_minor: 255,
    };
    OrderPlaced {
        meta: Meta {
            event_id,
            occurred_at,
            correlation_id,
            causation_id: None,
            source: "orderflow/cli".into(),
        },
        order_id,
        customer_id: Some(CustomerId("17850".into())),
        currency: "GBP".parse().expect("a currency"),
        items: (0..items).map(item).collect(),
        total_minor: 6 * 255 * i64::from(items),
        payment_token: "tok_ok".into(),
        placed_at: occurred_at,
    }
}

fn codec(criterion: &mut Criterion) {
    let mut group = criterion.benchmark_group("order");
    for items in [3, 25] {
        let order = order_of(items);
        let event = Event::OrderPlaced(order.clone());
        let trace = Trace::begin(&order);
        let mut bytes = Vec::new();
        encode(&order, &mut bytes);
        group.throughput(Throughput::Elements(1));
        group.bench_function(BenchmarkId::new("decode", items), |bench| {
            bench.iter(|| decode(black_box(&bytes)));
        });
        let mut buffer = Vec::new();
        group.bench_function(BenchmarkId::new("encode", items), |bench| {
            bench.iter(|| {
                buffer.clear();
                encode(black_box(&event), &mut buffer);
            });
        });
        group.bench_function(BenchmarkId::new("headers", items), |bench| {
            bench.iter(|| {
                headers::each(black_box(&event), Some(&trace), |name, value| {
                    black_box((name, value));
                });
            });
        });
        group.bench_function(BenchmarkId::new("validate", items), |bench| {
            bench.iter(|| black_box(&order).validate());
        });
        group.bench_function(BenchmarkId::new("digest", items), |bench| {
            bench.iter(|| order::payload_digest(black_box(&order)));
        });
        let full = stock::Stock {
            received: 1_000,
            adjusted: 0,
            available: 1_000,
            reserved: 0,
        };
        group.bench_function(BenchmarkId::new("reserve", items), |bench| {
            bench.iter(|| stock::reserve(black_box(&order.items), |_| Some(full)));
        });
    }
    group.finish();
}

criterion_group!(benches, codec);
criterion_main!(benches);
