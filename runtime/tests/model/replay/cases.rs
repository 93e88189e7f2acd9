//! Traces worth taking on a database.

use orderflow_runtime::store::conformance::Ground;

use super::{Difference, replay};
use crate::model::lane::Rule::{self, *};
use crate::model::lane::properties::{CAME_BACK, COUNTS, LONG_DAY, NEVER_BACK, NOTHING_LOST, NOTHING_TWICE};
use crate::model::lane::{LaneModel, Rules};
use crate::model::search::{breaks, holds};

/// Makes each case a test on a [`Ground`]; what stands before it is said of each, as that it needs a server.
macro_rules! replayed_on {
    ($(#[$attribute:meta])* $ground:ty) => {
        $crate::model::replay::cases::replayed_on! {
            $(#[$attribute])* $ground:
            amended_holds_over_a_long_day_with_a_zombie_and_lost_answers,
            amended_holds_when_a_letter_is_redriven,
            it_fences_where_rule_1_was_missing,
            it_knows_a_duplicate_where_rule_2_was_missing,
            it_knows_other_bytes_where_rule_2_did_not_compare_them,
            it_tells_by_the_turn_where_rule_8_took_unknown_for_failed,
            it_revives_the_dead_where_rule_9_did_not
        }
    };
    ($(#[$attribute:meta])* $ground:ty: $($case:ident),+) => {
        $crate::model::replay::cases::replay_tests! { [$(#[$attribute])*] $ground: $($case),+ }
    };
}

macro_rules! replay_tests {
    ($attributes:tt $ground:ty: $($case:ident),+) => {
        $($crate::model::replay::cases::replay_test! { $attributes $ground: $case })+
    };
}

macro_rules! replay_test {
    ([$(#[$attribute:meta])*] $ground:ty: $case:ident) => {
        #[tokio::test]
        $(#[$attribute])*
        async fn $case() {
            $crate::model::replay::cases::$case::<$ground>().await;
        }
    };
}

pub(crate) use {replay_test, replay_tests, replayed_on};

/// The amended rules in this weather, and the way to a goal taken on a database: the two never part.
async fn same_to_the_end<G: Ground>(weather: &str, goal: &'static str) {
    let model = LaneModel::new(Rules::AMENDED, weather);
    let trace = holds(&model).remove(goal).expect("a way there");
    let steps = replay::<G>(&model, trace)
        .await
        .expect("the database says what the model says");
    assert!(steps > 30, "a way of {steps} steps shows little");
}

/// A counterexample that needs a rule to be missing, on a database that has it.
async fn parted<G: Ground>(removed: &[Rule], weather: &str, property: &'static str) -> Difference {
    let model = LaneModel::new(Rules::without(removed), weather);
    let trace = breaks(model.clone(), property);
    replay::<G>(&model, trace)
        .await
        .expect_err("the database keeps the rule")
}

pub(crate) async fn amended_holds_over_a_long_day_with_a_zombie_and_lost_answers<G: Ground>() {
    same_to_the_end::<G>("a long day", LONG_DAY).await;
}

pub(crate) async fn amended_holds_when_a_letter_is_redriven<G: Ground>() {
    same_to_the_end::<G>("refused", CAME_BACK).await;
}

/// At this step the model goes on as if there were no such rule, and the database does not.
fn says(difference: &Difference, step: &str, model: &str, store: &str) {
    let right = difference.step == step && difference.model.contains(model) && difference.store.contains(store);
    assert!(right, "{difference:?}");
}

pub(crate) async fn it_fences_where_rule_1_was_missing<G: Ground>() {
    let compared = [EpochIsCompared, TurnIsCompared, PositionIsCompared];
    let difference = parted::<G>(&compared, "zombies", NEVER_BACK).await;
    says(&difference, "tx.begin", "Ok", "Fenced");
}

pub(crate) async fn it_knows_a_duplicate_where_rule_2_was_missing<G: Ground>() {
    let difference = parted::<G>(&[Inbox], "repeats", NOTHING_TWICE).await;
    says(&difference, "tx.inbox", "New", "Duplicate");
}

pub(crate) async fn it_knows_other_bytes_where_rule_2_did_not_compare_them<G: Ground>() {
    let difference = parted::<G>(&[InboxComparesBytes], "repeats", NOTHING_LOST).await;
    says(&difference, "tx.inbox", "Duplicate", "Conflict");
}

pub(crate) async fn it_tells_by_the_turn_where_rule_8_took_unknown_for_failed<G: Ground>() {
    let removed = [UnknownIsNotFailed, TurnIsCompared, PositionIsCompared];
    let difference = parted::<G>(&removed, "answers", COUNTS).await;
    says(&difference, "(the lane row is read)", "DidNot", "Happened");
}

pub(crate) async fn it_revives_the_dead_where_rule_9_did_not<G: Ground>() {
    let difference = parted::<G>(&[DeadIsNotSeen], "refused", NOTHING_LOST).await;
    says(&difference, "tx.inbox", "Duplicate", "Redriven");
}
