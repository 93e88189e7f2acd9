//! Tokens for OAUTHBEARER: from the configuration, from a file that somebody renews, or from a command.

use std::error::Error;
use std::fmt;
use std::io::{self, Read as _};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use rdkafka::client::OAuthToken;
use serde::Deserialize;

/// How long a command may take to print a token. The client that asks waits meanwhile, and with it its heartbeats.
const COMMAND: Duration = Duration::from_secs(10);

/// Most a command may print: no token is larger, and brokers take much less.
const LARGEST: u64 = 1 << 20;

/// After how long a token that does not tell its end is asked for again; librdkafka does so after four fifths.
const UNTOLD: Duration = Duration::from_mins(5);

/// Who a token is of when it does not say so. Only librdkafka's own log names it.
const NOBODY: &str = "orderflow";

/// Where tokens for OAUTHBEARER come from.
#[derive(Clone, PartialEq, Eq)]
pub enum TokenSource {
    /// The token itself.
    Fixed(String),
    /// A file, read again for each token.
    File(PathBuf),
    /// A command for `sh`, run for each token, which prints it.
    Command(String),
}

impl fmt::Debug for TokenSource {
    /// Neither the token nor the command, which may have a secret in it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Fixed(_) => "Fixed",
            Self::File(_) => "File",
            Self::Command(_) => "Command",
        })
    }
}

/// What a client's context asks for tokens; empty where OAUTHBEARER is not used.
#[derive(Debug, Clone, Default)]
pub struct Tokens(Option<TokenSource>);

impl Tokens {
    pub(super) fn from(source: Option<TokenSource>) -> Self {
        Self(source)
    }

    /// A token that holds now. librdkafka asks again before it ends.
    ///
    /// # Errors
    /// A sentence that says where the token should have come from, and never the token.
    pub fn fresh(&self) -> Result<OAuthToken, Box<dyn Error>> {
        let source = self.0.as_ref().ok_or("no token is configured")?;
        // librdkafka takes the sentence only without a null character.
        let told = |why: String| Box::<dyn Error>::from(why.replace('\0', ""));
        source.fresh(SystemTime::now()).map_err(told)
    }
}

impl TokenSource {
    fn fresh(&self, now: SystemTime) -> Result<OAuthToken, String> {
        let text = self.text()?;
        let token = text.trim();
        if token.is_empty() {
            return Err(format!("{self} gave an empty token"));
        }
        if !token.bytes().all(|byte| byte.is_ascii_graphic()) {
            return Err(format!("{self} gave something that is no token"));
        }
        let now = i64::try_from(now.duration_since(UNIX_EPOCH).unwrap_or_default().as_millis()).unwrap_or(i64::MAX);
        let claims = claims(token);
        let untold = now.saturating_add(i64::try_from(UNTOLD.as_millis()).unwrap_or(i64::MAX));
        let end = claims.exp.map_or(untold, |seconds| seconds.saturating_mul(1_000));
        if end <= now {
            return Err(format!("the token of {self} ended {} s ago", (now - end) / 1_000));
        }
        Ok(OAuthToken {
            token: token.to_owned(),
            principal_name: claims
                .sub
                .filter(|sub| !sub.contains('\0'))
                .unwrap_or_else(|| NOBODY.to_owned()),
            lifetime_ms: end,
        })
    }

    fn text(&self) -> Result<String, String> {
        match self {
            Self::Fixed(token) => Ok(token.clone()),
            Self::File(path) => {
                std::fs::read_to_string(path).map_err(|error| format!("{self} cannot be read: {error}"))
            }
            Self::Command(command) => run(command).map_err(|why| format!("{self} {why}")),
        }
    }
}

impl fmt::Display for TokenSource {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Fixed(_) => f.write_str("sasl.oauthbearer.token"),
            Self::File(path) => write!(f, "sasl.oauthbearer.token_file {}", path.display()),
            Self::Command(_) => f.write_str("sasl.oauthbearer.token.command"),
        }
    }
}

/// What a command prints. Its complaints go where ours go; it is ended when it takes too long.
fn run(command: &str) -> Result<String, String> {
    let mut child = Command::new("sh")
        .args(["-c", command])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .spawn()
        .map_err(|error| format!("cannot be run: {error}"))?;
    let pipe = child.stdout.take();
    // Reading on a thread of its own: a pipe that is not read stops who writes into it.
    let reading = std::thread::spawn(move || {
        let mut printed = String::new();
        match pipe {
            Some(pipe) => pipe.take(LARGEST).read_to_string(&mut printed).map(|_| printed),
            None => Ok(printed),
        }
    });
    let status = wait(&mut child).map_err(|error| format!("cannot be waited for: {error}"))?;
    match status {
        None => Err(format!("took longer than {} s", COMMAND.as_secs())),
        Some(status) if !status.success() => Err(format!("ended with {status}")),
        Some(_) => match reading.join() {
            Ok(Ok(printed)) => Ok(printed),
            _ => Err("printed something that is no text".to_owned()),
        },
    }
}

fn wait(child: &mut Child) -> io::Result<Option<std::process::ExitStatus>> {
    let until = Instant::now() + COMMAND;
    loop {
        if let Some(status) = child.try_wait()? {
            return Ok(Some(status));
        }
        if Instant::now() >= until {
            child.kill()?;
            child.wait()?;
            return Ok(None);
        }
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// What a token says of itself, if it is a JSON web token. Nothing is verified: that is the broker's to do.
#[derive(Debug, Default, Deserialize)]
struct Claims {
    #[serde(default)]
    exp: Option<i64>,
    #[serde(default)]
    sub: Option<String>,
}

fn claims(token: &str) -> Claims {
    let payload = token.split('.').nth(1).unwrap_or_default();
    let payload = BASE64_URL_SAFE_NO_PAD.decode(payload.trim_end_matches('='));
    payload
        .ok()
        .and_then(|payload| serde_json::from_slice(&payload).ok())
        .unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// `{"sub":"shop","exp":2000000000}`
    const TOKEN: &str = "eyJhbGciOiJub25lIn0.eyJzdWIiOiJzaG9wIiwiZXhwIjoyMDAwMDAwMDAwfQ.";

    fn at(seconds: u64) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(seconds)
    }

    #[test]
    fn a_token_tells_whose_it_is_and_when_it_ends() {
        let token = TokenSource::Fixed(format!("{TOKEN}\n")).fresh(at(1_999_999_999));
        let token = token.expect("a token that holds");
        assert_eq!((&*token.token, &*token.principal_name), (TOKEN, "shop"));
        assert_eq!(token.lifetime_ms, 2_000_000_000_000);
    }

    #[test]
    fn a_token_that_tells_nothing_is_asked_for_again() {
        let token = TokenSource::Fixed("opaque".to_owned())
            .fresh(at(1_000))
            .expect("a token");
        assert_eq!((&*token.principal_name, token.lifetime_ms), (NOBODY, 1_300_000));
    }

    #[test]
    fn what_is_no_token_is_refused_without_being_repeated() {
        let refused = |source: TokenSource| match source.fresh(at(2_000_000_060)) {
            Err(why) => why,
            Ok(_) => panic!("{source} is taken"),
        };
        assert_eq!(
            refused(TokenSource::Fixed(TOKEN.to_owned())),
            "the token of sasl.oauthbearer.token ended 60 s ago"
        );
        assert!(refused(TokenSource::Fixed("a b".to_owned())).ends_with("gave something that is no token"));
        assert!(refused(TokenSource::Command("echo".to_owned())).ends_with("gave an empty token"));
        assert!(refused(TokenSource::Command("echo canary; exit 3".to_owned())).ends_with("ended with exit status: 3"));
        assert!(refused(TokenSource::File("/nowhere/token".into())).contains("/nowhere/token cannot be read"));
        assert_eq!(format!("{:?}", TokenSource::Fixed(TOKEN.to_owned())), "Fixed");
    }

    #[test]
    fn a_command_prints_a_token() {
        let token = TokenSource::Command(format!("echo {TOKEN}"))
            .fresh(at(1))
            .expect("a token");
        assert_eq!(token.token, TOKEN);
    }
}
