//! A plugin's process as an authorizer. While it does not run, it denies.

use super::keeper::{Inner, State};
use async_trait::async_trait;
use std::sync::Arc;
use wharf_spi::authz::{Authorizer, AuthzRequest, Decision, Interests};
use wharf_types::{Error, Result};

/// The authorizer of whatever process is running.
pub struct Guard(pub Arc<Inner>);

impl Guard {
    fn now(&self) -> Result<Arc<dyn Authorizer>> {
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
        self.now()?.judge_answer(rq, status, headers, body).await
    }
    fn judges_answers(&self) -> bool {
        true
    }
}
