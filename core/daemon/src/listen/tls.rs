//! TLS on a TCP connection: the daemon's certificate, the demand for a client's, and who the client then is.

use super::Stream;
use crate::config;
use rustls::{
    RootCertStore, ServerConfig,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    server::WebPkiClientVerifier,
};
use std::{
    fmt::Display,
    io,
    path::Path,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::net::TcpStream;
use tokio_rustls::{TlsAcceptor, server::TlsStream};
use tokio_util::either::Either;
use wharf_api::Socket;
use wharf_spi::authz::{Caller, PeerCert};
use wharf_types::{Error, Result};
use x509_cert::{
    Certificate,
    der::Decode as _,
    ext::pkix::{SubjectAltName, name::GeneralName},
};

/// How long a client may take for its handshake. It takes some round trips; silence is not a client.
const HANDSHAKE: Duration = Duration::from_secs(10);

/// The server's half of TLS. Cheap to clone.
#[derive(Clone)]
pub struct Server {
    acceptor: TlsAcceptor,
    verifies: bool,
}

impl std::fmt::Debug for Server {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Server").field("verifies", &self.verifies).finish_non_exhaustive()
    }
}

/// Chooses the implementation of cryptography for all TLS of this process. A second call has no effect.
pub fn install_crypto() {
    _ = rustls::crypto::ring::default_provider().install_default();
}

impl Server {
    /// Reads the files. TLS 1.2 is the oldest version, which is all that the library has.
    ///
    /// # Errors
    /// Names the file that can not be used.
    pub fn load(tls: &config::Tls) -> Result<Self> {
        let chain = certificates(&tls.cert)?;
        let key = PrivateKeyDer::from_pem_file(&tls.key).map_err(|e| unusable("TLS key", &tls.key, e))?;
        let builder = ServerConfig::builder();
        let builder = match &tls.clients {
            None => builder.with_no_client_auth(),
            Some(path) => {
                let bad = |e: &dyn Display| unusable("CA certificate", path, e);
                let mut roots = RootCertStore::empty();
                for certificate in certificates(path)? {
                    roots.add(certificate).map_err(|e| bad(&e))?;
                }
                let verifier = WebPkiClientVerifier::builder(Arc::new(roots)).build().map_err(|e| bad(&e))?;
                builder.with_client_cert_verifier(verifier)
            }
        };
        let mut config = builder.with_single_cert(chain, key).map_err(|e| {
            Error::invalid(format!("could not load X509 key pair (cert: {:?}, key: {:?}): {e}", tls.cert.display(), tls.key.display()))
        })?;
        config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
        Ok(Self { acceptor: TlsAcceptor::from(Arc::new(config)), verifies: tls.clients.is_some() })
    }

    /// Whether a client without a certificate is refused.
    pub fn verifies(&self) -> bool {
        self.verifies
    }

    /// The handshake on a new connection.
    ///
    /// # Errors
    /// When the client is not accepted, leaves, or takes too long.
    pub async fn accept(&self, stream: TcpStream) -> io::Result<(Stream, Caller)> {
        let stream = tokio::time::timeout(HANDSHAKE, self.acceptor.accept(stream)).await.map_err(|_| io::ErrorKind::TimedOut)??;
        let certificate = stream.get_ref().1.peer_certificates().and_then(|chain| chain.first());
        let tls = certificate.map(|c| peer(c)).transpose().map_err(io::Error::other)?;
        Ok((Either::Right(Either::Right(TlsSocket(Box::new(stream)))), Caller { tls, ..Caller::default() }))
    }
}

fn unusable(what: &str, path: &Path, why: impl Display) -> Error {
    Error::invalid(format!("could not read {what} {:?}: {why}", path.display()))
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>> {
    let found: Result<Vec<_>, _> = CertificateDer::pem_file_iter(path).and_then(Iterator::collect);
    match found {
        Ok(found) if found.is_empty() => Err(unusable("certificate", path, "there is none in it")),
        found => found.map_err(|e| unusable("certificate", path, e)),
    }
}

/// What policies may know of a verified certificate. One that can not be read names nobody, so it is an error.
fn peer(der: &[u8]) -> x509_cert::der::Result<PeerCert> {
    let certificate = Certificate::from_der(der)?;
    let fields = certificate.tbs_certificate();
    let name = fields.subject().common_name()?;
    let alternative = fields.get_extension::<SubjectAltName>().map_err(|_| x509_cert::der::Tag::Sequence.value_error())?;
    Ok(PeerCert {
        common_name: name.map(String::from).unwrap_or_default(),
        alternative_names: alternative.iter().flat_map(|(_, names)| names.0.iter()).filter_map(text).collect(),
        der: der.to_vec(),
    })
}

/// The names that have a usual text form.
fn text(name: &GeneralName) -> Option<String> {
    match name {
        GeneralName::DnsName(name) | GeneralName::Rfc822Name(name) | GeneralName::UniformResourceIdentifier(name) => Some(name.to_string()),
        GeneralName::IpAddress(bytes) => match bytes.as_bytes().len() {
            4 => <[u8; 4]>::try_from(bytes.as_bytes()).ok().map(|ip| std::net::Ipv4Addr::from(ip).to_string()),
            _ => <[u8; 16]>::try_from(bytes.as_bytes()).ok().map(|ip| std::net::Ipv6Addr::from(ip).to_string()),
        },
        _ => None,
    }
}

/// A TLS connection whose socket can be watched.
#[derive(Debug)]
pub struct TlsSocket(Box<TlsStream<TcpStream>>);

impl Socket for TlsSocket {
    fn duplicate(&self) -> io::Result<rustix::fd::OwnedFd> {
        self.0.get_ref().0.duplicate()
    }
}

impl AsyncRead for TlsSocket {
    fn poll_read(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_read(cx, buf)
    }
}

impl AsyncWrite for TlsSocket {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write(cx, buf)
    }
    fn poll_write_vectored(mut self: Pin<&mut Self>, cx: &mut Context<'_>, bufs: &[io::IoSlice<'_>]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.0).poll_write_vectored(cx, bufs)
    }
    fn is_write_vectored(&self) -> bool {
        self.0.is_write_vectored()
    }
    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_flush(cx)
    }
    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.0).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests;
