//! Where a registry is.

use std::fmt;
use std::str::FromStr;

use hyper::Uri;
use thiserror::Error;

/// The address of a registry: `http://host:port/path`, or `https`. The path is what stands before `/subjects`.
#[derive(Clone, PartialEq, Eq)]
pub struct Address {
    pub(super) https: bool,
    /// As a certificate names it: an IPv6 address without its brackets.
    pub(super) host: String,
    pub(super) port: u16,
    /// As the request names it: with the port where it was given.
    pub(super) authority: String,
    /// Without a slash at its end; empty where there is none.
    pub(super) path: String,
}

/// The text is no address of a registry. The text itself is not repeated: there may be a password in it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum InvalidAddress {
    /// It does not parse, has no host or is of another protocol.
    #[error("it is no address of a registry; expected one such as http://localhost:8081 or https://registry/api")]
    Malformed,
    /// It has a user or a password in it, which others would see in process lists and logs.
    #[error(
        "it has a user or a password in it; they are set apart, so that no list of processes and no log shows them"
    )]
    Credentials,
    /// It has a query.
    #[error("it has a `?`; expected what stands before `/subjects`")]
    Query,
}

impl FromStr for Address {
    type Err = InvalidAddress;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let uri: Uri = text.trim().parse().map_err(|_| InvalidAddress::Malformed)?;
        let https = match uri.scheme_str() {
            Some("https") => true,
            Some("http") => false,
            _ => return Err(InvalidAddress::Malformed),
        };
        let authority = uri.authority().ok_or(InvalidAddress::Malformed)?;
        if authority.as_str().contains('@') {
            return Err(InvalidAddress::Credentials);
        }
        if uri.query().is_some() {
            return Err(InvalidAddress::Query);
        }
        let host = authority
            .host()
            .trim_start_matches('[')
            .trim_end_matches(']')
            .to_owned();
        // A port that is none is not told apart from no port.
        let names_a_port = authority.as_str().len() > authority.host().len();
        let port = authority.port_u16().filter(|port| *port > 0);
        if host.is_empty() || names_a_port != port.is_some() {
            return Err(InvalidAddress::Malformed);
        }
        Ok(Self {
            https,
            host,
            port: port.unwrap_or(if https { 443 } else { 80 }),
            authority: authority.as_str().to_owned(),
            path: uri.path().trim_end_matches('/').to_owned(),
        })
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let scheme = if self.https { "https" } else { "http" };
        write!(f, "{scheme}://{}{}", self.authority, self.path)
    }
}

impl fmt::Debug for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_taken_apart_and_shown_again() {
        for (text, host, port, shown) in [
            ("http://localhost:8081", "localhost", 8081, "http://localhost:8081"),
            (
                "https://registry.example/",
                "registry.example",
                443,
                "https://registry.example",
            ),
            (
                "http://[::1]:80/apis/ccompat/v7/",
                "::1",
                80,
                "http://[::1]:80/apis/ccompat/v7",
            ),
            (" http://10.0.0.1 ", "10.0.0.1", 80, "http://10.0.0.1"),
        ] {
            let address: Address = text.parse().expect(text);
            assert_eq!((address.host.as_str(), address.port), (host, port), "{text}");
            assert_eq!(address.to_string(), shown);
            assert_eq!(shown.parse(), Ok(address));
        }
    }

    #[test]
    fn what_is_none_is_refused_without_being_repeated() {
        for text in [
            "",
            "localhost:8081",
            "ftp://registry",
            "http://",
            "http://host:0",
            "http://host:99999",
            "http://host:",
            "/subjects",
        ] {
            assert_eq!(text.parse::<Address>(), Err(InvalidAddress::Malformed), "{text}");
        }
        let error = "http://user:hunter2@registry:8081"
            .parse::<Address>()
            .expect_err("a password");
        assert_eq!(error, InvalidAddress::Credentials);
        assert!(!error.to_string().contains("hunter2"));
        assert_eq!("http://registry/?x=1".parse::<Address>(), Err(InvalidAddress::Query));
    }
}
