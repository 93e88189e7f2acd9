//! What exactly is wrong with bytes that could not be read.
//!
//! The decoder is fast because it does not keep track of where it is. Only when it has failed is the value walked through
//! once more, by its schema, to name the field and the reason. The walk holds no value and allocates only what it says.

use apache_avro::Schema;
use apache_avro::schema::UnionSchema;

use super::{MAX_ARRAY_ITEMS, MAX_VALUE_BYTES, Unreadable};
use crate::history::Version;

/// Longest encoding of 64 bits in groups of seven.
const MAX_VARINT_BYTES: usize = 10;

/// Says why `datum` could not be read; what the walk finds sound is told in the decoder's words.
#[cold]
pub(super) fn unreadable(version: &Version, datum: &[u8], error: &serde_avro_fast::de::DeError) -> Unreadable {
    let mut walk = Walk {
        rest: datum,
        path: String::new(),
    };
    let walked = Schema::parse_str(version.text).map(|schema| walk.value(&schema));
    match walked {
        Ok(Err(found)) => found,
        Ok(Ok(())) | Err(_) => Unreadable::WrongType(format!("as {}: {error}", version.event)),
    }
}

struct Walk<'a> {
    rest: &'a [u8],
    /// Of the field the walk is in, as `items[2].quantity`.
    path: String,
}

impl Walk<'_> {
    fn value(&mut self, schema: &Schema) -> Result<(), Unreadable> {
        match schema {
            Schema::Record(record) => record
                .fields
                .iter()
                .try_for_each(|field| self.within(&format!(".{}", field.name), &field.schema)),
            Schema::Array(array) => self.array(&array.items),
            Schema::Union(union) => self.union(union),
            Schema::Null => Ok(()),
            Schema::Uuid(_) => self.uuid(),
            Schema::String => self.text().map(drop),
            // The contracts have no other types; a test walks every version.
            _ => self.number().map(drop),
        }
    }

    fn within(&mut self, step: &str, schema: &Schema) -> Result<(), Unreadable> {
        let outer = self.path.len();
        self.path
            .push_str(if outer == 0 { step.trim_start_matches('.') } else { step });
        self.value(schema)?;
        self.path.truncate(outer);
        Ok(())
    }

    fn array(&mut self, items: &Schema) -> Result<(), Unreadable> {
        let mut seen = 0;
        loop {
            let count = self.block_count()?;
            if count == 0 {
                return Ok(());
            }
            if count > (MAX_ARRAY_ITEMS - seen) as u64 {
                return Err(Unreadable::Limit(format!(
                    "{} claims more than {MAX_ARRAY_ITEMS} elements",
                    self.path
                )));
            }
            for _ in 0..count {
                self.within(&format!("[{seen}]"), items)?;
                seen += 1;
            }
        }
    }

    /// The number of elements that follow; one with its size in bytes is written as a negative number.
    fn block_count(&mut self) -> Result<u64, Unreadable> {
        let count = self.number()?;
        if count < 0 {
            self.number()?;
        }
        Ok(count.unsigned_abs())
    }

    fn union(&mut self, union: &UnionSchema) -> Result<(), Unreadable> {
        let branch = self.number()?;
        let chosen = usize::try_from(branch)
            .ok()
            .and_then(|index| union.variants().get(index));
        match chosen {
            Some(schema) => self.value(schema),
            None => Err(self.wrong_type(&format!("names branch {branch} of {}", union.variants().len()))),
        }
    }

    fn uuid(&mut self) -> Result<(), Unreadable> {
        let text = self.text()?;
        match uuid::Uuid::try_parse(text) {
            Ok(_) => Ok(()),
            Err(error) => Err(self.wrong_type(&format!("is no UUID: {error}"))),
        }
    }

    fn text(&mut self) -> Result<&str, Unreadable> {
        let claimed = self.number()?;
        let Some(length) = usize::try_from(claimed)
            .ok()
            .filter(|length| *length <= MAX_VALUE_BYTES)
        else {
            return Err(Unreadable::Limit(format!("{} claims {claimed} bytes", self.path)));
        };
        let Some((text, rest)) = self.rest.split_at_checked(length) else {
            let left = self.rest.len();
            return Err(Unreadable::Truncated(format!(
                "{} claims {length} bytes, {left} are left",
                self.path
            )));
        };
        self.rest = rest;
        std::str::from_utf8(text).map_err(|error| self.wrong_type(&format!("is not UTF-8: {error}")))
    }

    fn number(&mut self) -> Result<i64, Unreadable> {
        let length = self
            .rest
            .iter()
            .take(MAX_VARINT_BYTES)
            .position(|byte| byte & 0x80 == 0);
        let Some((digits, rest)) = length.and_then(|last| self.rest.split_at_checked(last + 1)) else {
            return Err(if self.rest.len() < MAX_VARINT_BYTES {
                Unreadable::Truncated(format!("{} is missing", self.path))
            } else {
                self.wrong_type("is a number longer than 64 bits")
            });
        };
        self.rest = rest;
        let zigzag = digits
            .iter()
            .rev()
            .fold(0_u64, |number, byte| number << 7 | u64::from(byte & 0x7f));
        Ok((zigzag >> 1).cast_signed() ^ -(zigzag & 1).cast_signed())
    }

    fn wrong_type(&self, what: &str) -> Unreadable {
        Unreadable::WrongType(format!("{} {what}", self.path))
    }
}
