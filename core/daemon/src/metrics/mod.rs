//! `metrics-addr`: numbers for Prometheus over plain HTTP, whoever asks. Nothing is kept for that; each question is answered with what
//! the engine, its plugins and the process are then.

mod process;

use bytes::Bytes;
use http::{Request, Response, StatusCode, header};
use http_body_util::Full;
use hyper::{body::Incoming, server::conn::http1, service::service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use std::{convert::Infallible, sync::Arc, time::Duration};
use tokio::{
    net::{TcpListener, TcpStream},
    sync::Semaphore,
};
use tokio_util::sync::CancellationToken;
use wharf_engine::{Engine, system::HostFacts};
use wharf_metrics::{Exposition, Kind};

/// How long a client may take for the head of a request.
const PATIENCE: Duration = Duration::from_secs(60);
/// A pause after a failed accept, which mostly means that files ran out.
const PAUSE: Duration = Duration::from_millis(50);
/// Connections at once: there are few who ask, and others must not take the daemon's files.
const CONNECTIONS: usize = 32;

/// The listener.
pub struct Metrics {
    listener: TcpListener,
    engine: Engine,
}

/// Binds the address.
///
/// # Errors
/// In dockerd's words.
pub async fn bind((host, port): &(String, u16)) -> anyhow::Result<TcpListener> {
    let shown = if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") };
    TcpListener::bind((host.as_str(), *port))
        .await
        .map_err(|e| anyhow::anyhow!("failed to start metrics server: listen tcp {shown}: bind: {e}"))
}

impl Metrics {
    /// Over the engine.
    pub fn new(listener: TcpListener, engine: Engine) -> Self {
        Self { listener, engine }
    }

    /// Answers until told to stop.
    pub async fn serve(self, stop: CancellationToken) {
        let places = Arc::new(Semaphore::new(CONNECTIONS));
        loop {
            let accepted = tokio::select! {
                accepted = self.accept(&places) => accepted,
                () = stop.cancelled() => return,
            };
            let Some((stream, place)) = accepted else { continue };
            let (engine, stop) = (self.engine.clone(), stop.clone());
            tokio::spawn(async move {
                tokio::select! {
                    () = converse(stream, engine) => {}
                    () = stop.cancelled() => {}
                }
                drop(place);
            });
        }
    }

    async fn accept(&self, places: &Arc<Semaphore>) -> Option<(TcpStream, tokio::sync::OwnedSemaphorePermit)> {
        let place = places.clone().acquire_owned().await.ok()?;
        match self.listener.accept().await {
            Ok((stream, _)) => Some((stream, place)),
            Err(e) => {
                tracing::warn!(error = %e, "connection for metrics not accepted");
                tokio::time::sleep(PAUSE).await;
                None
            }
        }
    }
}

async fn converse(stream: TcpStream, engine: Engine) {
    let answer = service_fn(move |rq: Request<Incoming>| {
        let engine = engine.clone();
        async move { Ok::<_, Infallible>(answer(rq.uri().path(), engine).await) }
    });
    let mut http = http1::Builder::new();
    http.timer(TokioTimer::new()).header_read_timeout(PATIENCE);
    // A client that goes away is no event.
    let _ = http.serve_connection(TokioIo::new(stream), answer).await;
}

async fn answer(path: &str, engine: Engine) -> Response<Full<Bytes>> {
    let (status, kind, text) = match path {
        // The process is looked at through files.
        "/metrics" => match tokio::task::spawn_blocking(move || expose(&engine)).await {
            Ok(text) => (StatusCode::OK, Exposition::CONTENT_TYPE, text),
            Err(e) => (StatusCode::INTERNAL_SERVER_ERROR, "text/plain; charset=utf-8", format!("{e}\n")),
        },
        _ => (StatusCode::NOT_FOUND, "text/plain; charset=utf-8", "404 page not found\n".to_owned()),
    };
    let mut response = Response::new(Full::from(text));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static(kind));
    response
}

fn expose(engine: &Engine) -> String {
    let mut text = Exposition::default();
    identity(&mut text, engine.system.host(), engine.system.driver());
    engine.expose(&mut text);
    process::expose(&mut text);
    text.finish()
}

/// What engine this is.
fn identity(text: &mut Exposition, host: &HostFacts, driver: &str) {
    let labels = [
        ("architecture", host.machine.as_str()),
        ("commit", crate::COMMIT),
        ("daemon_id", &host.engine_id),
        ("graphdriver", driver),
        ("kernel", &host.kernel),
        ("os", &host.operating_system),
        ("os_type", "linux"),
        ("os_version", &host.os_version),
        ("version", env!("CARGO_PKG_VERSION")),
    ];
    text.family(Kind::Gauge, "engine_daemon_engine_info", "The information related to the engine and the OS it is running on")
        .sample(&labels, 1.0);
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn an_address_in_use_is_named() {
        let first = bind(&("127.0.0.1".to_owned(), 0)).await.unwrap();
        let port = first.local_addr().unwrap().port();
        let e = bind(&("127.0.0.1".to_owned(), port)).await.unwrap_err().to_string();
        assert!(e.starts_with(&format!("failed to start metrics server: listen tcp 127.0.0.1:{port}: bind: ")), "{e}");
    }
}
