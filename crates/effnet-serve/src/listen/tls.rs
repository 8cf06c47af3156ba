//! TLS from two files.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio_rustls::rustls::crypto::ring;
use tokio_rustls::rustls::pki_types::pem::{self, PemObject};
use tokio_rustls::rustls::pki_types::{CertificateDer, PrivateKeyDer};
use tokio_rustls::rustls::{self, ServerConfig};

/// Why there is no TLS.
#[derive(Debug, thiserror::Error)]
#[error("cannot use {} for TLS: {wrong}", path.display())]
#[non_exhaustive]
pub struct TlsError {
    /// The file.
    pub path: PathBuf,
    /// What is wrong with it.
    pub wrong: String,
}

/// TLS 1.2 and 1.3 with the certificate chain and the private key in these PEM files, for HTTP/2 and
/// HTTP/1.1.
///
/// # Errors
///
/// A file that cannot be read, holds no certificate or no key, or a key that is not the
/// certificate's.
pub fn tls(certificate: &Path, key: &Path) -> Result<Arc<ServerConfig>, TlsError> {
    let wrong = |path: &Path, wrong: String| TlsError { path: path.to_owned(), wrong };
    let read = |path| fs::read(path).map_err(|error| wrong(path, error.to_string()));
    let chain = CertificateDer::pem_slice_iter(&read(certificate)?)
        .collect::<Result<Vec<_>, _>>()
        .map_err(|error| wrong(certificate, error.to_string()))?;
    if chain.is_empty() {
        return Err(wrong(certificate, "there is no CERTIFICATE in it".to_owned()));
    }
    let secret = PrivateKeyDer::from_pem_slice(&read(key)?).map_err(|error| match error {
        pem::Error::NoItemsFound => wrong(key, "there is no PRIVATE KEY in it".to_owned()),
        error => wrong(key, error.to_string()),
    })?;
    let builder = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()));
    let builder = builder
        .with_safe_default_protocol_versions()
        .map_err(|error| wrong(certificate, error.to_string()))?;
    let mut config = builder.with_no_client_auth().with_single_cert(chain, secret).map_err(
        |error| match error {
            rustls::Error::InconsistentKeys(_) => {
                let certificate = certificate.display();
                wrong(key, format!("it is not the key of the first certificate in {certificate}"))
            }
            error => wrong(certificate, error.to_string()),
        },
    )?;
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    Ok(Arc::new(config))
}
