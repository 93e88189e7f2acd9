//! The whole runtime on a broker in the process: every sentence of rule 2, 4, 6 and 9 that one process can show.

mod support;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use orderflow_runtime::observer::{Logging, Observer};
use orderflow_runtime::partitioner::partition_of;
use orderflow_runtime::store::Lane;
use orderflow_runtime::{Halt, ServiceError, Settings};
use rdkafka::message::Message;
use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};

use self::support::{PARTITIONS, World, armed, counts, handled, header, open, published, raw, redriven, said, word};

#[test]
fn each_event_is_applied_once_and_said_in_order() {
    let world = World::new();
    let words: Vec<_> = (0..300)
        .map(|n| word(n, &format!("k{}", n % 7), &n.to_string()))
        .collect();
    world.send(&words);
    world.send(&words);
    world.run_until(|reader| handled(reader) == 600 && published(reader) == Ok(true));

    let reader = open(&world.database());
    assert_eq!(counts(&reader), [300, 300, 0, 0]);
    let echoed = world.read("echo");
    for k in 0..7 {
        let expected: Vec<_> = (0..300).filter(|n| n % 7 == k).map(|n| n.to_string()).collect();
        assert_eq!(said(&reader, &format!("k{k}")), expected);
        let of_key = echoed
            .iter()
            .filter(|record| record.key() == Some(format!("k{k}").as_bytes()));
        let heard: Vec<_> = of_key
            .map(|r| String::from_utf8_lossy(r.payload().unwrap_or_default()).into_owned())
            .collect();
        assert_eq!(heard, expected);
    }
}

#[test]
fn a_service_goes_on_where_it_stopped() {
    let world = World::new();
    world.send(&[word(1, "a", "one"), word(2, "b", "two")]);
    world.run_until(|reader| handled(reader) == 2);
    world.send(&[word(3, "a", "three"), word(1, "a", "one")]);
    world.run_until(|reader| handled(reader) == 4);

    let reader = open(&world.database());
    assert_eq!(counts(&reader), [3, 1, 0, 0]);
    assert_eq!(said(&reader, "a"), ["one", "three"]);
}

#[test]
fn a_service_that_nobody_waits_for_ends_and_the_next_goes_on() {
    let world = World::new();
    world.send(&[word(1, "a", "one")]);
    world.abandon_when(|reader| handled(reader) == 1);
    world.send(&[word(2, "a", "two")]);
    world.run_until(|reader| handled(reader) == 2);
    assert_eq!(said(&open(&world.database()), "a"), ["one", "two"]);
}

#[test]
fn what_cannot_be_read_or_decided_is_parked_with_its_bytes() {
    let world = World::new();
    world.send(&[
        raw("k", b"nonsense"),
        word(1, "k", "refuse"),
        word(2, "k", "panic"),
        word(3, "k", "ignore"),
        word(4, "k", "fine"),
    ]);
    world.run_until(|reader| handled(reader) == 5 && published(reader) == Ok(true));

    assert_eq!(counts(&open(&world.database())), [1, 0, 3, 1]);
    let letters = world.read("words.echo.dlq");
    let reasons: Vec<_> = letters
        .iter()
        .filter_map(|letter| header(letter, "orderflow-reason"))
        .collect();
    assert_eq!(reasons, ["truncated", "invalid_order", "panic"]);
    assert_eq!(letters[0].payload(), Some(&b"nonsense"[..]));
    assert_eq!(letters[0].key(), Some(&b"k"[..]));
    assert_eq!(
        header(&letters[2], "kafka_dlt-exception-message").as_deref(),
        Some("asked to")
    );
}

#[test]
fn of_a_batch_that_the_database_refuses_one_record_is_parked_and_its_neighbours_are_applied() {
    let world = World::new();
    let mut words: Vec<_> = (1..=20).map(|n| word(n, "k", &n.to_string())).collect();
    words[12] = word(13, "k", "twice");
    world.send(&words);
    world.run_until(|reader| handled(reader) == 20 && published(reader) == Ok(true));

    let reader = open(&world.database());
    assert_eq!(counts(&reader), [19, 0, 1, 0]);
    let others: Vec<_> = (1..=20).filter(|n| *n != 13).map(|n| n.to_string()).collect();
    assert_eq!(said(&reader, "k"), others);
    assert_eq!(world.read("echo").len(), 19);
    let letters = world.read("words.echo.dlq");
    assert_eq!(letters.len(), 1);
    assert_eq!(header(&letters[0], "orderflow-reason").as_deref(), Some("limit"));
    let why = header(&letters[0], "kafka_dlt-exception-message").unwrap_or_default();
    assert!(why.starts_with("the database refuses it"), "{why}");
}

/// The client's own names are text; this is what is left of those that are not.
#[test]
fn a_record_with_headers_that_cannot_be_read_is_parked_with_those_that_can() {
    let world = World::new();
    let marked = word(1, "k", "fine").with("orderflow-unreadable-headers", "");
    world.send(&[marked.with("from", "here"), word(2, "k", "fine").with("from", "there")]);
    world.run_until(|reader| handled(reader) == 2 && published(reader) == Ok(true));

    let reader = open(&world.database());
    assert_eq!((counts(&reader), said(&reader, "k").len()), ([1, 0, 1, 0], 1));
    let letter = world.read("words.echo.dlq").remove(0);
    let told = ["orderflow-reason", "from", "orderflow-unreadable-headers"].map(|name| header(&letter, name));
    assert_eq!(told, [Some("limit".to_owned()), Some("here".to_owned()), None]);
}

/// Half a second after its record, the last thing that happens: nothing but the timer wakes the lane.
#[test]
fn a_timer_fires_once_when_it_is_due() {
    let world = World::new();
    world.send(&[word(1, "k", "before")]);
    let armed_it = AtomicBool::new(false);
    world.run_until(|reader| {
        if handled(reader) == 1 && !armed_it.swap(true, Ordering::SeqCst) {
            world.send(&[word(2, "k", "later-500")]);
        }
        said(reader, "k").len() == 3 && published(reader) == Ok(true)
    });
    world.send(&[word(3, "k", "after")]);
    world.run_until(|reader| handled(reader) == 3 && published(reader) == Ok(true));

    let reader = open(&world.database());
    assert_eq!(said(&reader, "k"), ["before", "later-500", "rang", "after"]);
    assert_eq!(armed(&reader), [0; 0]);
    assert_eq!(world.read("echo").len(), 4);
}

/// The clock cannot be set, so the timer is.
#[test]
fn a_timer_outlasts_the_service_that_armed_it() {
    const DAY: i64 = 24 * 60 * 60 * 1_000;
    let world = World::new();
    world.send(&[word(1, "k", &format!("later-{DAY}"))]);
    world.run_until(|reader| handled(reader) == 1);
    assert_eq!(armed(&open(&world.database())).len(), 1);
    let file = rusqlite::Connection::open(world.database()).expect("a database");
    let moved = file.execute("UPDATE timers SET due = due - ?1", [DAY]);
    assert_eq!(moved, Ok(1));
    drop(file);
    world.run_until(|reader| said(reader, "k").len() == 2 && published(reader) == Ok(true));

    let reader = open(&world.database());
    assert_eq!((said(&reader, "k")[1].as_str(), armed(&reader).len()), ("rang", 0));
    assert_eq!(world.read("echo").len(), 2);
}

#[test]
fn each_arming_fires_and_a_repeated_event_arms_nothing() {
    let world = World::new();
    let again = word(2, "k", "later-100");
    world.send(&[word(1, "k", "later-200"), again.clone(), again]);
    world.run_until(|reader| handled(reader) == 3 && armed(reader).is_empty() && published(reader) == Ok(true));

    let reader = open(&world.database());
    let rang = said(&reader, "k").iter().filter(|word| *word == "rang").count();
    assert_eq!((rang, counts(&reader)), (2, [2, 1, 0, 0]));
    assert_eq!(world.read("echo").len(), 4);
}

#[test]
fn a_panic_in_a_hint_harms_nobody() {
    let world = World::new();
    world.send(&[word(1, "k", "startle"), word(2, "k", "fine")]);
    world.run_until(|reader| handled(reader) == 2);
    assert_eq!(said(&open(&world.database()), "k"), ["startle", "fine"]);
}

#[test]
fn a_row_that_was_taken_not_to_be_there_is_found_when_it_is() {
    let world = World::new();
    world.send(&[word(1, "k", "first"), word(2, "other", "first")]);
    world.run_until(|reader| handled(reader) == 2);
    world.send(&[
        word(3, "k", "first-again"),
        word(4, "k", "third"),
        word(5, "new", "first"),
    ]);
    world.run_until(|reader| handled(reader) == 5 && published(reader) == Ok(true));

    let reader = open(&world.database());
    assert_eq!(said(&reader, "k"), ["first", "first-again", "third"]);
    assert_eq!(said(&reader, "new"), ["first"]);
    assert_eq!(counts(&reader), [5, 0, 0, 0]);
    assert_eq!(world.read("echo").len(), 5);
}

#[test]
fn a_decision_that_writes_nothing_is_taken_on_what_is_there() {
    let world = World::new();
    world.send(&[word(1, "k", "refuse")]);
    world.run_until(|reader| handled(reader) == 1);
    assert_eq!(counts(&open(&world.database())), [0, 0, 1, 0]);
    world.send(&[word(2, "k", "fine")]);
    world.run_until(|reader| handled(reader) == 2);
    world.send(&[word(3, "k", "refuse")]);
    world.run_until(|reader| handled(reader) == 3);

    let reader = open(&world.database());
    assert_eq!(said(&reader, "k"), ["fine", "refuse"]);
    assert_eq!(counts(&reader), [2, 0, 1, 0]);
}

#[test]
fn nothing_stops_for_what_was_taken_not_to_be_there() {
    let world = World::new();
    world.send(&[word(1, "k", "fine")]);
    world.run_until(|reader| handled(reader) == 1);
    world.send(&[word(2, "k", "first-lost")]);
    world.run_until(|reader| handled(reader) == 2);
    assert_eq!(said(&open(&world.database()), "k"), ["fine", "first-lost"]);

    world.send(&[word(3, "new", "first-lost")]);
    let ended = world.run_to_its_end();
    assert!(ended.to_string().contains("nowhere"), "{ended}");
}

/// Once because it was decided on what nobody had looked for, and twice because a neighbour may have been wrong.
#[test]
fn a_lane_stops_for_what_comes_three_times_in_a_row() {
    let world = World::new();
    world.send(&[word(1, "k", "first-shaky")]);
    world.run_until(|reader| handled(reader) == 1);
    assert_eq!(said(&open(&world.database()), "k"), ["first-shaky"]);
}

#[test]
fn only_the_redrive_topic_brings_a_dead_letter_in_and_only_once() {
    let world = World::new();
    world.send(&[word(1, "k", "refuse"), word(2, "k", "before")]);
    world.run_until(|reader| handled(reader) == 2 && published(reader) == Ok(true));
    let letter = world.read("words.echo.dlq").remove(0);

    world.send(&[word(1, "k", "refuse"), redriven(&letter), redriven(&letter)]);
    world.run_until(|reader| handled(reader) == 5);

    let reader = open(&world.database());
    assert_eq!(said(&reader, "k"), ["before", "refuse"]);
    assert_eq!(counts(&reader), [2, 1, 1, 1]);
}

#[test]
fn an_event_id_with_other_bytes_is_a_conflict_and_overwrites_nothing() {
    let world = World::new();
    world.send(&[word(1, "k", "first"), word(1, "k", "second")]);
    world.run_until(|reader| handled(reader) == 2 && published(reader) == Ok(true));

    assert_eq!(said(&open(&world.database()), "k"), ["first"]);
    let letters = world.read("words.echo.dlq");
    assert_eq!(header(&letters[0], "orderflow-reason").as_deref(), Some("conflict"));
}

#[test]
fn a_flood_of_dead_letters_stops_the_service_and_parks_none_of_them() {
    let mut world = World::new();
    world.settings = Settings {
        flood_run: 20,
        ..world.settings
    };
    world.send(&vec![raw("k", b"nonsense"); 50]);

    let ended = world.run_to_its_end();
    assert!(matches!(ended, ServiceError::Halted(Halt::Flood(_))), "{ended}");
    assert!(world.read("words.echo.dlq").is_empty());
    let again = world.run_to_its_end();
    assert!(matches!(again, ServiceError::Halted(Halt::Flood(_))), "{again}");
}

#[test]
fn a_large_share_of_dead_letters_stops_the_service_too_and_a_small_one_does_not() {
    let mut world = World::new();
    world.settings = Settings {
        flood_window: 100,
        flood_percent: 10,
        ..world.settings
    };
    let one_dead_in = |share: u128, ids: std::ops::Range<u128>| -> Vec<_> {
        let sent = |id: u128| match id % share {
            0 => raw("k", b"nonsense"),
            _ => word(id, "k", "a"),
        };
        ids.map(sent).collect()
    };
    world.send(&one_dead_in(20, 0..200));
    world.run_until(|reader| handled(reader) == 200 && published(reader) == Ok(true));
    assert_eq!(world.read("words.echo.dlq").len(), 10);

    world.send(&one_dead_in(4, 200..400));
    let ended = world.run_to_its_end();
    let ServiceError::Halted(Halt::Flood(why)) = &ended else {
        panic!("{ended}");
    };
    assert!(why.contains("runtime.flood_percent is 10"), "{why}");
}

#[test]
fn an_empty_database_in_a_group_that_was_further_halts_until_it_is_adopted() {
    let mut world = World::new();
    world.send(&[word(1, "k", "one")]);
    world.run_until(|reader| handled(reader) == 1 && published(reader) == Ok(true));
    std::fs::remove_file(world.database()).expect("the database goes");
    for rest in ["-wal", "-shm"] {
        let _absent = std::fs::remove_file(format!("{}{rest}", world.database().display()));
    }

    let ended = world.run_to_its_end();
    assert!(
        matches!(ended, ServiceError::Halted(Halt::WrongDatabase { .. })),
        "{ended}"
    );

    world.settings = Settings {
        adopt_database: true,
        ..world.settings
    };
    world.run_until(|reader| handled(reader) == 1 && published(reader) == Ok(true));
    assert_eq!(
        world.read("echo").len(),
        2,
        "the fact is published again under the id it had"
    );
}

#[test]
fn an_oversized_record_is_refused_before_it_is_read() {
    let mut world = World::new();
    world.settings = Settings {
        record_bytes: 1_000,
        ..world.settings
    };
    world.send(&[word(1, "k", &"x".repeat(2_000)), word(2, "k", "small")]);
    world.run_until(|reader| handled(reader) == 2 && published(reader) == Ok(true));
    assert_eq!(
        header(&world.read("words.echo.dlq")[0], "orderflow-reason").as_deref(),
        Some("oversized")
    );
}

#[test]
fn what_stands_elsewhere_than_its_key_says_is_taken_and_counted() {
    let mut world = World::new();
    let logging = Arc::new(Logging::default());
    world.observer = Arc::clone(&logging) as Arc<dyn Observer>;
    let place = partition_of(b"k", PARTITIONS);
    let elsewhere = (place + 1) % PARTITIONS;
    world.send(&[
        word(1, "k", "here").on_partition(place),
        word(2, "k", "there").on_partition(elsewhere),
        word(3, "k", "there").on_partition(elsewhere),
    ]);
    world.run_until(|reader| handled(reader) == 3 && published(reader) == Ok(true));
    assert_eq!(counts(&open(&world.database())), [3, 0, 0, 0]);
    assert_eq!(logging.totals().misplaced, 2);
    let echoed = world.read("echo");
    let partitions: Vec<_> = echoed.iter().map(Message::partition).collect();
    assert_eq!(partitions, [place; 3], "what is said of it goes where its key belongs");
}

#[test]
fn a_group_that_did_not_take_positions_is_told_again() {
    let mut world = World::new();
    world.settings.group_offset_interval = Duration::from_millis(50);
    world.send(&[word(1, "k", "one")]);
    let refused = AtomicBool::new(false);
    world.run_until(|_| {
        if world.told() == 1 && !refused.swap(true, Ordering::SeqCst) {
            let once = [RDKafkaRespErr::RD_KAFKA_RESP_ERR_INVALID_COMMIT_OFFSET_SIZE];
            world
                .broker
                .fail_requests(RDKafkaApiKey::OffsetCommit, &once)
                .expect("injected");
            world.send(&[word(2, "k", "two")]);
        }
        world.told() == 2
    });
}

/// As where a topic was cut and has grown again: its ends admit the position, and no record is there.
#[test]
fn a_position_at_which_kafka_has_no_record_stops_the_service() {
    let world = World::new();
    world.send(&[word(1, "k", "one")]);
    world.run_until(|reader| handled(reader) == 1);
    let none = [RDKafkaRespErr::RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE; 40];
    world
        .broker
        .fail_requests(RDKafkaApiKey::Fetch, &none)
        .expect("injected");
    let ended = world.run_to_its_end();
    assert!(
        matches!(&ended, ServiceError::Halted(Halt::Diverged(why)) if why.contains("offset not available")),
        "{ended:?}"
    );
}

/// Panics on the consumer's thread, which nothing else of a service's own runs on.
struct Fragile;

impl Observer for Fragile {
    fn standing(&self, _waiting: &BTreeMap<Lane, bool>, _connected: bool) {
        panic!("in a test");
    }
}

#[test]
fn a_consumer_that_dies_is_no_fault_of_kafka() {
    let mut world = World::new();
    world.observer = Arc::new(Fragile);
    let ended = world.run_to_its_end();
    assert!(matches!(ended, ServiceError::Internal(_)), "{ended:?}");
}
