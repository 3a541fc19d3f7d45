//! Only root changes something; everybody may look.

use wharf_plugin::{
    Plugin,
    authz::{Authorizer, Decision, Request, Verdict},
    export_authorizer,
};

struct RootWrites;

/// What looks and changes nothing.
const LOOKS: [&str; 5] = ["list", "inspect", "logs", "ping", "version"];

impl Plugin for RootWrites {
    fn start() -> Result<Self, String> {
        Ok(Self)
    }
}

impl Authorizer for RootWrites {
    fn judge(&self, request: &Request) -> Result<Decision, String> {
        let root = request.caller.process.as_ref().is_some_and(|process| process.uid == 0);
        let looks = request.action.split_once('.').is_some_and(|(_, verb)| LOOKS.contains(&verb));
        let verdict = if root || looks { Verdict::Allow } else { Verdict::deny(format!("only root may do {}", request.action)) };
        Ok(verdict.into())
    }
}

export_authorizer!(RootWrites);
