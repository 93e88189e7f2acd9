//! One request over one connection. Registries are asked a handful of times in a process's life, so nothing is pooled.

use std::io;
use std::time::Duration;

use base64::Engine as _;
use base64::prelude::BASE64_STANDARD;
use http_body_util::{BodyExt as _, Full, LengthLimitError, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::client::conn::http1;
use hyper::header::{ACCEPT, AUTHORIZATION, CONNECTION, CONTENT_TYPE, HOST, HeaderValue, USER_AGENT};
use hyper::rt::{Read, Write};
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio_rustls::TlsConnector;
use tokio_rustls::rustls;

use super::error::tame;
use super::{Credentials, Options, RegistryError, tls};

/// Longest answer that is read. The contracts have 4 KiB, and no registry takes a schema of more than 1 MiB.
const MAX_ANSWER_BYTES: usize = 1024 * 1024;

/// What registries speak; Apicurio's compatible half answers with plain JSON.
const SPOKEN: &str = "application/vnd.schemaregistry.v1+json, application/json";
const SENT: &str = "application/vnd.schemaregistry.v1+json";

/// Makes requests to one registry.
#[derive(Clone)]
pub(super) struct Http {
    options: Options,
    authorization: Option<HeaderValue>,
    tls: Option<TlsConnector>,
}

/// What came back.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    /// Where a redirection leads.
    pub(super) location: Option<String>,
    pub(super) body: Bytes,
}

impl Http {
    pub(super) fn new(options: &Options) -> Result<Self, RegistryError> {
        let tls = if options.address.https {
            Some(tls::connector(options.ca_file.as_deref())?)
        } else {
            None
        };
        Ok(Self {
            authorization: authorization(&options.credentials)?,
            options: options.clone(),
            tls,
        })
    }

    /// The registry's address.
    pub(super) fn url(&self) -> String {
        self.options.address.to_string()
    }

    /// Asks, and reads the answer, all within the time that was set.
    pub(super) async fn ask(&self, method: Method, path: &str, body: String) -> Result<Answer, RegistryError> {
        let request = self.request(method, path, body)?;
        let timeout = self.options.timeout;
        match tokio::time::timeout(timeout, self.exchange(request)).await {
            Ok(answer) => answer,
            Err(_) => Err(self.unreachable(format!("no answer within {}", seconds(timeout)))),
        }
    }

    fn request(&self, method: Method, path: &str, body: String) -> Result<Request<Full<Bytes>>, RegistryError> {
        let address = &self.options.address;
        let mut request = Request::builder()
            .method(method)
            .uri(format!("{}{path}", address.path))
            .header(HOST, &address.authority)
            .header(ACCEPT, SPOKEN)
            .header(CONNECTION, "close")
            .header(USER_AGENT, concat!("orderflow/", env!("CARGO_PKG_VERSION")));
        if !body.is_empty() {
            request = request.header(CONTENT_TYPE, SENT);
        }
        if let Some(authorization) = &self.authorization {
            request = request.header(AUTHORIZATION, authorization);
        }
        let request = request.body(Full::from(body));
        request.map_err(|error| RegistryError::Unusable {
            what: format!("no request can be made of {path}: {error}"),
        })
    }

    async fn exchange(&self, request: Request<Full<Bytes>>) -> Result<Answer, RegistryError> {
        let address = &self.options.address;
        let stream = TcpStream::connect((address.host.as_str(), address.port)).await;
        let stream = stream.map_err(|error| self.unreachable(tame(&error.to_string())))?;
        let Some(connector) = &self.tls else {
            return self.send(TokioIo::new(stream), request).await;
        };
        let stream = connector.connect(tls::name(&address.host)?, stream).await;
        let stream = stream.map_err(|error| self.not_secret(&error))?;
        self.send(TokioIo::new(stream), request).await
    }

    async fn send<S>(&self, stream: S, request: Request<Full<Bytes>>) -> Result<Answer, RegistryError>
    where
        S: Read + Write + Unpin + Send + 'static,
    {
        let cut = |error: hyper::Error| self.broken(&error);
        let (mut sender, connection) = http1::handshake(stream).await.map_err(cut)?;
        // Ends with this function: dropped, it takes the connection with it.
        let mut driver = JoinSet::new();
        driver.spawn(connection);
        let response = sender.send_request(request).await.map_err(cut)?;
        self.read(response).await
    }

    async fn read(&self, response: Response<Incoming>) -> Result<Answer, RegistryError> {
        let status = response.status();
        let location = response.headers().get(hyper::header::LOCATION);
        let location = location.and_then(|value| value.to_str().ok()).map(tame);
        let body = Limited::new(response.into_body(), MAX_ANSWER_BYTES).collect().await;
        match body {
            Ok(body) => Ok(Answer {
                status,
                location,
                body: body.to_bytes(),
            }),
            Err(error) if error.is::<LengthLimitError>() => Err(RegistryError::Unexpected {
                url: self.url(),
                what: format!("its answer is longer than {MAX_ANSWER_BYTES} bytes"),
            }),
            Err(error) => Err(self.unreachable(format!("its answer breaks off: {}", tame(&error.to_string())))),
        }
    }

    fn unreachable(&self, why: String) -> RegistryError {
        RegistryError::Unreachable { url: self.url(), why }
    }

    /// What is not HTTP comes from something else than a registry; what ends in the middle may be one that is restarting.
    fn broken(&self, error: &hyper::Error) -> RegistryError {
        if error.is_parse() {
            let what = format!("it does not speak HTTP ({})", tame(&error.to_string()));
            return RegistryError::Unexpected { url: self.url(), what };
        }
        self.unreachable(tame(&format!("the connection ended: {error}")))
    }

    /// A certificate that is refused is told apart from a connection that is cut while secrets are agreed upon.
    fn not_secret(&self, error: &io::Error) -> RegistryError {
        match error.get_ref().and_then(|cause| cause.downcast_ref::<rustls::Error>()) {
            Some(cause) => RegistryError::Untrusted {
                url: self.url(),
                why: tame(&cause.to_string()),
            },
            None => self.unreachable(tame(&format!("no TLS connection: {error}"))),
        }
    }
}

impl std::fmt::Debug for Http {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Http")
            .field("options", &self.options)
            .finish_non_exhaustive()
    }
}

fn authorization(credentials: &Credentials) -> Result<Option<HeaderValue>, RegistryError> {
    let text = match credentials {
        Credentials::None => return Ok(None),
        Credentials::Basic { username, password } => {
            let pair = BASE64_STANDARD.encode(format!("{username}:{}", password.reveal()));
            format!("Basic {pair}")
        }
        Credentials::Bearer(token) => format!("Bearer {}", token.reveal()),
    };
    let mut value = HeaderValue::try_from(text).map_err(|_| RegistryError::Unusable {
        what: "the token for the schema registry has characters in it that no token has".to_owned(),
    })?;
    value.set_sensitive(true);
    Ok(Some(value))
}

fn seconds(duration: Duration) -> String {
    format!("{} s", duration.as_secs_f64())
}
