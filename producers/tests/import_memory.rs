//! The memory of an import does not grow with the file. A test binary of its own: others would count too.

use std::io::{Cursor, Read};

use orderflow_producers::Stop;
use orderflow_producers::import::{self, ImportOptions, Input};

const INVOICES: u32 = 100_000;
const LINES_OF_EACH: u32 = 6;

/// The bound is for the whole process, the client of the brokers included, which this test has not.
const MAX_MIB: u64 = 32;

#[test]
fn memory_does_not_grow_with_the_file() {
    let header = "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country\n";
    let file = Cursor::new(header).chain(Made {
        next: 0,
        line: Cursor::new(Vec::new()),
    });
    let input = Input::reader("made while it is read", file);
    let report = import::read(input, &ImportOptions::default(), &Stop::default(), &mut |_| Ok(()));
    let report = report.expect("every line is sound");
    assert_eq!(report.orders, u64::from(INVOICES));
    assert_eq!(report.lines, u64::from(INVOICES * LINES_OF_EACH));
    let peak = peak_mib();
    assert!((1..=MAX_MIB).contains(&peak), "{peak} MiB");
}

/// Invoices of 2 KiB each, made when they are asked for: 200 MB in all.
struct Made {
    next: u32,
    line: Cursor<Vec<u8>>,
}

impl Read for Made {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let read = self.line.read(buffer)?;
        if read > 0 || self.next == INVOICES {
            return Ok(read);
        }
        let name = "x".repeat(300);
        let line = |product| format!("{},P{product},{name},1,2010-12-01 08:26:00,1,,\n", 500_000 + self.next);
        self.line = Cursor::new((0..LINES_OF_EACH).map(line).collect::<String>().into_bytes());
        self.next += 1;
        self.line.read(buffer)
    }
}

fn peak_mib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux tells");
    let line = status
        .lines()
        .find_map(|line| line.strip_prefix("VmHWM:"))
        .expect("Linux tells the peak");
    let kib = line.split_whitespace().next().and_then(|kib| kib.parse::<u64>().ok());
    kib.expect("in KiB") / 1_024
}
