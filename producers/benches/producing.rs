//! What an order costs before the client has it: made up, encoded, and with its headers.
//!
//! The second is what any producer with live encoding pays for orders it has; the third is what `order emit` pays.

use std::hint::black_box;

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use orderflow_domain::{OrderPlaced, Timestamp};
use orderflow_producers::emit::{Basket, Generator, Shape};
use orderflow_schemas::{Trace, encode, headers};
use rdkafka::message::{Header, OwnedHeaders};

fn producing(criterion: &mut Criterion) {
    let shape = Shape {
        basket: Basket::Fixed(3),
        ..Shape::default()
    };
    let mut generator = Generator::new(&shape, "orderflow/emit", 1).expect("a sound shape");
    let mut order = generator.blank();
    generator.fill(&mut order, Timestamp(0));
    let ready = order.clone();
    let mut value = Vec::new();
    let mut group = criterion.benchmark_group("order of 3 items");
    group.throughput(Throughput::Elements(1));
    group.bench_function("make up", |bench| {
        bench.iter(|| generator.fill(black_box(&mut order), Timestamp(1_700_000_000_000_000)));
    });
    group.bench_function("encode", |bench| bench.iter(|| encoded(black_box(&ready), &mut value)));
    group.bench_function("headers", |bench| bench.iter(|| kafka_headers(black_box(&ready))));
    group.bench_function("make up, encode and headers", |bench| {
        bench.iter(|| {
            generator.fill(&mut order, Timestamp(1_700_000_000_000_000));
            encoded(&order, &mut value);
            kafka_headers(black_box(&order))
        });
    });
    group.finish();
}

fn encoded(order: &OrderPlaced, value: &mut Vec<u8>) {
    value.clear();
    encode(order, value);
}

fn kafka_headers(order: &OrderPlaced) -> Option<OwnedHeaders> {
    let mut owned = Some(OwnedHeaders::new_with_capacity(10));
    headers::each(order, Some(&Trace::begin(order)), |key, value| {
        let header = Header {
            key,
            value: Some(value),
        };
        owned = owned.take().map(|list| list.insert(header));
    });
    owned
}

criterion_group!(benches, producing);
criterion_main!(benches);
