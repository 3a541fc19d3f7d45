//! Docker's seccomp profiles, turned into the OCI filter for one host and one container.
//!
//! A profile lists system calls with conditions (`includes`, `excludes`: capabilities, architectures, kernel version); the
//! OCI filter has none. This is translation only: names and numbers pass through as data, libseccomp judges them. The
//! built-in profile is `seccomp-default.json`.

use std::path::PathBuf;

use oci_spec::runtime::{
    Arch, LinuxSeccomp, LinuxSeccompAction, LinuxSeccompArg, LinuxSeccompBuilder, LinuxSeccompFilterFlag, LinuxSyscall, LinuxSyscallBuilder,
};
use serde::Deserialize;
use serde_json::Value;
use wharf_types::error::Context;
use wharf_types::{Error, Result};

use super::capabilities::CapSet;
use super::host::KernelVersion;

/// Docker's default profile.
const DEFAULT_PROFILE: &str = include_str!("seccomp-default.json");

/// What the conditions of a profile are judged by.
#[derive(Debug, Clone, Copy)]
pub struct Target<'a> {
    /// As `std::env::consts::ARCH` names it.
    pub arch: &'a str,
    /// The running kernel.
    pub kernel: KernelVersion,
    /// The container's bounding set.
    pub capabilities: CapSet,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Profile {
    default_action: Option<LinuxSeccompAction>,
    default_errno_ret: Option<u32>,
    architectures: Option<Vec<Arch>>,
    arch_map: Option<Vec<ArchMapping>>,
    flags: Option<Vec<LinuxSeccompFilterFlag>>,
    listener_path: Option<PathBuf>,
    listener_metadata: Option<String>,
    syscalls: Option<Vec<Rule>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct ArchMapping {
    architecture: Arch,
    sub_architectures: Option<Vec<Arch>>,
}

#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Rule {
    /// The format of Docker before 1.13 has one name per rule.
    name: Option<String>,
    names: Option<Vec<String>>,
    action: LinuxSeccompAction,
    errno_ret: Option<u32>,
    args: Option<Vec<LinuxSeccompArg>>,
    includes: Option<Filter>,
    excludes: Option<Filter>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Filter {
    caps: Option<Vec<String>>,
    arches: Option<Vec<String>>,
    min_kernel: Option<String>,
}

/// The default profile for `target`.
pub fn default_filter(target: Target<'_>) -> Result<Option<LinuxSeccomp>> {
    translate(serde_json::from_str(DEFAULT_PROFILE).context("built-in seccomp profile")?, target)
}

/// A profile of the user (`--security-opt seccomp=`), in Docker's or the plain OCI format. `None`: it asks for nothing.
/// 400 `decoding seccomp profile failed: …`.
pub fn custom_filter(profile: &Value, target: Target<'_>) -> Result<Option<LinuxSeccomp>> {
    let failed = |reason: String| Error::invalid(format!("decoding seccomp profile failed: {reason}"));
    let profile = Profile::deserialize(profile).map_err(|e| failed(e.to_string()))?;
    translate(profile, target).map_err(|e| failed(e.message().to_owned()))
}

fn translate(profile: Profile, target: Target<'_>) -> Result<Option<LinuxSeccomp>> {
    let rules = profile.syscalls.unwrap_or_default();
    let Some(default_action) = profile.default_action else {
        return if rules.is_empty() { Ok(None) } else { Err(Error::invalid("defaultAction is missing")) };
    };
    let architectures = match (profile.architectures.unwrap_or_default(), profile.arch_map.unwrap_or_default()) {
        (listed, map) if map.is_empty() => listed,
        (listed, map) if listed.is_empty() => mapped(map, target.arch),
        _ => return Err(both("architectures", "archMap")),
    };
    let mut syscalls = Vec::with_capacity(rules.len());
    for rule in rules {
        if rule.applies(target)? {
            syscalls.push(rule.into_oci()?);
        }
    }
    let mut filter = LinuxSeccompBuilder::default().default_action(default_action).syscalls(syscalls).build().context("seccomp")?;
    filter.set_architectures((!architectures.is_empty()).then_some(architectures));
    filter.set_default_errno_ret(profile.default_errno_ret);
    filter.set_flags(profile.flags.filter(|flags| !flags.is_empty()));
    filter.set_listener_path(profile.listener_path.filter(|path| !path.as_os_str().is_empty()));
    filter.set_listener_metadata(profile.listener_metadata.filter(|text| !text.is_empty()));
    Ok(Some(filter))
}

fn both(one: &str, other: &str) -> Error {
    Error::invalid(format!("'{one}' and '{other}' were specified in the seccomp profile, use either '{one}' or '{other}'"))
}

/// The row of the map for the host's architecture and the 32-bit ones below it.
fn mapped(map: Vec<ArchMapping>, arch: &str) -> Vec<Arch> {
    let native = arch_names(arch).map(|(_, native)| native);
    let row = map.into_iter().find(|row| Some(row.architecture) == native);
    row.map(|row| [vec![row.architecture], row.sub_architectures.unwrap_or_default()].concat()).unwrap_or_default()
}

/// The name in profiles (Go's) and in libseccomp of an architecture as Rust names it.
fn arch_names(arch: &str) -> Option<(&'static str, Arch)> {
    Some(match arch {
        "x86" => ("386", Arch::ScmpArchX86),
        "x86_64" => ("amd64", Arch::ScmpArchX86_64),
        "arm" => ("arm", Arch::ScmpArchArm),
        "aarch64" => ("arm64", Arch::ScmpArchAarch64),
        "loongarch64" => ("loong64", Arch::ScmpArchLoongarch64),
        "powerpc64" => ("ppc64le", Arch::ScmpArchPpc64le),
        "riscv64" => ("riscv64", Arch::ScmpArchRiscv64),
        "s390x" => ("s390x", Arch::ScmpArchS390x),
        _ => return None,
    })
}

impl Rule {
    fn applies(&self, target: Target<'_>) -> Result<bool> {
        let includes = self.includes.as_ref().map_or(Ok(true), |f| f.all(target))?;
        let excluded = self.excludes.as_ref().map_or(Ok(false), |f| f.any(target))?;
        Ok(includes && !excluded)
    }

    fn into_oci(self) -> Result<LinuxSyscall> {
        let names = match (self.name, self.names.unwrap_or_default()) {
            (None, names) => names,
            (Some(name), names) if names.is_empty() => vec![name],
            _ => return Err(both("name", "names")),
        };
        let mut rule = LinuxSyscallBuilder::default().names(names).action(self.action).build().context("seccomp")?;
        rule.set_errno_ret(self.errno_ret);
        rule.set_args(self.args.filter(|args| !args.is_empty()));
        Ok(rule)
    }
}

impl Filter {
    fn has_arch(&self, arch: &str) -> Option<bool> {
        let name = arch_names(arch).map(|(name, _)| name);
        let listed = self.arches.as_ref().filter(|list| !list.is_empty())?;
        Some(listed.iter().any(|a| Some(a.as_str()) == name))
    }

    fn has_cap(name: &str, held: CapSet) -> bool {
        held.iter().any(|(member, _)| member == name)
    }

    fn has_kernel(&self, kernel: KernelVersion) -> Result<Option<bool>> {
        let minimum = self.min_kernel.as_deref().filter(|text| !text.is_empty());
        minimum.map(|text| text.parse().map(|minimum: KernelVersion| kernel >= minimum)).transpose()
    }

    /// As `includes`: every condition holds, and so does every listed capability.
    fn all(&self, target: Target<'_>) -> Result<bool> {
        let caps = self.caps.iter().flatten().all(|name| Self::has_cap(name, target.capabilities));
        Ok(caps && self.has_arch(target.arch).unwrap_or(true) && self.has_kernel(target.kernel)?.unwrap_or(true))
    }

    /// As `excludes`: one condition is enough.
    fn any(&self, target: Target<'_>) -> Result<bool> {
        let caps = self.caps.iter().flatten().any(|name| Self::has_cap(name, target.capabilities));
        Ok(caps || self.has_arch(target.arch).unwrap_or(false) || self.has_kernel(target.kernel)?.unwrap_or(false))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::super::capabilities::DEFAULT;
    use super::*;
    use oci_spec::runtime::Capability;

    fn target(arch: &str, extra: &[Capability]) -> Target<'static> {
        let arch = ["x86_64", "aarch64", "s390x", "riscv64", "sparc64"].into_iter().find(|a| *a == arch).unwrap();
        Target { arch, kernel: KernelVersion(6, 1), capabilities: DEFAULT.into_iter().chain(extra.iter().copied()).collect() }
    }

    fn rules<'a>(filter: &'a LinuxSeccomp, name: &str) -> Vec<&'a LinuxSyscall> {
        filter.syscalls().iter().flatten().filter(|s| s.names().iter().any(|n| n == name)).collect()
    }

    fn default_for(target: Target<'_>) -> LinuxSeccomp {
        default_filter(target).unwrap().unwrap()
    }

    #[test]
    fn names_of_the_profile_are_data() {
        let profile: Value = serde_json::from_str(DEFAULT_PROFILE).unwrap();
        let names = profile["syscalls"].as_array().unwrap().iter().flat_map(|s| s["names"].as_array().unwrap());
        let mut count = 0;
        for name in names.map(|n| n.as_str().unwrap()) {
            assert!(!name.is_empty() && name.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'_'), "{name}");
            count += 1;
        }
        assert!(count > 400);
    }

    #[test]
    fn architectures_follow_the_host() {
        let amd64 = default_for(target("x86_64", &[]));
        assert_eq!(amd64.architectures().as_deref(), Some(&[Arch::ScmpArchX86_64, Arch::ScmpArchX86, Arch::ScmpArchX32][..]));
        assert_eq!((amd64.default_action(), amd64.default_errno_ret()), (LinuxSeccompAction::ScmpActErrno, Some(1)));
        assert!(!rules(&amd64, "arch_prctl").is_empty() && rules(&amd64, "s390_pci_mmio_read").is_empty());
        let riscv = default_for(target("riscv64", &[]));
        assert_eq!(riscv.architectures().as_deref(), Some(&[Arch::ScmpArchRiscv64][..]));
        assert_eq!(default_for(target("sparc64", &[])).architectures(), &None);
    }

    #[test]
    fn clone_follows_capability_and_architecture() {
        let clone = default_for(target("x86_64", &[]));
        let clone = rules(&clone, "clone");
        assert_eq!(clone.len(), 1);
        assert_eq!(clone[0].args().as_ref().unwrap()[0].index(), 0);
        let s390 = default_for(target("s390x", &[]));
        assert_eq!(rules(&s390, "clone")[0].args().as_ref().unwrap()[0].index(), 1);
        let admin = default_for(target("x86_64", &[Capability::SysAdmin]));
        assert_eq!(rules(&admin, "clone")[0].args(), &None);
        assert_eq!(rules(&admin, "clone3")[0].action(), LinuxSeccompAction::ScmpActAllow);
    }

    #[test]
    fn clone3_is_enosys_without_sys_admin() {
        let filter = default_for(target("x86_64", &[]));
        assert_eq!(rules(&filter, "clone3")[0].errno_ret(), Some(38));
    }

    #[test]
    fn old_kernels_do_not_get_ptrace() {
        let old = Target { kernel: KernelVersion(4, 7), ..target("x86_64", &[]) };
        assert!(rules(&default_for(old), "ptrace").is_empty());
        assert!(!rules(&default_for(target("x86_64", &[])), "ptrace").is_empty());
    }

    #[test]
    fn the_old_format_is_read() {
        let old = json!({"defaultAction": "SCMP_ACT_ALLOW", "architectures": ["SCMP_ARCH_X86_64"],
            "syscalls": [{"name": "chmod", "action": "SCMP_ACT_ERRNO", "args": []}]});
        let filter = custom_filter(&old, target("x86_64", &[])).unwrap().unwrap();
        assert_eq!(filter.syscalls().as_ref().unwrap()[0].names(), &["chmod"]);
        assert_eq!(filter.syscalls().as_ref().unwrap()[0].args(), &None);
        assert_eq!(custom_filter(&json!({}), target("x86_64", &[])).unwrap(), None);
    }

    #[test]
    fn broken_profiles_are_refused() {
        for (profile, reason) in [
            (json!({"defaultAction": "SCMP_ACT_WHAT"}), "unknown variant `SCMP_ACT_WHAT`"),
            (
                json!({"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"name": "a", "names": ["b"], "action": "SCMP_ACT_ALLOW"}]}),
                "'name' and 'names'",
            ),
            (
                json!({"defaultAction": "SCMP_ACT_ALLOW", "architectures": ["SCMP_ARCH_X86"], "archMap": [{"architecture": "SCMP_ARCH_X86"}]}),
                "'archMap'",
            ),
            (json!({"syscalls": [{"name": "a", "action": "SCMP_ACT_ALLOW"}]}), "defaultAction"),
            (json!([]), "invalid"),
        ] {
            let error = custom_filter(&profile, target("x86_64", &[])).unwrap_err();
            assert!(error.message().starts_with("decoding seccomp profile failed: ") && error.message().contains(reason), "{error}");
        }
    }
}
