//! Plugins that are asked and not obeyed, so that an operator sees what they would do.
//!
//! Nobody waits for them: one that is slow, or means harm, must not be noticed by those who use the engine.

use super::{ANSWER, Decisions, Judged, REQUEST};
use async_trait::async_trait;
use std::sync::Arc;
use tokio::sync::Semaphore;
use wharf_spi::authz::{Authorizer, AuthzRequest, Decision, Interests, Verdict};
use wharf_types::{Error, Result};

/// Requests about which a plugin is asked at once. About more it is not asked, which is recorded: they must not pile up.
const BESIDE: usize = 64;

/// A place of the chain that allows everything at once.
pub struct Monitored {
    place: Arc<Judged>,
    turns: Arc<Semaphore>,
}

impl Monitored {
    /// Asks `inner` beside the requests.
    pub fn new(inner: Arc<dyn Authorizer>, plugin: &str, decisions: Arc<Decisions>) -> Self {
        let place = Arc::new(Judged { inner, plugin: plugin.into(), monitor: true, decisions });
        Self { place, turns: Arc::new(Semaphore::new(BESIDE)) }
    }

    fn beside(&self, phase: &'static str, rq: &AuthzRequest, asked: impl Future<Output = Result<Decision>> + Send + 'static) -> Decision {
        match self.turns.clone().try_acquire_owned() {
            Ok(turn) => drop(tokio::spawn(async move {
                // What it says is told where it is recorded.
                let _ = asked.await;
                drop(turn);
            })),
            Err(_) => {
                let unasked = Error::unavailable(format!("it was not asked: {BESIDE} requests are before it"));
                let _ = self.place.judged(&self.place.about(phase), rq, Err(unasked));
            }
        }
        Verdict::Allow.into()
    }
}

#[async_trait]
impl Authorizer for Monitored {
    fn name(&self) -> &str {
        self.place.name()
    }
    fn interests(&self) -> Interests {
        Interests { filter: false, ..self.place.interests() }
    }
    async fn judge(&self, rq: &AuthzRequest) -> Result<Decision> {
        let (place, request) = (self.place.clone(), rq.clone());
        Ok(self.beside(REQUEST, rq, async move { place.judge(&request).await }))
    }
    async fn judge_answer(&self, rq: &AuthzRequest, status: u16, headers: &[(String, String)], body: &[u8]) -> Result<Decision> {
        let (place, request, headers, body) = (self.place.clone(), rq.clone(), headers.to_vec(), body.to_vec());
        Ok(self.beside(ANSWER, rq, async move { place.judge_answer(&request, status, &headers, &body).await }))
    }
    fn judges_answers(&self) -> bool {
        self.place.judges_answers()
    }
}
