//! The rules, on the real data and on small files.

use super::*;

#[test]
fn the_real_data_gives_the_documented_figures() {
    let (orders, outcome) = read_with(Input::file(real_file()), &ImportOptions::default());
    let report = outcome.expect("the file is sound");
    let expected = [
        (Accepted, 202_986),
        (Cancellation, 3_783),
        (NotAProduct, 972),
        (NoQuantity, 651),
        (NoPrice, 637),
    ];
    assert_eq!(counts(&report), expected);
    assert_eq!(report.lines, 209_029);
    assert_eq!((report.orders, report.guests), (8_067, 703));
    assert_eq!((report.items, report.longest), (199_877, 674));
    assert_eq!((report.total_minor, report.units), (390_780_511, 2_110_450));
    assert_eq!(report.products, Some(3_375));
    assert_eq!(problems(&report), [""; 0]);
    assert_eq!(report.counts[&Cancellation].first.len(), 5);
    assert!(orders.iter().all(|order| order.validate().is_ok()));
    let first = &orders[0];
    assert_eq!(first.placed_at.to_string(), "2010-12-01T08:26:00Z");
    assert_eq!(first.meta.occurred_at, first.placed_at);
    assert_eq!(first.customer_id.as_ref().map(CustomerId::as_str), Some("17850"));
    let summer = orders
        .iter()
        .find(|order| order.placed_at.to_string().starts_with("2011-05-31"));
    assert_eq!(
        summer.map(|order| order.placed_at.to_string()).as_deref(),
        Some("2011-05-31T07:03:00Z")
    );
}

#[test]
fn a_file_read_twice_gives_the_same_bytes_and_another_source_others() {
    let bytes = |source: &str| {
        let options = ImportOptions {
            source: source.to_owned(),
            limit: Some(300),
            ..ImportOptions::default()
        };
        let (orders, outcome) = read_with(Input::file(real_file()), &options);
        assert_eq!(outcome.expect("the file is sound").orders, 300);
        let mut bytes = Vec::new();
        for order in &orders {
            orderflow_schemas::encode(order, &mut bytes);
        }
        (bytes, orders)
    };
    let (first, orders) = bytes("online-retail");
    assert!(first == bytes("online-retail").0);
    assert!(first != bytes("another-shop").0);
    let mut ids: Vec<_> = orders
        .iter()
        .flat_map(|order| [order.order_id.0, order.meta.event_id.0])
        .collect();
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 600);
}

#[test]
fn the_first_rule_that_fits_decides_and_every_line_is_counted_once() {
    let (orders, report) = csv(&[
        "C536379,POST,,-1,x,-1,,",
        "A563185,B,,1,2010-12-01 08:26:00,1,,",
        "536365,POST,,x,x,x,x,x",
        "536365,BANK CHARGES,,1,2010-12-01 08:26:00,1,,",
        "536365,85123A,,0,x,x,,",
        "536365,85123A,,-9,2010-12-01 08:26:00,1,,",
        "536365,85123A,,1,x,0,,",
        "536365,85123A,,1,x,-2.5,,",
        "536365,85123A,,1,2010-12-01 08:26:00,0.001,,",
        "536365,DOTCOM,,1,2010-12-01 08:26:00,0.125,,",
    ]);
    assert_eq!(
        counts(&report),
        [
            (Accepted, 2),
            (Cancellation, 1),
            (Adjustment, 1),
            (NotAProduct, 2),
            (NoQuantity, 2),
            (NoPrice, 2)
        ]
    );
    let prices: Vec<i64> = orders[0].items.iter().map(|item| item.unit_price_minor).collect();
    assert_eq!((orders.len(), prices), (1, vec![0, 12]));
    assert_eq!(report.counts[&NoPrice].first, [8, 9]);
}

#[test]
fn lines_of_one_invoice_are_one_order() {
    let (orders, report) = csv(&[
        "1,b,\"one, \"\"two\"\"\",6,2010-12-01 08:27:00,2.55,17850,UK",
        "1, a ,x,1,2010-12-01 08:26:00,3,17850,UK",
        "C2,a,x,-1,2010-12-01 08:26:00,3,17850,UK",
        "1,b,x,2,2010-12-01 08:28:00,2.55,17850,UK",
        "1,b,x,2,2010-12-01 08:28:00,2.5,17850,UK",
    ]);
    assert_eq!(counts(&report), [(Accepted, 4), (Cancellation, 1)]);
    let items: Vec<_> = orders[0]
        .items
        .iter()
        .map(|item| (item.product_id.as_str(), item.quantity, item.unit_price_minor))
        .collect();
    assert_eq!(items, [("b", 8, 255), (" a ", 1, 300), ("b", 2, 250)]);
    assert_eq!(orders[0].placed_at.to_string(), "2010-12-01T08:26:00Z");
    assert_eq!(orders[0].total_minor, 8 * 255 + 300 + 2 * 250);
}

#[test]
fn times_are_londons() {
    for (local, utc) in [
        ("2010-12-01 08:26:00", "2010-12-01T08:26:00Z"),
        ("2011-05-31 08:26:00", "2011-05-31T07:26:00Z"),
        // The hour that is left out in spring, and the one that comes twice in autumn.
        ("2011-03-27 01:30:00", "2011-03-27T01:30:00Z"),
        ("2011-10-30 01:30:00", "2011-10-30T00:30:00Z"),
    ] {
        let (orders, _) = csv(&[&format!("1,a,x,1,{local},1,,")]);
        assert_eq!(orders[0].placed_at.to_string(), utc, "{local}");
    }
}

#[test]
fn columns_are_found_by_name_and_line_numbers_survive_line_breaks() {
    let text = "\u{feff}Country,CustomerID,UnitPrice,InvoiceDate,Quantity,Description,StockCode,InvoiceNo,Note\r\n\
                UK,1,2.55,2010-12-01 08:26:00,6,\"two\r\nlines\",a,1,\r\n\r\nUK,1,2.55,x,6,y,a,2,\r\n";
    let (orders, report) = read(text);
    assert_eq!((orders.len(), orders[0].total_minor), (1, 6 * 255));
    assert!(
        problems(&report)[0].starts_with("line 5: InvoiceDate"),
        "{:?}",
        problems(&report)
    );
}

#[test]
fn a_limit_and_a_stop_end_it_early_and_the_counts_still_add_up() {
    let options = ImportOptions {
        limit: Some(10),
        ..ImportOptions::default()
    };
    let (orders, outcome) = read_with(Input::file(real_file()), &options);
    let report = outcome.expect("the file is sound");
    assert_eq!((orders.len(), report.count(Unfinished)), (10, 1));
    counts(&report);
    let stop = Stop::default();
    let stopped = import::read(Input::file(real_file()), &ImportOptions::default(), &stop, &mut |_| {
        stop.request();
        Ok(())
    });
    let report = stopped.expect("stopping is no failure");
    assert_eq!((report.orders, report.stopped), (1, true));
    counts(&report);
}

#[test]
fn the_demand_of_a_file_is_what_its_orders_ask_for() {
    let demand = import::demand(Input::file(real_file()), &ImportOptions::default()).expect("the file is sound");
    assert_eq!((demand.len(), demand.values().sum::<i64>()), (3_375, 2_110_450));
}
