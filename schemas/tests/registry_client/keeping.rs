//! What is kept on disk, for the time when the registry is away.

use std::path::Path;

use orderflow_schemas::EventType;
use orderflow_schemas::registry::{Options, Registry, RegistryError};
use tempfile::TempDir;

use super::stub::{Book, Reply, Stub};
use super::{SUBJECT, at, event, received, text, value_under};

fn serve(book: &Book) -> Stub {
    let book = book.clone();
    Stub::start(move |asked| book.answer(asked))
}

fn kept(url: &str, file: &Path) -> Options {
    Options {
        kept_in: Some(file.to_owned()),
        ..at(url)
    }
}

const WRITES: [EventType; 1] = [EventType::StockReceived];

/// A registry that was asked once: our schema has the id 41, somebody else's the id 7.
async fn asked_once(folder: &TempDir) -> (Options, std::net::SocketAddr) {
    let book = Book::default();
    book.put(41, SUBJECT, text(EventType::StockReceived));
    book.put(
        7,
        SUBJECT,
        &text(EventType::StockReceived).replace("\"quantity\"", "\"quantity\", \"order\": \"ignore\""),
    );
    let stub = serve(&book);
    let options = kept(&stub.url(), &folder.path().join("data/registry.json"));
    let registry = Registry::open(&options, &WRITES).await.expect("open");
    registry.learn(7).await.expect("an answer");
    (options, stub.address)
}

#[tokio::test]
async fn a_process_starts_while_the_registry_is_down() {
    let folder = TempDir::new().expect("a folder");
    let (options, address) = asked_once(&folder).await;
    let registry = Registry::open(&options, &WRITES).await.expect("known from before");
    let mut value = Vec::new();
    registry.codec().encode(&received(), &mut value);
    assert_eq!(value, value_under(41));
    assert_eq!(registry.codec().decode(&value_under(7)), Ok(event()));

    let error = Registry::open(&options, &[EventType::OrderPlaced])
        .await
        .expect_err("never asked for");
    assert!(matches!(error, RegistryError::Unreachable { .. }), "{error}");
    // A registry that lets nobody in is not one that is down.
    let _denies = Stub::start_at(address, |_| Reply::problem(401, 40101, "no"));
    let error = Registry::open(&options, &WRITES).await.expect_err("denied");
    assert!(matches!(error, RegistryError::Denied { .. }), "{error}");
}

#[tokio::test]
async fn a_registry_made_anew_is_noticed_and_all_that_was_known_of_it_forgotten() {
    let folder = TempDir::new().expect("a folder");
    let (options, address) = asked_once(&folder).await;
    let book = Book::default();
    book.put(42, SUBJECT, text(EventType::StockReceived));
    let anew = book.clone();
    let _stub = Stub::start_at(address, move |asked| anew.answer(asked));
    let registry = Registry::open(&options, &WRITES).await.expect("open");
    assert_eq!(registry.codec().id(EventType::StockReceived), 42);
    assert_eq!(
        registry
            .codec()
            .decode(&value_under(7))
            .expect_err("forgotten")
            .reason(),
        "unknown_schema"
    );
    let file = std::fs::read_to_string(folder.path().join("data/registry.json")).expect("kept");
    // With their colons: the address has numbers too.
    assert!(
        file.contains(": 42") && !file.contains(": 41") && !file.contains("\"7\""),
        "{file}"
    );
}

#[tokio::test]
async fn a_file_of_another_registry_or_a_damaged_one_is_no_reason_to_fail() {
    let folder = TempDir::new().expect("a folder");
    let (options, _) = asked_once(&folder).await;
    let file = options.kept_in.clone().expect("a file");
    // It gives our schema the same id, so that nothing but its address tells them apart.
    let book = Book::default();
    book.put(41, SUBJECT, text(EventType::StockReceived));
    let stub = serve(&book);
    let other = kept(&stub.url(), &file);
    let registry = Registry::open(&other, &WRITES).await.expect("open");
    assert_eq!(registry.codec().id(EventType::StockReceived), 41);
    assert_eq!(
        registry
            .codec()
            .decode(&value_under(7))
            .expect_err("another's")
            .reason(),
        "unknown_schema"
    );

    for damage in ["", "{", "{\"registry\": 1}", "\u{0}\u{0}"] {
        std::fs::write(&file, damage).expect("written");
        let registry = Registry::open(&other, &WRITES).await.expect("asked again");
        assert_eq!(registry.codec().id(EventType::StockReceived), 41);
        assert!(
            std::fs::read_to_string(&file)
                .expect("kept")
                .contains("StockReceived v1")
        );
    }
}

#[tokio::test]
async fn processes_that_share_the_file_add_to_it_and_leave_nothing_but_the_lock() {
    let folder = TempDir::new().expect("a folder");
    let book = Book::default();
    book.put(41, SUBJECT, text(EventType::StockReceived));
    book.put(42, "orderflow.orders.OrderPlaced", text(EventType::OrderPlaced));
    let stub = serve(&book);
    let options = kept(&stub.url(), &folder.path().join("registry.json"));
    Registry::open(&options, &WRITES).await.expect("open");
    Registry::open(&options, &[EventType::OrderPlaced]).await.expect("open");
    drop(stub);
    let both = [EventType::StockReceived, EventType::OrderPlaced];
    let registry = Registry::open(&options, &both).await.expect("both are kept");
    assert_eq!(both.map(|event| registry.codec().id(event)), [41, 42]);
    let mut names: Vec<_> = std::fs::read_dir(folder.path())
        .expect("a folder")
        .flatten()
        .map(|entry| entry.file_name())
        .collect();
    names.sort();
    // The lock stays: whoever removed it would let in one who has it open beside one who makes it anew.
    assert_eq!(names, ["registry.json", "registry.lock"]);
}

#[tokio::test]
async fn a_folder_that_cannot_be_written_does_no_harm_while_the_registry_answers() {
    let folder = TempDir::new().expect("a folder");
    let book = Book::default();
    book.put(41, SUBJECT, text(EventType::StockReceived));
    let stub = serve(&book);
    std::fs::write(folder.path().join("file"), "").expect("written");
    let options = kept(&stub.url(), &folder.path().join("file/registry.json"));
    let registry = Registry::open(&options, &WRITES).await.expect("open");
    assert_eq!(registry.codec().id(EventType::StockReceived), 41);
}
