//! What a command does whose input does not come.

use std::io::Write as _;
use std::process::Stdio;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};

use super::behaviour::{folder, orderflow};

/// From a signal to the end, three times what is promised.
const ENDED: Duration = Duration::from_secs(15);

/// Whoever types the orders, or the pipe they come from, may never send another byte.
#[test]
fn a_signal_ends_an_import_that_waits_for_its_input() {
    let folder = folder();
    let mut child = orderflow(folder.path(), &["order", "import", "-", "--dry-run"])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("the program starts");
    let mut input = child.stdin.take().expect("piped");
    input.write_all(b"InvoiceNo,StockCode,").expect("taken");
    let until = Instant::now() + ENDED;
    while !hears_interrupts(child.id()) {
        assert!(Instant::now() < until, "it does not begin");
        std::thread::sleep(Duration::from_millis(10));
    }
    let pid = Pid::from_raw(child.id().try_into().expect("small")).expect("not zero");
    kill_process(pid, Signal::INT).expect("sent");
    let status = loop {
        if let Some(status) = child.try_wait().expect("a child") {
            break status;
        }
        if Instant::now() > until {
            child.kill().expect("killed");
        }
        std::thread::sleep(Duration::from_millis(10));
    };
    assert_eq!(status.code(), Some(130));
    drop(input);
}

/// Whether a process has said what it does about SIGINT, the second bit of those that are caught.
fn hears_interrupts(process: u32) -> bool {
    let status = std::fs::read_to_string(format!("/proc/{process}/status")).unwrap_or_default();
    let caught = status.lines().find_map(|line| line.strip_prefix("SigCgt:"));
    caught.is_some_and(|mask| u64::from_str_radix(mask.trim(), 16).is_ok_and(|mask| mask & 0b10 > 0))
}
