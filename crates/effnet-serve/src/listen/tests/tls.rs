use std::path::{Path, PathBuf};

use hyper_util::rt::{TokioExecutor, TokioIo};
use tokio_rustls::TlsConnector;
use tokio_rustls::client::TlsStream;
use tokio_rustls::rustls::pki_types::pem::PemObject;
use tokio_rustls::rustls::pki_types::{CertificateDer, ServerName};
use tokio_rustls::rustls::{ClientConfig, RootCertStore};

use super::*;

/// Files with a certificate for `localhost` and its key.
fn certificate() -> (tempfile::TempDir, PathBuf, PathBuf) {
    let folder = tempfile::tempdir().unwrap();
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let (cert, key) = (folder.path().join("cert.pem"), folder.path().join("key.pem"));
    std::fs::write(&cert, made.cert.pem()).unwrap();
    std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    (folder, cert, key)
}

/// A connection of a client that trusts this certificate and speaks these protocols.
async fn connect(server: &Running, cert: &Path, protocols: &[&str]) -> TlsStream<TcpStream> {
    let mut roots = RootCertStore::empty();
    roots.add(CertificateDer::from_pem_file(cert).unwrap()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider);
    let builder = builder.with_safe_default_protocol_versions().unwrap();
    let mut config = builder.with_root_certificates(roots).with_no_client_auth();
    config.alpn_protocols = protocols.iter().map(|name| name.as_bytes().to_vec()).collect();
    let name = ServerName::try_from("localhost").unwrap();
    TlsConnector::from(Arc::new(config)).connect(name, server.connect().await).await.unwrap()
}

#[tokio::test]
async fn tls_is_spoken_with_both_versions() {
    let (_folder, cert, key) = certificate();
    let options = ListenOptions {
        tls: Some(tls(&cert, &key).unwrap()),
        header_timeout: 10 * SHORT,
        ..patient()
    };
    let server = Running::start(hello(), options).await;
    for protocols in [["http/1.1"].as_slice(), &[]] {
        let mut stream = connect(&server, &cert, protocols).await;
        stream.write_all(b"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n").await.unwrap();
        let mut text = String::new();
        // The end is one that TLS knows.
        stream.read_to_string(&mut text).await.unwrap();
        assert!(text.ends_with("\r\n\r\nhello"), "{text}");
    }
    let stream = connect(&server, &cert, &["h2"]).await;
    assert_eq!(stream.get_ref().1.alpn_protocol(), Some(b"h2".as_slice()));
    let io = TokioIo::new(stream);
    let (mut client, connection) = http2::handshake(TokioExecutor::new(), io).await.unwrap();
    tokio::spawn(connection);
    let request = Request::get("https://localhost/").body(Body::empty()).unwrap();
    let response = client.send_request(request).await.unwrap();
    assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), "hello");
    // No TLS, and a handshake that does not come on.
    for text in ["GET / HTTP/1.1\r\nHost: a\r\n\r\n", "", "\x16\x03\x01\x02"] {
        let mut stream = server.connect().await;
        stream.write_all(text.as_bytes()).await.unwrap();
        let mut answer = Vec::new();
        let _ = stream.read_to_end(&mut answer).await;
        assert!(!answer.windows(5).any(|part| part == b"hello"), "{answer:?}");
    }
    drop(client);
    assert_eq!(server.end().await, 0);
}

#[test]
fn files_that_are_not_for_tls_are_named() {
    let (_one, cert, key) = certificate();
    let (_two, _, other) = certificate();
    let folder = tempfile::tempdir().unwrap();
    let garbage = folder.path().join("garbage.pem");
    std::fs::write(&garbage, "-----BEGIN CERTIFICATE-----\n@@@\n-----END CERTIFICATE-----\n")
        .unwrap();
    let missing = folder.path().join("missing.pem");
    for (cert, key, wrong, says) in [
        (&missing, &key, &missing, "No such file"),
        (&cert, &missing, &missing, "No such file"),
        (&key, &key, &key, "there is no CERTIFICATE in it"),
        (&cert, &cert, &cert, "there is no PRIVATE KEY in it"),
        (&cert, &other, &other, "it is not the key of the first certificate in"),
        (&garbage, &key, &garbage, "base64"),
    ] {
        let error = tls(cert, key).unwrap_err();
        assert_eq!(&error.path, wrong);
        assert!(error.to_string().contains(says), "{error}");
    }
}
