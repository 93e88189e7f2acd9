//! Amounts as people write them, and as whole minor units.

use thiserror::Error;

use super::Currency;

/// Most decimals of a price that is rounded to minor units; more would not be a price.
pub const MAX_ROUNDED_DECIMALS: usize = 9;

/// The text is not an amount of that currency.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum AmountError {
    /// Not digits with at most one point and one leading minus.
    #[error("{0:?} is not an amount; expected digits with a point before the decimals, such as 2.55")]
    NotANumber(String),
    /// More decimals than the currency has, or than rounding takes.
    #[error("{text:?} has more decimals than {at_most}, the most for {currency}")]
    TooManyDecimals {
        /// The amount as written.
        text: String,
        /// The most there may be.
        at_most: usize,
        /// The currency it was to be in.
        currency: Currency,
    },
    /// Beyond what 64 bits of minor units hold.
    #[error("{0:?} is too large an amount")]
    TooLarge(String),
    /// Not a currency this system takes.
    #[error("unknown currency {:?}", .0.as_str())]
    UnknownCurrency(Currency),
}

/// Exactly the minor units that `text` says: `2.55` GBP is 255, `2.5` GBP is 250, `7` JPY is 7.
///
/// # Errors
///
/// When it is no number, has more decimals than the currency, or does not fit.
pub fn parse_decimal(text: &str, currency: Currency) -> Result<i64, AmountError> {
    let decimals = decimals_of(currency)?;
    let written = Written::read(text)?;
    if written.decimals.len() > decimals {
        return Err(AmountError::TooManyDecimals {
            text: text.to_owned(),
            at_most: decimals,
            currency,
        });
    }
    written
        .minor(decimals)
        .ok_or_else(|| AmountError::TooLarge(text.to_owned()))
}

/// The minor units nearest to `text`, a half to the even neighbour: `0.125` GBP is 12, `0.135` GBP is 14.
///
/// For price lists that quote tenths of a penny. A half to even does not drift over many prices as a half up would.
///
/// # Errors
///
/// When it is no number, has more than [`MAX_ROUNDED_DECIMALS`] decimals, or does not fit.
pub fn parse_decimal_half_even(text: &str, currency: Currency) -> Result<i64, AmountError> {
    let decimals = decimals_of(currency)?;
    let written = Written::read(text)?;
    if written.decimals.len() > MAX_ROUNDED_DECIMALS {
        return Err(AmountError::TooManyDecimals {
            text: text.to_owned(),
            at_most: MAX_ROUNDED_DECIMALS,
            currency,
        });
    }
    written
        .minor_half_even(decimals)
        .ok_or_else(|| AmountError::TooLarge(text.to_owned()))
}

/// Minor units as people write them: 255 GBP is `2.55`, -5 GBP is `-0.05`, 7 JPY is `7`.
///
/// Of an unknown currency the bare minor units.
#[must_use]
pub fn format_minor(minor: i64, currency: Currency) -> String {
    let decimals = currency.decimals().unwrap_or(0);
    if decimals == 0 {
        return minor.to_string();
    }
    let sign = if minor < 0 { "-" } else { "" };
    let unit = 10_u64.pow(decimals);
    let (major, rest) = (minor.unsigned_abs() / unit, minor.unsigned_abs() % unit);
    format!("{sign}{major}.{rest:0width$}", width = decimals as usize)
}

fn decimals_of(currency: Currency) -> Result<usize, AmountError> {
    currency
        .decimals()
        .map(|decimals| decimals as usize)
        .ok_or(AmountError::UnknownCurrency(currency))
}

/// A decimal number, taken apart.
struct Written<'a> {
    negative: bool,
    whole: &'a str,
    decimals: &'a str,
}

impl<'a> Written<'a> {
    fn read(text: &'a str) -> Result<Self, AmountError> {
        let digits = text.strip_prefix('-').unwrap_or(text);
        let (whole, decimals) = match digits.split_once('.') {
            Some((whole, decimals)) if !decimals.is_empty() => (whole, decimals),
            Some(_) => return Err(AmountError::NotANumber(text.to_owned())),
            None => (digits, ""),
        };
        let all_digits = |part: &str| part.bytes().all(|byte| byte.is_ascii_digit());
        if whole.is_empty() || !all_digits(whole) || !all_digits(decimals) {
            return Err(AmountError::NotANumber(text.to_owned()));
        }
        Ok(Self {
            negative: text.starts_with('-'),
            whole,
            decimals,
        })
    }

    /// The number times ten to the power of `decimals`, of which it has no more.
    fn minor(&self, decimals: usize) -> Option<i64> {
        self.scaled(decimals).and_then(|units| i64::try_from(units).ok())
    }

    fn minor_half_even(&self, decimals: usize) -> Option<i64> {
        let surplus = self.decimals.len().saturating_sub(decimals);
        let units = self.scaled(decimals + surplus)?;
        let unit = 10_i128.pow(u32::try_from(surplus).ok()?);
        i64::try_from(divide_half_even(units, unit)).ok()
    }

    /// The number times ten to the power of `decimals`, which is at least the number of its own.
    fn scaled(&self, decimals: usize) -> Option<i128> {
        let zeros = std::iter::repeat_n(b'0', decimals - self.decimals.len());
        let digits = self.whole.bytes().chain(self.decimals.bytes()).chain(zeros);
        let sign = if self.negative { -1 } else { 1 };
        digits
            .map(|digit| sign * i128::from(digit - b'0'))
            .try_fold(0_i128, |sum, digit| sum.checked_mul(10)?.checked_add(digit))
    }
}

/// `value / unit` to the nearest whole number, a half to the even one.
fn divide_half_even(value: i128, unit: i128) -> i128 {
    let below = value.div_euclid(unit);
    let twice_rest = value.rem_euclid(unit) * 2;
    match twice_rest.cmp(&unit) {
        std::cmp::Ordering::Less => below,
        std::cmp::Ordering::Greater => below + 1,
        std::cmp::Ordering::Equal => below + below.rem_euclid(2),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn currency(code: &str) -> Currency {
        code.parse().expect("a currency")
    }

    #[test]
    fn amounts_are_read_exactly() {
        for (text, code, minor) in [
            ("2.55", "GBP", 255),
            ("2.5", "GBP", 250),
            ("2", "GBP", 200),
            ("0.07", "GBP", 7),
            ("-0.05", "GBP", -5),
            ("7", "JPY", 7),
            ("1.234", "KWD", 1_234),
            ("92233720368547758.07", "GBP", i64::MAX),
            ("-92233720368547758.08", "GBP", i64::MIN),
        ] {
            assert_eq!(parse_decimal(text, currency(code)), Ok(minor), "{text} {code}");
        }
    }

    #[test]
    fn what_is_no_amount_is_refused() {
        for text in ["", ".", "-", "1.", ".5", "1,5", "1e3", "+1", " 1", "1.2.3", "--1", "٣"] {
            assert_eq!(
                parse_decimal(text, currency("GBP")),
                Err(AmountError::NotANumber(text.to_owned()))
            );
        }
    }

    #[test]
    fn more_decimals_than_the_currency_has_are_refused() {
        for (text, code, at_most) in [("2.555", "GBP", 2), ("7.0", "JPY", 0), ("1.2345", "KWD", 3)] {
            let currency = currency(code);
            let error = AmountError::TooManyDecimals {
                text: text.to_owned(),
                at_most,
                currency,
            };
            assert_eq!(parse_decimal(text, currency), Err(error));
        }
    }

    #[test]
    fn too_large_an_amount_is_refused() {
        for text in ["92233720368547758.08", "9".repeat(60).as_str()] {
            assert_eq!(
                parse_decimal(text, currency("GBP")),
                Err(AmountError::TooLarge(text.to_owned()))
            );
        }
    }

    #[test]
    fn halves_go_to_the_even_neighbour() {
        for (text, minor) in [
            ("0.125", 12),
            ("0.135", 14),
            ("0.1251", 13),
            ("0.124", 12),
            ("2.55", 255),
            ("3", 300),
            ("-0.125", -12),
            ("-0.135", -14),
            ("-0.126", -13),
            ("0.005", 0),
        ] {
            assert_eq!(parse_decimal_half_even(text, currency("GBP")), Ok(minor), "{text}");
        }
    }

    proptest! {
        #[test]
        fn what_is_formatted_is_read_back(minor in any::<i64>(), code in prop_oneof!["GBP", "JPY", "KWD", "CLF"]) {
            let currency = currency(&code);
            prop_assert_eq!(parse_decimal(&format_minor(minor, currency), currency), Ok(minor));
        }

        #[test]
        fn rounding_leaves_exact_amounts_alone(minor in any::<i64>()) {
            let text = format_minor(minor, currency("GBP"));
            prop_assert_eq!(parse_decimal_half_even(&text, currency("GBP")), Ok(minor));
        }

        #[test]
        fn any_text_is_read_as_its_rounding_or_refused(text in "-?[0-9.]{0,12}|.{0,40}") {
            if let Ok(minor) = parse_decimal(&text, currency("GBP")) {
                prop_assert_eq!(parse_decimal_half_even(&text, currency("GBP")), Ok(minor));
            }
        }
    }
}
