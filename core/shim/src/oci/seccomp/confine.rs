//! The first process under its filter. Loading one takes `CAP_SYS_ADMIN` unless privileges cannot grow, but libcontainer, which has
//! no place for our code before, has given up the container's missing capabilities by then. So that one is lent: libcontainer leaves
//! it in the effective and permitted sets, which no executed program inherits, and it is given back before anything else happens.
//!
//! All of it takes place when libcontainer asks whether the program is fine, within `create`: as under runc, a container that waits
//! for `start` is under its filter already. A profile must permit capget(2) and capset(2), likewise.

use super::Filter;
use oci_spec::runtime::{Capabilities, Capability, Process};
use rustix::thread::{CapabilitySet, CapabilitySets, capabilities, set_capabilities};
use wharf_types::{Error, Result, error::Context};

/// What the first process does to itself.
#[derive(Debug, Default)]
pub struct Confinement {
    filter: Filter,
    /// Which sets hold a capability that is not the container's.
    lent: Lent,
}

#[derive(Debug, Default, Clone, Copy)]
struct Lent {
    effective: bool,
    permitted: bool,
}

impl Confinement {
    /// Prepares the process that libcontainer will make.
    pub fn prepare(filter: Filter, process: &mut Process) -> Self {
        let mut lent = Lent::default();
        if !filter.is_none()
            && process.no_new_privileges() != Some(true)
            && let Some(mut sets) = process.capabilities().clone()
        {
            let lend = |set: &Option<Capabilities>| {
                let mut larger = set.clone()?;
                larger.insert(Capability::SysAdmin).then_some(larger)
            };
            let (effective, permitted) = (lend(sets.effective()), lend(sets.permitted()));
            lent = Lent { effective: effective.is_some(), permitted: permitted.is_some() };
            if lent.effective {
                sets.set_effective(effective);
            }
            if lent.permitted {
                sets.set_permitted(permitted);
            }
            process.set_capabilities(Some(sets));
        }
        Self { filter, lent }
    }

    /// In that process: after success it is under the filter and has the capabilities of the spec, no more.
    pub fn enter(&self) -> Result<()> {
        self.filter.load()?;
        if !self.lent.effective && !self.lent.permitted {
            return Ok(());
        }
        let what = "capabilities under the seccomp filter";
        let wanted = self.lent.less(capabilities(None).context(what)?);
        set_capabilities(None, wanted).context(what)?;
        if capabilities(None).context(what)? == wanted { Ok(()) } else { Err(Error::system(format!("{what} are not the spec's"))) }
    }
}

impl Lent {
    fn less(self, mut sets: CapabilitySets) -> CapabilitySets {
        sets.effective.set(CapabilitySet::SYS_ADMIN, !self.effective && sets.effective.contains(CapabilitySet::SYS_ADMIN));
        sets.permitted.set(CapabilitySet::SYS_ADMIN, !self.permitted && sets.permitted.contains(CapabilitySet::SYS_ADMIN));
        sets
    }
}
