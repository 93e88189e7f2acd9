//! Events, bare and as `topics tail` prints them.

use orderflow_domain::Event;

use super::*;

#[test]
fn events_and_tailed_records_are_taken_with_their_ids() {
    let (orders, _) = csv(&["1,a,x,1,2010-12-01 08:26:00,1,,", "2,a,x,1,2010-12-01 08:26:00,1,7,"]);
    let value = |index: usize| orderflow_schemas::json::of_event(&Event::OrderPlaced(orders[index].clone()));
    let tailed = serde_json::json!({
        "topic": "orders", "partition": 3, "offset": 7, "timestamp": "2026-11-21T10:47:03.25Z",
        "key": orders[1].order_id.to_string(), "headers": {}, "type": "OrderPlaced", "value": value(1),
    });
    let mut other = tailed.clone();
    other["type"] = "InventoryReserved".into();
    let mut wrong_key = tailed.clone();
    wrong_key["key"] = orders[0].order_id.to_string().into();
    let mut wrong_sum = value(0);
    wrong_sum["total_minor"] = 1.into();
    let mut no_items = value(0);
    no_items.as_object_mut().expect("an object").remove("items");
    let lines = [value(0), tailed, other, wrong_key, wrong_sum, no_items].map(|line| line.to_string());
    let (found, report) = read(format!("{}\n\n{{\"torn", lines.join("\n")));
    assert_eq!(found, orders);
    assert_eq!(counts(&report), [(Accepted, 2), (OtherEvent, 1), (Unreadable, 4)]);
    for (problem, expected) in problems(&report).iter().zip([
        "line 4: key: is not the order id",
        "line 5: total_minor: is 1, but the items add up to 100",
        "line 6: items: is missing",
        "line 8: EOF while parsing",
    ]) {
        assert!(problem.starts_with(expected), "{problem}");
    }
}

#[test]
fn what_the_fuzz_target_begins_with_is_read() {
    let seeds = concat!(env!("CARGO_MANIFEST_DIR"), "/../tests/fuzz/seeds/import");
    let seeds: Vec<_> = std::fs::read_dir(seeds).expect("a folder").flatten().collect();
    assert!(seeds.len() >= 3);
    for seed in seeds {
        let (orders, _) = read(std::fs::read(seed.path()).expect("a file"));
        assert!(!orders.is_empty(), "{}", seed.path().display());
    }
}
