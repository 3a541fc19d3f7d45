//! The running daemon: serve, do what signals ask for, then drain.

use crate::{
    boot,
    config::{Config, Flags},
    dump::Dump,
    listen::{Accepted, Listener, Sockets},
    manager,
    metrics::Metrics,
    pidfile::Pidfile,
    reload::Reloader,
    signals::Request,
};
use std::{future::Future, path::PathBuf, process::ExitCode, sync::Arc, time::Duration};
use tokio::sync::mpsc;
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use wharf_api::App;
use wharf_engine::Engine;
use wharf_store::DataRootLock;
use wharf_types::Timestamp;

/// How long requests in progress may take once the daemon is told to stop (dockerd's number).
const DRAIN: Duration = Duration::from_secs(5);
/// A pause after a failed accept, which mostly means that files ran out.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);

/// The composed engine, ready to serve.
pub struct Daemon {
    pub(crate) engine: Engine,
    pub(crate) app: App,
    pub(crate) listeners: Vec<Listener>,
    pub(crate) metrics: Option<Metrics>,
    pub(crate) reloader: Reloader,
    pub(crate) exec_root: PathBuf,
    // Held to the end, dropped in this order: a second daemon can start once both are gone.
    pub(crate) _lock: DataRootLock,
    pub(crate) _pidfile: Pidfile,
}

impl Daemon {
    /// Builds the engine for `config`, which came from `flags`, and binds its sockets, beside those passed; nothing is served
    /// before [`Daemon::run`].
    ///
    /// # Errors
    /// When a part of it can not be set up; the text says which.
    pub async fn build(flags: Flags, config: Config, sockets: Sockets) -> anyhow::Result<Daemon> {
        boot::build(flags, config, sockets).await
    }

    /// Serves until `shutdown` resolves, then drains and, without live-restore, stops the containers; then the plugins. Requests are answered
    /// to the end.
    pub async fn run(self, shutdown: impl Future, requests: mpsc::Receiver<Request>) -> ExitCode {
        let Self { engine, app, listeners, metrics, reloader, exec_root, _lock, _pidfile } = self;
        let (stop, connections) = (CancellationToken::new(), TaskTracker::new());
        let accepting = TaskTracker::new();
        for listener in listeners {
            accepting.spawn(accept(listener, app.clone(), stop.clone(), connections.clone()));
        }
        if let Some(metrics) = metrics {
            accepting.spawn(metrics.serve(stop.clone()));
        }
        let dump = Dump { dir: exec_root, engine: engine.clone(), connections: connections.clone(), since: Timestamp::now() };
        tokio::spawn(obey(requests, Arc::new(reloader), Arc::new(dump), stop.clone()));
        tokio::spawn(manager::watchdog());
        manager::ready();
        tracing::info!("API is served");
        shutdown.await;

        stop.cancel();
        manager::stopping();
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
        engine.plugins.shutdown().await;
        let plugins = engine.plugins.clone();
        let closed = tokio::task::spawn_blocking(move || plugins.close_decision_log());
        if tokio::time::timeout(DRAIN, closed).await.is_err() {
            tracing::warn!("the last decisions were not logged in time");
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
            Ok(accepted) => drop(connections.spawn(serve(accepted, app.clone()))),
            Err(e) => {
                tracing::warn!(error = %e, "connection not accepted");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
        }
    }
}

/// Answers the signals that do not end the daemon; a daemon that stops is not reloaded any more.
async fn obey(mut requests: mpsc::Receiver<Request>, reloader: Arc<Reloader>, dump: Arc<Dump>, stop: CancellationToken) {
    while let Some(request) = requests.recv().await {
        let (reloader, dump) = (reloader.clone(), dump.clone());
        let done = match request {
            Request::Reload if stop.is_cancelled() => continue,
            Request::Reload => {
                manager::reloading();
                let done = tokio::task::spawn_blocking(move || reloader.run()).await;
                if !stop.is_cancelled() {
                    manager::ready();
                }
                done
            }
            Request::Dump => {
                tokio::task::spawn_blocking(move || match dump.write() {
                    Ok(path) => tracing::info!("state dump written to {}", path.display()),
                    Err(e) => tracing::error!("no state dump: {e}"),
                })
                .await
            }
        };
        if let Err(e) = done {
            tracing::error!("{request:?}: {e}");
        }
    }
}

async fn serve(accepted: Accepted, app: App) {
    match accepted.establish().await {
        Ok((stream, caller)) => wharf_api::serve_connection(stream, caller, app).await,
        Err(e) => tracing::info!(error = %e, "TLS handshake failed"),
    }
}
