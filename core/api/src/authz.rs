//! The authorization chain. Fails closed; costs one look-up when the chain is empty.

use crate::{cx::Gate, endpoint::Failure, request::Received};
use serde_json::Value;
use std::sync::Arc;
use wharf_spi::authz::{Action, Authorizer, AuthzRequest, RawView, Target, Verdict};
use wharf_types::{Error, Result};

/// A request that waits for its verdicts.
pub struct Question {
    chain: Arc<[Arc<dyn Authorizer>]>,
    request: AuthzRequest,
}

/// Puts the question together; none when there is nobody to ask. Targets and input are made only when there is.
///
/// # Errors
/// When the input cannot be encoded.
pub fn question(
    gate: &Gate,
    action: Action,
    received: &Received,
    targets: impl FnOnce() -> Vec<Target>,
    input: impl FnOnce() -> Result<Value, serde_json::Error>,
) -> Result<Option<Question>> {
    let chain = gate.extensions.authorizers();
    if chain.is_empty() {
        return Ok(None);
    }
    let input = input().map_err(|e| Error::system(format!("encoding the request for authorization: {e}")))?;
    let request = AuthzRequest {
        caller: received.caller.as_ref().clone(),
        action,
        api_version: received.version.to_string(),
        targets: targets(),
        input,
        http: RawView { method: received.method.to_string(), uri: received.uri.to_string() },
    };
    Ok(Some(Question { chain, request }))
}

impl Question {
    /// Asks every authorizer in order.
    ///
    /// # Errors
    /// 403 with the first denial's reason; 500 when an authorizer fails.
    pub async fn ask(&self) -> Result<(), Failure> {
        for authorizer in self.chain.iter() {
            let name = authorizer.name();
            match authorizer.request(&self.request).await {
                Ok(Verdict::Allow) => {}
                Ok(Verdict::Deny(reason)) => {
                    return Err(Failure::denied(Error::forbidden(format!("authorization denied by plugin {name}: {reason}"))));
                }
                Err(e) => return Err(Failure::denied(Error::system(format!("plugin {name} failed with error: {e}")))),
            }
        }
        Ok(())
    }
}

/// A container as the object of a request, resolved.
pub fn container(cx: &crate::Cx, named: &str) -> Vec<Target> {
    vec![target("container", named, cx.containers.get(named).ok().map(|c| c.id().to_string()))]
}

/// An image as the object of a request, resolved.
pub fn image(cx: &crate::Cx, named: &str) -> Vec<Target> {
    vec![target("image", named, cx.images.get(named).ok().map(|i| i.id.to_string()))]
}

/// An exec as the object of a request, and the container that it runs in.
pub fn exec(cx: &crate::Cx, named: &str) -> Vec<Target> {
    let exec = cx.execs.get(named).ok();
    let mut targets = vec![target("exec", named, exec.as_ref().map(|e| e.id.to_string()))];
    targets.extend(exec.map(|e| target("container", e.container.as_str(), Some(e.container.to_string()))));
    targets
}

fn target(kind: &str, named: &str, id: Option<String>) -> Target {
    Target { kind: kind.to_owned(), named: named.to_owned(), id }
}
