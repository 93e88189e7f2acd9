//! Tokens for OAUTHBEARER: from the configuration, from a file that somebody renews, or from a command.

use std::error::Error;
use std::fmt;
use std::io::{self, ErrorKind, Read as _};
use std::os::unix::process::CommandExt as _;
use std::path::PathBuf;
use std::process::{Child, ChildStdout, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use base64::Engine as _;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use rdkafka::client::OAuthToken;
use rustix::process::{Pid, Signal, kill_process_group};
use serde::Deserialize;

/// How long a command may take to print a token. The client that asks waits meanwhile, and with it its heartbeats.
const COMMAND: Duration = Duration::from_secs(10);

/// Most a command may print: no token is larger, and brokers take much less.
const LARGEST: usize = 1 << 20;

/// What reads a command.
const SHELL: &str = "sh";

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
            Self::Command(command) => run(SHELL, command, COMMAND).map_err(|why| format!("{self} {why}")),
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

/// What a command prints until its shell ends. Its complaints go where ours go; when it takes longer than `limit`, it is ended.
fn run(shell: &str, command: &str, limit: Duration) -> Result<String, String> {
    let mut child = Command::new(shell)
        .args(["-c", command])
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        // One of its own, which can be ended as a whole.
        .process_group(0)
        .spawn()
        .map_err(|error| unstarted(shell, &error))?;
    let heard = listen(&mut child, Instant::now() + limit);
    end(&mut child).map_err(|error| format!("cannot be ended: {error}"))?;
    match heard.map_err(|error| format!("cannot be read: {error}"))? {
        None => Err(format!("took longer than {} s", limit.as_secs())),
        Some((status, _)) if !status.success() => Err(format!("ended with {status}")),
        Some((_, printed)) => String::from_utf8(printed).map_err(|_| "printed something that is no text".to_owned()),
    }
}

/// Images have no shell: docs/decisions/0091-an-image-without-a-shell.md.
fn unstarted(shell: &str, error: &io::Error) -> String {
    match error.kind() {
        ErrorKind::NotFound => format!(
            "cannot be run: there is no {shell} here, as in the image; set sasl.oauthbearer.token_file instead, or build the \
             image on a BASE_IMAGE with a shell"
        ),
        _ => format!("cannot be run: {error}"),
    }
}

/// How the shell ended and what was printed by then; nothing when it has not ended in time. The end of the pipe is not waited
/// for: what was put into the background may hold it open for as long as it likes.
fn listen(child: &mut Child, until: Instant) -> io::Result<Option<(ExitStatus, Vec<u8>)>> {
    let mut pipe = child.stdout.take().ok_or(ErrorKind::BrokenPipe)?;
    rustix::io::ioctl_fionbio(&pipe, true)?;
    let mut printed = Vec::new();
    loop {
        // Before the pipe is read: a shell that has ended puts nothing more into it.
        let ended = child.try_wait()?;
        read_what_is_there(&mut pipe, &mut printed)?;
        match ended {
            Some(status) => return Ok(Some((status, printed))),
            None if Instant::now() >= until => return Ok(None),
            None => std::thread::sleep(Duration::from_millis(10)),
        }
    }
}

fn read_what_is_there(pipe: &mut ChildStdout, printed: &mut Vec<u8>) -> io::Result<()> {
    let room = u64::try_from(LARGEST - printed.len()).unwrap_or_default();
    match pipe.take(room).read_to_end(printed) {
        Err(error) if error.kind() != ErrorKind::WouldBlock => Err(error),
        _ if printed.len() == LARGEST => Err(io::Error::other("it is too long for a token")),
        _ => Ok(()),
    }
}

/// Ends a shell that still runs, with whatever it has started. While it has not been waited for, its number is nobody else's.
fn end(child: &mut Child) -> io::Result<()> {
    if child.try_wait()?.is_none() {
        kill_process_group(Pid::from_child(child), Signal::KILL)?;
        child.wait()?;
    }
    Ok(())
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

    #[test]
    fn a_command_that_takes_too_long_ends_with_all_it_has_started() {
        let folder = tempfile::tempdir().expect("a folder");
        let file = folder.path().join("group");
        let began = Instant::now();
        let command = format!("echo $$ >{}; sleep 60 | cat", file.display());
        let refused = run(SHELL, &command, Duration::from_secs(1));
        assert_eq!(refused, Err("took longer than 1 s".to_owned()));
        assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
        let group = std::fs::read_to_string(&file).expect("its group");
        let until = Instant::now() + Duration::from_secs(10);
        while is_alive(group.trim()) {
            assert!(Instant::now() < until, "a process of group {group} is left");
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// Whether a process of this group runs; one that nobody has waited for yet does not.
    fn is_alive(group: &str) -> bool {
        let processes = std::fs::read_dir("/proc").expect("Linux").flatten();
        processes.into_iter().any(|process| {
            let told = std::fs::read_to_string(process.path().join("stat")).unwrap_or_default();
            // After the name: state, parent, group.
            let told: Vec<_> = told.rsplit(") ").next().unwrap_or_default().split(' ').collect();
            told.len() > 3 && told[2] == group && told[0] != "Z"
        })
    }

    #[test]
    fn a_token_does_not_wait_for_what_is_in_the_background() {
        let began = Instant::now();
        let printed = run(SHELL, "sleep 60 & echo $!", Duration::from_secs(30)).expect("a token");
        let sleeper = Pid::from_raw(printed.trim().parse().expect("a number")).expect("a process");
        rustix::process::kill_process(sleeper, Signal::KILL).expect("it runs on");
        assert!(began.elapsed() < Duration::from_secs(20), "{:?}", began.elapsed());
    }

    #[test]
    fn what_is_too_long_for_a_token_is_not_read_to_its_end() {
        let refused = run(SHELL, "yes", Duration::from_mins(1));
        assert_eq!(refused, Err("cannot be read: it is too long for a token".to_owned()));
    }

    #[test]
    fn where_there_is_no_shell_the_way_out_is_told() {
        let refused = run("/nowhere/sh", "echo token", COMMAND).expect_err("no shell");
        for part in [
            "there is no /nowhere/sh here",
            "set sasl.oauthbearer.token_file",
            "BASE_IMAGE",
        ] {
            assert!(refused.contains(part), "{refused}");
        }
    }
}
