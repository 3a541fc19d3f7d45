//! Adapts a spec to what this host permits, so that a missing privilege of ours is a warning and not a failure.

use super::{CONFIG, failed, load_spec};
use crate::runtime::Verb;
use libcontainer::capabilities::CapabilityExt;
use oci_spec::runtime::{Capabilities, LinuxCapabilities, PosixRlimit, PosixRlimitBuilder, PosixRlimitType, Process};
use rustix::{
    process::{Resource, getrlimit},
    thread::{CapabilitySet, capabilities, capability_is_in_bounding_set},
};
use std::fs;
use wharf_types::{Result, error::Context};

/// Adapts the spec in `bundle`, or the process in a file, on behalf of another runtime. Nothing is rewritten unless it must be.
pub fn adapt_files(verb: &Verb) -> Result<Vec<String>> {
    let host = Host::detect()?;
    match verb {
        Verb::Create { bundle, .. } => {
            let mut spec = load_spec(bundle)?;
            let Some(mut process) = spec.process().clone() else { return Ok(Vec::new()) };
            let warnings = host.adapt(&mut process);
            if !warnings.is_empty() {
                spec.set_process(Some(process)).save(bundle.join(CONFIG)).map_err(failed)?;
            }
            Ok(warnings)
        }
        Verb::Exec { process: file, .. } => {
            let mut process: Process = serde_json::from_slice(&fs::read(file).context(file.display())?)?;
            let warnings = host.adapt(&mut process);
            if !warnings.is_empty() {
                fs::write(file, serde_json::to_vec(&process)?).context(file.display())?;
            }
            Ok(warnings)
        }
        _ => Ok(Vec::new()),
    }
}

/// What this process may give away.
#[derive(Debug, Clone, Copy)]
pub struct Host {
    /// Capabilities that are both in the bounding and in the permitted set.
    capabilities: u64,
    /// Whether limits may exceed ours.
    may_raise_limits: bool,
}

impl Host {
    /// Of this process.
    pub fn detect() -> Result<Self> {
        let permitted = capabilities(None).context("capabilities")?.permitted;
        let bounded = permitted.iter().filter(|c| capability_is_in_bounding_set(*c).unwrap_or(false));
        let may_raise_limits = permitted.contains(CapabilitySet::SYS_RESOURCE);
        Ok(Self { capabilities: bounded.fold(0, |all, c| all | c.bits()), may_raise_limits })
    }

    /// Removes what this host refuses, and returns what was removed.
    pub fn adapt(&self, process: &mut Process) -> Vec<String> {
        let mut warnings = Vec::new();
        if let Some(sets) = process.capabilities().clone() {
            process.set_capabilities(Some(self.intersect(sets, &mut warnings)));
        }
        if let Some(limits) = process.rlimits().clone().filter(|_| !self.may_raise_limits) {
            process.set_rlimits(Some(limits.into_iter().map(|l| clamp(l, &mut warnings)).collect()));
        }
        // libcontainer takes "false" for "apply seccomp without privileges".
        if process.no_new_privileges() == Some(false) {
            process.set_no_new_privileges(None);
        }
        if let Some(score) = process.oom_score_adj() {
            // Inherited by the container. Lowering it takes a privilege.
            if let Err(e) = fs::write("/proc/self/oom_score_adj", score.to_string()) {
                warnings.push(format!("oom_score_adj {score} not applied: {e}"));
            }
            process.set_oom_score_adj(None);
        }
        warnings
    }

    fn intersect(&self, mut sets: LinuxCapabilities, warnings: &mut Vec<String>) -> LinuxCapabilities {
        let mut dropped = Capabilities::new();
        let mut keep = |set: &Option<Capabilities>| {
            let (kept, lost): (Capabilities, Capabilities) =
                set.clone()?.into_iter().partition(|c| self.capabilities & c.to_cap().bitmask() != 0);
            dropped.extend(lost);
            Some(kept)
        };
        let (bounding, effective, permitted) = (keep(sets.bounding()), keep(sets.effective()), keep(sets.permitted()));
        let (inheritable, ambient) = (keep(sets.inheritable()), keep(sets.ambient()));
        sets.set_bounding(bounding).set_effective(effective).set_permitted(permitted).set_inheritable(inheritable).set_ambient(ambient);
        if !dropped.is_empty() {
            let mut names: Vec<_> = dropped.iter().map(|c| format!("CAP_{c}")).collect();
            names.sort();
            warnings.push(format!("capabilities that this host lacks were left out: {}", names.join(", ")));
        }
        sets
    }
}

fn clamp(limit: PosixRlimit, warnings: &mut Vec<String>) -> PosixRlimit {
    let Some(ceiling) = getrlimit(resource(limit.typ())).maximum.filter(|max| limit.hard() > *max) else { return limit };
    warnings.push(format!("limit {:?} lowered from {} to {ceiling}, which this host permits", limit.typ(), limit.hard()));
    let lowered = PosixRlimitBuilder::default().typ(limit.typ()).hard(ceiling).soft(limit.soft().min(ceiling)).build();
    lowered.unwrap_or(limit)
}

/// The kernel's resource of a spec's limit.
pub fn resource(typ: PosixRlimitType) -> Resource {
    match typ {
        PosixRlimitType::RlimitCpu => Resource::Cpu,
        PosixRlimitType::RlimitFsize => Resource::Fsize,
        PosixRlimitType::RlimitData => Resource::Data,
        PosixRlimitType::RlimitStack => Resource::Stack,
        PosixRlimitType::RlimitCore => Resource::Core,
        PosixRlimitType::RlimitRss => Resource::Rss,
        PosixRlimitType::RlimitNproc => Resource::Nproc,
        PosixRlimitType::RlimitNofile => Resource::Nofile,
        PosixRlimitType::RlimitMemlock => Resource::Memlock,
        PosixRlimitType::RlimitAs => Resource::As,
        PosixRlimitType::RlimitLocks => Resource::Locks,
        PosixRlimitType::RlimitSigpending => Resource::Sigpending,
        PosixRlimitType::RlimitMsgqueue => Resource::Msgqueue,
        PosixRlimitType::RlimitNice => Resource::Nice,
        PosixRlimitType::RlimitRtprio => Resource::Rtprio,
        PosixRlimitType::RlimitRttime => Resource::Rttime,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use oci_spec::runtime::{Capability, LinuxCapabilitiesBuilder, ProcessBuilder};

    #[test]
    fn capabilities_beyond_the_bounding_set_are_dropped_with_a_warning() {
        let all: Capabilities = [Capability::Chown, Capability::SysAdmin].into();
        let mut sets = LinuxCapabilitiesBuilder::default().bounding(all.clone()).effective(all.clone()).permitted(all).build().unwrap();
        sets.set_inheritable(None).set_ambient(None);
        let mut process = ProcessBuilder::default().capabilities(sets).no_new_privileges(false).build().unwrap();
        process.set_rlimits(None);
        let host = Host { capabilities: 1, may_raise_limits: true };
        let warnings = host.adapt(&mut process);
        assert_eq!(warnings, ["capabilities that this host lacks were left out: CAP_SYS_ADMIN"]);
        let kept = process.capabilities().clone().unwrap().effective().clone().unwrap();
        assert_eq!(kept, [Capability::Chown].into());
        assert_eq!(process.no_new_privileges(), None);
    }
}
