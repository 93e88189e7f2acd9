//! The demonstration needs nothing else installed, so this test does not either: what it shows, and what it refuses.

mod support;

use std::os::unix::process::CommandExt as _;
use std::process::{Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process, kill_process_group, test_kill_process_group};
use serde_json::Value;
use support::process::{Daemon, orderflow, output_of, shown, stdout_of};
use support::wait_until;

/// Longest it may take, on a busy machine and with a program that is not optimised; an idle one takes a tenth of it.
const DONE: Duration = Duration::from_mins(3);

/// From a signal to the end, three times what is promised.
const ENDED: Duration = Duration::from_secs(15);

/// What is refused is refused before anything is started; that alone takes longer.
const AT_ONCE: Duration = Duration::from_secs(8);

#[test]
fn it_shows_thousands_of_orders_a_killed_daemon_and_a_clean_audit() {
    let folder = tempfile::tempdir().expect("a folder");
    let (data, log) = (folder.path().join("demo"), folder.path().join("out"));
    let mut demo = orderflow();
    demo.args(["demo", "--json", "--data-dir"]).arg(&data);
    // No other program at all: a bare Debian has not even `kill`.
    demo.env("PATH", "");
    let status = Daemon::start(&mut demo, &log).wait(DONE);
    let out = std::fs::read_to_string(&log).expect("its output");
    assert!(status.success(), "{out}");
    let told: Value = serde_json::from_str(&out).expect("one object");
    let summary = &told["items"][0];

    let orders = number(summary, "/audit/totals/orders");
    assert!(orders >= 5_000, "{summary}");
    each_has_an_answer(summary, orders);
    what_came_twice_or_unreadable_is_told(summary, orders);
    assert_eq!(summary["killed"]["service"], "inventory");
    let before = number(summary, "/killed/after_records");
    assert!(before > 0 && before < orders, "killed in the middle: {summary}");
    assert!(number(summary, "/killed/back_after_ms") > 0, "{summary}");
    each_service_has_its_figures(summary);
    the_audit_is_clean(summary);
    assert_eq!(fields(summary), FIELDS, "fields are added, and only that");

    // What it left is there to be looked into, by this program alone.
    let stock = stdout_of(
        orderflow()
            .args(["stock", "show", "22423", "--json", "--data-dir"])
            .arg(&data),
    );
    assert!(stock.contains(r#""product_id":"22423""#), "{stock}");
    for service in ["inventory", "payment"] {
        assert!(data.join(format!("{service}.log")).exists(), "the log of {service}");
    }

    // And it is not mistaken for an empty one.
    let again = refused_at_once(orderflow().args(["demo", "--data-dir"]).arg(&data));
    assert!(again.contains("is not empty"), "{again}");
}

fn each_has_an_answer(summary: &Value, orders: u64) {
    let total = |name: &str| number(summary, &format!("/audit/totals/{name}"));
    for (yes, no) in [("reserved", "unavailable"), ("processed", "failed")] {
        let (yes, no) = (total(yes), total(no));
        assert_eq!(yes + no, orders, "each has one: {summary}");
        assert!(no > 0 && yes > no, "some are refused, and not most: {summary}");
    }
}

fn what_came_twice_or_unreadable_is_told(summary: &Value, orders: u64) {
    for group in ["inventory", "payment"] {
        // Every fiftieth order is sent twice. What a killed daemon reads again is not counted twice.
        let twice = number(summary, &format!("/duplicates/{group}"));
        assert_eq!(twice, orders.div_ceil(50), "{summary}");
        let reasons = summary["dead_letters"][group].as_object().expect("reasons");
        let letters: u64 = reasons.values().filter_map(Value::as_u64).sum();
        assert!(letters == 6 && reasons.len() > 1, "{group}: {reasons:?}");
    }
}

/// What scripts find in it.
const FIELDS: [&str; 8] = [
    "audit",
    "dead_letters",
    "duplicates",
    "facts_per_second",
    "killed",
    "latency",
    "placed",
    "took_ms",
];

fn each_service_has_its_figures(summary: &Value) {
    for figures in ["latency", "facts_per_second"] {
        assert_eq!(fields(&summary[figures]), ["inventory", "payments"], "{summary}");
    }
    for topic in ["inventory", "payments"] {
        let latency = |name: &str| number(summary, &format!("/latency/{topic}/{name}_ms"));
        let (p50, p99, max) = (latency("p50"), latency("p99"), latency("max"));
        assert!(p50 <= p99 && p99 <= max && max > 0, "{topic}: {summary}");
        let rate = number(summary, &format!("/facts_per_second/{topic}"));
        assert!(rate > 0, "{topic}: {summary}");
    }
}

fn the_audit_is_clean(summary: &Value) {
    let invariants = summary["audit"]["invariants"].as_array().expect("invariants");
    assert!(invariants.len() >= 10, "{summary}");
    for found in invariants {
        assert_eq!(found["violated"], 0, "{found}");
        assert!(found["checked"].as_u64().is_some_and(|checked| checked > 0), "{found}");
    }
}

/// For a person: each part of it under its heading.
#[test]
fn it_tells_a_person_what_happened_under_five_headings() {
    let told = stdout_of(orderflow().args(["demo", "--orders", "300"]));
    let lines = told.lines().skip_while(|line| line.is_empty());
    let (headings, lines): (Vec<_>, Vec<_>) = lines.partition(|line| !line.starts_with(' '));
    assert_eq!(
        headings,
        [
            "What happened to the orders",
            "How fast",
            "What went wrong, on purpose",
            "What the audit says",
            "What to try next",
        ]
    );
    let lines: Vec<_> = lines
        .iter()
        .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "))
        .collect();
    for begins in [
        "orders 300",
        "facts to inventory ",
        "order to fact in payments p50 ",
        "killed with SIGKILL inventory after ",
        "dead letters of payment ",
        "keep the databases orderflow demo --data-dir ",
    ] {
        assert!(
            lines.iter().any(|line| line.starts_with(begins)),
            "no {begins:?}
{told}"
        );
    }
    assert!(!told.contains("VIOLATED"), "{told}");
}

/// On a terminal it goes to the daemons as well, a supervisor sends it to the parent alone.
#[test]
fn a_signal_in_the_middle_ends_it_and_its_daemons() {
    for to_all in [true, false] {
        let folder = tempfile::tempdir().expect("a folder");
        let mut demo = orderflow();
        demo.args(["demo", "--data-dir"]).arg(folder.path().join("demo"));
        let mut demo = Daemon::start(demo.process_group(0), &folder.path().join("out"));
        let group = Pid::from_raw(demo.id().try_into().expect("small")).expect("not zero");
        demo.wait_for_log("inventory is started again", DONE);
        if to_all {
            kill_process_group(group, Signal::INT).expect("sent");
        } else {
            demo.signal(Signal::INT);
        }
        let status = demo.wait(ENDED);
        assert_eq!(status.code(), Some(130), "{}", demo.log());
        wait_until("its daemons are gone", ENDED, || {
            test_kill_process_group(group).is_err()
        });
    }
}

/// Ctrl-C goes to the daemons as well, and ends at once those that were told to end already: that is no failure of theirs.
#[test]
fn a_signal_while_its_daemons_are_stopped_ends_it_as_any_other() {
    const TRIES: usize = 5;
    let caught = (0..TRIES).find_map(|_| interrupted_while_inventory_is_told_to_end());
    let (status, log) = caught.expect("a demonstration that is caught at it");
    assert_eq!(status.code(), Some(130), "{log}");
}

/// How it ended and what it said; `None` where inventory was told to end, and did, before anybody looked.
fn interrupted_while_inventory_is_told_to_end() -> Option<(ExitStatus, String)> {
    let folder = tempfile::tempdir().expect("a folder");
    let mut demo = orderflow();
    demo.args(["demo", "--orders", "300", "--data-dir"])
        .arg(folder.path().join("demo"));
    let mut demo = Daemon::start(demo.process_group(0), &folder.path().join("out"));
    let group = Pid::from_raw(demo.id().try_into().expect("small")).expect("not zero");
    demo.wait_for_log("the last orders are placed", DONE);
    let inventory = child(demo.id(), "inventory")?;
    demo.wait_for_log("the audit", DONE);
    while !is_told_to_end(inventory)? {
        assert!(demo.is_running(), "{}", demo.log());
    }
    kill_process_group(group, Signal::INT).expect("sent");
    kill_process(inventory, Signal::CONT).expect("sent");
    Some((demo.wait(DONE), demo.log()))
}

/// Stops a process and looks whether SIGTERM waits for it. If not, it goes on for a moment: there may be work left for it,
/// without which nobody tells it to end. `None` where it has gone.
fn is_told_to_end(process: Pid) -> Option<bool> {
    const TERM: u64 = 1 << 14;
    let status = format!("/proc/{}/status", process.as_raw_nonzero());
    kill_process(process, Signal::STOP).ok()?;
    let looked = Instant::now();
    while looked.elapsed() < Duration::from_secs(2) {
        let status = std::fs::read_to_string(&status).ok()?;
        let waiting = status.lines().find_map(|line| line.strip_prefix("ShdPnd:\t"))?;
        let waiting = u64::from_str_radix(waiting, 16).expect("a mask");
        if waiting & TERM != 0 {
            return Some(true);
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    kill_process(process, Signal::CONT).ok()?;
    std::thread::sleep(Duration::from_millis(10));
    Some(false)
}

/// The child of a process that runs a service.
fn child(parent: u32, service: &str) -> Option<Pid> {
    let tasks = std::fs::read_dir(format!("/proc/{parent}/task")).expect("its threads");
    let children = tasks.flatten().flat_map(|task| {
        let children = std::fs::read_to_string(task.path().join("children")).unwrap_or_default();
        children.split_whitespace().map(str::to_owned).collect::<Vec<_>>()
    });
    let runs = |child: &String| {
        let line = std::fs::read_to_string(format!("/proc/{child}/cmdline")).unwrap_or_default();
        line.contains(&format!("run\0{service}\0"))
    };
    let found = children.into_iter().find(runs)?;
    Pid::from_raw(found.parse().ok()?)
}

#[test]
fn a_folder_with_anything_in_it_is_refused_at_once_and_left_alone() {
    let folder = tempfile::tempdir().expect("a folder");
    let kept = folder.path().join("kept");
    std::fs::write(&kept, "mine").expect("a file");
    let told = refused_at_once(orderflow().args(["demo", "--data-dir"]).arg(folder.path()));
    assert!(
        told.contains(&format!(
            "error[usage]: the folder {} is not empty",
            folder.path().display()
        )),
        "{told}"
    );
    assert!(told.contains("hint: name a folder that is empty"), "{told}");
    let left: Vec<_> = std::fs::read_dir(folder.path()).expect("a folder").flatten().collect();
    assert_eq!(left.len(), 1, "{left:?}");
}

#[test]
fn more_orders_than_there_are_is_refused_at_once() {
    let told = refused_at_once(orderflow().args(["demo", "--orders", "30000"]));
    assert!(
        told.contains("error[usage]: 30000 orders are asked for, and the data set has 8067"),
        "{told}"
    );
    assert!(told.contains("hint: orderflow demo --orders 8067"), "{told}");
}

/// What a command that ends with 2 says. It must not begin anything first.
fn refused_at_once(command: &mut Command) -> String {
    let began = Instant::now();
    let output = output_of(command.stdin(Stdio::null()));
    assert_eq!(output.status.code(), Some(2), "{}", shown(&output));
    assert!(
        began.elapsed() < AT_ONCE,
        "took {:?}\n{}",
        began.elapsed(),
        shown(&output)
    );
    String::from_utf8_lossy(&output.stderr).into_owned()
}

/// The names of an object's fields, in their order.
fn fields(value: &Value) -> Vec<&str> {
    let fields = value.as_object().unwrap_or_else(|| panic!("no object: {value}"));
    let mut names: Vec<_> = fields.keys().map(String::as_str).collect();
    names.sort_unstable();
    names
}

/// The number at a path as `/audit/totals/orders`.
fn number(summary: &Value, path: &str) -> u64 {
    let found = summary.pointer(path).and_then(Value::as_u64);
    found.unwrap_or_else(|| panic!("no number at {path}: {summary}"))
}
