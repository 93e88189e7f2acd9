//! `stock import`, `set`, `receive`, `show`.

use orderflow_consumers::inventory::{self, STOCK};
use orderflow_consumers::kept;
use orderflow_domain::Meta;
use orderflow_domain::stock::Stock;
use orderflow_producers::import::Input;
use orderflow_producers::stock::{self, CatalogueOptions, StockOptions, StockReport};
use orderflow_producers::{SinkOptions, Stop as Ask};
use orderflow_runtime::dead_letter_topic;
use orderflow_runtime::store::{Database, Reader, StoreError};
use orderflow_schemas::{Contract, EventType, Topic};
use serde::Serialize;

use super::contracts::Contracts;
use super::failures::{of_field, of_open, of_stock, of_store};
use super::letters::{self, Refused};
use super::prepare;
use crate::args::{GlobalArgs, IdentityArgs, StockImportArgs, StockReceiveArgs, StockSetArgs, StockShowArgs, WaitArgs};
use crate::config::Settings;
use crate::exit::Exit;
use crate::logging::Talk;
use crate::meter::Meter;
use crate::output::{Output, Row};
use crate::report::{Failure, Outcome, Stop};
use crate::signals::Signals;
use crate::slug::Slug;
use crate::waiting::{self, Deadline};

/// How a file is sent again: its lines have the same ids and bytes then.
const THE_SAME_FILE: &str =
    "import the same file again, with the same --source and --occurred-at: each line counts once in any case";

/// Receives the deliveries of a file.
pub(super) fn import(args: StockImportArgs, global: &GlobalArgs, output: Output) -> Outcome {
    let settings = prepare(global, &(), Talk::Command)?;
    let input = if args.file.as_os_str() == "-" {
        Input::stdin()
    } else {
        Input::file(args.file)
    };
    let options = CatalogueOptions {
        source: args.source,
        occurred_at: args.occurred_at,
    };
    let events = stock::parse(input, &options).map_err(|error| of_stock(&error.into(), THE_SAME_FILE))?;
    send(&events, &settings, (&args.waiting, THE_SAME_FILE), output)
}

/// States a count.
pub(super) fn set(args: &StockSetArgs, global: &GlobalArgs, output: Output) -> Outcome {
    let event = stock::counted(&args.product, args.count, &args.reason, &identity(&args.identity));
    let event = event.map_err(|error| of_field(&error))?;
    let again = under_its_id(&event.meta);
    let settings = prepare(global, &(), Talk::Command)?;
    send(&[event], &settings, (&args.waiting, &again), output)
}

/// Receives goods of one product.
pub(super) fn receive(args: &StockReceiveArgs, global: &GlobalArgs, output: Output) -> Outcome {
    let event = stock::received(&args.product, args.quantity, &identity(&args.identity));
    let event = event.map_err(|error| of_field(&error))?;
    let again = under_its_id(&event.meta);
    let settings = prepare(global, &(), Talk::Command)?;
    send(&[event], &settings, (&args.waiting, &again), output)
}

fn identity(args: &IdentityArgs) -> StockOptions {
    StockOptions {
        source: "orderflow/cli".to_owned(),
        event_id: args.event_id,
        occurred_at: args.occurred_at,
    }
}

/// How one event is sent again, so that it has the same bytes.
fn under_its_id(meta: &Meta) -> String {
    format!(
        "repeat it with --event-id {} --occurred-at {}: it counts once in any case",
        meta.event_id, meta.occurred_at
    )
}

/// Sends the events, and tells what was sent whatever keeps it from being known what became of it. `again` says how to send
/// them again so that they count once.
fn send<E: Contract>(
    events: &[E],
    settings: &Settings,
    (waiting, again): (&WaitArgs, &str),
    output: Output,
) -> Outcome {
    let contracts = Contracts::open(settings, &[EventType::StockReceived, EventType::StockAdjusted])?;
    let signals = Signals::take()?;
    let sink = SinkOptions::stream(settings.topics.name(Topic::Stock)).written_with(contracts.codec());
    let mut meter = Meter::new(output);
    let sent = stock::send(
        &settings.connection,
        sink,
        events,
        &Ask::from(signals.flag()),
        &mut |progress| {
            meter.tell(progress.acknowledged, progress.of, "events acknowledged");
        },
    );
    meter.end();
    let report = sent.map_err(|error| of_stock(&error, again).unless(signals.exit()))?;
    let topic = dead_letter_topic(settings.topics.name(Topic::Stock), inventory::GROUP);
    let deadline = Deadline::after(waiting.timeout);
    let refused = waiting
        .wait
        .then(|| refused(&report, (settings, &topic), (deadline, &signals)))
        .transpose();
    let known = refused.as_ref().ok().and_then(Option::as_deref);
    let told = output.list("stock.events", &[Moved::of(&report, known)]);
    told.map_err(|failure| failure.hint(written(again)))?;
    match refused {
        Ok(Some(refused)) if !refused.is_empty() => {
            Err(letters::failure(&refused, report.event_ids.len(), (inventory::GROUP, &topic)).into())
        }
        Ok(_) => Ok(Exit::Done),
        Err(Stop::Failed(failure)) => Err(failure.hint(written(again)).into()),
        Err(stop) => {
            output.note(&written(again));
            Err(stop)
        }
    }
}

/// What inventory refused of it, once it has handled all of it.
fn refused(
    report: &StockReport,
    (settings, topic): (&Settings, &str),
    (deadline, signals): (Deadline, &Signals),
) -> Result<Vec<Refused>, Stop> {
    let connection = &settings.connection;
    let group = (inventory::GROUP, &*settings.topics.group_id(inventory::GROUP));
    waiting::until_handled(connection, group, &report.positions, deadline, signals)?;
    letters::among(&report.event_ids, topic, connection, (deadline, signals))
}

fn written(again: &str) -> String {
    format!("all of it is written; to wait for it, {again}")
}

/// What was sent. Who did not wait does not know what became of it.
#[derive(Debug, Serialize)]
struct Moved<'a> {
    events: u64,
    first_event_id: Option<String>,
    /// Whether all of it is applied.
    handled: Option<bool>,
    refused: Option<&'a [Refused]>,
}

impl<'a> Moved<'a> {
    fn of(report: &StockReport, refused: Option<&'a [Refused]>) -> Self {
        Self {
            events: report.tally.acknowledged,
            first_event_id: report.event_ids.first().map(ToString::to_string),
            handled: refused.map(<[Refused]>::is_empty),
            refused,
        }
    }
}

impl Row for Moved<'_> {
    const HEADERS: &'static [&'static str] = &["EVENTS", "FIRST-EVENT-ID", "HANDLED"];

    fn cells(&self) -> Vec<String> {
        let handled = match (self.refused, self.events) {
            (None, _) => "-".to_owned(),
            (Some([]), _) => "yes".to_owned(),
            (Some(_), 1) => "refused".to_owned(),
            (Some(refused), _) => format!("{} refused", refused.len()),
        };
        vec![
            self.events.to_string(),
            self.first_event_id.clone().unwrap_or_else(|| "-".to_owned()),
            handled,
        ]
    }
}

/// Shows stock as inventory's database has it.
pub(super) fn show(args: &StockShowArgs, global: &GlobalArgs, output: Output) -> Outcome {
    let settings = prepare(global, &(), Talk::Command)?;
    let rows = read(&settings.database(inventory::GROUP)?, &args.products)?;
    let missing = args
        .products
        .iter()
        .find(|product| rows.iter().all(|row| row.product_id != **product));
    if let Some(product) = missing {
        return Err(Failure::new(Slug::NothingMatched, format!("inventory knows no product {product:?}")).into());
    }
    output.list("stock.show", &rows)?;
    Ok(Exit::Done)
}

fn read(database: &Database, products: &[String]) -> Result<Vec<Kept>, Failure> {
    let reader = Reader::open(database).map_err(|error| of_open(&error))?;
    let mut rows = Vec::new();
    let all = kept::each(&reader, STOCK, |product, stock| {
        if products.is_empty() || products.iter().any(|wanted| wanted == product) {
            rows.push(Kept::of(product, stock));
        }
        Ok::<_, StoreError>(())
    });
    all.map_err(|error| of_store(&error))?;
    Ok(rows)
}

/// Stock of one product.
#[derive(Debug, Serialize)]
struct Kept {
    product_id: String,
    available: i64,
    reserved: i64,
    received: i64,
    adjusted: i64,
}

impl Kept {
    fn of(product: &str, stock: Stock) -> Self {
        let Stock {
            received,
            adjusted,
            available,
            reserved,
        } = stock;
        Self {
            product_id: product.to_owned(),
            available,
            reserved,
            received,
            adjusted,
        }
    }
}

impl Row for Kept {
    const HEADERS: &'static [&'static str] = &["PRODUCT-ID", "AVAILABLE", "RESERVED", "RECEIVED", "ADJUSTED"];

    fn cells(&self) -> Vec<String> {
        let numbers = [self.available, self.reserved, self.received, self.adjusted];
        std::iter::once(self.product_id.clone())
            .chain(numbers.map(|number| number.to_string()))
            .collect()
    }
}
