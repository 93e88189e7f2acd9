//! The program and a schema registry that answers what a test tells it to.

#[path = "../schemas/tests/stub/mod.rs"]
mod stub;

use std::net::TcpListener;
use std::path::Path;
use std::process::{Command, Output, Stdio};

use orderflow_schemas::{EventType, history};
use serde_json::{Value, json};
use stub::{Book, Reply, Stub};
use tempfile::TempDir;

const CANARY: &str = "canary-5f1e";

/// The program in an empty folder, with nothing of ours in its environment but the registry.
fn orderflow(folder: &TempDir, registry: &str, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_orderflow"));
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("ORDERFLOW_") {
            command.env_remove(name);
        }
    }
    command
        .current_dir(folder.path())
        .args(arguments)
        .env("ORDERFLOW_REGISTRY", registry)
        .stdin(Stdio::null());
    command
}

fn run(folder: &TempDir, registry: &str, arguments: &[&str]) -> Output {
    orderflow(folder, registry, arguments)
        .output()
        .expect("the program starts")
}

fn folder() -> TempDir {
    TempDir::new().expect("a folder for the test")
}

fn serve(book: &Book) -> Stub {
    let book = book.clone();
    Stub::start(move |asked| book.answer(asked))
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8(bytes.to_vec()).expect("text")
}

/// What `--json` printed.
fn items(output: &Output) -> Vec<Value> {
    let envelope: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{}", text(&output.stderr)));
    envelope["items"].as_array().expect("a list").clone()
}

const PLACE: &[&str] = &["order", "place", "--item", "85123A:6:2.55", "--brokers", "127.0.0.1:1"];

#[test]
fn registering_is_done_once_and_shown() {
    let (folder, book) = (folder(), Book::default());
    let stub = serve(&book);
    let states = |arguments: &[&str]| {
        let output = run(&folder, &stub.url(), arguments);
        assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
        let states = items(&output)
            .into_iter()
            .map(|item| item["state"].as_str().expect("a state").to_owned());
        let states: Vec<_> = states.collect();
        assert_eq!(states.len(), history::all().len());
        assert!(states.iter().all(|state| *state == states[0]), "{states:?}");
        states[0].clone()
    };
    assert_eq!(states(&["schemas", "register", "--dry-run", "--json"]), "missing");
    assert_eq!(book.len(), 0);
    assert_eq!(states(&["schemas", "register", "--json"]), "registered");
    assert_eq!(states(&["schemas", "register", "--json"]), "unchanged");
    assert_eq!(book.len(), history::all().len());
    let table = run(&folder, &stub.url(), &["schemas", "register"]);
    let table = text(&table.stdout);
    assert!(table.starts_with("EVENT                 VERSION  SUBJECT"), "{table}");
    assert!(table.contains("orderflow.orders.OrderPlaced"), "{table}");
}

#[test]
fn without_a_registry_there_is_nothing_to_register_with() {
    let output = run(&folder(), "", &["schemas", "register"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(text(&output.stderr).contains("no schema registry is configured\nhint: --registry URL"));
}

#[test]
fn what_is_registered_is_compared_with_ours() {
    let (folder, book) = (folder(), Book::default());
    let stub = serve(&book);
    let check = |more: &[&str]| run(&folder, &stub.url(), &[&["schemas", "check"], more].concat());
    let missing = check(&[]);
    assert_eq!(missing.status.code(), Some(0));
    assert!(text(&missing.stderr).contains("some are not registered: orderflow schemas register"));
    assert_eq!(
        run(&folder, &stub.url(), &["schemas", "register"]).status.code(),
        Some(0)
    );
    let registered = items(&check(&["--json"]));
    assert_eq!(registered.len(), 2 * history::all().len());
    assert!(
        registered[history::all().len()..]
            .iter()
            .all(|item| item["standing"] == "ours" && item["same_as"] == 1)
    );

    let order = history::latest(EventType::OrderPlaced);
    let mut theirs: Value = serde_json::from_str(order.text).expect("JSON");
    let weight = json!({"name": "weight", "type": "long"});
    theirs["fields"].as_array_mut().expect("fields").push(weight);
    book.put(99, EventType::OrderPlaced.record_name(), &theirs.to_string());
    let broken = check(&[]);
    assert_eq!(broken.status.code(), Some(1));
    let said = text(&broken.stderr);
    assert!(
        said.contains("error[schemas-incompatible]: 1 pairs of versions cannot stand together"),
        "{said}"
    );
    assert!(
        said.contains("version 2 of the registry cannot read what OrderPlaced v1 wrote: weight"),
        "{said}"
    );
    assert!(
        text(&broken.stdout).contains("incompatible"),
        "{}",
        text(&broken.stdout)
    );

    let asked = stub.asked().len();
    assert_eq!(check(&["--offline"]).status.code(), Some(0));
    assert_eq!(stub.asked().len(), asked);
}

#[test]
fn each_failure_has_a_name_a_sentence_and_a_code() {
    let denied = Reply::problem(401, 40101, "who?");
    let unknown = Reply::problem(404, 40403, "none");
    let incompatible = Reply::problem(409, 409, "no");
    let invalid = Reply::problem(422, 42201, "no");
    let broken = Reply::problem(500, 50001, "no");
    for (reply, slug, code, hint) in [
        (denied, "registry-denied", 3, "explain registry-denied"),
        (Reply::html(403), "registry-denied", 3, "explain registry-denied"),
        (unknown, "schemas-unregistered", 4, "orderflow schemas register"),
        (
            Reply::html(404),
            "registry-unexpected",
            1,
            "explain registry-unexpected",
        ),
        (incompatible, "schemas-incompatible", 1, "orderflow schemas check"),
        (invalid, "registry-refused", 1, "explain registry-refused"),
        (broken, "registry-unavailable", 4, "try again"),
        (
            Reply::html(200),
            "registry-unexpected",
            1,
            "explain registry-unexpected",
        ),
        (
            Reply::Raw(Vec::new()),
            "registry-unavailable",
            4,
            "orderflow config show --origin",
        ),
    ] {
        assert_told(&reply, slug, code, hint);
    }
}

/// One line says what and where, one what to do next.
fn assert_told(reply: &Reply, slug: &str, code: i32, hint: &str) {
    let answer = reply.clone();
    let stub = Stub::start(move |_| answer.clone());
    let output = run(&folder(), &stub.url(), PLACE);
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(code), "{reply:?}: {said}");
    let lines: Vec<_> = said.lines().collect();
    let [what, next] = lines.as_slice() else {
        panic!("{said}")
    };
    assert!(
        what.starts_with(&format!("error[{slug}]: ")) && what.contains(&stub.url()),
        "{said}"
    );
    assert!(next.starts_with("hint: ") && next.contains(hint), "{said}");
}

#[test]
fn a_registry_that_is_not_there_or_says_nothing_or_is_not_to_be_trusted_is_told() {
    let folder = folder();
    let nobody = TcpListener::bind("127.0.0.1:0")
        .expect("a free port")
        .local_addr()
        .expect("bound");
    let output = run(&folder, &format!("http://{nobody}"), PLACE);
    assert_eq!(output.status.code(), Some(4));
    assert!(
        text(&output.stderr).contains("does not answer: Connection refused"),
        "{}",
        text(&output.stderr)
    );

    let silent = Stub::start(|_| Reply::Silence);
    let output = orderflow(&folder, &silent.url(), PLACE)
        .env("ORDERFLOW_REGISTRY_TIMEOUT", "300ms")
        .output()
        .expect("the program starts");
    assert_eq!(output.status.code(), Some(4));
    assert!(
        text(&output.stderr).contains("no answer within 0.3 s"),
        "{}",
        text(&output.stderr)
    );

    // What speaks no TLS has no certificate either.
    let plain = TcpListener::bind("127.0.0.1:0").expect("a free port");
    let address = plain.local_addr().expect("bound");
    let answering = std::thread::spawn(move || {
        use std::io::{Read as _, Write as _};
        let (mut stream, _) = plain.accept().expect("a client");
        drop(stream.read(&mut [0; 512]));
        drop(stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n"));
    });
    let ca_file = Path::new(env!("CARGO_MANIFEST_DIR")).join("schemas/tests/tls/ca.pem");
    let output = orderflow(&folder, &format!("https://localhost:{}", address.port()), PLACE)
        .env("ORDERFLOW_REGISTRY_CA_FILE", ca_file)
        .output()
        .expect("the program starts");
    assert_eq!(output.status.code(), Some(3), "{}", text(&output.stderr));
    assert!(
        text(&output.stderr).starts_with("error[registry-untrusted]"),
        "{}",
        text(&output.stderr)
    );
    // Last: where nobody came, it waits for ever.
    answering.join().expect("it answered");
}

#[test]
fn secrets_for_the_registry_come_from_files_and_are_never_printed() {
    let folder = folder();
    let stub = Stub::start(|_| Reply::problem(401, 40101, "who?"));
    let secret = folder.path().join("secret");
    std::fs::write(&secret, format!("{CANARY}\n")).expect("written");
    let toml = format!("[registry]\ntoken_file = \"{}\"\n", secret.display());
    for (variables, file, authorization) in [
        (
            vec![
                ("ORDERFLOW_REGISTRY_USERNAME", "ada"),
                ("ORDERFLOW_REGISTRY_PASSWORD_FILE", "secret"),
            ],
            "",
            "Basic YWRhOmNhbmFyeS01ZjFl",
        ),
        (vec![("ORDERFLOW_REGISTRY_TOKEN", CANARY)], "", "Bearer canary-5f1e"),
        (vec![], toml.as_str(), "Bearer canary-5f1e"),
    ] {
        std::fs::write(folder.path().join("orderflow.toml"), file).expect("written");
        for arguments in [
            PLACE,
            &["schemas", "register"],
            &["config", "show", "--origin"],
            &["config", "show", "--json"],
        ] {
            let mut command = orderflow(&folder, &stub.url(), arguments);
            command
                .args(["-vv", "--log-level", "trace"])
                .envs(variables.iter().copied());
            let output = command.output().expect("the program starts");
            let said = text(&output.stdout) + &text(&output.stderr);
            assert!(!said.contains(CANARY) && !said.contains("YWRhOmNh"), "{said}");
            if arguments[0] == "config" {
                assert!(said.contains("********"), "{said}");
            }
        }
        let asked = stub.asked().pop().expect("it asked");
        assert_eq!(asked.headers["authorization"], authorization);
    }
}

#[test]
fn settings_of_the_registry_that_do_not_go_together_are_told() {
    let folder = folder();
    for (variables, expected) in [
        (
            vec![("ORDERFLOW_REGISTRY", "localhost:8081")],
            "registry.url: it is no address of a registry",
        ),
        (
            vec![("ORDERFLOW_REGISTRY", "http://ada:canary-5f1e@localhost")],
            "registry.url: it has a user or a password",
        ),
        (
            vec![("ORDERFLOW_REGISTRY_USERNAME", "ada")],
            "registry.username: its password is missing",
        ),
        (
            vec![("ORDERFLOW_REGISTRY_PASSWORD", CANARY)],
            "registry.password: there is no registry.username",
        ),
        (
            vec![
                ("ORDERFLOW_REGISTRY_TOKEN", CANARY),
                ("ORDERFLOW_REGISTRY_USERNAME", "ada"),
            ],
            "registry.token: there is a user or a password too",
        ),
        (vec![("ORDERFLOW_REGISTRY_TIMEOUT", "0s")], "registry.timeout: "),
        (
            vec![("ORDERFLOW_REGISTRY_PASSWORD_FILE", "nowhere")],
            "cannot read the secret that environment",
        ),
        (vec![("ORDERFLOW_REGISTRY_URI", "http://x")], "is not known"),
    ] {
        let mut command = orderflow(&folder, "http://localhost:1", &["config", "show"]);
        let output = command.envs(variables).output().expect("the program starts");
        let said = text(&output.stderr);
        assert_eq!(output.status.code(), Some(2), "{said}");
        assert!(said.contains(expected) && !said.contains(CANARY), "{said}");
    }
    let missing = orderflow(&folder, "https://localhost:1", PLACE)
        .env("ORDERFLOW_REGISTRY_CA_FILE", "nowhere.pem")
        .output()
        .expect("the program starts");
    assert_eq!(missing.status.code(), Some(2));
    assert!(
        text(&missing.stderr).contains("cannot read the certificates of nowhere.pem"),
        "{}",
        text(&missing.stderr)
    );
}
