//! Tools that are not ours, beside our daemons: kcat, Confluent's Python client, Kafka's own.

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::io::Write as _;
use std::os::unix::ffi::OsStrExt as _;
use std::process::{Command, Stdio};

use rdkafka::message::Headers as _;
use rdkafka::{Message as _, message::OwnedMessage};
use serde_json::Value;
use support::cluster::{Sent, end_offsets, produce, records};
use support::process::{Daemon, shown, stdout_of};
use support::records::{Made, new_id, order, receipt};
use support::seed::Dice;
use support::system::System;
use support::tools::{kafka_tool, kcat, python};

/// Stock for every order there will be, and waits until the running inventory has it.
fn stock_up(system: &System) {
    send(system, "stock", &[receipt("85123A", 1_000_000)]);
    system.wait_caught_up("inventory");
}

fn send(system: &System, topic: &str, records: &[Made]) {
    let sent = records.iter().map(|Made { key, value }| Sent {
        key,
        value,
        millis: None,
    });
    produce(&system.brokers(), topic, sent);
}

/// Runs a command on some input.
fn feed(command: &mut Command, input: &[u8]) {
    let mut child = command
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("it starts");
    let mut stdin = child.stdin.take().expect("a pipe");
    stdin.write_all(input).expect("it reads its input");
    drop(stdin);
    let output = child.wait_with_output().expect("it ends");
    assert!(output.status.success(), "{command:?}\n{}", shown(&output));
}

fn header<'a>(record: &'a OwnedMessage, name: &str) -> Option<&'a [u8]> {
    record.headers()?.iter().find(|header| header.key == name)?.value
}

#[test]
#[ignore = "needs Kafka's jars, kcat and Python; run by ./tests/run"]
fn clients_in_other_languages_place_orders_and_read_facts() {
    let system = System::start(3);
    let (_registry, url) = system.serve_schemas();
    let (mut inventory, mut payment) = (system.run("inventory"), system.run("payment"));
    stock_up(&system);

    let ids: Vec<_> = (0..3).map(|_| new_id()).collect();
    for id in &ids {
        let mut place = python("place_order.py");
        stdout_of(place.args([&system.brokers(), &url, "orders", id, "85123A", "2"]));
    }
    system.wait_caught_up("inventory");
    system.wait_caught_up("payment");

    for (topic, event, field) in [
        ("orders", "orderflow.orders.OrderPlaced", "items"),
        ("inventory", "orderflow.inventory.InventoryReserved", "reservations"),
        ("payments", "orderflow.payments.PaymentProcessed", "amount_minor"),
    ] {
        let read = stdout_of(python("read_avro.py").args([&system.brokers(), &url, topic, "3"]));
        let read: Vec<Value> = read
            .lines()
            .map(|line| serde_json::from_str(line).expect("JSON"))
            .collect();
        assert_eq!(read.len(), 3, "{topic}");
        for record in &read {
            let key = record["key"].as_str().expect("a key");
            assert!(ids.iter().any(|id| id == key), "{record}");
            assert_eq!(record["value"]["order_id"], key);
            assert!(!record["value"][field].is_null(), "{record}");
            if topic != "orders" {
                assert_eq!(record["headers"]["ce_id"], record["value"]["meta"]["event_id"]);
                assert_eq!(record["headers"]["ce_type"], event);
                assert_eq!(record["headers"]["content-type"], "application/avro");
            }
        }
    }
    assert!(
        inventory.stop(std::time::Duration::from_secs(10)).success(),
        "{}",
        inventory.log()
    );
    assert!(
        payment.stop(std::time::Duration::from_secs(10)).success(),
        "{}",
        payment.log()
    );
}

#[test]
#[ignore = "needs Kafka's jars and kcat; run by ./tests/run"]
fn kcat_and_kafkas_own_tools_read_what_the_daemons_wrote() {
    let system = System::start(3);
    let orders: Vec<_> = (1..=5).map(|quantity| order("85123A", quantity)).collect();
    let _inventory = system.run("inventory");
    stock_up(&system);
    send(&system, "orders", &orders);
    system.wait_caught_up("inventory");
    let facts = records(&system.brokers(), "inventory");
    assert_eq!(facts.len(), 5);

    kcat_lists(&system, &facts);
    kcat_copies(&system, &facts[0]);
    console_consumer_reads(&system, &orders);
    get_offsets_counts(&system, 5);
}

/// Keys and headers.
fn kcat_lists(system: &System, facts: &[OwnedMessage]) {
    let format = "%p %o %k %h\n";
    let listed = stdout_of(kcat(&system.brokers()).args(["-C", "-t", "inventory", "-e", "-f", format]));
    for (line, fact) in sorted(&listed).iter().zip(facts) {
        let key = String::from_utf8_lossy(fact.key().expect("a key"));
        assert!(
            line.starts_with(&format!("{} {} {key} ", fact.partition(), fact.offset())),
            "{line}"
        );
        assert!(line.contains("ce_type=orderflow.inventory.InventoryReserved"), "{line}");
        assert!(line.contains("orderflow-group=inventory"), "{line}");
    }
}

/// The value, byte by byte.
fn kcat_copies(system: &System, fact: &OwnedMessage) {
    let (partition, offset) = (fact.partition().to_string(), fact.offset().to_string());
    let mut one = kcat(&system.brokers());
    one.args([
        "-C",
        "-t",
        "inventory",
        "-p",
        &partition,
        "-o",
        &offset,
        "-c",
        "1",
        "-D",
        "",
        "-f",
        "%s",
    ]);
    assert_eq!(
        one.output().expect("kcat runs").stdout,
        fact.payload().expect("a value")
    );
}

fn console_consumer_reads(system: &System, orders: &[Made]) {
    let mut console = kafka_tool("org.apache.kafka.tools.consumer.ConsoleConsumer");
    console.args([
        "--bootstrap-server",
        &system.brokers(),
        "--topic",
        "inventory",
        "--from-beginning",
    ]);
    console.args(["--max-messages", "5", "--timeout-ms", "20000"]);
    console.args([
        "--formatter-property",
        "print.key=true",
        "--formatter-property",
        "print.value=false",
    ]);
    let keys = stdout_of(&mut console);
    let mut keys: Vec<_> = keys.lines().map(str::trim).collect();
    let mut placed: Vec<_> = orders.iter().map(|order| order.key.as_str()).collect();
    keys.sort_unstable();
    placed.sort_unstable();
    assert_eq!(keys, placed);
}

fn get_offsets_counts(system: &System, count: i64) {
    let mut offsets = kafka_tool("org.apache.kafka.tools.GetOffsetShell");
    let told = stdout_of(offsets.args(["--bootstrap-server", &system.brokers(), "--topic", "inventory"]));
    let ends = told
        .lines()
        .filter_map(|line| line.rsplit(':').next()?.parse::<i64>().ok());
    assert_eq!(ends.sum::<i64>(), count, "{told}");
}

/// Lines that begin with partition and offset, in the order of these.
fn sorted(listed: &str) -> Vec<&str> {
    let mut lines: Vec<_> = listed.lines().collect();
    lines.sort_by_key(|line| {
        let mut numbers = line.split(' ').map(|word| word.parse::<i64>().expect("a number"));
        (numbers.next(), numbers.next())
    });
    lines
}

#[test]
#[ignore = "needs Kafka's jars and kcat; run by ./tests/run"]
fn what_other_tools_garble_becomes_dead_letters_with_the_same_bytes() {
    let system = System::start(2);
    let mut inventory = system.run("inventory");
    let mut console = kafka_tool("org.apache.kafka.tools.ConsoleProducer");
    console.args(["--bootstrap-server", &system.brokers(), "--topic", "orders"]);
    console.args(["--reader-property", "parse.key=true"]);
    console.args(["--reader-property", "key.separator=|"]);
    feed(&mut console, b"text|no Avro at all\njson|{\"order_id\": 1}\n");
    // A record without a key, and a tombstone.
    let good = order("85123A", 1);
    let file = tempfile::NamedTempFile::new().expect("a temporary file");
    std::fs::write(file.path(), &good.value).expect("the file can be written");
    stdout_of(
        kcat(&system.brokers())
            .args(["-P", "-t", "orders", "-H", "from=kcat"])
            .arg(file.path()),
    );
    feed(
        kcat(&system.brokers()).args(["-P", "-t", "orders", "-Z", "-K|"]),
        b"gone|\n",
    );
    // The lane goes on.
    send(&system, "orders", std::slice::from_ref(&good));
    system.wait_caught_up("inventory");
    send(&system, "orders", &[retold(&good)]);
    system.wait_caught_up("inventory");

    let letters = records(&system.brokers(), "orders.inventory.dlq");
    let found: BTreeMap<_, _> = letters.iter().map(|letter| (reason(letter), letter)).collect();
    let keys: BTreeMap<_, _> = found
        .iter()
        .map(|(reason, letter)| (reason.as_str(), letter.key()))
        .collect();
    let expected: BTreeMap<&str, Option<&[u8]>> = BTreeMap::from([
        ("bad_magic", Some(&b"text"[..])),
        ("null_key", None),
        ("tombstone", Some(b"gone")),
        ("conflict", Some(good.key.as_bytes())),
    ]);
    for (reason, key) in &expected {
        if *reason != "bad_magic" {
            assert_eq!(keys.get(reason), Some(key), "{keys:?}");
        }
    }
    assert_eq!(letters.len(), 5, "{keys:?}");
    one_error_is_logged(&inventory.log(), "the same event id with other bytes");
    let garbled: Vec<_> = letters
        .iter()
        .filter(|letter| reason(letter) == "bad_magic")
        .map(|it| it.payload())
        .collect();
    assert!(garbled.contains(&Some(b"no Avro at all")) && garbled.contains(&Some(b"{\"order_id\": 1}")));
    assert_eq!(found["null_key"].payload(), Some(good.value.as_slice()));
    assert_eq!(header(found["null_key"], "from"), Some(&b"kcat"[..]));
    assert_eq!(
        header(found["null_key"], "kafka_dlt-original-topic"),
        Some(&b"orders"[..])
    );
    assert_eq!(found["tombstone"].payload(), None);
    assert_eq!(end_offsets(&system.brokers(), "inventory"), 1);
    assert!(inventory.is_running(), "{}", inventory.log());
}

/// What nobody can have meant; everything else is a warning at most.
fn one_error_is_logged(log: &str, what: &str) {
    let mut errors = log.lines().filter(|line| line.contains("\"ERROR\""));
    assert!(errors.next().is_some_and(|error| error.contains(what)), "{log}");
    assert_eq!(errors.next(), None, "{log}");
}

/// The same event id with other bytes, that can be read as well.
fn retold(order: &Made) -> Made {
    let mut other = order.clone();
    let token = other.value.windows(6).position(|bytes| bytes == b"tok_ok");
    other.value[token.expect("its token") + 4] = b'x';
    other
}

fn reason(letter: &OwnedMessage) -> String {
    String::from_utf8_lossy(header(letter, "orderflow-reason").expect("a reason")).into_owned()
}

/// Any producer may set them, and Kafka takes the first wherever it comes from.
#[test]
#[ignore = "needs Kafka's jars; run by ./tests/run"]
fn a_time_that_nobody_can_have_meant_is_a_dead_letter_that_the_audit_counts() {
    const TIMES: [i64; 3] = [-1, -2_000, 7_258_118_400_000];
    let system = System::start(2);
    // Kafka itself refuses what lies an hour ahead, unless told otherwise.
    let mut tool = kafka_tool("kafka.admin.ConfigCommand");
    tool.args(["--bootstrap-server", &system.brokers(), "--alter", "--topic", "orders"]);
    stdout_of(tool.args(["--add-config", "message.timestamp.after.max.ms=9223372036854775807"]));
    let _services = [system.run("inventory"), system.run("payment")];
    stock_up(&system);
    let strange = TIMES.map(|millis| (order("85123A", 1), millis));
    let sent = strange.iter().map(|(Made { key, value }, millis)| Sent {
        key,
        value,
        millis: Some(*millis),
    });
    produce(&system.brokers(), "orders", sent);
    send(&system, "orders", &[order("85123A", 1)]);
    stdout_of(system.orderflow().arg("audit"));

    let written = records(&system.brokers(), "orders");
    let written: BTreeSet<_> = written.iter().map(|record| record.timestamp().to_millis()).collect();
    assert!(written.contains(&None), "-1 is no time: {written:?}");
    assert!(written.contains(&Some(TIMES[2])), "{written:?}");
    for service in ["inventory", "payment"] {
        let letters = records(&system.brokers(), &format!("orders.{service}.dlq"));
        let reasons: Vec<_> = letters.iter().map(reason).collect();
        assert_eq!(reasons, ["limit"; 3], "{service}");
        let kept: BTreeSet<_> = letters.iter().map(|letter| letter.payload()).collect();
        assert_eq!(kept, strange.iter().map(|(order, _)| Some(&order.value[..])).collect());
        let counts = "SELECT sum(applied) * 10 + sum(dead) FROM v_progress WHERE topic = 'orders'";
        assert_eq!(system.number(service, counts), Some(13), "{service}");
    }
    assert_eq!(end_offsets(&system.brokers(), "inventory"), 1, "the lanes went on");
}

/// Hexadecimal digits that no codec finds a pattern in: half of their bits say something.
fn digits(count: usize) -> Vec<u8> {
    let mut dice = Dice::new(7);
    let draw = || b"0123456789abcdef"[dice.below(16)];
    std::iter::repeat_with(draw).take(count).collect()
}

/// Any producer can write them, and each once ended the daemon at every start. Brokers bound what is compressed: three
/// million equal bytes pass a limit of 1 MiB, and so do digits that gzip shortens and lz4 does not.
#[test]
#[ignore = "needs Kafka's jars and kcat; run by ./tests/run"]
fn what_a_client_chokes_on_becomes_a_dead_letter_too() {
    let system = System::start(3);
    let log = system.log_file("inventory");
    // Letters that are as long as they are.
    let mut command = system.orderflow();
    command
        .args(["run", "inventory"])
        .env("ORDERFLOW_RUNTIME_COMPRESSION", "none");
    let mut inventory = Daemon::start(&mut command, &log);
    let name_that_is_no_text = std::ffi::OsStr::from_bytes(b"\xff\xfe=1");
    let mut strange = kcat(&system.brokers());
    strange
        .args(["-P", "-t", "orders", "-k", "strange", "-H", "before=1", "-H"])
        .arg(name_that_is_no_text)
        .args(["-H", "behind=2"]);
    feed(&mut strange, b"hello");
    let [repeated, random] = [vec![b'x'; 3_000_000], digits(1_300_000)];
    for (key, codec, value) in [("repeated", "lz4", &repeated), ("random", "gzip", &random)] {
        let mut large = kcat(&system.brokers());
        large.args(["-P", "-t", "orders", "-k", key, "-z", codec]);
        large.args(["-X", "message.max.bytes=10000000"]);
        feed(&mut large, value);
    }
    system.wait_caught_up("inventory");

    let letters = records(&system.brokers(), "orders.inventory.dlq");
    let refused: BTreeSet<_> = letters
        .iter()
        .map(|letter| (header(letter, "orderflow-reason"), letter.payload()))
        .collect();
    let expected = [
        (Some(&b"limit"[..]), Some(&b"hello"[..])),
        (Some(&b"oversized"[..]), Some(&repeated[..])),
        (Some(&b"oversized"[..]), Some(&random[..])),
    ];
    let found: Vec<_> = refused.iter().map(|(reason, _)| reason).collect();
    assert!(refused == BTreeSet::from(expected), "{found:?}");
    let strange = letters.iter().find(|letter| letter.payload() == Some(b"hello"));
    let strange = strange.expect("a letter");
    let sound = [header(strange, "before"), header(strange, "behind")];
    assert_eq!(sound, [Some(&b"1"[..]), Some(&b"2"[..])], "the other headers are kept");
    assert!(inventory.is_running(), "{}", inventory.log());
}
