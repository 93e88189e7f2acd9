//! Whom to believe: certificates are always verified, by the system's roots and what `ca_file` adds to them.

use std::path::Path;
use std::sync::Arc;

use tokio_rustls::TlsConnector;
use tokio_rustls::rustls::pki_types::pem::PemObject as _;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{self, ClientConfig, RootCertStore};

use super::RegistryError;

/// What makes connections secret.
pub(super) fn connector(ca_file: Option<&Path>) -> Result<TlsConnector, RegistryError> {
    let mut roots = RootCertStore::empty();
    let system = rustls_native_certs::load_native_certs();
    roots.add_parsable_certificates(system.certs);
    if let Some(path) = ca_file {
        add(&mut roots, path)?;
    }
    if roots.is_empty() {
        let what = "this system has no certificates that could vouch for a schema registry; install ca-certificates, or \
                    name a file of them (registry.ca_file)";
        return Err(RegistryError::Unusable { what: what.to_owned() });
    }
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(|error| unusable(&error.to_string()))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    Ok(TlsConnector::from(Arc::new(config)))
}

/// The name that the certificate must bear.
pub(super) fn name(host: &str) -> Result<ServerName<'static>, RegistryError> {
    ServerName::try_from(host.to_owned()).map_err(|error| unusable(&format!("{host}: {error}")))
}

fn add(roots: &mut RootCertStore, path: &Path) -> Result<(), RegistryError> {
    let unreadable = |error: &dyn std::fmt::Display| {
        unusable(&format!("cannot read the certificates of {}: {error}", path.display()))
    };
    let certificates = CertificateDer::pem_file_iter(path).map_err(|error| unreadable(&error))?;
    let mut found = 0;
    for certificate in certificates {
        roots
            .add(certificate.map_err(|error| unreadable(&error))?)
            .map_err(|error| unreadable(&error))?;
        found += 1;
    }
    if found == 0 {
        return Err(unreadable(&"there is none in it; expected PEM"));
    }
    Ok(())
}

fn unusable(what: &str) -> RegistryError {
    RegistryError::Unusable { what: what.to_owned() }
}
