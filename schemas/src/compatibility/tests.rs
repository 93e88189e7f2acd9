use serde_json::{Value, json};

use super::*;

fn record(fields: &Value) -> String {
    json!({"type": "record", "name": "orderflow.test.Event", "fields": fields}).to_string()
}

fn compare(older: &Value, newer: &Value) -> Result<Proven, Vec<String>> {
    let (older, newer) = (record(older), record(newer));
    let versions = [
        Candidate {
            name: "v1",
            text: &older,
        },
        Candidate {
            name: "v2",
            text: &newer,
        },
    ];
    check(&versions).map_err(|problems| problems.iter().map(ToString::to_string).collect())
}

fn field(name: &str, schema: &Value) -> Value {
    json!({"name": name, "type": schema})
}

/// Records one field of this type against another.
fn types(older: &Value, newer: &Value) -> Result<Proven, Vec<String>> {
    compare(&json!([field("x", older)]), &json!([field("x", newer)]))
}

#[test]
fn the_history_is_compatible() {
    let proven = check_all().expect("released contracts");
    assert_eq!(proven.versions, history::all().len());
}

#[test]
fn compatible_changes_are_proven_both_ways() {
    let both = Ok(Proven { versions: 2, pairs: 2 });
    let with_default = json!({"name": "y", "type": ["null", "string"], "default": null});
    assert_eq!(
        compare(
            &json!([field("x", &json!("long"))]),
            &json!([field("x", &json!("long")), with_default])
        ),
        both
    );
    assert_eq!(compare(&json!([with_default]), &json!([])), both);
    let documented = json!({"name": "x", "type": "long", "doc": "said better"});
    assert_eq!(
        compare(&json!([field("x", &json!("long"))]), &json!([documented])),
        both
    );
    let (uuid, optional) = (json!({"type": "string", "logicalType": "uuid"}), json!("null"));
    assert_eq!(types(&json!([optional, uuid]), &json!([uuid, optional])), both);
}

#[test]
fn incompatible_changes_are_refused_with_a_sentence() {
    let stamp = |unit: &str| json!({"type": "long", "logicalType": unit});
    let uuid = json!({"type": "string", "logicalType": "uuid"});
    let fixed_uuid = json!({"type": "fixed", "size": 16, "name": "U", "logicalType": "uuid"});
    let enumeration = |symbols: &[&str]| json!({"type": "enum", "name": "E", "symbols": symbols});
    for (older, newer, sentence) in [
        (
            json!("long"),
            json!("int"),
            "v2 cannot read what v1 wrote: x: Long was written, and is no Int",
        ),
        (
            json!("int"),
            json!("long"),
            "v1 cannot read what v2 wrote: x: Long was written, and is no Int",
        ),
        (
            json!("long"),
            json!(["null", "long"]),
            "v1 cannot read what v2 wrote: some values that one may hold",
        ),
        (
            stamp("timestamp-millis"),
            stamp("timestamp-micros"),
            "x is TimestampMicros instead of TimestampMillis",
        ),
        (
            json!("long"),
            stamp("timestamp-micros"),
            "x is TimestampMicros instead of Long",
        ),
        (json!("string"), uuid.clone(), "x is Uuid(String) instead of String"),
        (uuid, fixed_uuid, "x is Uuid(Fixed("),
        (
            enumeration(&["A", "B"]),
            enumeration(&["A"]),
            "v2 cannot read what v1 wrote: some values",
        ),
        (
            enumeration(&["A"]),
            enumeration(&["B"]),
            "x: none of the symbols written is among its own",
        ),
        (json!(["null", "long"]), json!(["null", "string"]), "some values"),
        (
            json!({"type": "array", "items": stamp("timestamp-millis")}),
            json!({"type": "array", "items": "long"}),
            "x[] is",
        ),
    ] {
        let problems = types(&older, &newer).expect_err(sentence).join("\n");
        assert!(problems.contains(sentence), "{problems}\nlacks {sentence}");
    }
}

#[test]
fn a_field_without_default_neither_comes_nor_goes() {
    let (without, with) = (json!([]), json!([field("x", &json!("long"))]));
    assert_eq!(
        compare(&without, &with),
        Err(vec![
            "v2 cannot read what v1 wrote: x was not written, and has no default".into()
        ])
    );
    assert_eq!(
        compare(&with, &without),
        Err(vec![
            "v1 cannot read what v2 wrote: x was not written, and has no default".into()
        ])
    );
    let nested = |fields| {
        json!([field(
            "meta",
            &json!({"type": "record", "name": "Meta", "fields": fields})
        )])
    };
    let problems = compare(&nested(without), &nested(with)).expect_err("nested");
    assert_eq!(
        problems,
        ["v2 cannot read what v1 wrote: meta.x was not written, and has no default"]
    );
}

/// Where the name is defined by a field that only one side has, both sides refer to it elsewhere and look the same.
#[test]
fn a_named_type_is_compared_wherever_it_is_used() {
    let fields = |definer: &str, of: &str, default: &Value| {
        let inner = json!({"type": "record", "name": "I", "fields": [field("a", &json!(of))]});
        json!([{"name": definer, "type": inner, "default": {"a": default}}, field("x", &json!("I"))])
    };
    let older = fields("p", "long", &json!(1));
    assert_eq!(
        compare(&older, &fields("q", "string", &json!(""))),
        Err(vec![
            "v1 cannot read what v2 wrote: x.a: String was written, and is no Long".to_owned(),
            "v2 cannot read what v1 wrote: x.a: Long was written, and is no String".to_owned(),
        ])
    );
    assert!(compare(&older, &fields("q", "long", &json!(1))).is_ok());
}

#[test]
fn another_event_is_no_version_of_this_one() {
    let texts = ["orderflow.a.Event", "orderflow.b.Event"]
        .map(|name| json!({"type": "record", "name": name, "fields": []}).to_string());
    let versions = [
        Candidate {
            name: "v1",
            text: &texts[0],
        },
        Candidate {
            name: "v2",
            text: &texts[1],
        },
    ];
    let problems = check(&versions).expect_err("two events");
    assert!(
        problems[0]
            .to_string()
            .contains("it is named orderflow.a.Event, not orderflow.b.Event"),
        "{}",
        problems[0]
    );
}

#[test]
fn every_version_is_compared_with_every_other() {
    let optional = |name: &str| json!({"name": name, "type": ["null", "long"], "default": null});
    let texts =
        [json!([]), json!([optional("a")]), json!([optional("a"), optional("b")])].map(|fields| record(&fields));
    let versions = ["v1", "v2", "v3"]
        .iter()
        .zip(&texts)
        .map(|(name, text)| Candidate { name, text })
        .collect::<Vec<_>>();
    assert_eq!(check(&versions), Ok(Proven { versions: 3, pairs: 6 }));
    let broken = record(&json!([{"name": "a", "type": ["null", "string"], "default": null}]));
    let versions = [
        versions[0],
        versions[1],
        versions[2],
        Candidate {
            name: "v4",
            text: &broken,
        },
    ];
    let problems = check(&versions).expect_err("a changed twice");
    assert_eq!(problems.len(), 4, "{problems:?}");
}

#[test]
fn what_is_no_schema_is_named() {
    let deep = "[".repeat(100_000);
    let recursive = record(&json!([field("next", &json!(["null", "orderflow.test.Event"]))]));
    let long = " ".repeat(300_000) + "\"int\"";
    for (text, sentence) in [
        ("", "EOF"),
        ("{}", "v1 is no valid Avro schema"),
        (
            r#"{"type": "record", "name": "no name", "fields": []}"#,
            "v1 is no valid Avro schema",
        ),
        (
            r#"{"type": "record", "name": "R", "fields": [{"name": "x", "type": "lnog"}]}"#,
            "v1 is no valid",
        ),
        (deep.as_str(), "recursion limit"),
        (long.as_str(), "has 300005 bytes; at most 262144 are read"),
        (recursive.as_str(), "refers to itself"),
    ] {
        let problems = check(&[Candidate { name: "v1", text }]).expect_err(sentence);
        assert!(problems[0].to_string().contains(sentence), "{}", problems[0]);
    }
}
