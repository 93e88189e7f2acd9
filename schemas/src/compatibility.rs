//! Proof, without a registry, that every version of an event can read what every other version wrote.
//!
//! The rules are Avro's schema resolution, full and transitive, as `apache-avro` checks them, and stricter in three ways:
//! what can be read for some values only does not count, a named type is compared wherever it is used, and a logical type
//! neither comes, goes nor changes (a registry takes milliseconds that become microseconds for compatible).

mod inline;
mod words;

use std::collections::{BTreeMap, BTreeSet};

use apache_avro::Schema;
use apache_avro::schema_compatibility::{Compatibility, SchemaCompatibility};
use thiserror::Error;

use crate::{EventType, history};

/// One version of a schema, to be compared with others.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Candidate<'a> {
    /// What errors call it, as `OrderPlaced v2`.
    pub name: &'a str,
    /// The schema, in JSON.
    pub text: &'a str,
}

/// Why schemas cannot stand beside one another.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum Incompatible {
    /// Not a schema at all.
    #[error("{name} is no valid Avro schema: {problem}")]
    Invalid {
        /// The version.
        name: String,
        /// What is wrong with it.
        problem: String,
    },
    /// What one wrote, the other cannot read.
    #[error("{reader} cannot read what {writer} wrote: {problem}")]
    Unreadable {
        /// The version that reads.
        reader: String,
        /// The version that wrote.
        writer: String,
        /// What stands in the way.
        problem: String,
    },
}

/// What was proven.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Proven {
    /// Versions looked at, each a valid schema.
    pub versions: usize,
    /// Pairs of a reader and a writer, both ways round.
    pub pairs: usize,
}

/// Compares every version of every event in the history with every other version of the same event.
///
/// # Errors
///
/// Every pair that cannot stand together.
pub fn check_all() -> Result<Proven, Vec<Incompatible>> {
    let mut proven = Proven::default();
    let mut problems = Vec::new();
    for event in EventType::ALL {
        let names: Vec<_> = history::of(event)
            .map(|version| (version.to_string(), version.text))
            .collect();
        let candidates: Vec<_> = names.iter().map(|(name, text)| Candidate { name, text }).collect();
        match check(&candidates) {
            Ok(Proven { versions, pairs }) => {
                proven.versions += versions;
                proven.pairs += pairs;
            }
            Err(found) => problems.extend(found),
        }
    }
    if problems.is_empty() { Ok(proven) } else { Err(problems) }
}

/// Compares every version with every other, both ways round.
///
/// # Errors
///
/// Every version that is no schema; if there is none, every pair that cannot stand together.
pub fn check(versions: &[Candidate<'_>]) -> Result<Proven, Vec<Incompatible>> {
    let schemas = parse_all(versions)?;
    let mut proven = Proven {
        versions: versions.len(),
        pairs: 0,
    };
    let mut problems = Vec::new();
    for (reader, as_reader) in versions.iter().zip(&schemas) {
        for (writer, as_writer) in versions.iter().zip(&schemas) {
            if std::ptr::eq(reader, writer) {
                continue;
            }
            proven.pairs += 1;
            let (reader, writer) = (reader.name.to_owned(), writer.name.to_owned());
            let unreadable = |problem| Incompatible::Unreadable {
                reader,
                writer,
                problem,
            };
            problems.extend(can_read(as_reader, as_writer).err().map(unreadable));
        }
    }
    if problems.is_empty() { Ok(proven) } else { Err(problems) }
}

/// Whether who has schema `reader` can read what was written with `writer`; else what stands in the way.
pub(crate) fn reads(reader: &str, writer: &str) -> Result<(), String> {
    can_read(&inline::parse(reader)?, &inline::parse(writer)?)
}

/// A schema with every reference replaced by what it refers to.
pub(crate) fn inlined(text: &str) -> Result<Schema, String> {
    inline::parse(text)
}

/// The full name of the record that a schema describes.
pub(crate) fn record_name(text: &str) -> Result<String, String> {
    match inline::parse(text)? {
        Schema::Record(record) => Ok(record.name.to_string()),
        _ => Err("it is not a record".to_owned()),
    }
}

fn parse_all(versions: &[Candidate<'_>]) -> Result<Vec<Schema>, Vec<Incompatible>> {
    let mut schemas = Vec::new();
    let mut problems = Vec::new();
    for version in versions {
        match inline::parse(version.text) {
            Ok(schema) => schemas.push(schema),
            Err(problem) => problems.push(Incompatible::Invalid {
                name: version.name.to_owned(),
                problem,
            }),
        }
    }
    if problems.is_empty() {
        Ok(schemas)
    } else {
        Err(problems)
    }
}

fn can_read(reader: &Schema, writer: &Schema) -> Result<(), String> {
    same_name(reader, writer)?;
    match SchemaCompatibility::can_read(writer, reader) {
        Ok(Compatibility::Full) => same_logical_types(reader, writer),
        Ok(Compatibility::Partial) => Err("some values that one may hold the other cannot".to_owned()),
        Err(error) => Err(words::of(&error)),
    }
}

/// The library compares names without their namespaces, but a subject of a registry is the whole name.
fn same_name(reader: &Schema, writer: &Schema) -> Result<(), String> {
    match (reader.name(), writer.name()) {
        (Some(reader), Some(writer)) if reader != writer => Err(format!("it is named {reader}, not {writer}")),
        _ => Ok(()),
    }
}

/// What stands at each path of a schema: the types of its branches, and whether one of them is a logical type.
type Leaves = BTreeMap<String, (BTreeSet<String>, bool)>;

fn same_logical_types(reader: &Schema, writer: &Schema) -> Result<(), String> {
    let (mut read, mut written) = (Leaves::new(), Leaves::new());
    collect_leaves(reader, "", &mut read);
    collect_leaves(writer, "", &mut written);
    for (path, (types, is_logical)) in &read {
        let Some((other_types, other_is_logical)) = written.get(path) else {
            continue;
        };
        if (*is_logical || *other_is_logical) && types != other_types {
            let list = |types: &BTreeSet<String>| types.iter().cloned().collect::<Vec<_>>().join(" or ");
            return Err(format!("{path} is {} instead of {}", list(types), list(other_types)));
        }
    }
    Ok(())
}

fn collect_leaves(schema: &Schema, path: &str, leaves: &mut Leaves) {
    match schema {
        Schema::Record(record) => {
            for field in &record.fields {
                let path = if path.is_empty() {
                    field.name.clone()
                } else {
                    format!("{path}.{}", field.name)
                };
                collect_leaves(&field.schema, &path, leaves);
            }
        }
        Schema::Array(array) => collect_leaves(&array.items, &format!("{path}[]"), leaves),
        Schema::Map(map) => collect_leaves(&map.types, &format!("{path}{{}}"), leaves),
        Schema::Union(union) => union
            .variants()
            .iter()
            .for_each(|branch| collect_leaves(branch, path, leaves)),
        Schema::Null => {}
        leaf => {
            let (types, is_logical) = leaves.entry(path.to_owned()).or_default();
            types.insert(format!("{leaf:?}"));
            *is_logical |= words::is_logical(leaf);
        }
    }
}

#[cfg(test)]
mod tests;
