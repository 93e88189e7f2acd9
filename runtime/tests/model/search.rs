//! How a model is tried, and what is said of it.

#![allow(
    clippy::print_stdout,
    reason = "how much was explored belongs into the output of a test run"
)]

use std::collections::HashMap;
use std::fmt::Debug;
use std::hash::Hash;
use std::io::Write as _;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use stateright::{Checker, CheckerBuilder, HasDiscoveries, Model, Path};

/// A model that can be tried.
pub(crate) trait Tried: Model<State: State, Action: Step> + Clone + Debug + Send + Sync + 'static {
    /// Its weather, and how many states there were when that was last counted on purpose.
    fn tried_on(&self) -> (&'static str, usize);

    /// The same, to be asked about one property alone.
    fn only(self, property: &'static str) -> Self;

    /// The crash point a step ends at; or, in brackets, what nobody of us does.
    fn name(&self, before: &Self::State, action: &Self::Action) -> &'static str;
}

/// What a search asks of a state.
pub(crate) trait State: Clone + Debug + Hash + PartialEq + Send + Sync + 'static {}
impl<S: Clone + Debug + Hash + PartialEq + Send + Sync + 'static> State for S {}

/// What a search asks of an action.
pub(crate) trait Step: Clone + Copy + Debug + PartialEq + Send + Sync + 'static {}
impl<A: Clone + Copy + Debug + PartialEq + Send + Sync + 'static> Step for A {}

/// One way through a model.
pub(crate) type Trace<M> = Path<<M as Model>::State, <M as Model>::Action>;

/// Seconds of processor time that all searches by day may take: three times the twenty that a commit can spare.
const BY_DAY: u64 = 60;

/// Whether it is night, when nobody waits.
static NIGHT: AtomicBool = AtomicBool::new(false);

/// Properties whose names begin so must be reached, all others must hold everywhere.
const GOAL: &str = "reached: ";

/// Every state of the amended rules satisfies every property, and nothing was left unexplored. Gives a way to each goal.
pub(crate) fn holds<M: Tried>(model: &M) -> HashMap<&'static str, Trace<M>> {
    let (weather, recorded) = model.tried_on();
    let (states, traces) = explore(model, weather);
    assert!(
        states * 2 >= recorded,
        "{weather}: {states} states, {recorded} when last counted: if the model no longer does what it did, this test shows \
         nothing; if it is meant to be smaller, write the new count into the weather"
    );
    traces
}

/// The same with rules taken out, which may make more or fewer states.
pub(crate) fn still_holds<M: Tried>(model: &M, removed: &str) {
    let (weather, _) = model.tried_on();
    explore(model, &format!("{weather}, without {removed}"));
}

/// With rules taken out, a property is violated. Gives the shortest way there.
pub(crate) fn breaks<M: Tried>(model: M, property: &'static str) -> Trace<M> {
    let (weather, _) = model.tried_on();
    let model = model.only(property);
    let checker = search(&model);
    let Some(trace) = checker.discovery(property) else {
        panic!(
            "{weather}: \"{property}\" holds in all {} states without the rule",
            checker.unique_state_count()
        );
    };
    println!("{weather}: \"{property}\" is violated\n{}", told(&model, &trace));
    trace
}

/// Lets what is searched in this process take as long as it likes.
pub(crate) fn by_night() {
    NIGHT.store(true, Ordering::Relaxed);
}

fn explore<M: Tried>(model: &M, title: &str) -> (usize, HashMap<&'static str, Trace<M>>) {
    let began = Instant::now();
    let checker = search(model);
    let (states, depth) = (checker.unique_state_count(), checker.max_depth());
    // Past the harness, which shows what a test prints only when it fails.
    let (mut log, seconds) = (std::io::stderr(), began.elapsed().as_secs_f32());
    let _shown = writeln!(log, "model: {title}: {states} states, {depth} deep, {seconds:.1} s");
    let traces = checker.discoveries();
    let violated = traces.iter().find(|(name, _)| !name.starts_with(GOAL));
    if let Some((name, trace)) = violated {
        let (steps, end) = (told(model, trace), trace.last_state());
        panic!("{title}: \"{name}\" is violated\n{steps}{end:#?}");
    }
    for goal in model
        .properties()
        .iter()
        .filter(|property| property.name.starts_with(GOAL))
    {
        assert!(traces.contains_key(goal.name), "{title}: never {}", goal.name);
    }
    (states, traces)
}

/// One thread, so that the trace is the shortest and always the same; tests run beside one another.
fn search<M: Tried>(model: &M) -> impl Checker<M> + use<M> {
    let builder: CheckerBuilder<M> = model.clone().checker();
    let checker = builder.finish_when(HasDiscoveries::AnyFailures).spawn_bfs().join();
    let spent = processor_seconds();
    assert!(
        spent <= BY_DAY || NIGHT.load(Ordering::Relaxed),
        "{spent} s of processor time, and at most {BY_DAY} s are allowed by day: make a weather smaller, or nightly"
    );
    checker
}

/// Of this process so far. Time by the clock would be that of whatever else the machine does.
fn processor_seconds() -> u64 {
    let told = std::fs::read_to_string("/proc/self/stat").expect("Linux");
    // After the name: the state, ten numbers, and hundredths of a second in the program and in the kernel.
    let told = told.rsplit(") ").next().unwrap_or_default().split(' ');
    let hundredths: u64 = told.skip(11).take(2).map(|n| n.parse::<u64>().expect("a number")).sum();
    hundredths / 100
}

/// A trace as a list of steps.
fn told<M: Tried>(model: &M, trace: &Trace<M>) -> String {
    let steps = trace.clone().into_vec();
    let lines = steps.iter().filter_map(|(state, action)| {
        let action = action.as_ref()?;
        Some(format!("    {:<20} {action:?}\n", model.name(state, action)))
    });
    lines.collect()
}
