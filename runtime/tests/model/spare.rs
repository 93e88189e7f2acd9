//! What holds though a rule is taken out, and why: so that nobody mistakes a second lock for the only one, nor takes one
//! away because nothing happened.

use super::lane::Rule::{self, *};
use super::lane::properties::{NOTHING_LOST, NOTHING_TWICE};
use super::rules::without;
use super::search::{Tried as _, by_night, still_holds};
use super::{effects, lane, rows};

/// Of which model, without what, in which weathers by day, and in which larger ones by night.
macro_rules! can_be_spared {
    ($($(#[$why:meta])* $test:ident:
        $model:ident [$($rule:ident),+], [$($day:literal),+], [$($night:literal),*];)+) => {
        $($(#[$why])* #[test]
        fn $test() {
            let removed = [$($model::Rule::$rule),+];
            for weather in [$($day),+] {
                still_holds(&without::$model(&removed, weather), &format!("{removed:?}"));
            }
        })+

        #[test]
        #[ignore = "takes minutes"]
        fn nightly_what_can_be_spared() {
            by_night();
            $({
                let removed = [$($model::Rule::$rule),+];
                let weathers: &[&str] = &[$($night),*];
                for weather in weathers {
                    still_holds(&without::$model(&removed, weather), &format!("{removed:?}"));
                }
            })+
        }

        pub(crate) const TAKEN_OUT: &[&str] = &[$($(concat!(stringify!($model), ": ", stringify!($rule))),+),+];
    };
}

can_be_spared! {
    /// A record moves a position, and a position moved by another is a miss. Epoch and turn are needed where none moves, for
    /// answers and timers, and where the answer to COMMIT is lost.
    rule_1_holds_without_epoch_and_turn_because_records_move_a_position:
        lane [EpochIsCompared, TurnIsCompared], ["zombies"], ["zombies at night"];

    /// Who has the epoch is alone, and knows his position.
    rule_1_holds_without_position_and_turn_because_the_epoch_is_compared:
        lane [PositionIsCompared, TurnIsCompared], ["one zombie"], ["answers at night"];

    rule_1_holds_with_a_position_at_most_as_expected_because_the_turn_is_compared:
        lane [PositionIsEqual], ["one zombie"], ["answers at night"];

    /// The row that was read too early is the lane's own: who wrote it meanwhile has raised the turn.
    rule_1_holds_loading_before_the_transaction_because_rows_are_the_lanes_own:
        lane [LoadIsInside], ["one zombie"], ["answers at night"];

    /// Nobody else lets events of this lane in. It stays inside for ids that come through two lanes.
    rule_2_holds_asking_the_inbox_early_because_the_turn_is_compared:
        lane [InboxIsInside], ["repeats"], ["repeats at night"];

    /// The outbox keeps the id that was drawn: every republication bears it.
    rule_3_holds_with_ids_by_chance_because_rows_fix_them:
        lane [IdsFromTheCause], ["one zombie"], ["answers"];

    /// A cursor that goes back repeats what is in the topic already.
    rule_4_holds_with_a_cursor_that_falls_because_repeats_are_recognised:
        lane [EpochIsCompared, TurnIsCompared, CursorOnlyRises], ["one zombie"], ["zombies at night"];

    /// A relay takes the rows that are there, in order. Numbers without gaps are what an audit counts by.
    rule_5_holds_with_gaps_because_commits_are_in_order:
        lane [NoGaps], ["one record"], ["answers at night"];

    /// Whoever commits between the reading and the raising has raised the turn: fenced, and claimed again. One statement is
    /// kept because it is simpler.
    rule_6_holds_reading_before_raising_because_a_fenced_lane_is_claimed_again:
        lane [ClaimIsOneStatement], ["one zombie"], ["zombies"];

    /// A drain is a lane that moves at a quiet moment, and it may move at any. It saves repeats, nothing else.
    rule_7_holds_without_a_drain_because_rule_1_is_the_fence:
        lane [Drain], ["one zombie"], ["crashes at night"];

    rule_7_holds_with_a_stale_buffer_on_a_dense_topic_because_a_hole_shows:
        lane [FreshBuffer], ["one stray"], ["one zombie"];

    rule_8_holds_doing_it_again_because_the_turn_has_gone_on:
        lane [UnknownIsNotFailed], ["one record"], ["answers at night"];

    /// Read while the transaction was still ending, "not yet" is taken for "no": fenced at its own turn, and claimed again.
    rule_8_holds_reading_without_the_lock_because_a_fenced_lane_is_claimed_again:
        lane [ReadWithLock], ["one record"], ["answers at night"];

    /// More letters than refusals, and a wait for Kafka inside the transaction: that is why there is an outbox.
    rule_9_holds_producing_the_letter_before_the_commit_because_letters_may_repeat:
        lane [LetterInOutbox], ["refused twice"], ["refused at night"];

    /// Another's turn passes for the own, and both may bring the answer: the second finds no row that is open. What
    /// somebody takes for done that is not stays a row, for whoever claims next.
    rule_8_holds_for_answers_without_the_epoch_because_one_row_is_answered:
        effects [EpochIsCompared], ["payment", "deadline"], ["payment and deadline"];

    rule_8_holds_for_answers_without_the_turn_because_one_row_is_answered:
        effects [TurnIsCompared], ["payment"], ["payment and deadline"];

    rule_10_holds_answering_any_row_because_the_turn_tells:
        effects [OneRowOrNothing], ["payment"], ["payment and deadline"];

    rule_15_holds_by_locks_alone_where_rows_exist:
        rows [Version], ["stock", "plenty"], [];

    rule_15_holds_by_versions_alone_because_a_miss_is_done_again:
        rows [Lock], ["stock", "first events", "plenty"], [];

    rule_15_holds_loading_early_because_versions_are_compared:
        rows [LoadIsInside], ["stock", "first events", "plenty"], [];
}

/// Where only these are asked about, and others do not hold.
fn lane_keeps(removed: &[Rule], properties: &[&'static str]) {
    for property in properties {
        let model = without::lane(removed, "one record").only(property);
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
