//! The single gate: every request is served by an [`Endpoint`], and every endpoint goes
//! version gate → decode → authorize → execute → encode.
//!
//! An endpoint without an action, or one that skips authorization, cannot be written: [`Endpoint::ROW`] names the action and
//! `Table::route` is the only way to register. What authorizers judge is the decoded [`Endpoint::Input`], and that very value
//! is executed. Docker judges raw bytes, before its version check; here decoding comes first, because an input means something
//! only in a version. So a request that cannot be decoded is a 400 that no authorizer saw (nothing was executed), and denials
//! carry no version headers, as Docker's do.

use crate::{
    authz,
    contract::{Answer, Described, Param, RequestBody, Shape},
    cx::Context,
    error,
    reply::{Bare, IntoReply, Response},
    request::{Received, Request},
    version,
};
use axum::{Router, body::Body, routing::any};
use futures_util::FutureExt as _;
use http::Method;
use serde::Serialize;
use std::{fmt, future::Future, panic::AssertUnwindSafe, sync::Arc};
use wharf_api_types::MAX_API_VERSION;
use wharf_spi::authz::{Action, Exposure, Object, Patch};
use wharf_types::{Error, ErrorKind, Result};

/// The methods of the API.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Verb {
    /// `GET`
    Get,
    /// `HEAD`
    Head,
    /// `POST`
    Post,
    /// `PUT`
    Put,
    /// `DELETE`
    Delete,
}

impl Verb {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Get, Self::Head, Self::Post, Self::Put, Self::Delete];

    /// The verb of an HTTP method; none for methods that no row has.
    pub fn of(method: &Method) -> Option<Self> {
        Self::ALL.into_iter().find(|v| v.as_str() == method.as_str())
    }

    /// As in the request line.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Get => "GET",
            Self::Head => "HEAD",
            Self::Post => "POST",
            Self::Put => "PUT",
            Self::Delete => "DELETE",
        }
    }
}

impl fmt::Display for Verb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// One row of the API's table.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// The method.
    pub verb: Verb,
    /// The path without version, with `{parameters}`.
    pub path: &'static str,
    /// What policies call it.
    pub action: Action,
    /// First API version 1.x that has it; 0 for all.
    pub since: u16,
    /// First API version 1.x that has it no more.
    pub until: Option<u16>,
    /// What may be in the query.
    pub query: &'static [Param],
    /// What the body is.
    pub body: RequestBody,
    /// What is answered when all goes well.
    pub answers: &'static [Answer],
    /// The statuses of refusals besides those that every row has: 400, 403 for what authorizers deny, and 404 for an object in the
    /// path that is not there. 500 is listed only where a client's request alone can bring it about, as in Docker.
    pub refusals: &'static [u16],
}

macro_rules! verbs {
    ($($name:ident $verb:ident),*) => {
        $(#[doc = concat!("A row for ", stringify!($verb), ".")]
        pub const fn $name(path: &'static str, action: &'static str) -> Self {
            Self {
                verb: Verb::$verb,
                path,
                action: Action(action),
                since: 0,
                until: None,
                query: &[],
                body: RequestBody::Nothing,
                answers: &[],
                refusals: &[],
            }
        })*
    };
}

impl Row {
    verbs!(get Get, head Head, post Post, put Put, delete Delete);

    /// The same row, served from API version 1.`minor` on.
    #[must_use]
    pub const fn since(mut self, minor: u16) -> Self {
        self.since = minor;
        self
    }

    /// The same row, gone from API version 1.`minor` on.
    #[must_use]
    pub const fn until(mut self, minor: u16) -> Self {
        self.until = Some(minor);
        self
    }

    /// The same row with these query parameters.
    #[must_use]
    pub const fn query(mut self, query: &'static [Param]) -> Self {
        self.query = query;
        self
    }

    /// The same row with a JSON body.
    #[must_use]
    pub const fn json<T: Described>(mut self) -> Self {
        self.body = RequestBody::Json(Shape::of::<T>());
        self
    }

    /// The same row with a JSON body below API version 1.`minor`.
    #[must_use]
    pub const fn json_until<T: Described>(mut self, minor: u16) -> Self {
        self.body = RequestBody::JsonUntil(Shape::of::<T>(), minor);
        self
    }

    /// The same row with an archive as body.
    #[must_use]
    pub const fn archive(mut self) -> Self {
        self.body = RequestBody::Archive;
        self
    }

    /// The same row with these answers; only for an output that does not tell ([`IntoReply::ANSWERS`]).
    #[must_use]
    pub const fn answers(mut self, answers: &'static [Answer]) -> Self {
        self.answers = answers;
        self
    }

    /// The same row with these refusals.
    #[must_use]
    pub const fn refusals(mut self, statuses: &'static [u16]) -> Self {
        self.refusals = statuses;
        self
    }

    /// The row of an endpoint with the answers of its output.
    pub(crate) const fn of<C, E: Endpoint<C>>() -> Self {
        let row = E::ROW;
        if row.answers.is_empty() { row.answers(E::Output::ANSWERS) } else { row }
    }
}

/// One endpoint: a row of the table and what happens behind it.
pub trait Endpoint<C = crate::Cx> {
    /// Its row.
    const ROW: Row;
    /// Whether the work goes on when the client hangs up. Changes are never left half done for that; waits are.
    const OUTLIVES_CLIENT: bool = !matches!(Self::ROW.verb, Verb::Get | Verb::Head);
    /// What will be executed: decoded, defaulted and shaped for the newest version.
    type Input: Serialize + Send + 'static;
    /// What is answered.
    type Output: IntoReply + Send + 'static;

    /// Reads path, query and body.
    ///
    /// # Errors
    /// 400 for what cannot be read.
    fn decode(cx: &C, rq: Request) -> impl Future<Output = Result<Self::Input>> + Send;

    /// The objects that the input names, resolved for the authorizers; only called when there are some.
    fn targets(_input: &Self::Input, _cx: &C) -> Vec<Object> {
        Vec::new()
    }

    /// What the container that is made or started could do to the host, for the authorizers.
    fn exposure(_input: &Self::Input, _cx: &C) -> Option<Exposure> {
        None
    }

    /// What is answered when there is no object that the input names.
    fn absent(object: &Object) -> Error {
        authz::absent(object)
    }

    /// Changes the input as an authorizer wants it.
    ///
    /// # Errors
    /// When it has nothing of the kind.
    fn patch(_input: &mut Self::Input, _patches: &[Patch]) -> Result<()> {
        Err(Error::system(format!("{} takes no changes", Self::ROW.action.0)))
    }

    /// Does it.
    ///
    /// # Errors
    /// The error's kind decides the status.
    fn execute(cx: &C, input: Self::Input) -> impl Future<Output = Result<Self::Output>> + Send;
}

/// A router in the making: one per verb, so that a wrong method is an unknown page and `DELETE /containers/json` means a
/// container of that name.
pub struct Table<C> {
    cx: Arc<C>,
    routers: [Router; Verb::ALL.len()],
}

impl<C: Context> Table<C> {
    pub(crate) fn new(cx: Arc<C>) -> Self {
        let not_found = |rq: http::Request<Body>| async move {
            let received = rq.extensions().get::<Arc<Received>>();
            error::page_not_found(received.map_or(MAX_API_VERSION, |r| r.version))
        };
        Self { cx, routers: Verb::ALL.map(|_| Router::new().fallback(not_found)) }
    }

    /// Registers an endpoint.
    pub(crate) fn route<E: Endpoint<C> + 'static>(self) -> Self {
        let cx = self.cx.clone();
        self.insert(E::ROW, move |rq| serve(cx.clone(), &E::ROW, rq, |cx, rq| answer::<C, E>(cx, rq)))
    }

    /// Registers a row that is refused by name. It passes the same gate: versions and authorizers come first.
    pub(crate) fn refuse(self, row: &'static Row, refusal: impl Fn() -> Error + Clone + Send + Sync + 'static) -> Self {
        let cx = self.cx.clone();
        self.insert(*row, move |rq| {
            let refusal = refusal.clone();
            serve(cx.clone(), row, rq, move |cx, rq| async move {
                let received = rq.received();
                version::admit(cx.gate().min_version, received.version, &received.uri, row)?;
                if let Some(mut question) = authz::question(cx.as_ref(), row.action, &received, rq.headers()) {
                    question.ask_bare().await?;
                }
                Err(refusal().into())
            })
        })
    }

    fn insert<F>(mut self, row: Row, handler: impl Fn(http::Request<Body>) -> F + Clone + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Response> + Send + 'static,
    {
        if let Some(router) = self.routers.get_mut(row.verb as usize) {
            *router = std::mem::take(router).route(row.path, any(handler));
        }
        self
    }

    pub(crate) fn finish(self) -> [Router; Verb::ALL.len()] {
        self.routers
    }
}

/// Why a request was not executed, or failed.
pub struct Failure {
    error: Error,
    denied: bool,
}

impl Failure {
    /// A refusal by an authorizer.
    pub fn denied(error: Error) -> Self {
        Self { error, denied: true }
    }
}
impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self { error, denied: false }
    }
}

impl From<Failure> for Error {
    fn from(failure: Failure) -> Self {
        failure.error
    }
}

/// Around every endpoint: turns failures and panics into replies and adds the headers.
async fn serve<C: Context, F>(
    cx: Arc<C>,
    row: &'static Row,
    rq: http::Request<Body>,
    work: impl FnOnce(Arc<C>, Request) -> F + Send,
) -> Response
where
    F: Future<Output = Result<Response, Failure>> + Send,
{
    let rq = Request::new(rq, row).await;
    let received = rq.received();
    let result = AssertUnwindSafe(work(cx.clone(), rq)).catch_unwind().await;
    let failure = match result {
        Ok(Ok(mut response)) => {
            if response.extensions_mut().remove::<Bare>().is_none() {
                cx.gate().stamp(response.headers_mut());
            }
            return response;
        }
        Ok(Err(failure)) => failure,
        // The panic's own message went to the log through the panic hook.
        Err(_) => Failure::from(Error::system(format!("internal error: {} {} panicked", received.method, received.uri.path()))),
    };
    let status = error::status(failure.error.kind());
    if failure.error.kind() == ErrorKind::System {
        tracing::error!(method = %received.method, uri = %received.uri, status = status.as_u16(), error = %failure.error, "request failed");
    } else {
        tracing::debug!(method = %received.method, uri = %received.uri, status = status.as_u16(), error = %failure.error, "request refused");
    }
    let mut response = error::reply(received.version, &failure.error);
    if !failure.denied {
        cx.gate().stamp(response.headers_mut());
    }
    response
}

async fn answer<C: Context, E: Endpoint<C> + 'static>(cx: Arc<C>, rq: Request) -> Result<Response, Failure> {
    let received = rq.received();
    version::admit(cx.gate().min_version, received.version, &received.uri, &E::ROW)?;
    let mut question = authz::question(cx.as_ref(), E::ROW.action, &received, rq.headers());
    let mut input = E::decode(&cx, rq).await?;
    let judged = match &mut question {
        Some(question) => {
            question.ask::<C, E>(&cx, &mut input).await?;
            Some(question.judged())
        }
        None => None,
    };
    let work = async move {
        match judged {
            Some(judged) => judged.scope(E::execute(&cx, input)).await,
            None => E::execute(&cx, input).await,
        }
    };
    let output = if E::OUTLIVES_CLIENT {
        let task = tokio::spawn(work);
        match task.await {
            Ok(output) => output?,
            Err(e) => match e.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                Err(_) => return Err(Error::unavailable("the daemon is shutting down").into()),
            },
        }
    } else {
        work.await?
    };
    let response = output.into_reply();
    match question {
        Some(question) => question.ask_about_answer(response).await,
        None => Ok(response),
    }
}
