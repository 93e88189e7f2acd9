//! Every behaviour of a [`Store`] that the rest of the runtime rests on, as cases that a database must pass.
//!
//! A database brings a [`Ground`] and writes `orderflow_runtime::store_conformance!(ItsGround);` in a test file, which
//! makes each case a test of that name. A behaviour that no case states is one nobody may rely on.

#![allow(
    clippy::missing_panics_doc,
    reason = "a case panics where a database does not conform"
)]

pub mod fencing;
mod hand;
pub mod identity;
pub mod inbox;
pub mod outbox;
pub mod outcome;
pub mod outside;
pub mod positions;
pub mod retention;
pub mod rows;
pub mod sharing;
pub mod units;

use std::future::Future;

use crate::store::Store;

/// A database to try a [`Store`] on.
pub trait Ground: Sized {
    /// The store that is tried.
    type Store: Store;

    /// A database that nobody has used, not even an earlier call.
    fn fresh() -> impl Future<Output = Self>;

    /// Another handle on the database: one more who may claim lanes.
    fn handle(&self) -> impl Future<Output = Self::Store>;

    /// Ends every use of the database and opens it again. Whoever calls this has dropped his handles.
    fn reopen(&mut self) -> impl Future<Output = ()>;
}

/// Makes each case a test on the given [`Ground`](crate::store::conformance::Ground), ignored for a reason where the
/// database needs a server.
#[macro_export]
macro_rules! store_conformance {
    ($ground:ty $(, ignore = $why:literal)?) => {
        $crate::store_conformance_cases!(store_conformance, $ground $(, ignore = $why)?);
    };
    ($ground:ty; $($cases:tt)+) => {
        $crate::store_conformance! { @tests $ground, []; $($cases)+ }
    };
    ($ground:ty, ignore = $why:literal; $($cases:tt)+) => {
        $crate::store_conformance! { @tests $ground, [#[ignore = $why]]; $($cases)+ }
    };
    (@tests $ground:ty, $ignored:tt; $($theme:ident: $($case:ident),+;)+) => {
        $(mod $theme {
            use super::*;
            $(
                $crate::store_conformance! { @test $ground, $ignored, $theme, $case }
            )+
        })+
    };
    (@test $ground:ty, [$(#[$ignored:meta])?], $theme:ident, $case:ident) => {
        #[tokio::test(flavor = "multi_thread", worker_threads = 2)]
        $(#[$ignored])?
        async fn $case() {
            let ground = <$ground as $crate::store::conformance::Ground>::fresh().await;
            $crate::store::conformance::$theme::$case(ground).await;
        }
    };
}

/// The cases by theme, for whoever makes something else of them than tests.
#[macro_export]
macro_rules! store_conformance_cases {
    ($make:ident, $($with:tt)+) => {
        $crate::$make! { $($with)+;
            identity:
                fresh_until_something_is_handled,
                an_identity_for_life,
                another_pipeline_is_refused,
                another_group_is_refused,
                a_grown_topic_is_refused,
                more_partitions_are_taken_when_they_are_meant;
            fencing:
                a_new_lane_is_claimed,
                the_later_claimant_wins,
                a_lane_nobody_claimed_is_fenced,
                a_turn_is_taken_once,
                other_lanes_stay,
                a_claim_waits_for_a_unit,
                a_former_owner_starts_nothing,
                a_claim_shows_where_the_lane_stands;
            positions:
                a_partition_starts_once,
                strict_equality,
                one_miss_moves_nothing,
                other_partitions_stay,
                counts_add_up;
            units:
                what_is_dropped_never_was,
                what_is_committed_stays,
                nothing_shows_before_the_commit,
                an_error_ends_a_unit;
            inbox:
                an_event_is_new_once,
                an_event_is_new_in_one_lane,
                an_event_is_new_in_one_of_two_lanes_at_once,
                twice_in_one_batch,
                a_dropped_unit_lets_nothing_in,
                a_dead_event_is_known,
                a_dead_event_comes_back_once,
                a_dropped_redrive_never_was,
                a_redriven_conflict,
                a_redriven_event_whose_id_can_be_read_now,
                a_redriven_event_that_came_otherwise_meanwhile,
                what_is_not_dead_is_not_redriven,
                a_buried_conflict_overwrites_nothing,
                before_the_horizon_nothing_is_new;
            rows:
                a_row_counts_its_writes,
                rows_are_apart_by_entity_and_key,
                a_stale_row_refuses_the_unit,
                shared_rows_lose_no_update,
                rows_not_said_to_be_shared_lose_no_update,
                what_is_refused_for_good;
            outbox:
                facts_come_out_as_they_went_in,
                a_dropped_unit_leaves_no_gap,
                sequences_have_no_gap,
                an_event_id_is_unique,
                lanes_count_for_themselves,
                published_never_goes_back,
                published_is_not_ahead;
            outside:
                effects_come_earliest_first,
                an_effect_is_answered_once,
                a_dropped_answer_never_was,
                an_attempt_leaves_the_effect_open,
                an_answer_is_final,
                a_lane_touches_its_own,
                timers_come_earliest_first,
                a_timer_fires_once,
                ids_are_unique;
            outcome:
                the_turn_tells,
                another_owner_fences_the_question,
                the_question_waits,
                a_commit_nobody_waited_for;
            retention:
                events_go_by_both_times,
                the_horizon_never_falls,
                a_little_at_a_time,
                facts_go_when_published_and_old;
            sharing:
                many_lanes_at_once,
                one_lanes_failure_is_its_own,
                who_is_dropped_beside_another_never_was,
                who_is_fenced_beside_another_harms_nobody,
                what_one_changes_another_finds,
                one_decides_after_the_other,
                what_was_dropped_is_built_on_by_nobody,
                the_later_may_be_whole_first;
        }
    };
}
