//! Asks a running server whether it is ready: what a container's health check does.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{Ipv4Addr, Ipv6Addr, SocketAddr, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio_rustls::rustls::client::danger::{
    HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier,
};
use tokio_rustls::rustls::crypto::{
    CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature,
};
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use tokio_rustls::rustls::{
    CertificateError, ClientConfig, ClientConnection, DigitallySignedStruct, Error,
    SignatureScheme, StreamOwned,
};

use super::CommandError;
use crate::settings::Settings;

/// How long the server may take for each step.
const PATIENCE: Duration = Duration::from_secs(5);

/// Asks the server that runs with these settings on this machine whether it is ready.
///
/// # Errors
///
/// A server that is not there, or not ready.
pub fn check(settings: &Settings) -> Result<(), CommandError> {
    let address = own(settings.bind);
    let not_ready = |why: String| CommandError::NotReady(format!("{address} is not ready: {why}"));
    let status = ask(address, settings.tls_cert.as_deref());
    let status = status.map_err(|error| not_ready(error.to_string()))?;
    match status.split(' ').nth(1) {
        Some("200") => Ok(()),
        _ => Err(not_ready(format!("it answers {status:?}"))),
    }
}

/// The address at which this machine reaches a server that listens at `address`.
fn own(address: SocketAddr) -> SocketAddr {
    let ip = match address {
        SocketAddr::V4(address) if address.ip().is_unspecified() => Ipv4Addr::LOCALHOST.into(),
        SocketAddr::V6(address) if address.ip().is_unspecified() => Ipv6Addr::LOCALHOST.into(),
        address => address.ip(),
    };
    SocketAddr::new(ip, address.port())
}

/// The first line of the answer.
fn ask(address: SocketAddr, certificate: Option<&Path>) -> io::Result<String> {
    let stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let Some(certificate) = certificate else { return exchange(stream, address) };
    let certificate = CertificateDer::from_pem_file(certificate).map_err(io::Error::other)?;
    let provider = Arc::new(ring::default_provider());
    let verifier = Own { certificate, provider: Arc::clone(&provider) };
    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .map_err(io::Error::other)?
        .dangerous()
        .with_custom_certificate_verifier(Arc::new(verifier))
        .with_no_client_auth();
    let name = ServerName::from(address.ip());
    let client = ClientConnection::new(Arc::new(config), name).map_err(io::Error::other)?;
    exchange(StreamOwned::new(client, stream), address)
}

fn exchange(mut stream: impl Read + Write, address: SocketAddr) -> io::Result<String> {
    let request =
        format!("GET /health/ready HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\r\n");
    stream.write_all(request.as_bytes())?;
    let mut line = String::new();
    BufReader::new(stream.take(200)).read_line(&mut line)?;
    Ok(line.trim_end().to_owned())
}

/// Takes the one certificate that the server has, whatever names are in it: the address is this
/// machine's own, which is seldom one of them.
#[derive(Debug)]
struct Own {
    certificate: CertificateDer<'static>,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Own {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        match *certificate == self.certificate {
            true => Ok(ServerCertVerified::assertion()),
            false => Err(CertificateError::ApplicationVerificationFailure.into()),
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls12_signature(message, certificate, signed, algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signed: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        let algorithms = &self.provider.signature_verification_algorithms;
        verify_tls13_signature(message, certificate, signed, algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}

#[cfg(test)]
mod tests {
    use axum::Router;
    use axum::routing::get;
    use tokio::net::TcpListener;
    use tokio::task::spawn_blocking;

    use super::*;
    use crate::listen::{ListenOptions, serve, tls};

    #[tokio::test]
    async fn only_its_own_certificate_is_taken() {
        let folder = tempfile::tempdir().unwrap();
        let file = |name: &str, text: String| {
            let path = folder.path().join(name);
            std::fs::write(&path, text).unwrap();
            path
        };
        let make = || rcgen::generate_simple_self_signed(["example.org".to_owned()]).unwrap();
        let (own, other) = (make(), make());
        let (certificate, key) =
            (file("own.pem", own.cert.pem()), file("key.pem", own.signing_key.serialize_pem()));
        let other = file("other.pem", other.cert.pem());
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let router = Router::new().route("/health/ready", get(|| async {}));
        let options =
            ListenOptions { tls: Some(tls(&certificate, &key).unwrap()), ..Default::default() };
        tokio::spawn(serve(vec![(listener, router)], options, std::future::pending()));
        let ask = |certificate: Option<std::path::PathBuf>| {
            spawn_blocking(move || ask(address, certificate.as_deref()))
        };
        assert_eq!(ask(Some(certificate)).await.unwrap().unwrap(), "HTTP/1.1 200 OK");
        assert!(ask(Some(other)).await.unwrap().is_err());
        assert_ne!(ask(None).await.unwrap().unwrap_or_default(), "HTTP/1.1 200 OK");
    }
}
