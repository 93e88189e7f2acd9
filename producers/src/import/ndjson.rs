//! One JSON object a line: events as they are, or records as `topics tail` prints them.

use orderflow_domain::{Event, OrderPlaced};
use orderflow_schemas::{EventType, json};
use serde::Deserialize;
use serde_json::Value;

use super::input::Opened;
use super::lines::{Line, Lines};
use super::{Each, ImportError, ImportOptions, ImportReport, Reason};
use crate::Stop;

/// Longest line; an order of the most items there can be, with ids of full length, has a third of it.
const MAX_LINE_BYTES: usize = 1024 * 1024;

pub(super) fn read(
    opened: Opened,
    options: &ImportOptions,
    stop: &Stop,
    each: Each<'_>,
    report: &mut ImportReport,
) -> Result<(), ImportError> {
    let mut lines = Lines::new(opened.bytes, MAX_LINE_BYTES);
    while options.limit.is_none_or(|limit| report.orders < limit) {
        if stop.is_requested() {
            report.stopped = true;
            return Ok(());
        }
        let next = lines.next().map_err(|cause| ImportError::Read {
            file: opened.name.clone(),
            line: lines.number(),
            cause,
        })?;
        match next {
            None => return Ok(()),
            Some(line) if line.bytes.trim_ascii().is_empty() => {}
            Some(line) => take(&line, each, report)?,
        }
    }
    Ok(())
}

fn take(line: &Line, each: Each<'_>, report: &mut ImportReport) -> Result<(), ImportError> {
    match order(line) {
        Ok(order) => {
            let taken = each(&order);
            if taken.is_ok() {
                report.order(&order);
            }
            let reason = if taken.is_ok() {
                Reason::Accepted
            } else {
                Reason::Unfinished
            };
            report.line(reason, line.number);
            taken?;
        }
        Err(Refused::OtherEvent) => report.line(Reason::OtherEvent, line.number),
        Err(Refused::Unreadable(field, why)) => {
            report.problem(line.number, field, why);
            report.line(Reason::Unreadable, line.number);
        }
    }
    Ok(())
}

enum Refused {
    OtherEvent,
    Unreadable(Option<&'static str>, String),
}

/// A record as `topics tail` prints it; what else stands there is about where the record was.
#[derive(Deserialize)]
struct Tailed {
    key: Option<String>,
    #[serde(rename = "type")]
    event_type: Option<String>,
    value: Value,
}

fn order(line: &Line) -> Result<OrderPlaced, Refused> {
    if line.cut {
        return Err(Refused::Unreadable(None, "the line is longer than 1 MiB".to_owned()));
    }
    let line: Value = parsed(None, serde_json::from_slice(&line.bytes))?;
    let tailed = line.get("value").is_some();
    let (key, value) = if tailed {
        let tailed: Tailed = parsed(None, serde_json::from_value(line))?;
        let is_order = |name: &str| name.rsplit('.').next() == Some(EventType::OrderPlaced.name());
        if tailed.event_type.is_some_and(|name| !is_order(&name)) {
            return Err(Refused::OtherEvent);
        }
        (tailed.key, tailed.value)
    } else {
        (None, line)
    };
    let event = json::to_event(EventType::OrderPlaced, &value);
    let event = event.map_err(|error| Refused::Unreadable(tailed.then_some("value"), error.to_string()))?;
    let Event::OrderPlaced(order) = event else {
        return Err(Refused::OtherEvent);
    };
    check(&order, key.as_deref())?;
    Ok(order)
}

fn check(order: &OrderPlaced, key: Option<&str>) -> Result<(), Refused> {
    if key.is_some_and(|key| key != order.order_id.to_string()) {
        let why = format!("is not the order id {}", order.order_id);
        return Err(Refused::Unreadable(Some("key"), why));
    }
    order.validate().map_err(|errors| {
        let errors: Vec<String> = errors.iter().map(ToString::to_string).collect();
        Refused::Unreadable(None, errors.join("; "))
    })
}

fn parsed<T>(field: Option<&'static str>, outcome: serde_json::Result<T>) -> Result<T, Refused> {
    outcome.map_err(|error| Refused::Unreadable(field, error.to_string()))
}
