//! What is read from files, without any broker: the real data and its figures, and files that are broken in every way.

use std::io::Write as _;
use std::path::PathBuf;

use flate2::Compression;
use flate2::write::GzEncoder;
use orderflow_domain::{CustomerId, OrderPlaced};
use orderflow_producers::Stop;
use orderflow_producers::import::Reason::{
    Accepted, Adjustment, Cancellation, HeldBack, NoPrice, NoQuantity, NotAProduct, OtherEvent, Unfinished, Unreadable,
};
use orderflow_producers::import::{self, ImportError, ImportFailed, ImportOptions, ImportReport, Input, Reason};

const HEADER: &str = "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country\n";

fn real_file() -> PathBuf {
    PathBuf::from(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/data/online_retail_2010-12_to_2011-05.csv.gz"
    ))
}

fn read_with(input: Input, options: &ImportOptions) -> (Vec<OrderPlaced>, Result<ImportReport, ImportFailed>) {
    let mut orders = Vec::new();
    let outcome = import::read(input, options, &Stop::default(), &mut |order| {
        orders.push(order.clone());
        Ok(())
    });
    (orders, outcome)
}

fn read(text: impl AsRef<[u8]>) -> (Vec<OrderPlaced>, ImportReport) {
    let input = Input::reader("test.csv", std::io::Cursor::new(text.as_ref().to_vec()));
    let (orders, outcome) = read_with(input, &ImportOptions::default());
    (orders, outcome.expect("a file that can be read to its end"))
}

fn csv(lines: &[&str]) -> (Vec<OrderPlaced>, ImportReport) {
    read(format!("{HEADER}{}\n", lines.join("\n")))
}

fn failure(text: impl AsRef<[u8]>) -> (Vec<OrderPlaced>, ImportFailed) {
    let input = Input::reader("test.csv", std::io::Cursor::new(text.as_ref().to_vec()));
    let (orders, outcome) = read_with(input, &ImportOptions::default());
    (orders, outcome.expect_err("a file that cannot be read"))
}

/// Counts by reason, which must add up to the lines read.
fn counts(report: &ImportReport) -> Vec<(Reason, u64)> {
    assert_eq!(
        report.counts.values().map(|count| count.lines).sum::<u64>(),
        report.lines
    );
    report
        .counts
        .iter()
        .map(|(reason, count)| (*reason, count.lines))
        .collect()
}

fn problems(report: &ImportReport) -> Vec<String> {
    report.problems.iter().map(ToString::to_string).collect()
}

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
fn a_field_that_cannot_be_read_holds_back_the_invoice_and_no_other() {
    let sound = "2010-12-01 08:26:00,1,17850,UK";
    for (broken, problem) in [
        (format!("2,a,x,1.5,{sound}"), "Quantity: \"1.5\" is not a whole number"),
        (
            format!("2,a,x,99999999999999999999,{sound}"),
            "Quantity: \"99999999999999999999\" is not",
        ),
        (format!("2,a,x,,{sound}"), "Quantity: \"\" is not"),
        (format!("2,,x,1,{sound}"), "StockCode: must not be empty"),
        (format!("2,{},x,1,{sound}", "a".repeat(129)), "StockCode: has 129 bytes"),
        (format!("2,\"a\nb\",x,1,{sound}"), "StockCode: has a control character"),
        (
            "2,a,x,1,2010-12-01T08:26:00,1,,".to_owned(),
            "InvoiceDate: \"2010-12-01T08:26:00\" is not a time",
        ),
        (
            "2,a,x,1,2010-02-30 08:26:00,1,,".to_owned(),
            "InvoiceDate: \"2010-02-30 08:26:00\" is not a time",
        ),
        (
            "2,a,x,1,2010-12-01 08:26:00,1e3,,".to_owned(),
            "UnitPrice: \"1e3\" is not an amount",
        ),
        (
            "2,a,x,1,2010-12-01 08:26:00,1,17850.0,".to_owned(),
            "CustomerID: \"17850.0\" is not all digits",
        ),
        (format!("2,a,x,1,{sound},more"), "9 columns; the header has 8"),
        ("2,a,x,1".to_owned(), "4 columns; the header has 8"),
        (
            format!("2,a,\"x,1,{sound}"),
            "a closing quote is followed by something else than a comma",
        ),
        (format!("2,a,x\"y,1,{sound}"), "a quote stands inside a field"),
    ] {
        let (orders, report) = csv(&[
            &format!("1,a,x,1,{sound}"),
            &format!("2,a,x,1,{sound}"),
            &broken,
            &format!("2,b,\"x\",1,{sound}"),
            &format!("3,a,x,1,{sound}"),
        ]);
        assert_eq!(
            counts(&report),
            [(Accepted, 2), (Unreadable, 1), (HeldBack, 2)],
            "{broken}"
        );
        assert_eq!(orders.len(), 2, "{broken}");
        let problems = problems(&report);
        assert!(
            problems
                .iter()
                .any(|found| found.starts_with("line 4: ") && found.contains(problem)),
            "{problems:?}"
        );
        assert!(
            problems.iter().any(|found| found.contains("invoice 2 is held back")),
            "{problems:?}"
        );
    }
}

#[test]
fn bad_utf_8_is_unreadable_wherever_it_stands() {
    let mut text = HEADER.as_bytes().to_vec();
    text.extend_from_slice(b"1,a,caf\xe9,1,2010-12-01 08:26:00,1,,\n1,b,x,1,2010-12-01 08:26:00,1,,\n");
    let (orders, report) = read(text);
    assert_eq!(
        (orders.len(), counts(&report)),
        (0, vec![(Unreadable, 1), (HeldBack, 1)])
    );
    assert_eq!(problems(&report)[0], "line 2: Description: byte 4 is not UTF-8");
}

#[test]
fn a_line_that_names_no_invoice_holds_back_its_neighbours() {
    let sound = "a,x,1,2010-12-01 08:26:00,1,,";
    let invoice = |number: u32| format!("{number},{sound}");
    for (orphan, accepted, held_back) in [
        (format!(",{sound}"), 2, 2),
        ("??".to_owned(), 2, 2),
        ("C9,\"".to_owned(), 4, 0),
    ] {
        let (_, report) = csv(&[&invoice(1), &invoice(2), &orphan, &invoice(3), &invoice(4)]);
        assert_eq!(
            (report.count(Accepted), report.count(HeldBack)),
            (accepted, held_back),
            "{orphan}"
        );
        assert_eq!(report.count(Unreadable), 1, "{orphan}");
    }
}

#[test]
fn an_invoice_that_comes_back_is_refused() {
    let sound = "a,x,1,2010-12-01 08:26:00,1,17850,";
    let (orders, report) = csv(&[
        &format!("1,{sound}"),
        &format!("2,{sound}"),
        &format!("1,{sound}"),
        &format!("2,{sound}"),
        &format!("01,{sound}"),
    ]);
    assert_eq!(counts(&report), [(Accepted, 4), (HeldBack, 1)]);
    let quantities: Vec<i64> = orders.iter().map(|order| order.items[0].quantity).collect();
    assert_eq!(quantities, [1, 2, 1]);
    assert_eq!(
        problems(&report),
        ["line 4: InvoiceNo: invoice 1 is closed or held back already"]
    );
}

#[test]
fn an_invoice_of_two_customers_or_too_many_items_is_held_back() {
    let (orders, report) = csv(&["1,a,x,1,2010-12-01 08:26:00,1,1,", "1,b,x,1,2010-12-01 08:26:00,1,2,"]);
    assert_eq!(
        (orders.len(), counts(&report)),
        (0, vec![(Unreadable, 1), (HeldBack, 1)])
    );
    let lines: Vec<String> = (0..2_001)
        .map(|product| format!("1,p{product},x,1,2010-12-01 08:26:00,1,,"))
        .collect();
    let lines: Vec<&str> = lines.iter().map(String::as_str).collect();
    let (orders, report) = csv(&lines);
    assert_eq!((orders.len(), counts(&report)), (0, vec![(HeldBack, 2_001)]));
    assert!(problems(&report)[0].contains("invoice 1 is held back: it has more than 2000 items"));
    assert_eq!(csv(&lines[1..]).0[0].items.len(), 2_000);
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
fn what_is_no_such_file_is_refused_with_its_name() {
    for (text, problem) in [
        (String::new(), "test.csv:1: the file is empty"),
        (
            HEADER.replace("UnitPrice", "UnitPrise"),
            "test.csv:1: the column UnitPrice is missing",
        ),
        (
            HEADER.replace("Country", "Quantity"),
            "the column Quantity stands there twice",
        ),
        (HEADER.replace("Description", "\"Description"), "a quote is not closed"),
        ("PK\u{3}\u{4}".to_owned(), "the column InvoiceNo is missing"),
    ] {
        let (orders, failed) = failure(&text);
        assert!(orders.is_empty() && failed.to_string().contains(problem), "{failed}");
    }
    let missing = import::read(
        Input::file("/nowhere.csv"),
        &ImportOptions::default(),
        &Stop::default(),
        &mut |_| Ok(()),
    );
    let failed = missing.expect_err("there is no such file");
    assert!(
        failed.to_string().starts_with("/nowhere.csv cannot be opened: "),
        "{failed}"
    );
}

#[test]
fn a_gzip_file_that_is_cut_off_places_only_what_was_whole() {
    let lines = |count: u32| -> String {
        let line = |number: u32| {
            format!(
                "{number},a,x{},1,2010-12-01 08:26:00,1,,\n",
                number.wrapping_mul(2_654_435_761)
            )
        };
        (1..=count).map(line).collect()
    };
    let mut gzip = GzEncoder::new(Vec::new(), Compression::default());
    gzip.write_all(format!("{HEADER}{}", lines(20_000)).as_bytes())
        .expect("written to memory");
    let whole = gzip.finish().expect("written to memory");
    assert_eq!(read(&whole).0.len(), 20_000);
    let (orders, failed) = failure(&whole[..whole.len() / 2]);
    let ImportError::Read { file, line, .. } = &failed.cause else {
        panic!("{failed}");
    };
    let placed = orders.len() as u64;
    assert_eq!((file.as_str(), *line), ("test.csv", placed + 2));
    assert_eq!(counts(&failed.report), [(Accepted, placed), (Unfinished, 1)]);
    let (all, _) = read(&whole);
    assert_eq!(orders, all[..orders.len()]);
    let mut damaged = whole;
    let middle = damaged.len() / 2;
    damaged[middle..middle + 8].fill(0xff);
    failure(&damaged);
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
fn bad_options_are_refused_before_the_file_is_read() {
    let options = ImportOptions {
        source: String::new(),
        ..ImportOptions::default()
    };
    let (_, outcome) = read_with(Input::file("/nowhere.csv"), &options);
    assert_eq!(outcome.expect_err("no source").to_string(), "source: must not be empty");
}

#[test]
fn events_and_tailed_records_are_taken_with_their_ids() {
    let (orders, _) = csv(&["1,a,x,1,2010-12-01 08:26:00,1,,", "2,a,x,1,2010-12-01 08:26:00,1,7,"]);
    let value = |index: usize| serde_json::to_value(&orders[index]).expect("an event is JSON");
    let mut readable = value(1);
    readable["placed_at"] = orders[1].placed_at.to_string().into();
    let tailed = serde_json::json!({
        "topic": "orders", "partition": 3, "offset": 7, "timestamp": "2026-11-21T10:47:03.25Z",
        "key": orders[1].order_id.to_string(), "headers": {}, "type": "orderflow.orders.OrderPlaced", "value": readable,
    });
    let mut other = tailed.clone();
    other["type"] = "orderflow.inventory.InventoryReserved".into();
    let mut wrong_key = tailed.clone();
    wrong_key["key"] = orders[0].order_id.to_string().into();
    let mut wrong_sum = value(0);
    wrong_sum["total_minor"] = 1.into();
    let mut no_items = value(0);
    no_items.as_object_mut().expect("an object").remove("items");
    let lines = [value(0), tailed, other, wrong_key, wrong_sum, no_items].map(|line| line.to_string());
    let (found, report) = read(format!("{}\n\n{{\"torn", lines.join("\n")));
    assert_eq!(found, orders);
    assert_eq!(counts(&report), [(Accepted, 2), (OtherEvent, 1), (Unreadable, 4)]);
    for (problem, expected) in problems(&report).iter().zip([
        "line 4: key: is not the order id",
        "line 5: total_minor: is 1, but the items add up to 100",
        "line 6: missing field `items`",
        "line 8: EOF while parsing",
    ]) {
        assert!(problem.starts_with(expected), "{problem}");
    }
}

#[test]
fn the_demand_of_a_file_is_what_its_orders_ask_for() {
    let demand = import::demand(Input::file(real_file()), &ImportOptions::default()).expect("the file is sound");
    assert_eq!((demand.len(), demand.values().sum::<i64>()), (3_375, 2_110_450));
}
