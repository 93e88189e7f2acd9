//! `health`: judging a daemon by the file it writes.

use std::io::ErrorKind;

use orderflow_operations::health::{self, Patience, Pulse};
use serde::Serialize;

use super::prepare;
use crate::args::{GlobalArgs, HealthArgs};
use crate::exit::Exit;
use crate::logging::Talk;
use crate::output::{Output, envelope, print};
use crate::report::{Failure, Outcome};
use crate::slug::Slug;

/// Tells whether a daemon gets on.
pub(super) fn run(args: &HealthArgs, global: &GlobalArgs, output: Output) -> Outcome {
    let settings = prepare(global, &(), Talk::Command)?;
    let service = args.service.group();
    let path = settings.health_file(service);
    let (pulse, age) = health::read(&path).map_err(|error| {
        let why = match error.kind() {
            ErrorKind::NotFound => "has written nothing yet, or has ended",
            _ => "has written something that cannot be read",
        };
        Failure::new(Slug::Unhealthy, format!("{service} {why}"))
            .because(format!("{}: {error}", path.display()))
            .hint(
                "is it the health_file of the daemon? `orderflow config show --origin` tells which is looked for here",
            )
    })?;
    let patience = Patience {
        still: args.still,
        stale: args.stale,
    };
    if let Some((first, others)) = pulse.complaints(age, patience).split_first() {
        let failure = Failure::new(Slug::Unhealthy, format!("{service}: {first}"));
        return Err(others.iter().fold(failure, Failure::because).into());
    }
    tell(service, &pulse, output)
}

fn tell(service: &'static str, pulse: &Pulse, output: Output) -> Outcome {
    if output.is_json() {
        envelope("health", &[Healthy { service, pulse }])?;
    } else {
        let waiting = pulse
            .lanes
            .iter()
            .map(|lane| lane.still_seconds)
            .max()
            .unwrap_or_default();
        print(&format!(
            "{service} is healthy: {} lanes, the slowest without progress for {waiting} s\n",
            pulse.lanes.len()
        ))?;
    }
    Ok(Exit::Done)
}

#[derive(Debug, Serialize)]
struct Healthy<'a> {
    service: &'static str,
    #[serde(flatten)]
    pulse: &'a Pulse,
}
