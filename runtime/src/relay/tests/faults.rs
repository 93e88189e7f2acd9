//! A broker that does not.

use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};

use super::*;

const DELAY: Duration = Duration::from_millis(150);

/// Five batches in a row, so that several requests are on the wire when one fails.
fn submit_in_parts(lane: &LaneRelay, from: Sequence) {
    for part in 0..5 {
        let first = from + part * 200;
        lane.submit(facts(first..=first + 199));
        std::thread::sleep(Duration::from_millis(8));
    }
}

#[test]
fn errors_that_pass_are_waited_out() {
    use RDKafkaRespErr as E;
    let bench = Bench::new();
    let lane = bench.relay.open(0, 1);
    let errors = [
        E::RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS,
        E::RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION,
        E::RD_KAFKA_RESP_ERR__TRANSPORT,
        E::RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT,
    ];
    bench
        .broker
        .fail_requests(RDKafkaApiKey::Produce, &errors)
        .expect("told");
    submit_in_parts(&lane, 1);
    wait_for(&lane, 1_000);
    assert_complete(&bench.published(), 0, 1..=1_000);
    assert_eq!(bench.heard.republishing(), [""; 0], "librdkafka's own retries do");
}

#[test]
fn a_broker_away_loses_nothing() {
    let bench = Bench::new();
    let lane = bench.relay.open(0, 1);
    submit_in_parts(&lane, 1);
    bench.broker.down().expect("down");
    submit_in_parts(&lane, 1_001);
    std::thread::sleep(Duration::from_millis(500));
    assert!(lane.in_flight() >= 1_000, "{}", lane.in_flight());
    bench.broker.up().expect("up");
    wait_for(&lane, 2_000);
    assert_complete(&bench.published(), 0, 1..=2_000);
}

#[test]
fn a_failed_client_is_replaced_and_first_copies_stay_in_order() {
    use RDKafkaRespErr as E;
    let bench = Bench::new();
    let lanes: Vec<_> = (0..3).map(|lane| bench.relay.open(lane, 1)).collect();
    for round in 0..3 {
        let from = round * 1_000 + 1;
        // Answered late, so that several requests are on the wire when the third is refused.
        bench.broker.delay(DELAY / 10).expect("told");
        let refused = [
            E::RD_KAFKA_RESP_ERR_NO_ERROR,
            E::RD_KAFKA_RESP_ERR_NO_ERROR,
            E::RD_KAFKA_RESP_ERR_INVALID_PRODUCER_EPOCH,
        ];
        bench
            .broker
            .fail_requests(RDKafkaApiKey::Produce, &refused)
            .expect("told");
        for lane in &lanes {
            submit_in_parts(lane, from);
        }
        for lane in &lanes {
            wait_for(lane, from + 999);
        }
    }
    let records = bench.published();
    for lane in 0..3 {
        assert_complete(&records, lane, 1..=3_000);
    }
    let replaced = bench.heard.republishing();
    assert!(replaced.len() >= 3, "{replaced:?}");
    assert_eq!(*bench.relay.failure().borrow(), None);
}

#[test]
fn without_acknowledgements_the_client_is_replaced() {
    // Long enough for a new client to connect on a busy machine, or it is replaced before it has begun.
    let stall = Duration::from_secs(2);
    let bench = Bench::with(Timing { stall, ..TIMING }, &Settings::default());
    let lane = bench.relay.open(0, 1);
    lane.submit(facts(1..=10));
    wait_for(&lane, 10);
    bench.broker.delay(stall * 5).expect("told");
    lane.submit(facts(11..=1_000));
    wait_until("replaced", || !bench.heard.republishing().is_empty());
    bench.broker.delay(Duration::ZERO).expect("told");
    wait_for(&lane, 1_000);
    assert_complete(&bench.published(), 0, 1..=1_000);
}

#[test]
fn a_fenced_lane_is_held_back_and_the_others_go_on() {
    let bench = Bench::new();
    let (fenced, other) = (bench.relay.open(0, 1), bench.relay.open(1, 1));
    for lane in [&fenced, &other] {
        lane.submit(facts(1..=4));
        wait_for(lane, 4);
    }
    bench.broker.delay(DELAY).expect("told");
    fenced.submit(facts(5..=20_000));
    other.submit(facts(5..=2_000));
    std::thread::sleep(DELAY / 3);
    fenced.fenced();
    wait_until("replaced", || !bench.heard.republishing().is_empty());
    bench.broker.delay(Duration::ZERO).expect("told");
    wait_for(&other, 2_000);
    let records = bench.published();
    assert_complete(&records, 1, 1..=2_000);
    let late: usize = first_copies(&records, 0).values().map(Vec::len).sum();
    assert!(late < 20_000, "all of a fenced lane went out");
}

#[test]
fn a_fenced_lane_with_nothing_under_way_disturbs_nobody() {
    let bench = Bench::new();
    let (fenced, other) = (bench.relay.open(0, 1), bench.relay.open(1, 1));
    fenced.submit(facts(1..=100));
    wait_for(&fenced, 100);
    fenced.fenced();
    other.submit(facts(1..=100));
    wait_for(&other, 100);
    assert_eq!(bench.heard.republishing(), [""; 0]);
}

#[test]
fn stopping_keeps_its_deadline_without_a_broker() {
    let bench = Bench::new();
    let lane = bench.relay.open(0, 1);
    lane.submit(facts(1..=10));
    wait_for(&lane, 10);
    bench.broker.down().expect("down");
    lane.submit(facts(11..=20_000));
    std::thread::sleep(Duration::from_millis(300));
    let (deadline, began) = (Duration::from_secs(2), Instant::now());
    bench.relay.stop(deadline);
    let took = began.elapsed();
    assert!(took >= deadline / 2, "it waits for the broker: {took:?}");
    assert!(took <= deadline + Duration::from_millis(100), "{took:?}");
}

#[test]
fn a_broker_that_never_was_is_complained_of() {
    let heard = Arc::new(Heard::default());
    let observer = Arc::clone(&heard) as Arc<dyn Observer>;
    // Nothing listens on the port of a broker that has ended.
    let gone = EmbeddedBroker::start(&[]).expect("a broker").connection();
    let relay = Relay::start(&gone, &Settings::default(), "group".into(), observer).expect("a relay");
    let lane = relay.open(0, 1);
    lane.submit(facts(1..=10));
    wait_until("complained", || !heard.trouble.lock().expect("not poisoned").is_empty());
    let (deadline, began) = (Duration::from_millis(800), Instant::now());
    relay.stop(deadline);
    assert!(began.elapsed() <= deadline + Duration::from_millis(100));
    assert_eq!((lane.acknowledged(), lane.in_flight()), (0, 10));
    assert_eq!(*relay.failure().borrow(), None, "a broker may come back");
}

#[test]
fn a_missing_right_ends_publishing_with_a_sentence() {
    let bench = Bench::new();
    let lane = bench.relay.open(0, 1);
    let refused = [RDKafkaRespErr::RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED];
    bench
        .broker
        .fail_requests(RDKafkaApiKey::Produce, &refused)
        .expect("told");
    lane.submit(
        facts(4..=4)
            .into_iter()
            .map(|row| OutboxRow { sequence: 1, ..row })
            .collect(),
    );
    assert_eq!(
        failure(&bench),
        "fact 1 of lane 0 is refused by facts/0: TopicAuthorizationFailed (Broker: Topic authorization failed); \
         this client lacks Write on topic facts: \
         kafka-acls.sh --add --allow-principal User:NAME --operation Write --topic facts"
    );
}

#[test]
fn a_record_too_large_ends_publishing_and_is_not_skipped() {
    let bench = Bench::new();
    let lane = bench.relay.open(0, 1);
    lane.submit(vec![fact(1)]);
    wait_for(&lane, 1);
    let refused = [RDKafkaRespErr::RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE];
    bench
        .broker
        .fail_requests(RDKafkaApiKey::Produce, &refused)
        .expect("told");
    lane.submit(vec![fact(2)]);
    let failure = failure(&bench);
    assert!(
        failure.starts_with("fact 2 of lane 0 is refused by facts/2"),
        "{failure}"
    );
    assert!(failure.contains("max.message.bytes"), "{failure}");
    lane.submit(vec![fact(3)]);
    std::thread::sleep(Duration::from_millis(100));
    assert_eq!(lane.acknowledged(), 1);
    assert!(
        bench
            .published()
            .iter()
            .all(|record| record.number("orderflow-seq") == 1)
    );
}

/// What is refused as oversized must still fit as a dead letter.
#[test]
fn a_record_far_beyond_the_limit_of_facts_is_published() {
    let bench = Bench::new();
    let lane = bench.relay.open(0, 1);
    let huge = OutboxRow {
        value: Some(vec![0; 20 << 20]),
        ..fact(1)
    };
    lane.submit(vec![huge, fact(2)]);
    wait_for(&lane, 2);
}

#[test]
fn a_partition_that_is_not_there_ends_publishing() {
    let bench = Bench::new();
    let lane = bench.relay.open(0, 1);
    lane.submit(facts(1..=4));
    wait_for(&lane, 4);
    let nowhere = OutboxRow {
        partition: PARTITIONS,
        ..fact(5)
    };
    lane.submit(vec![nowhere]);
    assert!(failure(&bench).contains("fact 5 of lane 0 is refused by facts/4"));
}

fn failure(bench: &Bench) -> String {
    let failure = bench.relay.failure();
    wait_until("failed", || failure.borrow().is_some());
    let sentence = failure.borrow().clone();
    sentence.expect("set")
}
