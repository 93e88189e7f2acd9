//! `bench`.

use orderflow_operations::bench::{self, Measure, Options, Report};
use orderflow_producers::Stop as Ask;

use super::failures::of_bench;
use super::prepare;
use crate::args::{BenchArgs, GlobalArgs, MeasureName};
use crate::exit::Exit;
use crate::logging::Talk;
use crate::output::{Output, envelope, print};
use crate::report::{Failure, Outcome, Stop};
use crate::signals::Signals;
use crate::slug::Slug;

/// Measures, or is the process that is measured.
pub(super) fn run(args: BenchArgs, global: &GlobalArgs, output: Output) -> Outcome {
    if args.child {
        bench::serve().map_err(|error| of_bench(&error))?;
        return Ok(Exit::Done);
    }
    let check = args.check;
    let settings = prepare(global, &(), Talk::Command)?;
    let signals = Signals::take()?;
    let options = options(args, settings.data_dir.join("bench"))?;
    let measured = bench::run(
        &settings.connection,
        &options,
        &Ask::from(signals.flag()),
        &mut |line| output.note(line),
    );
    let report = match (measured, signals.exit()) {
        (Err(bench::Error::Stopped), Some(exit)) => return Err(Stop::Signal(exit)),
        (measured, _) => measured.map_err(|error| of_bench(&error))?,
    };
    if output.is_json() {
        envelope("bench", &[&report])?;
    } else {
        print(&format!("{report}\n"))?;
    }
    if check { checked(&report) } else { Ok(Exit::Done) }
}

fn options(args: BenchArgs, folder: std::path::PathBuf) -> Result<Options, Failure> {
    let this = std::env::current_exe()
        .map_err(|error| Failure::new(Slug::Internal, "this program cannot find itself").caused_by(&error))?;
    let child = vec![this.clone().into_os_string(), "bench".into(), "--child".into()];
    let mut options = if args.quick {
        Options::quick(folder, child)
    } else {
        Options::full(folder, child)
    };
    options.program = Some(this);
    if !args.measures.is_empty() {
        options.measures = args.measures.into_iter().map(measure).collect();
    }
    if !args.workloads.is_empty() {
        options.workloads = args.workloads;
    }
    options.orders = args.orders.unwrap_or(options.orders);
    options.rounds = args.rounds.unwrap_or(options.rounds);
    Ok(options)
}

const fn measure(name: MeasureName) -> Measure {
    match name {
        MeasureName::CatchUp => Measure::CatchUp,
        MeasureName::Producing => Measure::Producing,
        MeasureName::Latency => Measure::Latency,
        MeasureName::Limits => Measure::Limits,
    }
}

fn checked(report: &Report) -> Outcome {
    let missed = report.missed();
    if missed.is_empty() {
        return Ok(Exit::Done);
    }
    Err(Failure::new(Slug::TargetMissed, format!("not reached: {}", missed.join(", "))).into())
}
