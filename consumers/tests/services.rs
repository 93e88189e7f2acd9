//! Both services on a broker, with databases, the simulated gateway and input that repeats itself.

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, Instant};

use orderflow_consumers::inventory::{self, Inventory, RESERVATION, STOCK};
use orderflow_consumers::kept;
use orderflow_consumers::payment::simulator::{AMOUNT_LIMIT_MINOR, Simulator, ledger};
use orderflow_consumers::payment::{self, CHARGE, Charging, PAYMENT, Payment, Verdict};
use orderflow_domain::payment::Status;
use orderflow_domain::{Event, OrderId};
use orderflow_runtime::effects::{Callers, EffectSettings};
use orderflow_runtime::store::StoreError;
use orderflow_runtime::{Service, Topics};
use orderflow_schemas::TopicNames;

use support::{Cluster, PRODUCTS, order, received};

/// Orders of every kind of token, and three that cannot be worked on.
const ORDERS: u64 = 240;
const BROKEN: u64 = 3;

/// Enough of each product for about half of what is ordered.
const IN_STOCK: i64 = 150;

fn token(n: u64) -> &'static str {
    ["tok_ok", "tok_flaky_2", "tok_decline_lost_card", "tok_slow_20"][usize::try_from(n % 4).expect("small")]
}

#[tokio::test(flavor = "multi_thread")]
async fn every_order_has_one_outcome_of_each_service() {
    let cluster = Cluster::start();
    cluster.produce(
        PRODUCTS
            .iter()
            .enumerate()
            .map(|(n, product)| received(n, product, IN_STOCK)),
    );
    let run_inventory = cluster.run(|folder| {
        let handler = Inventory::new(TopicNames::default());
        let topics = Topics {
            reads: handler.reads(),
            writes: handler.writes(),
        };
        (
            Service::new(inventory::GROUP, topics, handler),
            folder.join("inventory.db"),
        )
    });
    cluster
        .until("the stock is in", || {
            cluster.facts_applied("inventory.db", "stock") == PRODUCTS.len()
        })
        .await;

    let orders: Vec<_> = (0..ORDERS).map(|n| order(n, token(n))).collect();
    cluster.produce(orders.iter().cloned().map(Event::OrderPlaced));
    cluster.produce(orders.iter().rev().cloned().map(Event::OrderPlaced));
    cluster.produce((ORDERS..ORDERS + BROKEN).map(|n| {
        let mut broken = order(n, "tok_ok");
        broken.total_minor += 1;
        Event::OrderPlaced(broken)
    }));
    let run_payment = cluster.run(|folder| {
        let gateway = Simulator::open(&folder.join(ledger::FILE_NAME), AMOUNT_LIMIT_MINOR).expect("a ledger");
        let callers = Callers::none()
            .with(CHARGE, Charging(gateway), quick())
            .expect("sound settings");
        let handler = Payment::new(TopicNames::default());
        let topics = Topics {
            reads: handler.reads(),
            writes: handler.writes(),
        };
        let service = Service::new(payment::GROUP, topics, handler).callers(callers);
        (service, folder.join("payment.db"))
    });
    let expected = usize::try_from(ORDERS).expect("small");
    cluster
        .until("every order has its outcomes", || {
            cluster.read("inventory").len() >= expected && cluster.read("payments").len() >= expected
        })
        .await;
    cluster
        .until("the broken ones are parked", || cluster.parked() == 2 * BROKEN)
        .await;
    run_inventory.end().await;
    run_payment.end().await;

    one_outcome_each(&cluster);
    stock_is_conserved(&cluster);
    charges_are_the_gateways(&cluster);
}

/// What a lane has not published bounds its answers too, not only its records.
#[tokio::test(flavor = "multi_thread")]
async fn answers_wait_while_nothing_is_published() {
    const SLOW: u64 = 900;
    let mut cluster = Cluster::start();
    cluster.settings.in_flight_facts = 20;
    cluster.settings.batch_records = Some(10);
    let run_payment = cluster.run(|folder| {
        let gateway = Simulator::open(&folder.join(ledger::FILE_NAME), AMOUNT_LIMIT_MINOR).expect("a ledger");
        let callers = Callers::none().with(CHARGE, Charging(gateway), EffectSettings::default());
        let handler = Payment::new(TopicNames::default());
        let topics = Topics {
            reads: handler.reads(),
            writes: handler.writes(),
        };
        let service = Service::new(payment::GROUP, topics, handler).callers(callers.expect("sound settings"));
        (service, folder.join("payment.db"))
    });
    cluster.produce((0..SLOW).map(|n| Event::OrderPlaced(order(n, "tok_slow_500"))));
    let all = usize::try_from(SLOW).expect("small");
    cluster
        .until("all are to be charged", || {
            cluster.facts_applied("payment.db", "orders") == all
        })
        .await;

    cluster.broker.down().expect("it goes down");
    let unpublished = || cluster.unpublished("payment.db");
    cluster.until("facts wait", || unpublished() > 0).await;
    // Twice as long as a call takes, and nothing more came of any.
    let (mut most, mut since) = (unpublished(), Instant::now());
    while since.elapsed() < Duration::from_secs(1) {
        tokio::time::sleep(Duration::from_millis(50)).await;
        if unpublished() > most {
            (most, since) = (unpublished(), Instant::now());
        }
    }
    assert!(most <= 3 * (20 + 10), "{most} facts of three lanes wait");

    cluster.broker.up().expect("it comes up");
    cluster
        .until("each is charged, and that is said", || {
            cluster.read("payments").len() >= all
        })
        .await;
    run_payment.end().await;
}

fn quick() -> EffectSettings {
    EffectSettings {
        backoff_base: Duration::from_millis(20),
        ..EffectSettings::default()
    }
}

fn one_outcome_each(cluster: &Cluster) {
    let all: BTreeSet<_> = (0..ORDERS).map(support::order_id).collect();
    for topic in ["inventory", "payments"] {
        let mut outcomes = BTreeMap::<OrderId, BTreeSet<_>>::new();
        for event in cluster.read(topic) {
            outcomes
                .entry(support::order_of(&event))
                .or_default()
                .insert(event.meta().event_id);
        }
        assert_eq!(outcomes.keys().copied().collect::<BTreeSet<_>>(), all, "{topic}");
        assert!(outcomes.values().all(|ids| ids.len() == 1), "{topic}: one outcome each");
    }
}

fn stock_is_conserved(cluster: &Cluster) {
    let reader = cluster.reader("inventory.db");
    let mut held = BTreeMap::<String, i64>::new();
    let orders = kept::each(&reader, RESERVATION, |_, order| {
        for reservation in order.held {
            *held.entry(reservation.product_id.as_str().to_owned()).or_default() += reservation.quantity;
        }
        Ok::<_, StoreError>(())
    });
    orders.expect("reservations");
    let mut reserved = 0;
    let stock = kept::each(&reader, STOCK, |product, stock| {
        assert!(stock.is_consistent(), "{product}: {stock:?}");
        assert_eq!(stock.received, IN_STOCK, "{product}: each receipt once");
        assert_eq!(stock.reserved, held.get(product).copied().unwrap_or(0), "{product}");
        reserved += stock.reserved;
        Ok::<_, StoreError>(())
    });
    stock.expect("stock");
    let said: i64 = cluster.read("inventory").iter().map(support::units_reserved).sum();
    assert_eq!(reserved, said);
    assert!(reserved > 0);
}

fn charges_are_the_gateways(cluster: &Cluster) {
    let mut booked = BTreeMap::new();
    let read = ledger::read(&cluster.path(ledger::FILE_NAME), |entry| {
        booked.insert(entry.order_id.clone(), entry);
        Ok::<_, ledger::LedgerError>(())
    });
    read.expect("a ledger");
    let reader = cluster.reader("payment.db");
    let mut payments = 0;
    let kept = kept::each(&reader, PAYMENT, |order, payment| {
        let entry = &booked[order];
        let expected = match payment.status {
            Status::Processed { charge_id } => Verdict::Charged { charge_id },
            Status::Failed { reason } => Verdict::Declined { reason },
            Status::Charging => panic!("{order} is still being charged"),
        };
        assert_eq!(
            (&entry.verdict, entry.amount_minor),
            (&expected, payment.amount_minor),
            "{order}"
        );
        payments += 1;
        Ok::<_, StoreError>(())
    });
    kept.expect("payments");
    assert_eq!(
        (payments, booked.len()),
        (ORDERS, usize::try_from(ORDERS).expect("small"))
    );
    let repeated = booked.values().filter(|entry| entry.calls == 3).count();
    assert_eq!(
        repeated,
        usize::try_from(ORDERS / 4).expect("small"),
        "the flaky ones were called three times"
    );
}
