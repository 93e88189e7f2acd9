//! `audit`.

use orderflow_consumers::{inventory, payment};
use orderflow_operations::audit::{self, Databases, Finding, Options, Report, Violation};

use super::contracts::Contracts;
use super::failures::of_audit;
use super::prepare;
use crate::args::{AuditArgs, GlobalArgs};
use crate::config::Settings;
use crate::exit::Exit;
use crate::logging::Talk;
use crate::output::{Output, envelope, print_table};
use crate::report::{Failure, Outcome};
use crate::slug::Slug;

/// Judges the topics and the databases against one another.
pub(super) fn run(args: &AuditArgs, global: &GlobalArgs, output: Output) -> Outcome {
    let settings = prepare(global, &(), Talk::Command)?;
    let contracts = Contracts::open(&settings, &[])?;
    let options = Options {
        timeout: args.timeout,
        listed: args.listed,
        outbox_retention: settings.runtime.outbox_retention,
        dense: settings.runtime.dense,
        reader: contracts.reader(),
        ..Options::default()
    };
    let databases = databases(&settings)?;
    let report = audit::audit(&settings.connection, &settings.topics, &databases, &options);
    let report = report.map_err(|error| of_audit(&error))?;
    if output.is_json() {
        envelope("audit", &[&report])?;
    } else {
        show(&report, output)?;
    }
    verdict(&report)
}

fn databases(settings: &Settings) -> Result<Databases, Failure> {
    if !settings.database_per_service() {
        let message = "the audit needs the database of every service, and --database names one file for all";
        return Err(Failure::new(Slug::ConfigInvalid, message).hint("--database sqlite:DIR/{service}.db"));
    }
    Ok(Databases {
        inventory: settings.database(inventory::GROUP)?,
        payment: settings.database(payment::GROUP)?,
        ledger: Some(settings.ledger()),
    })
}

/// What the report comes to: the exit code of this command, and of the demonstration.
pub(super) fn verdict(report: &Report) -> Outcome {
    if report.clean {
        return Ok(Exit::Done);
    }
    let violated: Vec<_> = report.violated().map(|finding| finding.invariant.slug()).collect();
    let message = format!("{} invariants do not hold: {}", violated.len(), violated.join(", "));
    Err(Failure::new(Slug::AuditViolated, message)
        .hint("keep the databases and the topics as they are")
        .into())
}

/// The invariants, then each violation.
pub(super) fn show(report: &Report, output: Output) -> Result<(), Failure> {
    let invariants: Vec<_> = report.invariants.iter().map(invariant).collect();
    print_table(&["INVARIANT", "CHECKED", "VIOLATED", "STATEMENT"], &invariants)?;
    let violations: Vec<_> = report
        .violated()
        .flat_map(|finding| finding.violations.iter().map(|one| row(finding, one)))
        .collect();
    if !violations.is_empty() {
        crate::output::print("\n")?;
        print_table(
            &[
                "INVARIANT",
                "GROUP",
                "TOPIC",
                "PARTITION",
                "OFFSET",
                "EVENT-ID",
                "VIOLATION",
            ],
            &violations,
        )?;
    }
    report.notes.iter().for_each(|note| output.note(note));
    Ok(())
}

fn invariant(finding: &Finding) -> Vec<String> {
    vec![
        finding.invariant.slug().to_owned(),
        finding.checked.to_string(),
        finding.violated.to_string(),
        finding.statement.to_owned(),
    ]
}

fn row(finding: &Finding, violation: &Violation) -> Vec<String> {
    vec![
        finding.invariant.slug().to_owned(),
        known(violation.group),
        known(violation.topic.as_ref()),
        known(violation.partition),
        known(violation.offset),
        known(violation.event_id),
        violation.sentence.clone(),
    ]
}

fn known(value: Option<impl ToString>) -> String {
    value.map_or_else(|| "-".to_owned(), |value| value.to_string())
}
