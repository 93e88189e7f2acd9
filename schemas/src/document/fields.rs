//! Tables of the fields of a schema.

use std::fmt::Write as _;

use apache_avro::Schema;
use apache_avro::schema::{RecordField, RecordSchema};

use crate::history::Version;

const HEAD: &str = "| field | type | meaning |\n| --- | --- | --- |\n";

/// The sentence that says what the event means.
pub(super) fn documentation(version: &Version) -> String {
    record(version).doc.unwrap_or_default()
}

/// Every field of the event, `meta` not taken apart.
pub(super) fn table(version: &Version) -> String {
    let mut table = HEAD.to_owned();
    for field in &record(version).fields {
        push_rows(&mut table, "", field);
    }
    table
}

/// Every field of `meta`.
pub(super) fn table_of_meta(version: &Version) -> String {
    let event = record(version);
    let Some(Schema::Record(meta)) = event.fields.first().map(|field| &field.schema) else {
        unreachable!("every event begins with its meta, or no golden bytes could be read");
    };
    let mut table = HEAD.to_owned();
    for field in &meta.fields {
        push_rows(&mut table, "", field);
    }
    table
}

fn record(version: &Version) -> RecordSchema {
    match Schema::parse_str(version.text) {
        Ok(Schema::Record(record)) => record,
        _ => unreachable!("released schemas are parsed by a test"),
    }
}

fn push_rows(table: &mut String, path: &str, field: &RecordField) {
    let path = format!("{path}{}", field.name);
    let doc = field.doc.as_deref().unwrap_or_default();
    writeln!(table, "| `{path}` | {} | {doc} |", type_name(&field.schema)).expect("a String takes everything");
    if let Schema::Array(array) = &field.schema
        && let Schema::Record(element) = &*array.items
    {
        for field in &element.fields {
            push_rows(table, &format!("{path}[]."), field);
        }
    }
}

fn type_name(schema: &Schema) -> String {
    match schema {
        Schema::Record(record) => format!("record `{}`", record.name),
        Schema::Array(array) => format!("array of {}", type_name(&array.items)),
        Schema::Union(union) => union
            .variants()
            .iter()
            .rev()
            .map(type_name)
            .collect::<Vec<_>>()
            .join(" or "),
        Schema::Uuid(_) => "string, `uuid`".to_owned(),
        Schema::TimestampMicros => "long, `timestamp-micros`".to_owned(),
        Schema::Null => "null".to_owned(),
        Schema::String => "string".to_owned(),
        Schema::Long => "long".to_owned(),
        other => format!("{other:?}").to_lowercase(),
    }
}
