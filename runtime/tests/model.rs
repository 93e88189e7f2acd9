//! The runtime's rules as a model: every order in which two instances, a database, a group and Kafka can take their steps,
//! with crashes, zombies, lost answers, rebalances, redrives and retention in between.
//!
//! The rules hold in all of them, and each rule is taken out once to see what it is there for. `docs/model.md` says what this
//! shows and what it does not.

mod postgres;

mod model {
    mod effects;
    mod lane;
    mod needed;
    mod points;
    mod postgres;
    mod relays;
    mod replay;
    mod rows;
    mod rules;
    mod search;
    mod spare;
    mod sqlite;
    mod weathers;
}
