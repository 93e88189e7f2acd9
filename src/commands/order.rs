//! `order place` and `order emit`.

use orderflow_producers::emit::{self, Basket, EmitError, EmitOptions, EmitReport, Rate, Shape};
use orderflow_producers::place::{self, PlaceOptions, Placed};
use orderflow_producers::{SinkOptions, Stop as Ask, Tally};
use orderflow_schemas::{EventType, Topic};
use serde::Serialize;

use super::contracts::Contracts;
use super::failures::{of_emit, of_place, of_shape};
use super::prepare;
use crate::args::{EmitArgs, GlobalArgs, PlaceArgs};
use crate::exit::Exit;
use crate::logging::Talk;
use crate::meter::Meter;
use crate::output::{Output, Row};
use crate::report::{Failure, Outcome};
use crate::signals::Signals;

/// Places one order and waits until every in-sync replica has it.
pub(super) fn place(args: PlaceArgs, global: &GlobalArgs, output: Output) -> Outcome {
    let settings = prepare(global, &(), Talk::Command)?;
    let contracts = Contracts::open(&settings, &[EventType::OrderPlaced])?;
    let signals = Signals::take()?;
    let deadline = args.timeout;
    let options = PlaceOptions {
        customer: args.customer,
        items: args.items,
        currency: args.currency,
        payment_token: args.payment_token,
        order_id: args.order_id,
        placed_at: args.placed_at,
        source: "orderflow/cli".to_owned(),
    };
    let sink = SinkOptions::single(settings.topics.name(Topic::Orders)).written_with(contracts.codec());
    let placed = place::place(
        &settings.connection,
        sink,
        &options,
        deadline,
        &Ask::from(signals.flag()),
    );
    let placed = placed.map_err(|error| of_place(&error).unless(signals.exit()))?;
    output.list("order.place", &[Receipt::of(placed)])?;
    Ok(Exit::Done)
}

/// What was placed, and where it stands.
#[derive(Debug, Serialize)]
struct Receipt {
    order_id: String,
    event_id: String,
    placed_at: String,
    total_minor: i64,
    currency: String,
    topic: Option<String>,
    partition: Option<i32>,
    offset: Option<i64>,
}

impl Receipt {
    fn of(Placed { order, position }: Placed) -> Self {
        Self {
            order_id: order.order_id.to_string(),
            event_id: order.meta.event_id.to_string(),
            placed_at: order.placed_at.to_string(),
            total_minor: order.total_minor,
            currency: order.currency.to_string(),
            topic: position.as_ref().map(|position| position.topic.clone()),
            partition: position.as_ref().map(|position| position.partition),
            offset: position.map(|position| position.offset),
        }
    }
}

impl Row for Receipt {
    const HEADERS: &'static [&'static str] = &[
        "ORDER-ID",
        "TOTAL-MINOR",
        "CURRENCY",
        "PLACED-AT",
        "TOPIC",
        "PARTITION",
        "OFFSET",
    ];

    fn cells(&self) -> Vec<String> {
        let known = |text: Option<String>| text.unwrap_or_else(|| "-".to_owned());
        vec![
            self.order_id.clone(),
            self.total_minor.to_string(),
            self.currency.clone(),
            self.placed_at.clone(),
            known(self.topic.clone()),
            known(self.partition.map(|partition| partition.to_string())),
            known(self.offset.map(|offset| offset.to_string())),
        ]
    }
}

/// Places a load of made-up orders.
pub(super) fn emit(args: &EmitArgs, global: &GlobalArgs, output: Output) -> Outcome {
    let shape = shape(args);
    shape.check().map_err(|error| of_shape(&error))?;
    let settings = prepare(global, &(), Talk::Command)?;
    let contracts = Contracts::open(&settings, &[EventType::OrderPlaced])?;
    let signals = Signals::take()?;
    let options = EmitOptions {
        count: args.count,
        rate: args.rate,
        seed: args.seed,
        start: args.start,
        shape,
        source: "orderflow/emit".to_owned(),
        sink: SinkOptions::stream(settings.topics.name(Topic::Orders)).written_with(contracts.codec()),
    };
    let mut meter = Meter::new(output);
    let emitted = emit::emit(
        &settings.connection,
        &options,
        &Ask::from(signals.flag()),
        &mut |progress| {
            meter.tell(progress.acknowledged, progress.of, "orders acknowledged");
        },
    );
    meter.end();
    let failure = match &emitted {
        Err(error) => Some(of_emit(error, again(args))),
        Ok(_) => None,
    };
    report(emitted, args.rate, output)?;
    ended(failure, &signals)
}

/// What it is to send a load once more: the same orders only where every byte of them repeats.
fn again(args: &EmitArgs) -> &'static str {
    if args.seed.is_some() && args.start.is_some() {
        "repeat it as it is: with --seed and --start its orders are the same, and each counts once in any case"
    } else {
        "a repeat is another load, beside what is written of this one; with --seed and --start it would be the same"
    }
}

fn shape(args: &EmitArgs) -> Shape {
    Shape {
        products: args.products,
        basket: Basket::Mean(args.items),
        customers: args.customers,
        declined_percent: args.declined,
        currency: args.currency,
        ..Shape::default()
    }
}

/// Says what was placed, also when it did not come to its end.
fn report(emitted: Result<EmitReport, EmitError>, asked: Rate, output: Output) -> Result<(), Failure> {
    let report = match emitted {
        Ok(report) => {
            if report.missed(asked) {
                let reached = report.rate();
                output.note(&format!(
                    "{reached:.0} orders a second were reached, and {asked} asked for"
                ));
            }
            report
        }
        Err(EmitError::Interrupted { report, .. }) => {
            let Tally { acknowledged, sent, .. } = report.tally;
            output.note(&format!("{acknowledged} of {sent} orders sent are acknowledged"));
            *report
        }
        Err(EmitError::Shape(_) | EmitError::NotOpened(_)) => return Ok(()),
    };
    output.list("order.emit", &[Emitted::of(&report, asked)])
}

fn ended(failure: Option<Failure>, signals: &Signals) -> Outcome {
    match failure {
        Some(failure) => Err(failure.unless(signals.exit())),
        None => Ok(signals.exit().unwrap_or(Exit::Done)),
    }
}

/// What became of a load.
#[derive(Debug, Serialize)]
struct Emitted {
    acknowledged: u64,
    sent: u64,
    failed: u64,
    elapsed_seconds: f64,
    per_second: f64,
    /// None: as fast as the brokers take it.
    asked_per_second: Option<u32>,
    rate_missed: bool,
    acknowledgement_p50_seconds: Option<f64>,
    acknowledgement_p99_seconds: Option<f64>,
    seed: u64,
}

impl Emitted {
    fn of(report: &EmitReport, asked: Rate) -> Self {
        Self {
            acknowledged: report.tally.acknowledged,
            sent: report.tally.sent,
            failed: report.tally.failed,
            elapsed_seconds: report.elapsed.as_secs_f64(),
            per_second: report.rate(),
            asked_per_second: match asked {
                Rate::Max => None,
                Rate::PerSecond(rate) => Some(rate.get()),
            },
            rate_missed: report.missed(asked),
            acknowledgement_p50_seconds: report.latency.map(|latency| latency.p50.as_secs_f64()),
            acknowledgement_p99_seconds: report.latency.map(|latency| latency.p99.as_secs_f64()),
            seed: report.seed,
        }
    }
}

impl Row for Emitted {
    const HEADERS: &'static [&'static str] = &[
        "ACKNOWLEDGED",
        "SENT",
        "FAILED",
        "SECONDS",
        "PER-SECOND",
        "ACK-P50-MS",
        "ACK-P99-MS",
        "SEED",
    ];

    fn cells(&self) -> Vec<String> {
        let millis = |seconds: Option<f64>| {
            seconds.map_or_else(|| "-".to_owned(), |seconds| format!("{:.1}", seconds * 1_000.0))
        };
        vec![
            self.acknowledged.to_string(),
            self.sent.to_string(),
            self.failed.to_string(),
            format!("{:.2}", self.elapsed_seconds),
            format!("{:.0}", self.per_second),
            millis(self.acknowledgement_p50_seconds),
            millis(self.acknowledgement_p99_seconds),
            self.seed.to_string(),
        ]
    }
}
