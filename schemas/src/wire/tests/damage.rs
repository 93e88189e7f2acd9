//! Bytes that were damaged on their way.

use std::time::{Duration, Instant};

use proptest::prelude::*;
use proptest::test_runner::{Config, TestCaseResult, TestRunner};

use super::{encoded, golden};
use crate::wire::decode;
use crate::{EventType, history};

#[derive(Debug, Clone)]
enum Damage {
    Flip(prop::sample::Index, u8),
    Insert(prop::sample::Index, Vec<u8>),
    Remove(prop::sample::Index, usize),
    Cut(prop::sample::Index),
}

fn damage() -> impl Strategy<Value = Damage> {
    let at = any::<prop::sample::Index>;
    prop_oneof![
        4 => (at(), 1_u8..).prop_map(|(index, bits)| Damage::Flip(index, bits)),
        2 => (at(), prop::collection::vec(any::<u8>(), 1..12)).prop_map(|(index, bytes)| Damage::Insert(index, bytes)),
        1 => (at(), 1..8_usize).prop_map(|(index, count)| Damage::Remove(index, count)),
        1 => at().prop_map(Damage::Cut),
    ]
}

fn damaged(mut value: Vec<u8>, damage: Damage) -> Vec<u8> {
    match damage {
        _ if value.is_empty() => {}
        Damage::Flip(at, bits) => *at.get_mut(&mut value) ^= bits,
        Damage::Insert(at, bytes) => {
            let at = at.index(value.len());
            value.splice(at..at, bytes);
        }
        Damage::Remove(at, count) => {
            let at = at.index(value.len());
            value.drain(at..(at + count).min(value.len()));
        }
        Damage::Cut(at) => value.truncate(at.index(value.len())),
    }
    value
}

/// Golden bytes of any version, damaged in a few places.
fn damaged_value() -> impl Strategy<Value = Vec<u8>> {
    let damages = prop::collection::vec(damage(), 1..6);
    (0..history::all().len(), damages)
        .prop_map(|(which, damages)| damages.into_iter().fold(golden(&history::all()[which]), damaged))
}

/// Bytes behind a sound header that mean nothing.
fn noise() -> impl Strategy<Value = Vec<u8>> {
    let id = (0..EventType::ALL.len()).prop_map(|which| history::all()[which].id);
    (id, prop::collection::vec(any::<u8>(), 0..200))
        .prop_map(|(id, datum)| [&[0], &id.to_be_bytes()[..], &datum].concat())
}

/// They are an event or a named reason. What is read was really there, so it is no longer than its bytes.
fn is_read_or_refused(value: &[u8]) -> TestCaseResult {
    match decode(value) {
        Ok(event) => prop_assert!(encoded(&event).len() <= value.len()),
        Err(error) => prop_assert!(error.to_string().len() < 400, "{error}"),
    }
    Ok(())
}

fn try_cases(cases: u32) {
    let mut runner = TestRunner::new(Config {
        cases,
        failure_persistence: None,
        ..Config::default()
    });
    let bytes = prop_oneof![4 => damaged_value().boxed(), 1 => noise().boxed()];
    runner
        .run(&bytes, |value| is_read_or_refused(&value))
        .unwrap_or_else(|error| panic!("{error}"));
}

#[test]
fn damaged_bytes_are_read_or_refused() {
    try_cases(4_096);
}

/// The same for as long as one likes, from other seeds each time.
#[test]
#[ignore = "takes ORDERFLOW_FUZZ_SECONDS, 60 unless set; run by hand"]
fn nightly_fuzz_of_the_decoder() {
    let seconds = std::env::var("ORDERFLOW_FUZZ_SECONDS")
        .ok()
        .and_then(|seconds| seconds.parse().ok())
        .unwrap_or(60);
    let end = Instant::now() + Duration::from_secs(seconds);
    while Instant::now() < end {
        try_cases(100_000);
    }
}
