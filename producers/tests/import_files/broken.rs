//! Files that are broken.

use super::*;

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
        // Cut inside its number, which says nothing of whose it was; of a cancellation the first letter is enough.
        ("4".to_owned(), 2, 2),
        ("C".to_owned(), 4, 0),
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
fn a_file_that_ends_inside_a_number_holds_back_its_last_invoice_until_it_is_mended() {
    let sound = "x,1,2010-12-01 08:26:00,1,,";
    let lines = ["536364", "536365", "536365"].map(|invoice| format!("{invoice},a,{sound}\n"));
    let text = format!("{HEADER}{}", lines.concat());
    let cut = text.len() - lines[2].len() + "5363".len();
    let (orders, report) = read(&text[..cut]);
    assert_eq!(
        (orders.len(), counts(&report)),
        (1, vec![(Accepted, 1), (Unreadable, 1), (HeldBack, 1)])
    );
    let (whole, report) = read(&text);
    assert_eq!(counts(&report), [(Accepted, 3)]);
    assert_eq!((whole.len(), &whole[0]), (2, &orders[0]));
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
fn bad_options_are_refused_before_the_file_is_read() {
    let options = ImportOptions {
        source: String::new(),
        ..ImportOptions::default()
    };
    let (_, outcome) = read_with(Input::file("/nowhere.csv"), &options);
    assert_eq!(outcome.expect_err("no source").to_string(), "source: must not be empty");
}
