mod support;

use std::future::Future as _;
use std::sync::atomic::Ordering;

use super::*;
use crate::effects::paging::INTERVAL;
use crate::effects::{Asked, Called, EffectSettings};
use support::{Said, Scripted, answer_to};

const START: i64 = 1_700_000_000_000;

/// A wall clock that goes with tokio's, so that a paused test moves both.
fn wall() -> crate::effects::WallClock {
    let began = Instant::now();
    Arc::new(move || START + millis(began.elapsed()))
}

fn callers(caller: &Arc<Scripted>, settings: EffectSettings) -> Callers {
    let callers = Callers::none().with("charge", Arc::clone(caller), settings);
    callers.expect("settings that hold").with_clock(wall())
}

fn effect(n: u128) -> EffectRow {
    EffectRow {
        id: Uuid::from_u128(n),
        lane: 3,
        kind: "charge".to_owned(),
        idempotency_key: format!("key-{n}"),
        subject: format!("order-{n}"),
        request: b"request".to_vec(),
        caused_at: START - 5,
        created_at: START,
        due: START,
        attempts: 0,
        state: EffectState::Pending,
        traceparent: None,
    }
}

fn attempt_of(event: Event) -> Attempt {
    match event {
        Event::Attempt { attempt, .. } => attempt,
        Event::Answer { .. } => panic!("an answer where an attempt was expected: {event:?}"),
    }
}

fn answer_of(event: Event) -> Vec<u8> {
    match event {
        Event::Answer { answer, .. } => answer,
        Event::Attempt { .. } => panic!("an attempt where an answer was expected: {event:?}"),
    }
}

fn retry(why: &str) -> Said {
    Said::Called(Called::Retry(why.to_owned()))
}

fn few_attempts() -> EffectSettings {
    EffectSettings {
        max_attempts: 3,
        ..EffectSettings::default()
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_comes_with_its_effect_and_the_effect_is_forgotten() {
    let caller = Arc::new(Scripted::default());
    let mut executor = Executor::open(3, callers(&caller, EffectSettings::default()), vec![effect(1)]);
    let expected = Event::Answer {
        effect: effect(1),
        answer: answer_to("key-1"),
    };
    assert_eq!(executor.next().await, expected);
    assert_eq!((executor.held(), executor.under_way(), caller.calls()), (0, 0, 1));
}

#[tokio::test(start_paused = true)]
async fn a_call_without_an_answer_is_made_again_within_a_wait_that_doubles() {
    let caller = Scripted::saying("key-1", [retry("away"), Said::Called(Called::InProgress)]);
    let mut executor = Executor::open(3, callers(&caller, EffectSettings::default()), vec![effect(1)]);
    for (attempts, longest) in [(1, 200), (2, 400)] {
        let before = executor.callers.now();
        let attempt = attempt_of(executor.next().await);
        assert_eq!((attempt.attempts, attempt.state), (attempts, EffectState::Pending));
        assert!(attempt.due >= before && attempt.due <= executor.callers.now() + longest);
    }
    assert_eq!(answer_of(executor.next().await), answer_to("key-1"));
}

#[tokio::test(start_paused = true)]
async fn an_effect_is_not_called_before_it_is_due() {
    let caller = Arc::new(Scripted::default());
    let later = EffectRow {
        due: START + 60_000,
        ..effect(1)
    };
    let mut executor = Executor::open(3, callers(&caller, EffectSettings::default()), vec![later]);
    executor.next().await;
    assert!(executor.callers.now() >= START + 60_000);
}

#[tokio::test(start_paused = true)]
async fn out_of_attempts_it_is_unknown_and_only_an_answer_resolves_it() {
    let unknown = Said::Asked(Asked::Unknown("not yet".to_owned()));
    let found = Said::Asked(Asked::Answer(b"found".to_vec()));
    let caller = Scripted::saying("key-1", [retry("a"), retry("b"), retry("c"), unknown, found]);
    let mut executor = Executor::open(3, callers(&caller, few_attempts()), vec![effect(1)]);
    let mut states = Vec::new();
    for _ in 0..4 {
        let attempt = attempt_of(executor.next().await);
        states.push((attempt.attempts, attempt.state, attempt.error));
    }
    let said = |n, state, why: &str| (n, state, why.to_owned());
    assert_eq!(
        states,
        [
            said(1, EffectState::Pending, "a"),
            said(2, EffectState::Pending, "b"),
            said(3, EffectState::Unknown, "c"),
            said(3, EffectState::Unknown, "not yet"),
        ]
    );
    assert_eq!(answer_of(executor.next().await), b"found");
    assert_eq!((caller.calls(), caller.asks.load(Ordering::SeqCst)), (3, 2));
}

#[tokio::test(start_paused = true)]
async fn past_the_lifetime_of_its_key_it_is_never_called_again() {
    let caller = Scripted::saying("key-1", [Said::Asked(Asked::Answer(b"found".to_vec()))]);
    let settings = EffectSettings::default();
    let old = EffectRow {
        created_at: START - millis(settings.key_lifetime),
        ..effect(1)
    };
    let mut executor = Executor::open(3, callers(&caller, settings), vec![old]);
    let attempt = attempt_of(executor.next().await);
    assert_eq!((attempt.attempts, attempt.state), (0, EffectState::Unknown));
    assert_eq!(answer_of(executor.next().await), b"found");
    assert_eq!(caller.calls(), 0);
}

/// Lanes share the permits for calls: the turn of one may come after the time that its key has left.
#[tokio::test(start_paused = true)]
async fn a_call_whose_turn_comes_too_late_is_not_made() {
    let caller = Scripted::saying("key-1", [Said::AnswerAfter(Duration::from_secs(9))]);
    caller.script().insert(
        "key-2".to_owned(),
        [Said::Asked(Asked::Answer(b"found".to_vec()))].into(),
    );
    let settings = EffectSettings {
        concurrency: 1,
        key_lifetime: Duration::from_secs(15),
        ..EffectSettings::default()
    };
    let callers = callers(&caller, settings);
    let mut slow = Executor::open(3, callers.clone(), vec![effect(1)]);
    let mut late = Executor::open(4, callers, vec![EffectRow { lane: 4, ..effect(2) }]);
    let (slow, late) = tokio::join!(slow.next(), async { (late.next().await, late.next().await) });
    assert_eq!(answer_of(slow), answer_to("key-1"));
    let attempt = attempt_of(late.0);
    assert_eq!((attempt.attempts, attempt.state), (0, EffectState::Unknown));
    assert_eq!((answer_of(late.1), caller.calls()), (b"found".to_vec(), 1));
}

#[tokio::test(start_paused = true)]
async fn a_call_that_takes_too_long_or_panics_is_one_without_an_answer() {
    let caller = Scripted::saying("key-1", [Said::Never, Said::Panic]);
    let mut executor = Executor::open(3, callers(&caller, EffectSettings::default()), vec![effect(1)]);
    let attempt = attempt_of(executor.next().await);
    assert_eq!(attempt.error, "no answer within 10s");
    assert_eq!(executor.callers.now(), START + 10_000);
    let attempt = attempt_of(executor.next().await);
    assert!(attempt.error.contains("panic"), "{}", attempt.error);
    assert_eq!(answer_of(executor.next().await), answer_to("key-1"));
}

#[tokio::test(start_paused = true)]
async fn concurrency_is_shared_by_the_lanes_and_no_lane_waits_for_ever() {
    let caller = Arc::new(Scripted::default());
    let slow = Said::AnswerAfter(Duration::from_millis(100));
    for n in 0..40 {
        caller
            .script()
            .insert(format!("key-{n}"), VecDeque::from([slow.clone()]));
    }
    let settings = EffectSettings {
        concurrency: 4,
        ..EffectSettings::default()
    };
    let callers = callers(&caller, settings);
    let mut first = Executor::open(3, callers.clone(), (0..20).map(effect).collect());
    let mut second = Executor::open(3, callers, (20..40).map(effect).collect());
    let drive = async |executor: &mut Executor| {
        for _ in 0..20 {
            answer_of(executor.next().await);
        }
    };
    tokio::join!(drive(&mut first), drive(&mut second));
    assert_eq!(caller.most_at_once.load(Ordering::SeqCst), 4);
    assert!(first.callers.now() >= START + 1_000, "40 calls of 100 ms, 4 at once");
}

#[tokio::test(start_paused = true)]
async fn an_open_breaker_lets_one_probe_through_and_closes_on_its_answer() {
    let caller = Scripted::saying("key-1", [retry("away"), retry("away")]);
    let settings = EffectSettings {
        breaker_threshold: 2,
        backoff_base: Duration::from_millis(1),
        backoff_ceiling: Duration::from_millis(1),
        ..EffectSettings::default()
    };
    let callers = callers(&caller, settings);
    let mut executor = Executor::open(3, callers.clone(), vec![effect(1)]);
    for _ in 0..2 {
        attempt_of(executor.next().await);
    }
    let mut other = Executor::open(3, callers.clone(), vec![effect(2)]);
    assert!(
        tokio::time::timeout(Duration::from_secs(4), other.next())
            .await
            .is_err(),
        "the breaker is shared by all lanes"
    );
    assert_eq!(caller.calls(), 2);
    answer_of(executor.next().await);
    assert!(callers.now() >= START + 5_000, "after the cool-down");
    let probed_at = callers.now();
    answer_of(other.next().await);
    assert_eq!(callers.now(), probed_at, "a closed breaker holds nothing back");
}

#[tokio::test(start_paused = true)]
async fn a_lane_that_waits_for_the_breaker_goes_on_when_another_lanes_probe_closes_it() {
    let caller = Scripted::saying("key-1", [retry("away"), Said::AnswerAfter(Duration::from_secs(1))]);
    let settings = EffectSettings {
        breaker_threshold: 1,
        ..EffectSettings::default()
    };
    let callers = callers(&caller, settings);
    let mut probing = Executor::open(3, callers.clone(), vec![effect(1)]);
    attempt_of(probing.next().await);
    let mut waiting = Executor::open(3, callers.clone(), vec![]);
    let probe = async {
        answer_of(probing.next().await);
        callers.now()
    };
    let wait = async {
        tokio::time::sleep(Duration::from_millis(5_500)).await;
        waiting.add([effect(2)]);
        answer_of(waiting.next().await);
        callers.now()
    };
    let (closed_at, answered_at) = tokio::join!(probe, wait);
    assert_eq!(answered_at, closed_at);
}

#[tokio::test(start_paused = true)]
async fn what_finds_no_room_is_left_to_the_database_until_there_is() {
    let caller = Arc::new(Scripted::default());
    let settings = EffectSettings {
        held: 4,
        concurrency: 1,
        ..EffectSettings::default()
    };
    let mut executor = Executor::open(3, callers(&caller, settings), vec![]);
    executor.add((0..6).map(effect));
    assert_eq!((executor.held(), executor.needs_reload()), (4, false));
    answer_of(executor.next().await);
    assert!(!executor.needs_reload(), "three are held still");
    answer_of(executor.next().await);
    assert!(executor.needs_reload());
    executor.reload((2..6).map(effect).collect());
    assert_eq!((executor.held(), executor.needs_reload()), (4, false));
    for _ in 0..4 {
        answer_of(executor.next().await);
    }
    assert_eq!((executor.held(), caller.calls()), (0, 6));
}

#[tokio::test(start_paused = true)]
async fn a_reload_that_brings_nothing_is_not_repeated_at_once() {
    let caller = Arc::new(Scripted::default());
    let settings = EffectSettings {
        held: 2,
        ..EffectSettings::default()
    };
    let mut executor = Executor::open(3, callers(&caller, settings), vec![]);
    executor.add((0..3).map(effect));
    for _ in 0..2 {
        answer_of(executor.next().await);
    }
    assert!(executor.needs_reload());
    let asked = |n| EffectRow {
        state: EffectState::Unknown,
        due: START + 600_000,
        ..effect(n)
    };
    executor.reload((4..8).map(asked).collect());
    assert!(!executor.needs_reload(), "what is to be asked about filled the page");
    tokio::time::sleep(INTERVAL).await;
    assert!(executor.needs_reload(), "and nothing is heard of any of it");
    executor.reload((4..8).map(asked).collect());
    tokio::time::sleep(INTERVAL).await;
    assert!(!executor.needs_reload(), "nothing came of it");
    tokio::time::sleep(INTERVAL).await;
    assert!(executor.needs_reload());
    // What has room is due behind all of these.
    assert_eq!(executor.capacity(), 8);
    executor.reload((4..8).map(asked).chain([effect(2)]).collect());
    assert_eq!(
        (executor.held(), executor.needs_reload(), executor.capacity()),
        (3, false, 4)
    );
    assert_eq!(answer_of(executor.next().await), answer_to("key-2"));
}

/// A lane that is claimed begins so: nothing of the other queue has ever been there.
#[tokio::test(start_paused = true)]
async fn what_is_to_be_called_is_found_behind_a_first_page_of_what_is_to_be_asked_about() {
    let caller = Arc::new(Scripted::default());
    let settings = EffectSettings {
        held: 2,
        ..EffectSettings::default()
    };
    let asked = |n| EffectRow {
        state: EffectState::Unknown,
        due: START + 600_000,
        ..effect(n)
    };
    let mut executor = Executor::open(3, callers(&caller, settings), (4..8).map(asked).collect());
    assert_eq!((executor.held(), executor.needs_reload()), (2, false));
    tokio::time::sleep_until(executor.reload_at().expect("room to call one")).await;
    assert!(executor.needs_reload());
    executor.reload((4..8).map(asked).collect());
    assert!(!executor.needs_reload(), "nothing came of it");
    tokio::time::sleep_until(executor.reload_at().expect("room to call one")).await;
    assert!(executor.needs_reload());
    executor.reload((4..8).map(asked).chain([effect(1)]).collect());
    assert_eq!(answer_of(executor.next().await), answer_to("key-1"));
}

/// The usual backlog. Nothing of another queue stands behind it for longer than it takes to be worked off.
#[tokio::test(start_paused = true)]
async fn a_page_is_not_looked_behind_while_calls_end() {
    let caller = Arc::new(Scripted::default());
    let settings = EffectSettings {
        held: 4,
        concurrency: 1,
        ..EffectSettings::default()
    };
    let mut waiting: Vec<_> = (0..40).map(effect).collect();
    let mut executor = Executor::open(3, callers(&caller, settings), waiting[..8].to_vec());
    let mut loads = 0;
    while !waiting.is_empty() {
        answer_of(executor.next().await);
        waiting.remove(0);
        tokio::time::sleep(INTERVAL / 2).await;
        if executor.needs_reload() {
            let page = waiting.len().min(executor.capacity());
            executor.reload(waiting[..page].to_vec());
            loads += 1;
            assert_eq!(executor.capacity(), 8, "nothing is in the way");
        }
    }
    assert!(loads <= 20, "{loads} for 40 effects of which 2 find room at a time");
}

#[tokio::test(start_paused = true)]
async fn that_nobody_makes_a_call_is_said_once() {
    let caller = Arc::new(Scripted::default());
    let mut executor = Executor::open(3, callers(&caller, EffectSettings::default()), vec![]);
    let strange = EffectRow {
        kind: "strange".into(),
        ..effect(1)
    };
    executor.reload(vec![strange.clone()]);
    executor.reload(vec![strange]);
    assert!(matches!(executor.try_next(), Some(Event::Attempt { .. })));
    assert!(executor.try_next().is_none());
}

/// What the database does for a lane: keeps each try, and gives what is due first.
#[tokio::test(start_paused = true)]
async fn what_has_no_answer_gives_way_to_what_was_left_to_the_database() {
    let caller = Arc::new(Scripted::default());
    let unknown = Said::Asked(Asked::Unknown("not yet".to_owned()));
    for n in [1, 2] {
        let forever = std::iter::repeat_n(unknown.clone(), 1_000).collect();
        caller.script().insert(format!("key-{n}"), forever);
    }
    let found = Said::Asked(Asked::Answer(b"found".to_vec()));
    caller.script().insert("key-3".to_owned(), [found].into());
    let settings = EffectSettings {
        held: 2,
        ..EffectSettings::default()
    };
    let asked = |n| EffectRow {
        state: EffectState::Unknown,
        ..effect(n)
    };
    let mut database = vec![asked(1), asked(2), asked(3)];
    let mut executor = Executor::open(3, callers(&caller, settings), database.clone());
    for _ in 0..100 {
        match executor.next().await {
            Event::Answer { answer, .. } => return assert_eq!(answer, b"found"),
            Event::Attempt { attempt, .. } => {
                let row = database.iter_mut().find(|row| row.id == attempt.effect);
                row.expect("an effect of this lane").due = attempt.due;
            }
        }
        if executor.needs_reload() {
            database.sort_by_key(|row| (row.due, row.id));
            executor.reload(database.clone());
        }
    }
    panic!("the third was never asked about");
}

#[tokio::test(start_paused = true)]
async fn an_effect_is_held_once_however_often_it_is_given() {
    let caller = Arc::new(Scripted::default());
    let mut executor = Executor::open(3, callers(&caller, EffectSettings::default()), vec![effect(1)]);
    executor.add([effect(1)]);
    executor.reload(vec![effect(1)]);
    answer_of(executor.next().await);
    assert_eq!((executor.held(), caller.calls()), (0, 1));
}

#[tokio::test(start_paused = true)]
async fn next_loses_nothing_when_it_is_dropped() {
    let caller = Scripted::saying("key-1", [Said::AnswerAfter(Duration::from_secs(1))]);
    let mut executor = Executor::open(3, callers(&caller, EffectSettings::default()), vec![effect(1)]);
    for _ in 0..9 {
        let early = tokio::time::timeout(Duration::from_millis(100), executor.next()).await;
        assert!(early.is_err());
    }
    answer_of(executor.next().await);
    assert_eq!(caller.calls(), 1);
}

#[tokio::test(start_paused = true)]
async fn stopped_it_starts_nothing_and_gives_what_is_under_way() {
    let caller = Scripted::saying("key-1", [Said::AnswerAfter(Duration::from_secs(1))]);
    let mut executor = Executor::open(3, callers(&caller, EffectSettings::default()), vec![effect(1)]);
    assert_eq!(executor.try_next(), None);
    executor.add([effect(2)]);
    executor.stop();
    assert_eq!(executor.under_way(), 1);
    answer_of(executor.next().await);
    assert_eq!((executor.under_way(), caller.calls()), (0, 1));
    assert!(
        tokio::time::timeout(Duration::from_mins(1), executor.next())
            .await
            .is_err()
    );
}

#[tokio::test(start_paused = true)]
async fn dropped_it_drops_the_calls_under_way() {
    let caller = Scripted::saying("key-1", [Said::Never]);
    let mut executor = Executor::open(3, callers(&caller, EffectSettings::default()), vec![effect(1)]);
    let mut next = Box::pin(executor.next());
    let waker = std::task::Waker::noop();
    assert!(
        next.as_mut()
            .poll(&mut std::task::Context::from_waker(waker))
            .is_pending()
    );
    drop(next);
    tokio::task::yield_now().await;
    assert_eq!(Arc::strong_count(&caller), 2);
    drop(executor);
    tokio::task::yield_now().await;
    assert_eq!(Arc::strong_count(&caller), 1, "the task that held the caller is gone");
}

#[tokio::test(start_paused = true)]
async fn an_effect_without_a_caller_says_so_and_stays_pending() {
    let stray = EffectRow {
        kind: "mail".to_owned(),
        ..effect(1)
    };
    let caller = Arc::new(Scripted::default());
    let mut executor = Executor::open(3, callers(&caller, EffectSettings::default()), vec![stray]);
    let attempt = attempt_of(executor.next().await);
    assert_eq!((attempt.attempts, attempt.state), (0, EffectState::Pending));
    assert!(attempt.error.contains("mail"), "{}", attempt.error);
    assert_eq!(executor.held(), 0);
}
