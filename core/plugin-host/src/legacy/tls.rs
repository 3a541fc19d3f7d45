//! TLS to a plugin: whose certificate is believed, and which one is shown to it.

use super::TlsFiles;
use rustls::{
    ClientConfig, DigitallySignedStruct, RootCertStore, SignatureScheme,
    client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
    crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature},
    pki_types::{CertificateDer, PrivateKeyDer, ServerName, UnixTime, pem::PemObject as _},
};
use std::{fmt::Display, path::Path, sync::Arc};
use tokio_rustls::TlsConnector;
use wharf_types::{Error, Result};

/// Reads the files. Blocks.
///
/// # Errors
/// 400, naming the file that cannot be used.
pub fn connector(files: &TlsFiles) -> Result<TlsConnector> {
    let provider = Arc::new(ring::default_provider());
    let builder = ClientConfig::builder_with_provider(provider.clone()).with_safe_default_protocol_versions();
    let builder = builder.map_err(|e| Error::system(format!("TLS: {e}")))?;
    let builder = if files.insecure_skip_verify {
        builder.dangerous().with_custom_certificate_verifier(Arc::new(Anybody(provider)))
    } else {
        builder.with_root_certificates(authorities(&files.ca)?)
    };
    let none = Path::new("");
    let config = if files.cert == none && files.key == none {
        builder.with_no_client_auth()
    } else {
        let key = PrivateKeyDer::from_pem_file(&files.key).map_err(|e| unusable("TLS key", &files.key, e))?;
        let chain = certificates(&files.cert)?;
        builder.with_client_auth_cert(chain, key).map_err(|e| unusable("TLS certificate", &files.cert, e))?
    };
    Ok(TlsConnector::from(Arc::new(config)))
}

/// Those of the file, or the system's.
fn authorities(file: &Path) -> Result<RootCertStore> {
    let mut roots = RootCertStore::empty();
    if file == Path::new("") {
        roots.add_parsable_certificates(rustls_native_certs::load_native_certs().certs);
    } else {
        for certificate in certificates(file)? {
            roots.add(certificate).map_err(|e| unusable("CA certificate", file, e))?;
        }
    }
    Ok(roots)
}

fn certificates(path: &Path) -> Result<Vec<CertificateDer<'static>>> {
    let read: Result<Vec<_>, _> = CertificateDer::pem_file_iter(path).and_then(Iterator::collect);
    match read {
        Ok(certificates) if certificates.is_empty() => Err(unusable("TLS certificate", path, "it holds no certificate")),
        read => read.map_err(|e| unusable("TLS certificate", path, e)),
    }
}

fn unusable(what: &str, path: &Path, why: impl Display) -> Error {
    Error::invalid(format!("could not use {what} {:?} of a plugin: {why}", path.display()))
}

/// Believes every certificate (`InsecureSkipVerify`). The handshake must still be signed with its key.
#[derive(Debug)]
struct Anybody(Arc<CryptoProvider>);

impl ServerCertVerifier for Anybody {
    fn verify_server_cert(
        &self,
        _: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        Ok(ServerCertVerified::assertion())
    }
    fn verify_tls12_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, cert, dss, &self.0.signature_verification_algorithms)
    }
    fn verify_tls13_signature(
        &self,
        message: &[u8],
        cert: &CertificateDer<'_>,
        dss: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, cert, dss, &self.0.signature_verification_algorithms)
    }
    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.signature_verification_algorithms.supported_schemes()
    }
}
