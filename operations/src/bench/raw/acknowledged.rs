//! What the brokers have, by partition of the source.

use std::sync::{Mutex, MutexGuard, PoisonError};

use rdkafka::ClientContext;
use rdkafka::producer::{DeliveryResult, ProducerContext};

/// Bits of an offset in a delivery's tag.
const OFFSET_BITS: u32 = 48;

/// One past the last offset of each partition whose fact is acknowledged; 0 where none is. As long as partitions are known.
#[derive(Default)]
pub(super) struct Acknowledged {
    next: Mutex<Vec<i64>>,
}

impl Acknowledged {
    pub(super) fn next(&self) -> Vec<i64> {
        self.lock().clone()
    }

    fn lock(&self) -> MutexGuard<'_, Vec<i64>> {
        self.next.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Where a record came from, in the one word that comes back with its acknowledgement.
pub(super) fn tag(partition: i32, offset: i64) -> usize {
    let offset = usize::try_from(offset).unwrap_or_default();
    usize::try_from(partition).unwrap_or_default() << OFFSET_BITS | offset
}

impl ClientContext for Acknowledged {}

impl ProducerContext for Acknowledged {
    type DeliveryOpaque = usize;

    fn delivery(&self, result: &DeliveryResult<'_>, tag: usize) {
        if result.is_err() {
            return;
        }
        let next = i64::try_from(tag & ((1 << OFFSET_BITS) - 1)).unwrap_or_default() + 1;
        let (mut known, partition) = (self.lock(), tag >> OFFSET_BITS);
        if known.len() <= partition {
            known.resize(partition + 1, 0);
        }
        known[partition] = next.max(known[partition]);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_keeps_partition_and_offset_apart() {
        assert_eq!(tag(11, 5) >> OFFSET_BITS, 11);
        assert_eq!(tag(11, 5) & ((1 << OFFSET_BITS) - 1), 5);
    }
}
