//! Records that cannot be read without something from elsewhere: their lane waits, and nothing is lost, repeated or refused.

mod support;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use orderflow_runtime::partitioner::partition_of;

use self::support::{PARTITIONS, World, counts, handled, header, open, published, said, word};

/// How often somebody has asked in vain by the time that waiting counts as seen.
const SEEN: usize = 4;

/// How often two lanes have, when they have waited for three seconds: after 50 ms, and then twice as long each time.
const LONG: usize = 14;

#[test]
fn a_lane_waits_before_what_it_cannot_read_and_the_others_go_on() {
    let world = World::new();
    world.library.closed.store(true, Ordering::SeqCst);
    // Keys of all lanes: 40 of them leave none empty.
    let keys: Vec<_> = (0..40).map(|n| format!("k{n}")).collect();
    let mut sent: Vec<_> = (0..).zip(&keys).map(|(n, key)| word(n, key, "before")).collect();
    sent.push(word(100, "k0", "book-7"));
    sent.extend((200..).zip(&keys).map(|(n, key)| word(n, key, "behind")));
    world.send(&sent);

    let library = Arc::clone(&world.library);
    world.run_until(move |_| library.asked.load(Ordering::SeqCst) >= SEEN);
    let reader = open(&world.database());
    assert_eq!(
        said(&reader, "k0"),
        ["before"],
        "what came before is handled, and nothing behind"
    );
    let behind = keys.iter().filter(|key| said(&reader, key).len() == 2).count();
    assert!(
        (1..40).contains(&behind),
        "{behind}: other lanes go on, and this one does not"
    );
    drop(reader);

    world.library.closed.store(false, Ordering::SeqCst);
    world.run_until(|reader| handled(reader) == 81 && published(reader) == Ok(true));
    let reader = open(&world.database());
    assert_eq!(said(&reader, "k0"), ["before", "book-7", "behind"]);
    assert_eq!(counts(&reader), [81, 0, 0, 0]);
    assert_eq!(world.read("echo").len(), 81);
}

/// What two lanes hold back is as much as all may. The third has something to do only when they have stood for seconds.
#[test]
fn lanes_that_wait_for_long_leave_room_for_the_others() {
    const RECORDS: usize = 400;
    let mut world = World::new();
    world.settings.lane_buffered_bytes = 129 << 10;
    world.settings.buffered_bytes = 2 * world.settings.lane_buffered_bytes;
    world.library.closed.store(true, Ordering::SeqCst);
    let mut keys = vec![Vec::new(); usize::try_from(PARTITIONS).expect("a few")];
    for key in (0..10 * RECORDS).map(|n| format!("k{n}")) {
        let lane = partition_of(key.as_bytes(), PARTITIONS);
        keys[usize::try_from(lane).expect("a few")].push(key);
    }
    let long = "x".repeat(2_000);
    let mut sent = vec![word(1, &keys[0][0], "book-7"), word(2, &keys[1][0], "book-7")];
    let of_all = keys.iter().flat_map(|keys| &keys[..RECORDS]);
    sent.extend((10..).zip(of_all).map(|(n, key)| word(n, key, &long)));
    let late = sent.split_off(2 + 2 * RECORDS);
    world.send(&sent);
    let (asked, done) = (Arc::clone(&world.library), AtomicBool::new(false));
    world.run_until(|reader| {
        if asked.asked.load(Ordering::SeqCst) >= LONG && !done.swap(true, Ordering::SeqCst) {
            world.send(&late);
        }
        handled(reader) == RECORDS as u64
    });

    world.library.closed.store(false, Ordering::SeqCst);
    let all = (keys.len() * RECORDS + 2) as u64;
    world.run_until(|reader| handled(reader) == all);
}

#[test]
fn a_lane_goes_on_in_the_same_life_once_it_is_there() {
    let world = World::new();
    world.library.closed.store(true, Ordering::SeqCst);
    world.send(&[
        word(1, "k", "one"),
        word(2, "k", "book-7"),
        word(3, "k", "book-8"),
        word(4, "k", "four"),
    ]);
    let library = Arc::clone(&world.library);
    world.run_until(move |reader| {
        if library.asked.load(Ordering::SeqCst) >= SEEN {
            library.closed.store(false, Ordering::SeqCst);
        }
        handled(reader) == 4
    });
    assert_eq!(said(&open(&world.database()), "k"), ["one", "book-7", "book-8", "four"]);
}

#[test]
fn what_does_not_exist_is_a_dead_letter() {
    let world = World::new();
    world.send(&[word(1, "k", "book-404"), word(2, "k", "fine")]);
    world.run_until(|reader| handled(reader) == 2 && published(reader) == Ok(true));
    assert_eq!(said(&open(&world.database()), "k"), ["fine"]);
    let letters = world.read("words.echo.dlq");
    assert_eq!(
        header(&letters[0], "orderflow-reason").as_deref(),
        Some("unknown_schema")
    );
    assert_eq!(world.library.asked.load(Ordering::SeqCst), 1);
}

#[test]
fn a_service_that_waits_ends_when_it_is_told_to() {
    let world = World::new();
    world.library.closed.store(true, Ordering::SeqCst);
    world.send(&[word(1, "k", "book-7")]);
    let library = Arc::clone(&world.library);
    let seen = Arc::new(std::sync::Mutex::new(None));
    let when = Arc::clone(&seen);
    world.run_until(move |_| {
        let waits = library.asked.load(Ordering::SeqCst) >= SEEN;
        if waits {
            when.lock().expect("a time").get_or_insert_with(Instant::now);
        }
        waits
    });
    let asked_to_end = seen.lock().expect("a time").expect("it waited");
    assert!(
        asked_to_end.elapsed() < Duration::from_secs(10),
        "{:?}",
        asked_to_end.elapsed()
    );
    assert_eq!(handled(&open(&world.database())), 0);
}
