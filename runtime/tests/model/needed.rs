//! Each rule taken out once. The numbers are those of ARCHITECTURE.md.
//!
//! `rule_N_is_needed…` names what is violated without the rule. Where nothing is, `spare.rs` says why.

use super::lane::properties::*;
use super::rules::without;
use super::search::breaks;
use super::{effects, lane, relays, rows};

/// Of which model, without what, in which weather; and what is violated then.
macro_rules! are_needed {
    ($($(#[$why:meta])* $test:ident: $model:ident [$($rule:ident),+], $weather:literal, $property:expr;)+) => {
        $($(#[$why])* #[test]
        fn $test() {
            breaks(without::$model(&[$($model::Rule::$rule),+], $weather), $property);
        })+

        pub(crate) const TAKEN_OUT: &[&str] = &[$($(concat!(stringify!($model), ": ", stringify!($rule))),+),+];
    };
}

are_needed! {
    // --- 1: every transaction begins with the lane row ---------------------------------------------------------------

    rule_1_is_needed_or_a_zombie_puts_the_position_back:
        lane [EpochIsCompared, TurnIsCompared, PositionIsCompared], "zombies", NEVER_BACK;

    rule_1_is_needed_or_a_zombies_record_is_counted_twice:
        lane [EpochIsCompared, TurnIsCompared, PositionIsCompared], "zombies", COUNTS;

    rules_1_and_2_are_needed_or_a_zombies_record_is_applied_twice:
        lane [EpochIsCompared, TurnIsCompared, PositionIsCompared, Inbox], "zombies", NOTHING_TWICE;

    rule_1_is_needed_expecting_the_held_position_or_a_sparse_topic_sticks:
        lane [ExpectedIsHeld], "sparse", CLAIM_HELPS;

    rule_1_is_needed_loading_inside_or_shared_rows_lose_updates:
        rows [LoadIsInside, Version], "plenty", rows::NO_UPDATE_LOST;

    rule_1_is_needed_claiming_again_or_nobody_works_the_lane:
        lane [ClaimAgain], "zombies", SOMEBODY_WORKS;

    // --- 2: event ids dedupe, offsets do not -------------------------------------------------------------------------

    rule_2_is_needed_or_a_repeated_record_is_applied_twice:
        lane [Inbox], "repeats", NOTHING_TWICE;

    rule_2_is_needed_as_a_set_or_a_redriven_record_is_lost:
        lane [InboxIsASet], "refused", NOTHING_LOST;

    rule_2_is_needed_comparing_bytes_or_other_bytes_are_swallowed:
        lane [InboxComparesBytes], "repeats", NOTHING_LOST;

    rule_2_is_needed_with_a_horizon_or_what_was_forgotten_is_applied_again:
        lane [Horizon], "retention", NOTHING_TWICE;

    rule_2_is_needed_by_both_times_or_an_event_from_the_future_is_forgotten_early:
        lane [HorizonByBothTimes], "retention", NOTHING_TWICE;

    // --- 3: deciding is pure, ids come from the cause ----------------------------------------------------------------

    rule_3_is_needed_or_a_database_set_back_says_a_fact_twice:
        lane [IdsFromTheCause], "set back", NOTHING_TWICE;

    // --- 4: commit, publish, every acknowledgement, cursor, group offset ---------------------------------------------

    rule_4_is_needed_committing_first_or_a_fact_is_said_that_never_was:
        lane [CommitThenPublish], "crashes", PUBLISHED_WAS_COMMITTED;

    rule_4_is_needed_waiting_for_acknowledgements_or_a_fact_is_lost:
        lane [AcksThenCursor], "crashes", PUBLISHED_IS_THERE;

    rule_4_is_needed_republishing_or_a_fact_is_lost:
        lane [Republish], "crashes", PUBLISHED_IS_THERE;

    rule_4_is_needed_resuming_from_the_database_or_the_lane_sticks:
        lane [DatabaseSaysWhere], "crashes", CLAIM_HELPS;

    rules_4_and_1_are_needed_resuming_from_the_database_or_records_count_twice:
        lane [DatabaseSaysWhere, PositionIsCompared], "crashes", COUNTS;

    /// At Kafka's edge: `message.timeout.ms=0`.
    rule_4_is_needed_without_timeouts_or_a_fact_is_overtaken_by_the_next:
        lane [NoTimeouts], "crashes", IN_ORDER;

    // --- 5: one lane, one sequence -----------------------------------------------------------------------------------

    rule_5_is_needed_under_the_lock_or_the_cursor_skips_a_fact:
        relays [NumberUnderLock], "two topics", relays::NONE_SKIPPED;

    rule_5_is_needed_as_one_lane_or_facts_of_a_key_overtake_one_another:
        relays [OneLane], "two topics", relays::IN_ORDER;

    // --- 6: an assignment is checked ---------------------------------------------------------------------------------

    rule_6_is_needed_or_a_client_that_starts_too_far_on_skips_records:
        lane [Density], "strays", NOTHING_LOST;

    // --- 7: a revocation drains --------------------------------------------------------------------------------------

    rule_7_is_needed_on_a_sparse_topic_or_what_was_fetched_before_goes_first:
        lane [FreshBuffer], "sparse", NOTHING_LOST;

    rules_6_and_7_are_needed_or_on_a_dense_topic_too_what_was_fetched_before_goes_first:
        lane [FreshBuffer, Density], "one zombie", NOTHING_LOST;

    // --- 8: an answer lost at COMMIT ---------------------------------------------------------------------------------

    rule_8_is_needed_or_what_is_taken_as_done_is_published_though_it_never_was:
        lane [UnknownIsNotDone], "answers", PUBLISHED_WAS_COMMITTED;

    /// The commit failed, another owner took one turn, and the turn says that it happened: it is asked under the own epoch.
    rule_8_is_needed_with_the_epoch_or_anothers_turn_passes_for_the_own:
        lane [EpochIsCompared], "answers", PUBLISHED_WAS_COMMITTED;

    /// The state is right and the books are not: applied once, and a duplicate besides.
    rule_8_is_needed_with_rule_1_or_a_record_is_counted_twice:
        lane [UnknownIsNotFailed, TurnIsCompared, PositionIsCompared], "answers", COUNTS;

    rule_8_is_needed_with_rules_1_and_2_or_what_was_done_is_done_again:
        lane [UnknownIsNotFailed, TurnIsCompared, PositionIsCompared, Inbox], "answers", NOTHING_TWICE;

    rule_8_is_needed_reading_with_the_lock_or_the_owner_drops_his_own_lane:
        lane [ReadWithLock, ClaimAgain], "answers", SOMEBODY_WORKS;

    // --- 9: a refused record becomes a dead letter -------------------------------------------------------------------

    rule_9_is_needed_in_one_transaction_or_a_letter_is_lost:
        lane [LetterBeforePosition], "refused", NOTHING_LOST;

    rule_9_is_needed_or_a_refused_record_is_lost:
        lane [RefusedIsKept], "refused", NOTHING_LOST;

    rule_9_is_needed_reviving_the_dead_or_a_redriven_record_is_lost:
        lane [DeadIsNotSeen], "refused", NOTHING_LOST;

    // --- 10 and 11: calls and timers ---------------------------------------------------------------------------------

    rule_10_is_needed_with_one_key_or_somebody_is_charged_twice:
        effects [StableKey], "payment", effects::CHARGED_ONCE;

    rule_10_is_needed_committing_first_or_a_call_has_no_intent:
        effects [CommitThenCall], "payment", effects::INTENT_FIRST;

    rules_8_and_10_are_needed_or_a_result_is_applied_twice:
        effects [TurnIsCompared, OneRowOrNothing], "payment", effects::ANSWERED_ONCE;

    /// The commit of an attempt failed, a zombie's answer took one turn, and the turn says that it happened.
    rules_8_and_10_are_needed_with_the_epoch_or_a_result_is_applied_twice:
        effects [EpochIsCompared, OneRowOrNothing], "payment", effects::ANSWERED_ONCE;

    rule_10_is_needed_or_out_of_attempts_is_failed_though_the_money_moved:
        effects [OutOfAttemptsIsUnknown], "payment", effects::FAILED_IS_NOT_PAID;

    rule_10_is_needed_within_the_keys_lifetime_or_somebody_is_charged_twice:
        effects [KeyLifetime], "payment", effects::CHARGED_ONCE;

    rule_11_is_needed_as_rows_or_a_timer_never_fires:
        effects [TimersAreRows], "deadline", effects::TIMERS_STAY;

    rule_11_is_needed_in_one_transaction_or_a_timer_fires_twice:
        effects [TimerGoesWithItsFact], "deadline", effects::FIRES_ONCE;

    rule_11_is_needed_by_arming_or_the_second_fact_is_swallowed:
        effects [IdOfTheArming], "deadline", effects::FACTS_APART;

    // --- 12, 13 and 15 -----------------------------------------------------------------------------------------------

    /// An illustration: what keeps it in the program is that an assignment of less than everything is not consumed.
    rule_12_is_needed_or_two_files_apply_a_record_twice:
        lane [OneDatabase], "zombies", NOTHING_TWICE;

    rule_13_is_needed_or_a_later_event_of_a_key_comes_first:
        relays [GrownStops], "a grown topic", relays::EVENTS_IN_ORDER;

    rule_15_is_needed_or_what_is_not_there_is_sold:
        rows [Lock, Version], "stock", rows::NEVER_OVERSOLD;

    rule_15_is_needed_comparing_versions_or_the_first_events_of_a_key_lose_one:
        rows [Version], "first events", rows::NO_UPDATE_LOST;

    rule_15_is_needed_in_one_order_or_lanes_wait_for_one_another:
        rows [LockOrder], "stock", rows::NO_DEADLOCK;
}
