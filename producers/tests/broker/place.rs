//! One order, and what keeps it from being placed.

use super::*;

#[test]
fn a_placed_order_is_a_record_that_any_tool_can_read() {
    let broker = broker();
    let before = orderflow_now_millis();
    let placed = place(
        &broker.connection(),
        SinkOptions::single("orders"),
        &order(&["85123A:6:2.55"]),
        DEADLINE,
        &Stop::default(),
    );
    let placed = placed.expect("placed");
    let records = all(&broker.connection(), "orders");
    assert_eq!(records.len(), 1);
    let record = &records[0];
    assert_eq!(record.order(), placed.order);
    assert_eq!(record.key, placed.order.order_id.to_string());
    assert_eq!(record.headers["ce_id"], placed.order.meta.event_id.to_string());
    assert_eq!(record.headers["ce_type"], "orderflow.orders.OrderPlaced");
    assert_eq!(record.headers["content-type"], "application/avro");
    assert!(record.headers.contains_key("traceparent"));
    assert!((before..=orderflow_now_millis()).contains(&record.millis));
    let position = placed.position.expect("a position");
    assert_eq!(
        (position.topic.as_str(), position.partition, position.offset),
        ("orders", record.partition, 0)
    );
}

#[test]
fn an_order_placed_again_under_its_id_and_time_has_the_same_bytes() {
    let broker = broker();
    let first = place(
        &broker.connection(),
        SinkOptions::single("orders"),
        &order(&["a b:1:2"]),
        DEADLINE,
        &Stop::default(),
    )
    .expect("placed");
    let again = PlaceOptions {
        order_id: Some(first.order.order_id),
        placed_at: Some(first.order.placed_at),
        ..order(&["a b:1:2"])
    };
    place(
        &broker.connection(),
        SinkOptions::single("orders"),
        &again,
        DEADLINE,
        &Stop::default(),
    )
    .expect("placed again");
    let records = all(&broker.connection(), "orders");
    assert_eq!(records.len(), 2);
    assert_eq!(
        (&records[0].value, &records[0].key),
        (&records[1].value, &records[1].key)
    );
}

#[test]
fn without_a_broker_nothing_was_written_and_the_error_names_it() {
    let nowhere = Connection::to("127.0.0.1:1");
    let began = Instant::now();
    let error = place(
        &nowhere,
        SinkOptions::single("orders"),
        &order(&["a:1:1"]),
        Duration::from_secs(2),
        &Stop::default(),
    );
    let error = error.expect_err("nobody is there");
    assert!(
        matches!(&error, PlaceError::NotWritten(cause) if cause.is_unavailable()),
        "{error:?}"
    );
    assert!(
        error.to_string().contains("no broker at 127.0.0.1:1 answered within"),
        "{error}"
    );
    assert!(error.to_string().contains("refused"), "{error}");
    assert!(began.elapsed() < Duration::from_secs(5), "{:?}", began.elapsed());
}

#[test]
fn without_an_acknowledgement_the_order_may_have_been_written() {
    let broker = broker();
    let never = vec![RDKafkaRespErr::RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS; 1_000];
    broker.fail_requests(RDKafkaApiKey::Produce, &never).expect("injected");
    let error = place(
        &broker.connection(),
        SinkOptions::single("orders"),
        &order(&["a:1:1"]),
        Duration::from_secs(2),
        &Stop::default(),
    );
    let error = error.expect_err("no acknowledgement");
    let PlaceError::MaybeWritten {
        order_id, placed_at, ..
    } = &error
    else {
        panic!("{error:?}");
    };
    let hint = format!("repeat with --order-id {order_id} --placed-at {placed_at}");
    assert!(
        error.to_string().contains("may have been written") && error.to_string().contains(&hint),
        "{error}"
    );
}

#[test]
fn a_missing_topic_is_named_before_anything_is_sent() {
    let broker = broker();
    let sink = Sink::open(&broker.connection(), SinkOptions::stream("ordres"), &Stop::default());
    let error = sink.expect_err("there is no such topic");
    assert!(matches!(error, SinkError::MissingTopic { .. }), "{error:?}");
    let sink = Sink::open(&broker.connection(), SinkOptions::stream("orders"), &Stop::default()).expect("it is there");
    assert_eq!(sink.partitions(), 4);
}

#[test]
fn properties_that_a_guarantee_rests_on_and_nonsense_are_refused() {
    let broker = broker();
    for (name, value, problem) in [
        ("acks", "1", "the property \"acks\" cannot be set"),
        ("linger.ms", "soon", "linger.ms: Invalid value"),
        ("no.such", "thing", "no.such: No such configuration property"),
    ] {
        let mut connection = broker.connection();
        connection.properties.insert(name.to_owned(), value.to_owned());
        let error = Sink::open(&connection, SinkOptions::stream("orders"), &Stop::default()).expect_err(problem);
        assert!(error.to_string().contains(problem), "{error}");
    }
}

#[test]
fn a_record_that_is_too_large_is_named() {
    let broker = broker();
    let mut connection = broker.connection();
    connection
        .properties
        .insert("message.max.bytes".to_owned(), "2000".to_owned());
    let items: Vec<String> = (0..200).map(|item| format!("product number {item}:1:1")).collect();
    let items: Vec<&str> = items.iter().map(String::as_str).collect();
    let error = place(
        &connection,
        SinkOptions::single("orders"),
        &order(&items),
        DEADLINE,
        &Stop::default(),
    )
    .expect_err("too large");
    assert!(
        matches!(&error, PlaceError::NotWritten(SinkError::TooLarge { .. })),
        "{error:?}"
    );
    assert!(all(&broker.connection(), "orders").is_empty());
}
