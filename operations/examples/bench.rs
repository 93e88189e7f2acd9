//! Runs the benchmarks: `cargo run --release --example bench -- BROKERS [quick] [orders=N] [rounds=N] [only=NAME] [on=NAME]
//! [program=PATH]
//! [kills=N] [database=URL]`; without the program, `orderflow`, no limits are looked at.

use std::ffi::OsString;
use std::path::PathBuf;

use orderflow_operations::bench::{self, Measure, Options};
use orderflow_producers::Stop;
use orderflow_runtime::kafka::Connection;

type Failure = Box<dyn std::error::Error>;

#[allow(clippy::print_stdout, clippy::print_stderr, reason = "an example talks to a person")]
fn main() -> Result<(), Failure> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments == ["child"] {
        return Ok(bench::serve()?);
    }
    let [brokers, said @ ..] = &*arguments else {
        return Err("name the brokers".into());
    };
    let options = options(said)?;
    let report = bench::run(&Connection::to(brokers), &options, &Stop::default(), &mut |what| {
        eprintln!("{what}");
    });
    // Each round removes its own folder in it; the run's own is empty by now.
    let removed = std::fs::remove_dir(&options.folder);
    let report = report?;
    removed?;
    println!("{report}\n{}", serde_json::to_string(&report)?);
    Ok(())
}

fn options(said: &[String]) -> Result<Options, Failure> {
    let child: Vec<OsString> = vec![std::env::current_exe()?.into(), "child".into()];
    let folder: PathBuf = std::env::temp_dir().join(format!("orderflow-bench-{}", std::process::id()));
    let mut options = Options::full(folder.clone(), child.clone());
    for word in said {
        match word.split_once('=').unwrap_or((word, "")) {
            ("quick", _) => options = Options::quick(folder.clone(), child.clone()),
            ("orders", count) => options.orders = count.parse()?,
            ("rounds", count) => options.rounds = count.parse()?,
            ("on", name) => options.workloads = vec![name.parse()?],
            ("kills", count) => options.kills = count.parse()?,
            ("database", url) => options.database = Some(url.to_owned()),
            ("program", path) => options.program = Some(path.into()),
            ("only", name) => options.measures.retain(|measure: &Measure| measure.name() == name),
            _ => return Err(format!("what is {word:?}?").into()),
        }
    }
    if options.program.is_none() {
        options.measures.retain(|measure: &Measure| *measure != Measure::Limits);
    }
    Ok(options)
}
