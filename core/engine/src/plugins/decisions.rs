//! What authorization decides: counted, and written to the decision log when there is one. Every place of the chain
//! is a [`Judged`], or a [`Monitored`].

mod monitored;

use super::decision_log::DecisionLog;
use crate::metrics::float;
use async_trait::async_trait;
pub use monitored::Monitored;
use serde::Serialize;
use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex, PoisonError},
    time::Instant,
};
use wharf_metrics::{Exposition, Kind};
use wharf_spi::authz::{Authorizer, AuthzRequest, Caller, Decision, Denial, Interests, Object, ObjectKind, Verdict};
use wharf_types::{Result, Timestamp};

/// Bytes of what a plugin says that are written down.
const WORDS: usize = 4096;
/// The action under which it is counted that a plugin could not say what may be seen.
const FILTER: &str = "filter";
/// Phases.
const REQUEST: &str = "request";
const ANSWER: &str = "answer";

/// How a decision came out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
enum Outcome {
    Allowed,
    Changed,
    Denied,
    Hidden,
    Failed,
}

impl Outcome {
    fn of(outcome: &Result<Decision>) -> Self {
        match outcome.as_ref().map(|decision| &decision.verdict) {
            Ok(Verdict::Allow) => Self::Allowed,
            Ok(Verdict::AllowWith(_)) => Self::Changed,
            Ok(Verdict::Deny(Denial { hide: true, .. })) => Self::Hidden,
            Ok(Verdict::Deny(_)) => Self::Denied,
            Err(_) => Self::Failed,
        }
    }

    fn word(self) -> &'static str {
        match self {
            Self::Allowed => "allowed",
            Self::Changed => "changed",
            Self::Denied => "denied",
            Self::Hidden => "hidden",
            Self::Failed => "failed",
        }
    }

    fn denies(self) -> bool {
        self > Self::Changed
    }
}

/// A line of the log.
#[derive(Serialize)]
struct Entry<'a> {
    time: String,
    #[serde(skip_serializing_if = "str::is_empty")]
    plugin: &'a str,
    /// `enforce`, or `monitor` when nobody obeyed.
    mode: &'static str,
    /// What was judged: `request`, `answer`, or what the caller may see.
    phase: &'static str,
    action: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    api_version: &'a str,
    caller: &'a Caller,
    targets: Vec<Target<'a>>,
    outcome: Outcome,
    #[serde(skip_serializing_if = "str::is_empty")]
    reason: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    rule: &'a str,
    micros: u64,
}

#[derive(Serialize)]
struct Target<'a> {
    kind: ObjectKind,
    named: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    id: &'a str,
    #[serde(skip_serializing_if = "str::is_empty")]
    name: &'a str,
}

fn target_of(object: &Object) -> Target<'_> {
    let Object { kind, named, id, name, .. } = object;
    Target { kind: *kind, named, id, name }
}

/// Plugin, whether it is only monitored, action, outcome: bounded by the configuration and the table of routes.
type Key = (Arc<str>, bool, &'static str, Outcome);

/// The decisions of one engine.
#[derive(Default)]
pub struct Decisions {
    counts: Mutex<BTreeMap<Key, u64>>,
    /// Where they are written.
    pub log: DecisionLog,
}

/// What a decision is about, beside the request.
struct About<'a> {
    plugin: &'a Arc<str>,
    monitor: bool,
    phase: &'static str,
    began: Instant,
}

impl Decisions {
    fn record(&self, about: &About<'_>, rq: &AuthzRequest, outcome: &Result<Decision>) {
        let (reason, rule) = match outcome {
            Ok(Decision { verdict: Verdict::Deny(denial), rule }) => (denial.reason.as_str(), rule.as_str()),
            Ok(Decision { rule, .. }) => ("", rule.as_str()),
            Err(e) => (e.message(), ""),
        };
        let outcome = Outcome::of(outcome);
        self.count(about, rq.action.0, outcome);
        if self.log.wants(outcome.denies()) {
            let action = (rq.action.0, rq.api_version.as_str());
            self.write(about, action, &rq.caller, &rq.targets, (outcome, reason, rule));
        }
    }

    /// A request was answered as if an object did not exist.
    pub fn hidden(&self, rq: &AuthzRequest, object: &Object) {
        let about = About { plugin: &Arc::from(""), monitor: false, phase: "sight", began: Instant::now() };
        self.count(&about, rq.action.0, Outcome::Hidden);
        if self.log.wants(true) {
            let (action, targets) = ((rq.action.0, rq.api_version.as_str()), std::slice::from_ref(object));
            self.write(&about, action, &rq.caller, targets, (Outcome::Hidden, "", ""));
        }
    }

    fn count(&self, about: &About<'_>, action: &'static str, outcome: Outcome) {
        let key = (about.plugin.clone(), about.monitor, action, outcome);
        *self.counts.lock().unwrap_or_else(PoisonError::into_inner).entry(key).or_default() += 1;
    }

    fn write(
        &self,
        about: &About<'_>,
        (action, api_version): (&str, &str),
        caller: &Caller,
        targets: &[Object],
        (outcome, reason, rule): (Outcome, &str, &str),
    ) {
        let entry = Entry {
            time: Timestamp::now().to_string(),
            plugin: about.plugin,
            mode: mode(about.monitor),
            phase: about.phase,
            action,
            api_version,
            caller,
            targets: targets.iter().map(target_of).collect(),
            outcome,
            reason: cut(reason),
            rule: cut(rule),
            micros: u64::try_from(about.began.elapsed().as_micros()).unwrap_or(u64::MAX),
        };
        match serde_json::to_vec(&entry) {
            Ok(mut line) => {
                line.push(b'\n');
                self.log.push(line);
            }
            Err(e) => tracing::error!("a decision cannot be logged: {e}"),
        }
    }

    /// Writes the counters.
    pub fn expose(&self, text: &mut Exposition) {
        let counts = self.counts.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let mut family = text.family(Kind::Counter, "wharf_authz_decisions_total", "Decisions of authorization plugins");
        for ((plugin, monitor, action, outcome), count) in &counts {
            let labels = [("plugin", plugin.as_ref()), ("mode", mode(*monitor)), ("action", *action), ("outcome", outcome.word())];
            family.sample(&labels, float(*count));
        }
        if let Some(dropped) = self.log.dropped() {
            text.family(Kind::Counter, "wharf_authz_log_lost_total", "Decisions that could not be written to the decision log")
                .sample(&[], float(dropped));
        }
    }
}

fn mode(monitor: bool) -> &'static str {
    if monitor { "monitor" } else { "enforce" }
}

fn cut(text: &str) -> &str {
    text.get(..text.floor_char_boundary(WORDS)).unwrap_or(text)
}

/// The daemon's own log: what denies, or would, always, the rest when debugging.
fn tell(plugin: &str, about: &About<'_>, rq: &AuthzRequest, outcome: &Result<Decision>) {
    let action = rq.action.0;
    let micros = || about.began.elapsed().as_micros();
    let targets = || rq.targets.iter().map(|t| t.named.as_str()).collect::<Vec<_>>().join(" ");
    let caller = || serde_json::to_string(&rq.caller).unwrap_or_default();
    // With everything that was judged, for `wharf-plugin record`. Only on request: inputs hold secrets.
    if tracing::enabled!(target: "wharf::authz", tracing::Level::TRACE) {
        let request = serde_json::to_string(rq).unwrap_or_default();
        let (decision, rule) = match outcome {
            Ok(Decision { verdict, rule }) => (serde_json::to_string(verdict), rule.as_str()),
            Err(e) => (serde_json::to_string(&serde_json::json!({"Error": e.message()})), ""),
        };
        let decision = decision.unwrap_or_default();
        tracing::trace!(target: "wharf::authz", plugin, request, decision, rule, "judged");
    }
    match outcome {
        Ok(Decision { verdict: Verdict::Deny(denial), rule }) if about.monitor => {
            tracing::warn!(plugin, action, rule, "would be denied: {}", denial.reason);
        }
        Err(e) if about.monitor => tracing::warn!(plugin, action, "would be denied: {}", e.message()),
        Ok(Decision { verdict: Verdict::Deny(denial), rule }) => {
            tracing::info!(target: "wharf::authz", plugin, action, targets = targets(), caller = caller(), rule, micros = micros(), "denied: {}", denial.reason);
        }
        Ok(Decision { rule, .. }) => {
            tracing::debug!(target: "wharf::authz", plugin, action, targets = targets(), caller = caller(), rule, micros = micros(), "allowed");
        }
        Err(e) => {
            tracing::error!(target: "wharf::authz", plugin, action, targets = targets(), caller = caller(), micros = micros(), "failed: {e}");
        }
    }
}

/// A place of the chain: an authorizer whose decisions are recorded.
pub struct Judged {
    inner: Arc<dyn Authorizer>,
    /// As in the list of plugins.
    plugin: Arc<str>,
    monitor: bool,
    decisions: Arc<Decisions>,
}

impl Judged {
    /// A place for `inner`.
    pub fn new(inner: Arc<dyn Authorizer>, plugin: &str, decisions: Arc<Decisions>) -> Self {
        Self { inner, plugin: plugin.into(), monitor: false, decisions }
    }

    fn about(&self, phase: &'static str) -> About<'_> {
        About { plugin: &self.plugin, monitor: self.monitor, phase, began: Instant::now() }
    }

    fn judged(&self, about: &About<'_>, rq: &AuthzRequest, outcome: Result<Decision>) -> Result<Decision> {
        self.decisions.record(about, rq, &outcome);
        tell(self.name(), about, rq, &outcome);
        outcome
    }
}

#[async_trait]
impl Authorizer for Judged {
    fn name(&self) -> &str {
        self.inner.name()
    }
    fn interests(&self) -> Interests {
        self.inner.interests()
    }
    async fn judge(&self, rq: &AuthzRequest) -> Result<Decision> {
        let about = self.about(REQUEST);
        let outcome = self.inner.judge(rq).await;
        self.judged(&about, rq, outcome)
    }
    async fn filter(&self, caller: &Caller, objects: &[Object]) -> Result<Vec<bool>> {
        let about = self.about(FILTER);
        let seen = self.inner.filter(caller, objects).await;
        if let Err(e) = &seen {
            self.decisions.count(&about, FILTER, Outcome::Failed);
            if self.decisions.log.wants(true) {
                self.decisions.write(&about, (FILTER, ""), caller, &[], (Outcome::Failed, e.message(), ""));
            }
        }
        seen
    }
    async fn judge_answer(&self, rq: &AuthzRequest, status: u16, headers: &[(String, String)], body: &[u8]) -> Result<Decision> {
        let about = self.about(ANSWER);
        let outcome = self.inner.judge_answer(rq, status, headers, body).await;
        self.judged(&about, rq, outcome)
    }
    fn judges_answers(&self) -> bool {
        self.inner.judges_answers()
    }
}

#[cfg(test)]
mod tests;
