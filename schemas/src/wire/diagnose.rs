//! What exactly is wrong with bytes that could not be read.
//!
//! The decoder is fast because it does not keep track of where it is. Only when it has failed is the value walked through
//! once more, by its schema, to name the field and the reason. The walk holds no value and allocates only what it says.

use apache_avro::Schema;
use apache_avro::schema::{InnerDecimalSchema, UnionSchema, UuidSchema};

use super::{MAX_ARRAY_ITEMS, MAX_VALUE_BYTES, Unreadable, Writer};
use crate::compatibility;

/// Longest encoding of 64 bits in groups of seven.
const MAX_VARINT_BYTES: usize = 10;

/// Says why `datum` could not be read; what the walk finds sound is told in the decoder's words.
#[cold]
pub(super) fn unreadable(writer: Writer<'_>, datum: &[u8], error: &serde_avro_fast::de::DeError) -> Unreadable {
    let mut walk = Walk {
        rest: datum,
        path: String::new(),
    };
    let walked = compatibility::inlined(writer.text).map(|schema| walk.value(&schema));
    match walked {
        Ok(Err(found)) => found,
        Ok(Ok(())) | Err(_) => Unreadable::WrongType(format!("as {}: {error}", writer.event)),
    }
}

struct Walk<'a> {
    rest: &'a [u8],
    /// Of the field the walk is in, as `items[2].quantity`.
    path: String,
}

impl<'a> Walk<'a> {
    fn value(&mut self, schema: &Schema) -> Result<(), Unreadable> {
        match schema {
            Schema::Record(record) => record
                .fields
                .iter()
                .try_for_each(|field| self.within(&format!(".{}", field.name), |walk| walk.value(&field.schema))),
            Schema::Array(array) => self.items(|walk| walk.value(&array.items)),
            Schema::Map(map) => self.items(|walk| {
                walk.text()?;
                walk.value(&map.types)
            }),
            Schema::Union(union) => self.union(union),
            Schema::Null => Ok(()),
            Schema::Uuid(UuidSchema::String) => self.uuid(),
            Schema::String => self.text().map(drop),
            Schema::Int
            | Schema::Long
            | Schema::Enum(_)
            | Schema::Date
            | Schema::TimeMillis
            | Schema::TimeMicros
            | Schema::TimestampMillis
            | Schema::TimestampMicros
            | Schema::TimestampNanos
            | Schema::LocalTimestampMillis
            | Schema::LocalTimestampMicros
            | Schema::LocalTimestampNanos => self.number().map(drop),
            other => self.foreign(other),
        }
    }

    /// Types that the contracts do not have, and another's version of an event may.
    fn foreign(&mut self, schema: &Schema) -> Result<(), Unreadable> {
        let length = match schema {
            Schema::Boolean => 1,
            Schema::Float => 4,
            Schema::Double => 8,
            Schema::Duration(_) => 12,
            Schema::Uuid(UuidSchema::Fixed(fixed)) | Schema::Fixed(fixed) => fixed.size,
            Schema::Decimal(decimal) => match &decimal.inner {
                InnerDecimalSchema::Fixed(fixed) => fixed.size,
                InnerDecimalSchema::Bytes => self.length()?,
            },
            _ => self.length()?,
        };
        self.bytes(length).map(drop)
    }

    fn within(&mut self, step: &str, look: impl FnOnce(&mut Self) -> Result<(), Unreadable>) -> Result<(), Unreadable> {
        let outer = self.path.len();
        self.path
            .push_str(if outer == 0 { step.trim_start_matches('.') } else { step });
        look(self)?;
        self.path.truncate(outer);
        Ok(())
    }

    /// The elements of an array or the entries of a map.
    fn items(&mut self, element: impl Fn(&mut Self) -> Result<(), Unreadable>) -> Result<(), Unreadable> {
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
                self.within(&format!("[{seen}]"), &element)?;
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

    fn text(&mut self) -> Result<&'a str, Unreadable> {
        let length = self.length()?;
        let text = self.bytes(length)?;
        // Borrows the value and not the walk, which names the field if this fails.
        std::str::from_utf8(text).map_err(|error| self.wrong_type(&format!("is not UTF-8: {error}")))
    }

    fn length(&mut self) -> Result<usize, Unreadable> {
        let claimed = self.number()?;
        usize::try_from(claimed)
            .ok()
            .filter(|length| *length <= MAX_VALUE_BYTES)
            .ok_or_else(|| Unreadable::Limit(format!("{} claims {claimed} bytes", self.path)))
    }

    fn bytes(&mut self, length: usize) -> Result<&'a [u8], Unreadable> {
        let Some((bytes, rest)) = self.rest.split_at_checked(length) else {
            let left = self.rest.len();
            return Err(Unreadable::Truncated(format!(
                "{} claims {length} bytes, {left} are left",
                self.path
            )));
        };
        self.rest = rest;
        Ok(bytes)
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
