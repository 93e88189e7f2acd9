//! What docs/databases.md shows works as it stands, by `sqlite3` and by `psql`, beside daemons that run.

mod support;

use std::path::PathBuf;

use support::cluster::{Sent, produce};
use support::fleet::Fleet;
use support::process::stdout_of;
use support::records::{Made, order, receipt};
use support::system::System;
use support::tools::sqlite;

const PRODUCT: &str = "85123A";

/// The one that the document asks for.
const ITS_EVENT: &str = "0199c8b1-3c00-8123-8000-000000000000";

const SERVICES: [&str; 2] = ["inventory", "payment"];

#[test]
#[ignore = "needs Kafka's jars and sqlite3; run by ./tests/run"]
fn sqlite3_answers_what_the_document_asks() {
    let system = System::start(2);
    let _services = SERVICES.map(|service| system.run(service));
    let event = give_work(&system);
    for service in SERVICES {
        system.wait_caught_up(service);
    }

    let document = document();
    let shown = block(&document, "sh").next().expect("a command");
    assert_eq!(shown.trim(), "sqlite3 -readonly orderflow-data/inventory.db");
    let ask = |service: &str, query: &str| {
        let mut command = sqlite();
        command
            .current_dir(system.folder())
            .args(["-readonly", &format!("orderflow-data/{service}.db")]);
        stdout_of(command.arg(query)).trim_end().to_owned()
    };
    assert_each_is_answered(&document, &event, &ask);
    let in_the_table = block(&document, "sql").find(|query| query.contains("FROM inbox"));
    let [asked, meant] = [ITS_EVENT, event.as_str()].map(|id| id.replace('-', ""));
    let in_the_table = in_the_table.expect("a query").replace(&asked, &meant);
    assert_eq!(ask("inventory", &in_the_table), "0");

    ask("inventory", ".backup orderflow-data/copy.db");
    assert_eq!(ask("copy", "PRAGMA integrity_check"), "ok");
    let events = "SELECT count(*) FROM v_inbox";
    assert_eq!(ask("copy", events), ask("inventory", events), "with the latest commits");
}

#[test]
#[ignore = "needs Kafka's jars and PostgreSQL; run by ./tests/run"]
fn psql_answers_what_the_document_asks() {
    let fleet = Fleet::on(System::start(2));
    let _services = SERVICES.map(|service| fleet.run(service, service));
    let event = give_work(&fleet.system);
    stdout_of(
        fleet
            .system
            .orderflow()
            .args(["audit", "--database", &fleet.database.url()]),
    );

    let ask = |service: &str, query: &str| {
        let query = format!("SET search_path TO {service}; {query}");
        fleet.database.ask(&query)
    };
    assert_each_is_answered(&document(), &event, &ask);
}

/// Stock, two orders that are worked on, and one that nobody can read; gives the id of the first one's event.
fn give_work(system: &System) -> String {
    let brokers = system.brokers();
    let send = |topic: &str, made: &Made| produce(&brokers, topic, [made.sent()]);
    send("stock", &receipt(PRODUCT, 100));
    let placed = stdout_of(system.orderflow().args([
        "order",
        "place",
        "--item",
        "85123A:6:2.55",
        "--payment-token",
        "tok_ok",
        "--json",
    ]));
    let placed: serde_json::Value = serde_json::from_str(&placed).expect("JSON");
    send("orders", &order(PRODUCT, 4));
    let garbled = Sent {
        key: "nobody",
        value: b"no Avro at all",
        millis: None,
    };
    produce(&brokers, "orders", [garbled]);
    placed["items"][0]["event_id"].as_str().expect("an id").to_owned()
}

/// Asks every query of the document's views, and looks at what is said to a few of them; and for every column it names.
fn assert_each_is_answered(document: &str, event: &str, ask: &impl Fn(&str, &str) -> String) {
    let queries: Vec<_> = block(document, "sql")
        .filter(|query| query.contains("v_"))
        .map(|query| query.replace(ITS_EVENT, event))
        .collect();
    assert_eq!(queries.len(), 6, "{queries:?}");
    let about = |view: &str| {
        let query = queries.iter().find(|query| query.contains(&format!("FROM {view}")));
        query.unwrap_or_else(|| panic!("no query on {view}"))
    };
    for service in SERVICES {
        for query in &queries {
            ask(service, query);
        }
        let rows = ask(service, about("v_progress"));
        let missing: Vec<_> = rows.lines().map(|row| row.rsplit('|').next()).collect();
        assert!(missing.len() >= 2, "{rows}");
        assert!(missing.iter().all(|missing| *missing == Some("0")), "{rows}");
        let letters = ask(service, about("v_dead_letters"));
        assert!(
            letters.starts_with(&format!("bad_magic|orders.{service}.dlq|1|")),
            "{letters}"
        );
        assert!(ask(service, about("v_inbox")).starts_with("applied|"), "{service}");
        assert_eq!(ask(service, about("v_lanes")), "", "all is published");
    }
    assert_eq!(ask("inventory", about("v_state")), format!("{PRODUCT}|90|10"));
    assert_eq!(ask("payment", about("v_effects")), "", "each call has its answer");
    for (view, columns) in views(document) {
        for service in SERVICES {
            let query = format!("SELECT {} FROM {view} LIMIT 1", columns.join(", "));
            let row = ask(service, &query);
            let none = row.is_empty() && matches!(view, "v_effects" | "v_timers" | "v_state");
            assert!(none || row.matches('|').count() + 1 == columns.len(), "{query}: {row}");
        }
    }
}

/// The document's table of views: each with the columns it names. One that has those of another is left out.
fn views(document: &str) -> impl Iterator<Item = (&str, Vec<&str>)> {
    let rows = document.lines().filter(|line| line.starts_with("| `v_"));
    let cells = rows.map(|line| line.split('|').map(str::trim).collect::<Vec<_>>());
    let named = cells.filter(|cells| !cells[3].starts_with("as `"));
    named.map(|cells| (cells[1].trim_matches('`'), columns(cells[3])))
}

/// What stands between backticks, but for what is in brackets: values, and remarks.
fn columns(cell: &str) -> Vec<&str> {
    let outside = cell
        .split('(')
        .map(|part| part.split_once(')').map_or(part, |(_, behind)| behind));
    outside.flat_map(|part| part.split('`').skip(1).step_by(2)).collect()
}

/// The document's blocks of code in a language.
fn block<'a>(document: &'a str, language: &str) -> impl Iterator<Item = &'a str> {
    let fence = format!("```{language}\n");
    let from = move |rest: &'a str| rest.split_once(&fence).map(|(_, behind)| behind);
    let whole = std::iter::successors(from(document), {
        let from = from.clone();
        move |rest| from(rest)
    });
    whole.filter_map(|rest| rest.split_once("```").map(|(code, _)| code))
}

fn document() -> String {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("docs/databases.md");
    std::fs::read_to_string(path).expect("the document is there")
}
