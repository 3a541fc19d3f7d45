//! HTTP clients: whose certificates they believe, and what they do with redirections and proxies.

use crate::{Address, Options};
use reqwest::{Certificate, ClientBuilder, Identity, redirect};
use std::{
    fmt::Display,
    fs, io,
    path::{Path, PathBuf},
};
use wharf_types::{Error, Result};

/// Redirections that are followed; Go's number.
const MAX_REDIRECTS: usize = 10;

/// Chooses the implementation of cryptography, unless the process has chosen already.
pub fn install_crypto() {
    _ = rustls::crypto::ring::default_provider().install_default();
}

/// A client for this registry. Blocks: it reads the system's authorities and the registry's files.
///
/// # Errors
/// 400 for certificates that can not be used, as dockerd; else when the system has no authorities.
pub fn client(options: &Options, registry: &Address, insecure: bool, agent: &str) -> Result<reqwest::Client> {
    let mut builder = ClientBuilder::new().user_agent(agent).timeout(options.timeout).referer(false).redirect(same_origin());
    if is_local(registry) {
        // As Go's default: nobody's proxy is nearer to this host than the host itself.
        builder = builder.no_proxy();
    }
    builder = if insecure { builder.tls_danger_accept_invalid_certs(true) } else { trust(builder, &options.certs, registry)? };
    builder.build().map_err(|e| Error::system(format!("TLS for {registry}: {}", crate::dial::chain(&e))).with_source(e))
}

fn is_local(registry: &Address) -> bool {
    registry.host() == "localhost" || registry.host().parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

/// Redirections within a server. Requests carry credentials, so another server gets none of them; the redirection is then the
/// answer.
fn same_origin() -> redirect::Policy {
    redirect::Policy::custom(|attempt| {
        let same = attempt.previous().first().is_some_and(|first| first.origin() == attempt.url().origin());
        if same && attempt.previous().len() <= MAX_REDIRECTS { attempt.follow() } else { attempt.stop() }
    })
}

/// Adds the authorities and the client certificate that the registry's directories hold.
fn trust(mut builder: ClientBuilder, roots: &[PathBuf], registry: &Address) -> Result<ClientBuilder> {
    let mut identity = None;
    for root in roots {
        let dir = root.join(registry.as_str());
        for path in files(&dir)? {
            let kind = path.extension().and_then(|e| e.to_str()).unwrap_or_default();
            match kind {
                "crt" => {
                    let authorities = Certificate::from_pem_bundle(&read(&path)?).map_err(|e| unusable(&path, &e))?;
                    builder = builder.tls_certs_merge(authorities);
                }
                "cert" => {
                    let key = partner(&path, "key").ok_or_else(|| missing("key", &path))?;
                    if let Some(first) = identity.replace(path.clone()) {
                        let (first, path) = (first.display(), path.display());
                        return Err(Error::invalid(format!(
                            "two client certificates for {registry} are not supported: {first} and {path}"
                        )));
                    }
                    let pem = [read(&key)?, read(&path)?].join(&b'\n');
                    builder = builder.identity(Identity::from_pem(&pem).map_err(|e| unusable(&path, &e))?);
                }
                "key" if partner(&path, "cert").is_none() => return Err(missing("client certificate", &path)),
                _ => {}
            }
        }
    }
    Ok(builder)
}

/// The directory's files in the order of their names; none when there is no directory.
fn files(dir: &Path) -> Result<Vec<PathBuf>> {
    let listed = fs::read_dir(dir).and_then(|entries| entries.map(|entry| entry.map(|e| e.path())).collect());
    let mut paths: Vec<_> = match listed {
        Err(e) if matches!(e.kind(), io::ErrorKind::NotFound | io::ErrorKind::NotADirectory) => Vec::new(),
        listed => listed.map_err(|e| unusable(dir, &e))?,
    };
    paths.sort();
    Ok(paths)
}

fn partner(path: &Path, extension: &str) -> Option<PathBuf> {
    Some(path.with_extension(extension)).filter(|p| p.exists())
}

fn read(path: &Path) -> Result<Vec<u8>> {
    fs::read(path).map_err(|e| unusable(path, &e))
}

fn unusable(path: &Path, why: &dyn Display) -> Error {
    Error::invalid(format!("could not use {}: {why}", path.display()))
}

fn missing(what: &str, path: &Path) -> Error {
    let hint = "a client certificate is NAME.cert with NAME.key; CA certificates must use the extension .crt";
    Error::invalid(format!("missing {what} for {} ({hint})", path.display()))
}
