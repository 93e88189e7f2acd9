//! The rights that docs/security.md lists are enough, and each of them is missed by name when it is not there.

use std::collections::BTreeMap;
use std::fs;
use std::time::Duration;

use crate::guarded::{ADMIN, Client, Guarded, Rights};
use crate::refused;
use crate::support::postgres::Database;
use crate::support::process::stdout_of;
use crate::support::tools::consumer_groups;
use crate::support::wait_until;

/// The document that says what each command needs.
const DOCUMENT: &str = include_str!("../../docs/security.md");

/// What is imported.
const FILES: [(&str, &str); 2] = [
    (
        "orders.csv",
        "InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country\n\
         536365,85123A,HOLDER,6,2010-12-01 08:26:00,2.55,17850,France\n",
    ),
    ("stock.csv", "product_id,quantity\n85123A,5\n"),
];

/// Who runs what: the heading in the document, and the user of these tests.
const SERVICES: [(&str, &str); 2] = [("run inventory", "inventory"), ("run payment", "payment")];

#[test]
#[ignore = "needs the feature tls and Kafka's jars; run by ./tests/run"]
fn the_documented_rights_are_enough() {
    let guarded = Guarded::start();
    let mut rights = Rights::of(&guarded);
    let documented = documented();
    let mut looker = guarded.client("looker");
    with(&mut rights, "looker", &documented["topics apply"], || {
        looker.run(&["topics", "apply", "--partitions", "2"]);
        looker.set("ORDERFLOW_TOPICS_EVENTS_KEPT", "40d");
        looker.run(&["topics", "apply"]);
    });
    let services = SERVICES.map(|(command, user)| {
        for right in &documented[command] {
            rights.grant(user, right);
        }
        let client = guarded.client(user);
        let arguments: Vec<_> = command.split(' ').collect();
        let daemon = client.start(&arguments);
        (client, daemon)
    });
    who_works_with_the_daemons(&guarded, &mut rights, &documented);
    with(&mut rights, "looker", &documented["topics tail"], || {
        wait_until("the order's fact", Duration::from_secs(30), || {
            looker
                .run(&["topics", "tail", "inventory"])
                .contains("InventoryReserved")
        });
    });
    with(&mut rights, "looker", &documented["topics plan"], || {
        looker.run(&["topics", "plan"])
    });
    with(&mut rights, "looker", &documented["audit"], || looker.run(&["audit"]));
    for (_client, mut daemon) in services {
        assert!(!daemon.log().contains("denies"), "{}", daemon.log());
        assert_eq!(daemon.stop(Duration::from_secs(10)).code(), Some(0), "{}", daemon.log());
    }
}

#[test]
#[ignore = "needs the feature tls and Kafka's jars; run by ./tests/run"]
fn each_right_that_is_missing_is_named() {
    let guarded = Guarded::start();
    let mut rights = Rights::of(&guarded);
    let [inventory, payment] = SERVICES.map(|(_, user)| guarded.client(user));
    to_commands(&guarded, &mut rights);
    to_daemons([&inventory, &payment], &mut rights);
    to_who_sees_a_topic_and_may_not_use_it(&guarded, &inventory, &mut rights);
}

#[test]
#[ignore = "needs the feature tls and Kafka's jars; run by ./tests/run"]
fn a_right_that_is_withdrawn_ends_a_daemon_at_work() {
    let guarded = Guarded::start();
    let mut rights = Rights::of(&guarded);
    let admin = guarded.client(ADMIN);
    admin.run(&["topics", "apply", "--partitions", "2"]);
    for right in &documented()["run inventory"] {
        rights.grant("inventory", right);
    }
    let client = guarded.client("inventory");
    for (right, code, missed) in [
        ("Read topic orders", 3, "denies this client Read on topic orders\n"),
        (
            "Read group inventory",
            3,
            "denies this client Read on group inventory\n",
        ),
        ("Write topic inventory", 5, "this client lacks Write on topic inventory"),
    ] {
        let mut daemon = client.start(&["run", "inventory"]);
        daemon.wait_for_log("assigned", Duration::from_secs(30));
        rights.revoke("inventory", right);
        // What is withdrawn is noticed where it is used.
        admin.run(&["order", "place", "--item", "85123A:6:2.55"]);
        let ended = daemon.wait(Duration::from_mins(1));
        assert_eq!(ended.code(), Some(code), "{right}\n{}", daemon.log());
        assert!(daemon.log().contains(missed), "{right}\n{}", daemon.log());
        rights.grant("inventory", right);
    }
    // Nothing was lost on the way.
    let mut daemon = client.start(&["run", "inventory"]);
    let facts = || admin.run(&["topics", "tail", "inventory"]).lines().count();
    wait_until("a fact of each order", Duration::from_secs(30), || facts() >= 3);
    assert_eq!(daemon.stop(Duration::from_secs(10)).code(), Some(0), "{}", daemon.log());
}

/// Other requests are sent than under the classic protocol; the table is the same.
#[test]
#[ignore = "needs the feature tls, Kafka's jars and PostgreSQL; run by ./tests/run"]
fn the_documented_rights_do_for_the_newer_group_protocol() {
    let guarded = Guarded::start();
    let mut rights = Rights::of(&guarded);
    let admin = guarded.client(ADMIN);
    admin.run(&["topics", "apply", "--partitions", "2"]);
    for right in &documented()["run inventory"] {
        rights.grant("inventory", right);
    }
    let database = Database::make();
    let mut client = guarded.client("inventory");
    client.set("ORDERFLOW_DATABASE", &database.url());
    client.set("ORDERFLOW_RUNTIME_GROUP_PROTOCOL", "consumer");
    let mut daemon = client.start(&["run", "inventory"]);
    admin.run(&["stock", "receive", "85123A", "100", "--wait"]);
    admin.run(&["order", "place", "--item", "85123A:6:2.55"]);
    wait_until("the order's fact", Duration::from_secs(30), || {
        let facts = admin.run(&["topics", "tail", "inventory"]);
        facts.contains("InventoryReserved")
    });
    let mut groups = consumer_groups(&guarded.broker.address());
    let newer = stdout_of(groups.args(["--list", "--type", "consumer"]));
    assert!(newer.contains("inventory"), "it is no group of that protocol\n{newer}");
    assert!(!daemon.log().contains("denies"), "{}", daemon.log());
    assert_eq!(daemon.stop(Duration::from_secs(10)).code(), Some(0), "{}", daemon.log());

    // Without the right to the group, or to what it reads, it is no member.
    for right in [
        "Read group inventory",
        "Read topic orders",
        "Read topic orders.inventory.redrive",
    ] {
        rights.revoke("inventory", right);
        let said = refused(&client, &["run", "inventory"], "forbidden");
        assert!(said.contains(&sentence(right)), "{right}\n{said}");
        rights.grant("inventory", right);
    }
}

fn who_works_with_the_daemons(guarded: &Guarded, rights: &mut Rights, documented: &BTreeMap<String, Vec<String>>) {
    let shop = guarded.client("shop");
    for (file, text) in FILES {
        fs::write(shop.path().join(file), text).expect("a file");
    }
    for (command, arguments) in [
        (
            "stock receive --wait",
            &["stock", "receive", "85123A", "100", "--wait"][..],
        ),
        ("order place", &["order", "place", "--item", "85123A:6:2.55"]),
        ("order place", &["order", "emit", "--count", "20", "--rate", "max"]),
        ("order place", &["order", "import", "orders.csv"]),
        ("stock receive --wait", &["stock", "set", "85123A", "1000"]),
        ("stock receive --wait", &["stock", "import", "stock.csv"]),
    ] {
        with(rights, "shop", &documented[command], || shop.run(arguments));
    }
    // Whether it was applied is not known to who may not read what was refused.
    let mut others = documented["stock receive --wait"].clone();
    others.retain(|right| right != "Read topic stock.inventory.dlq");
    with(rights, "shop", &others, || {
        let waiting = ["stock", "receive", "85123A", "1", "--wait"];
        is_denied(&shop, &waiting, "Read on topic stock.inventory.dlq");
    });
}

fn to_commands(guarded: &Guarded, rights: &mut Rights) {
    let mut shop = guarded.client("shop");
    let (code, said) = shop.said(&["topics", "apply"]);
    assert_eq!(code, Some(3), "{said}");
    assert!(said.contains("denies this client Describe on topic "), "{said}");

    guarded.client(ADMIN).run(&["topics", "apply", "--partitions", "2"]);
    let denied = |arguments: &[&str], right: &str| is_denied(&shop, arguments, right);
    denied(&["topics", "plan"], "Describe on topic orders");
    denied(&["topics", "tail", "orders"], "Read on topic orders");
    denied(&["audit"], "Read on topic orders");
    denied(&["order", "place", "--item", "85123A:6:2.55"], "Write on topic orders");
    denied(&["order", "emit", "--count", "2"], "Write on topic orders");
    denied(&["stock", "receive", "85123A", "1"], "Write on topic stock");
    rights.grant("shop", "Write topic stock");
    denied(
        &["stock", "receive", "85123A", "1", "--wait"],
        "Describe on group inventory",
    );
    for right in &documented()["topics plan"] {
        rights.grant("shop", right);
    }
    rights.revoke("shop", "DescribeConfigs topic payments");
    denied(&["topics", "plan"], "DescribeConfigs on topic payments");
    rights.grant("shop", "DescribeConfigs topic payments");
    shop.set("ORDERFLOW_TOPICS_EVENTS_KEPT", "50d");
    let (code, said) = shop.said(&["topics", "apply"]);
    assert_eq!(code, Some(1), "{said}");
    assert!(
        said.contains("orders: Kafka left it as it was; does this client have AlterConfigs on topic orders?"),
        "{said}"
    );
    // They may see the topics now, and not use them.
    is_denied(
        &shop,
        &["order", "place", "--item", "85123A:6:2.55"],
        "Write on topic orders",
    );
    is_denied(&shop, &["topics", "tail", "stock"], "Read on topic stock");
    rights.revoke("shop", "Write topic stock");
    is_denied(&shop, &["stock", "receive", "85123A", "1"], "Write on topic stock");
}

fn is_denied(client: &Client, arguments: &[&str], right: &str) {
    let said = refused(client, arguments, "forbidden");
    let sentence = format!("denies this client {right}\n");
    assert!(said.contains(&sentence), "{arguments:?}\n{said}");
}

fn to_daemons(clients: [&Client; 2], rights: &mut Rights) {
    let documented = documented();
    for ((command, user), client) in SERVICES.into_iter().zip(clients) {
        for right in &documented[command] {
            rights.grant(user, right);
        }
        let arguments: Vec<_> = command.split(' ').collect();
        for right in &documented[command] {
            rights.revoke(user, right);
            let missed = sentence(right);
            if right.starts_with("DescribeConfigs") {
                let mut daemon = client.start(&arguments);
                daemon.wait_for_log(&missed, Duration::from_secs(20));
                daemon.stop(Duration::from_secs(10));
            } else {
                let said = refused(client, &arguments, "forbidden");
                assert!(said.contains(&missed), "{right}\n{said}");
                assert!(said.contains("kafka-acls.sh --add"), "{right}\n{said}");
            }
            rights.grant(user, right);
        }
    }
}

/// A topic that may be seen and not used: only the use tells.
fn to_who_sees_a_topic_and_may_not_use_it(guarded: &Guarded, client: &Client, rights: &mut Rights) {
    for topic in ["orders", "stock.inventory.redrive"] {
        rights.grant("inventory", &format!("Describe topic {topic}"));
        rights.revoke("inventory", &format!("Read topic {topic}"));
        let said = refused(client, &["run", "inventory"], "forbidden");
        let missed = format!("denies this client Read on topic {topic}\n");
        assert!(said.contains(&missed), "{said}");
        rights.grant("inventory", &format!("Read topic {topic}"));
    }
    rights.grant("inventory", "Describe topic inventory");
    rights.revoke("inventory", "Write topic inventory");
    guarded
        .client(ADMIN)
        .run(&["order", "place", "--item", "85123A:6:2.55"]);
    let (code, said) = client.said(&["run", "inventory"]);
    assert_eq!(code, Some(5), "{said}");
    assert!(said.contains("error[publishing]: "), "{said}");
    assert!(said.contains("this client lacks Write on topic inventory"), "{said}");
}

/// `Read topic orders` as the program says it.
fn sentence(right: &str) -> String {
    let [operation, resource, name] = right.split(' ').collect::<Vec<_>>()[..] else {
        panic!("{right} is no right");
    };
    format!("denies this client {operation} on {resource} {name}")
}

/// Grants the rights, does it, and takes them away again.
fn with<T>(rights: &mut Rights, user: &str, granted: &[String], act: impl FnOnce() -> T) {
    for right in granted {
        rights.grant(user, right);
    }
    act();
    for right in granted {
        rights.revoke(user, right);
    }
}

/// The tables of the document: under the name of each command its rights, written `Read topic orders`.
fn documented() -> BTreeMap<String, Vec<String>> {
    let mut found: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut command = String::new();
    for line in DOCUMENT.lines() {
        if let Some(heading) = line.strip_prefix("### `").and_then(|rest| rest.strip_suffix('`')) {
            heading.clone_into(&mut command);
        }
        let Some([operation, resource, names]) = cells(line) else {
            continue;
        };
        let rights = found.entry(command.clone()).or_default();
        let names = names.split('`').skip(1).step_by(2);
        rights.extend(names.map(|name| format!("{operation} {resource} {name}")));
    }
    assert!(found.values().all(|rights| !rights.is_empty()), "{found:?}");
    found
}

fn cells(line: &str) -> Option<[&str; 3]> {
    let cells: Vec<_> = line.strip_prefix("| ")?.strip_suffix(" |")?.split(" | ").collect();
    let [operation, resource, names] = cells[..] else {
        return None;
    };
    ["topic", "group"]
        .contains(&resource)
        .then_some([operation, resource, names])
}
