//! What an audit of a damaged copy must say.

use orderflow_operations::audit::{Invariant, Report, Violation};
use uuid::Uuid;

use super::fixture::World;

/// Audits the copy, which must violate these invariants and no other, and gives what is listed of the first.
pub(crate) fn violated(world: &World, invariants: &[Invariant]) -> Vec<Violation> {
    let report = world.audit().expect("a report");
    let found: Vec<_> = report.violated().map(|finding| finding.invariant).collect();
    let mut expected = invariants.to_vec();
    expected.sort_unstable();
    assert_eq!(found, expected, "{:#?}", report.violated().collect::<Vec<_>>());
    listed(&report, invariants[0])
}

/// The same, for a damage that makes one violation.
pub(crate) fn the_one(world: &World, invariant: Invariant) -> Violation {
    let mut violations = violated(world, &[invariant]);
    assert_eq!(violations.len(), 1, "{violations:#?}");
    violations.remove(0)
}

fn listed(report: &Report, invariant: Invariant) -> Vec<Violation> {
    report.invariants[invariant as usize].violations.clone()
}

/// Where a violation points to, all of it.
pub(crate) fn place(violation: &Violation) -> (&str, i32, i64, Uuid) {
    let topic = violation.topic.as_deref().expect("a topic");
    let (partition, offset) = (
        violation.partition.expect("a partition"),
        violation.offset.expect("an offset"),
    );
    (topic, partition, offset, violation.event_id.expect("an event id"))
}
