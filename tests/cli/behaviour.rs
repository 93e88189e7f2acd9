//! What snapshots cannot show: streams, speed, environment, files.

use std::io::{BufRead as _, BufReader, Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal};
use tempfile::TempDir;

/// Orders of a real shop.
pub(crate) const REAL_ORDERS: &str = concat!(
    env!("CARGO_MANIFEST_DIR"),
    "/producers/data/online_retail_2010-12_to_2011-05.csv.gz"
);

/// The program in an empty folder and without any variable of ours.
pub(crate) fn orderflow(folder: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_orderflow"));
    let ours = std::env::vars().filter(|(name, _)| name.starts_with("ORDERFLOW_"));
    ours.for_each(|(name, _)| {
        command.env_remove(name);
    });
    command.current_dir(folder).args(arguments).stdin(Stdio::null());
    command
}

pub(crate) fn folder() -> TempDir {
    TempDir::new().expect("a folder for the test")
}

pub(crate) fn run(command: &mut Command) -> Output {
    command.output().expect("the program starts")
}

pub(crate) fn stdout(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).expect("text")
}

pub(crate) fn stderr(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).expect("text")
}

/// What `config show --json` says about a key: its value and where it comes from.
fn setting(output: &Output, key: &str) -> (String, String) {
    let envelope: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON on stdout");
    let items = envelope["items"].as_array().expect("a list");
    let item = items.iter().find(|item| item["key"] == key).expect("the key is listed");
    let text = |field: &str| item[field].as_str().expect("a text").to_owned();
    (text("value"), text("origin"))
}

#[test]
fn a_flag_beats_a_variable_beats_the_file_beats_the_default() {
    let folder = folder();
    let show = ["config", "show", "--json"];
    let asked = |command: &mut Command| setting(&run(command), "brokers");
    assert_eq!(
        asked(&mut orderflow(folder.path(), &show)),
        pair("localhost:9092", "default")
    );

    std::fs::write(folder.path().join("orderflow.toml"), "# ours\nbrokers = 'file:1'\n").expect("written");
    assert_eq!(
        asked(&mut orderflow(folder.path(), &show)),
        pair("file:1", "file orderflow.toml:2:1")
    );

    let mut with_variable = orderflow(folder.path(), &show);
    with_variable.env("ORDERFLOW_BROKERS", "variable:2");
    assert_eq!(
        asked(&mut with_variable),
        pair("variable:2", "environment ORDERFLOW_BROKERS")
    );

    with_variable.args(["--brokers", "flag:3"]);
    assert_eq!(asked(&mut with_variable), pair("flag:3", "flag --brokers"));
}

fn pair(value: &str, origin: &str) -> (String, String) {
    (value.to_owned(), origin.to_owned())
}

#[test]
fn a_secret_is_read_from_its_file_and_never_printed() {
    let folder = folder();
    let secret = folder.path().join("password");
    std::fs::write(&secret, "hunter2\n").expect("written");
    let mut command = orderflow(folder.path(), &["config", "show", "--origin"]);
    command.env("ORDERFLOW_KAFKA_SASL_PASSWORD_FILE", &secret);
    let output = run(&mut command);
    assert!(output.status.success(), "{}", stderr(&output));
    let line = stdout(&output)
        .lines()
        .find(|line| line.starts_with("kafka.sasl.password"))
        .map(str::to_owned);
    assert!(line.expect("the property is shown").contains("********"));
    assert!(!stdout(&output).contains("hunter2") && !stderr(&output).contains("hunter2"));
}

#[cfg(not(feature = "tls"))]
#[test]
fn what_a_build_cannot_do_is_said_before_anything_connects() {
    let folder = folder();
    for (properties, needed) in [
        (
            &["security.protocol=ssl"][..],
            "TLS, which security.protocol = ssl needs",
        ),
        (
            &["security.protocol=SASL_SSL", "sasl.mechanism=PLAIN"],
            "TLS, which security.protocol = sasl_ssl needs",
        ),
        (
            &["security.protocol=sasl_plaintext", "sasl.mechanism=SCRAM-SHA-512"],
            "SCRAM, which sasl.mechanism = SCRAM-SHA-512 needs",
        ),
        (
            &["security.protocol=sasl_plaintext", "sasl.mechanism=OAUTHBEARER"],
            "OAUTHBEARER, which sasl.mechanism = OAUTHBEARER needs",
        ),
    ] {
        let mut command = orderflow(folder.path(), &["run", "inventory"]);
        for property in properties {
            command.args(["-X", property]);
        }
        let output = run(&mut command);
        assert_eq!(output.status.code(), Some(2));
        assert_eq!(
            stderr(&output),
            format!(
                "error[built-without]: this binary was built without {needed}\n\
                 hint: use the image (docker/Dockerfile), or build with it: cargo build --release --features tls\n"
            )
        );
    }
}

#[test]
fn a_secret_that_librdkafka_refuses_is_not_printed_either() {
    let folder = folder();
    let mut command = orderflow(folder.path(), &["config", "show"]);
    command.env("ORDERFLOW_KAFKA_SSL_KEY_PASSWORDS", "hunter2");
    let output = run(&mut command);
    assert_eq!(output.status.code(), Some(2));
    assert!(!stderr(&output).contains("hunter2"), "{}", stderr(&output));
}

#[test]
fn what_is_reserved_for_tests_is_left_alone() {
    let folder = folder();
    let mut command = orderflow(folder.path(), &["config", "show"]);
    assert!(run(command.env("ORDERFLOW_TEST_ANYTHING", "1")).status.success());
}

#[test]
fn a_reader_that_has_seen_enough_is_no_failure() {
    let folder = folder();
    let mut child = orderflow(folder.path(), &["completions", "zsh"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    drop(child.stdout.take());
    let status = child.wait().expect("it ends");
    let mut said = String::new();
    child
        .stderr
        .take()
        .expect("piped")
        .read_to_string(&mut said)
        .expect("text");
    assert_eq!((status.code(), said.as_str()), (Some(0), ""));
}

/// The pipe is closed before anything is written, whoever is faster.
#[test]
fn what_nobody_reads_fails_all_the_same() {
    let folder = folder();
    let lines = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/cli/odd-lines.csv");
    let whole = std::fs::read(REAL_ORDERS).expect("the file is there");
    let cut = folder.path().join("cut.csv.gz");
    std::fs::write(&cut, &whole[..whole.len() / 100]).expect("written");
    for (file, slug) in [
        (lines, "import-incomplete"),
        (cut.to_str().expect("text"), "input-unreadable"),
    ] {
        let (_, closed) = std::io::pipe().expect("a pipe");
        let mut import = orderflow(folder.path(), &["order", "import", "--dry-run", file]);
        let output = run(import.stdout(closed));
        assert_eq!(output.status.code(), Some(1), "{}", stderr(&output));
        assert!(
            stderr(&output).contains(&format!("error[{slug}]")),
            "{}",
            stderr(&output)
        );
    }
}

#[test]
fn a_full_disk_is_a_failure() {
    let folder = folder();
    let full = std::fs::File::options()
        .write(true)
        .open("/dev/full")
        .expect("Linux has it");
    let output = run(orderflow(folder.path(), &["explain"]).stdout(full));
    assert_eq!(output.status.code(), Some(1));
    assert!(
        stderr(&output).starts_with("error[output-failed]"),
        "{}",
        stderr(&output)
    );
}

#[test]
fn colour_is_for_terminals_or_for_who_asks() {
    let folder = folder();
    let coloured = |command: &mut Command| stderr(&run(command)).contains('\u{1b}');
    let wrong = ["explain", "nothing"];
    assert!(!coloured(&mut orderflow(folder.path(), &wrong)));
    assert!(coloured(orderflow(folder.path(), &wrong).arg("--color=always")));
    assert!(coloured(orderflow(folder.path(), &wrong).env("FORCE_COLOR", "1")));
    assert!(!coloured(
        orderflow(folder.path(), &wrong)
            .env("FORCE_COLOR", "1")
            .env("NO_COLOR", "1")
    ));
}

#[test]
fn a_failure_is_one_json_object_for_a_program() {
    let folder = folder();
    let output = run(&mut orderflow(
        folder.path(),
        &["config", "show", "--json", "--brokers", "nowhere:x"],
    ));
    let problem: serde_json::Value = serde_json::from_slice(&output.stderr).expect("JSON on stderr");
    assert_eq!(problem["type"], "/problems/config-invalid");
    assert_eq!(
        (problem["exit_code"].as_i64(), output.status.code()),
        (Some(2), Some(2))
    );
    assert!(output.stdout.is_empty());
}

#[test]
fn every_manual_page_is_written() {
    let folder = folder();
    let output = run(&mut orderflow(folder.path(), &["man", "--dir", "pages"]));
    assert!(output.status.success(), "{}", stderr(&output));
    let commands = commands(folder.path(), &[]);
    assert!(commands.len() > 20, "{commands:?}");
    for command in std::iter::once("").chain(commands.iter().map(String::as_str)) {
        let page = format!("orderflow {command}").trim_end().replace(' ', "-") + ".1";
        let text = std::fs::read_to_string(folder.path().join("pages").join(&page));
        let text = text.unwrap_or_else(|error| panic!("{page}: {error}"));
        assert!(text.contains(".SH SYNOPSIS"), "{page}");
    }
}

/// Every command below these words that the help names, with what stands before it.
fn commands(folder: &Path, below: &[&str]) -> Vec<String> {
    let help = run(&mut orderflow(folder, &[below, &["-h"]].concat()));
    let help = stdout(&help);
    let named = help.lines().skip_while(|line| *line != "Commands:").skip(1);
    let named = named.take_while(|line| !line.is_empty());
    // What stands further in goes on with the line before.
    let named = named.filter(|line| !line.starts_with("   "));
    let named = named.filter_map(|line| line.split_whitespace().next());
    let mut found = Vec::new();
    for name in named.filter(|name| *name != "help") {
        let path = [below, &[name]].concat();
        found.push(path.join(" "));
        found.extend(commands(folder, &path));
    }
    found
}

#[test]
fn completions_know_the_commands() {
    let folder = folder();
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let output = run(&mut orderflow(folder.path(), &["completions", shell]));
        assert!(output.status.success(), "{shell}: {}", stderr(&output));
        let script = stdout(&output);
        for command in commands(folder.path(), &[]) {
            let last = command.rsplit(' ').next().unwrap_or_default();
            assert!(script.contains(last), "{shell} knows no {command}");
        }
    }
    let script = folder.path().join("orderflow.bash");
    let output = run(&mut orderflow(folder.path(), &["completions", "bash"]));
    std::fs::write(&script, output.stdout).expect("written");
    // Takes what bash would offer behind `orderflow topics a`.
    let offers = "source ./orderflow.bash; COMP_WORDS=(orderflow topics a); COMP_CWORD=2; \
        _orderflow orderflow a topics; echo ${COMPREPLY[*]}";
    let offered = run(Command::new("bash").current_dir(folder.path()).args(["-c", offers]));
    assert_eq!(stdout(&offered).trim(), "apply", "{}", stderr(&offered));
}

/// A server that was asked to end waits a while for the request of a client that is not finished.
#[test]
fn the_first_signal_asks_and_the_second_ends() {
    let folder = folder();
    let mut server = orderflow(
        folder.path(),
        &["schemas", "serve", "--listen", "127.0.0.1:0", "--log-format", "json"],
    )
    .stderr(Stdio::piped())
    .spawn()
    .expect("the program starts");
    let address = address(&mut server);
    let mut client = TcpStream::connect(&address).expect("it listens");
    client
        .write_all(b"GET /schemas/ids/1000000000 HTTP/1.1\r\n")
        .expect("sent");
    std::thread::sleep(Duration::from_millis(200));
    signal(&server, Signal::TERM);
    std::thread::sleep(Duration::from_millis(300));
    assert!(server.try_wait().expect("a child").is_none(), "it drains");
    signal(&server, Signal::TERM);
    assert_eq!(server.wait().expect("a child").code(), Some(143));
}

#[test]
fn a_server_without_work_ends_at_once_and_well() {
    let folder = folder();
    for asked in [Signal::INT, Signal::TERM] {
        let mut server = orderflow(
            folder.path(),
            &["schemas", "serve", "--listen", "127.0.0.1:0", "--log-format", "json"],
        )
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
        let mut client = TcpStream::connect(address(&mut server)).expect("it listens");
        client
            .write_all(b"GET /schemas/ids/1000000000 HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            .expect("sent");
        let mut answer = String::new();
        client.read_to_string(&mut answer).expect("an answer");
        assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
        signal(&server, asked);
        assert_eq!(server.wait().expect("a child").code(), Some(0));
    }
}

/// Where a server says that it listens.
pub(crate) fn address(server: &mut Child) -> String {
    let mut line = String::new();
    BufReader::new(server.stderr.take().expect("piped"))
        .read_line(&mut line)
        .expect("text");
    let said: serde_json::Value = serde_json::from_str(&line).expect("a line of JSON");
    said["address"].as_str().expect("the address").to_owned()
}

pub(crate) fn signal(process: &Child, signal: Signal) {
    rustix::process::kill_process(Pid::from_child(process), signal).expect("sent");
}

#[test]
fn help_comes_at_once() {
    /// The release build takes a tenth of it; this one is not optimised, and the machine may be busy.
    const AT_MOST: Duration = Duration::from_millis(60);
    let folder = folder();
    let fastest = (0..20).map(|_| {
        let start = Instant::now();
        assert!(run(&mut orderflow(folder.path(), &["--help"])).status.success());
        start.elapsed()
    });
    let fastest = fastest.min().expect("twenty runs");
    assert!(fastest < AT_MOST, "{fastest:?}");
}

#[test]
fn every_setting_is_documented_with_its_default() {
    let folder = folder();
    let output = run(&mut orderflow(folder.path(), &["config", "show", "--json"]));
    let envelope: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON on stdout");
    let document = include_str!("../../docs/command-line.md");
    for item in envelope["items"].as_array().expect("a list") {
        let text = |field: &str| item[field].as_str().expect("a text");
        // The runtime's own are tuned where they are measured; `config show` tells them.
        let known = !text("value").is_empty() && !text("key").starts_with("runtime.");
        let default = if known {
            format!(" `{}`", text("value"))
        } else {
            String::new()
        };
        let row = format!("| `{}` |{default} | {} |", text("key"), text("about"));
        assert!(document.contains(&row), "docs/command-line.md lacks: {row}");
    }
}

/// A line that was not taken is found by file and line; standard input is called as it was asked for.
#[test]
fn a_line_that_is_not_taken_is_named_with_its_file() {
    let folder = folder();
    let odd = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cli/odd-lines.csv");
    let import = |json: &[&str]| {
        let arguments = [&["order", "import", "-", "--dry-run"], json].concat();
        let mut command = orderflow(folder.path(), &arguments);
        run(command.stdin(std::fs::File::open(&odd).expect("the file is there")))
    };
    let told = stderr(&import(&[]));
    assert!(told.contains("caused by: -: line 5: Quantity: \"six\""), "{told}");
    let printed = stdout(&import(&["--json"]));
    let printed: serde_json::Value = serde_json::from_str(&printed).expect("JSON");
    assert_eq!(printed["items"][0]["file"], "-", "{printed}");
}
