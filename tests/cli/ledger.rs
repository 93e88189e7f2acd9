//! Payment's ledger where it must not be used, or cannot: what is told before anything is consumed.

use std::fs;
use std::path::Path;

use rusqlite::Connection;

use crate::behaviour::{folder, orderflow, run, stderr};

/// What payment says on a ledger that this made in its folder. Whoever starts it again does not mend a 5.
fn refused(code: i32, make: impl FnOnce(&Path)) -> String {
    let folder = folder();
    make(&folder.path().join("gateway.db"));
    let output = run(&mut orderflow(folder.path(), &["run", "payment", "--data-dir", "."]));
    let said = stderr(&output);
    assert_eq!(output.status.code(), Some(code), "{said}");
    assert!(said.contains("gateway.db"), "{said}");
    said
}

#[test]
fn a_ledger_that_is_no_database_is_damage() {
    let said = refused(5, |ledger| {
        fs::write(ledger, "nothing that SQLite has written\n".repeat(200)).expect("written");
    });
    assert!(said.contains("error[database-damaged]"), "{said}");
    assert!(
        said.contains("hint: keep a copy of it and restore a backup\n"),
        "{said}"
    );
}

#[test]
fn a_ledger_of_a_newer_program_is_left_to_that() {
    let said = refused(5, |ledger| {
        let books = Connection::open(ledger).expect("a database");
        books.pragma_update(None, "user_version", 7).expect("set");
    });
    assert!(said.contains("error[store-refused]"), "{said}");
    assert!(said.contains("has layout 7; this version knows 1\n"), "{said}");
    assert!(said.contains("hint: use the newer program that wrote it\n"), "{said}");
}

#[test]
fn a_ledger_that_cannot_be_opened_may_be_elsewhere() {
    let said = refused(4, |ledger| fs::create_dir(ledger).expect("a folder"));
    assert!(said.contains("error[store-unavailable]"), "{said}");
    assert!(
        said.contains("hint: it cannot be written; give a folder with --data-dir where it may be\n"),
        "{said}"
    );
}
