//! One record as a line of JSON.

use std::collections::BTreeMap;

use orderflow_domain::{Event, Timestamp};
use orderflow_schemas::Contract as _;
use orderflow_schemas::registry::Reader;
use rdkafka::Message;
use rdkafka::message::Headers as _;
use serde::{Serialize, Serializer};

/// A record, decoded as far as it can be. Serialized, it is one of the lines that `topics tail` prints.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct TailRecord {
    /// The topic it stands in.
    pub topic: String,
    /// Its partition.
    pub partition: i32,
    /// Its offset.
    pub offset: i64,
    /// Its timestamp; `null` where the record has none. RFC 3339 in JSON.
    #[serde(serialize_with = "as_text")]
    pub timestamp: Option<Timestamp>,
    /// Its key.
    pub key: Bytes,
    /// Its headers by name, the last of a name.
    pub headers: BTreeMap<String, Bytes>,
    /// Which event it is, as `OrderPlaced`; `null` when it could not be decoded.
    #[serde(rename = "type")]
    pub event_type: Option<&'static str>,
    /// The event; `null` for a tombstone and for what could not be decoded. Times are RFC 3339 in JSON.
    #[serde(serialize_with = "as_shown")]
    pub value: Option<Event>,
    /// Why the value could not be decoded; the field is there in this case alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<String>,
    /// The value that could not be decoded; the field is there in this case alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub raw: Option<Bytes>,
}

/// Bytes that are text in most cases: in JSON a string, `null`, or `{"hex": "00ff"}` where they are not UTF-8.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Bytes(pub Option<Vec<u8>>);

impl TailRecord {
    pub(super) fn of(message: &impl Message, reader: &Reader) -> Self {
        let mut record = Self {
            topic: message.topic().to_owned(),
            partition: message.partition(),
            offset: message.offset(),
            timestamp: message.timestamp().to_millis().map(Timestamp::from_unix_millis),
            key: Bytes(message.key().map(<[u8]>::to_vec)),
            headers: headers(message),
            event_type: None,
            value: None,
            error: None,
            raw: None,
        };
        if let Some(value) = message.payload() {
            record.decode(value, reader);
        }
        record
    }

    /// The value of a header, the last of the name.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&[u8]> {
        self.headers.get(name)?.0.as_deref()
    }

    fn decode(&mut self, value: &[u8], reader: &Reader) {
        match reader.read(value) {
            Ok(event) => {
                self.event_type = Some(event.event_type().name());
                self.value = Some(event);
            }
            Err(unreadable) => {
                self.error = Some(unreadable.to_string());
                self.raw = Some(Bytes(Some(value.to_vec())));
            }
        }
    }
}

impl Serialize for Bytes {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self.0.as_deref().map(|bytes| (bytes, std::str::from_utf8(bytes))) {
            None => serializer.serialize_none(),
            Some((_, Ok(text))) => serializer.serialize_str(text),
            Some((bytes, Err(_))) => BTreeMap::from([("hex", hex(bytes))]).serialize(serializer),
        }
    }
}

fn headers(message: &impl Message) -> BTreeMap<String, Bytes> {
    let each = message.headers().into_iter().flat_map(|headers| headers.iter());
    each.map(|header| (header.key.to_owned(), Bytes(header.value.map(<[u8]>::to_vec))))
        .collect()
}

fn hex(bytes: &[u8]) -> String {
    let digits = bytes.iter().flat_map(|byte| [byte >> 4, byte & 15]);
    digits.filter_map(|digit| char::from_digit(digit.into(), 16)).collect()
}

#[allow(clippy::ref_option, reason = "serde hands over a reference to the field")]
fn as_shown<S: Serializer>(event: &Option<Event>, serializer: S) -> Result<S::Ok, S::Error> {
    event
        .as_ref()
        .map(orderflow_schemas::json::of_event)
        .serialize(serializer)
}

#[allow(clippy::ref_option, reason = "serde hands over a reference to the field")]
fn as_text<S: Serializer>(timestamp: &Option<Timestamp>, serializer: S) -> Result<S::Ok, S::Error> {
    match timestamp {
        Some(timestamp) => serializer.collect_str(timestamp),
        None => serializer.serialize_none(),
    }
}

#[cfg(test)]
mod tests {
    use orderflow_domain::{Meta, ProductId, StockReceived};
    use rdkafka::message::{Header, OwnedHeaders, OwnedMessage};

    use super::*;

    fn message(key: Option<&[u8]>, value: Option<&[u8]>) -> OwnedMessage {
        let headers = OwnedHeaders::new()
            .insert(Header {
                key: "ce_id",
                value: Some("018f2a3e"),
            })
            .insert(Header {
                key: "odd",
                value: Some(&[0x00, 0xff][..]),
            })
            .insert(Header::<&str> {
                key: "none",
                value: None,
            });
        let owned = |bytes: &[u8]| bytes.to_vec();
        let timestamp = rdkafka::Timestamp::CreateTime(1_700_000_000_000);
        OwnedMessage::new(
            value.map(owned),
            key.map(owned),
            "stock".into(),
            timestamp,
            3,
            41,
            Some(headers),
        )
    }

    fn shown(key: Option<&[u8]>, value: Option<&[u8]>) -> serde_json::Value {
        serde_json::to_value(TailRecord::of(&message(key, value), &Reader::default())).expect("a record is data")
    }

    fn received() -> Vec<u8> {
        let meta = Meta {
            event_id: "018f2a3e-0000-7000-8000-000000000001".parse().expect("a UUID"),
            occurred_at: Timestamp(0),
            correlation_id: "85123A".to_owned(),
            causation_id: None,
            source: "test".into(),
        };
        let mut bytes = Vec::new();
        orderflow_schemas::encode(
            &StockReceived {
                meta,
                product_id: ProductId("85123A".into()),
                quantity: 6,
            },
            &mut bytes,
        );
        bytes
    }

    #[test]
    fn an_event_is_shown_with_its_place_and_headers() {
        let shown = shown(Some(b"85123A"), Some(&received()));
        assert_eq!(shown["topic"], "stock");
        assert_eq!((&shown["partition"], &shown["offset"]), (&3.into(), &41.into()));
        assert_eq!(shown["timestamp"], "2023-11-14T22:13:20Z");
        assert_eq!(shown["key"], "85123A");
        let headers = serde_json::json!({"ce_id": "018f2a3e", "odd": {"hex": "00ff"}, "none": null});
        assert_eq!(shown["headers"], headers);
        assert_eq!(shown["type"], "StockReceived");
        assert_eq!(shown["value"]["quantity"], 6);
        assert_eq!(shown["value"]["meta"]["occurred_at"], "1970-01-01T00:00:00Z");
        assert!(shown.get("error").is_none() && shown.get("raw").is_none());
    }

    #[test]
    fn what_cannot_be_decoded_is_shown_raw_with_the_reason() {
        let shown = shown(None, Some(b"{\"json\": true}"));
        assert!(shown["key"].is_null() && shown["value"].is_null() && shown["type"].is_null());
        assert!(shown["error"].as_str().expect("a reason").contains("0x7b"), "{shown}");
        assert_eq!(shown["raw"], "{\"json\": true}");
    }

    #[test]
    fn a_tombstone_is_no_error() {
        let shown = shown(Some(&[0xc3]), None);
        assert!(shown["value"].is_null() && shown.get("error").is_none());
        assert_eq!(shown["key"]["hex"], "c3");
    }
}
