//! A broker that does as it should.

use std::sync::Arc;
use std::time::Instant;

use crate::observer::Logging;
use crate::relay::RelayError;

use super::*;

#[test]
fn a_fact_arrives_as_the_outbox_has_it() {
    let bench = Bench::new();
    let lane = bench.relay.open(3, 7);
    lane.submit(facts(7..=7));
    wait_for(&lane, 7);
    let header = |name: &str, value: &str| (name.to_owned(), Some(value.as_bytes().to_vec()));
    let expected = Published {
        partition: 3,
        timestamp: Some(1_700_000_000_007),
        key: Some(7_i64.to_be_bytes().to_vec()),
        value: Some(vec![b'v'; 100]),
        headers: vec![
            header("ce_id", "7"),
            header("orderflow-group", "group"),
            header("orderflow-lane", "3"),
            header("orderflow-seq", "7"),
        ],
    };
    assert_eq!(bench.published(), [expected]);
}

#[test]
fn absent_and_empty_stay_two_things() {
    let bench = Bench::new();
    let lane = bench.relay.open(0, 1);
    let mut headers = Headers::new();
    headers.push("empty", "");
    let odd = |sequence, key: Option<&[u8]>, value: Option<&[u8]>| OutboxRow {
        partition: 0,
        key: key.map(<[u8]>::to_vec),
        value: value.map(<[u8]>::to_vec),
        headers: headers.clone(),
        ..fact(sequence)
    };
    lane.submit(vec![odd(1, None, Some(b"")), odd(2, Some(b""), None)]);
    wait_for(&lane, 2);
    let found: Vec<_> = bench.published().into_iter().map(|r| (r.key, r.value)).collect();
    assert_eq!(found, [(None, Some(vec![])), (Some(vec![]), None)]);
    assert_eq!(bench.published()[0].headers[0], ("empty".to_owned(), Some(vec![])));
}

#[test]
fn lanes_stay_in_order_and_apart() {
    let bench = Bench::new();
    let lanes: Vec<_> = (0..12).map(|lane| bench.relay.open(lane, 1)).collect();
    for from in (1..=1_900).step_by(100) {
        for lane in &lanes {
            lane.submit(facts(from..=from + 99));
        }
    }
    for lane in &lanes {
        wait_for(lane, 1_900);
    }
    let records = bench.published();
    assert_eq!(records.len(), 12 * 1_900, "each fact once");
    for lane in 0..12 {
        assert_complete(&records, lane, 1..=1_900);
        let heard = bench.heard.published.lock().expect("not poisoned");
        let of_lane: Vec<_> = heard.iter().filter(|(l, _)| *l == lane).map(|(_, s)| *s).collect();
        assert!(of_lane.is_sorted() && of_lane.last() == Some(&1_900), "{of_lane:?}");
    }
    assert_eq!(bench.heard.republishing(), [""; 0]);
    assert_eq!(bench.broker.nothing_evicted(), Ok(()));
}

#[test]
fn a_lane_opened_again_goes_on_where_it_is_told() {
    let bench = Bench::new();
    let first = bench.relay.open(0, 1);
    first.submit(facts(1..=50));
    wait_for(&first, 50);
    first.submit(facts(51..=100));
    let second = bench.relay.open(0, 51);
    first.submit(facts(101..=110));
    drop(first);
    second.submit(facts(51..=100));
    wait_for(&second, 100);
    assert_complete(&bench.published(), 0, 1..=100);
}

#[tokio::test]
async fn a_waiting_lane_hears_of_its_acknowledgements() {
    let bench = Bench::new();
    let lane = bench.relay.open(0, 1);
    lane.submit(facts(1..=500));
    while lane.acknowledged() < 500 {
        tokio::time::timeout(PATIENCE, lane.changed()).await.expect("news");
    }
    assert_eq!(lane.in_flight(), 0);
}

#[test]
fn stopping_publishes_what_was_handed_over() {
    let bench = Bench::new();
    let lane = bench.relay.open(0, 1);
    lane.submit(facts(1..=5_000));
    bench.relay.stop(PATIENCE);
    assert_eq!(lane.acknowledged(), 5_000);
    lane.submit(facts(5_001..=5_001));
    let began = Instant::now();
    bench.relay.stop(PATIENCE);
    assert!(began.elapsed() < PATIENCE / 2, "a second stop has nothing to wait for");
}

#[test]
#[cfg_attr(debug_assertions, should_panic(expected = "lane 0: fact 3 instead of 2"))]
fn a_gap_ends_publishing() {
    let bench = Bench::new();
    let lane = bench.relay.open(0, 1);
    lane.submit(vec![fact(1), fact(3)]);
    let failure = bench.relay.failure().borrow().clone();
    assert!(failure.expect("a failure").contains("fact 3"));
}

#[test]
fn a_configuration_that_cannot_work_is_refused_at_once() {
    let broker = EmbeddedBroker::start(&[]).expect("a broker");
    let refused = |name: &str, value: &str| {
        let mut connection = broker.connection();
        connection.properties.insert(name.to_owned(), value.to_owned());
        let made = Relay::start(
            &connection,
            &Settings::default(),
            "group".into(),
            Arc::new(Logging::default()),
        );
        made.err().expect("refused")
    };
    assert_eq!(refused("acks", "1"), RelayError::Forbidden("acks".to_owned()));
    let error = refused("no.such.property", "secret").to_string();
    assert!(
        error.contains("no.such.property") && !error.contains("secret"),
        "{error}"
    );
    let error = refused("linger.ms", "soon").to_string();
    assert!(error.contains("linger.ms"), "{error}");
}
