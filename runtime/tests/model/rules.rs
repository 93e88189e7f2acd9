//! Every rule is taken out by some test.

use std::collections::BTreeSet;

use super::lane::{LaneModel, Rules};
use super::{effects, lane, needed, relays, rows, spare};

/// The rules of a model.
macro_rules! rules {
    ($($(#[$what:meta])* $rule:ident,)+) => {
        /// What can be taken out of the rules. Each name says what is kept while it is in.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub(crate) enum Rule {
            $($(#[$what])* $rule,)+
        }

        impl Rule {
            /// All of them.
            pub(crate) const ALL: &[Self] = &[$(Self::$rule),+];
        }
    };
}

/// Models by the names of their modules, as tests that take rules out name them.
pub(crate) mod without {
    use super::{LaneModel, Rules, effects, lane, relays, rows};

    pub(crate) fn lane(removed: &[lane::Rule], weather: &str) -> LaneModel {
        LaneModel::new(Rules::without(removed), weather)
    }

    pub(crate) fn effects(removed: &[effects::Rule], weather: &str) -> effects::EffectsModel {
        effects::EffectsModel::new(removed, weather)
    }

    pub(crate) fn rows(removed: &[rows::Rule], weather: &str) -> rows::RowsModel {
        rows::RowsModel::new(removed, weather)
    }

    pub(crate) fn relays(removed: &[relays::Rule], weather: &str) -> relays::RelaysModel {
        relays::RelaysModel::new(removed, weather)
    }
}

pub(crate) use rules;

/// A rule that nobody takes out may be one that does nothing.
#[test]
fn every_rule_is_taken_out() {
    let all: BTreeSet<_> = [
        named("lane", lane::Rule::ALL),
        named("effects", effects::Rule::ALL),
        named("rows", rows::Rule::ALL),
        named("relays", relays::Rule::ALL),
    ]
    .concat()
    .into_iter()
    .collect();
    let taken_out = needed::TAKEN_OUT.iter().chain(spare::TAKEN_OUT);
    let taken_out: BTreeSet<_> = taken_out.map(|rule| (*rule).to_owned()).collect();
    assert_eq!(
        taken_out, all,
        "left: what tests take out; right: the rules of the models"
    );
}

fn named(model: &str, rules: &[impl std::fmt::Debug]) -> Vec<String> {
    rules.iter().map(|rule| format!("{model}: {rule:?}")).collect()
}
