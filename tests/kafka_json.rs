//! What scripts rely on: which fields the data of each command has that needs a broker, and of which type each is. Those
//! that need none are in `tests/cli/shapes.rs`, the demonstration's in `tests/demo.rs`.
//!
//! A field that is added is added below; one that goes, or becomes something else, breaks whoever reads it, and needs
//! another `version` in its envelope.

mod support;

use serde_json::Value;
use support::process::stdout_of;
use support::shape::shape;
use support::system::System;

/// One order that is taken, one line of a credit note that is not.
const A_SHOP: &str = "\
InvoiceNo,StockCode,Description,Quantity,InvoiceDate,UnitPrice,CustomerID,Country
536365,85123A,HOLDER,6,2010-12-01 08:26:00,2.55,17850,United Kingdom
C536366,85123A,HOLDER,-1,2010-12-01 08:28:00,2.55,17850,United Kingdom
";

/// Topics that are not there yet: of those that are there is nothing to tell.
const OTHERS: &str = "topics.prefix = \"other.\"\n";

/// A command, its kind, and the fields of its first item.
const KINDS: &[(&str, &str, &str)] = &[
    (
        "topics plan",
        "topics.plan",
        "\
        {action: text, changes: [], notes: [], partitions: int, refusals: [], replication: int, role: text, \
         topic: text}",
    ),
    (
        "topics apply --config others.toml",
        "topics.apply",
        "\
        {action: text, error: null, topic: text}",
    ),
    (
        "stock receive 85123A 100 --wait",
        "stock.events",
        "\
        {events: int, first_event_id: text, handled: bool, refused: []}",
    ),
    (
        "stock show",
        "stock.show",
        "\
        {adjusted: int, available: int, product_id: text, received: int, reserved: int}",
    ),
    (
        "order place --customer 17850 --item 85123A:1:2.55",
        "order.place",
        "\
        {currency: text, event_id: text, offset: int, order_id: text, partition: int, placed_at: text, topic: text, \
         total_minor: int}",
    ),
    (
        "order emit --count 5",
        "order.emit",
        "\
        {acknowledged: int, acknowledgement_p50_seconds: float, acknowledgement_p99_seconds: float, \
         asked_per_second: int, elapsed_seconds: float, failed: int, per_second: float, rate_missed: bool, seed: int, \
         sent: int}",
    ),
    (
        "order import shop.csv",
        "order.import",
        "\
        {acknowledged: int, dry_run: bool, elapsed_seconds: float, file: text, guests: int, items: int, lines: int, \
         longest_order_items: int, orders: int, problems: [], products: int, reasons: {accepted: {first: [int], \
         lines: int}, cancellation: {first: [int], lines: int}}, stopped: bool, total_minor: int, units: int}",
    ),
    (
        "schemas check",
        "schemas.check",
        "\
        {event: text, id: int, same_as: null, source: text, standing: null, subject: text, version: int}",
    ),
    (
        "config show",
        "config.show",
        "\
        {about: text, key: text, origin: text, value: text}",
    ),
    (
        "db status",
        "db.status",
        "\
        {database: text, known_version: int, schema_version: int, service: text, state: text}",
    ),
    (
        "audit --timeout 60s",
        "audit",
        "\
        {clean: bool, invariants: [{checked: int, invariant: text, statement: text, violated: int, \
         violations: []}], notes: [], took_ms: int, totals: {dead: int, duplicates: int, facts: int, failed: int, \
         ledger: int, orders: int, processed: int, products: int, records: int, republished: int, reserved: int, \
         unavailable: int}}",
    ),
];

#[test]
#[ignore = "needs Kafka's jars; run by ./tests/run"]
fn the_fields_of_each_kind_of_data_are_these() {
    let system = System::start(1);
    let _daemons = ["inventory", "payment"].map(|service| system.run(service));
    let shop = system.folder().join("shop.csv");
    std::fs::write(&shop, A_SHOP).expect("written");
    std::fs::write(system.folder().join("others.toml"), OTHERS).expect("written");
    for (line, kind, fields) in KINDS {
        let mut command = system.orderflow();
        command.args(line.split(' ')).arg("--json");
        let printed = stdout_of(command.current_dir(system.folder()));
        let envelope: Value =
            serde_json::from_str(&printed).unwrap_or_else(|error| panic!("{line}: {error}: {printed}"));
        assert_eq!(
            (&envelope["kind"], &envelope["version"]),
            (&(*kind).into(), &1.into()),
            "{line}"
        );
        assert!(envelope["next"].is_null(), "{line}: {printed}");
        assert_eq!(shape(&envelope["items"][0]), *fields, "{line}");
    }
}
