//! What a length claims is not asked of the memory. A test binary of its own: others would count too.

use std::path::Path;

/// Lengths and counts that no record has bytes for. A negative count of an array means that its size in bytes follows.
const CLAIMS: [i64; 5] = [1 << 29, 1 << 33, i64::MAX, -(1 << 29), i64::MIN];

/// Half of the smallest claim.
const MAX_MIB: u64 = 256;

/// Before the Avro datum.
const HEADER_BYTES: usize = 5;

#[test]
fn made_up_lengths_cost_no_memory() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("golden");
    let golden: Vec<_> = folder
        .read_dir()
        .expect("a folder")
        .map(|entry| entry.expect("a file").path())
        .filter(|path| path.extension().is_some_and(|extension| extension == "avro"))
        .map(|path| std::fs::read(path).expect("its bytes"))
        .collect();
    assert!(golden.len() >= 7, "one of each event at least");
    for value in &golden {
        orderflow_schemas::decode(value).expect("it is sound");
    }
    let before = most_mib();
    let mut refused = 0;
    for value in &golden {
        for at in HEADER_BYTES..value.len() {
            for claim in CLAIMS {
                let claiming = [&value[..at], &varint(claim), &value[at + 1..]].concat();
                refused += usize::from(orderflow_schemas::decode(&claiming).is_err());
            }
        }
    }
    assert!(refused > 1_000, "{refused}");
    let grown = most_mib() - before;
    assert!(grown <= MAX_MIB, "{grown} MiB");
}

/// As Avro writes a long: zigzag, seven bits a byte.
fn varint(number: i64) -> Vec<u8> {
    let mut rest = (number << 1 ^ number >> 63).cast_unsigned();
    let mut bytes = Vec::new();
    while rest > 0x7f {
        bytes.push(rest.to_le_bytes()[0] | 0x80);
        rest >>= 7;
    }
    bytes.push(rest.to_le_bytes()[0]);
    bytes
}

/// Most memory that was asked for at one time, touched or not.
fn most_mib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("Linux tells");
    let line = status.lines().find_map(|line| line.strip_prefix("VmPeak:"));
    let kib = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
    kib.expect("Linux tells the peak, in KiB") / 1_024
}
