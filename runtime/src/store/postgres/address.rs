//! Where a database is and how to reach it, from a URL as libpq reads it.
//!
//! Nothing in here prints a password: [`PostgresAddress`] shows hosts, database and user only.

use std::fmt;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::str::FromStr as _;
use std::time::Duration;

use thiserror::Error;
use tokio_postgres::Config;
use tokio_postgres::config::Host;

use super::connect::KEEPALIVE_IDLE;
use super::password::Secret;
use super::tls::SYSTEM;

/// How the connection is encrypted, and how far the server must prove who it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum TlsMode {
    /// Not at all.
    Disable,
    /// If the server can; anybody may be the server.
    Prefer,
    /// Always; anybody may be the server, unless a root certificate is named.
    Require,
    /// Always, and its certificate is signed by a known authority.
    VerifyCa,
    /// Always, and its certificate is signed by a known authority and bears the host's name.
    VerifyFull,
}

/// A URL that names no database this program can use. The URL is not in it: it may hold a password.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{0}")]
pub struct InvalidAddress(String);

/// A group's place in a PostgreSQL database.
#[derive(Clone)]
pub struct PostgresAddress {
    /// Everything but hosts, ports and the password.
    pub(super) config: Config,
    pub(super) hosts: Vec<(Host, u16)>,
    /// Which of its only host's addresses is meant, where that is known.
    pub(super) at: Option<IpAddr>,
    pub(super) tls: TlsMode,
    pub(super) root_certificates: Option<PathBuf>,
    pub(super) password: Option<Secret>,
    pub(super) password_file: Option<PathBuf>,
    pub(super) database: String,
    pub(super) user: String,
    pub(super) schema: String,
}

/// The longest name PostgreSQL keeps; beyond it two schemas would be one.
const NAME_BYTES: usize = 63;

impl PostgresAddress {
    /// Reads `postgres://user@host:port,host:port/database?parameters`.
    ///
    /// Parameters are libpq's, those that `docs/command-line.md` lists; any other is refused, for whoever wrote it relies on
    /// it. And `schema` of our own, which is `{service}` when nobody says anything. Wherever `{service}` stands in the URL, in
    /// the name of a host or of a user too, it stands for `service`. What the URL leaves open is read from `PGUSER`, `PGSSLMODE`, `PGSSLROOTCERT`, `PGPASSFILE` and `PGPASSWORD`.
    ///
    /// # Errors
    /// What of it cannot be used.
    pub fn parse(url: &str, service: &str) -> Result<Self, InvalidAddress> {
        let url = url.replace("{service}", service);
        let (rest, query) = url.split_once('?').unwrap_or((&url, ""));
        let mut ours = Ours::default();
        let passed_on = ours.take(query)?;
        let config = Config::from_str(&format!("{rest}?{}", passed_on.join("&")));
        let mut config = config.map_err(|error| invalid(why(&error)))?;
        ours.set(&mut config);
        let user = config.get_user().map(str::to_owned).or_else(|| variable("PGUSER"));
        let user = user.ok_or_else(|| invalid("no user is named; write postgres://USER@HOST/DATABASE"))?;
        let database = config.get_dbname().map(str::to_owned).filter(|name| !name.is_empty());
        let database = database.ok_or_else(|| invalid("no database is named; write postgres://USER@HOST/DATABASE"))?;
        config.user(&*user);
        Ok(Self {
            hosts: hosts(&config)?,
            at: None,
            tls: ours.tls()?,
            root_certificates: ours.root_certificates(),
            password: config.get_password().map(Secret::new),
            password_file: ours.password_file,
            database,
            user,
            schema: schema(ours.schema.as_deref(), service)?,
            config,
        })
    }

    /// How to name it to a person.
    #[must_use]
    pub fn location(&self) -> String {
        let hosts: Vec<_> = self.hosts.iter().map(|(host, port)| place(host, *port)).collect();
        format!(
            "postgres://{}/{} schema {}",
            hosts.join(","),
            self.database,
            self.schema
        )
    }

    /// The schema of the group.
    #[must_use]
    pub fn schema(&self) -> &str {
        &self.schema
    }
}

impl fmt::Debug for PostgresAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PostgresAddress")
            .field("location", &self.location())
            .field("user", &self.user)
            .field("tls", &self.tls)
            .finish_non_exhaustive()
    }
}

/// `url` without its password, for who shows what was said.
#[must_use]
pub fn masked(url: &str) -> String {
    let (rest, query) = match url.split_once('?') {
        // A question mark that is not encoded, in a password.
        Some((_, query)) if query.contains('@') => (url, None),
        Some((rest, query)) => (rest, Some(query)),
        None => (url, None),
    };
    let credentials = rest.split_once("://").and_then(|(scheme, rest)| {
        let (user, place) = rest.rsplit_once('@')?;
        let (user, _) = user.split_once(':')?;
        Some(format!("{scheme}://{user}:***@{place}"))
    });
    let mut shown = credentials.unwrap_or_else(|| rest.to_owned());
    if let Some(query) = query {
        let pairs = query.split('&').map(|pair| match pair.split_once('=') {
            Some((name, _)) if name.contains("password") => format!("{name}=***"),
            _ => pair.to_owned(),
        });
        shown = format!("{shown}?{}", pairs.collect::<Vec<_>>().join("&"));
    }
    shown
}

pub(super) fn place(host: &Host, port: u16) -> String {
    match host {
        Host::Tcp(name) if name.contains(':') => format!("[{name}]:{port}"),
        Host::Tcp(name) => format!("{name}:{port}"),
        #[cfg(unix)]
        Host::Unix(path) => format!("{}:{port}", path.display()),
    }
}

/// An identifier as SQL takes it.
pub(super) fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

pub(super) fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

fn invalid(why: impl Into<String>) -> InvalidAddress {
    InvalidAddress(why.into())
}

/// Which part cannot be read; the text of the URL is never repeated.
fn why(error: &tokio_postgres::Error) -> String {
    use std::error::Error as _;
    let cause = error.source().map(ToString::to_string);
    // An option's name is what its writer needs; of anything else only that it is wrong can be said safely.
    let named = cause.filter(|cause| cause.starts_with("unknown option") || cause.starts_with("invalid value"));
    let said = named.unwrap_or_else(|| "it is not a URL of PostgreSQL".to_owned());
    format!("{said}; write postgres://USER@HOST:PORT/DATABASE")
}

fn hosts(config: &Config) -> Result<Vec<(Host, u16)>, InvalidAddress> {
    let hosts = config.get_hosts();
    if hosts.is_empty() {
        return Err(invalid("no host is named; write postgres://USER@HOST/DATABASE"));
    }
    // Taken for a host, the rest of the password would be shown and looked up.
    if hosts
        .iter()
        .any(|host| matches!(host, Host::Tcp(name) if name.contains('@')))
    {
        return Err(invalid(
            "there is more than one @; in a user or a password it is written %40",
        ));
    }
    let ports = config.get_ports();
    let port = |at: usize| match ports {
        [] => Ok(5432),
        [all] => Ok(*all),
        each => each
            .get(at)
            .copied()
            .ok_or_else(|| invalid("hosts and ports are not as many")),
    };
    let pairs = hosts.iter().enumerate().map(|(at, host)| Ok((host.clone(), port(at)?)));
    pairs.collect()
}

fn schema(said: Option<&str>, service: &str) -> Result<String, InvalidAddress> {
    // Here once more, for a URL may say its braces in hexadecimal.
    let schema = said.unwrap_or("{service}").replace("{service}", service);
    let reserved = schema.starts_with("pg_") || ["information_schema", "public"].contains(&schema.as_str());
    if schema.is_empty() || schema.len() > NAME_BYTES || schema.contains('\0') || reserved {
        return Err(invalid(format!(
            "{schema:?} cannot be the schema of a service; give it a name of its own of at most {NAME_BYTES} bytes"
        )));
    }
    Ok(schema)
}

/// The parameters of libpq that the client library reads as libpq does.
const TAKEN: &[&str] = &[
    "application_name",
    "connect_timeout",
    "dbname",
    "host",
    "keepalives",
    "keepalives_idle",
    "keepalives_interval",
    "options",
    "password",
    "port",
    "user",
];

/// What others may be set to, since it is what is done anyhow.
const DONE: &[(&str, &[&str])] = &[
    ("target_session_attrs", &["read-write", "primary"]),
    ("channel_binding", &["disable", "prefer"]),
    ("sslnegotiation", &["postgres"]),
    ("load_balance_hosts", &["disable"]),
];

/// The parameters that the client library does not know, or not as libpq does.
#[derive(Default)]
struct Ours {
    keepalives_idle: bool,
    keepalives_count: Option<u32>,
    user_timeout: Option<Duration>,
    mode: Option<String>,
    root_certificates: Option<PathBuf>,
    password_file: Option<PathBuf>,
    schema: Option<String>,
}

impl Ours {
    /// Takes what is ours out of a query; what is left is the library's.
    fn take<'a>(&mut self, query: &'a str) -> Result<Vec<&'a str>, InvalidAddress> {
        let mut left = Vec::new();
        for pair in query.split('&').filter(|pair| !pair.is_empty()) {
            let (name, value) = pair.split_once('=').unwrap_or((pair, ""));
            let value = decoded(value)?;
            match name {
                "sslmode" => self.mode = Some(value),
                "sslrootcert" => self.root_certificates = Some(value.into()),
                "passfile" => self.password_file = Some(value.into()),
                "schema" => self.schema = Some(value),
                "keepalives_count" => self.keepalives_count = number(name, &value)?,
                "tcp_user_timeout" => {
                    self.user_timeout = number(name, &value)?.map(|millis| Duration::from_millis(u64::from(millis)));
                }
                _ if TAKEN.contains(&name) => {
                    self.keepalives_idle |= name == "keepalives_idle" && value != "0";
                    left.push(pair);
                }
                _ if DONE
                    .iter()
                    .any(|(done, as_said)| *done == name && as_said.contains(&&*value)) => {}
                // The rest of a password with a question mark in it is not repeated.
                _ if query.contains('@') => {
                    return Err(invalid(
                        "what follows the question mark is not parameters; in a password ? is written %3F and @ %40",
                    ));
                }
                "target_session_attrs" => {
                    return Err(invalid(
                        "target_session_attrs: a service writes, so it can only be read-write",
                    ));
                }
                _ => return Err(untaken(name)),
            }
        }
        Ok(left)
    }

    /// What the library would not have read right. What nobody said is ours to choose, see `connect`.
    fn set(&self, config: &mut Config) {
        if !self.keepalives_idle {
            config.keepalives_idle(KEEPALIVE_IDLE);
        }
        if let Some(count) = self.keepalives_count {
            config.keepalives_retries(count);
        }
        if let Some(time) = self.user_timeout {
            config.tcp_user_timeout(time);
        }
    }

    fn tls(&self) -> Result<TlsMode, InvalidAddress> {
        let said = self.mode.clone().or_else(|| variable("PGSSLMODE"));
        // As libpq since 16: everybody has a certificate of some public authority, so the name must be looked at.
        let system = self.root_certificates().is_some_and(|path| path == Path::new(SYSTEM));
        let mode = match said.as_deref() {
            None | Some("verify-full") if system => TlsMode::VerifyFull,
            Some(weak) if system => {
                return Err(invalid(format!(
                    "sslmode {weak:?} is too weak for sslrootcert=system; it is verify-full"
                )));
            }
            None | Some("prefer") => TlsMode::Prefer,
            Some("disable") => TlsMode::Disable,
            // As libpq: who names an authority wants its signature looked at.
            Some("require") if self.root_certificates().is_some() => TlsMode::VerifyCa,
            Some("require") => TlsMode::Require,
            Some("verify-ca") => TlsMode::VerifyCa,
            Some("verify-full") => TlsMode::VerifyFull,
            Some(other) => {
                return Err(invalid(format!(
                    "sslmode {other:?} is not known; it is disable, prefer, require, verify-ca or verify-full"
                )));
            }
        };
        Ok(mode)
    }

    fn root_certificates(&self) -> Option<PathBuf> {
        let said = self.root_certificates.clone();
        said.or_else(|| variable("PGSSLROOTCERT").map(PathBuf::from))
    }
}

/// A number; 0 leaves it to us, as it leaves it to the system with libpq.
fn number(name: &str, value: &str) -> Result<Option<u32>, InvalidAddress> {
    let number: u32 = value
        .parse()
        .map_err(|_| invalid(format!("{name} is not a whole number from 0 on")))?;
    Ok(Some(number).filter(|number| *number > 0))
}

fn untaken(name: &str) -> InvalidAddress {
    let why = match name {
        "channel_binding" => "SCRAM is done without it, and the certificate is judged by sslmode",
        "hostaddr" => "write the address as the host, or name it in /etc/hosts",
        "load_balance_hosts" => "hosts are tried in the order of the URL",
        "sslnegotiation" => "TLS is asked for as before PostgreSQL 17",
        "sslcert" | "sslkey" | "sslpassword" => "no certificate of a client is shown",
        _ => "what is not honoured is refused; orderflow's docs/command-line.md lists what is taken",
    };
    invalid(format!("{name} is not taken like this: {why}"))
}

fn decoded(text: &str) -> Result<String, InvalidAddress> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut left = text.bytes();
    while let Some(byte) = left.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let digits = [left.next().unwrap_or(b' '), left.next().unwrap_or(b' ')];
        let digits = std::str::from_utf8(&digits)
            .ok()
            .and_then(|digits| u8::from_str_radix(digits, 16).ok());
        bytes.push(digits.ok_or_else(|| invalid("a % in a URL is followed by two hexadecimal digits"))?);
    }
    String::from_utf8(bytes).map_err(|_| invalid("a parameter is not UTF-8"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(url: &str) -> PostgresAddress {
        PostgresAddress::parse(url, "inventory").expect("an address")
    }

    fn refused(url: &str) -> String {
        let refused = PostgresAddress::parse(url, "inventory").expect_err("no address");
        refused.to_string()
    }

    #[test]
    fn hosts_database_and_schema_are_shown_and_no_password_is() {
        let address = parse("postgres://me:s3cret%40@one:5433,two:5434/shop?schema=of_{service}&sslmode=disable");
        assert_eq!(
            address.location(),
            "postgres://one:5433,two:5434/shop schema of_inventory"
        );
        let shown = format!("{address:?}");
        assert!(!shown.contains("s3cret"), "{shown}");
        assert_eq!(address.tls, TlsMode::Disable);
        assert_eq!(
            parse("postgres://{service}@{service}.db/shop").location(),
            "postgres://inventory.db:5432/shop schema inventory"
        );
        assert_eq!(
            parse("postgres://me@[::1]/shop").location(),
            "postgres://[::1]:5432/shop schema inventory"
        );
    }

    #[test]
    fn what_cannot_be_used_is_said_without_the_url() {
        for (url, part) in [
            ("postgres://me:s3cret@host", "no database"),
            ("postgres://me:s3cret@/shop", "no host"),
            ("postgres://me:s3cret@host/shop?sslmode=allow", "sslmode"),
            ("postgres://me:s3cret@host/shop?target_session_attrs=any", "read-write"),
            (
                "postgres://me:s3cret@host/shop?statement_timeout=3",
                "statement_timeout",
            ),
            ("postgres://me:s3cret@host:port/shop", "`port`"),
            ("postgres://me:a?s3cret=b@host/shop", "%3F"),
            ("postgres://me:a?s3cret@host/shop", "%3F"),
            ("postgres://me:a@s3cret@host/shop", "%40"),
            ("postgres://me:s3cret@host/shop?schema=public", "public"),
            ("postgres://me:s3cret@host/shop?schema=%zz", "hexadecimal"),
        ] {
            let said = refused(url);
            assert!(said.contains(part) && !said.contains("s3cret"), "{url}: {said}");
        }
    }

    #[test]
    fn a_parameter_that_is_not_honoured_is_refused_by_its_name() {
        for parameter in [
            "channel_binding=require",
            "hostaddr=127.0.0.1",
            "sslnegotiation=direct",
            "load_balance_hosts=random",
            "target_session_attrs=standby",
            "sslcert=me.pem",
            "sslkey=me.key",
            "sslcrl=list.pem",
            "gssencmode=require",
            "require_auth=scram-sha-256",
            "ssl_min_protocol_version=TLSv1.3",
            "keepalives_retries=3",
            "service=shop",
            "tcp_user_timeout=soon",
            "keepalives_count=-1",
            "Sslmode=disable",
        ] {
            let (name, _) = parameter.split_once('=').expect("a pair");
            let said = refused(&format!("postgres://me@host/shop?sslmode=disable&{parameter}"));
            assert!(said.contains(name), "{parameter}: {said}");
        }
        for as_done in [
            "channel_binding=prefer",
            "sslnegotiation=postgres",
            "load_balance_hosts=disable",
            "target_session_attrs=read-write",
        ] {
            parse(&format!("postgres://me@host/shop?{as_done}"));
        }
    }

    #[test]
    fn the_authorities_of_the_system_are_believed_about_names_only() {
        for (parameters, mode) in [
            ("sslrootcert=system", Some(TlsMode::VerifyFull)),
            ("sslrootcert=system&sslmode=verify-full", Some(TlsMode::VerifyFull)),
            ("sslrootcert=system&sslmode=verify-ca", None),
            ("sslrootcert=system&sslmode=require", None),
            ("sslrootcert=system&sslmode=prefer", None),
            ("sslrootcert=system&sslmode=disable", None),
        ] {
            let url = format!("postgres://me@host/shop?{parameters}");
            match mode {
                Some(mode) => assert_eq!(parse(&url).tls, mode, "{parameters}"),
                None => assert!(refused(&url).contains("too weak"), "{parameters}"),
            }
        }
    }

    #[test]
    fn a_named_authority_is_asked() {
        let address = parse("postgres://me@host/shop?sslmode=require&sslrootcert=%2Fca.pem");
        assert_eq!(address.tls, TlsMode::VerifyCa);
        assert_eq!(
            address.root_certificates.as_deref(),
            Some(std::path::Path::new("/ca.pem"))
        );
    }

    #[test]
    fn a_url_is_shown_without_its_password() {
        for (url, shown) in [
            ("postgres://me:s3@cret@host/shop", "postgres://me:***@host/shop"),
            ("postgres://me:s3?cret@host/shop", "postgres://me:***@host/shop"),
            (
                "postgres://me@host/shop?password=x&sslmode=disable",
                "postgres://me@host/shop?password=***&sslmode=disable",
            ),
            ("sqlite:{data_dir}/{service}.db", "sqlite:{data_dir}/{service}.db"),
        ] {
            assert_eq!(masked(url), shown);
        }
    }
}
