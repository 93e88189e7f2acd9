//! Many lanes on one database at once: what one does is nothing to the others, but that it may have to be done again.

use std::pin::pin;
use std::time::Duration;

use super::Ground;
use super::hand::{BIN, Hand, SHELF, TOPIC, arrival, fact, facts, key, moved, row, rows};
use crate::store::{Admission, Lane, OutboxRow, Outcome, Store, StoreError, Turn, Unit, Writes};

const LANES: Lane = 8;
const UNITS: u64 = 12;

/// Long enough for whatever need not wait.
const A_WHILE: Duration = Duration::from_millis(150);

/// An event of its own for each unit of each lane.
fn event(lane: Lane, unit: u64) -> u64 {
    u64::from(lane.unsigned_abs()) * 1_000 + unit
}

/// Moves, lets in, loads, writes a row of its own and a fact.
async fn work<S: Store>(hand: &Hand<S>, unit_number: u64) -> Result<S::Unit, StoreError> {
    let name = format!("lane {}", hand.at.owner.lane);
    let number = event(hand.at.owner.lane, unit_number);
    let offset = i64::try_from(unit_number).expect("small");
    let mut unit = hand.store.begin(hand.at, 0).await?;
    let admitted = unit
        .admit(&[moved(TOPIC, offset, offset + 1)], &[arrival(number, 1)])
        .await?;
    assert_eq!(admitted, [Admission::New]);
    tokio::task::yield_now().await;
    let loaded = unit.load(&[key(SHELF, &name)]).await?;
    let writes = Writes {
        outbox: vec![fact(unit.next_sequence(), number)],
        ..rows([row(SHELF, &name, loaded[0].version, "1")])
    };
    unit.write(&writes).await?;
    Ok(unit)
}

async fn work_alone<S: Store>(mut hand: Hand<S>) {
    for number in 0..UNITS {
        work_through(&mut hand, number).await;
    }
}

/// Does a unit until it is durable: one that shared a transaction with another's failure never was.
async fn work_through<S: Store>(hand: &mut Hand<S>, number: u64) {
    let through = async || work(hand, number).await?.commit().await;
    while let Err(error) = through().await {
        assert_eq!(error, StoreError::Undone);
    }
    hand.at.turn += 1;
}

/// Drops each unit once before it commits it, and tries what is refused in between.
async fn work_badly<S: Store>(mut hand: Hand<S>) {
    for number in 0..UNITS {
        drop(work(&hand, number).await);
        let stale = refusal(&hand, rows([row(BIN, "nobody's", 4, "1")])).await;
        assert!(matches!(stale, StoreError::Stale { .. }));
        let gap = refusal(&hand, facts([fact(i64::MAX, 77)])).await;
        assert!(matches!(gap, StoreError::Halt(_)));
        work_through(&mut hand, number).await;
    }
}

/// What a unit that must not be written is refused for, however often it is undone before.
async fn refusal<S: Store>(hand: &Hand<S>, writes: Writes) -> StoreError {
    let written = async || hand.store.begin(hand.at, 0).await?.write(&writes).await;
    loop {
        match written().await.expect_err("it must not be written") {
            StoreError::Undone => {}
            refused => return refused,
        }
    }
}

/// Each lane stands where its own units have brought it.
async fn check<G: Ground>(ground: &G) {
    let store = ground.handle().await;
    for lane in 0..LANES {
        let claim = store.claim(&[lane]).await.expect("claimed").remove(0);
        let units = i64::try_from(UNITS).expect("small");
        assert_eq!((claim.at.turn, claim.next_sequence), (units, units + 1), "lane {lane}");
        assert_eq!(claim.progress[0].next_offset.get(), units, "lane {lane}");
        let facts = store.outbox(lane, 0, 1_000).await.expect("read");
        let expected: Vec<_> = (0..UNITS)
            .zip(1..)
            .map(|(unit, sequence)| fact(sequence, event(lane, unit)))
            .collect();
        assert_eq!(facts, expected, "lane {lane}");
        let hand = Hand::claim(&store, lane).await;
        assert_eq!(
            hand.load(&[key(SHELF, &format!("lane {lane}"))]).await[0].version,
            units
        );
    }
}

/// The lanes of two processes, neighbours in one, where the database is for several.
async fn hands<G: Ground>(ground: &G) -> Vec<Hand<G::Store>> {
    let stores = [ground.handle().await, ground.handle().await];
    let mut hands = Vec::new();
    for lane in 0..LANES {
        let store = &stores[usize::from(lane % 4 >= 2)];
        hands.push(Hand::start(store, lane).await);
    }
    hands
}

/// All lanes at once, each durable on its own.
pub async fn many_lanes_at_once<G: Ground>(mut ground: G) {
    let hands = hands(&ground).await;
    let lanes: Vec<_> = hands.into_iter().map(|hand| tokio::spawn(work_alone(hand))).collect();
    for lane in lanes {
        lane.await.expect("no panic");
    }
    check(&ground).await;
    ground.reopen().await;
    check(&ground).await;
}

/// Every second lane fails all the time.
pub async fn one_lanes_failure_is_its_own<G: Ground>(mut ground: G) {
    let mut lanes = Vec::new();
    for hand in hands(&ground).await {
        lanes.push(match hand.at.owner.lane % 2 {
            0 => tokio::spawn(work_alone(hand)),
            _ => tokio::spawn(work_badly(hand)),
        });
    }
    for lane in lanes {
        lane.await.expect("no panic");
    }
    ground.reopen().await;
    check(&ground).await;
}

/// Whoever is dropped beside another that is being committed was never there, and the other's answer is true of all it
/// did. At the turns they were begun at, both can be done again.
pub async fn who_is_dropped_beside_another_never_was<G: Ground>(ground: G) {
    let store = ground.handle().await;
    let (mut one, mut two) = (Hand::start(&store, 1).await, Hand::start(&store, 2).await);
    let (answer, ()) = beside(&one, two.at, async |begun| {
        let mut unit = begun.expect("the owner begins a unit at his turn");
        let writes = Writes {
            outbox: vec![fact(unit.next_sequence(), event(2, 0))],
            ..rows([row(SHELF, "lane 2", 0, "1"), row(SHELF, "shared", 0, "1")])
        };
        unit.write(&writes).await.expect("written");
    })
    .await;
    let happened = match &answer {
        Ok(()) => Outcome::Happened,
        Err(error) => {
            assert_eq!(error, &StoreError::Undone);
            Outcome::DidNot
        }
    };
    assert_eq!(store.resolve(one.at).await, Ok(happened));
    assert_eq!(one.facts().await.len(), usize::from(answer.is_ok()));
    assert_eq!(store.resolve(two.at).await, Ok(Outcome::DidNot));
    assert_eq!(two.facts().await, [] as [OutboxRow; 0]);
    if answer.is_ok() {
        one.at.turn += 1;
    } else {
        work_through(&mut one, 0).await;
    }
    work_through(&mut two, 0).await;
    let found = two
        .load(&["lane 1", "lane 2", "shared"].map(|name| key(SHELF, name)))
        .await;
    let versions: Vec<_> = found.iter().map(|row| row.version).collect();
    assert_eq!(versions, [1, 1, 0]);
}

/// Whoever finds the lane another's beside a unit that is being committed does that one no harm.
pub async fn who_is_fenced_beside_another_harms_nobody<G: Ground>(ground: G) {
    let store = ground.handle().await;
    let (one, former) = (Hand::start(&store, 1).await, Hand::start(&store, 2).await.at);
    let mut latter = Hand::claim(&store, 2).await;
    let (answer, ()) = beside(&one, former, async |begun| {
        assert_eq!(begun.err(), Some(StoreError::Fenced { lane: 2 }));
    })
    .await;
    assert_eq!(answer, Ok(()));
    assert_eq!(one.facts().await.len(), 1);
    work_through(&mut latter, 0).await;
}

/// What one has changed the next one finds, whether they share a transaction or not.
pub async fn what_one_changes_another_finds<G: Ground>(ground: G) {
    let store = ground.handle().await;
    let (mut one, mut two) = (Hand::start(&store, 1).await, Hand::start(&store, 2).await);
    one.write(rows([row(SHELF, "lane 1", 0, "1")])).await;
    let (answer, committed) = beside(&one, two.at, async |begun| {
        let mut unit = begun.expect("the owner begins a unit at his turn");
        let found = unit.load(&[key(SHELF, "lane 1")]).await.expect("loaded");
        assert_eq!(found, [row(SHELF, "lane 1", 2, "1")]);
        let stale = row(SHELF, "lane 1", 1, "3");
        unit.write(&rows([row(SHELF, "lane 1", 2, "2")]))
            .await
            .expect("written");
        let refused = unit.write(&rows([stale])).await;
        assert!(matches!(refused, Err(StoreError::Stale { .. })), "{refused:?}");
        unit.commit().await
    })
    .await;
    assert!(matches!(committed, Err(StoreError::Stale { .. })), "{committed:?}");
    assert!(matches!(answer, Ok(()) | Err(StoreError::Undone)), "{answer:?}");
    one.at.turn += i64::from(answer.is_ok());
    let left = 1 + i64::from(answer.is_ok());
    assert_eq!(one.load(&[key(SHELF, "lane 1")]).await[0].version, left);
    two.write(rows([row(SHELF, "lane 1", left, "4")])).await;
}

/// Whoever decides on a row decides on what the one before him made of it, and may not before that one has written.
pub async fn one_decides_after_the_other<G: Ground>(ground: G) {
    let store = ground.handle().await;
    let (mut one, two) = (Hand::start(&store, 1).await, Hand::start(&store, 2).await);
    one.write(rows([row(SHELF, "old", 0, "1")])).await;
    let names = ["new", "old"].map(|name| key(SHELF, name));
    let mut first = one.begin().await;
    let found = first.load(&names).await.expect("loaded");
    assert_eq!((found[0].version, found[1].version), (0, 1));
    let mut second = pin!(async {
        let mut unit = two.begin().await;
        let admitted = unit.admit(&[], &[arrival(event(2, 0), 1)]).await;
        assert_eq!(admitted, Ok(vec![Admission::New]));
        let found = unit.load(&names).await.expect("loaded");
        let expected = [row(SHELF, "new", 1, "2"), row(SHELF, "old", 2, "2")];
        assert_eq!(found, expected);
        unit.write(&rows([row(SHELF, "new", 1, "3"), row(SHELF, "old", 2, "3")]))
            .await
            .expect("written");
        unit.commit().await
    });
    let early = tokio::time::timeout(A_WHILE, &mut second).await;
    assert!(early.is_err(), "the first has not decided yet");
    first
        .write(&rows([row(SHELF, "new", 0, "2"), row(SHELF, "old", 1, "2")]))
        .await
        .expect("written");
    assert_eq!(tokio::join!(first.commit(), second), (Ok(()), Ok(())));
    one.at.turn += 1;
    let left = one.load(&names).await;
    assert_eq!(left, [row(SHELF, "new", 2, "3"), row(SHELF, "old", 3, "3")]);
}

/// Whoever decided on what another was about to write did not, where that one is dropped.
pub async fn what_was_dropped_is_built_on_by_nobody<G: Ground>(ground: G) {
    let store = ground.handle().await;
    let (mut one, mut two) = (Hand::start(&store, 1).await, Hand::start(&store, 2).await);
    let names = ["new", "shared"].map(|name| key(SHELF, name));
    one.write(rows([row(SHELF, "shared", 0, "1")])).await;
    let mut first = one.begin().await;
    first.load(&names).await.expect("loaded");
    first
        .write(&rows([row(SHELF, "new", 0, "2"), row(SHELF, "shared", 1, "2")]))
        .await
        .expect("written");
    let at = two.at;
    let mut second = pin!(async {
        let mut unit = store.begin(at, 0).await?;
        let found = unit.load(&names).await?;
        Ok::<_, StoreError>((unit, [found[0].version, found[1].version]))
    });
    let early = tokio::time::timeout(A_WHILE, &mut second).await;
    drop(first);
    let loaded = match early {
        Ok(loaded) => loaded,
        Err(_) => second.await,
    };
    let built = async {
        let (mut unit, versions) = loaded?;
        let [new, shared] = versions;
        unit.write(&rows([row(SHELF, "new", new, "3"), row(SHELF, "shared", shared, "3")]))
            .await?;
        unit.commit().await?;
        Ok::<_, StoreError>(versions)
    };
    match built.await {
        Ok(versions) => {
            assert_eq!(versions, [0, 1], "the other was never there");
            two.at.turn += 1;
        }
        Err(error) => {
            assert_eq!(error, StoreError::Undone);
            assert_eq!(store.resolve(two.at).await, Ok(Outcome::DidNot));
            two.write(rows([row(SHELF, "new", 0, "3"), row(SHELF, "shared", 1, "3")]))
                .await;
        }
    }
    assert_eq!(store.resolve(one.at).await, Ok(Outcome::DidNot));
    let left = [row(SHELF, "new", 1, "3"), row(SHELF, "shared", 2, "3")];
    assert_eq!(two.load(&names).await, left);
}

/// Units under way side by side are all durable, in whichever order they are committed.
pub async fn the_later_may_be_whole_first<G: Ground>(mut ground: G) {
    let store = ground.handle().await;
    let (one, mut two) = (Hand::start(&store, 1).await, Hand::start(&store, 2).await);
    let mut first = one.begin().await;
    first.write(&facts([fact(1, event(1, 0))])).await.expect("written");
    {
        let mut later = pin!(work_through(&mut two, 0));
        let early = tokio::time::timeout(A_WHILE, &mut later).await;
        let first = async { first.commit().await.expect("durable") };
        match early {
            Ok(()) => first.await,
            Err(_) => ((), ()) = tokio::join!(first, later),
        }
    }
    drop((one, two, store));
    ground.reopen().await;
    let store = ground.handle().await;
    let claims = store.claim(&[1, 2]).await.expect("claimed");
    let turns: Vec<_> = claims
        .iter()
        .map(|claim| (claim.at.turn, claim.next_sequence))
        .collect();
    assert_eq!(turns, [(1, 2), (1, 2)]);
}

/// A unit of `one` is committed; whoever wants to begin at `other` waits already, and does `work` as soon as he can. What
/// the commit answered, and the work.
async fn beside<S: Store, T>(
    one: &Hand<S>,
    other: Turn,
    work_of_other: impl AsyncFnOnce(Result<S::Unit, StoreError>) -> T,
) -> (Result<(), StoreError>, T) {
    let unit = work(one, 0).await.expect("nobody else is there");
    let mut queued = pin!(one.store.begin(other, 0));
    let early = touch(queued.as_mut()).await;
    let mut commit = pin!(unit.commit());
    let told = touch(commit.as_mut()).await;
    let begun = match early {
        Some(begun) => begun,
        None => queued.await,
    };
    let done = work_of_other(begun).await;
    let answer = match told {
        Some(answer) => answer,
        None => commit.await,
    };
    (answer, done)
}

/// Lets a future begin what it does first, and says what it came to if it is over.
async fn touch<F: Future + Unpin>(mut future: F) -> Option<F::Output> {
    tokio::select! {
        biased;
        done = &mut future => Some(done),
        () = std::future::ready(()) => None,
    }
}
