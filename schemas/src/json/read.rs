//! JSON made to fit a schema: every field there and of its type, times as the numbers they are on the wire.

use apache_avro::Schema;
use apache_avro::schema::{RecordSchema, UnionSchema};
use orderflow_domain::Timestamp;
use orderflow_domain::order::FieldError;
use serde_json::{Map, Value};

/// `json` as the event's type expects it.
pub(super) fn conform(json: &Value, schema: &Schema) -> Result<Value, FieldError> {
    at("", json, schema)
}

fn at(path: &str, json: &Value, schema: &Schema) -> Result<Value, FieldError> {
    match schema {
        Schema::Record(record) => fields(path, json, record),
        Schema::Array(array) => elements(path, json, &array.items),
        Schema::Union(union) => optional(path, json, union),
        Schema::TimestampMicros => time(path, json),
        Schema::Uuid(_) => uuid(path, json),
        Schema::String => text(path, json).map(|text| Value::from(text.to_owned())),
        // The contracts have no other types; a test reads every event back.
        _ => number(path, json),
    }
}

fn fields(path: &str, json: &Value, record: &RecordSchema) -> Result<Value, FieldError> {
    let object = json.as_object().ok_or_else(|| due(path, json, "an object"))?;
    if let Some(unknown) = object.keys().find(|name| !record.lookup.contains_key(*name)) {
        return Err(FieldError::new(
            below(path, unknown),
            "unknown_field",
            "is no field of the contract",
        ));
    }
    let mut conformed = Map::new();
    for field in &record.fields {
        let path = below(path, &field.name);
        let value = match object.get(&field.name).or(field.default.as_ref()) {
            Some(value) => at(&path, value, &field.schema)?,
            None => return Err(FieldError::new(path, "missing", "is missing")),
        };
        conformed.insert(field.name.clone(), value);
    }
    Ok(Value::Object(conformed))
}

fn elements(path: &str, json: &Value, items: &Schema) -> Result<Value, FieldError> {
    let list = json.as_array().ok_or_else(|| due(path, json, "a list"))?;
    let conformed = list
        .iter()
        .enumerate()
        .map(|(index, element)| at(&format!("{path}[{index}]"), element, items));
    conformed.collect::<Result<_, _>>().map(Value::Array)
}

/// A union in the contracts is null or one other type.
fn optional(path: &str, json: &Value, union: &UnionSchema) -> Result<Value, FieldError> {
    let value = union.variants().iter().find(|branch| !matches!(branch, Schema::Null));
    match value {
        Some(schema) if !json.is_null() => at(path, json, schema),
        _ => Ok(Value::Null),
    }
}

fn time(path: &str, json: &Value) -> Result<Value, FieldError> {
    let time: Timestamp = text(path, json)?
        .parse()
        .map_err(|error: orderflow_domain::time::InvalidTimestamp| {
            FieldError::new(path, "wrong_type", error.to_string())
        })?;
    Ok(Value::from(time.0))
}

fn uuid(path: &str, json: &Value) -> Result<Value, FieldError> {
    let text = text(path, json)?;
    match uuid::Uuid::try_parse(text) {
        Ok(id) => Ok(Value::from(id.to_string())),
        Err(error) => Err(FieldError::new(
            path,
            "wrong_type",
            format!("{text:?} is no UUID: {error}"),
        )),
    }
}

fn text<'a>(path: &str, json: &'a Value) -> Result<&'a str, FieldError> {
    json.as_str().ok_or_else(|| due(path, json, "a text"))
}

fn number(path: &str, json: &Value) -> Result<Value, FieldError> {
    json.as_i64()
        .map(Value::from)
        .ok_or_else(|| due(path, json, "a whole number"))
}

fn below(path: &str, field: &str) -> String {
    if path.is_empty() {
        field.to_owned()
    } else {
        format!("{path}.{field}")
    }
}

fn due(path: &str, found: &Value, expected: &str) -> FieldError {
    let found = match found {
        Value::Array(_) => "a list".to_owned(),
        Value::Object(_) => "an object".to_owned(),
        Value::String(_) => "a text".to_owned(),
        Value::Null | Value::Bool(_) | Value::Number(_) => found.to_string(),
    };
    FieldError::new(path, "wrong_type", format!("is {found}; {expected} is due here"))
}
