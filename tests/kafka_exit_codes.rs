//! Exit codes that only a cluster brings about: refused by a service, violated, nothing matched, too late, impossible.

mod support;

use std::fs;
use std::path::Path;
use std::process::{Command, Output};
use std::time::{Duration, Instant};

use rusqlite::Connection;
use serde_json::Value;
use support::broker::Broker;
use support::cluster::end_offsets;
use support::process::{Daemon, output_of, output_unread, shown, stdout_of};
use support::system::System;
use support::wait_until;

/// A daemon that is asked to end is gone within that. Three times what is promised.
const ENDED: Duration = Duration::from_secs(15);

/// Longer than the program waits for one answer about a group, which is 5 s.
const NO_ANSWER: Duration = Duration::from_secs(8);

/// Runs the program, which must end with `code`; gives what it printed and what it said.
fn ends_with(code: i32, command: &mut Command) -> (String, String) {
    let output: Output = output_of(command);
    assert_eq!(output.status.code(), Some(code), "{command:?}\n{}", shown(&output));
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    (text(&output.stdout), text(&output.stderr))
}

/// The program with the words of a line.
fn told(system: &System, line: &str) -> Command {
    let mut command = system.orderflow();
    command.args(line.split(' '));
    command
}

fn json(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|error| panic!("{error}: {text}"))
}

/// The cells of the second line of a table.
fn cells(table: &str) -> Vec<&str> {
    table
        .lines()
        .nth(1)
        .map(|line| line.split_whitespace().collect())
        .unwrap_or_default()
}

#[test]
#[ignore = "needs Kafka's jars; run by ./tests/run"]
fn a_movement_that_inventory_refuses_is_told_and_is_no_success() {
    let system = System::start(2);
    let _inventory = system.run("inventory");
    let taken = stdout_of(&mut told(&system, "stock receive A 10 --wait"));
    assert_eq!(cells(&taken).last(), Some(&"yes"), "{taken}");
    stdout_of(&mut told(&system, "order place --item A:6:1.00"));
    system.wait_caught_up("inventory");
    assert_eq!(stock(&system), (Some(4), Some(6)));

    // One that is on the shelf, of which six are promised.
    let (table, said) = ends_with(1, &mut told(&system, "stock set A 1 --wait"));
    assert_eq!(cells(&table).last(), Some(&"refused"), "{table}");
    for part in [
        "error[event-refused]: inventory refused 1 of 1 events",
        ": invalid_order: ",
        "hint: orderflow topics tail stock.inventory.dlq",
    ] {
        assert!(said.contains(part), "{said}");
    }
    sent_again_it_stays_refused(&system);
    of_a_file_one_line_is_refused(&system);
    assert_eq!(stock(&system), (Some(4), Some(6)));

    // What was refused to others is nothing to this one.
    let taken = stdout_of(&mut told(&system, "stock set A 7 --wait --json"));
    let row = &json(&taken)["items"][0];
    assert_eq!(
        (&row["handled"], &row["refused"]),
        (&true.into(), &Value::Array(vec![])),
        "{row}"
    );
    assert_eq!(stock(&system), (Some(1), Some(6)));
}

/// The second one is a duplicate, of which no second dead letter is written.
fn sent_again_it_stays_refused(system: &System) {
    let id = "018f2a3e-0002-7000-8000-0000000000aa";
    let again = format!("stock set A 1 --wait --json --event-id {id} --occurred-at 2026-11-21T10:00:00Z");
    for _ in 0..2 {
        let (printed, problem) = ends_with(1, &mut told(system, &again));
        let row = &json(&printed)["items"][0];
        assert_eq!((&row["events"], &row["handled"]), (&1.into(), &false.into()), "{row}");
        assert_eq!(row["refused"][0]["event_id"], id, "{row}");
        assert_eq!(row["refused"][0]["reason"], "invalid_order", "{row}");
        assert_eq!(json(&problem)["type"], "/problems/event-refused", "{problem}");
    }
}

/// The other one is applied.
fn of_a_file_one_line_is_refused(system: &System) {
    let file = system.folder().join("delivery.csv");
    fs::write(&file, format!("product_id,quantity\nB,5\nA,{}\n", i64::MAX)).expect("a file");
    let (table, said) = ends_with(1, &mut told(system, "stock import delivery.csv --wait"));
    assert_eq!(cells(&table)[2..], ["1", "refused"], "{table}");
    assert!(said.contains("inventory refused 1 of 2 events"), "{said}");
    let b = json(&stdout_of(&mut told(system, "stock show B --json")));
    assert_eq!(b["items"][0]["available"], 5, "{b}");
}

/// What is available and what is reserved of product A.
fn stock(system: &System) -> (Option<i64>, Option<i64>) {
    let row = json(&stdout_of(&mut told(system, "stock show A --json")))["items"][0].clone();
    (row["available"].as_i64(), row["reserved"].as_i64())
}

#[test]
#[ignore = "needs Kafka's jars; run by ./tests/run"]
fn a_violated_invariant_is_exit_code_11_and_says_where() {
    let system = System::start(2);
    let mut services = [system.run("inventory"), system.run("payment")];
    stdout_of(&mut told(&system, "stock receive A 10 --wait"));
    let placed = stdout_of(&mut told(&system, "order place --item A:6:1.00 --json"));
    let placed = json(&placed)["items"][0].clone();
    stdout_of(&mut told(&system, "audit"));
    for service in &mut services {
        assert!(service.stop(ENDED).success(), "{}", service.log());
    }

    // A copy that has forgotten the order; the databases themselves stay as they are.
    let copy = system.folder().join("copy");
    copied(system.data_dir(), &copy);
    let id = placed["event_id"].as_str().expect("an id");
    let forget = format!("DELETE FROM inbox WHERE id = X'{}'", id.replace('-', ""));
    let forgotten = Connection::open(copy.join("inventory.db"))
        .and_then(|database| database.execute(&forget, []))
        .expect("a row can be deleted");
    assert_eq!(forgotten, 1);
    let mut audit = system.orderflow();
    audit.args(["audit", "--data-dir"]).arg(&copy);
    let (table, said) = ends_with(11, &mut audit);
    let unread = output_unread(&mut audit);
    assert_eq!(unread.status.code(), Some(11), "{}", shown(&unread));
    assert!(
        said.contains("error[audit-violated]: 1 invariants do not hold: inbox"),
        "{said}"
    );
    let line = ["inbox", "inventory", "orders"]
        .into_iter()
        .map(str::to_owned)
        .chain([
            placed["partition"].to_string(),
            placed["offset"].to_string(),
            id.to_owned(),
        ])
        .collect::<Vec<_>>();
    let listed = table
        .lines()
        .map(|line| line.split_whitespace().take(6).collect::<Vec<_>>());
    assert_eq!(listed.filter(|cells| *cells == line).count(), 1, "{line:?}\n{table}");
    stdout_of(&mut told(&system, "audit"));
}

/// Copies a folder of databases that nobody uses.
fn copied(from: &Path, to: &Path) {
    fs::create_dir(to).expect("a folder");
    for entry in fs::read_dir(from).expect("a folder").flatten() {
        if entry.path().is_file() {
            fs::copy(entry.path(), to.join(entry.file_name())).expect("a copy");
        }
    }
}

#[test]
#[ignore = "needs Kafka's jars; run by ./tests/run"]
fn a_product_that_nobody_knows_is_exit_code_12() {
    let system = System::start(2);
    let _inventory = system.run("inventory");
    stdout_of(&mut told(&system, "stock receive A 10 --wait"));
    let (table, said) = ends_with(12, &mut told(&system, "stock show A nosuch"));
    assert_eq!(table, "", "nothing is shown of what was asked for");
    assert!(
        said.contains(r#"error[nothing-matched]: inventory knows no product "nosuch""#),
        "{said}"
    );
}

#[test]
#[ignore = "needs Kafka's jars; run by ./tests/run"]
fn a_wait_that_nobody_ends_is_exit_code_13() {
    let system = System::start(2);
    let (table, said) = ends_with(13, &mut told(&system, "stock receive A 10 --wait --timeout 1s"));
    let row = cells(&table);
    assert_eq!((row[0], row[2]), ("1", "-"), "nobody knows what became of it\n{table}");
    assert!(
        said.contains("error[deadline-passed]: inventory had not handled it after 1 s; what was written stays written"),
        "{said}"
    );
    assert!(said.contains("hint: is it running? orderflow run inventory"), "{said}");
    let again = said
        .split_once("to wait for it, repeat it with ")
        .and_then(|(_, rest)| rest.split_once(": it counts once in any case"));
    let (again, _) = again.unwrap_or_else(|| panic!("no hint: {said}"));
    assert!(again.starts_with(&format!("--event-id {} ", row[1])), "{said}");

    let file = system.folder().join("delivery.csv");
    fs::write(&file, "product_id,quantity\nB,5\n").expect("a file");
    let import = "stock import delivery.csv --wait";
    let (printed, problem) = ends_with(13, &mut told(&system, &format!("{import} --timeout 1s --json")));
    assert_eq!(json(&printed)["items"][0]["handled"], Value::Null, "{printed}");
    assert!(problem.contains("import the same file again"), "{problem}");

    // And it does stay: whoever comes later applies it, and repeated as the hints say it counts once.
    let _inventory = system.run("inventory");
    for repeated in [&format!("stock receive A 10 --wait {again}"), import] {
        let taken = stdout_of(&mut told(&system, repeated));
        assert_eq!(cells(&taken).last(), Some(&"yes"), "{taken}");
    }
    let shown = json(&stdout_of(&mut told(&system, "stock show A B --json")));
    let available = |at: usize| shown["items"][at]["available"].as_i64();
    assert_eq!((available(0), available(1)), (Some(10), Some(5)), "{shown}");
}

#[test]
#[ignore = "needs Kafka's jars; run by ./tests/run"]
fn a_wait_outlasts_a_broker_that_does_not_answer() {
    let system = System::start(2);
    let mut command = told(&system, "stock receive A 10 --wait");
    let mut waiting = Daemon::start(&mut command, &system.log_file("waiting"));
    wait_until("the event", Duration::from_secs(30), || {
        end_offsets(&system.brokers(), "stock") == 1
    });
    system.broker.freeze();
    let thawed = Instant::now() + NO_ANSWER;
    while Instant::now() < thawed {
        assert!(waiting.is_running(), "{}", waiting.log());
        std::thread::sleep(Duration::from_millis(50));
    }
    system.broker.thaw();
    let _inventory = system.run("inventory");
    assert!(waiting.wait(Duration::from_mins(1)).success(), "{}", waiting.log());
    assert_eq!(cells(&waiting.log()).last(), Some(&"yes"), "{}", waiting.log());
}

#[test]
#[ignore = "needs Kafka's jars; run by ./tests/run"]
fn topics_are_made_whether_or_not_anybody_reads_what_is_printed() {
    let system = System::on(Broker::start());
    let applied = output_unread(&mut told(&system, "topics apply --partitions 2"));
    assert!(applied.status.success(), "{}", shown(&applied));
    let planned = stdout_of(&mut told(&system, "topics plan --json"));
    let planned = json(&planned)["items"].as_array().cloned().unwrap_or_default();
    assert!(
        !planned.is_empty() && planned.iter().all(|step| step["action"] == "fine"),
        "{planned:?}"
    );
}

#[test]
#[ignore = "needs Kafka's jars; run by ./tests/run"]
fn an_audit_that_cannot_judge_says_why() {
    let system = System::start(1);
    let mut services = [system.run("inventory"), system.run("payment")];
    stdout_of(&mut told(&system, "order place --item A:6:1.00"));
    for service in ["inventory", "payment"] {
        system.wait_caught_up(service);
    }
    for service in &mut services {
        assert!(service.stop(ENDED).success(), "{}", service.log());
    }

    stdout_of(&mut told(&system, "order place --item A:6:1.00"));
    let (table, said) = ends_with(13, &mut told(&system, "audit --timeout 1s"));
    assert_eq!(table, "", "nothing was judged");
    for part in [
        "error[deadline-passed]: ",
        "hint: are they running? orderflow run inventory, orderflow run payment",
    ] {
        assert!(said.contains(part), "{said}");
    }

    system.delete_records("orders", 1);
    let (table, said) = ends_with(4, &mut told(&system, "audit --timeout 1s"));
    assert_eq!(table, "", "nothing was judged");
    assert!(said.contains("error[audit-impossible]: "), "{said}");
    assert!(said.contains("orders"), "{said}");
}
