//! What reaches the topics of a broker: in order, once, and told apart from what did not.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use orderflow_domain::{Event, OrderPlaced, Timestamp};
use orderflow_producers::emit::{self, EmitError, EmitOptions, EmitReport, Shape};
use orderflow_producers::import::{self, ImportOptions, Input};
use orderflow_producers::place::{PlaceError, PlaceOptions, place};
use orderflow_producers::stock::{self, CatalogueOptions, StockOptions};
use orderflow_producers::{Patience, Sink, SinkError, SinkOptions, Stop};
use orderflow_runtime::embedded::EmbeddedBroker;
use orderflow_runtime::kafka::Connection;
use rdkafka::Message as _;
use rdkafka::consumer::{BaseConsumer, Consumer as _};
use rdkafka::message::Headers as _;
use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};
use rdkafka::{Offset, TopicPartitionList};

const PARTITIONS: i32 = 4;
const DEADLINE: Duration = Duration::from_secs(30);

fn broker() -> EmbeddedBroker {
    EmbeddedBroker::start(&[("orders", PARTITIONS), ("stock", PARTITIONS)]).expect("the embedded broker starts")
}

/// A record as it lies in a topic.
#[derive(Debug, Clone, PartialEq)]
struct Found {
    partition: i32,
    key: String,
    value: Vec<u8>,
    headers: BTreeMap<String, String>,
    millis: i64,
}

impl Found {
    fn order(&self) -> OrderPlaced {
        match orderflow_schemas::decode(&self.value) {
            Ok(Event::OrderPlaced(order)) => order,
            other => panic!("no order: {other:?}"),
        }
    }
}

/// Everything in a topic, partition by partition in order.
fn all(connection: &Connection, topic: &str) -> Vec<Found> {
    let properties = [("group.id", "test"), ("enable.auto.commit", "false")];
    let consumer: BaseConsumer = connection.client(&properties).create().expect("a consumer");
    let mut partitions = TopicPartitionList::new();
    let mut expected = 0;
    for partition in 0..PARTITIONS {
        let watermarks = consumer
            .fetch_watermarks(topic, partition, DEADLINE)
            .expect("watermarks");
        expected += usize::try_from(watermarks.1).expect("an offset");
        partitions
            .add_partition_offset(topic, partition, Offset::Beginning)
            .expect("an offset");
    }
    consumer.assign(&partitions).expect("assigned");
    let mut found = Vec::new();
    while found.len() < expected {
        let record = consumer.poll(DEADLINE).expect("a record in time").expect("a record");
        let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).expect("UTF-8");
        let headers = record.headers().into_iter().flat_map(|headers| headers.iter());
        found.push(Found {
            partition: record.partition(),
            key: text(record.key().expect("a key")),
            value: record.payload().expect("a value").to_vec(),
            headers: headers
                .map(|header| (header.key.to_owned(), text(header.value.expect("a value"))))
                .collect(),
            millis: record.timestamp().to_millis().expect("a timestamp"),
        });
    }
    found.sort_by_key(|record| record.partition);
    found
}

fn order(items: &[&str]) -> PlaceOptions {
    PlaceOptions {
        customer: Some("17850".to_owned()),
        items: items.iter().map(|item| item.parse().expect("an item")).collect(),
        currency: "GBP".parse().expect("a currency"),
        payment_token: "tok_ok".to_owned(),
        order_id: None,
        placed_at: None,
        source: "test".to_owned(),
    }
}

fn load(count: u64, rate: &str) -> EmitOptions {
    EmitOptions {
        count: count.try_into().expect("not zero"),
        rate: rate.parse().expect("a rate"),
        seed: Some(7),
        start: None,
        shape: Shape::default(),
        source: "test".to_owned(),
        sink: SinkOptions::stream("orders"),
    }
}

fn emitted(connection: &Connection, options: &EmitOptions) -> Result<EmitReport, EmitError> {
    emit::emit(connection, options, &Stop::default(), &mut |_| ())
}

fn impatient(milliseconds: u64) -> Patience {
    let wait = Duration::from_millis(milliseconds);
    Patience {
        connect: wait,
        acknowledgement: wait,
        stop: wait,
    }
}

#[test]
fn a_placed_order_is_a_record_that_any_tool_can_read() {
    let broker = broker();
    let before = orderflow_now_millis();
    let placed = place(
        &broker.connection(),
        "orders",
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
        "orders",
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
    place(&broker.connection(), "orders", &again, DEADLINE, &Stop::default()).expect("placed again");
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
        "orders",
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
        "orders",
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
    let error = place(&connection, "orders", &order(&items), DEADLINE, &Stop::default()).expect_err("too large");
    assert!(
        matches!(&error, PlaceError::NotWritten(SinkError::TooLarge { .. })),
        "{error:?}"
    );
    assert!(all(&broker.connection(), "orders").is_empty());
}

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
        cause: SinkError::Refused { topic, reason, .. },
        report,
    } = &error
    else {
        panic!("{error:?}");
    };
    assert!(
        topic == "orders" && reason.to_lowercase().contains("authorization"),
        "{reason}"
    );
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

#[test]
fn an_import_places_every_order_and_a_second_one_the_same_bytes() {
    let broker = broker();
    let options = ImportOptions {
        limit: Some(400),
        ..ImportOptions::default()
    };
    let imported = || {
        let input = Input::file(concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/data/online_retail_2010-12_to_2011-05.csv.gz"
        ));
        let sink = import::sink_options("orders");
        import::import(
            &broker.connection(),
            sink,
            input,
            &options,
            &Stop::default(),
            &mut |_| (),
        )
    };
    let report = imported().expect("imported");
    assert_eq!((report.orders, report.tally.acknowledged), (400, 400));
    let once = all(&broker.connection(), "orders");
    assert_eq!(once.len(), 400);
    imported().expect("imported again");
    let twice = all(&broker.connection(), "orders");
    for partition in 0..PARTITIONS {
        let of = |records: &[Found]| -> Vec<(String, Vec<u8>)> {
            let records = records.iter().filter(|record| record.partition == partition);
            records
                .map(|record| (record.key.clone(), record.value.clone()))
                .collect()
        };
        assert!(of(&twice) == [of(&once), of(&once)].concat());
    }
}

#[test]
fn an_import_without_a_broker_reads_nothing() {
    let sink = SinkOptions {
        patience: impatient(300),
        ..import::sink_options("orders")
    };
    let input = Input::file("/nowhere.csv");
    let outcome = import::import(
        &Connection::to("127.0.0.1:1"),
        sink,
        input,
        &ImportOptions::default(),
        &Stop::default(),
        &mut |_| (),
    );
    let failed = outcome.expect_err("nobody is there");
    assert!(failed.to_string().contains("no broker at 127.0.0.1:1"), "{failed}");
}

#[test]
fn stock_goes_to_its_topic_and_the_positions_say_how_far() {
    let broker = broker();
    let text = "product_id,quantity\n85123A,6\n71053,8\n22423,9\n";
    let input = Input::bytes("catalogue.csv", text.as_bytes());
    let events = stock::parse(input, &CatalogueOptions::default()).expect("a catalogue");
    let sink = || SinkOptions::stream("stock");
    let report = stock::send(&broker.connection(), sink(), &events, &Stop::default(), &mut |_| ()).expect("sent");
    assert_eq!((report.tally.acknowledged, report.event_ids.len()), (3, 3));
    let options = StockOptions {
        source: "test".to_owned(),
        event_id: None,
        occurred_at: None,
    };
    let set = stock::counted("85123A", 4, "stock_take", &options).expect("a count");
    stock::send(&broker.connection(), sink(), &[set], &Stop::default(), &mut |_| ()).expect("sent");
    let records = all(&broker.connection(), "stock");
    let keys: Vec<&str> = records.iter().map(|record| record.key.as_str()).collect();
    assert_eq!(keys.len(), 4);
    assert_eq!(keys.iter().filter(|key| **key == "85123A").count(), 2);
    let offsets: i64 = report.positions.iter().map(|position| position.offset + 1).sum();
    assert_eq!(offsets, 3);
}

/// The time a load gives an order is its place in the load, so within a partition it only rises.
fn in_order(records: &[Found]) {
    let places: Vec<(i32, Timestamp)> = records
        .iter()
        .map(|record| (record.partition, record.order().placed_at))
        .collect();
    assert!(
        places.windows(2).all(|pair| pair[0] < pair[1]),
        "a record was overtaken or came twice"
    );
}

fn orderflow_now_millis() -> i64 {
    let since = std::time::SystemTime::now()
        .duration_since(std::time::UNIX_EPOCH)
        .expect("after 1970");
    i64::try_from(since.as_millis()).expect("before the year 292278994")
}
