//! What is kept of bytes to compare them: 128 bits of SHA-256.

use orderflow_domain::payment::{Payment, Status};
use orderflow_domain::{PaymentFailed, PaymentProcessed, Reservation};
use sha2::{Digest as _, Sha256};

/// 128 bits of a SHA-256.
pub(super) type Hash = [u8; 16];

/// What the runtime adds to a fact's headers when it publishes it, and keeps out of the outbox.
pub(super) const GROUP_HEADER: &str = "orderflow-group";
pub(super) const LANE_HEADER: &str = "orderflow-lane";
pub(super) const SEQUENCE_HEADER: &str = "orderflow-seq";

/// As the inbox has it: of the value's bytes as received.
pub(super) fn of_value(value: Option<&[u8]>) -> Hash {
    cut(Sha256::new_with_prefix(value.unwrap_or_default()))
}

/// Of key and value, null told from empty.
pub(super) fn of_body(key: Option<&[u8]>, value: Option<&[u8]>) -> Hash {
    let mut hash = Sha256::new();
    part(&mut hash, key);
    part(&mut hash, value);
    cut(hash)
}

/// Of headers in their order, without those that the runtime adds.
pub(super) fn of_headers<'a>(headers: impl Iterator<Item = (&'a str, Option<&'a [u8]>)>) -> Hash {
    let mut hash = Sha256::new();
    for (name, value) in headers {
        if ![GROUP_HEADER, LANE_HEADER, SEQUENCE_HEADER].contains(&name) {
            part(&mut hash, Some(name.as_bytes()));
            part(&mut hash, value);
        }
    }
    cut(hash)
}

/// Of what is held for an order; nothing where it was refused.
pub(super) fn of_held(held: &[Reservation]) -> Hash {
    let mut hash = Sha256::new();
    for line in held {
        part(&mut hash, Some(line.product_id.as_str().as_bytes()));
        hash.update(line.quantity.to_be_bytes());
    }
    cut(hash)
}

/// Of how a payment ended, as the database has it; `None` while it has not.
pub(super) fn of_payment(payment: &Payment) -> Option<Hash> {
    let (status, said) = match &payment.status {
        Status::Charging => return None,
        Status::Processed { charge_id } => (PROCESSED, charge_id),
        Status::Failed { reason } => (FAILED, reason),
    };
    Some(settled(status, payment.amount_minor, (payment.currency.as_str(), said)))
}

pub(super) fn of_processed(event: &PaymentProcessed) -> Hash {
    settled(
        PROCESSED,
        event.amount_minor,
        (event.currency.as_str(), &event.charge_id),
    )
}

pub(super) fn of_failed(event: &PaymentFailed) -> Hash {
    settled(FAILED, event.amount_minor, (event.currency.as_str(), &event.reason))
}

const PROCESSED: &[u8] = b"processed";
const FAILED: &[u8] = b"failed";

fn settled(status: &[u8], amount_minor: i64, (currency, said): (&str, &str)) -> Hash {
    let mut hash = Sha256::new();
    part(&mut hash, Some(status));
    hash.update(amount_minor.to_be_bytes());
    part(&mut hash, Some(currency.as_bytes()));
    part(&mut hash, Some(said.as_bytes()));
    cut(hash)
}

/// Length-prefixed, so that no two lists run together to the same bytes.
fn part(hash: &mut Sha256, bytes: Option<&[u8]>) {
    let length = bytes.map_or(u64::MAX, |bytes| bytes.len() as u64);
    hash.update(length.to_be_bytes());
    hash.update(bytes.unwrap_or_default());
}

fn cut(hash: Sha256) -> Hash {
    let mut cut = Hash::default();
    cut.copy_from_slice(&hash.finalize()[..16]);
    cut
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn null_and_empty_key_and_value_are_told_apart() {
        let all = [
            of_body(None, None),
            of_body(Some(b""), None),
            of_body(None, Some(b"")),
            of_body(Some(b"a"), Some(b"b")),
            of_body(Some(b"ab"), Some(b"")),
        ];
        for (at, hash) in all.iter().enumerate() {
            assert!(!all[..at].contains(hash), "{at}");
        }
    }

    #[test]
    fn what_the_runtime_adds_to_the_headers_does_not_count() {
        let plain = [("a", Some(&b"1"[..])), ("b", None)];
        let sent = [plain[0], plain[1], (SEQUENCE_HEADER, Some(&b"7"[..]))];
        assert_eq!(of_headers(plain.into_iter()), of_headers(sent.into_iter()));
        assert_ne!(of_headers(plain.into_iter()), of_headers(plain.into_iter().rev()));
    }
}
