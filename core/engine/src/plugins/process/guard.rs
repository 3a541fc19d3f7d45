//! A plugin's process as an authorizer. While it does not run, it denies.

use super::keeper::{Inner, State};
use async_trait::async_trait;
use std::sync::Arc;
use wharf_spi::authz::{Authorizer, AuthzRequest, Decision, Interests, Verdict};
use wharf_types::{Error, Result};

/// What ends a plugin, with its own consent: then nobody is left to judge the answer, which tells nothing.
const LAST: [&str; 2] = ["plugin.disable", "plugin.remove"];

/// The authorizer of whatever process is running.
pub struct Guard(pub Arc<Inner>);

impl Guard {
    fn now(&self) -> Result<Arc<dyn Authorizer>> {
        if self.0.stop.is_cancelled() {
            return Err(Error::system("it was stopped"));
        }
        match &*self.0.state.borrow() {
            State::Up(process) => process.authorizer().ok_or_else(|| Error::system("it is no authorizer")),
            State::Down { why, .. } => Err(Error::system(format!("it does not run, and is started again: {why}"))),
        }
    }
}

#[async_trait]
impl Authorizer for Guard {
    fn name(&self) -> &str {
        &self.0.spec.name
    }
    fn interests(&self) -> Interests {
        Interests { input: true, filter: false }
    }
    async fn judge(&self, rq: &AuthzRequest) -> Result<Decision> {
        self.now()?.judge(rq).await
    }
    async fn judge_answer(&self, rq: &AuthzRequest, status: u16, headers: &[(String, String)], body: &[u8]) -> Result<Decision> {
        if self.0.stop.is_cancelled() && LAST.contains(&rq.action.0) {
            return Ok(Verdict::Allow.into());
        }
        self.now()?.judge_answer(rq, status, headers, body).await
    }
    fn judges_answers(&self) -> bool {
        true
    }
}
