//! Bytes to domain and back: Avro contracts, wire format, compatibility.
