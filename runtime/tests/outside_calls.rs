//! What a lane does about calls to the outside, beyond what its executor is asked for in tests of its own.

mod support;

use std::time::Duration;

use orderflow_runtime::effects::{Asked, BoxFuture, Call, Called, Caller, Callers, EffectSettings};

use self::support::{World, handled, open, said, word};

/// Answers every call, and never what became of one.
struct Speechless;

impl Caller for Speechless {
    fn call<'a>(&'a self, _call: &'a Call) -> BoxFuture<'a, Called> {
        Box::pin(std::future::ready(Called::Answer(b"done".to_vec())))
    }

    fn ask<'a>(&'a self, _call: &'a Call) -> BoxFuture<'a, Asked> {
        Box::pin(std::future::pending())
    }
}

/// The lane holds two of each sort, and begins with four effects that are to be asked about: nothing happens on it that
/// would have it look for more.
#[test]
fn what_is_to_be_called_does_not_wait_behind_what_is_asked_about() {
    let mut world = World::new();
    world.send(&(1..=6).map(|n| word(n, "k", "ask")).collect::<Vec<_>>());
    world.run_until(|reader| handled(reader) == 6);
    let file = rusqlite::Connection::open(world.database()).expect("a database");
    let last = "(SELECT max(id) FROM effects)";
    let unknown = format!("UPDATE effects SET state = 1, due = 1 WHERE id <> {last}");
    assert_eq!(file.execute(&unknown, []), Ok(5));
    let pending = format!("UPDATE effects SET due = 2 WHERE id = {last}");
    assert_eq!(file.execute(&pending, []), Ok(1));
    drop(file);

    let settings = EffectSettings {
        held: 2,
        call_timeout: Duration::from_hours(1),
        ..EffectSettings::default()
    };
    let callers = Callers::none().with("question", Speechless, settings);
    world.callers = callers.expect("settings that hold");
    world.run_until(|reader| said(reader, "k").len() == 7);
    assert_eq!(said(&open(&world.database()), "k")[6], "done");
}
