//! TLS: who is believed.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;

use orderflow_schemas::registry::{Client, RegistryError};
use serde_json::json;
use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::{ServerConfig, ServerConnection, StreamOwned};

use super::at;
use super::stub::{Reply, Stub};

/// A file of `tests/tls`: certificates for 100 years, of an authority whose key is gone.
fn file(name: &str) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/tls").join(name)
}

fn secret_stub(certificate: &str) -> Stub {
    let chain = CertificateDer::pem_file_iter(file(certificate)).expect("a file");
    let chain = chain.collect::<Result<Vec<_>, _>>().expect("certificates");
    let key = PrivateKeyDer::from_pem_file(file("key.pem")).expect("a key");
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("versions")
        .with_no_client_auth()
        .with_single_cert(chain, key)
        .expect("a pair");
    let config = Arc::new(config);
    Stub::wrapped(
        SocketAddr::from(([127, 0, 0, 1], 0)),
        Arc::new(move |stream| {
            let connection = ServerConnection::new(Arc::clone(&config)).expect("a connection");
            Ok(Box::new(StreamOwned::new(connection, stream)))
        }),
        |_| Reply::Json(200, json!({"schema": "{}"})),
    )
}

async fn ask(stub: &Stub, ca_file: Option<PathBuf>) -> Result<String, RegistryError> {
    let mut options = at(&format!("https://localhost:{}", stub.address.port()));
    options.ca_file = ca_file;
    Client::new(&options)?.schema(7).await
}

#[tokio::test]
async fn a_certificate_is_believed_that_the_file_vouches_for() {
    let stub = secret_stub("localhost.pem");
    assert_eq!(ask(&stub, Some(file("ca.pem"))).await, Ok("{}".to_owned()));
}

#[tokio::test]
async fn any_other_certificate_is_not_believed() {
    for (certificate, ca_file, expected) in [
        ("localhost.pem", Some("elsewhere.pem"), "UnknownIssuer"),
        ("elsewhere.pem", Some("ca.pem"), "not valid for name"),
        ("expired.pem", Some("ca.pem"), "expired"),
    ] {
        let stub = secret_stub(certificate);
        let error = ask(&stub, ca_file.map(file)).await.expect_err("not believed");
        assert!(
            matches!(error, RegistryError::Untrusted { .. }),
            "{certificate}: {error}"
        );
        assert!(error.to_string().contains(expected), "{certificate}: {error}");
        assert_eq!(stub.count(""), 0, "nothing was asked, so nothing was shown");
    }
}

#[tokio::test]
async fn a_registry_without_tls_is_told_apart() {
    let stub = Stub::start(|_| Reply::Silence);
    let error = ask(&stub, Some(file("ca.pem"))).await.expect_err("plain");
    // It waits for the end of a line that never comes, or answers in plain text: whichever, nothing was shown to it.
    assert!(
        matches!(
            error,
            RegistryError::Untrusted { .. } | RegistryError::Unreachable { .. }
        ),
        "{error}"
    );
}

#[tokio::test]
async fn a_file_of_certificates_must_be_one() {
    let stub = secret_stub("localhost.pem");
    for (name, expected) in [("nowhere.pem", "No such file"), ("key.pem", "there is none in it")] {
        let error = ask(&stub, Some(file(name))).await.expect_err("unusable");
        assert!(matches!(error, RegistryError::Unusable { .. }), "{error}");
        assert!(
            error.to_string().contains(expected) && error.to_string().contains(name),
            "{error}"
        );
    }
}
