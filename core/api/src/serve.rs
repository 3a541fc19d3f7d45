//! Connections: HTTP/1.1 with upgrades and HTTP/2, headers bounded in time, drained on request.

use crate::{
    cx::Context,
    endpoint::{Row, Table, Verb},
    error,
    hangup::{Hangup, Socket},
    normalize::{Folding, split_version},
    reply::Response,
    request::Received,
};
use axum::{Router, body::Body};
use http::{Method, Uri, uri::PathAndQuery};
use hyper::{body::Incoming, service::service_fn};
use hyper_util::{
    rt::{TokioExecutor, TokioIo, TokioTimer},
    server::conn::auto,
};
use std::{borrow::Cow, convert::Infallible, sync::Arc, time::Duration};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_util::sync::CancellationToken;
use tower::Service as _;
use wharf_api_types::MAX_API_VERSION;
use wharf_spi::authz::Caller;

/// How long a client may take to send the headers of a request, from the end of the one before (dockerd's number, though
/// dockerd does not count the time in which a connection rests).
const HEADER_TIMEOUT: Duration = Duration::from_secs(300);

/// The API, ready to serve connections. Cheap to clone.
#[derive(Clone)]
pub struct App {
    inner: Arc<Inner>,
}

struct Inner {
    routers: [Router; Verb::ALL.len()],
    folding: Folding,
    drain: CancellationToken,
}

impl App {
    pub(crate) fn new<C: Context>(table: Table<C>, rows: &[Row]) -> Self {
        let inner = Inner { routers: table.finish(), folding: Folding::of(rows), drain: CancellationToken::new() };
        Self { inner: Arc::new(inner) }
    }

    /// Makes every connection end after the request that it is busy with. Streams and hijacked connections are not cut.
    pub fn drain(&self) {
        self.inner.drain.cancel();
    }

    /// Answers one request.
    pub(crate) async fn handle(&self, mut rq: http::Request<Body>, caller: Arc<Caller>, hangup: Option<Arc<Hangup>>) -> Response {
        let Some(verb) = Verb::of(rq.method()) else {
            return if rq.method() == Method::OPTIONS { Response::default() } else { error::page_not_found(MAX_API_VERSION) };
        };
        let original = rq.uri().clone();
        let (asked, path) = split_version(original.path());
        let version = asked.unwrap_or(MAX_API_VERSION);
        let path = self.inner.folding.fold(verb, path);
        if asked.is_some() || matches!(path, Cow::Owned(_)) {
            match retarget(&path, original.query()) {
                Some(uri) => *rq.uri_mut() = uri,
                None => return error::page_not_found(version),
            }
        }
        let received = Received { version, method: rq.method().clone(), uri: original, caller, hangup };
        rq.extensions_mut().insert(Arc::new(received));
        let Some(router) = self.inner.routers.get(verb as usize) else { return error::page_not_found(version) };
        match router.clone().call(rq).await {
            Ok(response) => response,
            Err(never) => match never {},
        }
    }
}

fn retarget(path: &str, query: Option<&str>) -> Option<Uri> {
    let target = match query {
        Some(query) => format!("{path}?{query}"),
        None => path.to_owned(),
    };
    Some(Uri::from(PathAndQuery::from_maybe_shared(bytes::Bytes::from(target)).ok()?))
}

/// Serves one connection to its end: until client or server close it, or the client is gone while it should be answered.
/// Requests that were upgraded go on in tasks of their own.
pub async fn serve_connection(io: impl AsyncRead + AsyncWrite + Socket + Unpin + Send + 'static, caller: Caller, app: App) {
    let caller = Arc::new(caller);
    let hangup = match Hangup::of(&io) {
        Ok(hangup) => Arc::new(hangup),
        Err(e) => return tracing::warn!(error = %e, "connection refused"),
    };
    let mut builder = auto::Builder::new(TokioExecutor::new());
    builder
        .http1()
        .half_close(true)
        .title_case_headers(true)
        .auto_date_header(false)
        .timer(TokioTimer::new())
        .header_read_timeout(HEADER_TIMEOUT);
    builder.http2().timer(TokioTimer::new());
    let service = service_fn(|rq: http::Request<Incoming>| {
        let (app, caller, hangup) = (app.clone(), caller.clone(), hangup.clone());
        async move { Ok::<_, Infallible>(app.handle(rq.map(Body::new), caller, Some(hangup)).await) }
    });
    let connection = builder.serve_connection_with_upgrades(TokioIo::new(io), service);
    tokio::pin!(connection);
    let drained = async {
        tokio::select! {
            ended = &mut connection => ended,
            () = app.inner.drain.cancelled() => {
                connection.as_mut().graceful_shutdown();
                connection.await
            }
        }
    };
    let ended = tokio::select! {
        ended = drained => ended,
        () = hangup.wait() => return tracing::debug!("the client hung up"),
    };
    if let Err(e) = ended {
        tracing::debug!(error = %e, "connection ended");
    }
}
