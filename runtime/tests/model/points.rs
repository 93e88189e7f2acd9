//! The model's steps and the program's crash points are the same places.

use std::collections::{BTreeSet, HashSet, VecDeque};

use orderflow_runtime::crash::POINTS;

use super::effects::EffectsModel;
use super::lane::{LaneModel, Rules};
use super::rows::RowsModel;
use super::search::Tried;

/// Crash points that are no step of a model, and why a crash there is one that it has.
const NO_STEPS: [(&str, &str); 2] = [
    (
        "tx.compare_and_set",
        "one statement before tx.inbox and in the same call: what is not committed shows to nobody",
    ),
    ("tx.release", "nothing is done between tx.outbox and it"),
];

#[test]
fn steps_bear_the_names_of_crash_points() {
    let reasons: BTreeSet<_> = NO_STEPS.iter().map(|(point, _)| *point).collect();
    let points: BTreeSet<_> = POINTS.iter().copied().collect();
    let wanted: BTreeSet<_> = points.difference(&reasons).copied().collect();
    let mut passed = BTreeSet::new();
    walk(&LaneModel::new(Rules::AMENDED, "calm"), &wanted, &mut passed);
    walk(&LaneModel::new(Rules::AMENDED, "zombies"), &wanted, &mut passed);
    walk(&EffectsModel::new(&[], "payment"), &wanted, &mut passed);
    walk(&RowsModel::new(&[], "stock"), &wanted, &mut passed);

    assert!(
        reasons.is_subset(&points),
        "a reason for what is no crash point: {reasons:?}"
    );
    assert!(reasons.is_disjoint(&passed), "a reason for what is a step: {reasons:?}");
    let steps: BTreeSet<_> = passed.into_iter().filter(|name| !name.starts_with('(')).collect();
    assert_eq!(
        steps, wanted,
        "left: steps of the models; right: crash points without a reason"
    );
}

/// Takes note of the names of steps until all that are wanted have been passed, or there are no more states.
fn walk<M: Tried>(model: &M, wanted: &BTreeSet<&'static str>, passed: &mut BTreeSet<&'static str>)
where
    M::State: Eq,
{
    let mut ahead: VecDeque<_> = model.init_states().into();
    let mut seen: HashSet<_> = ahead.iter().cloned().collect();
    while let Some(state) = ahead.pop_front() {
        if wanted.is_subset(passed) {
            return;
        }
        for (action, next) in model.next_steps(&state) {
            passed.insert(model.name(&state, &action));
            if seen.insert(next.clone()) {
                ahead.push_back(next);
            }
        }
    }
}
