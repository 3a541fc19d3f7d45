//! TLS to servers: the host's authorities, and a client certificate where there is one.

use super::egress::{Network, Refusal};
use rustls::{
    ClientConfig, RootCertStore,
    crypto::ring,
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, pem::PemObject as _},
};
use std::sync::Arc;
use tokio::net::TcpStream;
use tokio_rustls::{TlsConnector, client::TlsStream};

impl Network {
    /// A handshake with the server of this name. `certificate` is PEM with a chain and its key.
    pub(super) async fn secure(&self, stream: TcpStream, host: &str, certificate: Option<&[u8]>) -> Result<TlsStream<TcpStream>, Refusal> {
        let bare = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).unwrap_or(host);
        let name = ServerName::try_from(bare.to_owned()).map_err(|e| Refusal::Invalid(format!("{host}: {e}")))?;
        let unusable = |what: &str, why: &dyn std::fmt::Display| Refusal::Invalid(format!("{what}: {why}"));
        let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider())).with_safe_default_protocol_versions();
        let builder = builder.map_err(|e| unusable("TLS", &e))?.with_root_certificates(self.authorities().await?);
        let config = match certificate {
            None => builder.with_no_client_auth(),
            Some(pem) => {
                // What the parser says may quote the file.
                let bad = || Refusal::Invalid("the client certificate is no PEM with a chain and its key".to_owned());
                let chain = CertificateDer::pem_slice_iter(pem).collect::<Result<Vec<_>, _>>().map_err(|_| bad())?;
                let key = PrivateKeyDer::from_pem_slice(pem).map_err(|_| bad())?;
                builder.with_client_auth_cert(chain, key).map_err(|e| unusable("the client certificate", &e))?
            }
        };
        TlsConnector::from(Arc::new(config)).connect(name, stream).await.map_err(|e| Refusal::Unreachable(format!("TLS with {host}: {e}")))
    }

    async fn authorities(&self) -> Result<Arc<RootCertStore>, Refusal> {
        let read = || async {
            let found = tokio::task::spawn_blocking(rustls_native_certs::load_native_certs).await;
            let found = found.map_err(|e| Refusal::Unreachable(e.to_string()))?;
            let mut roots = RootCertStore::empty();
            roots.add_parsable_certificates(found.certs);
            if roots.is_empty() {
                return Err(Refusal::Unreachable("this host has no certificate authorities".to_owned()));
            }
            Ok(Arc::new(roots))
        };
        self.authorities.get_or_try_init(read).await.cloned()
    }
}
