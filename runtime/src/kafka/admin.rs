//! Clients for administration, and the one call past the client library that gives them a token.

use std::ffi::CString;
use std::ptr;

use rdkafka::ClientContext;
use rdkafka::admin::AdminClient;
use rdkafka::bindings::rd_kafka_oauthbearer_set_token;
use rdkafka::client::OAuthToken;
use rdkafka::error::{IsError as _, KafkaError};
use thiserror::Error;

use super::{Connection, plain};

/// A client for administration could not be made.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum NoAdmin {
    /// A property that librdkafka does not take, in its words.
    #[error("{0}")]
    Configuration(String),
    /// No token for OAUTHBEARER, and why.
    #[error("{0}")]
    Token(String),
}

impl Connection {
    /// A client that describes and changes topics. It is connected for a task and then dropped: with OAUTHBEARER it has the
    /// token that it begins with, and asks for no other.
    ///
    /// # Errors
    /// [`NoAdmin`]: what to set differently, or why there is no token.
    pub fn administering<C: ClientContext>(&self, context: C) -> Result<AdminClient<C>, NoAdmin> {
        let made = self.client(&[]).create_with_context(context);
        let client = made.map_err(|error: KafkaError| NoAdmin::Configuration(plain(&error)))?;
        if self.tokens.is_some() {
            let token = self.tokens().fresh();
            let given = token
                .map_err(|why| why.to_string())
                .and_then(|token| give(&client, &token));
            given.map_err(NoAdmin::Token)?;
        }
        Ok(client)
    }
}

/// Most bytes of the sentence in which librdkafka refuses a token.
const SENTENCE: usize = 512;

/// Gives the client a token. Other clients are asked for theirs when they are polled; nobody polls this one, and the client
/// library has no other way.
#[expect(
    unsafe_code,
    reason = "rdkafka wraps this function only for clients that are polled; decision 0098"
)]
fn give<C: ClientContext>(client: &AdminClient<C>, token: &OAuthToken) -> Result<(), String> {
    let text = |text: &str| CString::new(text).map_err(|_| "the token has a null character in it".to_owned());
    let (value, principal) = (text(&token.token)?, text(&token.principal_name)?);
    let mut sentence = [0_u8; SENTENCE];
    // SAFETY: the client behind the pointer lives for as long as `client` is borrowed. The texts end in a null character,
    // live until after the call, and are copied by it. There are no extensions, which a null pointer and 0 say. The
    // sentence is written into as many bytes as are named, its null character among them. The lifetime is one that C can
    // turn into microseconds.
    let answer = unsafe {
        rd_kafka_oauthbearer_set_token(
            client.inner().native_ptr(),
            value.as_ptr(),
            token.lifetime_ms.min(i64::MAX / 1_000),
            principal.as_ptr(),
            ptr::null_mut(),
            0,
            sentence.as_mut_ptr().cast(),
            sentence.len(),
        )
    };
    if !answer.is_error() {
        return Ok(());
    }
    let end = sentence.iter().position(|byte| *byte == 0).unwrap_or(SENTENCE);
    Err(String::from_utf8_lossy(&sentence[..end]).into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kafka::{Asking, TokenSource};

    #[test]
    fn a_token_that_cannot_be_had_is_said_and_not_waited_for() {
        let connection = Connection {
            tokens: Some(TokenSource::Fixed(String::new())),
            ..Connection::to("127.0.0.1:1")
        };
        let refused = connection.administering(Asking::default()).err();
        assert!(
            matches!(&refused, Some(NoAdmin::Token(why)) if why.contains("empty token")),
            "{refused:?}"
        );
    }

    #[test]
    fn a_client_that_takes_no_tokens_says_so() {
        let client = Connection::to("127.0.0.1:1").administering(Asking::default());
        let token = OAuthToken {
            token: "a-token".to_owned(),
            principal_name: "somebody".to_owned(),
            lifetime_ms: i64::MAX,
        };
        let refused = give(&client.expect("a client"), &token).expect_err("it speaks no SASL");
        assert!(!refused.is_empty());
    }
}
