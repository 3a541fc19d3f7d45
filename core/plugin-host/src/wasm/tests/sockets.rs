//! Connections: what is allowed and denied, and client certificates.

use super::{
    Guest,
    servers::{Authority, echo, outcome, told, trusting, world},
};
use rcgen::ExtendedKeyUsagePurpose;
use std::{fmt::Write as _, sync::Arc};
use tokio::net::{TcpListener, UdpSocket, UnixListener};

/// Connects to this target at every decision, sends `ping`, and tells what it receives.
pub fn talking(case: u8, host: &str, port: u32, certificate: Option<&str>) -> Guest {
    let failed = |at: u32| {
        format!(
            "(if (i32.load8_u (i32.const {at})) (then
               (i32.store8 (i32.const 512) (i32.const 1)) (i32.store (i32.const 516) (i32.load (i32.const {}))) (i32.store (i32.const 520) (i32.load (i32.const {})))
               (if (i32.eq (i32.load8_u (i32.const {})) (i32.const 2)) (then (i32.store (i32.const 516) (i32.const 610)) (i32.store (i32.const 520) (i32.const 6))))
               (return (i32.const 512))))",
            at + 8,
            at + 12,
            at + 4
        )
    };
    let (mut fields, open, certificate) = match certificate {
        None => (String::new(), String::new(), "(i32.const 0) (i32.const 0)"),
        Some(name) => (
            format!("(import \"wharf:host/secrets@0.1.0\" \"open\" (func $open (param i32 i32 i32))) (data (i32.const 1500) \"{name}\")"),
            format!(
                "(call $open (i32.const 1500) (i32.const {}) (i32.const 1600)) (if (i32.load8_u (i32.const 1600)) (then unreachable))",
                name.len()
            ),
            "(i32.const 1) (i32.load (i32.const 1604))",
        ),
    };
    fields.insert_str(
        0,
        "(import \"wharf:host/sockets@0.1.0\" \"connect\" (func $connect (param i32 i32 i32 i32 i32 i32 i32)))
         (import \"wharf:host/sockets@0.1.0\" \"[method]connection.send\" (func $send (param i32 i32 i32 i32)))
         (import \"wharf:host/sockets@0.1.0\" \"[method]connection.receive\" (func $receive (param i32 i32 i32)))
         (import \"wharf:host/sockets@0.1.0\" \"[resource-drop]connection\" (func $drop (param i32)))",
    );
    write!(fields, "(data (i32.const 600) \"ping\") (data (i32.const 610) \"closed\") (data (i32.const 1024) \"{host}\")").unwrap();
    let judge = format!(
        "(i32.store8 (i32.const 512) (i32.const 0)) {open}
         (call $connect (i32.const {case}) (i32.const 1024) (i32.const {}) (i32.const {port}) {certificate} (i32.const 704)) {}
         (call $send (i32.load (i32.const 708)) (i32.const 600) (i32.const 4) (i32.const 740)) {}
         (call $receive (i32.load (i32.const 708)) (i32.const 100) (i32.const 780)) {}
         (call $drop (i32.load (i32.const 708)))
         (i32.store (i32.const 532) (i32.load (i32.const 784))) (i32.store (i32.const 536) (i32.load (i32.const 788))) (i32.const 512)",
        host.len(),
        failed(704),
        failed(740),
        failed(780),
    );
    Guest { fields, ..Guest::judging(&judge) }
}

#[tokio::test]
async fn sockets_reach_what_is_allowed() {
    let world = world(&[("server.test", &["127.0.0.1"])]);
    let tcp = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = tcp.local_addr().unwrap().port();
    let udp = UdpSocket::bind(("127.0.0.1", port)).await.unwrap();
    let path = world.dir.path().join("s");
    let unix = UnixListener::bind(&path).unwrap();
    tokio::spawn(async move {
        while let Ok((stream, _)) = tcp.accept().await {
            echo(stream).await;
        }
    });
    tokio::spawn(async move {
        while let Ok((stream, _)) = unix.accept().await {
            echo(stream).await;
        }
    });
    tokio::spawn(async move {
        let mut bytes = [0; 100];
        while let Ok((length, from)) = udp.recv_from(&mut bytes).await {
            let _ = udp.send_to(&[b"echo ", &bytes[..length]].concat(), from).await;
        }
    });
    let (path, number) = (path.to_str().unwrap(), u32::from(port));
    let near = format!("tcp:127.0.0.1:{port} udp:127.0.0.1:{port}");
    for (case, host, grant) in [
        (0, "server.test", format!("tcp:server.test:{port} {near}")),
        (0, "127.0.0.1", near.clone()),
        (2, "server.test", format!("udp:server.test:{port} {near}")),
        (3, path, format!("unix:{path}")),
    ] {
        let plugin = world.with(&talking(case, host, number, None), &grant).await;
        // More often than there are handles: what is dropped is gone.
        for _ in 0..70 {
            assert_eq!(told(&plugin).await.as_deref(), Ok("echo ping"), "{host}");
        }
    }
    for (case, host, grant, why) in [
        (0, "server.test", format!("tcp:server.test:{port}"), "is 127.0.0.1"),
        (0, "server.test", format!("tls:server.test:{port}"), "no permission tcp:server.test"),
        (1, "server.test", near.clone(), "no permission tls:server.test"),
        (2, "server.test", format!("udp:server.test:{port}"), "is 127.0.0.1"),
        (3, path, format!("unix:{path}x"), "no permission unix:"),
        (3, "/tmp/../etc/x", format!("unix:{path}"), "no permission unix:"),
    ] {
        let text = outcome(&world, &talking(case, host, number, None), &grant).await.unwrap_err();
        assert!(text.contains(why), "{host}: {text}");
    }
}

#[tokio::test]
async fn handles_have_an_end() {
    let world = world(&[]);
    let tcp = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = tcp.local_addr().unwrap().port();
    tokio::spawn(async move {
        let mut kept = Vec::new();
        while let Ok((stream, _)) = tcp.accept().await {
            kept.push(stream);
        }
    });
    let mut guest = talking(0, "127.0.0.1", port.into(), None);
    guest.judge = "(loop $l (call $connect (i32.const 0) (i32.const 1024) (i32.const 9) (i32.const PORT) (i32.const 0) (i32.const 0) (i32.const 704))
        (br_if $l (i32.eqz (i32.load8_u (i32.const 704)))))
        (i32.store8 (i32.const 512) (i32.const 1)) (i32.store (i32.const 516) (i32.load (i32.const 712))) (i32.store (i32.const 520) (i32.load (i32.const 716))) (i32.const 512)"
        .replace("PORT", &port.to_string());
    let text = outcome(&world, &guest, &format!("tcp:127.0.0.1:{port}")).await.unwrap_err();
    assert_eq!(text, "an instance holds 64 secrets and connections at the most");
}

#[tokio::test]
async fn a_client_certificate_comes_from_a_secret() {
    let authority = Authority::new();
    let world = trusting(&authority);
    let secrets = world.dir.path().join("secrets/p");
    std::fs::create_dir_all(&secrets).unwrap();
    let (certificate, key) = authority.signed("client", ExtendedKeyUsagePurpose::ClientAuth);
    super::secrets::put(&secrets.join("CERT"), &format!("{}{}", certificate.pem(), key.serialize_pem()));
    super::secrets::put(&secrets.join("BAD"), "-----BEGIN hunter2\nhunter2");
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let echoing = listener.local_addr().unwrap().port();
    let acceptor = tokio_rustls::TlsAcceptor::from(Arc::new(authority.server("server.test", true)));
    tokio::spawn(async move {
        while let Ok((stream, _)) = listener.accept().await {
            if let Ok(stream) = acceptor.accept(stream).await {
                echo(stream).await;
            }
        }
    });
    let grants = format!("tls:server.test:{echoing} tls:127.0.0.1:{echoing} secret:CERT secret:BAD");
    let with = |certificate| talking(1, "server.test", echoing.into(), certificate);
    assert_eq!(outcome(&world, &with(Some("CERT")), &grants).await.as_deref(), Ok("echo ping"));
    assert!(outcome(&world, &with(None), &grants).await.is_err());
    let text = outcome(&world, &with(Some("BAD")), &grants).await.unwrap_err();
    assert!(text.contains("client certificate") && !text.contains("hunter2"), "{text}");
}
