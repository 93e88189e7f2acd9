//! What a person at a terminal sees, and a program that reads a pipe does not.

use std::io::{BufRead as _, BufReader};
use std::path::Path;
use std::process::{Command, Stdio};

use rustix::process::{Pid, Signal, kill_process};

use super::behaviour::{REAL_ORDERS, address, folder, orderflow, run, signal, stderr, stdout};

/// The program on a terminal: `script` of util-linux gives it one, and prints what is written there. The first line is the
/// id of its process.
fn on_a_terminal(folder: &Path, arguments: &[&str]) -> Command {
    let quoted: Vec<_> = [env!("CARGO_BIN_EXE_orderflow")]
        .iter()
        .chain(arguments)
        .map(|word| format!("'{word}'"))
        .collect();
    let plain = orderflow(folder, &[]);
    let mut script = Command::new("script");
    for (name, value) in plain.get_envs() {
        match value {
            Some(value) => script.env(name, value),
            None => script.env_remove(name),
        };
    }
    script
        .current_dir(folder)
        .env("TERM", "xterm")
        .args(["--quiet", "--flush", "--return", "--command"])
        .args([&format!("echo $$; exec {}", quoted.join(" ")), "/dev/null"])
        .stdin(Stdio::null());
    script
}

#[test]
fn progress_is_a_bar_on_a_terminal_and_nothing_in_a_pipe() {
    let folder = folder();
    let import = ["order", "import", "--dry-run", REAL_ORDERS];
    let drawn = run(&mut on_a_terminal(folder.path(), &import));
    let shown = stdout(&drawn);
    assert!(drawn.status.success(), "{shown}");
    assert!(shown.contains("/s  ") && shown.contains(" left"), "{shown:?}");

    let piped = run(&mut orderflow(folder.path(), &import));
    let said = stderr(&piped);
    assert!(piped.status.success(), "{said}");
    assert!(!said.contains(['\u{1b}', '\r']) && !said.contains(" left"), "{said:?}");
}

#[test]
fn a_daemon_logs_text_on_a_terminal_and_json_in_a_pipe() {
    let folder = folder();
    let serve = ["schemas", "serve", "--listen", "127.0.0.1:0"];
    let mut script = on_a_terminal(folder.path(), &serve)
        .stdout(Stdio::piped())
        .spawn()
        .expect("script starts");
    let mut lines = BufReader::new(script.stdout.take().expect("piped")).lines();
    let mut line = || lines.next().expect("a line").expect("text");
    let (id, logged) = (line(), line());
    let id = id.trim().parse().ok().and_then(Pid::from_raw).expect("an id");
    kill_process(id, Signal::TERM).unwrap_or_else(|_| panic!("it has ended: {logged}"));
    assert!(script.wait().expect("a child").success());
    assert!(logged.contains(" INFO") && !logged.contains('{'), "{logged:?}");

    let mut server = orderflow(folder.path(), &serve)
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    // It is read from a line of JSON.
    assert!(address(&mut server).starts_with("127.0.0.1:"));
    signal(&server, Signal::TERM);
    assert!(server.wait().expect("a child").success());
}
