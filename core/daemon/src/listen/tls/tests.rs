//! Handshakes with certificates made for the occasion.

use super::*;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair, SanType};
use rustls::{ClientConfig, ProtocolVersion, pki_types::ServerName};
use std::path::PathBuf;
use tempfile::TempDir;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpListener;
use tokio_rustls::TlsConnector;

type Issuer = CertifiedIssuer<'static, KeyPair>;

fn authority() -> Issuer {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

/// A certificate and its key, PEM.
fn issue(issuer: &Issuer, name: &str, usage: ExtendedKeyUsagePurpose) -> (String, String) {
    let mut params = CertificateParams::new(vec!["localhost".to_owned(), "10.1.2.3".to_owned(), "fe80::1".to_owned()]).unwrap();
    params.subject_alt_names.push(SanType::Rfc822Name("ann@example.org".try_into().unwrap()));
    params.distinguished_name.push(DnType::CommonName, name);
    params.extended_key_usages = vec![usage];
    let key = KeyPair::generate().unwrap();
    (params.signed_by(&key, issuer).unwrap().pem(), key.serialize_pem())
}

struct Files {
    dir: TempDir,
    authority: Issuer,
}

impl Files {
    fn new() -> Self {
        install_crypto();
        let files = Self { dir: tempfile::tempdir().unwrap(), authority: authority() };
        let (cert, key) = issue(&files.authority, "server", ExtendedKeyUsagePurpose::ServerAuth);
        files.write("ca.pem", &files.authority.pem());
        files.write("cert.pem", &cert);
        files.write("key.pem", &key);
        files
    }
    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }
    fn write(&self, name: &str, text: &str) {
        std::fs::write(self.path(name), text).unwrap();
    }
    fn tls(&self, verify: bool) -> config::Tls {
        config::Tls { clients: verify.then(|| self.path("ca.pem")), cert: self.path("cert.pem"), key: self.path("key.pem") }
    }
    fn client(&self, identity: Option<(String, String)>, protocols: &[&str]) -> ClientConfig {
        let mut roots = RootCertStore::empty();
        roots.add(self.authority.der().clone()).unwrap();
        let builder = ClientConfig::builder().with_root_certificates(roots);
        let mut config = match identity {
            None => builder.with_no_client_auth(),
            Some((cert, key)) => {
                let chain = vec![CertificateDer::from_pem_slice(cert.as_bytes()).unwrap()];
                builder.with_client_auth_cert(chain, PrivateKeyDer::from_pem_slice(key.as_bytes()).unwrap()).unwrap()
            }
        };
        config.alpn_protocols = protocols.iter().map(|p| p.as_bytes().to_vec()).collect();
        config
    }
}

/// What the server learns, and what protocol and version the client ended up with.
async fn connect(tls: config::Tls, client: ClientConfig) -> (io::Result<Caller>, Option<(Vec<u8>, ProtocolVersion)>) {
    let server = Server::load(&tls).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let serving = tokio::spawn(async move {
        let (mut stream, caller) = server.accept(listener.accept().await.unwrap().0).await?;
        stream.write_all(b"hello").await?;
        stream.shutdown().await?;
        Ok(caller)
    });
    let talk = async {
        let name = ServerName::try_from("localhost").unwrap();
        let stream = TcpStream::connect(address).await?;
        let mut stream = TlsConnector::from(Arc::new(client)).connect(name, stream).await?;
        let mut said = String::new();
        stream.read_to_string(&mut said).await?;
        assert_eq!(said, "hello");
        let session = stream.get_ref().1;
        io::Result::Ok((session.alpn_protocol().unwrap_or_default().to_vec(), session.protocol_version().unwrap()))
    };
    let talked = talk.await.ok();
    (serving.await.unwrap(), talked)
}

#[tokio::test]
async fn a_verified_client_is_known_by_its_names() {
    let files = Files::new();
    let client = files.client(Some(issue(&files.authority, "ann", ExtendedKeyUsagePurpose::ClientAuth)), &["h2", "http/1.1"]);
    let (caller, talked) = connect(files.tls(true), client).await;
    let certificate = caller.unwrap().tls.unwrap();
    assert_eq!(certificate.common_name, "ann");
    assert_eq!(certificate.alternative_names, ["localhost", "10.1.2.3", "fe80::1", "ann@example.org"]);
    assert_eq!(talked, Some((b"h2".to_vec(), ProtocolVersion::TLSv1_3)));
}

#[tokio::test]
async fn strangers_are_refused() {
    let files = Files::new();
    let (caller, talked) = connect(files.tls(true), files.client(None, &[])).await;
    assert!(caller.is_err() && talked.is_none());
    let stranger = issue(&authority(), "ann", ExtendedKeyUsagePurpose::ClientAuth);
    let (caller, talked) = connect(files.tls(true), files.client(Some(stranger), &[])).await;
    assert!(caller.is_err() && talked.is_none());
    // A server's certificate does not make a client.
    let server = issue(&files.authority, "ann", ExtendedKeyUsagePurpose::ServerAuth);
    assert!(connect(files.tls(true), files.client(Some(server), &[])).await.0.is_err());
}

#[tokio::test]
async fn without_verification_anybody_may_come() {
    let files = Files::new();
    let (caller, talked) = connect(files.tls(false), files.client(None, &["http/1.1"])).await;
    assert_eq!((caller.unwrap().tls, talked.unwrap().0), (None, b"http/1.1".to_vec()));
}

#[tokio::test(start_paused = true)]
async fn a_silent_client_is_left() {
    let files = Files::new();
    let server = Server::load(&files.tls(false)).unwrap();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let _silent = TcpStream::connect(listener.local_addr().unwrap()).await.unwrap();
    let Err(e) = server.accept(listener.accept().await.unwrap().0).await else { panic!() };
    assert_eq!(e.kind(), io::ErrorKind::TimedOut);
}

#[test]
fn bad_files_are_named() {
    let files = Files::new();
    let refusal = |tls: &config::Tls| Server::load(tls).unwrap_err().message().to_owned();
    let missing = config::Tls { clients: Some(files.path("no.pem")), ..files.tls(true) };
    assert!(refusal(&missing).starts_with(&format!("could not read certificate {:?}: ", files.path("no.pem"))), "{}", refusal(&missing));
    let (_, other_key) = issue(&files.authority, "other", ExtendedKeyUsagePurpose::ServerAuth);
    files.write("other.pem", &other_key);
    let wrong = config::Tls { key: files.path("other.pem"), ..files.tls(true) };
    assert!(refusal(&wrong).starts_with("could not load X509 key pair (cert: "), "{}", refusal(&wrong));
    let swapped = config::Tls { cert: files.path("key.pem"), ..files.tls(true) };
    assert!(refusal(&swapped).ends_with("key.pem\": there is none in it"), "{}", refusal(&swapped));
    let swapped = config::Tls { key: files.path("cert.pem"), ..files.tls(true) };
    assert!(refusal(&swapped).starts_with(&format!("could not read TLS key {:?}: ", files.path("cert.pem"))), "{}", refusal(&swapped));
}
