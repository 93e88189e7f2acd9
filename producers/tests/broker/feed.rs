//! Files of orders and of stock.

use super::*;

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

#[test]
fn an_interrupted_import_is_completed_by_repeating_it() {
    let broker = broker();
    let file = || {
        Input::file(concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/data/online_retail_2010-12_to_2011-05.csv.gz"
        ))
    };
    let import = |stop: &Stop, watch: orderflow_producers::Watch<'_>, limit| {
        let options = ImportOptions {
            limit,
            ..ImportOptions::default()
        };
        let sink = SinkOptions {
            in_flight: 10,
            ..import::sink_options("orders")
        };
        import::import(&broker.connection(), sink, file(), &options, stop, watch).expect("imported")
    };
    let stop = Stop::default();
    broker.delay(Duration::from_millis(20)).expect("delayed");
    let first = import(&stop, &mut |_| stop.request(), None);
    assert!(first.stopped && (1..400).contains(&first.orders), "{}", first.orders);
    assert_eq!(first.tally.pending() + first.tally.failed, 0);
    broker.delay(Duration::ZERO).expect("in time again");
    let second = import(&Stop::default(), &mut |_| (), Some(400));
    let records = all(&broker.connection(), "orders");
    assert_eq!(
        records.len() as u64,
        first.tally.acknowledged + second.tally.acknowledged
    );
    let events: std::collections::BTreeSet<Vec<u8>> = records.into_iter().map(|record| record.value).collect();
    assert_eq!(events.len(), 400);
}
