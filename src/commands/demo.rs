//! `demo`.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use orderflow_operations::demo::{self, DemoError, Options, Step, Summary};
use orderflow_producers::Stop as Ask;
use tempfile::TempDir;

use super::audit::verdict;
use super::failures::of_demo;
use super::prepare;
use crate::args::{DemoArgs, GlobalArgs};
use crate::logging::Talk;
use crate::meter::Meter;
use crate::output::{Output, envelope, print};
use crate::report::{Failure, Outcome, Stop};
use crate::signals::Signals;
use crate::slug::Slug;

/// Runs the demonstration and says what happened.
pub(super) fn run(args: &DemoArgs, global: &GlobalArgs, output: Output) -> Outcome {
    prepare(global, &(), Talk::Command)?;
    let signals = Signals::take()?;
    let folder = Folder::of(global)?;
    let executable = std::env::current_exe()
        .map_err(|error| Failure::new(Slug::Internal, "this program cannot find itself").caused_by(&error))?;
    let options = Options {
        executable,
        data_dir: folder.path().to_owned(),
        orders: args.orders.get(),
    };
    let mut meter = Meter::new(output);
    let played = demo::run(&options, &Ask::from(signals.flag()), &mut |step| {
        tell(step, &mut meter, output);
    });
    meter.end();
    let summary = match (played, signals.exit()) {
        (Err(DemoError::Stopped), Some(exit)) => return Err(Stop::Signal(exit)),
        (played, _) => played.map_err(|error| folder.mentioned_in(of_demo(&error)))?,
    };
    if output.is_json() {
        envelope("demo", &[&summary])?;
    } else {
        print(&told(&summary, &folder))?;
    }
    verdict(&summary.audit)
}

/// Where the databases and logs are while it runs, and whether they stay.
enum Folder {
    Kept(PathBuf),
    Temporary(TempDir),
}

impl Folder {
    fn of(global: &GlobalArgs) -> Result<Self, Failure> {
        if let Some(path) = &global.data_dir {
            return std::path::absolute(path)
                .map(Self::Kept)
                .map_err(|error| no_folder(path, &error));
        }
        let made = tempfile::Builder::new().prefix("orderflow-demo-").tempdir();
        made.map(Self::Temporary)
            .map_err(|error| no_folder(&std::env::temp_dir().to_string_lossy(), &error))
    }

    fn path(&self) -> &Path {
        match self {
            Self::Kept(path) => path,
            Self::Temporary(folder) => folder.path(),
        }
    }

    /// Logs in a temporary folder are gone with it: who wants to read them runs it again.
    fn mentioned_in(&self, failure: Failure) -> Failure {
        match self {
            Self::Temporary(_) if failure.is(Slug::DemoFailed) => {
                failure.hint("orderflow demo --data-dir FOLDER keeps the logs")
            }
            _ => failure,
        }
    }
}

fn no_folder(path: &str, error: &std::io::Error) -> Failure {
    Failure::new(Slug::OutputFailed, format!("cannot make a folder in {path}")).caused_by(error)
}

fn tell(step: Step, meter: &mut Meter, output: Output) {
    match step {
        Step::Starting => output.note("a broker in this process, inventory and payment as its children"),
        Step::Placing { of, handled, .. } => meter.tell(handled.min(of), Some(of), "orders handled by inventory"),
        Step::Killed(service) => {
            meter.end();
            output.note(&format!("{service} is killed with SIGKILL"));
        }
        Step::Restarted(service) => output.note(&format!("{service} is started again")),
        Step::Finishing => output.note("the last orders are placed"),
        Step::Auditing => {
            output.note("the services catch up, then the audit compares topics, databases and the gateway's ledger");
        }
    }
}

/// What happened, for a person.
fn told(summary: &Summary, folder: &Folder) -> String {
    let mut text = String::from("\n");
    orders(&mut text, summary);
    speed(&mut text, summary);
    recovery(&mut text, summary);
    judgement(&mut text, summary);
    next(&mut text, folder);
    text
}

fn line(text: &mut String, name: &str, value: &str) {
    let _infallible = writeln!(text, "  {name:<28} {value}");
}

fn heading(text: &mut String, title: &str) {
    let bold = anstyle::Style::new().bold();
    let _infallible = writeln!(text, "{bold}{title}{bold:#}");
}

fn orders(text: &mut String, summary: &Summary) {
    let totals = &summary.audit.totals;
    heading(text, "What happened to the orders");
    line(text, "orders", &totals.orders.to_string());
    line(text, "goods reserved", &totals.reserved.to_string());
    line(text, "refused for want of stock", &totals.unavailable.to_string());
    line(text, "charged", &totals.processed.to_string());
    line(text, "payment refused", &totals.failed.to_string());
}

#[allow(clippy::cast_precision_loss, reason = "seconds for people")]
fn speed(text: &mut String, summary: &Summary) {
    heading(text, "How fast");
    line(
        text,
        "all of it took",
        &format!("{:.1} s", summary.took_ms as f64 / 1_000.0),
    );
    for (topic, rate) in &summary.facts_per_second {
        line(text, &format!("facts to {topic}"), &format!("{rate} a second"));
    }
    for (topic, latency) in &summary.latency {
        let percentiles = format!(
            "p50 {} ms, p99 {} ms, slowest {} ms",
            latency.p50_ms, latency.p99_ms, latency.max_ms
        );
        line(text, &format!("order to fact in {topic}"), &percentiles);
    }
}

fn recovery(text: &mut String, summary: &Summary) {
    let killed = &summary.killed;
    heading(text, "What went wrong, on purpose");
    line(
        text,
        "killed with SIGKILL",
        &format!("{} after {} records", killed.service, killed.after_records),
    );
    line(text, "at work again after", &format!("{} ms", killed.back_after_ms));
    for (group, duplicates) in &summary.duplicates {
        line(text, &format!("duplicates seen by {group}"), &duplicates.to_string());
    }
    for (group, reasons) in &summary.dead_letters {
        let told: Vec<_> = reasons
            .iter()
            .map(|(reason, count)| format!("{count} {reason}"))
            .collect();
        line(
            text,
            &format!("dead letters of {group}"),
            if told.is_empty() {
                "none".to_owned()
            } else {
                told.join(", ")
            }
            .as_str(),
        );
    }
}

fn judgement(text: &mut String, summary: &Summary) {
    heading(text, "What the audit says");
    for finding in &summary.audit.invariants {
        let verdict = if finding.violated == 0 { "holds" } else { "VIOLATED" };
        line(
            text,
            finding.invariant.slug(),
            &format!("{verdict}, {} checked", finding.checked),
        );
    }
}

fn next(text: &mut String, folder: &Folder) {
    heading(text, "What to try next");
    match folder {
        Folder::Kept(path) => {
            line(
                text,
                "the databases",
                &format!("orderflow stock show --data-dir {}", path.display()),
            );
            line(text, "the logs", &format!("{}", path.join("inventory.log").display()));
        }
        Folder::Temporary(_) => line(text, "keep the databases", "orderflow demo --data-dir ./demo"),
    }
    line(
        text,
        "on your own Kafka",
        "orderflow topics apply --brokers localhost:9092",
    );
    line(text, "", "orderflow run inventory & orderflow run payment &");
    line(text, "", "orderflow order emit --count 10000 --rate 1000");
}
