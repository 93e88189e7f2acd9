//! Lines of a text, bounded: whatever the file holds, no more than a line is in memory.

use std::io::{self, BufRead};

/// A physical line, without its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Line {
    /// Counted from 1.
    pub(super) number: u64,
    pub(super) bytes: Vec<u8>,
    /// The rest of it was longer than the bound, and is left out.
    pub(super) cut: bool,
}

pub(super) struct Lines<R> {
    input: R,
    max_bytes: usize,
    number: u64,
}

impl<R: BufRead> Lines<R> {
    pub(super) const fn new(input: R, max_bytes: usize) -> Self {
        Self {
            input,
            max_bytes,
            number: 0,
        }
    }

    /// How many lines were read.
    pub(super) const fn number(&self) -> u64 {
        self.number
    }

    /// The next line; `None` at the end.
    pub(super) fn next(&mut self) -> io::Result<Option<Line>> {
        let mut line = Line {
            number: self.number + 1,
            bytes: Vec::new(),
            cut: false,
        };
        let mut read_any = false;
        loop {
            let available = match self.input.fill_buf() {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
                available => available?,
            };
            if available.is_empty() {
                break;
            }
            read_any = true;
            let end = available.iter().position(|byte| *byte == b'\n');
            let part = &available[..end.unwrap_or(available.len())];
            let room = self.max_bytes - line.bytes.len();
            line.bytes.extend_from_slice(&part[..part.len().min(room)]);
            line.cut |= part.len() > room;
            let used = part.len() + usize::from(end.is_some());
            self.input.consume(used);
            if end.is_some() {
                break;
            }
        }
        self.number += u64::from(read_any);
        Ok(read_any.then_some(line))
    }
}

#[cfg(test)]
mod tests {
    use std::io::BufReader;

    use super::*;

    fn lines(text: &str, max_bytes: usize) -> Vec<(u64, String, bool)> {
        // A small buffer, so that lines come in pieces.
        let mut lines = Lines::new(BufReader::with_capacity(3, text.as_bytes()), max_bytes);
        let next = std::iter::from_fn(|| lines.next().expect("memory can be read"));
        let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
        next.map(|line| (line.number, text(line.bytes), line.cut)).collect()
    }

    #[test]
    fn lines_have_numbers_and_no_ends() {
        let expected = |lines: &[&str]| -> Vec<(u64, String, bool)> {
            (1..)
                .zip(lines)
                .map(|(number, line)| (number, (*line).to_owned(), false))
                .collect()
        };
        assert_eq!(lines("one\n\nthree\r\n", 99), expected(&["one", "", "three\r"]));
        assert_eq!(lines("one\ntwo", 99), expected(&["one", "two"]));
        assert_eq!(lines("", 99), expected(&[]));
    }

    #[test]
    fn a_long_line_is_cut_and_the_next_one_is_whole() {
        assert_eq!(
            lines("123456789\nnext", 5),
            [(1, "12345".to_owned(), true), (2, "next".to_owned(), false)]
        );
        assert_eq!(lines("12345\n", 5), [(1, "12345".to_owned(), false)]);
    }
}
