//! `HostConfig.SecurityOpt`.

use crate::{EngineConfig, config::SeccompDefault};
use wharf_api_types::container::HostConfig;
use wharf_runtime::spec::SeccompChoice;
use wharf_types::{Error, Result};

/// What the options and the daemon's defaults come to.
#[derive(Debug, PartialEq)]
pub struct Security {
    /// `no_new_privs`.
    pub no_new_privileges: bool,
    /// System call filter.
    pub seccomp: SeccompChoice,
    /// AppArmor profile by name.
    pub apparmor: Option<String>,
}

/// Reads the options: `key=value`, also `key:value` as before Docker 1.11.
///
/// # Errors
/// 400 `invalid --security-opt 2: "x"`, and for a profile that is no JSON.
pub fn parse(config: &EngineConfig, host: &HostConfig) -> Result<Security> {
    let default_seccomp = match &config.seccomp_profile {
        SeccompDefault::Builtin => SeccompChoice::Default,
        SeccompDefault::Unconfined => SeccompChoice::Unconfined,
        SeccompDefault::Profile(_) if host.privileged => SeccompChoice::Unconfined,
        SeccompDefault::Profile(text) => profile(text)?,
    };
    let mut security = Security { no_new_privileges: config.no_new_privileges, seccomp: default_seccomp, apparmor: None };
    for opt in host.security_opt.iter().flatten() {
        let invalid = || Error::invalid(format!("invalid --security-opt 2: {opt:?}"));
        if opt == "no-new-privileges" {
            security.no_new_privileges = true;
            continue;
        }
        let (key, value) = opt.split_once('=').or_else(|| opt.split_once(':')).ok_or_else(invalid)?;
        match key {
            "no-new-privileges" => security.no_new_privileges = boolean(value).ok_or_else(invalid)?,
            "seccomp" => {
                security.seccomp = match value {
                    "unconfined" => SeccompChoice::Unconfined,
                    "builtin" => SeccompChoice::Default,
                    text => profile(text)?,
                }
            }
            "apparmor" => security.apparmor = Some(value.to_owned()),
            // Labels have a meaning on hosts with SELinux only; elsewhere dockerd takes them too.
            "label" => {}
            "writable-cgroups" => {
                return Err(Error::invalid(format!(
                    "security option writable-cgroups is not supported by this version of Wharf yet: {opt}"
                )));
            }
            _ => return Err(invalid()),
        }
    }
    Ok(security)
}

fn profile(text: &str) -> Result<SeccompChoice> {
    let value = serde_json::from_str(text).map_err(|e| Error::invalid(format!("decoding seccomp profile failed: {e}")))?;
    Ok(SeccompChoice::Profile(value))
}

/// Go's `strconv.ParseBool`.
fn boolean(text: &str) -> Option<bool> {
    match text {
        "1" | "t" | "T" | "true" | "TRUE" | "True" => Some(true),
        "0" | "f" | "F" | "false" | "FALSE" | "False" => Some(false),
        _ => None,
    }
}
