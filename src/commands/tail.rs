//! `topics tail`.

use std::time::Duration;

use orderflow_operations::topics::tail::{Next, Options, Span, Start, Tail};

use super::contracts::Contracts;
use super::failures::of_topics;
use super::prepare;
use crate::args::{GlobalArgs, TailArgs};
use crate::exit::Exit;
use crate::logging::Talk;
use crate::output::{Lines, Output};
use crate::report::{Failure, Outcome, Stop};
use crate::signals::Signals;
use crate::slug::Slug;
use crate::units;

/// How long to wait for a record before what was read is written out and signals are looked at.
const WAIT: Duration = Duration::from_millis(100);

/// Prints the records of topics as lines of JSON.
pub(super) fn run(args: TailArgs, global: &GlobalArgs, output: Output) -> Outcome {
    let start = Start::parse(&args.from, units::now()).map_err(|error| Failure::from_error(Slug::Usage, &error))?;
    let settings = prepare(global, &(), Talk::Command)?;
    let contracts = Contracts::open(&settings, &[])?;
    let follow = args.follow;
    let options = Options {
        topics: args.topics,
        start,
        partition: args.partition,
        key: args.key,
        count: args.count,
        follow,
        reader: contracts.reader(),
    };
    let mut tail = Tail::open(&settings.connection, options).map_err(|error| of_topics(&error))?;
    // Until here a signal simply ends the process: there is nothing to write out.
    let signals = Signals::take()?;
    let printed = print(&mut tail, &signals)?;
    output.note(&searched(tail.searched(), printed));
    // What follows has no end of its own: the signal is it.
    Ok(signals.exit().filter(|_| !follow).unwrap_or(Exit::Done))
}

fn print(tail: &mut Tail, signals: &Signals) -> Result<u64, Stop> {
    let mut lines = Lines::new();
    let mut printed = 0;
    while signals.exit().is_none() {
        match tail.next(WAIT).map_err(|error| of_topics(&error))? {
            Next::Record(record) => {
                lines.push(&record)?;
                printed += 1;
            }
            Next::Idle => lines.flush()?,
            Next::End => break,
        }
    }
    lines.flush()?;
    Ok(printed)
}

/// What was looked at, so that nothing found is told apart from nothing searched.
fn searched(spans: &[Span], printed: u64) -> String {
    let offsets: i64 = spans.iter().map(|span| (span.end - span.next).max(0)).sum();
    format!(
        "{printed} records printed; {offsets} offsets of {} partitions searched",
        spans.len()
    )
}
