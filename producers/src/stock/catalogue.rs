//! A delivery as CSV: `product_id,quantity`.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::io::{self, Read as _};

use orderflow_domain::order::{MAX_ID_BYTES, check_text};
use orderflow_domain::{EventId, ProductId, StockReceived, Timestamp, id};
use sha2::{Digest as _, Sha256};
use thiserror::Error;

use super::{StockOptions, received};
use crate::import::csv::{Record, Records};
use crate::import::{ImportError, Input};

/// Longest catalogue, unpacked: half a million lines. It is held in memory, so that a bad line stops all of it.
const MAX_BYTES: u64 = 16 * 1024 * 1024;

/// Most bad lines that are told.
const MAX_BAD_LINES: usize = 20;

const COLUMNS: [&str; 2] = ["product_id", "quantity"];

/// How a catalogue is taken.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CatalogueOptions {
    /// What the identities of its lines are made of, together with their numbers; `None` takes the content: the same file
    /// is received once, another file is another delivery.
    pub source: Option<String>,
    /// When the goods came in; `None` is the beginning of 1970, since the file does not say and a repeat must be the same.
    pub occurred_at: Option<Timestamp>,
}

/// A line that is no delivery.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("line {line}: {why}")]
pub struct BadLine {
    /// The line.
    pub line: u64,
    /// What is wrong.
    pub why: String,
}

/// A catalogue that is not taken; nothing of it is received.
#[derive(Debug, Error)]
pub enum CatalogueError {
    /// An option that would make every line invalid.
    #[error(transparent)]
    Option(orderflow_domain::order::FieldError),
    /// It cannot be opened.
    #[error(transparent)]
    Open(#[from] ImportError),
    /// It cannot be read to its end.
    #[error("{file}: reading failed: {cause}")]
    Read {
        /// The file.
        file: String,
        /// Why.
        cause: io::Error,
    },
    /// It is too long to be taken as a whole.
    #[error("{file} is longer than {} MiB; split it", MAX_BYTES >> 20)]
    TooLong {
        /// The file.
        file: String,
    },
    /// The first line does not name the columns.
    #[error("{file}:1: {problem}; expected the columns product_id,quantity")]
    Header {
        /// The file.
        file: String,
        /// What is wrong.
        problem: String,
    },
    /// Lines that are no deliveries.
    #[error("{file}: {count} bad lines, so nothing is received: {}", list(.first))]
    BadLines {
        /// The file.
        file: String,
        /// How many.
        count: usize,
        /// The first of them.
        first: Vec<BadLine>,
    },
}

/// The deliveries of a catalogue, one event a line. The same catalogue gives the same events.
///
/// # Errors
///
/// A catalogue that cannot be read, or any line that is no delivery: then none is taken.
pub fn parse(input: Input, options: &CatalogueOptions) -> Result<Vec<StockReceived>, CatalogueError> {
    if let Some(source) = &options.source {
        check_text("source", source, MAX_ID_BYTES).map_err(CatalogueError::Option)?;
    }
    let (file, bytes) = whole(input)?;
    let delivery = options.source.clone().unwrap_or_else(|| content(&bytes));
    let mut records = Records::new(bytes.as_slice());
    let read = |cause| CatalogueError::Read {
        file: file.clone(),
        cause,
    };
    let columns = header(records.next().map_err(read)?, &file)?;
    let mut lines = Lines {
        delivery,
        options,
        columns,
        events: Vec::new(),
        bad: Vec::new(),
    };
    while let Some(record) = records.next().map_err(read)? {
        let fields = record.content.map_err(|broken| broken.why.to_owned());
        lines.take(record.line, fields);
    }
    if lines.bad.is_empty() {
        return Ok(lines.events);
    }
    let count = lines.bad.len();
    lines.bad.truncate(MAX_BAD_LINES);
    Err(CatalogueError::BadLines {
        file,
        count,
        first: lines.bad,
    })
}

/// A catalogue of these products, as CSV that [`parse`] reads.
#[must_use]
pub fn write(products: &BTreeMap<ProductId, i64>) -> String {
    let mut text = format!("{}\n", COLUMNS.join(","));
    for (product, quantity) in products {
        let product = product.as_str();
        // Writing to a String does not fail.
        let _written = if product.contains([',', '"', '\n', '\r']) {
            writeln!(text, "\"{}\",{quantity}", product.replace('"', "\"\""))
        } else {
            writeln!(text, "{product},{quantity}")
        };
    }
    text
}

fn whole(input: Input) -> Result<(String, Vec<u8>), CatalogueError> {
    let opened = input.open(None)?;
    let mut bytes = Vec::new();
    let read = opened.bytes.take(MAX_BYTES + 1).read_to_end(&mut bytes);
    match read {
        Err(cause) => Err(CatalogueError::Read {
            file: opened.name,
            cause,
        }),
        Ok(length) if length as u64 > MAX_BYTES => Err(CatalogueError::TooLong { file: opened.name }),
        Ok(_) => Ok((opened.name, bytes)),
    }
}

/// A name that follows from the content.
fn content(bytes: &[u8]) -> String {
    let digest = Sha256::digest(bytes);
    digest.iter().take(16).fold("catalogue/".to_owned(), |mut name, byte| {
        let _written = write!(name, "{byte:02x}");
        name
    })
}

/// Where the two columns stand.
fn header(record: Option<Record>, file: &str) -> Result<[usize; 2], CatalogueError> {
    let refused = |problem: String| CatalogueError::Header {
        file: file.to_owned(),
        problem,
    };
    let record = record.ok_or_else(|| refused("the file is empty".to_owned()))?;
    let mut names = record.content.map_err(|broken| refused(broken.why.to_owned()))?;
    if let Some(first) = names[0].strip_prefix("\u{feff}".as_bytes()) {
        names[0] = first.to_vec();
    }
    let mut at = [0; 2];
    for (place, column) in at.iter_mut().zip(COLUMNS) {
        let found = names.iter().position(|name| name == column.as_bytes());
        *place = found.ok_or_else(|| refused(format!("the column {column} is missing")))?;
    }
    Ok(at)
}

struct Lines<'a> {
    delivery: String,
    options: &'a CatalogueOptions,
    columns: [usize; 2],
    events: Vec<StockReceived>,
    bad: Vec<BadLine>,
}

impl Lines<'_> {
    fn take(&mut self, line: u64, fields: Result<Vec<Vec<u8>>, String>) {
        match fields.and_then(|fields| self.event(line, &fields)) {
            Ok(event) => self.events.push(event),
            Err(why) => self.bad.push(BadLine { line, why }),
        }
    }

    fn event(&self, line: u64, fields: &[Vec<u8>]) -> Result<StockReceived, String> {
        let [product, quantity] = self.columns.map(|at| fields.get(at));
        let (Some(product), Some(quantity)) = (product, quantity) else {
            return Err(format!("{} columns; product_id and quantity are needed", fields.len()));
        };
        let product = std::str::from_utf8(product).map_err(|_| "product_id is not UTF-8".to_owned())?;
        let quantity = String::from_utf8_lossy(quantity);
        let quantity = quantity
            .parse()
            .map_err(|_| format!("quantity: {quantity:?} is not a whole number of 64 bits"))?;
        // In the place of the time the line's number: ids in the order of the file, which keeps indexes fast.
        let order = Timestamp::from_unix_millis(i64::try_from(line).unwrap_or(i64::MAX));
        let parts: [&[u8]; 3] = [b"StockReceived", self.delivery.as_bytes(), &line.to_be_bytes()];
        let options = StockOptions {
            source: self.delivery.clone(),
            event_id: Some(EventId(id::derive(order, &parts))),
            occurred_at: Some(self.options.occurred_at.unwrap_or(Timestamp(0))),
        };
        received(product, quantity, &options).map_err(|error| error.to_string())
    }
}

fn list(lines: &[BadLine]) -> String {
    let lines: Vec<String> = lines.iter().map(ToString::to_string).collect();
    lines.join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(text: &str, options: &CatalogueOptions) -> Result<Vec<StockReceived>, CatalogueError> {
        parse(
            Input::reader("test.csv", io::Cursor::new(text.as_bytes().to_vec())),
            options,
        )
    }

    #[test]
    fn what_is_written_is_read() {
        let products: BTreeMap<ProductId, i64> = [("85123A", 6), ("a,\"b\"", 7)]
            .map(|(product, quantity)| (ProductId(product.into()), quantity))
            .into();
        let events = parsed(&write(&products), &CatalogueOptions::default()).expect("sound");
        let found = events
            .into_iter()
            .map(|event| (event.product_id, event.quantity))
            .collect();
        assert_eq!(products, found);
    }

    #[test]
    fn the_same_catalogue_is_the_same_events_and_another_is_another_delivery() {
        let text = "product_id,quantity\na,1\na,1\n";
        let events = |text: &str, source: Option<&str>| {
            let options = CatalogueOptions {
                source: source.map(str::to_owned),
                occurred_at: None,
            };
            parsed(text, &options).expect("sound")
        };
        let first = events(text, None);
        assert_eq!(first, events(text, None));
        assert_ne!(first[0].meta.event_id, first[1].meta.event_id);
        let longer = format!("{text}b,1\n");
        assert_ne!(first[0].meta.event_id, events(&longer, None)[0].meta.event_id);
        assert_eq!(events(text, Some("monday"))[..], events(&longer, Some("monday"))[..2]);
    }

    #[test]
    fn one_bad_line_stops_all_and_every_one_is_named() {
        let text = "note,quantity,product_id\nx,1,a\nx,0,a\nx,1.5,a\nx,1\nx,1,\nx,\"1,a\n";
        let error = parsed(text, &CatalogueOptions::default())
            .expect_err("bad lines")
            .to_string();
        for problem in [
            "test.csv: 5 bad lines, so nothing is received: ",
            "line 3: quantity: is 0; must be at least 1",
            "line 4: quantity: \"1.5\" is not a whole number",
            "line 5: 2 columns; product_id and quantity are needed",
            "line 6: product_id: must not be empty",
            "line 7: a quote is not closed",
        ] {
            assert!(error.contains(problem), "{error}");
        }
    }

    #[test]
    fn what_is_no_catalogue_is_refused() {
        for (text, problem) in [
            ("", "test.csv:1: the file is empty"),
            ("product,quantity\n", "test.csv:1: the column product_id is missing"),
            ("\"product_id,quantity\n", "test.csv:1: a quote is not closed"),
        ] {
            let error = parsed(text, &CatalogueOptions::default())
                .expect_err(problem)
                .to_string();
            assert!(error.starts_with(problem), "{error}");
        }
        let options = CatalogueOptions {
            source: Some(String::new()),
            ..CatalogueOptions::default()
        };
        assert_eq!(
            parsed("", &options).expect_err("no source").to_string(),
            "source: must not be empty"
        );
        let long = format!("product_id,quantity\n{}", "a,1\n".repeat(5_000_000));
        let error = parsed(&long, &CatalogueOptions::default())
            .expect_err("too long")
            .to_string();
        assert!(error.ends_with("is longer than 16 MiB; split it"), "{error}");
    }
}
