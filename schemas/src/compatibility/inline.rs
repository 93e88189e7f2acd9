//! Schemas with every reference replaced by what it refers to.
//!
//! The library takes two references for equal when they have one name, whatever the name stands for on either side.

use std::collections::HashMap;

use apache_avro::Schema;
use apache_avro::schema::{Name, UnionSchema};

/// Longest schema that is read: the contracts have 4 KiB, and a registry takes 1 MiB.
const MAX_TEXT_BYTES: usize = 256 * 1024;

/// Reads a schema and inlines it.
///
/// The text is read as JSON first, since that refuses to go deeper than 128 levels and the library would overflow its stack.
pub(super) fn parse(text: &str) -> Result<Schema, String> {
    if text.len() > MAX_TEXT_BYTES {
        return Err(format!(
            "it has {} bytes; at most {MAX_TEXT_BYTES} are read",
            text.len()
        ));
    }
    let json = serde_json::from_str(text).map_err(|error| error.to_string())?;
    let schema = Schema::parse(&json).map_err(|error| error.to_string())?;
    Inliner::default().inline(&schema)
}

#[derive(Default)]
struct Inliner {
    /// Every named type seen so far; Avro wants a name defined before it is used.
    known: HashMap<Name, Schema>,
    /// The records that the inliner is in.
    open: Vec<Name>,
}

impl Inliner {
    fn inline(&mut self, schema: &Schema) -> Result<Schema, String> {
        let inlined = match schema {
            Schema::Ref { name } => return self.resolve(name),
            Schema::Record(record) => {
                let mut record = record.clone();
                self.open.push(record.name.clone());
                for field in &mut record.fields {
                    field.schema = self.inline(&field.schema)?;
                }
                self.open.pop();
                Schema::Record(record)
            }
            Schema::Array(array) => {
                let mut array = array.clone();
                *array.items = self.inline(&array.items)?;
                Schema::Array(array)
            }
            Schema::Map(map) => {
                let mut map = map.clone();
                *map.types = self.inline(&map.types)?;
                Schema::Map(map)
            }
            Schema::Union(union) => {
                let branches = union
                    .variants()
                    .iter()
                    .map(|branch| self.inline(branch))
                    .collect::<Result<_, _>>()?;
                Schema::Union(UnionSchema::new(branches).map_err(|error| error.to_string())?)
            }
            leaf => leaf.clone(),
        };
        if let Some(name) = inlined.name() {
            self.known.insert(name.clone(), inlined.clone());
        }
        Ok(inlined)
    }

    fn resolve(&self, name: &Name) -> Result<Schema, String> {
        if self.open.contains(name) {
            return Err(format!("{name} refers to itself, which the contracts do not"));
        }
        self.known
            .get(name)
            .cloned()
            .ok_or_else(|| format!("{name} is not defined before it is used"))
    }
}
