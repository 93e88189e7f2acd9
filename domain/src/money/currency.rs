//! The currencies of ISO 4217 and how many decimals each has.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};
use thiserror::Error;

/// Longest text kept of what stands where a currency should.
const MAX_TEXT_BYTES: usize = 15;

/// What stands where a currency should: an ISO 4217 code, if [`Currency::decimals`] knows it.
///
/// [`FromStr`] takes known codes only. Deserializing takes any text, so that an order in an unknown currency can be read,
/// shown and refused with its field named ([`OrderPlaced::validate`](crate::OrderPlaced::validate)) instead of being
/// unreadable; of a longer text the first 15 bytes are kept, and none of those is a code. Small and `Copy`: an order is
/// decoded without allocating for it.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Currency {
    text: [u8; MAX_TEXT_BYTES],
    len: u8,
}

impl Currency {
    /// The code as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        // The text was cut at a character's border, so this never falls back.
        std::str::from_utf8(&self.text[..usize::from(self.len)]).unwrap_or_default()
    }

    /// Decimals of the minor unit: 2 for GBP, 0 for JPY, 3 for KWD; `None` for what is no currency this system takes.
    #[must_use]
    pub fn decimals(&self) -> Option<u32> {
        let code: [u8; 3] = self.as_str().as_bytes().try_into().ok()?;
        CODES
            .binary_search_by_key(&code, |(known, _)| *known)
            .ok()
            .map(|found| CODES[found].1)
    }

    /// Whether this system takes it.
    #[must_use]
    pub fn is_known(&self) -> bool {
        self.decimals().is_some()
    }

    /// Keeps any text, cut to [`MAX_TEXT_BYTES`].
    fn keep(text: &str) -> Self {
        let len = text.floor_char_boundary(MAX_TEXT_BYTES);
        let mut kept = [0; MAX_TEXT_BYTES];
        kept[..len].copy_from_slice(&text.as_bytes()[..len]);
        #[allow(clippy::cast_possible_truncation, reason = "at most MAX_TEXT_BYTES")]
        Self {
            text: kept,
            len: len as u8,
        }
    }
}

/// The code is not a currency this system takes.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("unknown currency {0:?}; expected an ISO 4217 code in capitals, such as GBP, EUR or USD")]
pub struct UnknownCurrency(pub String);

impl FromStr for Currency {
    type Err = UnknownCurrency;

    fn from_str(code: &str) -> Result<Self, Self::Err> {
        let currency = Self::keep(code);
        if currency.is_known() {
            Ok(currency)
        } else {
            Err(UnknownCurrency(code.to_owned()))
        }
    }
}

impl fmt::Display for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for Currency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Currency({:?})", self.as_str())
    }
}

impl Serialize for Currency {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

impl<'de> Deserialize<'de> for Currency {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Text;
        impl de::Visitor<'_> for Text {
            type Value = Currency;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("the code of a currency")
            }

            fn visit_str<E: de::Error>(self, text: &str) -> Result<Currency, E> {
                Ok(Currency::keep(text))
            }
        }
        deserializer.deserialize_str(Text)
    }
}

/// Active codes of ISO 4217 (list one, amended to January 2026) with the decimals of their minor unit, in order.
///
/// Left out is what has no minor unit (metals, bond units, special drawing rights, XTS, XXX): nobody pays an order in it.
#[rustfmt::skip]
const CODES: [([u8; 3], u32); 165] = [
    (*b"AED", 2), (*b"AFN", 2), (*b"ALL", 2), (*b"AMD", 2), (*b"AOA", 2), (*b"ARS", 2), (*b"AUD", 2), (*b"AWG", 2),
    (*b"AZN", 2), (*b"BAM", 2), (*b"BBD", 2), (*b"BDT", 2), (*b"BHD", 3), (*b"BIF", 0), (*b"BMD", 2), (*b"BND", 2),
    (*b"BOB", 2), (*b"BOV", 2), (*b"BRL", 2), (*b"BSD", 2), (*b"BTN", 2), (*b"BWP", 2), (*b"BYN", 2), (*b"BZD", 2),
    (*b"CAD", 2), (*b"CDF", 2), (*b"CHE", 2), (*b"CHF", 2), (*b"CHW", 2), (*b"CLF", 4), (*b"CLP", 0), (*b"CNY", 2),
    (*b"COP", 2), (*b"COU", 2), (*b"CRC", 2), (*b"CUP", 2), (*b"CVE", 2), (*b"CZK", 2), (*b"DJF", 0), (*b"DKK", 2),
    (*b"DOP", 2), (*b"DZD", 2), (*b"EGP", 2), (*b"ERN", 2), (*b"ETB", 2), (*b"EUR", 2), (*b"FJD", 2), (*b"FKP", 2),
    (*b"GBP", 2), (*b"GEL", 2), (*b"GHS", 2), (*b"GIP", 2), (*b"GMD", 2), (*b"GNF", 0), (*b"GTQ", 2), (*b"GYD", 2),
    (*b"HKD", 2), (*b"HNL", 2), (*b"HTG", 2), (*b"HUF", 2), (*b"IDR", 2), (*b"ILS", 2), (*b"INR", 2), (*b"IQD", 3),
    (*b"IRR", 2), (*b"ISK", 0), (*b"JMD", 2), (*b"JOD", 3), (*b"JPY", 0), (*b"KES", 2), (*b"KGS", 2), (*b"KHR", 2),
    (*b"KMF", 0), (*b"KPW", 2), (*b"KRW", 0), (*b"KWD", 3), (*b"KYD", 2), (*b"KZT", 2), (*b"LAK", 2), (*b"LBP", 2),
    (*b"LKR", 2), (*b"LRD", 2), (*b"LSL", 2), (*b"LYD", 3), (*b"MAD", 2), (*b"MDL", 2), (*b"MGA", 2), (*b"MKD", 2),
    (*b"MMK", 2), (*b"MNT", 2), (*b"MOP", 2), (*b"MRU", 2), (*b"MUR", 2), (*b"MVR", 2), (*b"MWK", 2), (*b"MXN", 2),
    (*b"MXV", 2), (*b"MYR", 2), (*b"MZN", 2), (*b"NAD", 2), (*b"NGN", 2), (*b"NIO", 2), (*b"NOK", 2), (*b"NPR", 2),
    (*b"NZD", 2), (*b"OMR", 3), (*b"PAB", 2), (*b"PEN", 2), (*b"PGK", 2), (*b"PHP", 2), (*b"PKR", 2), (*b"PLN", 2),
    (*b"PYG", 0), (*b"QAR", 2), (*b"RON", 2), (*b"RSD", 2), (*b"RUB", 2), (*b"RWF", 0), (*b"SAR", 2), (*b"SBD", 2),
    (*b"SCR", 2), (*b"SDG", 2), (*b"SEK", 2), (*b"SGD", 2), (*b"SHP", 2), (*b"SLE", 2), (*b"SOS", 2), (*b"SRD", 2),
    (*b"SSP", 2), (*b"STN", 2), (*b"SVC", 2), (*b"SYP", 2), (*b"SZL", 2), (*b"THB", 2), (*b"TJS", 2), (*b"TMT", 2),
    (*b"TND", 3), (*b"TOP", 2), (*b"TRY", 2), (*b"TTD", 2), (*b"TWD", 2), (*b"TZS", 2), (*b"UAH", 2), (*b"UGX", 0),
    (*b"USD", 2), (*b"USN", 2), (*b"UYI", 0), (*b"UYU", 2), (*b"UYW", 4), (*b"UZS", 2), (*b"VED", 2), (*b"VES", 2),
    (*b"VND", 0), (*b"VUV", 0), (*b"WST", 2), (*b"XAD", 2), (*b"XAF", 0), (*b"XCD", 2), (*b"XCG", 2), (*b"XOF", 0),
    (*b"XPF", 0), (*b"YER", 2), (*b"ZAR", 2), (*b"ZMW", 2), (*b"ZWG", 2),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_in_order_and_each_once() {
        assert!(CODES.is_sorted_by(|(a, _), (b, _)| a < b));
    }

    #[test]
    fn decimals_of_currencies() {
        for (code, decimals) in [
            ("GBP", 2),
            ("EUR", 2),
            ("JPY", 0),
            ("KWD", 3),
            ("CLF", 4),
            ("ISK", 0),
            ("UYW", 4),
        ] {
            assert_eq!(
                code.parse::<Currency>().expect(code).decimals(),
                Some(decimals),
                "{code}"
            );
        }
    }

    #[test]
    fn what_is_no_active_currency_is_refused() {
        for code in [
            "",
            "G",
            "gbp",
            "GBPX",
            "XXX",
            "XAU",
            "DEM",
            "ZWL",
            "£",
            "GBP ",
            "pounds sterling and pence",
        ] {
            assert_eq!(code.parse::<Currency>(), Err(UnknownCurrency(code.to_owned())));
            assert!(!Currency::keep(code).is_known(), "{code}");
        }
    }

    #[test]
    fn text_is_kept_and_cut_between_characters() {
        assert_eq!(Currency::keep("galleons").as_str(), "galleons");
        assert_eq!(Currency::keep("££££££££££").as_str(), "£££££££");
    }
}
