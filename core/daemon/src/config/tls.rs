//! TLS options: what asking for one of them implies, and where the files are when nobody says. The files themselves are read
//! by [`crate::listen`].

use super::{file::Source, raw::Raw};
use serde_json::{Map, Value};
use std::path::{Path, PathBuf};
use wharf_types::{Error, Result};

/// TLS of the TCP addresses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tls {
    /// The authorities that clients' certificates must come from; `None` when clients need none.
    pub clients: Option<PathBuf>,
    /// The daemon's certificate, followed by its intermediate ones.
    pub cert: PathBuf,
    /// Its private key.
    pub key: PathBuf,
}

/// Where the API is served when TLS is asked for and no address is given (dockerd's).
const DEFAULT_HOST: &str = "tcp://localhost:2376";
/// The options that name files, and the files' default names.
const FILES: [(&str, &str); 3] = [("tlscacert", "ca.pem"), ("tlscert", "cert.pem"), ("tlskey", "key.pem")];

/// Adds what the given keys and the environment imply; returns a warning for each option that then has no effect. As in
/// dockerd, any word about verification asks for TLS, and TLS verifies unless told not to.
pub(super) fn complete(keys: &mut Map<String, Value>, source: &dyn Source) -> Vec<String> {
    if source.var("DOCKER_TLS_VERIFY").is_some() {
        keys.entry("tlsverify").or_insert(Value::Bool(true));
    }
    if keys.contains_key("tlsverify") {
        keys.insert("tls".to_owned(), Value::Bool(true));
    }
    if keys.get("tls") != Some(&Value::Bool(true)) {
        let idle = FILES.iter().filter(|(key, _)| keys.contains_key(*key));
        return idle.map(|(key, _)| format!("the option {key:?} has no effect without \"tls\" or \"tlsverify\"")).collect();
    }
    keys.entry("tlsverify").or_insert(Value::Bool(true));
    keys.entry("hosts").or_insert_with(|| Value::from(vec![DEFAULT_HOST]));
    let home = || Path::new(&source.var("HOME").unwrap_or_else(|| "/root".to_owned())).join(".docker");
    let named = source.var("DOCKER_CERT_PATH").or_else(|| source.var("DOCKER_CONFIG"));
    let dir = named.map_or_else(home, PathBuf::from);
    for (key, name) in FILES {
        keys.entry(key).or_insert_with(|| dir.join(name).to_string_lossy().into());
    }
    Vec::new()
}

pub(super) fn tls(raw: &Raw) -> Result<Option<Tls>> {
    let file = |key: &str, path: &Option<String>| match path.as_deref() {
        Some(path) if path.starts_with('/') => Ok(PathBuf::from(path)),
        path => Err(Error::invalid(format!("invalid value for {key:?}: {:?} is not an absolute path", path.unwrap_or_default()))),
    };
    if !raw.tls {
        return Ok(None);
    }
    let verify = raw.tlsverify == Some(true);
    Ok(Some(Tls {
        clients: verify.then(|| file("tlscacert", &raw.tlscacert)).transpose()?,
        cert: file("tlscert", &raw.tlscert)?,
        key: file("tlskey", &raw.tlskey)?,
    }))
}
