//! The thread that writes the books: all calls that wait go into one transaction, for one sync to disk.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::{SystemTime, UNIX_EPOCH};

use orderflow_domain::payment::Charge;
use orderflow_runtime::derive_id;
use rusqlite::{Connection, OptionalExtension as _, Transaction, TransactionBehavior, params};
use tokio::sync::oneshot;

use super::{Booked, Booking, LedgerError, Verdict, verdict};

/// Most calls in one transaction: beyond it the sync to disk no longer counts, and the first callers wait for the last.
const GROUP: usize = 1_000;

/// Where a reply goes.
type Reply<T> = oneshot::Sender<Result<T, LedgerError>>;

/// What the thread is asked.
#[derive(Debug)]
pub(super) enum Request {
    Book(Booking, Reply<Booked>),
    Find(String, Reply<Option<Verdict>>),
}

/// The way to the thread, which ends when the last of these is gone.
#[derive(Debug, Clone)]
pub(super) struct Writer {
    requests: Sender<Request>,
}

impl Writer {
    pub(super) fn start(connection: Connection) -> std::io::Result<Self> {
        let (requests, received) = channel();
        std::thread::Builder::new()
            .name("gateway-ledger".to_owned())
            .spawn(move || run(connection, &received))?;
        Ok(Self { requests })
    }

    pub(super) fn send(&self, request: Request) -> Result<(), LedgerError> {
        self.requests.send(request).map_err(|_ended| LedgerError::Closed)
    }
}

fn run(mut connection: Connection, requests: &Receiver<Request>) {
    while let Ok(first) = requests.recv() {
        let group = std::iter::once(first)
            .chain(requests.try_iter().take(GROUP - 1))
            .collect();
        work(&mut connection, group);
    }
}

/// Replies only when the transaction is durable: an answer that a crash could take back would be no answer.
fn work(connection: &mut Connection, group: Vec<Request>) {
    let transaction = match connection.transaction_with_behavior(TransactionBehavior::Immediate) {
        Ok(transaction) => transaction,
        Err(error) => return group.into_iter().for_each(|request| request.refuse(&error)),
    };
    let replies: Vec<Later> = group.into_iter().map(|request| request.work(&transaction)).collect();
    let failure = transaction.commit().err();
    for reply in replies {
        reply(failure.as_ref());
    }
}

/// Gives a result to who waits for it, or the error that kept it from being durable.
type Later = Box<dyn FnOnce(Option<&rusqlite::Error>)>;

impl Request {
    fn work(self, transaction: &Transaction<'_>) -> Later {
        match self {
            Self::Book(booking, reply) => later(reply, book(transaction, &booking)),
            Self::Find(key, reply) => later(reply, find(transaction, &key)),
        }
    }

    fn refuse(self, error: &rusqlite::Error) {
        let why = || not_booked(error);
        // Who has hung up calls again.
        let _hung_up = match self {
            Self::Book(_, reply) => reply.send(Err(why())).is_err(),
            Self::Find(_, reply) => reply.send(Err(why())).is_err(),
        };
    }
}

fn later<T: 'static>(reply: Reply<T>, result: Result<T, LedgerError>) -> Later {
    Box::new(move |failure| {
        let result = failure.map_or(result, |error| Err(not_booked(error)));
        // Who has hung up finds the verdict under its key the next time.
        let _hung_up = reply.send(result);
    })
}

fn not_booked(error: &rusqlite::Error) -> LedgerError {
    LedgerError::NotBooked(error.to_string())
}

fn book(transaction: &Transaction<'_>, booking: &Booking) -> Result<Booked, LedgerError> {
    let charge = &booking.charge;
    let booked = insert(transaction, booking)
        .and_then(|()| stored(transaction, &charge.idempotency_key))
        .map_err(|error| not_booked(&error))?;
    match booked {
        Some((booked, of)) if of == asked(charge) => Ok(booked),
        Some(_) => Err(LedgerError::KeyReused(charge.idempotency_key.clone())),
        None => Err(LedgerError::NotBooked("the entry is not there".to_owned())),
    }
}

/// What a charge is about: the same under one key, always.
type Asked = (String, i64, String);

fn asked(charge: &Charge) -> Asked {
    let currency = charge.currency.as_str().to_owned();
    (charge.order_id.to_string(), charge.amount_minor, currency)
}

/// The first call decides; a later one is only counted.
fn insert(transaction: &Transaction<'_>, booking: &Booking) -> rusqlite::Result<()> {
    let (charge, now) = (&booking.charge, now());
    let (order_id, amount_minor, currency) = asked(charge);
    let (outcome, charge_id, reason) = match &booking.decision {
        Ok(()) => ("charged", Some(charge_id(&charge.idempotency_key, now)), None),
        Err(reason) => ("declined", None, Some(reason)),
    };
    transaction
        .prepare_cached(
            "INSERT INTO charges
                 (idempotency_key, order_id, outcome, charge_id, reason, amount_minor, currency, created_at, calls)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, 1)
             ON CONFLICT (idempotency_key) DO UPDATE SET calls = calls + 1",
        )?
        .execute(params![
            charge.idempotency_key,
            order_id,
            outcome,
            charge_id,
            reason,
            amount_minor,
            currency,
            now
        ])?;
    Ok(())
}

fn stored(transaction: &Transaction<'_>, key: &str) -> rusqlite::Result<Option<(Booked, Asked)>> {
    transaction
        .prepare_cached(
            "SELECT charge_id, reason, calls, order_id, amount_minor, currency FROM charges WHERE idempotency_key = ?1",
        )?
        .query_row([key], |row| {
            let verdict = verdict(row.get(0)?, row.get(1)?);
            let booked = Booked {
                verdict,
                calls: row.get(2)?,
            };
            Ok((booked, (row.get(3)?, row.get(4)?, row.get(5)?)))
        })
        .optional()
}

fn find(transaction: &Transaction<'_>, key: &str) -> Result<Option<Verdict>, LedgerError> {
    let found = stored(transaction, key).map_err(|error| not_booked(&error))?;
    Ok(found.map(|(booked, _)| booked.verdict))
}

/// Unique, since the key is, also across ledgers that were thrown away.
fn charge_id(key: &str, now: i64) -> String {
    format!("ch_{}", derive_id(now, &[key.as_bytes()]).simple())
}

fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_millis()).unwrap_or(i64::MAX)
}
