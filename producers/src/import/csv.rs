//! Records of a CSV file, strictly by RFC 4180, with the line each begins on.
//!
//! Strictly, because a lenient reader turns a lost quote into an order nobody placed: it takes the lines up to the next
//! quote for part of a product's name and goes on with the quantities of another line. Here a quote that is not closed
//! soon, or is followed by anything but a comma or the line's end, costs the one line it stands on.

use std::collections::VecDeque;
use std::io::{self, BufRead};

use super::lines::{Line, Lines};

/// Longest record, in bytes; the longest of the real data has 120.
const MAX_RECORD_BYTES: usize = 64 * 1024;

/// Most physical lines of a record: a product's name of more lines is a lost quote.
const MAX_RECORD_LINES: usize = 32;

/// A record, or a line that is none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Record {
    /// The line it begins on, counted from 1.
    pub(crate) line: u64,
    pub(crate) content: Result<Vec<Vec<u8>>, Broken>,
}

/// A line that is no record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Broken {
    pub(crate) why: &'static str,
    /// What stands before its first comma; all of the line, if it has none.
    pub(crate) first: Vec<u8>,
    /// Whether there is a comma: without one nobody knows where the first field ends.
    pub(crate) has_comma: bool,
}

pub(crate) struct Records<R> {
    lines: Lines<R>,
    /// Lines that were read for a record that turned out to be broken.
    again: VecDeque<Line>,
}

impl<R: BufRead> Records<R> {
    pub(crate) const fn new(input: R) -> Self {
        Self {
            lines: Lines::new(input, MAX_RECORD_BYTES),
            again: VecDeque::new(),
        }
    }

    /// The last line that was read whole.
    pub(crate) const fn line(&self) -> u64 {
        self.lines.number()
    }

    /// The next record; `None` at the end. Empty lines are none.
    pub(crate) fn next(&mut self) -> io::Result<Option<Record>> {
        loop {
            let Some(first) = self.take()? else {
                return Ok(None);
            };
            if !without_return(&first.bytes).is_empty() {
                return self.record(&first).map(Some);
            }
        }
    }

    fn take(&mut self) -> io::Result<Option<Line>> {
        match self.again.pop_front() {
            Some(line) => Ok(Some(line)),
            None => self.lines.next(),
        }
    }

    /// The record that begins with `first`, which may go on over several lines.
    fn record(&mut self, first: &Line) -> io::Result<Record> {
        let line = first.number;
        let mut text = first.bytes.clone();
        let mut more = Vec::new();
        let why = loop {
            if first.cut || text.len() > MAX_RECORD_BYTES {
                break "the line is longer than 64 KiB";
            }
            match split(without_return(&text)) {
                Split::Fields(fields) => {
                    return Ok(Record {
                        line,
                        content: Ok(fields),
                    });
                }
                Split::Broken(why) => break why,
                Split::Open if more.len() + 1 < MAX_RECORD_LINES => {}
                Split::Open => break "a quote is not closed",
            }
            let Some(next) = self.take()? else {
                break "a quote is not closed";
            };
            text.push(b'\n');
            text.extend_from_slice(&next.bytes);
            more.push(next);
        };
        more.into_iter().rev().for_each(|line| self.again.push_front(line));
        let comma = first.bytes.iter().position(|byte| *byte == b',');
        let broken = Broken {
            why,
            first: first.bytes[..comma.unwrap_or(first.bytes.len())].to_vec(),
            has_comma: comma.is_some(),
        };
        Ok(Record {
            line,
            content: Err(broken),
        })
    }
}

enum Split {
    Fields(Vec<Vec<u8>>),
    /// It ends inside quotes.
    Open,
    Broken(&'static str),
}

fn split(mut text: &[u8]) -> Split {
    let mut fields = Vec::with_capacity(8);
    loop {
        let (field, rest) = match text.strip_prefix(b"\"") {
            None => plain(text),
            Some(quoted) => match unquote(quoted) {
                Some(taken) => taken,
                None => return Split::Open,
            },
        };
        if !text.starts_with(b"\"") && field.contains(&b'"') {
            return Split::Broken("a quote stands inside a field that does not begin with one");
        }
        fields.push(field);
        match rest.split_first() {
            None => return Split::Fields(fields),
            Some((b',', rest)) => text = rest,
            Some(_) => return Split::Broken("a closing quote is followed by something else than a comma"),
        }
    }
}

/// A field without quotes, and what follows it.
fn plain(text: &[u8]) -> (Vec<u8>, &[u8]) {
    let end = text.iter().position(|byte| *byte == b',').unwrap_or(text.len());
    (text[..end].to_vec(), &text[end..])
}

/// What is left of a quoted field behind its first quote: its text, and what follows the closing quote.
fn unquote(mut text: &[u8]) -> Option<(Vec<u8>, &[u8])> {
    let mut field = Vec::new();
    loop {
        let quote = text.iter().position(|byte| *byte == b'"')?;
        field.extend_from_slice(&text[..quote]);
        text = &text[quote + 1..];
        match text.strip_prefix(b"\"") {
            Some(rest) => {
                field.push(b'"');
                text = rest;
            }
            None => return Some((field, text)),
        }
    }
}

fn without_return(line: &[u8]) -> &[u8] {
    line.strip_suffix(b"\r").unwrap_or(line)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Line and fields of each record; of a broken one its first field and the reason.
    fn records(text: &[u8]) -> Vec<(u64, Vec<String>)> {
        let mut records = Records::new(text);
        let next = std::iter::from_fn(|| records.next().expect("memory can be read"));
        let utf8 = |bytes: Vec<u8>| String::from_utf8(bytes).expect("UTF-8");
        let shown = |record: Record| match record.content {
            Ok(fields) => (record.line, fields.into_iter().map(utf8).collect()),
            Err(broken) => (record.line, vec![utf8(broken.first), format!("BROKEN {}", broken.why)]),
        };
        next.map(shown).collect()
    }

    fn expected(records: &[(u64, &[&str])]) -> Vec<(u64, Vec<String>)> {
        let owned = |fields: &[&str]| fields.iter().map(|field| (*field).to_owned()).collect();
        records.iter().map(|(line, fields)| (*line, owned(fields))).collect()
    }

    #[test]
    fn quotes_commas_and_line_breaks_are_read() {
        let text = b"a,\"b,c\",\"say \"\"hi\"\"\",\"two\nlines\",\r\n\r\nnext,\"\",x\n";
        let found = expected(&[
            (1, &["a", "b,c", "say \"hi\"", "two\nlines", ""]),
            (4, &["next", "", "x"]),
        ]);
        assert_eq!(records(text), found);
    }

    #[test]
    fn a_broken_line_costs_itself_and_no_other() {
        let never_closed = "BROKEN a quote is not closed";
        let goes_on = "BROKEN a closing quote is followed by something else than a comma";
        let inside = "BROKEN a quote stands inside a field that does not begin with one";
        assert_eq!(
            records(b"1,\"lost,x\n2,\"fine\",y\n3,z\n"),
            expected(&[(1, &["1", goes_on]), (2, &["2", "fine", "y"]), (3, &["3", "z"])])
        );
        assert_eq!(
            records(b"1,\"lost,x\n2,y\n3,z"),
            expected(&[(1, &["1", never_closed]), (2, &["2", "y"]), (3, &["3", "z"])])
        );
        assert_eq!(
            records(b"1,in\"side,x\n2,y"),
            expected(&[(1, &["1", inside]), (2, &["2", "y"])])
        );
    }

    #[test]
    fn a_quote_that_would_swallow_the_file_ends_after_some_lines() {
        let text = format!("1,\"lost\n{}", "2,fine\n".repeat(100));
        let found = records(text.as_bytes());
        assert_eq!(found.len(), 101);
        assert_eq!(
            found[1..],
            vec![(0, vec!["2".to_owned(), "fine".to_owned()]); 100]
                .iter()
                .zip(2..)
                .map(|((_, fields), line)| (line, fields.clone()))
                .collect::<Vec<_>>()[..]
        );
    }

    #[test]
    fn a_line_of_any_length_is_one_broken_line() {
        let text = format!("1,{}\n2,y\n", "x".repeat(10 * MAX_RECORD_BYTES));
        assert_eq!(
            records(text.as_bytes()),
            expected(&[(1, &["1", "BROKEN the line is longer than 64 KiB"]), (2, &["2", "y"])])
        );
    }

    proptest! {
        #[test]
        fn what_another_writer_writes_is_read(rows in proptest::collection::vec(
            proptest::collection::vec("[a-z\", é\n]{0,12}", 2..6), 1..8,
        )) {
            let mut writer = ::csv::WriterBuilder::new().flexible(true).from_writer(Vec::new());
            for row in &rows {
                writer.write_record(row).expect("written to memory");
            }
            let text = writer.into_inner().expect("flushed to memory");
            let found: Vec<Vec<String>> = records(&text).into_iter().map(|(_, fields)| fields).collect();
            prop_assert_eq!(found, rows);
        }

        #[test]
        fn any_bytes_are_read_without_panic(text in proptest::collection::vec(
            prop_oneof![Just(b'"'), Just(b','), Just(b'\n'), Just(b'\r'), any::<u8>()], 0..400,
        )) {
            let mut records = Records::new(&text[..]);
            let mut last = 0;
            while let Some(record) = records.next().expect("memory can be read") {
                prop_assert!(record.line > last);
                last = record.line;
            }
        }
    }
}
