//! Traces of the model on SQLite.

use orderflow_runtime::store::conformance::Ground;
use orderflow_runtime::store::sqlite::{SqliteOptions, SqliteStore};
use tempfile::TempDir;

use super::lane::Rule::{self, *};
use super::lane::properties::{CAME_BACK, COUNTS, LONG_DAY, NEVER_BACK, NOTHING_LOST, NOTHING_TWICE};
use super::lane::{LaneModel, Rules};
use super::replay::{Difference, replay};
use super::search::{breaks, holds};

/// A file in a folder of its own; its handles are clones.
struct File {
    store: SqliteStore,
    _folder: TempDir,
}

impl Ground for File {
    type Store = SqliteStore;

    async fn fresh() -> Self {
        let folder = TempDir::new().expect("a temporary folder");
        let path = folder.path().join("group.db");
        let store = SqliteStore::open(&path, &SqliteOptions::default()).expect("the database opens");
        Self { store, _folder: folder }
    }

    async fn handle(&self) -> SqliteStore {
        self.store.clone()
    }

    async fn reopen(&mut self) {
        unreachable!("a trace has no end in between")
    }
}

/// The amended rules in this weather, and the way to a goal taken on a file: the two never part.
async fn same_to_the_end(weather: &str, goal: &'static str) {
    let model = LaneModel::new(Rules::AMENDED, weather);
    let trace = holds(&model).remove(goal).expect("a way there");
    let steps = replay::<File>(&model, trace)
        .await
        .expect("the database says what the model says");
    assert!(steps > 30, "a way of {steps} steps shows little");
}

/// A counterexample that needs a rule to be missing, on a database that has it.
async fn parted(removed: &[Rule], weather: &str, property: &'static str) -> Difference {
    let model = LaneModel::new(Rules::without(removed), weather);
    let trace = breaks(model.clone(), property);
    replay::<File>(&model, trace)
        .await
        .expect_err("the database keeps the rule")
}

#[tokio::test]
async fn amended_holds_over_a_long_day_with_a_zombie_and_lost_answers_as_on_sqlite() {
    same_to_the_end("a long day", LONG_DAY).await;
}

#[tokio::test]
async fn amended_holds_when_a_letter_is_redriven_as_on_sqlite() {
    same_to_the_end("refused", CAME_BACK).await;
}

/// At this step the model goes on as if there were no such rule, and the database does not.
fn says(difference: &Difference, step: &str, model: &str, store: &str) {
    let right = difference.step == step && difference.model.contains(model) && difference.store.contains(store);
    assert!(right, "{difference:?}");
}

#[tokio::test]
async fn sqlite_fences_where_rule_1_was_missing() {
    let compared = [EpochIsCompared, TurnIsCompared, PositionIsCompared];
    let difference = parted(&compared, "zombies", NEVER_BACK).await;
    says(&difference, "tx.begin", "Ok", "Fenced");
}

#[tokio::test]
async fn sqlite_knows_a_duplicate_where_rule_2_was_missing() {
    let difference = parted(&[Inbox], "repeats", NOTHING_TWICE).await;
    says(&difference, "tx.inbox", "New", "Duplicate");
}

#[tokio::test]
async fn sqlite_knows_other_bytes_where_rule_2_did_not_compare_them() {
    let difference = parted(&[InboxComparesBytes], "repeats", NOTHING_LOST).await;
    says(&difference, "tx.inbox", "Duplicate", "Conflict");
}

#[tokio::test]
async fn sqlite_tells_by_the_turn_where_rule_8_took_unknown_for_failed() {
    let removed = [UnknownIsNotFailed, TurnIsCompared, PositionIsCompared];
    let difference = parted(&removed, "answers", COUNTS).await;
    says(&difference, "(the lane row is read)", "DidNot", "Happened");
}

#[tokio::test]
async fn sqlite_revives_the_dead_where_rule_9_did_not() {
    let difference = parted(&[DeadIsNotSeen], "refused", NOTHING_LOST).await;
    says(&difference, "tx.inbox", "Duplicate", "Redriven");
}
