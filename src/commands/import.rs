//! `order import`.

use std::collections::BTreeMap;

use orderflow_producers::Stop as Ask;
use orderflow_producers::import::{self, Format, ImportFailed, ImportOptions, ImportReport, Input, Reason};
use orderflow_schemas::{Codec, EventType, Topic};
use serde::Serialize;

use super::contracts::Contracts;
use super::failures::of_import;
use super::prepare;
use crate::args::{FileFormat, GlobalArgs, ImportArgs};
use crate::config::Settings;
use crate::exit::Exit;
use crate::logging::Talk;
use crate::meter::Meter;
use crate::output::{Output, envelope, print_table};
use crate::report::{Failure, Outcome};
use crate::signals::Signals;
use crate::slug::Slug;

/// Places the orders of a file, or counts what that would do.
pub(super) fn run(args: ImportArgs, global: &GlobalArgs, output: Output) -> Outcome {
    let settings = prepare(global, &(), Talk::Command)?;
    let dry_run = args.dry_run;
    let codec = if dry_run {
        Codec::builtin()
    } else {
        Contracts::open(&settings, &[EventType::OrderPlaced])?.codec()
    };
    let signals = Signals::take()?;
    let imported = read(args, (&settings, codec), &signals, output);
    let (report, cause) = match imported {
        Ok(report) => (report, None),
        Err(ImportFailed { cause, report }) => (*report, Some(cause)),
    };
    if report.lines > 0 || cause.is_none() {
        show(&report, dry_run, output)?;
    }
    match cause {
        Some(cause) => Err(of_import(&cause).unless(signals.exit())),
        None => judged(&report, &signals),
    }
}

fn read(
    args: ImportArgs,
    (settings, codec): (&Settings, Codec),
    signals: &Signals,
    output: Output,
) -> Result<ImportReport, ImportFailed> {
    let stop = Ask::from(signals.flag());
    let input = if args.file.as_os_str() == "-" {
        Input::stdin_until(&stop)
    } else {
        Input::file(args.file)
    };
    let options = ImportOptions {
        format: args.format.map(|format| match format {
            FileFormat::Csv => Format::Csv,
            FileFormat::Ndjson => Format::Ndjson,
        }),
        source: args.source,
        payment_token: args.payment_token,
        limit: args.limit,
    };
    let mut meter = Meter::new(output);
    let mut watch = |progress: orderflow_producers::Progress| meter.tell(progress.done, progress.of, "bytes read");
    let imported = if args.dry_run {
        import::dry_run(input, &options, &stop, &mut watch)
    } else {
        let sink = import::sink_options(settings.topics.name(Topic::Orders)).written_with(codec);
        import::import(&settings.connection, sink, input, &options, &stop, &mut watch)
    };
    meter.end();
    imported
}

/// What was not taken, and was not meant to be left out, makes the import incomplete.
fn judged(report: &ImportReport, signals: &Signals) -> Outcome {
    if let Some(exit) = signals.exit().filter(|_| report.stopped) {
        return Ok(exit);
    }
    let (unreadable, held_back) = (report.count(Reason::Unreadable), report.count(Reason::HeldBack));
    if unreadable + held_back == 0 {
        return Ok(Exit::Done);
    }
    let message = format!("{unreadable} lines are unreadable, {held_back} held back");
    let failure = Failure::new(Slug::ImportIncomplete, message);
    let failure = report.problems.iter().fold(failure, |failure, problem| {
        failure.because(format!("{}: {problem}", report.file))
    });
    Err(failure
        .hint("mend the lines and import the file again: what was placed counts once in any case")
        .into())
}

fn show(report: &ImportReport, dry_run: bool, output: Output) -> Result<(), Failure> {
    if output.is_json() {
        return envelope("order.import", &[Imported::of(report, dry_run)]);
    }
    let rows = report.counts.iter().map(|(reason, count)| {
        let first: Vec<_> = count.first.iter().map(u64::to_string).collect();
        vec![reason.to_string(), count.lines.to_string(), first.join(",")]
    });
    print_table(&["REASON", "LINES", "FIRST-LINES"], &rows.collect::<Vec<_>>())?;
    let done = if dry_run { "would be placed" } else { "read whole" };
    output.note(&format!(
        "{} lines, {} orders {done}, {} acknowledged",
        report.lines, report.orders, report.tally.acknowledged
    ));
    Ok(())
}

/// What an import found and did.
#[derive(Debug, Serialize)]
struct Imported {
    file: String,
    dry_run: bool,
    lines: u64,
    reasons: BTreeMap<&'static str, Lines>,
    orders: u64,
    guests: u64,
    items: u64,
    longest_order_items: u64,
    units: i128,
    total_minor: i128,
    products: Option<u64>,
    acknowledged: u64,
    elapsed_seconds: f64,
    stopped: bool,
    problems: Vec<Told>,
}

/// Lines of one reason.
#[derive(Debug, Serialize)]
struct Lines {
    lines: u64,
    first: Vec<u64>,
}

/// A line that was not taken as it stands.
#[derive(Debug, Serialize)]
struct Told {
    line: u64,
    field: Option<&'static str>,
    why: String,
}

impl Imported {
    fn of(report: &ImportReport, dry_run: bool) -> Self {
        let reasons = report.counts.iter().map(|(reason, count)| {
            (
                reason.name(),
                Lines {
                    lines: count.lines,
                    first: count.first.clone(),
                },
            )
        });
        let problems = report.problems.iter().map(|problem| Told {
            line: problem.line,
            field: problem.field,
            why: problem.why.clone(),
        });
        Self {
            file: report.file.clone(),
            dry_run,
            lines: report.lines,
            reasons: reasons.collect(),
            orders: report.orders,
            guests: report.guests,
            items: report.items,
            longest_order_items: report.longest,
            units: report.units,
            total_minor: report.total_minor,
            products: report.products,
            acknowledged: report.tally.acknowledged,
            elapsed_seconds: report.elapsed.as_secs_f64(),
            stopped: report.stopped,
            problems: problems.collect(),
        }
    }
}
