//! `wharf:host/http`: see [`crate::wasm::exchange`] and [`crate::wasm::egress`].

use super::{
    super::{
        bindings::host::http as wit,
        egress::Refusal,
        exchange::{Answer, Outgoing},
    },
    Cx,
};
use std::{sync::Arc, time::Duration};

impl wit::Host for Cx {
    async fn send(&mut self, request: wit::Request) -> wasmtime::Result<Result<wit::Response, wit::Failure>> {
        let wit::Request { method, url, headers, secret_headers, body, timeout } = request;
        // A handle that is none is no refusal, but the end of the instance.
        let secrets: Vec<_> = secret_headers.iter().map(|(_, _, secret)| self.handles.get(secret)).collect::<Result<_, _>>()?;
        let outgoing = Outgoing::new(&method, &url, body).and_then(|mut outgoing| {
            for (name, value) in &headers {
                outgoing.header(name, value, false)?;
            }
            for ((name, before, _), secret) in secret_headers.iter().zip(secrets) {
                outgoing.header(name, &[before.as_bytes(), secret.word()].concat(), true)?;
            }
            Ok(outgoing)
        });
        let outgoing = match outgoing {
            Ok(outgoing) => outgoing,
            Err(refusal) => return Ok(Err(refusal.into())),
        };
        let shared = Arc::clone(&self.shared);
        let sending = outgoing.send(&shared.around.network, &shared.grants, &shared.lookups);
        let outcome = match timeout {
            Some(limit) => tokio::time::timeout(Duration::from_millis(limit.into()), sending).await.unwrap_or(Err(Refusal::Timeout)),
            None => sending.await,
        };
        Ok(outcome.map(|Answer { status, headers, body }| wit::Response { status, headers, body }).map_err(wit::Failure::from))
    }
}

impl From<Refusal> for wit::Failure {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::Denied(why) => Self::Denied(why),
            Refusal::Invalid(why) => Self::Invalid(why),
            Refusal::Timeout => Self::Timeout,
            Refusal::Unreachable(why) => Self::Unreachable(why),
        }
    }
}
