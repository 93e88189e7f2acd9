//! What a service forgets, and when it may: no event whose like is still to be handled (rule 2).

mod support;

use std::sync::atomic::Ordering;
use std::time::Duration;

use orderflow_runtime::Settings;
use orderflow_runtime::store::StoreError;
use orderflow_runtime::store::sqlite::SqliteReader;

use self::support::{PARTITIONS, Sent, World, counts, handled, header, open, published, said, word};

/// How long the services of these tests remember.
const KEPT: Duration = Duration::from_secs(1);

fn forgetful() -> World {
    let mut world = World::new();
    world.settings = Settings {
        inbox_retention: KEPT,
        outbox_retention: KEPT,
        ..world.settings
    };
    world
}

/// An event of a later time than any of these tests: what is older than the newest event that a service has read since it
/// started may be forgotten.
fn newest(id: u128) -> Sent {
    word(id, "newest", "newest").at(4_000_000_000_000)
}

/// How many events it remembers that it applied.
fn remembered(reader: &SqliteReader) -> u64 {
    reader.inbox().expect("a count").applied
}

/// How many facts it keeps.
fn kept(reader: &SqliteReader) -> usize {
    let mut facts = 0;
    for lane in 0..PARTITIONS {
        let each = reader.each_fact(lane, 0, |_| {
            facts += 1;
            Ok::<_, StoreError>(())
        });
        each.expect("readable facts");
    }
    facts
}

#[test]
fn what_is_old_and_handled_is_forgotten_and_its_repetition_is_refused() {
    let world = forgetful();
    let old = word(1, "k", "one");
    world.send(&[old.clone(), word(2, "other", "two"), newest(100)]);
    world.run_until(|reader| handled(reader) == 3 && remembered(reader) == 1 && kept(reader) == 0);

    world.send(&[old.at(1_000), word(3, "k", "three")]);
    world.run_until(|reader| handled(reader) == 5 && published(reader) == Ok(true));
    let reader = open(&world.database());
    assert_eq!(said(&reader, "k"), ["one", "three"]);
    assert_eq!(counts(&reader), [4, 0, 1, 0]);
    let letters = world.read("words.echo.dlq");
    assert_eq!(header(&letters[0], "orderflow-reason").as_deref(), Some("too_old"));
}

/// That its facts are gone says that somebody has looked for what is old, events as well.
#[test]
fn nothing_is_forgotten_while_a_record_from_before_is_unread() {
    let world = forgetful();
    world.library.closed.store(true, Ordering::SeqCst);
    world.send(&[word(1, "k", "one"), word(2, "k", "book-7"), newest(100)]);
    let handled_but_the_book = |reader: &SqliteReader| [1, 2].contains(&handled(reader));
    world.run_until(|reader| handled_but_the_book(reader) && kept(reader) == 0);
    let reader = open(&world.database());
    assert_eq!(remembered(&reader), handled(&reader));

    world.library.closed.store(false, Ordering::SeqCst);
    world.send(&[newest(101)]);
    world.run_until(|reader| handled(reader) == 4 && remembered(reader) == 2);
    assert_eq!(said(&open(&world.database()), "k"), ["one", "book-7"]);
}

/// As by a clock that is far ahead.
#[test]
fn nothing_is_forgotten_that_is_as_young_as_the_newest_event() {
    let world = forgetful();
    world.send(&[word(1, "k", "one"), word(2, "other", "two")]);
    world.run_until(|reader| handled(reader) == 2 && kept(reader) == 0);
    assert_eq!(remembered(&open(&world.database())), 2);
}
