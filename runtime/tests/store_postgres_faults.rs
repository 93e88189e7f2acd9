//! PostgreSQL under faults: killed, locked, full of clients, shared by owners who do not agree.

mod postgres;

use std::num::NonZeroUsize;
use std::sync::Arc;
use std::time::Duration;

use orderflow_runtime::rows::{Entity, RowKey, StoredRow};
use orderflow_runtime::store::postgres::{PostgresAddress, PostgresOptions, PostgresStore, PostgresUnit};
use orderflow_runtime::store::{Lane, OutboxRow, Outcome, Store, StoreError, Turn, Unit, Unusable, Writes};
use orderflow_runtime::{Headers, store};
use tokio::sync::Barrier;
use tokio_postgres::Client;
use uuid::Uuid;

use self::postgres::Schema;
use self::postgres::door::Door;
use self::postgres::server::Server;

const SHELF: Entity<u64> = Entity::shared("shelf", 1);
const BIN: Entity<u64> = Entity::shared("bin", 2);

/// Keys that every lane wants.
const HOT: u32 = 12;

async fn open(url: &str) -> PostgresStore {
    let address = PostgresAddress::parse(url, "faults").expect("a URL");
    let opened = PostgresStore::open(address, PostgresOptions::default()).await;
    opened.expect("the database opens")
}

async fn claim(store: &PostgresStore, lane: Lane) -> Turn {
    loop {
        match store.claim(&[lane]).await {
            Ok(mut claims) => return claims.remove(0).at,
            Err(error) => pause(error).await,
        }
    }
}

/// What passes by itself is waited for; nothing else may come.
async fn pause(error: StoreError) {
    assert!(matches!(error, StoreError::Unavailable(_)), "{error:?}");
    tokio::time::sleep(Duration::from_millis(20)).await;
}

/// Adds one to some of the hot rows and writes a fact, in one unit, at the lane's `number`th time.
async fn count_up(unit: &mut PostgresUnit, lane: Lane, number: u32) -> Result<(), StoreError> {
    let lane_number = lane.unsigned_abs();
    let wanted = |entity: Entity<u64>, step: u32| {
        (0..HOT)
            .filter(move |key| (key + lane_number + number).is_multiple_of(step))
            .map(move |key| RowKey::new(entity, key.to_string()))
    };
    let mut keys: Vec<RowKey> = wanted(SHELF, 2).chain(wanted(BIN, 3)).collect();
    keys.sort();
    let mut rows: Vec<StoredRow> = unit.load(&keys).await?;
    for row in &mut rows {
        row.body = Some((row.version + 1).to_string().into());
    }
    let writes = Writes {
        rows,
        outbox: vec![fact(unit.next_sequence(), lane)],
        ..Writes::default()
    };
    unit.write(&writes).await
}

fn fact(sequence: i64, lane: Lane) -> OutboxRow {
    OutboxRow {
        sequence,
        topic: "facts".into(),
        partition: lane,
        timestamp: 0,
        event_id: Uuid::from_u128(u128::from(lane.unsigned_abs()) << 64 | u128::from(sequence.unsigned_abs())),
        key: None,
        value: None,
        headers: Headers::new(),
        reason: None,
    }
}

/// So many units on a lane, whatever it takes: what a lane of the runtime does.
async fn work(store: PostgresStore, lane: Lane, units: u32) {
    let mut at = claim(&store, lane).await;
    let mut done = 0;
    while done < units {
        let happened = match try_once(&store, at, done).await {
            Ok(()) => true,
            Err(StoreError::Stale { .. } | StoreError::Undone) => false,
            Err(StoreError::Unknown(_)) => resolve(&store, at).await == Outcome::Happened,
            Err(error) => {
                pause(error).await;
                false
            }
        };
        done += u32::from(happened);
        at.turn += i64::from(happened);
    }
}

async fn try_once(store: &PostgresStore, at: Turn, number: u32) -> Result<(), StoreError> {
    let mut unit = store.begin(at, 0).await?;
    count_up(&mut unit, at.owner.lane, number).await?;
    unit.commit().await
}

async fn resolve(store: &PostgresStore, at: Turn) -> Outcome {
    loop {
        match store.resolve(at).await {
            Ok(outcome) => return outcome,
            Err(error) => pause(error).await,
        }
    }
}

/// Each lane has as many facts as units, in sequence, and the hot rows counted every one.
async fn check(store: &PostgresStore, lanes: Lane, units: u32) {
    let mut expected = std::collections::BTreeMap::new();
    for lane in 0..lanes {
        let facts = store.outbox(lane, 0, 100_000).await.expect("read");
        let sequences: Vec<i64> = facts.iter().map(|fact| fact.sequence).collect();
        assert_eq!(sequences, (1..=i64::from(units)).collect::<Vec<_>>(), "lane {lane}");
        for number in 0..units {
            for (entity, step) in [("shelf", 2), ("bin", 3)] {
                for key in (0..HOT).filter(|key| (key + lane.unsigned_abs() + number).is_multiple_of(step)) {
                    *expected.entry((entity, key)).or_insert(0_i64) += 1;
                }
            }
        }
    }
    let at = claim(store, 999).await;
    let mut unit = store.begin(at, 0).await.expect("begun");
    for (entity, rank) in [("shelf", SHELF), ("bin", BIN)] {
        for key in 0..HOT {
            let row = unit
                .load(&[RowKey::new(rank, key.to_string())])
                .await
                .expect("loaded")
                .remove(0);
            let counted = expected.get(&(entity, key)).copied().unwrap_or_default();
            assert_eq!(row.version, counted, "{entity} {key}");
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL; run by ./tests/run"]
async fn a_server_killed_under_units_loses_nothing_and_repeats_nothing() {
    const LANES: Lane = 6;
    const UNITS: u32 = 250;
    let mut server = Server::start();
    let store = open(&server.url("orderflow", "")).await;
    let lanes: Vec<_> = (0..LANES)
        .map(|lane| tokio::spawn(work(store.clone(), lane, UNITS)))
        .collect();
    let mut kills = 0;
    while kills < 3 && !lanes.iter().all(tokio::task::JoinHandle::is_finished) {
        until_busy(&store, kills).await;
        tokio::task::block_in_place(|| server.kill_and_restart());
        kills += 1;
    }
    assert_eq!(kills, 3, "the lanes were through before the faults hit");
    for lane in lanes {
        lane.await.expect("no panic");
    }
    check(&store, LANES, UNITS).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL; run by ./tests/run"]
async fn a_standby_that_takes_over_is_found_and_has_everything() {
    const LANES: Lane = 4;
    const UNITS: u32 = 150;
    let primary = Server::start();
    let standby = Server::standby_of(&primary);
    // From here on a commit is answered once the standby has it, as one has to have it who must lose nothing.
    let setting = postgres::connect(&primary.url("orderflow", "")).await;
    for sql in [
        "ALTER SYSTEM SET synchronous_standby_names = '*'",
        "SELECT pg_reload_conf()",
    ] {
        setting.batch_execute(sql).await.expect("set");
    }
    let hosts = format!("localhost:{},localhost:{}", primary.port(), standby.port());
    let store = open(&format!("postgres://orderflow@{hosts}/postgres")).await;
    let lanes: Vec<_> = (0..LANES)
        .map(|lane| tokio::spawn(work(store.clone(), lane, UNITS)))
        .collect();
    until_busy(&store, 0).await;
    tokio::task::block_in_place(|| primary.kill());
    assert!(
        !lanes.iter().all(tokio::task::JoinHandle::is_finished),
        "the lanes were through before"
    );
    until_a_standby_answers(&store).await;
    tokio::task::block_in_place(|| standby.promote());
    for lane in lanes {
        lane.await.expect("no panic");
    }
    check(&store, LANES, UNITS).await;
}

/// A session takes the setting with its next transaction: what is under way is carried out, and then none is of use.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL; run by ./tests/run"]
async fn a_server_set_to_read_only_under_open_sessions_is_waited_for() {
    const LANES: Lane = 3;
    const UNITS: u32 = 300;
    let server = Server::start();
    let url = server.url("orderflow", "");
    let store = open(&url).await;
    let other = open(&server.url("orderflow", "application_name=other")).await;
    let mut at = claim(&other, LANES).await;
    let lanes: Vec<_> = (0..LANES)
        .map(|lane| tokio::spawn(work(store.clone(), lane, UNITS)))
        .collect();
    until_busy(&store, 0).await;
    let unit = begun_with_a_fact(&other, at).await.expect("begun");
    // On a second session, which rests then.
    claim(&other, LANES + 1).await;
    let sessions = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'other'";
    assert_eq!(postgres::ask(&url, sessions).await, 2);

    set_read_only(&url, "on").await;
    unit.commit().await.expect("it began before");
    at.turn += 1;
    let why = until_refused(&other, &mut at).await;
    assert!(
        why.contains("the service waits for one that does") && why.contains("25006"),
        "{why}"
    );
    in_time(async { while postgres::ask(&url, sessions).await > 0 {} }).await;
    let refused = other.begin(at, 0).await.expect_err("nor is a new session let in");
    assert!(
        matches!(&refused, StoreError::Unavailable(why) if why.contains("takes no writes: it is a standby or set")),
        "{refused:?}"
    );
    assert!(
        !lanes.iter().all(tokio::task::JoinHandle::is_finished),
        "the lanes were through before"
    );

    set_read_only(&url, "off").await;
    for lane in lanes {
        lane.await.expect("no panic");
    }
    check(&store, LANES, UNITS).await;
    assert_eq!(
        claim(&other, LANES).await.turn,
        at.turn,
        "what was answered has happened"
    );
    let facts = other.outbox(LANES, 0, 100_000).await.expect("read");
    let sequences: Vec<_> = facts.iter().map(|fact| fact.sequence).collect();
    assert_eq!(sequences, (1..=at.turn).collect::<Vec<_>>());
}

async fn begun_with_a_fact(store: &PostgresStore, at: Turn) -> Result<PostgresUnit, StoreError> {
    let mut unit = store.begin(at, 0).await?;
    let writes = Writes {
        outbox: vec![fact(unit.next_sequence(), at.owner.lane)],
        ..Writes::default()
    };
    unit.write(&writes).await?;
    Ok(unit)
}

/// Whether transactions may write, of those who do not say so themselves.
async fn set_read_only(url: &str, value: &str) {
    let setting = postgres::connect(url).await;
    let set = format!("ALTER SYSTEM SET default_transaction_read_only = {value}");
    for sql in [set.as_str(), "SELECT pg_reload_conf()"] {
        setting.batch_execute(sql).await.expect("set");
    }
}

/// Does units until the sessions have heard of the setting, and gives what the first of them is told that is refused.
async fn until_refused(store: &PostgresStore, at: &mut Turn) -> String {
    let deadline = tokio::time::Instant::now() + Duration::from_secs(30);
    loop {
        let tried = async { begun_with_a_fact(store, *at).await?.commit().await };
        match tried.await {
            Ok(()) => at.turn += 1,
            Err(StoreError::Unavailable(why)) => return why,
            Err(error) => panic!("{error:?}"),
        }
        assert!(tokio::time::Instant::now() < deadline, "the server takes writes");
    }
}

/// Waits until a claim is told what is wrong with either host: what it hears first may be that its connection is closed.
async fn until_a_standby_answers(store: &PostgresStore) {
    let deadline = tokio::time::Instant::now() + Duration::from_mins(1);
    loop {
        let refused = store.claim(&[99]).await.expect_err("a standby takes no claims");
        let StoreError::Unavailable(why) = &refused else {
            panic!("{refused:?}");
        };
        if why.contains("does not answer") && why.contains("takes no writes") {
            return;
        }
        assert!(tokio::time::Instant::now() < deadline, "{why}");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

/// Waits until the lanes have written more than before.
async fn until_busy(store: &PostgresStore, kills: usize) {
    let deadline = tokio::time::Instant::now() + Duration::from_mins(1);
    while store.outbox(0, 0, 1_000).await.map_or(0, |facts| facts.len()) < 20 * (kills + 1) {
        assert!(tokio::time::Instant::now() < deadline, "the lanes do not go on");
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL; run by ./tests/run"]
async fn many_lanes_on_the_same_rows_never_deadlock() {
    const LANES: Lane = 8;
    const UNITS: u32 = 40;
    let server = Server::start();
    let url = server.url("orderflow", "");
    let stores = [open(&url).await, open(&url).await];
    let lanes: Vec<_> = (0..LANES)
        .zip(stores.iter().cycle())
        .map(|(lane, store)| tokio::spawn(work(store.clone(), lane, UNITS)))
        .collect();
    for lane in lanes {
        lane.await.expect("no panic");
    }
    check(&stores[0], LANES, UNITS).await;
    drop(stores);
    let deadlocks = postgres::ask(&url, "SELECT sum(deadlocks)::bigint FROM pg_stat_database").await;
    assert_eq!(deadlocks, 0);
}

/// While one before it is committed, nobody has queued for the end of a group that was undone. Were the next one begun then,
/// a unit of the former could wait for its turn behind the next, and that for the unit's seat.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL; run by ./tests/run"]
async fn a_group_that_was_undone_is_left_before_the_next_begins() {
    let schema = Schema::fresh();
    let store = open(&schema.url()).await;
    let committed = claim(&store, 0).await;
    let [first, second, third] = [claim(&store, 1).await, claim(&store, 2).await, claim(&store, 3).await];
    let holder = slow_commit(&schema).await;
    // The turn with rows that several lanes write, as another process has it.
    let turn = format!("(1332896839, hashtext('{}'))", schema.name());
    let take = format!("SELECT pg_advisory_lock{turn}");
    holder.batch_execute(&take).await.expect("had");
    let unit = begun_with_a_fact(&store, committed).await.expect("written");
    let committing = tokio::spawn(unit.commit());
    in_time(until_commit_waits(&schema)).await;

    let mut waiting = store.begin(first, 0).await.expect("begun");
    let dropped = store.begin(second, 0).await.expect("begun beside it");
    let waiting = tokio::spawn(async move { waiting.load(&[RowKey::new(SHELF, "0")]).await.map(drop) });
    let waits = of_those_that_wait(&schema, "count(*)");
    in_time(async { while postgres::ask(&schema.url(), &waits).await < 2 {} }).await;
    drop(dropped);
    let mut next = Box::pin(store.begin(third, 0));
    let early = tokio::time::timeout(Duration::from_millis(500), &mut next).await;
    assert!(early.is_err(), "somebody is still in the group that was undone");
    let give = format!("SELECT pg_advisory_unlock{turn}");
    holder.batch_execute(&give).await.expect("given up");
    let undone = in_time(waiting).await.expect("no panic");
    assert_eq!(undone, Err(StoreError::Undone));
    let next = in_time(next).await.expect("begun");
    let_go(&holder).await;
    in_time(committing).await.expect("no panic").expect("committed");
    in_time(next.commit()).await.expect("committed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL; run by ./tests/run"]
async fn two_claimants_in_a_duel_make_progress() {
    const ROUNDS: i64 = 6;
    let schema = Schema::fresh();
    let duellists = [open(&schema.url()).await, open(&schema.url()).await];
    let round = Arc::new(Barrier::new(duellists.len()));
    let duels = duellists
        .clone()
        .map(|store| tokio::spawn(duel(store, ROUNDS, Arc::clone(&round))));
    let mut committed = 0;
    for duel in duels {
        committed += tokio::time::timeout(Duration::from_mins(1), duel)
            .await
            .expect("progress")
            .expect("no panic");
    }
    let claim = duellists[0].claim(&[0]).await.expect("claimed").remove(0);
    assert_eq!((claim.at.turn, claim.next_sequence), (committed, committed + 1));
    // Both have claimed at first, one has lost the lane in each round after that, and there is the claim above.
    let least = 2 + (ROUNDS - 1) + 1;
    assert!(claim.at.owner.epoch >= least, "{} is no duel", claim.at.owner.epoch);
}

/// Takes the lane over whenever it is lost, until so many rounds are over: in each of them both commit as many units, so
/// each must have had the lane.
async fn duel(store: PostgresStore, rounds: i64, round: Arc<Barrier>) -> i64 {
    const UNITS: i64 = 5;
    let mut at = claim(&store, 0).await;
    let mut committed = 0;
    while committed < rounds * UNITS {
        let tried = async { begun_with_a_fact(&store, at).await?.commit().await };
        match tried.await {
            Ok(()) => {
                (committed, at.turn) = (committed + 1, at.turn + 1);
                if committed % UNITS == 0 {
                    round.wait().await;
                }
            }
            Err(StoreError::Fenced { lane: 0 }) => {
                let backoff = (committed * 7 + at.owner.epoch * 3) % 11;
                tokio::time::sleep(Duration::from_millis(backoff.unsigned_abs())).await;
                at = claim(&store, 0).await;
            }
            Err(error) => panic!("{error:?}"),
        }
    }
    committed
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL; run by ./tests/run"]
async fn a_sleeping_owner_loses_his_unit_and_the_claim_goes_on() {
    let schema = Schema::fresh();
    let (sleeping, waking) = (open(&schema.url()).await, open(&schema.url()).await);
    let at = claim(&sleeping, 0).await;
    let mut unit = sleeping.begin(at, 0).await.expect("begun");
    // Waits for the owner's transaction, which the server ends after ten idle seconds; its own limit is longer.
    let claimed = waking
        .claim(&[0])
        .await
        .expect("claimed, once the server has ended the sleeping transaction");
    assert_eq!(claimed[0].at.turn, at.turn, "nothing of it happened");
    let late = count_up(&mut unit, 0, 0).await.expect_err("the session is gone");
    assert!(matches!(late, StoreError::Unavailable(_)), "{late:?}");
    drop(unit);
    let fenced = sleeping.begin(at, 0).await.err();
    assert_eq!(fenced, Some(StoreError::Fenced { lane: 0 }));
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL; run by ./tests/run"]
async fn a_lock_that_is_not_given_up_is_said_and_survived() {
    let schema = Schema::fresh();
    let store = open(&schema.url()).await;
    let at = claim(&store, 0).await;
    let holder = postgres::connect(&schema.url()).await;
    let lock = format!("BEGIN; SELECT 1 FROM {}.lanes FOR UPDATE", schema.name());
    holder.batch_execute(&lock).await.expect("locked");
    let refused = store.begin(at, 0).await.expect_err("the row is held");
    assert!(
        matches!(&refused, StoreError::Unavailable(why) if why.contains("tried again") && why.contains("55P03")),
        "{refused:?}"
    );
    holder.batch_execute("ROLLBACK").await.expect("given up");
    store
        .begin(at, 0)
        .await
        .expect("begun")
        .commit()
        .await
        .expect("committed");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL; run by ./tests/run"]
async fn a_claim_that_fails_leaves_no_other_behind() {
    let schema = Schema::fresh();
    let store = open(&schema.url()).await;
    store.claim(&[0, 1]).await.expect("claimed");
    let holder = postgres::connect(&schema.url()).await;
    let lock = format!("BEGIN; SELECT 1 FROM {}.lanes FOR UPDATE", schema.name());
    holder.batch_execute(&lock).await.expect("locked");
    let claiming = tokio::spawn({
        let store = store.clone();
        async move { store.claim(&[0, 1]).await }
    });
    // As the server does itself after 25 s.
    let held_up = format!(
        "FROM pg_locks WHERE NOT granted AND pid IN \
         (SELECT pid FROM pg_locks WHERE relation = '{}.lanes'::regclass)",
        schema.name()
    );
    let cancel = format!("SELECT count(*) FILTER (WHERE pg_cancel_backend(pid)) {held_up}");
    in_time(async { while postgres::ask(&schema.url(), &cancel).await == 0 {} }).await;
    let refused = in_time(claiming).await.expect("no panic").expect_err("given up");
    assert!(
        matches!(&refused, StoreError::Unavailable(why) if why.contains("57014")),
        "{refused:?}"
    );
    in_time(store.timers(2, 1))
        .await
        .expect("nobody waits behind what was given up");
    let waiting = format!("SELECT count(*) {held_up}");
    assert_eq!(
        postgres::ask(&schema.url(), &waiting).await,
        0,
        "no claim is still under way"
    );
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL; run by ./tests/run"]
async fn a_server_without_a_connection_left_is_waited_for() {
    let schema = Schema::fresh();
    let role = schema.role("CONNECTION LIMIT 2").await;
    let address = PostgresAddress::parse(&schema.url_of(&role), "faults").expect("a URL");
    let options = PostgresOptions {
        groups: NonZeroUsize::new(3).expect("three"),
        ..PostgresOptions::default()
    };
    let store = PostgresStore::open(address, options).await.expect("opens");
    let [first, second, third] = [claim(&store, 1).await, claim(&store, 2).await, claim(&store, 3).await];
    let (one, two) = (
        store.begin(first, 0).await.expect("begun"),
        store.begin(second, 0).await.expect("begun"),
    );
    let refused = store.begin(third, 0).await.expect_err("there is no third connection");
    assert!(
        matches!(&refused, StoreError::Unavailable(why) if why.contains("no connection left")),
        "{refused:?}"
    );
    one.commit().await.expect("committed");
    store
        .begin(third, 0)
        .await
        .expect("one came back")
        .commit()
        .await
        .expect("committed");
    two.commit().await.expect("committed");
}

async fn in_time<T>(happens: impl Future<Output = T>) -> T {
    let patience = Duration::from_secs(10);
    tokio::time::timeout(patience, happens)
        .await
        .expect("it happens in time")
}

/// Makes a COMMIT of lane 0 take until whoever is given lets go of a lock.
async fn slow_commit(schema: &Schema) -> Client {
    let slow = "CREATE FUNCTION SCHEMA.wait() RETURNS trigger LANGUAGE plpgsql AS \
        'BEGIN PERFORM pg_advisory_xact_lock(hashtext(TG_TABLE_SCHEMA)); RETURN NULL; END'; \
        CREATE CONSTRAINT TRIGGER slow AFTER INSERT ON SCHEMA.outbox DEFERRABLE INITIALLY DEFERRED \
        FOR EACH ROW WHEN (NEW.lane = 0) EXECUTE FUNCTION SCHEMA.wait()";
    schema.run(slow).await;
    let holder = postgres::connect(&schema.url()).await;
    let lock = format!("SELECT pg_advisory_lock(hashtext('{}'))", schema.name());
    holder.batch_execute(&lock).await.expect("locked");
    holder
}

async fn let_go(holder: &Client) {
    let unlock = "SELECT pg_advisory_unlock_all()";
    holder.batch_execute(unlock).await.expect("given up");
}

/// Of the sessions whose COMMIT waits, something that can be asked of a server.
fn of_those_that_wait(schema: &Schema, what: &str) -> String {
    format!(
        "SELECT {what} FROM pg_locks WHERE locktype = 'advisory' AND NOT granted AND objid = hashtext('{}')::oid",
        schema.name()
    )
}

async fn until_commit_waits(schema: &Schema) {
    let waits = of_those_that_wait(schema, "count(*)");
    while postgres::ask(&schema.url(), &waits).await == 0 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// The next group begins while one is being committed; of the rows that both want it waits for the turn.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL; run by ./tests/run"]
async fn the_next_group_begins_while_one_is_committed() {
    let schema = Schema::fresh();
    let store = open(&schema.url()).await;
    let [first, second] = [claim(&store, 0).await, claim(&store, 1).await];
    let holder = slow_commit(&schema).await;
    let committing = tokio::spawn({
        let store = store.clone();
        async move { try_once(&store, first, 0).await }
    });
    in_time(until_commit_waits(&schema)).await;
    let mut unit = in_time(store.begin(second, 0)).await.expect("begun beside it");
    in_time(unit.admit(&[], &[])).await.expect("let in");
    let key = [RowKey::new(SHELF, "0")];
    let mut loading = Box::pin(unit.load(&key));
    let early = tokio::time::timeout(Duration::from_millis(100), &mut loading).await;
    assert!(early.is_err(), "the row may still change");
    assert!(!committing.is_finished());

    let_go(&holder).await;
    assert_eq!(committing.await.expect("no panic"), Ok(()));
    let loaded = loading.await.expect("loaded");
    assert_eq!((loaded[0].version, loaded[0].body.as_deref()), (1, Some("1")));
    unit.commit().await.expect("committed");
}

/// The server has heard COMMIT and carries it out; nobody hears of it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL; run by ./tests/run"]
async fn a_commit_whose_answer_is_lost_on_the_way_has_happened() {
    let schema = Schema::fresh();
    let door = Door::before(postgres::host());
    let store = open(&schema.url().replace(&postgres::host(), door.place())).await;
    let at = claim(&store, 0).await;
    let holder = slow_commit(&schema).await;
    let committing = tokio::spawn({
        let store = store.clone();
        async move { try_once(&store, at, 0).await }
    });
    in_time(until_commit_waits(&schema)).await;
    door.cut();
    let lost = in_time(committing).await.expect("no panic");
    assert!(matches!(&lost, Err(StoreError::Unknown(_))), "{lost:?}");

    // Whoever asks what became of it is answered when that is known.
    let mut asked = Box::pin(store.resolve(at));
    let early = tokio::time::timeout(Duration::from_millis(200), &mut asked).await;
    assert!(early.is_err(), "{early:?}");
    let_go(&holder).await;
    assert_eq!(in_time(asked).await, Ok(Outcome::Happened));
    assert_eq!(store.outbox(0, 0, 10).await.expect("read").len(), 1);
}

/// The server has heard COMMIT and dies of it.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL; run by ./tests/run"]
async fn a_commit_whose_session_is_ended_has_not_happened() {
    let schema = Schema::fresh();
    let store = open(&schema.url()).await;
    let at = claim(&store, 0).await;
    let _holder = slow_commit(&schema).await;
    let committing = tokio::spawn({
        let store = store.clone();
        async move { try_once(&store, at, 0).await }
    });
    in_time(until_commit_waits(&schema)).await;
    let ended = of_those_that_wait(&schema, "count(pg_terminate_backend(pid))");
    assert_eq!(postgres::ask(&schema.url(), &ended).await, 1);
    let lost = in_time(committing).await.expect("no panic");
    assert!(matches!(&lost, Err(StoreError::Unknown(_))), "{lost:?}");
    assert_eq!(in_time(store.resolve(at)).await, Ok(Outcome::DidNot));
    assert_eq!(store.outbox(0, 0, 10).await.expect("read").len(), 0);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL; run by ./tests/run"]
async fn units_wait_for_one_another_where_connections_are_few() {
    let schema = Schema::fresh();
    let options = PostgresOptions {
        connections: NonZeroUsize::MIN,
        groups: NonZeroUsize::new(2).expect("two"),
        ..PostgresOptions::default()
    };
    let store = PostgresStore::open(schema.address(), options).await.expect("opens");
    let (first, second) = (claim(&store, 1).await, claim(&store, 2).await);
    let unit = store.begin(first, 0).await.expect("begun");
    let mut waiting = Box::pin(store.begin(second, 0));
    let early = tokio::time::timeout(Duration::from_millis(50), &mut waiting).await;
    assert!(early.is_err(), "there is one connection");
    drop(unit);
    waiting
        .await
        .expect("rolled back and given on")
        .commit()
        .await
        .expect("committed");
}

/// So a newer program keeps those that still run from taking its rows for theirs.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL; run by ./tests/run"]
async fn a_program_stops_when_a_newer_one_has_renamed_a_column() {
    let schema = Schema::fresh();
    let store = open(&schema.url()).await;
    let mut at = claim(&store, 0).await;
    try_once(&store, at, 0).await.expect("all is as it was");
    at.turn += 1;
    let step = "ALTER TABLE SCHEMA.outbox RENAME packed_headers TO newer; \
        INSERT INTO SCHEMA.schema_versions (version, name) VALUES (99, 'newer')";
    schema.run(step).await;
    let written = try_once(&store, at, 1).await.expect_err("on the connection there is");
    let read = store.outbox(0, 0, 10).await.expect_err("on that one or another");
    for stopped in [written, read] {
        assert!(
            matches!(&stopped, StoreError::Unusable { kind: Unusable::Unfit, why } if why.contains("newer program")),
            "{stopped:?}"
        );
    }
    let back = "ALTER TABLE SCHEMA.outbox RENAME newer TO packed_headers; \
        DELETE FROM SCHEMA.schema_versions WHERE version = 99";
    schema.run(back).await;
    let facts = open(&schema.url()).await.outbox(0, 0, 10).await.expect("read");
    assert_eq!(facts.len(), 1, "nothing was written");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
#[ignore = "needs PostgreSQL; run by ./tests/run"]
async fn what_a_text_cannot_hold_is_refused_and_harms_nothing_else() {
    let schema = Schema::fresh();
    let store = open(&schema.url()).await;
    let at = claim(&store, 0).await;
    let long = "k".repeat(20) + &(0..3_000).map(|n| n.to_string()).collect::<String>();
    for key in ["a\0b", long.as_str()] {
        let mut unit = store.begin(at, 0).await.expect("begun");
        let row = StoredRow {
            key: RowKey::new(SHELF, key),
            version: 0,
            body: Some("1".into()),
        };
        let writes = store::Writes {
            rows: vec![row],
            ..Writes::default()
        };
        let refused = unit.write(&writes).await.expect_err("refused");
        assert!(matches!(refused, StoreError::Refused(_)), "{refused:?}");
    }
    store
        .begin(at, 0)
        .await
        .expect("begun")
        .commit()
        .await
        .expect("committed");
}
