//! Failures of a connection in the words that dockerd's users know.

use reqwest::Url;
use rustls::{CertificateError, InvalidMessage};
use std::{error::Error as StdError, io};
use wharf_types::Error;

/// Why a request got no answer. Credentials are in no URL, and so in no text.
pub fn failure(error: &reqwest::Error) -> Error {
    Error::system(words(error))
}

fn words(error: &reqwest::Error) -> String {
    if error.is_timeout() {
        return "context deadline exceeded (Client.Timeout exceeded while awaiting headers)".to_owned();
    }
    let host = error.url().and_then(Url::host_str).unwrap_or_default();
    for cause in causes(error) {
        if let Some(tls) = tls_inside(cause) {
            return tls_words(tls, host);
        }
        let Some(io) = cause.downcast_ref::<io::Error>() else { continue };
        let text = io.to_string();
        if let Some(why) = text.strip_prefix("failed to lookup address information: ") {
            let why = if why == "Name or service not known" { "no such host".to_owned() } else { lower(why) };
            return format!("dial tcp: lookup {host}: {why}");
        }
        if let (Some(_), true) = (io.raw_os_error(), error.is_connect()) {
            let port = error.url().and_then(Url::port_or_known_default).unwrap_or_default();
            let why = lower(text.split(" (os error").next().unwrap_or(&text));
            return format!("dial tcp {host}:{port}: connect: {why}");
        }
        if io.kind() == io::ErrorKind::UnexpectedEof {
            return "EOF".to_owned();
        }
    }
    chain(error)
}

/// The error with everything that caused it. The first text of `reqwest` says no more than that there was a request.
pub fn chain(error: &reqwest::Error) -> String {
    let texts: Vec<_> = causes(error).map(ToString::to_string).collect();
    if texts.is_empty() { error.to_string() } else { texts.join(": ") }
}

fn causes(error: &reqwest::Error) -> impl Iterator<Item = &(dyn StdError + 'static)> {
    std::iter::successors(error.source(), |cause: &&(dyn StdError + 'static)| (*cause).source())
}

/// The error of TLS that an I/O error carries, however deep.
fn tls_inside<'a>(error: &'a (dyn StdError + 'static)) -> Option<&'a rustls::Error> {
    match error.downcast_ref::<io::Error>() {
        Some(io) => tls_inside(io.get_ref()?),
        None => error.downcast_ref(),
    }
}

fn tls_words(error: &rustls::Error, host: &str) -> String {
    let x509 = |why: &str| format!("tls: failed to verify certificate: x509: {why}");
    match error {
        rustls::Error::InvalidMessage(InvalidMessage::InvalidContentType) => "http: server gave HTTP response to HTTPS client".to_owned(),
        rustls::Error::InvalidCertificate(why) => match why {
            CertificateError::UnknownIssuer => x509("certificate signed by unknown authority"),
            CertificateError::Expired
            | CertificateError::ExpiredContext { .. }
            | CertificateError::NotValidYet
            | CertificateError::NotValidYetContext { .. } => x509("certificate has expired or is not yet valid"),
            CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. } => {
                x509(&format!("certificate is not valid for {host}"))
            }
            other => x509(&other.to_string()),
        },
        rustls::Error::AlertReceived(alert) => format!("remote error: tls: {alert:?}"),
        other => format!("tls: {other}"),
    }
}

fn lower(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map(|first| first.to_lowercase().chain(chars).collect()).unwrap_or_default()
}
