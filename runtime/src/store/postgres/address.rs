//! Where a database is and how to reach it, from a URL as libpq reads it.
//!
//! Nothing in here prints a password: [`PostgresAddress`] shows hosts, database and user only.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr as _;

use thiserror::Error;
use tokio_postgres::Config;
use tokio_postgres::config::Host;

use super::password::Secret;

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
    /// Parameters are libpq's (`sslmode`, `sslrootcert`, `passfile`, `connect_timeout`, `application_name`,
    /// `keepalives…`, `host`), and `schema` of our own, in which `{service}` stands for `service`; it is `{service}` when
    /// nobody says anything. What the URL leaves open is read from `PGUSER`, `PGSSLMODE`, `PGSSLROOTCERT`, `PGPASSFILE`
    /// and `PGPASSWORD`.
    ///
    /// # Errors
    /// What of it cannot be used.
    pub fn parse(url: &str, service: &str) -> Result<Self, InvalidAddress> {
        let (rest, query) = url.split_once('?').unwrap_or((url, ""));
        let mut ours = Ours::default();
        let passed_on = ours.take(query)?;
        let url = if passed_on.is_empty() {
            rest.to_owned()
        } else {
            format!("{rest}?{}", passed_on.join("&"))
        };
        let mut config = Config::from_str(&url).map_err(|error| invalid(why(&error)))?;
        let user = config.get_user().map(str::to_owned).or_else(|| variable("PGUSER"));
        let user = user.ok_or_else(|| invalid("no user is named; write postgres://USER@HOST/DATABASE"))?;
        let database = config.get_dbname().map(str::to_owned).filter(|name| !name.is_empty());
        let database = database.ok_or_else(|| invalid("no database is named; write postgres://USER@HOST/DATABASE"))?;
        config.user(&*user);
        Ok(Self {
            hosts: hosts(&config)?,
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
    let schema = said.unwrap_or("{service}").replace("{service}", service);
    let reserved = schema.starts_with("pg_") || ["information_schema", "public"].contains(&schema.as_str());
    if schema.is_empty() || schema.len() > NAME_BYTES || schema.contains('\0') || reserved {
        return Err(invalid(format!(
            "{schema:?} cannot be the schema of a service; give it a name of its own of at most {NAME_BYTES} bytes"
        )));
    }
    Ok(schema)
}

/// The parameters that the client library does not know, or not as libpq does.
#[derive(Default)]
struct Ours {
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
                "target_session_attrs" if ["read-write", "primary"].contains(&value.as_str()) => {}
                "target_session_attrs" => {
                    return Err(invalid(
                        "target_session_attrs: a service writes, so it can only be read-write",
                    ));
                }
                _ => left.push(pair),
            }
        }
        Ok(left)
    }

    fn tls(&self) -> Result<TlsMode, InvalidAddress> {
        let said = self.mode.clone().or_else(|| variable("PGSSLMODE"));
        let mode = match said.as_deref() {
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
            ("postgres://me:a@s3cret@host/shop", "%40"),
            ("postgres://me:s3cret@host/shop?schema=public", "public"),
            ("postgres://me:s3cret@host/shop?schema=%zz", "hexadecimal"),
        ] {
            let said = refused(url);
            assert!(said.contains(part) && !said.contains("s3cret"), "{url}: {said}");
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
