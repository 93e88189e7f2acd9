//! OAUTHBEARER: tokens from a file and from a command, renewed before they end, and one that is never renewed.

use std::fs;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::guarded::{Client, Guarded};
use crate::support::process::COMMANDS;
use crate::support::wait_until;
use crate::{does_everything, refused};

/// Seconds that a token of these tests holds. Brokers end a connection with the token it was opened with. librdkafka asks for
/// a new one after four fifths, looks at the clock once a second, and shows it to the brokers after nine tenths.
const HOLDS: u64 = 20;

#[test]
#[ignore = "needs the feature tls and Kafka's jars; run by ./tests/run"]
fn tokens_let_in_and_are_renewed() {
    let guarded = Guarded::start();
    topics_are_made_with_a_token(&guarded);
    a_token_from_a_command_is_renewed_before_it_ends(&guarded);
    a_token_is_read_from_its_file_each_time(&guarded);
    a_fixed_token_does_for_as_long_as_it_holds(&guarded);
}

/// The client for administration is never asked for a token, so it is given one.
fn topics_are_made_with_a_token(guarded: &Guarded) {
    let client = bearer(guarded).with("sasl.oauthbearer.token.command", &printing(600));
    client.run(&["topics", "apply", "--partitions", "2"]);
    let left = client.run(&["topics", "plan"]);
    assert!(left.contains("fine") && !left.contains("create"), "{left}");
}

fn a_token_from_a_command_is_renewed_before_it_ends(guarded: &Guarded) {
    let client = bearer(guarded);
    let calls = client.path().join("calls");
    let command = format!("echo x >> {}; {}", calls.display(), printing(HOLDS));
    let client = client.with("sasl.oauthbearer.token.command", &command);
    does_everything(&client);

    let called = || fs::read_to_string(&calls).unwrap_or_default().lines().count();
    let mut service = client.start(&["run", "inventory"]);
    let before = called();
    // Four for a start, of which two clients stay, and two more each time.
    wait_until("tokens renewed twice", Duration::from_secs(90), || {
        called() >= before + 8
    });
    assert!(!service.log().contains("limits of"), "{}", service.log());
    client.run(&["stock", "receive", "85123A", "1", "--wait"]);
    assert!(!service.log().contains("rror"), "{}", service.log());
    assert_eq!(
        service.stop(Duration::from_secs(10)).code(),
        Some(0),
        "{}",
        service.log()
    );
}

fn a_token_is_read_from_its_file_each_time(guarded: &Guarded) {
    let client = bearer(guarded);
    let file = client.path().join("token");
    let client = client.with("sasl.oauthbearer.token_file", &file.display().to_string());

    for arguments in &COMMANDS {
        let said = refused(&client, arguments, "unauthenticated");
        assert!(said.contains("token_file") && said.contains("cannot be read"), "{said}");
    }
    fs::write(&file, token("bearer", 0)).expect("a file");
    for arguments in &COMMANDS {
        let said = refused(&client, arguments, "unauthenticated");
        assert!(said.contains(" ended "), "{said}");
    }
    fs::write(&file, token("bearer", 600)).expect("a file");
    does_everything(&client);
}

fn a_fixed_token_does_for_as_long_as_it_holds(guarded: &Guarded) {
    let with = |token: &str| bearer(guarded).with("sasl.oauthbearer.token", token);
    does_everything(&with(&token("bearer", 600)));

    let ended = token("bearer", 0);
    for arguments in &COMMANDS {
        let said = refused(&with(&ended), arguments, "unauthenticated");
        assert!(said.contains("the token of sasl.oauthbearer.token ended "), "{said}");
        assert!(!said.contains(&ended), "{said}");
    }
}

fn bearer(guarded: &Guarded) -> Client {
    guarded
        .stranger("TOKENS")
        .with("security.protocol", "sasl_plaintext")
        .with("sasl.mechanism", "OAUTHBEARER")
}

/// A command that prints a token which holds for so many seconds from then on.
fn printing(seconds: u64) -> String {
    // The configuration file has single quotes around it.
    format!(
        "b() {{ base64 -w0 | tr \"+/\" \"-_\" | tr -d =; }}; now=$(date +%s); \
         printf \"%s.%s.\" \"$(printf \"{{\\\"alg\\\":\\\"none\\\"}}\" | b)\" \
         \"$(printf \"{{\\\"sub\\\":\\\"bearer\\\",\\\"iat\\\":$now,\\\"exp\\\":$((now + {seconds}))}}\" | b)\""
    )
}

/// A token that nobody signed, which a broker takes only in tests.
fn token(user: &str, seconds: u64) -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).expect("a clock").as_secs();
    let claims = format!(r#"{{"sub":"{user}","iat":{},"exp":{}}}"#, now - 1, now + seconds);
    format!("{}.{}.", base64(br#"{"alg":"none"}"#), base64(claims.as_bytes()))
}

/// Base64 for addresses, without padding.
fn base64(bytes: &[u8]) -> String {
    const DIGITS: &[u8] = b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_";
    let mut text = String::new();
    for chunk in bytes.chunks(3) {
        let word = chunk.iter().fold(0_usize, |word, byte| word << 8 | usize::from(*byte)) << (8 * (3 - chunk.len()));
        for place in 0..=chunk.len() {
            text.push(char::from(DIGITS[word >> (18 - 6 * place) & 63]));
        }
    }
    text
}
