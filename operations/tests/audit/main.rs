//! The audit on a real story: clean as the services leave it, and each damage to a copy of it named.

mod cannot;
mod charges;
mod databases;
mod expect;
mod fixture;
mod live;
mod story;
mod topics;

use orderflow_operations::audit::Totals;

use self::fixture::World;

#[test]
fn what_the_services_leave_is_clean() {
    let world = World::new();
    let report = world.audit().expect("a report");
    let violations: Vec<_> = report.violated().collect();
    assert!(report.clean && violations.is_empty(), "{violations:#?}");
    assert!(
        report.invariants.iter().all(|finding| finding.checked > 0),
        "{report:#?}"
    );
    assert_eq!(report.notes, Vec::<String>::new());
}

#[test]
fn it_tells_what_it_went_through() {
    let world = World::new();
    let totals = world.audit().expect("a report").totals;
    assert_eq!(
        totals,
        Totals {
            records: world.records,
            orders: story::ORDERS,
            reserved: 23,
            unavailable: 3,
            processed: 24,
            failed: 2,
            duplicates: 2 * 6,
            dead: story::DEAD,
            facts: 2 * 26 + story::DEAD,
            republished: 1,
            products: 4,
            ledger: 25,
        }
    );
}

#[test]
fn a_report_is_data() {
    let world = World::new();
    world.change(
        "inventory",
        "UPDATE progress SET applied = applied + 1 WHERE topic = 'stock' AND partition = 1",
    );
    let report = serde_json::to_value(world.audit().expect("a report")).expect("JSON");
    assert_eq!(report["clean"], false);
    let counts = &report["invariants"][0];
    assert_eq!(counts["invariant"], "record-counts");
    assert_eq!(counts["violated"], 1);
    let violation = &counts["violations"][0];
    assert_eq!(
        (&violation["topic"], &violation["partition"]),
        (&"stock".into(), &1.into())
    );
    assert!(
        violation["offset"].is_null() && violation["group"] == "inventory",
        "{violation}"
    );
    assert_eq!(report["totals"]["orders"], story::ORDERS);
}
