//! An audit of services that are never idle.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use orderflow_operations::audit::{Options, audit};
use orderflow_schemas::TopicNames;
use tempfile::TempDir;

use super::fixture::{Captured, Services, databases, produce, start};
use super::story;

/// Orders in one go, and audits while they come.
const ORDERS: u128 = 50;
const AUDITS: usize = 8;

#[test]
fn it_judges_a_system_that_goes_on() {
    let (broker, folder) = (start(), TempDir::new().expect("a folder"));
    let (connection, databases) = (broker.connection(), databases(folder.path()));
    let services = Services::start(&connection, folder.path());
    services.open(&databases);
    let options = Options {
        timeout: Duration::from_secs(30),
        ..Options::default()
    };
    let over = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| go_on(&over, |orders| produce(&connection, orders)));
        let mut orders = 0;
        for _ in 0..AUDITS {
            let report = audit(&connection, &TopicNames::default(), &databases, &options).expect("a report");
            assert!(report.clean, "{:#?}", report.violated().collect::<Vec<_>>());
            assert!(report.totals.orders >= orders);
            orders = report.totals.orders;
        }
        over.store(true, Ordering::Relaxed);
        assert!(orders > 0, "orders came in meanwhile");
    });
    services.stop();
}

/// Places orders, of which some are refused and some unreadable, until it is over.
fn go_on(over: &AtomicBool, produce: impl Fn(&[Captured])) {
    produce(&story::goods());
    let mut next = 10_000;
    while !over.load(Ordering::Relaxed) {
        let mut records: Vec<_> = (next..next + ORDERS).map(|n| story::of(&story::plain(n))).collect();
        records.push(Captured::keyed("orders", b"k", b"nonsense".to_vec()));
        produce(&records);
        next += ORDERS;
        std::thread::sleep(Duration::from_millis(1));
    }
}
