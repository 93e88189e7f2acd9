//! The cluster of `docker/compose.yaml` under load, and what goes wrong in it: brokers, the database and daemons killed,
//! frozen and cut off. After each fault the audit finds nothing lost and nothing twice, all lag is gone within
//! [`CAUGHT_UP`], and no standstill was longer than [`STANDSTILL`].
//!
//! ```text
//! main.rs      which faults, in which order
//! minimal.rs   the small profile, without faults
//! faults.rs    how each is done, and how it is seen to have hit
//! stage.rs     the cluster
//! project.rs   its containers
//! watch.rs     how the services get on meanwhile
//! eye.rs       a look into the database
//! load.rs      the orders
//! secrets.rs   the password of the database, without a container
//! ```

#![allow(
    clippy::print_stderr,
    reason = "the seed and the measured times are shown with the test"
)]

#[path = "../support/mod.rs"]
mod support;

mod eye;
mod faults;
mod load;
mod minimal;
mod project;
mod secrets;
mod stage;
mod watch;

use std::collections::BTreeSet;
use std::time::{Duration, Instant};

use faults::Fault;
use load::Load;
use stage::Stage;
use support::seed::{Dice, seed};
use watch::Watch;

/// From the end of the load to everything handled and published.
const CAUGHT_UP: Duration = Duration::from_mins(1);

/// The longest that a lane may handle nothing while orders come: what a fault lasts (26 s at most) or a session timeout
/// (20 s), then taking over and reading on, on a machine that is shared.
const STANDSTILL: Duration = Duration::from_secs(40);

/// Brokers lost one after the other.
const LOSSES: usize = 30;

/// The same where nothing but a broker is lost: the time after which the others take its partitions over
/// (`broker.session.timeout.ms`, 9 s), and five seconds.
const LOST: Duration = Duration::from_secs(14);

#[test]
#[ignore = "needs Docker; run by ./tests/run"]
fn a_broker_and_a_daemon_killed_in_a_cluster_cost_nothing() {
    let mut dice = Dice::new(seed());
    let stage = Stage::start(2, secrets::AWKWARD);
    let mut outside = stage.inventory_outside();
    // The third of its group: lanes of its own, which get on in every fault as all lanes do.
    outside.wait_for_log("assigned lanes=[", CAUGHT_UP);
    assert!(!outside.log().contains("lanes=[]"), "{}", outside.log());
    let faults = [Fault::BrokerKilled, Fault::InventoryCrashed];
    let hit = suffer(&stage, &mut dice, &[&faults]);
    assert_eq!(hit, faults.into(), "faults that hit, and that were planned");
    assert_eq!(outside.stop(CAUGHT_UP).code(), Some(0), "{}", outside.log());
}

#[test]
#[ignore = "needs Docker and a quarter of an hour; run by ./tests/run --docker-all"]
fn nightly_whatever_fails_in_a_cluster_costs_nothing() {
    let mut dice = Dice::new(seed());
    let stage = Stage::start(3, "");
    let mut order = Fault::ALL.to_vec();
    for last in (1..order.len()).rev() {
        order.swap(last, dice.below(last + 1));
    }
    let rounds: Vec<_> = order.iter().map(std::slice::from_ref).collect();
    let hit = suffer(&stage, &mut dice, &rounds);
    assert_eq!(hit, Fault::ALL.into(), "faults that hit, and that were planned");
}

#[test]
#[ignore = "needs Docker and half an hour; run by ./tests/run --docker-all"]
fn nightly_a_lost_broker_stops_no_lane_for_long() {
    let mut dice = Dice::new(seed());
    let stage = Stage::start(3, "");
    load::stock_up(&stage);
    let load = Load::start(&stage, dice.next());
    let mut stood = Vec::new();
    for round in 1..=LOSSES {
        let watch = Watch::start(&stage);
        watch.wait_for_progress(CAUGHT_UP * 2);
        let evidence = Fault::BrokerLost.hit(&stage, &watch, &mut dice);
        watch.wait_for_progress(STANDSTILL);
        let longest = watch.end().into_iter().map(|(_, still)| still).max();
        let longest = longest.expect("two services");
        stood.push(longest);
        eprintln!("{round} of {LOSSES}: {evidence}, longest standstill {longest:.1?}");
    }
    let orders = load.finish();
    stage.audit("after all losses", CAUGHT_UP, orders);
    stood.sort_unstable();
    let (median, worst) = (stood[stood.len() / 2], stood[stood.len() - 1]);
    eprintln!("{orders} orders, audit clean; standstill p50 {median:.1?}, worst of {LOSSES} {worst:.1?}");
    assert!(worst <= LOST, "{stood:?}, and at most {LOST:?} is allowed");
}

/// One load for each round, the round's faults within it, and a judgement. Gives the faults of which there is evidence.
fn suffer(stage: &Stage, dice: &mut Dice, rounds: &[&[Fault]]) -> BTreeSet<Fault> {
    load::stock_up(stage);
    let (mut orders, mut hit) = (0, BTreeSet::new());
    for faults in rounds {
        let (watch, load) = (Watch::start(stage), Load::start(stage, dice.next()));
        watch.wait_for_progress(CAUGHT_UP * 2);
        for fault in *faults {
            let evidence = fault.hit(stage, &watch, dice);
            eprintln!("{fault:?} hit: {evidence}");
            hit.insert(*fault);
            // Orders still come: all is well again only when every lane gets on.
            watch.wait_for_progress(fault.allowed());
        }
        orders += load.finish();
        let ended = Instant::now();
        stage.audit(&format!("after {faults:?}"), CAUGHT_UP, orders);
        let (caught_up, longest) = (ended.elapsed(), watch.end());
        eprintln!(
            "{faults:?}: {orders} orders, audit clean {caught_up:.1?} after the last, longest standstill {longest:.1?}"
        );
        let allowed = faults.iter().map(|fault| fault.allowed()).max().expect("a fault");
        assert!(
            longest.iter().all(|(_, still)| *still <= allowed),
            "{faults:?}: {longest:?}, and at most {allowed:?} is allowed"
        );
    }
    eprintln!("{} faults hit", hit.len());
    hit
}
