//! A file to be imported, of invoice lines or of events: every line is counted once, and every order that comes out of it
//! could be placed.

#![no_main]

use std::io::Cursor;

use libfuzzer_sys::fuzz_target;
use orderflow_producers::Stop;
use orderflow_producers::import::{self, ImportOptions, Input};

fuzz_target!(|file: &[u8]| {
    let input = Input::reader("fuzz", Cursor::new(file.to_vec()));
    let mut orders = 0;
    let read = import::read(input, &ImportOptions::default(), &Stop::default(), &mut |order| {
        assert_eq!(order.validate(), Ok(()));
        orders += 1;
        Ok(())
    });
    let report = match read {
        Ok(report) => report,
        Err(failed) => {
            let sentence = failed.cause.to_string();
            assert!(!sentence.is_empty() && sentence.len() < 1_000, "{sentence}");
            *failed.report
        }
    };
    assert_eq!(report.orders, orders);
    let counted: u64 = report.counts.values().map(|count| count.lines).sum();
    assert_eq!(report.lines, counted);
});
