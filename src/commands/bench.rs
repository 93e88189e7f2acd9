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
    let mut options = options(args, settings.data_dir.join("bench"))?;
    options.database = settings.server()?;
    served(&options)?;
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
    options.kills = args.kills.unwrap_or(options.kills);
    Ok(options)
}

/// Refuses to leave out what was asked for by name.
fn served(options: &Options) -> Result<(), Failure> {
    let asked = options.measures.iter().find(|measure| measure.needs_server());
    let all = options.measures == Measure::ALL;
    match asked {
        Some(measure) if options.database.is_none() && !all => {
            let message = format!("{} is measured on PostgreSQL, and no server is named", measure.name());
            Err(Failure::new(Slug::ConfigInvalid, message)
                .hint("orderflow bench --database postgres://USER@HOST/DATABASE"))
        }
        _ => Ok(()),
    }
}

const fn measure(name: MeasureName) -> Measure {
    match name {
        MeasureName::CatchUp => Measure::CatchUp,
        MeasureName::Producing => Measure::Producing,
        MeasureName::Postgres => Measure::Postgres,
        MeasureName::Latency => Measure::Latency,
        MeasureName::Recovery => Measure::Recovery,
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
