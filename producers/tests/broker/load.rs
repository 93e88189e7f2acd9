//! Loads: their order, their rate and their ends.

use super::*;

#[test]
fn a_load_arrives_whole_and_in_the_order_it_was_made() {
    let broker = broker();
    let options = EmitOptions {
        start: Some(Timestamp(1_700_000_000_000_000)),
        ..load(5_000, "max")
    };
    let report = emitted(&broker.connection(), &options).expect("emitted");
    assert_eq!(
        (report.tally.sent, report.tally.acknowledged, report.tally.failed),
        (5_000, 5_000, 0)
    );
    assert!(report.rate() > 0.0 && report.latency.is_some_and(|latency| latency.p50 <= latency.max));
    let records = all(&broker.connection(), "orders");
    assert_eq!(records.len(), 5_000);
    in_order(&records);
    let records_in = |partition| records.iter().filter(|record| record.partition == partition).count();
    assert!(
        report
            .positions
            .iter()
            .all(|position| usize::try_from(position.offset + 1) == Ok(records_in(position.partition)))
    );
    assert_eq!(report.positions.len(), 4);
}

#[test]
fn a_load_with_a_seed_and_a_start_repeats_every_byte() {
    let options = EmitOptions {
        start: Some(Timestamp(1_700_000_000_000_000)),
        ..load(300, "max")
    };
    let bytes = || {
        let broker = broker();
        emitted(&broker.connection(), &options).expect("emitted");
        let records = all(&broker.connection(), "orders");
        records
            .into_iter()
            .map(|record| (record.key, record.value, record.headers))
            .collect::<Vec<_>>()
    };
    assert!(bytes() == bytes());
}

#[test]
fn a_full_queue_waits_and_keeps_the_order() {
    let broker = broker();
    broker.delay(Duration::from_millis(30)).expect("delayed");
    let sink = SinkOptions {
        in_flight: 50,
        ..SinkOptions::stream("orders")
    };
    let start = Some(Timestamp(1_700_000_000_000_000));
    let report = emitted(
        &broker.connection(),
        &EmitOptions {
            sink,
            start,
            ..load(1_000, "max")
        },
    )
    .expect("emitted");
    assert_eq!(report.tally.acknowledged, 1_000);
    let records = all(&broker.connection(), "orders");
    assert_eq!(records.len(), 1_000);
    in_order(&records);
}

#[test]
fn retried_requests_keep_the_order() {
    let broker = broker();
    let retried = [
        RDKafkaRespErr::RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION,
        RDKafkaRespErr::RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT,
        RDKafkaRespErr::RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS,
    ];
    broker
        .fail_requests(RDKafkaApiKey::Produce, &retried)
        .expect("injected");
    let start = Some(Timestamp(1_700_000_000_000_000));
    let report = emitted(
        &broker.connection(),
        &EmitOptions {
            start,
            ..load(2_000, "max")
        },
    )
    .expect("emitted");
    assert_eq!(report.tally.acknowledged, 2_000);
    in_order(&all(&broker.connection(), "orders"));
}

#[test]
fn a_refused_record_ends_the_load_with_its_reason() {
    let broker = broker();
    let refused = vec![RDKafkaRespErr::RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED; 100];
    broker
        .fail_requests(RDKafkaApiKey::Produce, &refused)
        .expect("injected");
    let error = emitted(&broker.connection(), &load(1_000, "max")).expect_err("refused");
    let EmitError::Interrupted {
        cause: SinkError::Denied { right, .. },
        report,
    } = &error
    else {
        panic!("{error:?}");
    };
    assert_eq!(right.to_string(), "Write on topic orders");
    assert_eq!(report.tally.acknowledged, 0);
}

#[test]
fn a_rate_is_held() {
    let broker = broker();
    let report = emitted(&broker.connection(), &load(600, "200")).expect("emitted");
    assert!((190.0..=206.0).contains(&report.rate()), "{}", report.rate());
}

#[test]
fn a_load_that_is_stopped_reports_what_was_acknowledged() {
    let broker = broker();
    let stop = Stop::default();
    let mut told = 0;
    let report = emit::emit(&broker.connection(), &load(100_000, "500"), &stop, &mut |progress| {
        told += 1;
        assert_eq!(progress.of, Some(100_000));
        stop.request();
    });
    let report = report.expect("stopping is no failure");
    assert!(report.stopped && told == 1);
    assert!(report.tally.sent > 0 && report.tally.sent < 10_000);
    assert_eq!(
        all(&broker.connection(), "orders").len() as u64,
        report.tally.acknowledged
    );
    assert_eq!(report.tally.acknowledged, report.tally.sent);
}

#[test]
fn a_stop_ends_a_run_whose_broker_is_away() {
    let broker = broker();
    let stop = Stop::default();
    let sink = SinkOptions {
        patience: Patience {
            stop: Duration::from_secs(1),
            ..impatient(60_000)
        },
        ..SinkOptions::stream("orders")
    };
    let mut away = None;
    let error = emit::emit(
        &broker.connection(),
        &EmitOptions {
            sink,
            ..load(100_000, "1000")
        },
        &stop,
        &mut |_| {
            if away.is_none() {
                broker.down().expect("down");
                away = Some(Instant::now());
            } else {
                stop.request();
            }
        },
    );
    let took = away.expect("it began").elapsed();
    let error = error.expect_err("some was not acknowledged");
    assert!(error.to_string().contains("may have been written"), "{error}");
    assert!(took < Duration::from_secs(5), "{took:?}");
}

#[test]
fn a_load_without_acknowledgements_ends_after_its_patience() {
    let broker = broker();
    let never = vec![RDKafkaRespErr::RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS; 10_000];
    broker.fail_requests(RDKafkaApiKey::Produce, &never).expect("injected");
    let sink = SinkOptions {
        patience: impatient(1_500),
        in_flight: 100,
        ..SinkOptions::stream("orders")
    };
    let error = emitted(
        &broker.connection(),
        &EmitOptions {
            sink,
            ..load(1_000, "max")
        },
    )
    .expect_err("no acks");
    assert!(
        matches!(&error, EmitError::Interrupted { cause, .. } if cause.is_unavailable()),
        "{error:?}"
    );
}
