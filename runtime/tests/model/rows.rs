//! Rows that several lanes write: two workers, each with orders of two lines, on the stock of two products.

use stateright::{Model, Property};

use super::rules::rules;
use super::search::Tried;

rules! {
    /// `SELECT … FOR UPDATE`. What is absent cannot be locked.
    Lock,
    /// A write compares the version that was loaded; an insert counts what went in.
    Version,
    LoadIsInside,
    /// Rows are locked in one order, not as they are named.
    LockOrder,
}

#[derive(Debug, Clone)]
pub(crate) struct RowsModel {
    pub(crate) removed: Vec<Rule>,
    pub(crate) weather: Weather,
    pub(crate) only: Option<&'static str>,
}

/// What there is to do.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Weather {
    pub(crate) name: &'static str,
    /// Pieces of each product, and whether its row exists.
    stock: (i8, bool),
    /// Orders of each worker: which product each line names, one piece a line.
    orders: [&'static [[usize; 2]]; 2],
    crashes: u8,
    pub(crate) states: usize,
}

pub(crate) const WEATHERS: [Weather; 3] = [
    Weather {
        name: "stock",
        stock: (2, true),
        orders: [&[[0, 1], [0, 1]], &[[1, 0], [0, 1]]],
        crashes: 1,
        states: 170,
    },
    Weather {
        name: "first events",
        stock: (0, false),
        orders: [&[[0, 1]], &[[1, 0]]],
        crashes: 1,
        states: 82,
    },
    Weather {
        name: "plenty",
        stock: (9, true),
        orders: [&[[0, 1], [1, 0]], &[[1, 0], [0, 1]]],
        crashes: 2,
        states: 255,
    },
];

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct State {
    rows: [Row; 2],
    /// Who holds the lock of a row.
    locks: [Option<usize>; 2],
    us: [Worker; 2],
    /// Pieces sold by orders that are committed.
    sold: [i8; 2],
    crashes: u8,
}

/// Version 0 is a row that does not exist.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
struct Row {
    version: u8,
    pieces: i8,
}

#[derive(Debug, Clone, Default, PartialEq, Eq, Hash)]
struct Worker {
    next: usize,
    phase: Phase,
    loaded: Vec<(usize, Row)>,
}

#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Hash)]
enum Phase {
    #[default]
    Ready,
    Begun,
    Loaded,
    Written,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Action {
    Begin(usize),
    Load(usize),
    Write(usize),
    Stale(usize),
    Commit(usize),
    Crash(usize),
}

impl RowsModel {
    pub(crate) fn new(removed: &[Rule], weather: &str) -> Self {
        let weather = WEATHERS.iter().find(|known| known.name == weather).expect("a weather");
        Self {
            removed: removed.to_vec(),
            weather: *weather,
            only: None,
        }
    }

    fn keep(&self, rule: Rule) -> bool {
        !self.removed.contains(&rule)
    }

    /// The products of a worker's order, in the order in which it locks them.
    fn order(&self, me: &Worker, i: usize) -> Option<[usize; 2]> {
        let mut products = *self.weather.orders[i].get(me.next)?;
        if self.keep(Rule::LockOrder) {
            products.sort_unstable();
        }
        Some(products)
    }

    /// Whether the write of a worker could go through now, as far as locks are concerned.
    fn free(state: &State, i: usize, product: usize) -> bool {
        state.locks[product].is_none_or(|by| by == i)
    }

    fn is_stale(&self, state: &State, i: usize) -> bool {
        let mut loaded = state.us[i].loaded.iter();
        self.keep(Rule::Version) && loaded.any(|(product, row)| state.rows[*product].version != row.version)
    }

    /// What a worker waits for: another's lock.
    fn waits(&self, state: &State, i: usize) -> bool {
        let me = &state.us[i];
        let Some(order) = self.order(me, i) else { return false };
        match me.phase {
            Phase::Begun => self.keep(Rule::Lock) && !Self::free(state, i, order[me.loaded.len()]),
            Phase::Loaded => !order.iter().all(|product| Self::free(state, i, *product)),
            _ => false,
        }
    }

    fn load(&self, state: &mut State, i: usize, product: usize) {
        let row = state.rows[product];
        if self.keep(Rule::Lock) && row.version > 0 {
            state.locks[product] = Some(i);
        }
        let me = &mut state.us[i];
        me.loaded.push((product, row));
        if me.loaded.len() == 2 {
            me.phase = Phase::Loaded;
        }
    }

    /// All lines of an order or none.
    fn commit(&self, state: &mut State, i: usize) {
        let loaded = std::mem::take(&mut state.us[i].loaded);
        let receives = !self.weather.stock.1;
        if receives || loaded.iter().all(|(_, row)| row.pieces > 0) {
            for (product, row) in loaded {
                let pieces = if receives { row.pieces + 1 } else { row.pieces - 1 };
                state.rows[product] = Row {
                    version: row.version + 1,
                    pieces,
                };
                state.sold[product] += 1;
            }
        }
        state.us[i].next += 1;
        Self::end(state, i);
    }

    fn end(state: &mut State, i: usize) {
        state.us[i] = Worker {
            next: state.us[i].next,
            ..Worker::default()
        };
        for lock in state.locks.iter_mut().filter(|lock| **lock == Some(i)) {
            *lock = None;
        }
    }
}

impl Model for RowsModel {
    type State = State;
    type Action = Action;

    fn init_states(&self) -> Vec<State> {
        let (pieces, exists) = self.weather.stock;
        vec![State {
            rows: [Row {
                version: u8::from(exists),
                pieces,
            }; 2],
            locks: [None; 2],
            us: [Worker::default(), Worker::default()],
            sold: [0; 2],
            crashes: self.weather.crashes,
        }]
    }

    fn actions(&self, state: &State, actions: &mut Vec<Action>) {
        for i in 0..2 {
            let me = &state.us[i];
            if state.crashes > 0 && me.phase != Phase::Ready {
                actions.push(Action::Crash(i));
            }
            if self.order(me, i).is_none() || self.waits(state, i) {
                continue;
            }
            actions.push(match me.phase {
                Phase::Ready => Action::Begin(i),
                Phase::Begun => Action::Load(i),
                Phase::Loaded if self.is_stale(state, i) => Action::Stale(i),
                Phase::Loaded => Action::Write(i),
                Phase::Written => Action::Commit(i),
            });
        }
    }

    fn next_state(&self, before: &State, action: Action) -> Option<State> {
        let mut state = before.clone();
        match action {
            Action::Begin(i) => {
                let order = self.order(&state.us[i], i)?;
                state.us[i].phase = Phase::Begun;
                if !self.keep(Rule::LoadIsInside) {
                    let rows = order.map(|product| (product, state.rows[product]));
                    state.us[i].loaded = rows.to_vec();
                    state.us[i].phase = Phase::Loaded;
                }
            }
            Action::Load(i) => {
                let product = self.order(&state.us[i], i)?[state.us[i].loaded.len()];
                self.load(&mut state, i, product);
            }
            Action::Write(i) => {
                for product in self.order(&state.us[i], i)? {
                    state.locks[product] = Some(i);
                }
                state.us[i].phase = Phase::Written;
            }
            Action::Stale(i) => Self::end(&mut state, i),
            Action::Commit(i) => self.commit(&mut state, i),
            Action::Crash(i) => {
                state.crashes -= 1;
                Self::end(&mut state, i);
            }
        }
        Some(state)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        let all = [
            always(NO_UPDATE_LOST, |model, state| {
                let (pieces, exists) = model.weather.stock;
                let change = if exists { -1 } else { 1 };
                (0..2).all(|product| state.rows[product].pieces == pieces + change * state.sold[product])
            }),
            always(NEVER_OVERSOLD, |model, state| {
                !model.weather.stock.1 || state.sold.iter().all(|sold| *sold <= model.weather.stock.0)
            }),
            always(NO_DEADLOCK, |model, state| {
                !(model.waits(state, 0) && model.waits(state, 1))
            }),
            Property::sometimes(ALL_DONE, |model: &Self, state: &State| {
                (0..2).all(|i| model.order(&state.us[i], i).is_none())
            }),
        ];
        all.into_iter()
            .filter(|property| self.only.is_none_or(|only| property.name == only))
            .collect()
    }
}

pub(crate) const NO_UPDATE_LOST: &str = "no update is lost";
pub(crate) const NEVER_OVERSOLD: &str = "nothing is sold that is not there";
pub(crate) const NO_DEADLOCK: &str = "nobody waits for one another";
pub(crate) const ALL_DONE: &str = "reached: every order is decided";

fn always(name: &'static str, holds: fn(&RowsModel, &State) -> bool) -> Property<RowsModel> {
    Property::always(name, holds)
}

impl Tried for RowsModel {
    fn tried_on(&self) -> (&'static str, usize) {
        (self.weather.name, self.weather.states)
    }

    fn only(self, property: &'static str) -> Self {
        Self {
            only: Some(property),
            ..self
        }
    }

    fn name(&self, _before: &State, action: &Action) -> &'static str {
        match action {
            Action::Begin(_) => "tx.begin",
            Action::Load(_) => "tx.load",
            Action::Write(_) => "tx.state",
            Action::Stale(_) => "(a row has changed: rolled back, and again)",
            Action::Commit(_) => "commit.after",
            Action::Crash(_) => "(a process dies)",
        }
    }
}
