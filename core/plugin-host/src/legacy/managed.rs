//! Greeting a process that the engine has just started (Docker's managed plugins).
//!
//! What such a plugin is stands in its `config.json`. Docker never sends it `Plugin.Activate`, so there are plugins that do not know
//! the method: here it finds out whether somebody answers, and what it says is only compared.

use super::{
    Address, Endpoint, Http, LegacyPlugin, Timeouts,
    plugin::{ACTIVATE, Activated, late},
    wire,
};
use crate::words::cut;
use ::http::StatusCode;
use std::{sync::Arc, time::Duration};
use tokio::time::{Instant, sleep, timeout};
use wharf_spi::plugin::Served;
use wharf_types::{ErrorKind, Result};

/// The first pause between two tries; every one doubles it.
const SHORTEST: Duration = Duration::from_millis(5);
/// The longest.
const LONGEST: Duration = Duration::from_millis(250);

/// Waits until the process answers on its socket.
///
/// # Errors
/// 503 when nobody listens within `patience`, 500 when what listens does not answer in that time or does not speak HTTP.
pub async fn greet(served: Served, patience: Duration, timeouts: Timeouts) -> Result<LegacyPlugin> {
    let Served { name, socket, capabilities } = served;
    let http = Http::new(&Address { endpoint: Endpoint::Own(socket), tls: None })?;
    let (started, mut pause) = (Instant::now(), SHORTEST);
    let (status, answer) = loop {
        let left = patience.saturating_sub(started.elapsed());
        match timeout(left, http.exchange(ACTIVATE, Vec::new())).await {
            Err(_) => return Err(late(ACTIVATE, patience)),
            Ok(Err(e)) if e.kind() == ErrorKind::Unavailable && pause < left => sleep(pause).await,
            Ok(answered) => break answered?,
        }
        pause = LONGEST.min(pause * 2);
    };
    if status == StatusCode::OK {
        let implements = wire::decode::<Activated>(ACTIVATE, &answer)?.implements.unwrap_or_default();
        if let Some(missing) = capabilities.iter().find(|c| !implements.iter().any(|i| i.eq_ignore_ascii_case(c))) {
            let implements = cut(implements.join(", "));
            tracing::warn!(plugin = name, "config.json says {missing}, which is not in what the plugin says of itself: {implements}");
        }
    }
    Ok(LegacyPlugin::new(&name, capabilities, Arc::new(http), timeouts.call, Arc::default()))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{os::unix::fs::symlink, path::Path};
    use tokio::{
        io::{AsyncReadExt as _, AsyncWriteExt as _},
        net::UnixListener,
    };

    async fn greeted(socket: &Path, millis: u64) -> Result<LegacyPlugin> {
        let served = Served { name: "p:latest".into(), socket: socket.to_owned(), capabilities: vec!["authz".into()] };
        greet(served, Duration::from_millis(millis), Timeouts::default()).await
    }

    fn serve(socket: &Path, answer: &'static [u8]) {
        let listener = UnixListener::bind(socket).unwrap();
        tokio::spawn(async move {
            loop {
                let (mut stream, _) = listener.accept().await.unwrap();
                assert!(stream.read(&mut [0; 4096]).await.unwrap() > 0);
                stream.write_all(answer).await.unwrap();
                std::mem::forget(stream);
            }
        });
    }

    #[tokio::test]
    async fn any_answer_will_do() {
        let dir = tempfile::tempdir().unwrap();
        let socket = dir.path().join("late.sock");
        let (greeting, ()) = tokio::join!(greeted(&socket, 20_000), async {
            sleep(Duration::from_millis(30)).await;
            serve(&socket, b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n");
        });
        assert_eq!(greeting.unwrap().implements(), ["authz"]);
        let socket = dir.path().join("odd.sock");
        serve(&socket, b"SSH-2.0-OpenSSH\r\n");
        assert_eq!(greeted(&socket, 20_000).await.err().unwrap().kind(), ErrorKind::System);
    }

    #[tokio::test]
    async fn who_does_not_answer_is_not_waited_for() {
        let dir = tempfile::tempdir().unwrap();
        assert_eq!(greeted(&dir.path().join("none"), 20).await.err().unwrap().kind(), ErrorKind::Unavailable);
        let socket = dir.path().join("mute");
        let _listener = UnixListener::bind(&socket).unwrap();
        assert!(greeted(&socket, 20).await.err().unwrap().message().starts_with("Plugin.Activate: no answer within"));
    }

    #[tokio::test]
    async fn the_plugin_cannot_lead_the_engine_elsewhere() {
        let dir = tempfile::tempdir().unwrap();
        serve(&dir.path().join("other"), b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}");
        symlink(dir.path().join("other"), dir.path().join("link")).unwrap();
        assert!(greeted(&dir.path().join("other"), 20_000).await.is_ok());
        let refused = greeted(&dir.path().join("link"), 20).await.err().unwrap();
        assert!(refused.message().contains("it is no socket"), "{refused}");
    }

    #[tokio::test]
    async fn a_path_of_any_length() {
        let dir = tempfile::tempdir().unwrap();
        let deep = dir.path().join("d".repeat(120));
        std::fs::create_dir(&deep).unwrap();
        serve(&dir.path().join("s"), b"HTTP/1.1 200 OK\r\nContent-Length: 24\r\n\r\n{\"Implements\":[\"authz\"]}");
        std::fs::rename(dir.path().join("s"), deep.join("s")).unwrap();
        assert!(greeted(&deep.join("s"), 20_000).await.is_ok());
    }
}
