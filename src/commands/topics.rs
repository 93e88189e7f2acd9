//! `topics plan` and `topics apply`.

use orderflow_operations::topics::{self, Action, Declaration, Outcome as Applied, Plan, Step};
use orderflow_schemas::Topic;
use serde::Serialize;

use super::failures::of_topics;
use super::prepare;
use crate::args::{ApplyArgs, GlobalArgs, PlanArgs};
use crate::config::Settings;
use crate::exit::Exit;
use crate::logging::Talk;
use crate::output::{Output, Row, envelope};
use crate::report::{Failure, Outcome};
use crate::services;
use crate::slug::Slug;

/// Shows the difference.
pub(super) fn plan(args: &PlanArgs, global: &GlobalArgs, output: Output) -> Outcome {
    let settings = prepare(global, &args.sizing, Talk::Command)?;
    let plan = planned(&settings)?;
    show(&plan, output)?;
    refuse(&plan)?;
    if !plan.is_fine() {
        output.note("orderflow topics apply makes it so");
    }
    Ok(Exit::Done)
}

/// Shows the difference and makes it so.
pub(super) fn apply(args: &ApplyArgs, global: &GlobalArgs, output: Output) -> Outcome {
    let settings = prepare(global, &args.sizing, Talk::Command)?;
    let plan = planned(&settings)?;
    if !output.is_json() || args.dry_run {
        show(&plan, output)?;
    }
    refuse(&plan)?;
    if args.dry_run {
        return Ok(Exit::Done);
    }
    let applied = topics::apply(&settings.connection, &plan).map_err(|error| of_topics(&error))?;
    if output.is_json() {
        envelope("topics.apply", &applied)?;
    }
    summary(&applied, output)
}

fn planned(settings: &Settings) -> Result<Plan, Failure> {
    let names = &settings.topics;
    let events = Topic::ALL.map(|topic| names.name(topic));
    let declaration = Declaration::new(events, services::readings(names), settings.sizing.clone());
    topics::plan(&settings.connection, &declaration).map_err(|error| of_topics(&error))
}

fn show(plan: &Plan, output: Output) -> Result<(), Failure> {
    let steps: Vec<_> = plan.steps.iter().map(Shown).collect();
    output.list("topics.plan", &steps)?;
    for step in &plan.steps {
        step.notes
            .iter()
            .for_each(|note| output.note(&format!("{}: {note}", step.topic)));
    }
    Ok(())
}

fn refuse(plan: &Plan) -> Result<(), Failure> {
    let refusals = plan.refusals();
    if refusals.is_empty() {
        Ok(())
    } else {
        Err(of_topics(&topics::Error::Refused(refusals)))
    }
}

fn summary(applied: &[Applied], output: Output) -> Outcome {
    let failed: Vec<_> = applied
        .iter()
        .filter_map(|step| Some((step, step.error.as_ref()?)))
        .collect();
    if failed.is_empty() {
        let count = |action| applied.iter().filter(|step| step.action == action).count();
        output.note(&format!(
            "{} created, {} changed",
            count(Action::Create),
            count(Action::Change)
        ));
        return Ok(Exit::Done);
    }
    let told = failed
        .iter()
        .map(|(step, error)| format!("{}: {error}", step.topic))
        .collect::<Vec<_>>()
        .join("; ");
    Err(Failure::new(
        Slug::Uncertain,
        format!("{} of {} steps failed: {told}", failed.len(), applied.len()),
    )
    .hint("orderflow topics plan")
    .into())
}

#[derive(Debug, Serialize)]
#[serde(transparent)]
struct Shown<'a>(&'a Step);

impl Row for Shown<'_> {
    const HEADERS: &'static [&'static str] = &["TOPIC", "ACTION", "PARTITIONS", "REPLICAS", "CHANGES"];

    fn cells(&self) -> Vec<String> {
        let Self(step) = self;
        let changes = step.changes.iter().map(|change| match &change.from {
            Some(from) => format!("{}: {from} to {}", change.property, change.to),
            None => format!("{}={}", change.property, change.to),
        });
        let changes = changes.collect::<Vec<_>>().join(", ");
        vec![
            step.topic.clone(),
            action(step.action).to_owned(),
            step.partitions.to_string(),
            step.replication.to_string(),
            if changes.is_empty() { "-".to_owned() } else { changes },
        ]
    }
}

const fn action(action: Action) -> &'static str {
    match action {
        Action::Create => "create",
        Action::Change => "change",
        Action::Fine => "fine",
        Action::Refused => "refused",
    }
}
