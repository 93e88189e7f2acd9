//! Members that cannot get on for a while: their database is away, somebody takes their lanes, somebody holds their rows.

use std::time::Duration;

use super::support::fleet::Fleet;
use super::support::process::{Daemon, output_of, shown};
use super::support::wait_until;
use super::{ENDED, LANES, SOON, fleet, hold, last_assigned, let_go, until_all_lanes_move};

/// How soon everybody has lanes after somebody joined: less than any patience with a database.
const SHARED_OUT: Duration = Duration::from_secs(30);

/// A user of the database who can be shut out, and others not.
struct User<'a> {
    fleet: &'a Fleet,
    name: String,
}

impl<'a> User<'a> {
    fn of(fleet: &'a Fleet) -> Self {
        let name = format!("{}_user", fleet.database.name());
        // What belongs to the tests' user belongs to this one.
        let make =
            format!("CREATE ROLE {name} LOGIN; DO $$ BEGIN EXECUTE format('GRANT %I TO {name}', current_user); END $$");
        fleet.database.run(&make);
        Self { fleet, name }
    }

    fn shut_out(&self) {
        let name = &self.name;
        self.fleet.database.run(&format!(
            "ALTER ROLE {name} CONNECTION LIMIT 0; \
             SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE usename = '{name}'"
        ));
    }

    fn let_in(&self) {
        self.fleet
            .database
            .run(&format!("ALTER ROLE {} CONNECTION LIMIT -1", self.name));
    }
}

impl Drop for User<'_> {
    fn drop(&mut self) {
        let sql = format!("DROP ROLE {}", self.name);
        drop(self.fleet.database.session("leaving", &sql).output());
    }
}

/// The group does not wait for the one whose database is away, and he does not give up.
#[test]
#[ignore = "needs Kafka's jars and PostgreSQL; run by ./tests/run"]
fn a_member_whose_database_is_away_claims_its_lanes_once_it_is_back() {
    let fleet = fleet();
    a_member_is_shut_out(&fleet);
}

#[test]
#[ignore = "needs Kafka's jars and PostgreSQL; run by ./tests/run"]
fn under_the_newer_protocol_it_claims_its_lanes_too() {
    let fleet = fleet().set("ORDERFLOW_RUNTIME_GROUP_PROTOCOL", "consumer");
    a_member_is_shut_out(&fleet);
}

fn a_member_is_shut_out(fleet: &Fleet) {
    const WAITS: &str = "wait to be claimed";
    fleet.stock_up();
    let payment = fleet.run("payment", "payment");
    let mut second = fleet.run("inventory", "second");
    fleet.place(300);
    fleet.wait_applied(300, SOON);
    let user = User::of(fleet);
    let url = fleet.database.url_of(&user.name);
    let mut first = fleet.run_with("inventory", "first", &[("ORDERFLOW_DATABASE", &url)]);
    has(&first, LANES / 2);

    // All lanes are his to claim, and then some of them another's.
    user.shut_out();
    assert_eq!(second.stop(ENDED).code(), Some(0), "{}", second.log());
    first.wait_for_log(WAITS, SOON);
    let mut third = fleet.run("inventory", "third");
    wait_until("the group to share out its lanes", SHARED_OUT, || {
        last_assigned(&third) == Some(LANES / 2)
    });
    fleet.place(300);
    assert!(first.is_running(), "{}", first.log());
    user.let_in();
    until_all_lanes_move(fleet);
    fleet.assert_clean(&[&first, &third, &payment]);

    // Nor does he keep anybody waiting who asks him to end.
    user.shut_out();
    let before = first.log().matches(WAITS).count();
    assert_eq!(third.stop(ENDED).code(), Some(0), "{}", third.log());
    wait_until("lanes that wait", SOON, || first.log().matches(WAITS).count() > before);
    assert_eq!(first.stop(ENDED).code(), Some(0), "{}", first.log());
}

/// Its claim waits for a row that somebody holds, for longer than anybody waits for its end.
#[test]
#[ignore = "needs Kafka's jars and PostgreSQL; run by ./tests/run"]
fn a_member_in_the_middle_of_a_claim_ends_when_it_is_asked_to() {
    const WAITS: &str =
        "SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()";
    let fleet = fleet();
    fleet.stock_up();
    let mut made = fleet.run("inventory", "made");
    fleet.place(60);
    fleet.wait_applied(60, SOON);
    assert_eq!(made.stop(ENDED).code(), Some(0), "{}", made.log());
    let _holder = hold(&fleet, "inventory.lanes");
    let mut member = fleet.run("inventory", "member");
    wait_until("a claim that waits", SOON, || fleet.database.number(WAITS) > Some(0));
    assert_eq!(member.stop(ENDED).code(), Some(0), "{}", member.log());
}

fn has(member: &Daemon, lanes: usize) {
    wait_until("its lanes", SOON, || last_assigned(member) == Some(lanes));
}

/// What a second claimant does, whom nobody sees.
#[test]
#[ignore = "needs Kafka's jars and PostgreSQL; run by ./tests/run"]
fn lanes_that_are_taken_again_and_again_get_on_afterwards() {
    const TIMES: usize = 12;
    let fleet = fleet();
    fleet.stock_up();
    let payment = fleet.run("payment", "payment");
    let inventory = fleet.run("inventory", "inventory");
    fleet.place(300);
    fleet.wait_applied(300, SOON);
    // One at a time: whoever locks several in another order than the lanes do is in their way.
    let mut lanes = (0..LANES).cycle();
    wait_until("a member that is fenced many times", SOON, || {
        let lane = lanes.next().expect("they go round");
        let taken = format!("UPDATE inventory.lanes SET epoch = epoch + 1 WHERE lane = {lane}");
        fleet.database.run(&taken);
        fleet.place(LANES);
        inventory.log().matches("fenced").count() >= TIMES
    });
    until_all_lanes_move(&fleet);
    fleet.assert_clean(&[&inventory, &payment]);
    fleet.copies_in_order();
}

/// By what they get done, not by whether they answer.
#[test]
#[ignore = "needs Kafka's jars and PostgreSQL; run by ./tests/run"]
fn lanes_that_stand_still_are_not_healthy() {
    let mut fleet = fleet();
    fleet.stock_up();
    let _inventory = fleet.run("inventory", "inventory");
    fleet.place(300);
    fleet.wait_applied(300, SOON);
    healthy(&fleet);

    // The row that every order needs.
    let _holder = hold(&fleet, "inventory.state WHERE entity = 'stock'");
    fleet.place(300);
    let named: Vec<_> = (0..LANES)
        .map(|lane| format!("lane {lane} has records to handle, or waits to be claimed, and has handled none for"))
        .collect();
    unhealthy(&fleet, &named);
    let_go(&fleet);
    fleet.wait_applied(600, SOON);
    healthy(&fleet);

    fleet.system.broker.kill();
    unhealthy(&fleet, &["no broker has answered for".to_owned()]);
    fleet.system.broker.restart();
    healthy(&fleet);
}

fn healthy(fleet: &Fleet) {
    wait_until("a daemon that gets on", SOON, || judged(fleet).0 == Some(0));
}

/// Waits until the daemon is not, for all of these reasons.
fn unhealthy(fleet: &Fleet, reasons: &[String]) {
    wait_until("a daemon that stands still", SOON, || {
        let (code, said) = judged(fleet);
        code == Some(10) && reasons.iter().all(|reason| said.contains(reason))
    });
}

fn judged(fleet: &Fleet) -> (Option<i32>, String) {
    let mut health = fleet.system.orderflow();
    let output = output_of(health.args(["health", "inventory", "--still", "3s"]));
    (output.status.code(), shown(&output))
}
