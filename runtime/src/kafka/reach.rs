//! Whether anybody listens where brokers should be.

use std::net::{TcpStream, ToSocketAddrs as _};
use std::time::Duration;

/// How long a connection may take that is made only to see whether somebody listens.
const KNOCK: Duration = Duration::from_secs(1);

/// Most brokers that are looked at.
const LOOKED_AT: usize = 3;

/// The first of the brokers whose port takes a connection. If no broker answers either, what listens there speaks another
/// protocol, or is in trouble; librdkafka does not always tell.
#[must_use]
pub fn listening(brokers: &str) -> Option<&str> {
    addresses(brokers).find(|address| connect(address, KNOCK).is_some())
}

/// The addresses without the protocol that may stand in front of them.
pub(super) fn addresses(brokers: &str) -> impl Iterator<Item = &str> {
    let addresses = brokers.split(',').map(str::trim).take(LOOKED_AT);
    addresses.map(|address| address.split_once("://").map_or(address, |(_, address)| address))
}

/// A connection to `address`, with the name of its host.
pub(super) fn connect(address: &str, patience: Duration) -> Option<(String, TcpStream)> {
    let (host, port) = address.rsplit_once(':').unwrap_or((address, "9092"));
    let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
    let resolved = (host.as_str(), port.parse().ok()?).to_socket_addrs().ok()?;
    let mut sockets = resolved.filter_map(|address| TcpStream::connect_timeout(&address, patience).ok());
    Some((host, sockets.next()?))
}

#[cfg(test)]
mod tests {
    use std::net::TcpListener;

    use super::*;

    #[test]
    fn who_listens_is_found() {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("its address").to_string();
        let brokers = format!("127.0.0.1:1, SASL_SSL://{address}");
        assert_eq!(listening(&brokers), Some(&*address));
        assert_eq!(listening("127.0.0.1:1,nowhere.invalid:9092"), None);
    }
}
