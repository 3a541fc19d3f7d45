//! Administrators may do everything, everybody else may look.

use serde::Deserialize;
use wharf_plugin::authz::{Authorizer, Decision, Request, Verdict};
use wharf_plugin::{Plugin, export_authorizer, host::config, info};

/// The settings, as `settings.schema.json` describes them.
#[derive(Deserialize)]
#[serde(rename_all = "SCREAMING_SNAKE_CASE")]
struct Roles {
    /// User ids.
    administrators: Vec<u32>,
}

impl Plugin for Roles {
    fn start() -> Result<Self, String> {
        let roles: Self = config::parse()?;
        info!("administrators: {:?}", roles.administrators);
        Ok(roles)
    }
}

impl Authorizer for Roles {
    fn judge(&self, request: &Request) -> Result<Decision, String> {
        let uid = request.caller.process.as_ref().map(|process| process.uid);
        if uid.is_some_and(|uid| self.administrators.contains(&uid)) {
            return Ok(Decision { verdict: Verdict::Allow, rule: "administrator".to_owned() });
        }
        if may_look(&request.action) {
            return Ok(Decision { verdict: Verdict::Allow, rule: "everybody may look".to_owned() });
        }
        let who = uid.map_or_else(|| "somebody".to_owned(), |uid| format!("uid {uid}"));
        Ok(Verdict::deny(format!("{who} may not {}", request.action)).into())
    }
}

/// New actions may come with every version of the engine: those that are not known are not allowed.
fn may_look(action: &str) -> bool {
    let (kind, what) = action.split_once('.').unwrap_or((action, ""));
    match kind {
        "container" | "image" | "network" | "volume" => what == "list" || what == "inspect",
        "system" => what == "ping" || what == "version" || what == "info",
        _ => false,
    }
}

export_authorizer!(Roles);

#[cfg(test)]
mod tests {
    use super::may_look;

    #[test]
    fn looking() {
        assert!(may_look("container.list") && may_look("system.ping"));
        assert!(!may_look("container.create") && !may_look("exec.inspect") && !may_look("list"));
    }
}
