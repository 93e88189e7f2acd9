//! The gateway's ledger changed: what payment announced is not what was charged.

use orderflow_operations::audit::Invariant;

use super::expect::{place, the_one, violated};
use super::fixture::World;
use super::story::{DECLINED, PLAIN, order_id};

#[test]
fn a_charge_of_another_amount() {
    let world = World::new();
    let row = format!(
        "UPDATE charges SET amount_minor = amount_minor + 1 WHERE order_id = '{}'",
        order_id(PLAIN)
    );
    world.change("ledger", &row);
    assert_eq!(place(&the_one(&world, Invariant::Charges)).0, "payments");
}

#[test]
fn a_charge_in_another_currency() {
    let world = World::new();
    world.change(
        "ledger",
        &format!(
            "UPDATE charges SET currency = 'USD' WHERE order_id = '{}'",
            order_id(PLAIN)
        ),
    );
    let violation = the_one(&world, Invariant::Charges);
    assert!(violation.sentence.contains("398 USD"), "{}", violation.sentence);
}

#[test]
fn a_second_charge_of_an_order() {
    let world = World::new();
    let row = format!(
        "INSERT INTO charges SELECT 'second', order_id, outcome, 'ch_second', reason, amount_minor, currency, created_at, 1
         FROM charges WHERE order_id = '{}'",
        order_id(PLAIN)
    );
    world.change("ledger", &row);
    let violation = the_one(&world, Invariant::Charges);
    assert!(
        violation
            .sentence
            .contains("charge ch_second of 398 GBP under key second"),
        "{}",
        violation.sentence
    );
}

#[test]
fn a_charge_of_an_order_that_nobody_placed() {
    let world = World::new();
    let row = "INSERT INTO charges VALUES ('k', 'nobody', 'charged', 'ch_x', NULL, 5, 'GBP', 0, 1)";
    world.change("ledger", row);
    the_one(&world, Invariant::Charges);
}

#[test]
fn a_charge_missing_from_the_ledger() {
    let world = World::new();
    world.change(
        "ledger",
        &format!("DELETE FROM charges WHERE order_id = '{}'", order_id(PLAIN + 4)),
    );
    let violation = the_one(&world, Invariant::Charges);
    assert!(violation.sentence.contains("no such charge"), "{}", violation.sentence);
}

#[test]
fn a_payment_that_failed_and_was_charged() {
    let world = World::new();
    let row = format!(
        "UPDATE charges SET outcome = 'charged', charge_id = 'ch_x', reason = NULL WHERE order_id = '{}'",
        order_id(DECLINED)
    );
    world.change("ledger", &row);
    assert_eq!(violated(&world, &[Invariant::Charges]).len(), 2);
}
