//! Plugins over TCP, by the `.json` files that say how they are verified.

use crate::harness::{Script, fast, request};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, ExtendedKeyUsagePurpose, IsCa, KeyPair};
use std::{fs, path::PathBuf, time::Duration};
use tempfile::TempDir;
use wharf_plugin_host::legacy::{Discovery, NativePlugins, Plugins, Timeouts};
use wharf_spi::authz::Verdict;
use wharf_types::ErrorKind;

/// An authority, a server's and a client's certificate, each with its key.
fn certificates() -> TempDir {
    let dir = tempfile::tempdir().unwrap();
    let write = |name: &str, text: String| fs::write(dir.path().join(name), text).unwrap();
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    write("ca.pem", authority.pem());
    for (name, usage) in [("server", ExtendedKeyUsagePurpose::ServerAuth), ("client", ExtendedKeyUsagePurpose::ClientAuth)] {
        let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        params.distinguished_name.push(DnType::CommonName, name);
        params.extended_key_usages = vec![usage];
        let key = KeyPair::generate().unwrap();
        write(&format!("{name}.pem"), params.signed_by(&key, &authority).unwrap().pem());
        write(&format!("{name}-key.pem"), key.serialize_pem());
    }
    dir
}

#[tokio::test]
async fn certificates_are_verified_and_shown() {
    let (ours, others) = (certificates(), certificates());
    let at = |dir: &TempDir, name: &str| -> PathBuf { dir.path().join(name) };
    let (_plugin, port) = Script::start_tls(&["server.pem", "server-key.pem", "ca.pem"].map(|name| at(&ours, name)));
    let specs = tempfile::tempdir().unwrap();
    let shown = format!(r#""CertFile": {:?}, "KeyFile": {:?}"#, at(&ours, "client.pem"), at(&ours, "client-key.pem"));
    let describe = |name: &str, addr: &str, tls: String| {
        fs::write(specs.path().join(format!("{name}.json")), format!(r#"{{"Addr": "{addr}:{port}", "TLSConfig": {{{tls}}}}}"#)).unwrap();
    };
    let verified = |by: &TempDir| format!(r#""CAFile": {:?}, {shown}"#, at(by, "ca.pem"));
    describe("good", "tcp://localhost", verified(&ours));
    describe("https", "https://localhost", verified(&ours));
    describe("other-authority", "tcp://localhost", verified(&others));
    describe("other-name", "tcp://127.0.0.1", verified(&ours));
    describe("unverified", "tcp://127.0.0.1", shown.clone());
    describe("anonymous", "tcp://localhost", format!(r#""CAFile": {:?}"#, at(&ours, "ca.pem")));
    describe("no-file", "tcp://localhost", r#""CAFile": "/missing.pem""#.to_owned());
    fs::write(specs.path().join("plain.spec"), format!("tcp://localhost:{port}")).unwrap();
    let discovery = Discovery { sockets: specs.path().join("none"), specs: vec![specs.path().to_owned()] };

    for name in ["good", "https", "unverified"] {
        let plugins = Plugins::new(discovery.clone(), fast(), NativePlugins::Refused);
        assert_eq!(plugins.authorizer(name).judge(&request()).await.unwrap().verdict, Verdict::Allow, "{name}");
    }
    for name in ["other-authority", "other-name", "anonymous", "plain"] {
        let timeouts = Timeouts { patience: Duration::ZERO, ..fast() };
        let plugins = Plugins::new(discovery.clone(), timeouts, NativePlugins::Refused);
        plugins.authorizer(name).judge(&request()).await.expect_err(name);
    }
    let e = Plugins::new(discovery, fast(), NativePlugins::Refused).get("no-file").await.err().unwrap();
    assert_eq!(e.kind(), ErrorKind::InvalidParameter);
    assert!(e.message().starts_with(r#"could not use TLS certificate "/missing.pem" of a plugin: "#), "{e}");
}
