use super::*;
fn cpu() -> Vec<(String, u64)> {
    let mut out = vec![];
    for t in std::fs::read_dir("/proc/self/task").unwrap() {
        let s = std::fs::read_to_string(t.unwrap().path().join("schedstat")).unwrap_or_default();
        let ns: u64 = s.split_whitespace().next().unwrap_or("0").parse().unwrap();
        out.push(ns);
    }
    let mut named = vec![];
    for (t, ns) in std::fs::read_dir("/proc/self/task").unwrap().zip(out) {
        let c = std::fs::read_to_string(t.unwrap().path().join("comm")).unwrap_or_default();
        named.push((c.trim().to_owned(), ns));
    }
    named
}
fn big(seq: i64, lane: i32) -> OutboxRow {
    let mut headers = Headers::new();
    for (n, v) in [
        ("ce_specversion", "1.0"),
        ("ce_id", "0190aaaa-bbbb-7ccc-8ddd-eeeeffff0000"),
        ("ce_type", "orderflow.inventory.InventoryReserved"),
        ("ce_source", "/orderflow/inventory"),
        ("ce_time", "2026-01-01T00:00:00.000000Z"),
        ("ce_subject", "0190aaaa-bbbb-7ccc-8ddd-eeeeffff0000"),
        ("ce_correlationid", "0190aaaa-bbbb-7ccc-8ddd-eeeeffff0000"),
        ("ce_causationid", "0190aaaa-bbbb-7ccc-8ddd-eeeeffff0000"),
        ("content-type", "application/avro"),
        ("traceparent", "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"),
        (
            "ce_traceparent",
            "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        ),
    ] {
        headers.push(n, v);
    }
    OutboxRow {
        sequence: seq,
        topic: "perf".into(),
        partition: lane,
        timestamp: 1_700_000_000_000,
        event_id: Uuid::from_u128(1),
        key: Some(b"0190aaaa-bbbb-7ccc-8ddd-eeeeffff0000".to_vec()),
        value: Some(vec![b'v'; 150]),
        headers,
        reason: None,
    }
}
#[test]
#[ignore]
fn perf() {
    let bench = Bench::new();
    bench.broker.create_topic("perf", 12).unwrap();
    let lanes: Vec<_> = (0..12).map(|l| bench.relay.open(l, 1)).collect();
    const N: i64 = 30_000;
    let before = cpu();
    let t = Instant::now();
    let mut prep = Duration::ZERO;
    for from in (1..=N).step_by(1000) {
        for (l, lane) in lanes.iter().enumerate() {
            let p = Instant::now();
            let rows: Vec<_> = (from..from + 1000).map(|s| big(s, l as i32)).collect();
            prep += p.elapsed();
            while lane.in_flight() > 2000 {
                std::thread::sleep(Duration::from_millis(1));
            }
            lane.submit(rows);
        }
    }
    for l in &lanes {
        wait_until("all", || l.acknowledged() == N);
    }
    let took = t.elapsed();
    let after = cpu();
    let total = (N * 12) as f64;
    eprintln!(
        "{total} rows in {took:?} = {:.0}/s; prep {prep:?}; republish {:?}",
        total / took.as_secs_f64(),
        bench.heard.republishing()
    );
    for (n, ns) in after {
        let b: u64 = before
            .iter()
            .filter(|(m, _)| *m == n)
            .map(|(_, v)| *v)
            .max()
            .unwrap_or(0);
        eprintln!("{n:20} {:.2} us/row", (ns.saturating_sub(b)) as f64 / 1000.0 / total);
    }
    eprintln!(
        "{}",
        std::fs::read_to_string("/proc/self/status")
            .unwrap()
            .lines()
            .filter(|l| l.starts_with("VmHWM"))
            .collect::<String>()
    );
}
