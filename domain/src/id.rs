//! Identities, and how the identity of what follows is computed from its cause.

use std::fmt;
use std::str::FromStr;

use compact_str::CompactString;
use serde::{Deserialize, Serialize};
use sha2::{Digest, Sha256};
use uuid::{Builder, Uuid};

use crate::Timestamp;

macro_rules! uuid_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub Uuid);

        impl fmt::Display for $name {
            /// Lower-case and hyphenated, as it stands in record keys.
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.as_hyphenated().fmt(f)
            }
        }

        impl $name {
            /// The same as its display, without a formatter's detour: it is the key of every record and row.
            #[must_use]
            pub fn text(&self) -> String {
                self.0.as_hyphenated().encode_lower(&mut Uuid::encode_buffer()).to_owned()
            }
        }

        impl FromStr for $name {
            type Err = uuid::Error;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                Uuid::from_str(text).map(Self)
            }
        }
    };
}

uuid_id! {
    /// Identity of an event. `UUIDv7` where something begins, [`derive()`]d from its cause otherwise.
    EventId
}
uuid_id! {
    /// Identity of an order; the key of everything said about it.
    OrderId
}

macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub CompactString);

        impl $name {
            /// The id as text.
            #[must_use]
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

text_id! {
    /// A product, as the seller names it; bounds in [`crate::order::check_product_id`].
    ProductId
}
text_id! {
    /// A customer, as the shop names them.
    CustomerId
}

/// The id of what follows from a cause: a `UUIDv8` of the cause's 48-bit millisecond time, then a hash of all `parts`.
///
/// The same cause gives the same id, however often and wherever it is computed, and ids stay in time order, which keeps
/// the indexes they are inserted into fast. Parts are length-prefixed, so `["ab","c"]` and `["a","bc"]` differ.
#[must_use]
pub fn derive(time: Timestamp, parts: &[&[u8]]) -> Uuid {
    let mut hash = Sha256::new();
    for part in parts {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    let digest = hash.finalize();
    let mut bytes = [0; 16];
    bytes[..6].copy_from_slice(&time.unix_millis().to_be_bytes()[2..]);
    bytes[6..].copy_from_slice(&digest[..10]);
    Builder::from_custom_bytes(bytes).into_uuid()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_cause_gives_the_same_id_and_another_gives_another() {
        let at = Timestamp::from_unix_millis(1_291_191_960_000);
        let id = derive(at, &[b"inventory", b"cause", b"0"]);
        assert_eq!(id, derive(at, &[b"inventory", b"cause", b"0"]));
        assert_ne!(id, derive(at, &[b"inventory", b"cause", b"1"]));
        assert_ne!(id, derive(at, &[b"inventorycause", b"", b"0"]));
        assert_eq!(id.get_version_num(), 8);
    }

    #[test]
    fn ids_are_in_the_order_of_their_causes() {
        let early = derive(Timestamp::from_unix_millis(1_000), &[b"z"]);
        let late = derive(Timestamp::from_unix_millis(1_001), &[b"a"]);
        assert!(early < late);
    }
}
