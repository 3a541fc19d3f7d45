//! How each kind of plugin is run: one table.

use std::time::Duration;
use wharf_spi::plugin::PluginKind as Kind;
use wharf_types::{Error, Result};

/// What follows when a plugin does not answer as it should.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OnError {
    /// The request is denied.
    Deny,
    /// Tried again later from the same place.
    BackOff,
    /// The operation fails.
    Fail,
    /// This tick is left out, and counted.
    Drop,
}

/// A row of the table.
#[derive(Clone, Copy, Debug)]
pub struct Policy {
    /// Of which kind.
    pub kind: Kind,
    /// For one call, with what the host does on its behalf and with waiting for an instance.
    pub deadline: Duration,
    /// Bytes of memory of one instance.
    pub memory: u64,
    /// Instances at once; each answers one call at a time.
    pub instances: usize,
    /// When it fails.
    pub on_error: OnError,
}

const MIB: u64 = 1 << 20;

/// All kinds.
#[rustfmt::skip]
pub const TABLE: [Policy; 6] = [
    Policy { kind: Kind::Authz,        deadline: Duration::from_secs(5),   memory: 64 * MIB,  instances: 16, on_error: OnError::Deny },
    Policy { kind: Kind::Logging,      deadline: Duration::from_secs(10),  memory: 64 * MIB,  instances: 1,  on_error: OnError::BackOff },
    Policy { kind: Kind::LogTransform, deadline: Duration::from_secs(10),  memory: 64 * MIB,  instances: 1,  on_error: OnError::BackOff },
    Policy { kind: Kind::Volume,       deadline: Duration::from_secs(120), memory: 128 * MIB, instances: 1,  on_error: OnError::Fail },
    Policy { kind: Kind::Metrics,      deadline: Duration::from_secs(5),   memory: 64 * MIB,  instances: 1,  on_error: OnError::Drop },
    Policy { kind: Kind::Ipam,         deadline: Duration::from_secs(10),  memory: 64 * MIB,  instances: 1,  on_error: OnError::Fail },
];

impl Policy {
    /// The row of a kind.
    pub fn of(kind: Kind) -> Self {
        let [authz, logging, transform, volume, metrics, ipam] = TABLE;
        match kind {
            Kind::Authz => authz,
            Kind::Logging => logging,
            Kind::LogTransform => transform,
            Kind::Volume => volume,
            Kind::Metrics => metrics,
            Kind::Ipam => ipam,
        }
    }
}

/// The most that [`Limits::memory`] may say: the size of a slot of the allocator.
pub const MEMORY_MAX: u64 = 256 * MIB;
/// What [`Limits::state`] is unless it is said (the number stands in `wharf:host/state`).
pub const STATE_QUOTA: u64 = 16 * MIB;
/// The most that [`Limits::state`] may say: everything that is stored is in memory, too.
pub const STATE_MAX: u64 = 1024 * MIB;
/// A warm instance is replaced after so many calls, so that a leak in it has an end.
pub const RECYCLE_AFTER: u32 = 100_000;
/// An instance beyond the first that had nothing to do for so long is dropped.
pub const IDLE: Duration = Duration::from_secs(30);

/// What the operator says about one plugin; the table and the numbers above where nothing is said.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Limits {
    /// For one call.
    pub deadline: Option<Duration>,
    /// Bytes of memory of one instance.
    pub memory: Option<u64>,
    /// Instances at once, of kinds that have several.
    pub instances: Option<usize>,
    /// Bytes of durable state.
    pub state: Option<u64>,
}

/// What holds for one kind of one plugin.
#[derive(Clone, Copy, Debug)]
pub(super) struct Bounds {
    pub deadline: Duration,
    pub memory: usize,
    pub instances: usize,
}

impl Limits {
    /// The quota of durable state.
    pub(super) fn state(self) -> Result<u64> {
        match self.state.unwrap_or(STATE_QUOTA) {
            state if state > STATE_MAX => {
                Err(Error::invalid(format!("a plugin may have {STATE_MAX} bytes of state at the most, not {state}")))
            }
            state => Ok(state),
        }
    }

    /// With what `kind` has where nothing is said.
    pub(super) fn resolve(self, kind: Kind) -> Result<Bounds> {
        let row = Policy::of(kind);
        let memory = self.memory.unwrap_or(row.memory);
        if memory > MEMORY_MAX {
            return Err(Error::invalid(format!("a plugin may have {MEMORY_MAX} bytes of memory at the most, not {memory}")));
        }
        let deadline = self.deadline.unwrap_or(row.deadline);
        let instances = if row.instances == 1 { 1 } else { self.instances.unwrap_or(row.instances) };
        if deadline.is_zero() || instances == 0 || instances > super::engine::INSTANCES as usize {
            return Err(Error::invalid(format!("a plugin needs a deadline, and 1 to {} instances", super::engine::INSTANCES)));
        }
        let memory = usize::try_from(memory).map_err(|_| Error::invalid("the memory of a plugin exceeds that of the machine"))?;
        Ok(Bounds { deadline, memory, instances })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_has_its_row() {
        for row in TABLE {
            assert_eq!(Policy::of(row.kind).kind, row.kind);
        }
        assert_eq!(Policy::of(Kind::Authz).on_error, OnError::Deny);
    }

    #[test]
    fn limits_are_checked() {
        assert!(Limits { memory: Some(MEMORY_MAX + 1), ..Limits::default() }.resolve(Kind::Authz).is_err());
        assert!(Limits { instances: Some(0), ..Limits::default() }.resolve(Kind::Authz).is_err());
        let bounds = Limits { memory: Some(MIB), instances: Some(9), ..Limits::default() }.resolve(Kind::Volume).unwrap();
        assert_eq!((bounds.memory, bounds.deadline, bounds.instances), (1 << 20, Duration::from_secs(120), 1));
        assert!(Limits { state: Some(STATE_MAX + 1), ..Limits::default() }.state().is_err());
    }
}
