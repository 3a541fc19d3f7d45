//! Names, servers and certificates for plugins that go out.

use super::{Guest, World, request};
use crate::wasm::{
    Plugin,
    egress::{Network, Resolver},
};
use async_trait::async_trait;
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, ExtendedKeyUsagePurpose, IsCa, KeyPair};
use rustls::{RootCertStore, ServerConfig, crypto::ring, pki_types::PrivateKeyDer, server::WebPkiClientVerifier};
use std::{
    collections::{BTreeMap, VecDeque},
    io,
    net::IpAddr,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
};
use tokio::{
    io::{AsyncRead, AsyncReadExt as _, AsyncWrite, AsyncWriteExt as _},
    net::TcpListener,
    sync::OwnedSemaphorePermit,
};

/// Answers with the next list each time; with the last one for ever.
#[derive(Default)]
pub struct Names {
    answers: Mutex<BTreeMap<String, VecDeque<IpAddr>>>,
    pub asked: AtomicUsize,
}

#[async_trait]
impl Resolver for Names {
    async fn resolve(&self, host: &str, _: OwnedSemaphorePermit) -> io::Result<Vec<IpAddr>> {
        self.asked.fetch_add(1, Ordering::SeqCst);
        let mut answers = self.answers.lock().unwrap();
        let Some(answers) = answers.get_mut(host) else { return Err(io::Error::other("no such host")) };
        Ok(vec![if answers.len() > 1 { answers.pop_front().unwrap() } else { answers[0] }])
    }
}

pub fn names(all: &[(&str, &[&str])]) -> Arc<Names> {
    let addresses = |ips: &[&str]| ips.iter().map(|ip| ip.parse().unwrap()).collect();
    let answers = all.iter().map(|(name, ips)| ((*name).to_owned(), addresses(ips))).collect();
    Arc::new(Names { answers: Mutex::new(answers), asked: AtomicUsize::default() })
}

pub fn world(all: &[(&str, &[&str])]) -> World {
    World::on(Network { resolver: names(all), ..Network::new(Vec::new()) })
}

/// The body, or the words of the failure.
pub async fn told(plugin: &Plugin) -> Result<String, String> {
    plugin.authorizer().unwrap().judge(&request()).await.map(|decision| decision.rule).map_err(|e| e.to_string())
}

pub async fn outcome(world: &World, guest: &Guest, grants: &str) -> Result<String, String> {
    told(&world.with(guest, grants).await).await
}

pub async fn read_head(stream: &mut (impl AsyncRead + Unpin)) -> String {
    let mut head = Vec::new();
    while !head.ends_with(b"\r\n\r\n") {
        match stream.read_u8().await {
            Ok(byte) => head.push(byte),
            Err(_) => break,
        }
    }
    String::from_utf8(head).unwrap()
}

pub async fn answer(mut stream: impl AsyncRead + AsyncWrite + Unpin, answer: &str) -> String {
    let head = read_head(&mut stream).await;
    let _ = stream.write_all(answer.as_bytes()).await;
    let _ = stream.shutdown().await;
    head
}

pub fn ok(body: &str) -> String {
    format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len())
}

/// A server that answers everybody so, and what it was asked.
pub async fn server(at: &str, text: String) -> (u16, Arc<Mutex<Vec<String>>>) {
    let listener = TcpListener::bind((at, 0)).await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let heads = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&heads);
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            let head = answer(stream, &text).await;
            seen.lock().unwrap().push(head);
        }
    });
    (port, heads)
}

/// An authority, and a server's configuration with a certificate of it.
pub struct Authority(CertifiedIssuer<'static, KeyPair>);

impl Authority {
    pub fn new() -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        Self(CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap())
    }

    pub fn roots(&self) -> Arc<RootCertStore> {
        let mut roots = RootCertStore::empty();
        roots.add(self.0.der().clone()).unwrap();
        Arc::new(roots)
    }

    pub fn signed(&self, name: &str, usage: ExtendedKeyUsagePurpose) -> (rcgen::Certificate, KeyPair) {
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        params.extended_key_usages = vec![usage];
        let key = KeyPair::generate().unwrap();
        (params.signed_by(&key, &self.0).unwrap(), key)
    }

    pub fn server(&self, name: &str, ask_clients: bool) -> ServerConfig {
        let provider = Arc::new(ring::default_provider());
        let builder = ServerConfig::builder_with_provider(provider.clone()).with_safe_default_protocol_versions().unwrap();
        let verifier = WebPkiClientVerifier::builder_with_provider(self.roots(), provider).build().unwrap();
        let builder = if ask_clients { builder.with_client_cert_verifier(verifier) } else { builder.with_no_client_auth() };
        let (certificate, key) = self.signed(name, ExtendedKeyUsagePurpose::ServerAuth);
        let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
        builder.with_single_cert(vec![certificate.der().clone()], key).unwrap()
    }
}

pub fn trusting(authority: &Authority) -> World {
    let network = Network { resolver: names(&[("server.test", &["127.0.0.1"])]), ..Network::new(Vec::new()) };
    network.authorities.set(authority.roots()).unwrap();
    World::on(network)
}

pub async fn tls_server(config: ServerConfig, text: String) -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(config));
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            if let Ok(stream) = acceptor.accept(stream).await {
                answer(stream, &text).await;
            }
        }
    });
    port
}

pub async fn echo(mut stream: impl AsyncRead + AsyncWrite + Unpin) {
    let mut bytes = [0; 100];
    let length = stream.read(&mut bytes).await.unwrap_or(0);
    let _ = stream.write_all(&[b"echo ", &bytes[..length]].concat()).await;
    let _ = stream.shutdown().await;
}
