//! The amended rules hold in every weather.

use super::effects::{self, EffectsModel};
use super::lane::{self, LaneModel, Rules};
use super::relays::{self, RelaysModel};
use super::rows::{self, RowsModel};
use super::search::{by_night, holds};

macro_rules! lane_weathers {
    ($($test:ident: $name:literal),+ $(,)?) => {
        $(#[test]
        fn $test() {
            holds(&LaneModel::new(Rules::AMENDED, $name));
        })+

        const TRIED: &[&str] = &[$($name),+];
    };
}

lane_weathers! {
    amended_holds_when_it_is_calm: "calm",
    amended_holds_for_one_record: "one record",
    amended_holds_when_processes_die: "crashes",
    amended_holds_when_answers_are_lost: "answers",
    amended_holds_among_zombies: "zombies",
    amended_holds_with_one_zombie: "one zombie",
    amended_holds_when_records_repeat: "repeats",
    amended_holds_on_a_sparse_topic: "sparse",
    amended_holds_when_a_letter_is_redriven: "refused",
    amended_holds_when_it_is_refused_again: "refused twice",
    amended_holds_when_the_client_strays: "strays",
    amended_holds_with_one_stray: "one stray",
    amended_holds_under_retention: "retention",
    amended_holds_on_a_database_set_back: "set back",
}

/// "A long day" is run where its trace is replayed.
#[test]
fn every_weather_is_tried() {
    let elsewhere = ["a long day"];
    let tried: Vec<_> = TRIED.iter().chain(&elsewhere).copied().collect();
    assert_eq!(lane::weathers(false).collect::<Vec<_>>(), tried);
}

#[test]
#[ignore = "takes minutes"]
fn nightly_amended_holds_in_every_weather() {
    by_night();
    for name in lane::weathers(true) {
        holds(&LaneModel::new(Rules::AMENDED, name));
    }
    for weather in effects::WEATHERS.iter().filter(|weather| weather.nightly) {
        holds(&EffectsModel::new(&[], weather.name));
    }
}

#[test]
fn amended_holds_for_calls_and_timers() {
    for weather in effects::WEATHERS.iter().filter(|weather| !weather.nightly) {
        holds(&EffectsModel::new(&[], weather.name));
    }
}

#[test]
fn amended_holds_for_rows_of_several_lanes() {
    for weather in rows::WEATHERS {
        holds(&RowsModel::new(&[], weather.name));
    }
}

#[test]
fn amended_holds_for_the_order_of_facts() {
    for weather in relays::WEATHERS {
        holds(&RelaysModel::new(&[], weather.name));
    }
}
