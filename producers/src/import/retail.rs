//! The online retailer's invoice lines: which of them are sales.

use std::io::BufRead;
use std::str;

use jiff::civil::DateTime;
use jiff::tz::{TimeZone, TimeZoneDatabase};
use orderflow_domain::Timestamp;
use orderflow_domain::money::{Currency, parse_decimal_half_even};
use orderflow_domain::order::check_product_id;

use super::csv::{Record, Records};
use super::input::Opened;
use super::invoices::{Halt, Invoices, Sale};
use super::{Each, ImportError, ImportOptions, ImportReport, Reason};
use crate::Stop;

/// The columns that are read, by the names the header gives them. Others may stand beside them.
const COLUMNS: [&str; 8] = [
    "InvoiceNo",
    "StockCode",
    "Description",
    "Quantity",
    "InvoiceDate",
    "UnitPrice",
    "CustomerID",
    "Country",
];
const INVOICE: usize = 0;
const PRODUCT: usize = 1;
const DESCRIPTION: usize = 2;
const QUANTITY: usize = 3;
const DATE: usize = 4;
const PRICE: usize = 5;
const CUSTOMER: usize = 6;
const COUNTRY: usize = 7;

/// What is on an invoice without being a product: postage, carriage, manual entries, discounts and fees.
const NOT_PRODUCTS: [&[u8]; 12] = [
    b"POST",
    b"DOT",
    b"C2",
    b"M",
    b"m",
    b"D",
    b"BANK CHARGES",
    b"AMAZONFEE",
    b"CRUK",
    b"S",
    b"B",
    b"PADS",
];

pub(super) fn read(
    opened: Opened,
    options: &ImportOptions,
    stop: &Stop,
    each: Each<'_>,
    report: &mut ImportReport,
) -> Result<(), ImportError> {
    let rules = Rules::new();
    let mut invoices = Invoices::new(options, rules.currency, each);
    let mut reading = Reading {
        file: opened.name,
        records: Records::new(opened.bytes),
        rules,
        limit: options.limit.unwrap_or(u64::MAX),
        stop,
    };
    let outcome = reading.run(&mut invoices, report);
    invoices.abandon(report);
    outcome
}

struct Reading<'a, R> {
    file: String,
    records: Records<R>,
    rules: Rules,
    limit: u64,
    stop: &'a Stop,
}

impl<R: BufRead> Reading<'_, R> {
    fn run(&mut self, invoices: &mut Invoices<'_>, report: &mut ImportReport) -> Result<(), ImportError> {
        let columns = header(&mut self.records, &self.file)?;
        while report.orders < self.limit {
            if self.stop.is_requested() {
                report.stopped = true;
                break;
            }
            let Some(record) = self.next()? else {
                return invoices.close(report).map_err(|halt| self.halted(halt));
            };
            let taken = self.rules.record(&record, &columns, invoices, report);
            taken.map_err(|halt| self.halted(halt))?;
        }
        Ok(())
    }

    fn next(&mut self) -> Result<Option<Record>, ImportError> {
        self.records.next().map_err(|cause| ImportError::Read {
            file: self.file.clone(),
            line: self.records.line(),
            cause,
        })
    }

    fn halted(&self, halt: Halt) -> ImportError {
        match halt {
            Halt::Sink(error) => ImportError::Sink(error),
            Halt::Full => ImportError::Scattered {
                file: self.file.clone(),
                line: self.records.line(),
            },
        }
    }
}
/// Where each of [`COLUMNS`] stands, and how many columns there are.
struct Columns {
    at: [usize; COLUMNS.len()],
    count: usize,
}

fn header<R: BufRead>(records: &mut Records<R>, file: &str) -> Result<Columns, ImportError> {
    const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();
    let refused = |problem: String| ImportError::Header {
        file: file.to_owned(),
        problem,
        expected: COLUMNS.join(","),
    };
    let record = records.next().map_err(|cause| ImportError::Read {
        file: file.to_owned(),
        line: 0,
        cause,
    })?;
    let record = record.ok_or_else(|| refused("the file is empty".to_owned()))?;
    let mut names = record.content.map_err(|broken| refused(broken.why.to_owned()))?;
    if let Some(first) = names[0].strip_prefix(BYTE_ORDER_MARK) {
        names[0] = first.to_vec();
    }
    let mut at = [0; COLUMNS.len()];
    for (place, column) in at.iter_mut().zip(COLUMNS) {
        let mut found = (0..names.len()).filter(|index| names[*index] == column.as_bytes());
        *place = found
            .next()
            .ok_or_else(|| refused(format!("the column {column} is missing")))?;
        if found.next().is_some() {
            return Err(refused(format!("the column {column} stands there twice")));
        }
    }
    Ok(Columns { at, count: names.len() })
}

/// What the rules make of a record.
enum Verdict<'a> {
    Left(Reason),
    Unreadable(&'static str, String),
    Sale(Sale<'a>),
}

struct Rules {
    currency: Currency,
    london: TimeZone,
    /// The last time that was read: the lines of an invoice share it.
    last_time: Option<(Vec<u8>, Timestamp)>,
}

impl Rules {
    fn new() -> Self {
        // From the copy inside the program: the same file must mean the same times on every machine.
        let london = TimeZoneDatabase::bundled().get("Europe/London");
        Self {
            currency: "GBP".parse().expect("GBP is a currency"),
            london: london.expect("the bundled time zones know London"),
            last_time: None,
        }
    }

    fn record(
        &mut self,
        record: &Record,
        columns: &Columns,
        invoices: &mut Invoices<'_>,
        report: &mut ImportReport,
    ) -> Result<(), Halt> {
        let line = record.line;
        let fields = match &record.content {
            Ok(fields) if fields.len() == columns.count => columns.at.map(|at| fields[at].as_slice()),
            Ok(fields) => {
                report.problem(
                    line,
                    None,
                    format!("{} columns; the header has {}", fields.len(), columns.count),
                );
                report.line(Reason::Unreadable, line);
                return guess(line, (&fields[0], fields.len() > 1), columns, invoices);
            }
            Err(broken) => {
                report.problem(line, None, broken.why);
                report.line(Reason::Unreadable, line);
                return guess(line, (&broken.first, broken.has_comma), columns, invoices);
            }
        };
        match self.judge(&fields) {
            Verdict::Sale(sale) => invoices.sale(line, &sale, report),
            Verdict::Left(reason) => {
                report.line(reason, line);
                Ok(())
            }
            Verdict::Unreadable(field, why) => {
                report.problem(line, Some(field), why);
                report.line(Reason::Unreadable, line);
                hold(line, fields[INVOICE], invoices)
            }
        }
    }

    /// The first rule that fits decides.
    fn judge<'a>(&mut self, fields: &[&'a [u8]; COLUMNS.len()]) -> Verdict<'a> {
        let invoice = fields[INVOICE];
        let quantity = whole(fields[QUANTITY]);
        let price = text(fields[PRICE]).and_then(|text| self.price(text));
        if invoice.starts_with(b"C") {
            Verdict::Left(Reason::Cancellation)
        } else if invoice.is_empty() {
            Verdict::Unreadable(COLUMNS[INVOICE], "is missing".to_owned())
        } else if !is_number(invoice) {
            Verdict::Left(Reason::Adjustment)
        } else if NOT_PRODUCTS.contains(&fields[PRODUCT]) {
            Verdict::Left(Reason::NotAProduct)
        } else if quantity.as_ref().is_ok_and(|quantity| *quantity <= 0) {
            Verdict::Left(Reason::NoQuantity)
        } else if price.is_ok() && is_zero_or_less(fields[PRICE]) {
            Verdict::Left(Reason::NoPrice)
        } else {
            self.sale(fields, quantity, price)
                .unwrap_or_else(|(column, why)| Verdict::Unreadable(COLUMNS[column], why))
        }
    }

    fn sale<'a>(
        &mut self,
        fields: &[&'a [u8]; COLUMNS.len()],
        quantity: Result<i64, String>,
        price: Result<i64, String>,
    ) -> Result<Verdict<'a>, (usize, String)> {
        let of = |column: usize| text(fields[column]).map_err(|why| (column, why));
        of(DESCRIPTION).and(of(COUNTRY))?;
        let customer = of(CUSTOMER)?;
        if !customer.is_empty() && !is_number(customer.as_bytes()) {
            return Err((CUSTOMER, format!("{customer:?} is not all digits")));
        }
        let product = of(PRODUCT)?;
        check_product_id("", product).map_err(|error| (PRODUCT, error.message))?;
        Ok(Verdict::Sale(Sale {
            invoice: of(INVOICE)?,
            product,
            quantity: quantity.map_err(|why| (QUANTITY, why))?,
            placed_at: self.time(fields[DATE]).map_err(|why| (DATE, why))?,
            price_minor: price.map_err(|why| (PRICE, why))?,
            customer,
        }))
    }

    fn price(&self, text: &str) -> Result<i64, String> {
        parse_decimal_half_even(text, self.currency).map_err(|error| error.to_string())
    }

    /// A time of the clocks on the wall in London. Of the hour that comes twice in autumn the first is meant; a time of the
    /// hour that is left out in spring is taken for a clock that was not put forward yet.
    fn time(&mut self, field: &[u8]) -> Result<Timestamp, String> {
        if let Some((last, time)) = &self.last_time
            && last == field
        {
            return Ok(*time);
        }
        let time = local(field)
            .and_then(|local| self.london.to_timestamp(local).ok())
            .map(|time| Timestamp(time.as_microsecond()))
            .ok_or_else(|| {
                let found = String::from_utf8_lossy(field);
                format!("{found:?} is not a time; expected YYYY-MM-DD HH:MM:SS")
            })?;
        self.last_time = Some((field.to_vec(), time));
        Ok(time)
    }
}

/// Exactly `YYYY-MM-DD HH:MM:SS`.
fn local(field: &[u8]) -> Option<DateTime> {
    const SHAPE: &[u8] = b"0000-00-00 00:00:00";
    let fits = |(found, shape): (&u8, &u8)| match shape {
        b'0' => found.is_ascii_digit(),
        _ => found == shape,
    };
    if field.len() != SHAPE.len() || !field.iter().zip(SHAPE).all(fits) {
        return None;
    }
    str::from_utf8(field).ok()?.parse().ok()
}

/// A record that cannot be taken apart: its invoice is what stands before the first comma, if that can be one. Without a
/// comma it may be cut inside its number, which is then another invoice's; that it is a cancellation shows its first letter.
fn guess(
    line: u64,
    (first, has_comma): (&[u8], bool),
    columns: &Columns,
    invoices: &mut Invoices<'_>,
) -> Result<(), Halt> {
    if columns.at[INVOICE] == 0 && (has_comma || first.starts_with(b"C")) {
        return hold(line, first, invoices);
    }
    invoices.orphan(line);
    Ok(())
}

/// Holds back what the unreadable line may have been part of; a cancellation is part of no order.
fn hold(line: u64, invoice: &[u8], invoices: &mut Invoices<'_>) -> Result<(), Halt> {
    match str::from_utf8(invoice) {
        Ok(number) if is_number(invoice) => invoices.broken(line, number),
        _ if invoice.starts_with(b"C") => Ok(()),
        _ => {
            invoices.orphan(line);
            Ok(())
        }
    }
}

fn is_number(field: &[u8]) -> bool {
    !field.is_empty() && field.iter().all(u8::is_ascii_digit)
}

/// Of a price that can be read. A tenth of a penny is a price, though it rounds to nothing.
fn is_zero_or_less(price: &[u8]) -> bool {
    price.starts_with(b"-") || !price.iter().any(|byte| (b'1'..=b'9').contains(byte))
}

fn whole(field: &[u8]) -> Result<i64, String> {
    let text = text(field)?;
    text.parse()
        .map_err(|_| format!("{text:?} is not a whole number of 64 bits"))
}

fn text(field: &[u8]) -> Result<&str, String> {
    str::from_utf8(field).map_err(|error| format!("byte {} is not UTF-8", error.valid_up_to() + 1))
}
