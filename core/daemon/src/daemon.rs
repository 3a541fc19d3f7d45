//! The running daemon: serve, then drain.

use crate::{
    boot,
    config::Config,
    listen::{Listener, Peer},
    pidfile::Pidfile,
    trace,
};
use std::{future::Future, process::ExitCode, sync::Arc, time::Duration};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use wharf_api::{App, Caller};
use wharf_engine::Engine;
use wharf_spi::authz::PeerCred;
use wharf_store::DataRootLock;

/// How long requests in progress may take once the daemon is told to stop (dockerd's number).
const DRAIN: Duration = Duration::from_secs(5);
/// A pause after a failed accept, which mostly means that files ran out.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// The composed engine, ready to serve.
pub struct Daemon {
    pub(crate) engine: Engine,
    pub(crate) app: App,
    pub(crate) listeners: Vec<Listener>,
    // Held to the end, dropped in this order: a second daemon can start once both are gone.
    pub(crate) _lock: DataRootLock,
    pub(crate) _pidfile: Pidfile,
}

impl Daemon {
    /// Builds the engine for `config` and binds its sockets; nothing is served before [`Daemon::run`].
    ///
    /// # Errors
    /// When a part of it can not be set up; the text says which.
    pub async fn build(config: Config) -> anyhow::Result<Daemon> {
        boot::build(config).await
    }

    /// Serves until `shutdown` resolves, then drains and, without live-restore, stops the containers.
    pub async fn run(self, shutdown: impl Future) -> ExitCode {
        let Self { engine, app, listeners, _lock, _pidfile } = self;
        let (stop, connections) = (CancellationToken::new(), TaskTracker::new());
        let accepting = TaskTracker::new();
        for listener in listeners {
            accepting.spawn(accept(listener, app.clone(), stop.clone(), connections.clone()));
        }
        trace::notify_ready();
        tracing::info!("API is served");
        shutdown.await;

        trace::notify_stopping();
        stop.cancel();
        accepting.close();
        accepting.wait().await;
        app.drain();
        connections.close();
        let _ = tokio::time::timeout(DRAIN, connections.wait()).await;
        match engine.containers.shutdown_timeout() {
            Some(seconds) => {
                let stopping = tokio::time::timeout(Duration::from_secs(seconds), engine.containers.shutdown());
                if stopping.await.is_err() {
                    tracing::warn!(seconds, "containers did not stop in time; they are taken over at the next start");
                }
            }
            None => engine.containers.shutdown().await,
        }
        tracing::info!("stopped");
        ExitCode::SUCCESS
    }
}

/// Accepts until told to stop; dropping the listener removes its socket.
async fn accept(listener: Listener, app: App, stop: CancellationToken, connections: TaskTracker) {
    loop {
        let accepted = tokio::select! {
            accepted = listener.accept() => accepted,
            () = stop.cancelled() => return,
        };
        match accepted {
            Ok((stream, peer)) => drop(connections.spawn(wharf_api::serve_connection(stream, caller(peer), app.clone()))),
            Err(e) => {
                tracing::warn!(error = %e, "connection not accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

fn caller(peer: Peer) -> Caller {
    let unix = match peer {
        Peer::Unix { uid, gid, pid } => Some(PeerCred { uid, gid, pid: pid.unwrap_or(0) }),
        Peer::Tcp(_) => None,
    };
    Caller { unix, tls: None }
}

/// The extensions of a daemon without plugins.
pub(crate) fn extensions() -> Arc<dyn wharf_spi::Extensions> {
    Arc::new(wharf_spi::NoExtensions)
}
