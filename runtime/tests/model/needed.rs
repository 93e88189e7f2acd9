//! Each rule taken out once. The numbers are those of ARCHITECTURE.md.
//!
//! `rule_N_is_needed…` names what is violated without the rule. Where nothing is, `spare.rs` says why.

use super::effects::{self, EffectsModel};
use super::lane::Rule::{self, *};
use super::lane::properties::*;
use super::lane::{LaneModel, Rules};
use super::relays::{self, RelaysModel};
use super::rows::{self, RowsModel};
use super::search::breaks;

fn lane_breaks(removed: &[Rule], weather: &str, property: &'static str) {
    breaks(LaneModel::new(Rules::without(removed), weather), property);
}

// --- 1: every transaction begins with the lane row -------------------------------------------------------------------

const COMPARED: [Rule; 3] = [EpochIsCompared, TurnIsCompared, PositionIsCompared];

#[test]
fn rule_1_is_needed_or_a_zombie_puts_the_position_back() {
    lane_breaks(&COMPARED, "zombies", NEVER_BACK);
}

#[test]
fn rule_1_is_needed_or_a_zombies_record_is_counted_twice() {
    lane_breaks(&COMPARED, "zombies", COUNTS);
}

#[test]
fn rules_1_and_2_are_needed_or_a_zombies_record_is_applied_twice() {
    lane_breaks(
        &[EpochIsCompared, TurnIsCompared, PositionIsCompared, Inbox],
        "zombies",
        NOTHING_TWICE,
    );
}

#[test]
fn rule_1_is_needed_expecting_the_held_position_or_a_sparse_topic_sticks() {
    lane_breaks(&[ExpectedIsHeld], "sparse", CLAIM_HELPS);
}

#[test]
fn rule_1_is_needed_loading_inside_or_shared_rows_lose_updates() {
    let removed = [rows::Rule::LoadIsInside, rows::Rule::Version];
    breaks(RowsModel::new(&removed, "plenty"), rows::NO_UPDATE_LOST);
}

#[test]
fn rule_1_is_needed_claiming_again_or_nobody_works_the_lane() {
    lane_breaks(&[ClaimAgain], "zombies", SOMEBODY_WORKS);
}

// --- 2: event ids dedupe, offsets do not -----------------------------------------------------------------------------

#[test]
fn rule_2_is_needed_or_a_repeated_record_is_applied_twice() {
    lane_breaks(&[Inbox], "repeats", NOTHING_TWICE);
}

#[test]
fn rule_2_is_needed_as_a_set_or_a_redriven_record_is_lost() {
    lane_breaks(&[InboxIsASet], "refused", NOTHING_LOST);
}

#[test]
fn rule_2_is_needed_comparing_bytes_or_other_bytes_are_swallowed() {
    lane_breaks(&[InboxComparesBytes], "repeats", NOTHING_LOST);
}

#[test]
fn rule_2_is_needed_with_a_horizon_or_what_was_forgotten_is_applied_again() {
    lane_breaks(&[Horizon], "retention", NOTHING_TWICE);
}

#[test]
fn rule_2_is_needed_by_both_times_or_an_event_from_the_future_is_forgotten_early() {
    lane_breaks(&[HorizonByBothTimes], "retention", NOTHING_TWICE);
}

// --- 3: deciding is pure, ids come from the cause --------------------------------------------------------------------

#[test]
fn rule_3_is_needed_or_a_database_set_back_says_a_fact_twice() {
    lane_breaks(&[IdsFromTheCause], "set back", NOTHING_TWICE);
}

// --- 4: commit, publish, every acknowledgement, cursor, group offset -------------------------------------------------

#[test]
fn rule_4_is_needed_committing_first_or_a_fact_is_said_that_never_was() {
    lane_breaks(&[CommitThenPublish], "crashes", PUBLISHED_WAS_COMMITTED);
}

#[test]
fn rule_4_is_needed_waiting_for_acknowledgements_or_a_fact_is_lost() {
    lane_breaks(&[AcksThenCursor], "crashes", PUBLISHED_IS_THERE);
}

#[test]
fn rule_4_is_needed_republishing_or_a_fact_is_lost() {
    lane_breaks(&[Republish], "crashes", PUBLISHED_IS_THERE);
}

#[test]
fn rule_4_is_needed_resuming_from_the_database_or_the_lane_sticks() {
    lane_breaks(&[DatabaseSaysWhere], "crashes", CLAIM_HELPS);
}

#[test]
fn rules_4_and_1_are_needed_resuming_from_the_database_or_records_count_twice() {
    lane_breaks(&[DatabaseSaysWhere, PositionIsCompared], "crashes", COUNTS);
}

/// At Kafka's edge: `message.timeout.ms=0`.
#[test]
fn rule_4_is_needed_without_timeouts_or_a_fact_is_overtaken_by_the_next() {
    lane_breaks(&[NoTimeouts], "crashes", IN_ORDER);
}

// --- 5: one lane, one sequence ---------------------------------------------------------------------------------------

#[test]
fn rule_5_is_needed_under_the_lock_or_the_cursor_skips_a_fact() {
    let removed = [relays::Rule::NumberUnderLock];
    breaks(RelaysModel::new(&removed, "two topics"), relays::NONE_SKIPPED);
}

#[test]
fn rule_5_is_needed_as_one_lane_or_facts_of_a_key_overtake_one_another() {
    let removed = [relays::Rule::OneLane];
    breaks(RelaysModel::new(&removed, "two topics"), relays::IN_ORDER);
}

// --- 6: an assignment is checked -------------------------------------------------------------------------------------

#[test]
fn rule_6_is_needed_or_a_client_that_starts_too_far_on_skips_records() {
    lane_breaks(&[Density], "strays", NOTHING_LOST);
}

// --- 7: a revocation drains ------------------------------------------------------------------------------------------

#[test]
fn rule_7_is_needed_on_a_sparse_topic_or_what_was_fetched_before_goes_first() {
    lane_breaks(&[FreshBuffer], "sparse", NOTHING_LOST);
}

#[test]
fn rules_6_and_7_are_needed_or_on_a_dense_topic_too_what_was_fetched_before_goes_first() {
    lane_breaks(&[FreshBuffer, Density], "one zombie", NOTHING_LOST);
}

// --- 8: an answer lost at COMMIT -------------------------------------------------------------------------------------

#[test]
fn rule_8_is_needed_or_what_is_taken_as_done_is_published_though_it_never_was() {
    lane_breaks(&[UnknownIsNotDone], "answers", PUBLISHED_WAS_COMMITTED);
}

/// The commit failed, another owner took one turn, and the turn says that it happened: it is asked under the own epoch.
#[test]
fn rule_8_is_needed_with_the_epoch_or_anothers_turn_passes_for_the_own() {
    lane_breaks(&[EpochIsCompared], "answers", PUBLISHED_WAS_COMMITTED);
}

/// The state is right and the books are not: applied once, and a duplicate besides.
#[test]
fn rule_8_is_needed_with_rule_1_or_a_record_is_counted_twice() {
    lane_breaks(
        &[UnknownIsNotFailed, TurnIsCompared, PositionIsCompared],
        "answers",
        COUNTS,
    );
}

#[test]
fn rule_8_is_needed_with_rules_1_and_2_or_what_was_done_is_done_again() {
    lane_breaks(
        &[UnknownIsNotFailed, TurnIsCompared, PositionIsCompared, Inbox],
        "answers",
        NOTHING_TWICE,
    );
}

#[test]
fn rule_8_is_needed_reading_with_the_lock_or_the_owner_drops_his_own_lane() {
    lane_breaks(&[ReadWithLock, ClaimAgain], "answers", SOMEBODY_WORKS);
}

// --- 9: a refused record becomes a dead letter -----------------------------------------------------------------------

#[test]
fn rule_9_is_needed_in_one_transaction_or_a_letter_is_lost() {
    lane_breaks(&[LetterBeforePosition], "refused", NOTHING_LOST);
}

#[test]
fn rule_9_is_needed_or_a_refused_record_is_lost() {
    lane_breaks(&[RefusedIsKept], "refused", NOTHING_LOST);
}

#[test]
fn rule_9_is_needed_reviving_the_dead_or_a_redriven_record_is_lost() {
    lane_breaks(&[DeadIsNotSeen], "refused", NOTHING_LOST);
}

// --- 10 and 11: calls and timers -------------------------------------------------------------------------------------

fn effects_break(removed: &[effects::Rule], weather: &str, property: &'static str) {
    breaks(EffectsModel::new(removed, weather), property);
}

#[test]
fn rule_10_is_needed_with_one_key_or_somebody_is_charged_twice() {
    effects_break(&[effects::Rule::StableKey], "payment", effects::CHARGED_ONCE);
}

#[test]
fn rule_10_is_needed_committing_first_or_a_call_has_no_intent() {
    effects_break(&[effects::Rule::CommitThenCall], "payment", effects::INTENT_FIRST);
}

#[test]
fn rules_8_and_10_are_needed_or_a_result_is_applied_twice() {
    effects_break(
        &[effects::Rule::TurnIsCompared, effects::Rule::OneRowOrNothing],
        "payment",
        effects::ANSWERED_ONCE,
    );
}

#[test]
fn rule_10_is_needed_or_out_of_attempts_is_failed_though_the_money_moved() {
    effects_break(
        &[effects::Rule::OutOfAttemptsIsUnknown],
        "payment",
        effects::FAILED_IS_NOT_PAID,
    );
}

#[test]
fn rule_10_is_needed_within_the_keys_lifetime_or_somebody_is_charged_twice() {
    effects_break(&[effects::Rule::KeyLifetime], "payment", effects::CHARGED_ONCE);
}

#[test]
fn rule_11_is_needed_as_rows_or_a_timer_never_fires() {
    effects_break(&[effects::Rule::TimersAreRows], "deadline", effects::TIMERS_STAY);
}

#[test]
fn rule_11_is_needed_in_one_transaction_or_a_timer_fires_twice() {
    effects_break(&[effects::Rule::TimerGoesWithItsFact], "deadline", effects::FIRES_ONCE);
}

#[test]
fn rule_11_is_needed_by_arming_or_the_second_fact_is_swallowed() {
    effects_break(&[effects::Rule::IdOfTheArming], "deadline", effects::FACTS_APART);
}

// --- 12, 13 and 15 ---------------------------------------------------------------------------------------------------

/// An illustration: what keeps it in the program is that an assignment of less than everything is not consumed.
#[test]
fn rule_12_is_needed_or_two_files_apply_a_record_twice() {
    lane_breaks(&[OneDatabase], "zombies", NOTHING_TWICE);
}

#[test]
fn rule_13_is_needed_or_a_later_event_of_a_key_comes_first() {
    let removed = [relays::Rule::GrownStops];
    breaks(RelaysModel::new(&removed, "a grown topic"), relays::EVENTS_IN_ORDER);
}

fn rows_break(removed: &[rows::Rule], weather: &str, property: &'static str) {
    breaks(RowsModel::new(removed, weather), property);
}

#[test]
fn rule_15_is_needed_or_what_is_not_there_is_sold() {
    rows_break(&[rows::Rule::Lock, rows::Rule::Version], "stock", rows::NEVER_OVERSOLD);
}

#[test]
fn rule_15_is_needed_comparing_versions_or_the_first_events_of_a_key_lose_one() {
    rows_break(&[rows::Rule::Version], "first events", rows::NO_UPDATE_LOST);
}

#[test]
fn rule_15_is_needed_in_one_order_or_lanes_wait_for_one_another() {
    rows_break(&[rows::Rule::LockOrder], "stock", rows::NO_DEADLOCK);
}
