//! What happens to daemons and not in them: frozen, killed at any time, their broker killed, their acknowledgements lost.

use std::time::{Duration, Instant};

use orderflow_producers::emit::Shape;
use rusqlite::OpenFlags;
use rustix::process::Signal;

use super::proxy::Proxy;
use super::support::broker::Broker;
use super::support::catalogue::catalogue;
use super::support::cluster::end_offsets;
use super::support::process::{Daemon, stdout_of};
use super::support::seed::{Dice, seed};
use super::support::{wait_for, wait_until};
use super::visitor::Visitor;
use super::waves;
use super::waves::Waves;
use super::world::{LANES, Life, SERVICES, World};

/// A load is put in long before.
const PUT_IN: Duration = Duration::from_secs(90);

/// Exit code of a command that could not reach the brokers in time.
const UNREACHABLE: i32 = 4;

/// From the start of a daemon that was killed to the first record it handles, in the middle of many: 2 s are promised, and
/// machines are shared.
const BACK: Duration = Duration::from_secs(6);

/// A session within which a broker that was killed is back, and in which nobody waits for the end of one.
const A_LONG_SESSION: Duration = Duration::from_secs(20);

/// Time between two tellings of positions, so that most are told after a kill which nobody has told before.
const LONGER_THAN_A_KILL: &str = "5s";

#[test]
#[ignore = "needs Kafka's jars; run by ./tests/run"]
fn frozen_past_its_session_a_daemon_loses_its_lanes_and_returns() {
    let world = World::start();
    let mut waves = Waves::new(seed());
    let daemons = SERVICES.map(|service| world.run(service, Life::Unharmed));
    waves.send(world.brokers());
    world.audit("before the freeze");

    daemons[0].signal(Signal::STOP);
    waves.send(world.brokers());
    let all = usize::try_from(LANES).expect("a small number");
    drop(Visitor::join(world.brokers(), SERVICES[0], all));
    waves.send(world.brokers());
    daemons[0].signal(Signal::CONT);

    let report = world.audit("after the freeze");
    assert_eq!(waves::Sums::of(&report), waves.sums());
    assert!(daemons[0].log().contains("lost=true"), "{}", daemons[0].log());
    World::stop(daemons.into());
}

#[test]
#[ignore = "needs Kafka's jars; run by ./tests/run"]
fn a_broker_killed_under_load_and_restarted_costs_nothing() {
    const ORDERS: u64 = 3_000;
    let mut world = World::start();
    let daemons = SERVICES.map(|service| world.run(service, Life::Unharmed));
    stock_up(&world);
    let mut load = emit(&world, ORDERS);
    wait_until("a third of the load", PUT_IN, || {
        end_offsets(world.brokers(), "orders") > 1_000
    });

    world.broker.kill();
    world.broker.restart();

    if load.wait(PUT_IN).code() == Some(UNREACHABLE) {
        // The broker was away for longer than a producer waits: its hint is to repeat the load, byte for byte.
        assert!(load.log().contains("hint: repeat it as it is"), "{}", load.log());
        load = emit(&world, ORDERS);
    }
    assert!(load.wait(PUT_IN).success(), "{}", load.log());
    judge(&world, "after the broker's restart", ORDERS);
    World::stop(daemons.into());
}

#[test]
#[ignore = "needs Kafka's jars; run by ./tests/run"]
fn acknowledgements_lost_under_load_cost_nothing() {
    const ORDERS: u64 = 2_000;
    let (world, proxy) = behind_a_door();
    let daemons = SERVICES.map(|service| world.run(service, Life::Unharmed));
    stock_up(&world);

    proxy.lose_one_in(7);
    let mut load = emit(&world, ORDERS);
    assert!(load.wait(PUT_IN).success(), "{}", load.log());
    judge(&world, "after lost acknowledgements", ORDERS);

    let lost = proxy.lost();
    eprintln!("{lost} acknowledgements lost");
    assert!(lost >= 20, "only {lost} were lost");
    World::stop(daemons.into());
}

/// Positions that are to be told while the broker is away wait in the client, and are sent when it is back: by a member whose
/// session has ended meanwhile, and who has no name yet. To the broker that is another one than it knows.
#[test]
#[ignore = "needs Kafka's jars; run by ./tests/run"]
fn a_session_that_ended_while_the_broker_was_away_is_no_other_member() {
    const ORDERS: u64 = 3_000;
    let (mut world, proxy) = behind_a_door();
    let mut daemons = SERVICES.map(|service| {
        let mut command = world.orderflow();
        command
            .env(
                "ORDERFLOW_RUNTIME_SESSION_TIMEOUT",
                format!("{}s", A_LONG_SESSION.as_secs()),
            )
            .env("ORDERFLOW_RUNTIME_GROUP_OFFSET_INTERVAL", LONGER_THAN_A_KILL)
            // Back at once, once the door is open.
            .env("ORDERFLOW_KAFKA_RECONNECT_BACKOFF_MAX_MS", "200");
        world.start_logged(command.args(["run", service]), service)
    });
    stock_up(&world);
    let mut load = emit(&world, ORDERS);
    wait_until("a third of the load", PUT_IN, || {
        end_offsets(world.brokers(), "orders") > 1_000
    });

    proxy.shut();
    world.broker.kill();
    world.broker.launch_again();
    wait_until("a session to end", PUT_IN, || {
        daemons.iter().any(|daemon| daemon.log().contains("lost=true"))
    });
    proxy.open();

    if load.wait(PUT_IN).code() == Some(UNREACHABLE) {
        load = emit(&world, ORDERS);
    }
    assert!(load.wait(PUT_IN).success(), "{}", load.log());
    judge(&world, "after the session's end", ORDERS);
    for daemon in &mut daemons {
        assert!(daemon.is_running(), "{}", daemon.log());
    }
    assert!(
        daemons.iter().any(|daemon| daemon.log().contains("joining anew")),
        "nobody was fenced\n{}",
        daemons[0].log()
    );
    World::stop(daemons.into());
}

#[test]
#[ignore = "needs Kafka's jars; run by ./tests/run"]
fn killed_at_any_time_a_daemon_goes_on_at_once() {
    const ORDERS: u64 = 4_000;
    const KILLS: usize = 9;
    let world = World::start();
    let seed = seed();
    let (mut dice, mut waves) = (Dice::new(!seed), Waves::new(seed));
    let mut daemons = SERVICES.map(|service| start_with_a_long_session(&world, service));
    stock_up(&world);
    let mut load = emit(&world, ORDERS);

    let mut took = Vec::new();
    for kill in 0..KILLS {
        std::thread::sleep(Duration::from_millis(dice.next() % 800));
        let killed = kill % SERVICES.len();
        daemons[killed].kill();
        waves.send(world.brokers());
        took.push(back_after(&world, SERVICES[killed], &mut daemons[killed]));
    }
    took.sort_unstable();
    eprintln!("back after {took:?}");
    assert!(took[KILLS / 2] < BACK && took[KILLS - 1] < A_LONG_SESSION, "{took:?}");
    assert!(load.wait(PUT_IN).success(), "{}", load.log());
    judge(&world, "after the kills", ORDERS + waves.sums().orders);
    World::stop(daemons.into());
}

/// A world whose broker is reached through a door.
fn behind_a_door() -> (World, Proxy) {
    let mut door = None;
    let broker = Broker::start_behind(|port| door.insert(Proxy::before(port)).port());
    let proxy = door.expect("the broker is behind it");
    let world = World::on(broker, format!("127.0.0.1:{}", proxy.port()));
    (world, proxy)
}

/// A member that waits until its former life is given up is not back before this is over.
fn start_with_a_long_session(world: &World, service: &str) -> Daemon {
    let mut command = world.orderflow();
    let session = format!("{}s", A_LONG_SESSION.as_secs());
    command.env("ORDERFLOW_RUNTIME_SESSION_TIMEOUT", session);
    world.start_logged(command.args(["run", service]), service)
}

/// Starts a service again and waits for the first record it handles; gives the time it took.
fn back_after(world: &World, service: &'static str, daemon: &mut Daemon) -> Duration {
    let before = handled(world, service);
    let started = Instant::now();
    *daemon = start_with_a_long_session(world, service);
    wait_until("the first record after a kill", PUT_IN, || {
        handled(world, service) > before
    });
    started.elapsed()
}

/// How far a service is, over all its partitions.
fn handled(world: &World, service: &str) -> i64 {
    let ask = || {
        let flags = OpenFlags::SQLITE_OPEN_READ_ONLY;
        let database = rusqlite::Connection::open_with_flags(world.database(service), flags).ok()?;
        let query = "SELECT coalesce(sum(next_offset), 0) FROM v_progress";
        database.query_row(query, [], |row| row.get(0)).ok()
    };
    wait_for("an answer of the database", Duration::from_secs(5), ask)
}

/// The audit is clean, every order is there once, and most could be reserved and charged.
fn judge(world: &World, after: &str, orders: u64) {
    let totals = world.audit(after).totals;
    assert_eq!(totals.orders, orders, "{after}: orders");
    assert!(totals.reserved > orders * 9 / 10, "{after}: {totals:?}");
    assert!(totals.processed > orders * 9 / 10, "{after}: {totals:?}");
    eprintln!("{after}: {totals:?}");
}

/// What the load draws on.
fn shape() -> Shape {
    Shape {
        products: 50,
        ..Shape::default()
    }
}

/// Starts a load of about ten seconds. Started again, it places the same orders.
fn emit(world: &World, orders: u64) -> Daemon {
    let mut command = world.orderflow();
    command.args([
        "order",
        "emit",
        "--rate",
        "400",
        "--seed",
        "7",
        "--start",
        "2026-01-01T00:00:00Z",
    ]);
    command.args([
        "--count",
        &orders.to_string(),
        "--products",
        &shape().products.to_string(),
    ]);
    world.start_logged(&mut command, "emit")
}

/// Receives enough of everything that the load can ask for.
fn stock_up(world: &World) {
    let file = tempfile::NamedTempFile::new().expect("a temporary file");
    std::fs::write(file.path(), catalogue(&shape())).expect("the file takes a catalogue");
    stdout_of(world.orderflow().args(["stock", "import", "--wait"]).arg(file.path()));
}
