//! What holds though a rule is taken out, and why: so that nobody mistakes a second lock for the only one, nor takes one
//! away because nothing happened.

use super::effects::{self, EffectsModel};
use super::lane::Rule::{self, *};
use super::lane::properties::{NOTHING_LOST, NOTHING_TWICE};
use super::lane::{LaneModel, Rules};
use super::rows::{self, RowsModel};
use super::search::{Tried as _, by_night, still_holds};

/// Each with a weather for the day, and a larger one for the night.
macro_rules! lane_holds {
    ($($(#[$why:meta])* $test:ident: $removed:expr, $day:literal, $night:literal;)+) => {
        $($(#[$why])* #[test]
        fn $test() {
            lane_holds($removed, $day);
        })+

        #[test]
        #[ignore = "takes minutes"]
        fn nightly_what_can_be_spared() {
            by_night();
            $(lane_holds($removed, $night);)+
        }
    };
}

fn lane_holds(removed: &[Rule], weather: &str) {
    let model = LaneModel::new(Rules::without(removed), weather);
    still_holds(&model, &format!("{removed:?}"));
}

lane_holds! {
    /// A record moves a position, and a position moved by another is a miss. Epoch and turn are needed where none moves, for
    /// answers and timers, and where the answer to COMMIT is lost.
    rule_1_holds_without_epoch_and_turn_because_records_move_a_position:
        &[EpochIsCompared, TurnIsCompared], "zombies", "zombies at night";

    /// Who has the epoch is alone, and knows his position.
    rule_1_holds_without_position_and_turn_because_the_epoch_is_compared:
        &[PositionIsCompared, TurnIsCompared], "one zombie", "answers at night";

    rule_1_holds_with_a_position_at_most_as_expected_because_the_turn_is_compared:
        &[PositionIsEqual], "one zombie", "answers at night";

    /// The row that was read too early is the lane's own: who wrote it meanwhile has raised the turn.
    rule_1_holds_loading_before_the_transaction_because_rows_are_the_lanes_own:
        &[LoadIsInside], "one zombie", "answers at night";

    /// Nobody else lets events of this lane in. It stays inside for ids that come through two lanes.
    rule_2_holds_asking_the_inbox_early_because_the_turn_is_compared:
        &[InboxIsInside], "repeats", "repeats at night";

    /// The outbox keeps the id that was drawn: every republication bears it.
    rule_3_holds_with_ids_by_chance_because_rows_fix_them:
        &[IdsFromTheCause], "one zombie", "answers";

    /// A cursor that goes back repeats what is in the topic already.
    rule_4_holds_with_a_cursor_that_falls_because_repeats_are_recognised:
        &[EpochIsCompared, TurnIsCompared, CursorOnlyRises], "one zombie", "zombies at night";

    /// A relay takes the rows that are there, in order. Numbers without gaps are what an audit counts by.
    rule_5_holds_with_gaps_because_commits_are_in_order:
        &[NoGaps], "one record", "answers at night";

    /// Whoever commits between the reading and the raising has raised the turn: fenced, and claimed again. One statement is
    /// kept because it is simpler.
    rule_6_holds_reading_before_raising_because_a_fenced_lane_is_claimed_again:
        &[ClaimIsOneStatement], "one zombie", "zombies";

    /// A drain is a lane that moves at a quiet moment, and it may move at any. It saves repeats, nothing else.
    rule_7_holds_without_a_drain_because_rule_1_is_the_fence:
        &[Drain], "one zombie", "crashes at night";

    rule_7_holds_with_a_stale_buffer_on_a_dense_topic_because_a_hole_shows:
        &[FreshBuffer], "one stray", "one zombie";

    rule_8_holds_doing_it_again_because_the_turn_has_gone_on:
        &[UnknownIsNotFailed], "one record", "answers at night";

    /// Read while the transaction was still ending, "not yet" is taken for "no": fenced at its own turn, and claimed again.
    rule_8_holds_reading_without_the_lock_because_a_fenced_lane_is_claimed_again:
        &[ReadWithLock], "one record", "answers at night";

    /// More letters than refusals, and a wait for Kafka inside the transaction: that is why there is an outbox.
    rule_9_holds_producing_the_letter_before_the_commit_because_letters_may_repeat:
        &[LetterInOutbox], "refused twice", "refused at night";
}

/// Where only these are asked about, and others do not hold.
fn lane_keeps(removed: &[Rule], properties: &[&'static str]) {
    for property in properties {
        let model = LaneModel::new(Rules::without(removed), "one record").only(property);
        still_holds(&model, &format!("{removed:?}, asked whether {property}"));
    }
}

/// What was already applied is a duplicate to whoever does it again: the inbox is the second lock. The counts are wrong.
#[test]
fn rule_1_holds_without_any_fence_as_far_as_the_inbox_reaches() {
    let compared = [EpochIsCompared, TurnIsCompared, PositionIsCompared];
    lane_keeps(&compared, &[NOTHING_TWICE]);
}

#[test]
fn rule_8_holds_doing_it_again_without_a_fence_as_far_as_the_inbox_reaches() {
    let removed = [UnknownIsNotFailed, TurnIsCompared, PositionIsCompared];
    lane_keeps(&removed, &[NOTHING_TWICE, NOTHING_LOST]);
}

fn effects_hold(removed: effects::Rule) {
    still_holds(&EffectsModel::new(&[removed], "payment"), &format!("{removed:?}"));
}

#[test]
fn rule_8_holds_for_answers_without_the_turn_because_one_row_is_answered() {
    effects_hold(effects::Rule::TurnIsCompared);
}

#[test]
fn rule_10_holds_answering_any_row_because_the_turn_tells() {
    effects_hold(effects::Rule::OneRowOrNothing);
}

fn rows_hold(removed: rows::Rule, weathers: &[&str]) {
    for weather in weathers {
        still_holds(&RowsModel::new(&[removed], weather), &format!("{removed:?}"));
    }
}

#[test]
fn rule_15_holds_by_locks_alone_where_rows_exist() {
    rows_hold(rows::Rule::Version, &["stock", "plenty"]);
}

#[test]
fn rule_15_holds_by_versions_alone_because_a_miss_is_done_again() {
    rows_hold(rows::Rule::Lock, &["stock", "first events", "plenty"]);
}

#[test]
fn rule_15_holds_loading_early_because_versions_are_compared() {
    rows_hold(rows::Rule::LoadIsInside, &["stock", "first events", "plenty"]);
}
