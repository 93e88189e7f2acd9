//! What scripts rely on: the fields of data that needs no broker. The others are in `tests/kafka_json.rs`.

use serde_json::Value;

use crate::behaviour::{folder, orderflow, run, stderr, stdout};
use crate::shape::shape;

/// As a daemon writes it every second.
const A_PULSE: &str = r#"{"lanes":[{"lane":0,"still_seconds":0}],"silent_seconds":0,"disconnected_seconds":0}"#;

/// A command, its kind, and the fields of its first item.
const KINDS: [(&str, &str, &str); 2] = [
    (
        "db migrate --data-dir .",
        "db.migrate",
        "{database: text, from_version: int, known_version: int, schema_version: int, service: text, state: text}",
    ),
    (
        "health inventory --data-dir .",
        "health",
        "{disconnected_seconds: int, lanes: [{lane: int, still_seconds: int}], service: text, silent_seconds: int}",
    ),
];

#[test]
fn the_fields_of_data_that_needs_no_broker_are_these() {
    let folder = folder();
    std::fs::write(folder.path().join("inventory.health"), A_PULSE).expect("written");
    for (line, kind, fields) in KINDS {
        let arguments: Vec<_> = line.split(' ').chain(["--json"]).collect();
        let output = run(&mut orderflow(folder.path(), &arguments));
        let printed = stdout(&output);
        assert!(output.status.success(), "{line}: {}", stderr(&output));
        let envelope: Value = serde_json::from_str(&printed).expect("one object");
        assert_eq!(
            (&envelope["kind"], &envelope["version"]),
            (&kind.into(), &1.into()),
            "{line}"
        );
        assert!(envelope["next"].is_null(), "{line}: {printed}");
        assert_eq!(shape(&envelope["items"][0]), fields, "{line}");
    }
}
