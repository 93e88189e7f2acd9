//! Which partition a key belongs to: murmur2, as Kafka's Java clients compute it.
//!
//! Computed here, from the partition count the database recorded, and not left to the producer's metadata: two
//! instances that saw a topic before and after it grew would otherwise split a key (rule 13).

/// The partition of `key` among `count`; the same as `partitioner=murmur2_random` for a key that is present.
///
/// `count` is at least 1.
#[must_use]
pub fn partition_of(key: &[u8], count: i32) -> i32 {
    let positive = (murmur2(key) & 0x7fff_ffff).cast_signed();
    positive % count.max(1)
}

/// 32-bit `MurmurHash2` with Kafka's seed (`org.apache.kafka.common.utils.Utils.murmur2`).
fn murmur2(data: &[u8]) -> u32 {
    const SEED: u32 = 0x9747_b28c;
    const M: u32 = 0x5bd1_e995;
    #[allow(
        clippy::cast_possible_truncation,
        reason = "the algorithm mixes in the low 32 bits of the length"
    )]
    let mut hash = SEED ^ data.len() as u32;
    let mut words = data.chunks_exact(4);
    for word in words.by_ref() {
        let mut k = u32::from_le_bytes([word[0], word[1], word[2], word[3]]).wrapping_mul(M);
        k ^= k >> 24;
        hash = hash.wrapping_mul(M) ^ k.wrapping_mul(M);
    }
    let rest = words.remainder();
    if !rest.is_empty() {
        for (at, byte) in rest.iter().enumerate() {
            hash ^= u32::from(*byte) << (8 * at);
        }
        hash = hash.wrapping_mul(M);
    }
    hash ^= hash >> 13;
    hash = hash.wrapping_mul(M);
    hash ^ (hash >> 15)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The values Kafka's own tests hold for the same keys.
    #[test]
    fn it_hashes_as_kafka_does() {
        let known: [(&[u8], i32); 7] = [
            (b"21", -973_932_308),
            (b"foobar", -790_332_482),
            (b"a-little-bit-long-string", -985_981_536),
            (b"a-little-bit-longer-string", -1_486_304_829),
            (b"lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8", -58_897_971),
            (b"abc", 479_470_107),
            (b"", 275_646_681),
        ];
        for (key, hash) in known {
            assert_eq!(murmur2(key).cast_signed(), hash, "{key:?}");
        }
    }

    #[test]
    fn a_partition_is_within_the_count() {
        for n in 0..1_000_u32 {
            let partition = partition_of(&n.to_be_bytes(), 12);
            assert!((0..12).contains(&partition));
        }
    }
}
