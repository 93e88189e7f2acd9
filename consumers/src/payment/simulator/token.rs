//! What a payment token tells the simulator to do.

use std::time::Duration;

/// A token's meaning.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Token<'a> {
    Ok,
    Decline(&'a str),
    /// So many answers are lost.
    Flaky(u32),
    /// It takes so long.
    Slow(Duration),
    Unknown,
}

impl<'a> Token<'a> {
    pub(super) fn parse(text: &'a str) -> Self {
        let after = |prefix| text.strip_prefix(prefix).filter(|rest: &&str| !rest.is_empty());
        let known = match text {
            "tok_ok" => Some(Self::Ok),
            _ => after("tok_decline_")
                .map(Self::Decline)
                .or_else(|| after("tok_flaky_")?.parse().ok().map(Self::Flaky))
                .or_else(|| Some(Self::Slow(Duration::from_millis(after("tok_slow_")?.parse().ok()?)))),
        };
        known.unwrap_or(Self::Unknown)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tokens_are_read() {
        for (text, token) in [
            ("tok_ok", Token::Ok),
            ("tok_decline_lost_card", Token::Decline("lost_card")),
            ("tok_flaky_3", Token::Flaky(3)),
            ("tok_slow_250", Token::Slow(Duration::from_millis(250))),
            ("tok_decline_", Token::Unknown),
            ("tok_flaky_", Token::Unknown),
            ("tok_flaky_-1", Token::Unknown),
            ("tok_slow_soon", Token::Unknown),
            ("tok_okay", Token::Unknown),
            ("", Token::Unknown),
        ] {
            assert_eq!(Token::parse(text), token, "{text}");
        }
    }
}
