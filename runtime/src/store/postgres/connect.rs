//! From an address to a session with every setting asserted.

use std::fmt::Display;
use std::net::{IpAddr, SocketAddr};
use std::time::Duration;

use tokio::time::Instant;
use tokio_postgres::config::{Host, SslMode};
use tokio_postgres::{Client, Config, NoTls};

use super::address::{TlsMode, place, quoted};
use super::alive::Connected;
use super::failure::plain;
use super::open_error::{OpenError, refusal};
use super::tls::Tls;
use super::{PostgresAddress, password};

/// The oldest server this program is tested on.
const OLDEST_SERVER: i64 = 150_000;

/// How long one address has to take a connection.
pub(super) const CONNECT: Duration = Duration::from_secs(5);

/// How long a host may take to let us in, by whichever of its addresses: TLS, the password and the settings too. As long
/// may be asked for where it is.
const ENTER: Duration = Duration::from_secs(15);

/// How soon a silent connection is asked whether it lives, how often, and how long what was sent may stay
/// unacknowledged: a host that vanished is noticed within some ten seconds.
pub(super) const KEEPALIVE_IDLE: Duration = Duration::from_secs(5);
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(2);
const KEEPALIVE_RETRIES: u32 = 3;
const USER_TIMEOUT: Duration = Duration::from_secs(10);

/// What a session of a service is set to, and what it must then say of itself. Milliseconds.
///
/// - `synchronous_commit`: a commit that is answered is on disk. Whatever the server's default is, it is not that default
///   that the guarantees rest on.
/// - An owner that sleeps inside a unit (a stopped process, a machine that is gone) loses its transaction after 10 s, as
///   it loses its lanes, and the one that it has begun beside that after 10 s more; whoever waits for a lock waits longer
///   than both, so it ends by the lock and not by its own limit; a statement longer still.
/// - The statements find rows by their key and nothing else. Their plan must not be made from what a table looked like
///   while it was empty, nor anew for each batch: generic, nested loops over an index, in whose order rows come.
const SETTINGS: &[(&str, &str)] = &[
    ("synchronous_commit", "on"),
    ("default_transaction_isolation", "read committed"),
    ("idle_in_transaction_session_timeout", "10s"),
    ("lock_timeout", "25s"),
    ("statement_timeout", "30s"),
    ("plan_cache_mode", "force_generic_plan"),
    ("enable_seqscan", "off"),
    ("enable_hashjoin", "off"),
    ("enable_mergejoin", "off"),
    ("enable_sort", "off"),
    ("jit", "off"),
    ("client_min_messages", "warning"),
];

/// What a session that only reads is set to: it scans whole tables, for as long as that takes.
const READER_SETTINGS: &[(&str, &str)] = &[
    ("default_transaction_isolation", "repeatable read"),
    ("default_transaction_read_only", "on"),
    ("lock_timeout", "15s"),
    ("client_min_messages", "warning"),
];

/// What a session of a tool is set to, whose statements may take as long as they like.
const CONSOLE_SETTINGS: &[(&str, &str)] = &[
    ("default_transaction_isolation", "read committed"),
    ("client_min_messages", "warning"),
];

/// What a session is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Purpose {
    /// A service's transactions.
    Serve,
    /// Reading what there is.
    Read,
    /// A tool's own statements.
    Tend,
}

/// Connects to the first host that serves the purpose.
///
/// # Errors
/// What the last host said, where each of them refuses us; else what each of them said: one that is away may let us in later.
pub(super) async fn connect(address: &PostgresAddress, purpose: Purpose) -> Result<Connected, OpenError> {
    let tls = Tls::new(address.tls, address.root_certificates.as_deref());
    let location = address.location();
    let tls = tls.map_err(|why| OpenError::Unfit {
        location: location.clone(),
        why,
    })?;
    let mut tried = Tried::default();
    for host in &address.hosts {
        match connect_to_host(address, host, &tls, purpose).await {
            Ok(connected) => return Ok(connected),
            Err(error) => tried.note(error, None),
        }
    }
    Err(tried.hosts())
}

/// Connects to the first address of a host that serves the purpose: one name may lead to a standby and to the server that
/// takes writes.
async fn connect_to_host(
    address: &PostgresAddress,
    (host, port): &(Host, u16),
    tls: &Tls,
    purpose: Purpose,
) -> Result<Connected, OpenError> {
    let location = format!("postgres://{}/{}", place(host, *port), address.database);
    let found = addresses(host, *port, address.at, &location).await?;
    let until = Instant::now() + ENTER;
    let mut tried = Tried::default();
    for (at, left) in found.iter().zip((1..=found.len()).rev()) {
        // One that says nothing leaves the others their share of the time.
        let share = until.duration_since(Instant::now()) / u32::try_from(left).unwrap_or(u32::MAX);
        let mut server = address.clone();
        (server.hosts, server.at) = (vec![(host.clone(), *port)], *at);
        // Large, and in every future of a store: whoever waits for an answer may have to connect first.
        let connecting = Box::pin(connect_to(&server, (host, *port), tls, purpose));
        match in_time(share, &location, connecting).await {
            Ok(client) => return Ok(Connected::new(client, server)),
            Err(error) => tried.note(error, *at),
        }
    }
    Err(tried.addresses())
}

/// The addresses of a host in the system's order; none is named for a socket of this machine.
async fn addresses(
    host: &Host,
    port: u16,
    known: Option<IpAddr>,
    location: &str,
) -> Result<Vec<Option<IpAddr>>, OpenError> {
    let name = match host {
        Host::Tcp(name) if known.is_none() => name,
        _ => return Ok(vec![known]),
    };
    let lost = |why: &dyn Display| {
        OpenError::Unavailable(format!("{location} cannot be found; check the host's name ({why})"))
    };
    let asking = tokio::time::timeout(ENTER, tokio::net::lookup_host((name.as_str(), port)));
    let found = asking
        .await
        .map_err(|late| lost(&late))?
        .map_err(|error| lost(&error))?;
    let found: Vec<_> = found.collect();
    // The client library takes no zone with an address, but finds one with a name.
    if found
        .iter()
        .any(|found| matches!(found, SocketAddr::V6(found) if found.scope_id() != 0))
    {
        return Ok(vec![None]);
    }
    Ok(found.iter().map(|found| Some(found.ip())).collect())
}

/// What they said who did not let us in.
#[derive(Default)]
struct Tried {
    refused: Option<OpenError>,
    away: bool,
    /// Each sentence once, with the first address that it was said of, where there is one.
    said: Vec<(String, Option<IpAddr>)>,
}

impl Tried {
    fn note(&mut self, error: OpenError, at: Option<IpAddr>) {
        let words = error.to_string();
        if self.said.iter().all(|(said, _)| *said != words) {
            self.said.push((words, at));
        }
        match error {
            OpenError::Unavailable(_) => self.away = true,
            refusal => self.refused = Some(refusal),
        }
    }

    /// Of one host: what a server answers counts for more than an address at which there is none.
    fn addresses(self) -> OpenError {
        let said = self.sentence();
        self.refused.unwrap_or(OpenError::Unavailable(said))
    }

    /// Of all hosts: one that is away may be the one that lets us in.
    fn hosts(self) -> OpenError {
        let said = self.sentence();
        match self.refused {
            Some(refusal) if !self.away => refusal,
            _ => OpenError::Unavailable(said),
        }
    }

    /// All that was said, and at which address where that is not the same everywhere.
    fn sentence(&self) -> String {
        let told = |(words, at): &(String, Option<IpAddr>)| match at {
            Some(at) if self.said.len() > 1 => format!("at {at}: {words}"),
            _ => words.clone(),
        };
        self.said.iter().map(told).collect::<Vec<_>>().join("; ")
    }
}

/// A server that takes connections and says nothing must not hold whoever connects.
async fn in_time<T>(
    limit: Duration,
    location: &str,
    connecting: impl Future<Output = Result<T, OpenError>>,
) -> Result<T, OpenError> {
    let silent = |_| OpenError::Unavailable(format!("{location} let nobody in within {} s", limit.as_secs()));
    let connected = tokio::time::timeout(limit, connecting).await;
    connected.map_err(silent).flatten()
}

async fn connect_to(
    address: &PostgresAddress,
    (host, port): (&Host, u16),
    tls: &Tls,
    purpose: Purpose,
) -> Result<Client, OpenError> {
    let location = format!("postgres://{}/{}", place(host, port), address.database);
    let config = config(address, (host, port), &location)?;
    let failed = |error: tokio_postgres::Error| refusal(&error, &location);
    let client = if config.get_ssl_mode() == SslMode::Disable {
        let (client, connection) = config.connect(NoTls).await.map_err(failed)?;
        drive(connection);
        client
    } else {
        let (client, connection) = config.connect(tls.clone()).await.map_err(failed)?;
        drive(connection);
        client
    };
    check_server(&client, &location, purpose).await?;
    set(&client, &location, &address.schema, purpose).await?;
    Ok(client)
}

/// Runs a connection until its client is gone; its errors reach whoever waits for an answer.
fn drive<S, T>(connection: tokio_postgres::Connection<S, T>)
where
    tokio_postgres::Connection<S, T>: Future<Output = Result<(), tokio_postgres::Error>> + Send + 'static,
{
    tokio::spawn(async move {
        if let Err(error) = connection.await {
            tracing::debug!(why = plain(&error), "a connection to the database ended");
        }
    });
}

fn config(address: &PostgresAddress, (host, port): (&Host, u16), location: &str) -> Result<Config, OpenError> {
    let said = &address.config;
    let mut config = Config::new();
    config
        .user(&*address.user)
        .dbname(&*address.database)
        .port(port)
        .application_name(said.get_application_name().unwrap_or("orderflow"))
        .connect_timeout(said.get_connect_timeout().copied().unwrap_or(CONNECT))
        .tcp_user_timeout(said.get_tcp_user_timeout().copied().unwrap_or(USER_TIMEOUT))
        .keepalives(said.get_keepalives())
        .keepalives_idle(said.get_keepalives_idle())
        .keepalives_interval(said.get_keepalives_interval().unwrap_or(KEEPALIVE_INTERVAL))
        .keepalives_retries(said.get_keepalives_retries().unwrap_or(KEEPALIVE_RETRIES))
        .ssl_mode(match address.tls {
            TlsMode::Disable => SslMode::Disable,
            TlsMode::Prefer => SslMode::Prefer,
            _ => SslMode::Require,
        });
    match host {
        Host::Tcp(name) => {
            if let Some(at) = address.at {
                config.hostaddr(at);
            }
            config.host(name)
        }
        // Nobody listens in on a socket of the machine itself, and its path is no name a certificate could bear.
        #[cfg(unix)]
        Host::Unix(path) => config.host_path(path).ssl_mode(SslMode::Disable),
    };
    if let Some(options) = said.get_options() {
        config.options(options);
    }
    let password = password::of(address, host, port).map_err(|why| OpenError::Credentials {
        location: location.to_owned(),
        why,
    })?;
    if let Some(password) = password {
        config.password(password.bytes());
    }
    Ok(config)
}

/// Whether the server is one that the guarantees can rest on.
async fn check_server(client: &Client, location: &str, purpose: Purpose) -> Result<(), OpenError> {
    const SQL: &str = "SELECT current_setting('server_version_num')::bigint, current_setting('server_version'), \
        current_setting('server_encoding'), pg_is_in_recovery() OR current_setting('default_transaction_read_only') = 'on'";
    let row = client
        .query_one(SQL, &[])
        .await
        .map_err(|error| refusal(&error, location))?;
    let (number, version, encoding, read_only): (i64, &str, &str, bool) =
        (row.get(0), row.get(1), row.get(2), row.get(3));
    let unfit = |why: String| OpenError::Unfit {
        location: location.to_owned(),
        why,
    };
    if number < OLDEST_SERVER {
        return Err(unfit(format!(
            "it is PostgreSQL {version}, and 15 is the oldest that will do"
        )));
    }
    if encoding != "UTF8" {
        return Err(unfit(format!(
            "its encoding is {encoding}; create the database with ENCODING 'UTF8'"
        )));
    }
    if read_only && purpose != Purpose::Read {
        return Err(OpenError::Unavailable(format!(
            "{location} takes no writes: it is a standby or set to read only; give the primary, or all hosts separated by \
             commas"
        )));
    }
    Ok(())
}

/// Sets and reads back: a pooler in between could answer without doing.
async fn set(client: &Client, location: &str, schema: &str, purpose: Purpose) -> Result<(), OpenError> {
    let failed = |error: tokio_postgres::Error| refusal(&error, location);
    let settings = match purpose {
        Purpose::Serve => SETTINGS,
        Purpose::Read => READER_SETTINGS,
        Purpose::Tend => CONSOLE_SETTINGS,
    };
    let set = settings.iter().map(|(name, value)| format!("SET {name} = '{value}';"));
    let path = format!("SET search_path = {}, pg_temp;", quoted(schema));
    let sql: String = std::iter::once(path).chain(set).collect();
    client.batch_execute(&sql).await.map_err(failed)?;
    let names: Vec<_> = settings.iter().map(|(name, _)| *name).collect();
    let held = client
        .query(
            "SELECT current_setting(name) FROM unnest($1::text[]) AS name",
            &[&names],
        )
        .await
        .map_err(failed)?;
    for ((name, value), row) in settings.iter().zip(&held) {
        let held: &str = row.get(0);
        if held != *value {
            return Err(OpenError::Unfit {
                location: location.to_owned(),
                why: format!("{name} is {held} though {value} was asked for"),
            });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn config_of(url: &str) -> Config {
        let address = PostgresAddress::parse(url, "inventory").expect("an address");
        let (host, port) = address.hosts[0].clone();
        config(&address, (&host, port), "there").expect("a configuration")
    }

    #[tokio::test(start_paused = true)]
    async fn a_server_that_lets_nobody_in_is_waited_for_as_long_as_is_said() {
        let began = tokio::time::Instant::now();
        let silent = in_time::<()>(ENTER, "there", std::future::pending()).await;
        let said = "there let nobody in within 15 s".to_owned();
        assert_eq!(silent, Err(OpenError::Unavailable(said)));
        assert_eq!(began.elapsed().as_secs(), ENTER.as_secs());
        assert_eq!(in_time(ENTER, "there", std::future::ready(Ok(1))).await, Ok(1));
    }

    #[test]
    fn what_the_url_says_of_the_connection_is_done() {
        let said = config_of(
            "postgres://me:secret@host/shop?application_name=mine&connect_timeout=3&options=-csearch_path%3Dx\
             &keepalives=0&keepalives_idle=77&keepalives_interval=7&keepalives_count=9&tcp_user_timeout=4000",
        );
        let timeout = Duration::from_secs;
        assert_eq!(said.get_application_name(), Some("mine"));
        assert_eq!(said.get_options(), Some("-csearch_path=x"));
        assert_eq!(said.get_connect_timeout(), Some(&timeout(3)));
        assert!(!said.get_keepalives());
        assert_eq!(said.get_keepalives_idle(), timeout(77));
        assert_eq!(said.get_keepalives_interval(), Some(timeout(7)));
        assert_eq!(said.get_keepalives_retries(), Some(9));
        assert_eq!(said.get_tcp_user_timeout(), Some(&timeout(4)));

        let unsaid = config_of("postgres://me:secret@host/shop?keepalives_idle=0");
        assert_eq!(unsaid.get_connect_timeout(), Some(&CONNECT));
        assert!(unsaid.get_keepalives());
        assert_eq!(unsaid.get_keepalives_idle(), KEEPALIVE_IDLE);
        assert_eq!(unsaid.get_keepalives_interval(), Some(KEEPALIVE_INTERVAL));
        assert_eq!(unsaid.get_keepalives_retries(), Some(KEEPALIVE_RETRIES));
        assert_eq!(unsaid.get_tcp_user_timeout(), Some(&USER_TIMEOUT));
    }
}
