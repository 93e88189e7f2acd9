//! What is read from files, without any broker: the real data and its figures, and files that are broken in every way.

mod broken;
mod ndjson;
mod rules;

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
