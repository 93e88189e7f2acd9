//! A file of real orders whose import ends early, in every way, and is repeated: each order is placed and applied once.

mod support;

use std::collections::BTreeSet;
use std::io::Write as _;
use std::process::{Command, Stdio};
use std::time::Duration;

use serde_json::Value;
use support::cluster::end_offsets;
use support::process::{Daemon, output_of, shown, stdout_of};
use support::system::System;
use support::wait_until;

const REAL_ORDERS: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/producers/data/online_retail_2010-12_to_2011-05.csv.gz"
);

/// In the whole file.
const ORDERS: i64 = 8_067;

/// How much of the text the import is given that is killed: a quarter.
const LINES: usize = 50_000;

/// The longest that an import may take to place what it was given.
const PLACED: Duration = Duration::from_mins(1);

#[test]
#[ignore = "needs Kafka's jars; run by ./tests/run"]
fn however_an_import_ended_the_whole_file_completes_it() {
    let system = System::start(3);
    let text = stdout_of(Command::new("gzip").args(["-dc", REAL_ORDERS]));
    let _services = [system.run("inventory"), system.run("payment")];
    let stock = system.folder().join("stock.csv");
    std::fs::write(&stock, enough_of_everything(&text)).expect("the folder can be written");
    stdout_of(system.orderflow().args(["stock", "import", "--wait"]).arg(&stock));

    let killed = killed_in_the_middle(&system, &text);
    let cut = of_a_file_that_is_cut(&system) - killed;
    assert!(
        (1..ORDERS).contains(&killed) && (1..ORDERS).contains(&cut),
        "{killed}, {cut}"
    );
    stdout_of(system.orderflow().args(["order", "import", REAL_ORDERS]));
    let placed = killed + cut + ORDERS;
    assert_eq!(end_offsets(&system.brokers(), "orders"), placed);

    let audit = stdout_of(system.orderflow().args(["audit", "--json", "--timeout", "2m"]));
    let audit: Value = serde_json::from_str(&audit).expect("JSON");
    let totals = &audit["items"][0]["totals"];
    assert_eq!(totals["orders"], ORDERS, "{audit}");
    assert_eq!(totals["reserved"], ORDERS, "{audit}");
    assert_eq!(totals["processed"], ORDERS, "{audit}");
    for service in ["inventory", "payment"] {
        let counted = |outcome: &str| {
            let query = format!("SELECT sum({outcome}) FROM v_progress WHERE topic = 'orders'");
            system.number(service, &query)
        };
        assert_eq!(counted("applied"), Some(ORDERS), "{service}");
        assert_eq!(counted("duplicate"), Some(placed - ORDERS), "{service}");
    }
}

/// Kills an import that still reads, once something of it is on the topic; gives how much that is.
fn killed_in_the_middle(system: &System, text: &str) -> i64 {
    let placed = || end_offsets(&system.brokers(), "orders");
    let mut command = system.orderflow();
    command.args(["order", "import", "-"]);
    let (reads, mut writes) = std::io::pipe().expect("a pipe");
    let mut import = Daemon::start(command.stdin(Stdio::from(reads)), &system.log_file("killed"));
    drop(command);
    for line in text.split_inclusive('\n').take(LINES) {
        writes.write_all(line.as_bytes()).expect("it reads");
    }
    wait_until("the first orders", PLACED, || placed() > 0);
    import.kill();
    placed()
}

/// Imports the first half of the packed file, which says where it ends; gives how many orders there are then.
fn of_a_file_that_is_cut(system: &System) -> i64 {
    let whole = std::fs::read(REAL_ORDERS).expect("the file is there");
    std::fs::write(system.folder().join("cut.csv.gz"), &whole[..whole.len() / 2]).expect("the folder can be written");
    let output = output_of(system.orderflow().args(["order", "import", "cut.csv.gz"]));
    assert_eq!(output.status.code(), Some(1), "{}", shown(&output));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("error[input-unreadable]: cut.csv.gz:"), "{said}");
    end_offsets(&system.brokers(), "orders")
}

/// A catalogue of every product that the file names.
fn enough_of_everything(text: &str) -> String {
    let lines = text.lines().skip(1);
    let products: BTreeSet<_> = lines.filter_map(|line| line.split(',').nth(1)).collect();
    let rows: Vec<_> = products.iter().map(|product| format!("{product},1000000\n")).collect();
    format!("product_id,quantity\n{}", rows.concat())
}
