//! The library's findings in a sentence: its own print whole schemas.

use apache_avro::Schema;
use apache_avro::error::CompatibilityError;

/// What stands in the way, with the path of the field.
pub(super) fn of(error: &CompatibilityError) -> String {
    let mut path = Vec::new();
    let mut cause = error;
    while let CompatibilityError::FieldTypeMismatch(field, inner) = cause {
        path.push(field.as_str());
        cause = inner;
    }
    match cause {
        CompatibilityError::MissingDefaultValue(field) => {
            path.push(field);
            format!("{} was not written, and has no default", path.join("."))
        }
        other if path.is_empty() => problem(other),
        other => format!("{}: {}", path.join("."), problem(other)),
    }
}

fn problem(error: &CompatibilityError) -> String {
    match error {
        CompatibilityError::WrongType {
            writer_schema_type,
            reader_schema_type,
        } => {
            let (writer, reader) = (first_word(writer_schema_type), first_word(reader_schema_type));
            format!("{writer} was written, and is no {reader}")
        }
        CompatibilityError::MissingUnionElements | CompatibilityError::SchemaMismatchAllUnionElements => {
            "what was written is none of its branches".to_owned()
        }
        CompatibilityError::MissingSymbols => "none of the symbols written is among its own".to_owned(),
        other => other.to_string(),
    }
}

/// The name of the type, of what the library prints of it over many lines.
fn first_word(schema: &str) -> String {
    schema.chars().take_while(char::is_ascii_alphanumeric).collect()
}

/// Whether the type is one that Avro lays over another.
pub(super) fn is_logical(schema: &Schema) -> bool {
    matches!(
        schema,
        Schema::Decimal(_)
            | Schema::BigDecimal
            | Schema::Uuid(_)
            | Schema::Date
            | Schema::TimeMillis
            | Schema::TimeMicros
            | Schema::TimestampMillis
            | Schema::TimestampMicros
            | Schema::TimestampNanos
            | Schema::LocalTimestampMillis
            | Schema::LocalTimestampMicros
            | Schema::LocalTimestampNanos
            | Schema::Duration(_)
    )
}
