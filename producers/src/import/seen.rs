//! Remembers which invoices are done with, in a bounded memory.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash as _, Hasher as _};

/// Invoice numbers that came before.
///
/// A bit per number, in words of 64: numbers that follow one another, as those of one shop do, cost less than a byte
/// each. Wholly scattered ones cost about 24 bytes each, and [`Seen::MAX_WORDS`] bounds them.
#[derive(Debug, Default)]
pub(super) struct Seen(BTreeMap<u64, u64>);

/// There is no room for this number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Full;

impl Seen {
    /// 24 MiB; the number of invoices is 64 million where they follow one another, and a million where none does.
    pub(super) const MAX_WORDS: usize = 1_000_000;

    pub(super) fn contains(&self, invoice: &str) -> bool {
        let (word, bit) = place(invoice);
        self.0.get(&word).is_some_and(|bits| bits & bit != 0)
    }

    pub(super) fn insert(&mut self, invoice: &str) -> Result<(), Full> {
        let (word, bit) = place(invoice);
        if self.0.len() >= Self::MAX_WORDS && !self.0.contains_key(&word) {
            return Err(Full);
        }
        *self.0.entry(word).or_default() |= bit;
        Ok(())
    }
}

/// Numbers of up to 18 digits have places of their own. A longer one, or one with leading zeros, is hashed into the upper
/// half: two of those share a place once in 2^63 pairs, and then the second is refused, never placed twice.
fn place(invoice: &str) -> (u64, u64) {
    let number = invoice
        .parse()
        .ok()
        .filter(|_| invoice.len() <= 18 && !invoice.starts_with('0'));
    let number: u64 = number.unwrap_or_else(|| {
        let mut hasher = DefaultHasher::new();
        invoice.hash(&mut hasher);
        hasher.finish() | 1 << 63
    });
    (number / 64, 1 << (number % 64))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_number_is_its_own() {
        let mut seen = Seen::default();
        let numbers = [
            "0",
            "1",
            "63",
            "64",
            "01",
            "536365",
            "999999999999999999",
            "9999999999999999999999999",
        ];
        for (index, number) in numbers.iter().enumerate() {
            assert!(!seen.contains(number), "{number}");
            seen.insert(number).expect("there is room");
            assert!(numbers[..=index].iter().all(|number| seen.contains(number)));
        }
    }

    #[test]
    fn memory_is_bounded() {
        let mut seen = Seen::default();
        for index in 0..Seen::MAX_WORDS {
            seen.insert(&(1 + index * 64).to_string()).expect("there is room");
        }
        assert_eq!(seen.insert("99999999999"), Err(Full));
        assert_eq!(seen.insert("2"), Ok(()));
    }
}
