//! Changes that authorizers make to a host configuration: they only narrow it, and one that would do nothing fails.

use wharf_api_types::container::HostConfig;
use wharf_spi::authz::Patch;
use wharf_types::{Error, Result};

/// Makes one.
///
/// # Errors
/// For what a host configuration does not have, and for what it would not heed.
pub fn narrow(host: &mut HostConfig, patch: &Patch) -> Result<()> {
    match patch {
        Patch::Label(name, _) => return Err(Error::system(format!("the label {name} cannot be given to a container that is there"))),
        // Zero is no limit.
        Patch::MemoryLimit(0) | Patch::PidsLimit(0) => return Err(Error::system("a limit must be more than 0")),
        Patch::MemoryLimit(bytes) => {
            let limit = i64::try_from(*bytes).unwrap_or(i64::MAX);
            host.memory = if host.memory > 0 { host.memory.min(limit) } else { limit };
        }
        Patch::PidsLimit(processes) => {
            let limit = i64::from(*processes);
            host.pids_limit = Some(host.pids_limit.filter(|n| *n > 0).map_or(limit, |n| n.min(limit)));
        }
        Patch::ReadOnlyRootfs => host.readonly_rootfs = true,
        Patch::NoNewPrivileges => {
            let options = host.security_opt.get_or_insert_default();
            options.retain(|o| !o.starts_with("no-new-privileges"));
            options.push("no-new-privileges".to_owned());
        }
        Patch::DropCapability(name) => drop_capability(host, &plain(name))?,
    }
    Ok(())
}

/// What is added wins over what is dropped, so it is not added either; `ALL` are added without it.
fn drop_capability(host: &mut HostConfig, name: &str) -> Result<()> {
    if host.privileged {
        return Err(Error::system(format!("the capability {name} cannot be dropped: a privileged container has all")));
    }
    if name == "ALL" {
        host.cap_add = None;
    }
    host.cap_add.iter_mut().for_each(|added| added.retain(|other| plain(other) != name));
    host.cap_drop.get_or_insert_default().push(name.to_owned());
    Ok(())
}

/// A capability as `CapAdd` and `CapDrop` name it, in capitals and without `CAP_`.
fn plain(name: &str) -> String {
    let name = name.to_ascii_uppercase();
    name.strip_prefix("CAP_").map(str::to_owned).unwrap_or(name)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn host(text: &str) -> HostConfig {
        serde_json::from_str(text).unwrap()
    }

    fn narrowed(text: &str, patches: &[Patch]) -> Result<HostConfig> {
        let mut host = host(text);
        patches.iter().try_for_each(|patch| narrow(&mut host, patch)).map(|()| host)
    }

    #[test]
    fn changes_only_narrow() {
        let patches = [Patch::MemoryLimit(200), Patch::PidsLimit(10), Patch::ReadOnlyRootfs, Patch::NoNewPrivileges];
        let host = narrowed(r#"{"Memory":100,"SecurityOpt":["no-new-privileges:false"]}"#, &patches).unwrap();
        assert_eq!((host.memory, host.pids_limit, host.readonly_rootfs), (100, Some(10), true));
        assert_eq!(host.security_opt.unwrap(), ["no-new-privileges"]);
    }

    #[test]
    fn a_capability_is_gone_whatever_it_is_called() {
        let without = |added: &[&str], name: &str| {
            let host = narrowed(&serde_json::json!({"CapAdd": added}).to_string(), &[Patch::DropCapability(name.to_owned())]).unwrap();
            (host.cap_add.unwrap_or_default().join(" "), host.cap_drop.unwrap().join(" "))
        };
        let (admin, all) = (|added: &str| (added.to_owned(), "SYS_ADMIN".to_owned()), (String::new(), "ALL".to_owned()));
        for name in ["SYS_ADMIN", "CAP_SYS_ADMIN", "cap_sys_admin", "sys_admin"] {
            for added in ["SYS_ADMIN", "CAP_SYS_ADMIN", "cap_sys_admin"] {
                assert_eq!(without(&[added, "CHOWN"], name), admin("CHOWN"), "{added} without {name}");
            }
            // Of all, what is dropped is taken away.
            assert_eq!(without(&["ALL", "sys_admin"], name), admin("ALL"), "{name}");
        }
        assert_eq!(without(&["SYS_ADMIN", "ALL"], "all"), all);
    }

    #[test]
    fn what_would_do_nothing_fails() {
        let refusal = |text: &str, patch: Patch| narrowed(text, &[patch]).unwrap_err().message().to_owned();
        let capability = refusal(r#"{"Privileged":true}"#, Patch::DropCapability("CAP_BPF".into()));
        assert_eq!(capability, "the capability BPF cannot be dropped: a privileged container has all");
        assert!(refusal("{}", Patch::Label("owner".into(), "me".into())).starts_with("the label owner cannot be given"));
        assert_eq!(refusal("{}", Patch::MemoryLimit(0)), refusal(r#"{"PidsLimit":5}"#, Patch::PidsLimit(0)));
    }
}
