//! Data on stdout: tables for people, an envelope or lines of JSON for programs.

use std::io::{self, BufWriter, StdoutLock, Write as _};

use serde::Serialize;

use crate::report::{Failure, Stop};
use crate::slug::Slug;

/// The version of every JSON shape; fields are only ever added within it.
const VERSION: u32 = 1;

/// What `--json` prints where a table would stand.
#[derive(Debug, Serialize)]
struct Envelope<'a, T> {
    kind: &'a str,
    version: u32,
    items: &'a [T],
    next: Option<&'a str>,
}

/// A row of a table: its cells as text, `-` where nothing is known.
pub(crate) trait Row {
    /// Headers in upper case, hyphenated.
    const HEADERS: &'static [&'static str];

    /// As many cells as there are headers.
    fn cells(&self) -> Vec<String>;
}

/// Where data goes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Output {
    json: bool,
    quiet: bool,
}

impl Output {
    /// Data as JSON or for people; `quiet` keeps notes back.
    pub(crate) const fn new(json: bool, quiet: bool) -> Self {
        Self { json, quiet }
    }

    /// Whether data is printed as JSON.
    pub(crate) const fn is_json(self) -> bool {
        self.json
    }

    /// A list: a table, or the envelope with `kind`.
    pub(crate) fn list<T: Row + Serialize>(self, kind: &str, items: &[T]) -> Result<(), Failure> {
        if self.json {
            return envelope(kind, items);
        }
        let rows: Vec<_> = items.iter().map(Row::cells).collect();
        print_table(T::HEADERS, &rows)
    }

    /// Whether people are told anything beside the data: not with `-q` or `--json`.
    pub(crate) const fn talks(self) -> bool {
        !self.quiet && !self.json
    }

    /// A sentence for a person, on stderr; nothing with `-q` or `--json`.
    pub(crate) fn note(self, text: &str) {
        if self.talks() {
            let _nobody_reads = writeln!(anstream::stderr(), "{text}");
        }
    }
}

/// A list as JSON, in the envelope with `kind`.
pub(crate) fn envelope<T: Serialize>(kind: &str, items: &[T]) -> Result<(), Failure> {
    let envelope = Envelope {
        kind,
        version: VERSION,
        items,
        next: None,
    };
    let line = serde_json::to_string(&envelope).map_err(|error| Failure::from_error(Slug::Internal, &error))?;
    print(&format!("{line}\n"))
}

/// Lines of JSON on stdout, gathered and written together: for data that streams. When nobody reads on, there is nothing
/// left to do.
#[derive(Debug)]
pub(crate) struct Lines {
    stdout: BufWriter<StdoutLock<'static>>,
}

impl Lines {
    /// Nothing written yet.
    pub(crate) fn new() -> Self {
        Self {
            stdout: BufWriter::with_capacity(1 << 16, io::stdout().lock()),
        }
    }

    /// One object, one line; written when enough has come together, or by [`Lines::flush`].
    pub(crate) fn push(&mut self, item: &impl Serialize) -> Result<(), Stop> {
        let line = serde_json::to_vec(item).map_err(|error| Failure::from_error(Slug::Internal, &error))?;
        let written = self.stdout.write_all(&line).and_then(|()| self.stdout.write_all(b"\n"));
        written.map_err(|error| ended(&error))
    }

    /// Writes what has come together.
    pub(crate) fn flush(&mut self) -> Result<(), Stop> {
        self.stdout.flush().map_err(|error| ended(&error))
    }
}

/// A table for people.
pub(crate) fn print_table(headers: &[&str], rows: &[Vec<String>]) -> Result<(), Failure> {
    print(&table(headers, rows))
}

/// Text on stdout as it is, with its line ends. Nobody may be reading it: what the command does and how it ends does not
/// depend on that.
pub(crate) fn print(text: &str) -> Result<(), Failure> {
    let mut stdout = anstream::stdout().lock();
    match stdout.write_all(text.as_bytes()).and_then(|()| stdout.flush()) {
        Err(error) if !is_closed(&error) => Err(failed(&error)),
        _ => Ok(()),
    }
}

/// What the end of a stream is: a reader that has gone is told apart from a failure to write.
fn ended(error: &io::Error) -> Stop {
    if is_closed(error) {
        Stop::OutputClosed
    } else {
        failed(error).into()
    }
}

fn is_closed(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::BrokenPipe
}

fn failed(error: &io::Error) -> Failure {
    Failure::new(Slug::OutputFailed, "cannot write to standard output").caused_by(error)
}

/// Columns two spaces apart, nothing cut; the last one is not padded.
fn table(headers: &[&str], rows: &[Vec<String>]) -> String {
    let width = |column: usize| {
        let cells = rows
            .iter()
            .filter_map(|row| row.get(column))
            .map(|cell| cell.chars().count());
        cells.chain([headers[column].len()]).max().unwrap_or_default()
    };
    let widths: Vec<_> = (0..headers.len()).map(width).collect();
    let line = |cells: &mut dyn Iterator<Item = &str>| {
        let padded: Vec<_> = cells
            .zip(&widths)
            .map(|(cell, width)| format!("{cell:width$}"))
            .collect();
        format!("{}\n", padded.join("  ").trim_end())
    };
    let head = line(&mut headers.iter().copied());
    rows.iter()
        .fold(head, |text, row| text + &line(&mut row.iter().map(String::as_str)))
}
