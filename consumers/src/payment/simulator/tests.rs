use orderflow_domain::OrderId;
use orderflow_domain::payment::idempotency_key;
use orderflow_runtime::effects::{Asked, Call, Called, Caller as _};
use tempfile::TempDir;

use super::ledger::{Entry, FILE_NAME};
use super::*;
use crate::payment::Charging;
use crate::samples::order_id;

struct Bench {
    folder: TempDir,
    gateway: Simulator,
}

fn bench() -> Bench {
    let folder = TempDir::new().expect("a folder");
    let gateway = Simulator::open(&folder.path().join(FILE_NAME), AMOUNT_LIMIT_MINOR).expect("a ledger");
    Bench { folder, gateway }
}

impl Bench {
    fn entries(&self) -> Vec<Entry> {
        let mut entries = Vec::new();
        let keep = |entry| {
            entries.push(entry);
            Ok::<_, LedgerError>(())
        };
        ledger::read(&self.folder.path().join(FILE_NAME), keep).expect("a ledger that can be read");
        entries
    }

    async fn charge(&self, n: u64, token: &str) -> Result<Verdict, NoVerdict> {
        self.gateway.charge(&charge(n, token)).await
    }
}

fn charge(n: u64, token: &str) -> Charge {
    let order_id: OrderId = order_id(n);
    Charge {
        idempotency_key: idempotency_key(order_id),
        order_id,
        amount_minor: 750,
        currency: "GBP".parse().expect("a currency"),
        payment_token: token.into(),
    }
}

fn charge_id(verdict: Result<Verdict, NoVerdict>) -> String {
    match verdict {
        Ok(Verdict::Charged { charge_id }) => charge_id,
        other => panic!("not charged: {other:?}"),
    }
}

fn declined(reason: &str) -> Verdict {
    Verdict::Declined {
        reason: reason.to_owned(),
    }
}

#[tokio::test]
async fn tokens_decide_and_the_ledger_shows_it() {
    let bench = bench();
    let charged = charge_id(bench.charge(1, "tok_ok").await);
    assert_eq!(
        bench.charge(2, "tok_decline_lost_card").await,
        Ok(declined("lost_card"))
    );
    assert_eq!(bench.charge(3, "visa").await, Ok(declined("unknown_token")));
    let entries = bench.entries();
    assert_eq!(entries.len(), 3);
    let first = &entries[0];
    assert_eq!(
        (
            &first.order_id,
            first.amount_minor,
            first.currency.as_str(),
            first.calls
        ),
        (&order_id(1).to_string(), 750, "GBP", 1)
    );
    assert_eq!(first.verdict, Verdict::Charged { charge_id: charged });
    assert_eq!(entries[1].verdict, declined("lost_card"));
    assert!(first.created_at > 1_700_000_000_000);
}

#[tokio::test]
async fn an_amount_above_the_limit_is_declined() {
    let bench = bench();
    for (amount_minor, limit_holds) in [(AMOUNT_LIMIT_MINOR, true), (AMOUNT_LIMIT_MINOR + 1, false)] {
        let charge = Charge {
            amount_minor,
            ..charge(u64::from(limit_holds), "tok_ok")
        };
        let verdict = bench.gateway.charge(&charge).await;
        assert_eq!(verdict == Ok(declined("amount_limit")), !limit_holds, "{verdict:?}");
    }
}

#[tokio::test]
async fn a_repeat_gives_the_first_answer_and_moves_no_money() {
    let bench = bench();
    let first = charge_id(bench.charge(1, "tok_ok").await);
    assert_eq!(charge_id(bench.charge(1, "tok_decline_late").await), first);
    assert_eq!(
        bench.charge(2, "tok_decline_lost_card").await,
        Ok(declined("lost_card"))
    );
    assert_eq!(bench.charge(2, "tok_ok").await, Ok(declined("lost_card")));
    assert_eq!(
        bench.entries().iter().map(|entry| entry.calls).collect::<Vec<_>>(),
        [2, 2]
    );
}

#[tokio::test]
async fn a_key_used_for_another_charge_is_no_verdict() {
    let bench = bench();
    charge_id(bench.charge(1, "tok_ok").await);
    let other = Charge {
        amount_minor: 751,
        ..charge(1, "tok_ok")
    };
    let Err(NoVerdict::Failed(why)) = bench.gateway.charge(&other).await else {
        panic!("a verdict")
    };
    assert!(why.contains("used for another charge"), "{why}");
    assert_eq!(bench.entries()[0].amount_minor, 750);
}

#[tokio::test]
async fn a_flaky_one_charges_once_and_loses_its_first_answers() {
    let bench = bench();
    for _ in 0..2 {
        assert!(matches!(
            bench.charge(1, "tok_flaky_2").await,
            Err(NoVerdict::Failed(_))
        ));
    }
    let charged = charge_id(bench.charge(1, "tok_flaky_2").await);
    assert_eq!(charge_id(bench.charge(1, "tok_flaky_2").await), charged);
    let entries = bench.entries();
    assert_eq!((entries.len(), entries[0].calls), (1, 4));
}

#[tokio::test]
async fn a_lookup_gives_the_verdict_without_charging() {
    let bench = bench();
    let key = charge(1, "").idempotency_key;
    assert_eq!(bench.gateway.lookup(&key).await, Ok(None));
    assert!(bench.charge(1, "tok_flaky_9").await.is_err());
    let found = bench.gateway.lookup(&key).await.expect("found");
    assert!(matches!(found, Some(Verdict::Charged { .. })));
    assert_eq!(bench.entries()[0].calls, 1);
}

#[tokio::test]
async fn a_slow_one_is_in_progress_meanwhile_and_ends_though_its_caller_hung_up() {
    let bench = bench();
    let hung_up = tokio::time::timeout(Duration::from_millis(20), bench.charge(1, "tok_slow_200")).await;
    assert!(hung_up.is_err());
    assert_eq!(bench.charge(1, "tok_slow_200").await, Err(NoVerdict::InProgress));
    assert_eq!(bench.entries().len(), 0);
    tokio::time::sleep(Duration::from_millis(500)).await;
    charge_id(bench.charge(1, "tok_slow_200").await);
    assert_eq!(bench.entries()[0].calls, 2);
}

#[tokio::test]
async fn calls_at_once_are_booked_once_each() {
    let bench = bench();
    let calls: Vec<_> = (0..400_u64)
        .map(|n| {
            let (gateway, charge) = (bench.gateway.clone(), charge(n % 200, "tok_ok"));
            tokio::spawn(async move { gateway.charge(&charge).await })
        })
        .collect();
    let mut ids = Vec::new();
    for call in calls {
        ids.push(charge_id(call.await.expect("a call")));
    }
    assert_eq!(ids[..200], ids[200..], "two calls, one charge");
    let entries = bench.entries();
    assert_eq!(entries.len(), 200);
    assert!(entries.iter().all(|entry| entry.calls == 2));
}

#[tokio::test]
async fn the_ledger_outlives_the_gateway() {
    let bench = bench();
    let charged = charge_id(bench.charge(1, "tok_ok").await);
    let path = bench.folder.path().join(FILE_NAME);
    let Bench { folder, gateway } = bench;
    drop(gateway);
    let gateway = Simulator::open(&path, AMOUNT_LIMIT_MINOR).expect("the same ledger");
    let bench = Bench { folder, gateway };
    assert_eq!(charge_id(bench.charge(1, "tok_ok").await), charged);
}

/// As instances of payment do that are started together.
#[test]
fn a_new_ledger_is_made_once_whoever_opens_it_at_the_same_time() {
    const AT_ONCE: usize = 6;
    for _ in 0..10 {
        let folder = TempDir::new().expect("a folder");
        let path = folder.path().join(FILE_NAME);
        let together = std::sync::Barrier::new(AT_ONCE);
        std::thread::scope(|scope| {
            for _ in 0..AT_ONCE {
                scope.spawn(|| {
                    together.wait();
                    Simulator::open(&path, AMOUNT_LIMIT_MINOR).expect("a ledger")
                });
            }
        });
    }
}

#[tokio::test]
async fn a_file_that_is_no_ledger_is_refused_by_its_name() {
    let folder = TempDir::new().expect("a folder");
    let path = folder.path().join(FILE_NAME);
    std::fs::write(&path, "not a database, though long enough to look like one".repeat(40)).expect("written");
    let error = Simulator::open(&path, 1).expect_err("refused");
    assert!(matches!(error, LedgerError::Database { .. }));
    assert!(error.to_string().contains(FILE_NAME), "{error}");
    std::fs::remove_file(&path).expect("removed");
    let newer = rusqlite::Connection::open(&path).expect("a database");
    newer.pragma_update(None, "user_version", 2).expect("a newer layout");
    let error = Simulator::open(&path, 1).expect_err("refused");
    assert_eq!(
        error.to_string(),
        format!(
            "the gateway's ledger {} has layout 2; this version knows 1",
            path.display()
        )
    );
}

#[tokio::test]
async fn as_a_caller_it_answers_with_what_payment_reads() {
    let bench = bench();
    let order = crate::samples::order(1, &[("a", 3)]);
    let trace = orderflow_schemas::Trace::begin(&order);
    let request = crate::payment::gateway::Request::new(charge(1, "tok_flaky_1"), order.meta.event_id, trace);
    let call = |request| Call {
        effect: order.meta.event_id.0,
        idempotency_key: charge(1, "").idempotency_key,
        subject: order.order_id.to_string(),
        request,
        attempts: 0,
        timeout: Duration::from_secs(1),
        traceparent: None,
    };
    let caller = Charging(bench.gateway.clone());
    let (sound, garbled) = (call(request.to_bytes()), call(b"{".to_vec()));
    assert!(matches!(caller.call(&sound).await, Called::Retry(why) if why.contains("lost")));
    let Called::Answer(answer) = caller.call(&sound).await else {
        panic!("no answer")
    };
    assert!(matches!(Verdict::from_bytes(&answer), Ok(Verdict::Charged { .. })));
    assert!(matches!(caller.call(&garbled).await, Called::Retry(why) if why.contains("cannot be read")));
    assert_eq!(caller.ask(&sound).await, Asked::Answer(answer));
}
