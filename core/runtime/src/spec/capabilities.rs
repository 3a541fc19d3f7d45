//! Linux capabilities: the kernel's table, Docker's default set and the rules by which `CapAdd` and `CapDrop` change it.

use oci_spec::runtime::{Capabilities, Capability};
use wharf_types::{Error, Result};

/// Every capability of Linux, in the kernel's order: the index is the bit (`include/uapi/linux/capability.h`).
pub const TABLE: [(&str, Capability); 41] = [
    ("CAP_CHOWN", Capability::Chown),
    ("CAP_DAC_OVERRIDE", Capability::DacOverride),
    ("CAP_DAC_READ_SEARCH", Capability::DacReadSearch),
    ("CAP_FOWNER", Capability::Fowner),
    ("CAP_FSETID", Capability::Fsetid),
    ("CAP_KILL", Capability::Kill),
    ("CAP_SETGID", Capability::Setgid),
    ("CAP_SETUID", Capability::Setuid),
    ("CAP_SETPCAP", Capability::Setpcap),
    ("CAP_LINUX_IMMUTABLE", Capability::LinuxImmutable),
    ("CAP_NET_BIND_SERVICE", Capability::NetBindService),
    ("CAP_NET_BROADCAST", Capability::NetBroadcast),
    ("CAP_NET_ADMIN", Capability::NetAdmin),
    ("CAP_NET_RAW", Capability::NetRaw),
    ("CAP_IPC_LOCK", Capability::IpcLock),
    ("CAP_IPC_OWNER", Capability::IpcOwner),
    ("CAP_SYS_MODULE", Capability::SysModule),
    ("CAP_SYS_RAWIO", Capability::SysRawio),
    ("CAP_SYS_CHROOT", Capability::SysChroot),
    ("CAP_SYS_PTRACE", Capability::SysPtrace),
    ("CAP_SYS_PACCT", Capability::SysPacct),
    ("CAP_SYS_ADMIN", Capability::SysAdmin),
    ("CAP_SYS_BOOT", Capability::SysBoot),
    ("CAP_SYS_NICE", Capability::SysNice),
    ("CAP_SYS_RESOURCE", Capability::SysResource),
    ("CAP_SYS_TIME", Capability::SysTime),
    ("CAP_SYS_TTY_CONFIG", Capability::SysTtyConfig),
    ("CAP_MKNOD", Capability::Mknod),
    ("CAP_LEASE", Capability::Lease),
    ("CAP_AUDIT_WRITE", Capability::AuditWrite),
    ("CAP_AUDIT_CONTROL", Capability::AuditControl),
    ("CAP_SETFCAP", Capability::Setfcap),
    ("CAP_MAC_OVERRIDE", Capability::MacOverride),
    ("CAP_MAC_ADMIN", Capability::MacAdmin),
    ("CAP_SYSLOG", Capability::Syslog),
    ("CAP_WAKE_ALARM", Capability::WakeAlarm),
    ("CAP_BLOCK_SUSPEND", Capability::BlockSuspend),
    ("CAP_AUDIT_READ", Capability::AuditRead),
    ("CAP_PERFMON", Capability::Perfmon),
    ("CAP_BPF", Capability::Bpf),
    ("CAP_CHECKPOINT_RESTORE", Capability::CheckpointRestore),
];

/// What a container gets without asking: enough for an ordinary root user, nothing that reaches the host.
pub const DEFAULT: [Capability; 14] = [
    Capability::Chown,
    Capability::DacOverride,
    Capability::Fsetid,
    Capability::Fowner,
    Capability::Mknod,
    Capability::NetRaw,
    Capability::Setgid,
    Capability::Setuid,
    Capability::Setfcap,
    Capability::Setpcap,
    Capability::NetBindService,
    Capability::SysChroot,
    Capability::Kill,
    Capability::AuditWrite,
];

/// A set of capabilities, as the kernel's bit mask.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct CapSet(u64);

impl CapSet {
    /// Every capability of [`TABLE`].
    pub const ALL: Self = Self((1 << TABLE.len()) - 1);

    /// From a mask such as `CapBnd` of `/proc/self/status`; bits of capabilities newer than [`TABLE`] are dropped.
    pub fn from_bits(bits: u64) -> Self {
        Self(bits & Self::ALL.0)
    }

    /// Whether `capability` is in the set.
    pub fn contains(self, capability: Capability) -> bool {
        self.0 & Self::from_iter([capability]).0 != 0
    }

    /// Members in the kernel's order, with their names.
    pub fn iter(self) -> impl Iterator<Item = (&'static str, Capability)> {
        TABLE.into_iter().enumerate().filter(move |(bit, _)| self.0 & (1 << bit) != 0).map(|(_, row)| row)
    }

    /// Members of either.
    #[must_use]
    pub fn union(self, other: Self) -> Self {
        Self(self.0 | other.0)
    }

    /// Members of both.
    #[must_use]
    pub fn intersection(self, other: Self) -> Self {
        Self(self.0 & other.0)
    }

    /// Members of `self` that are not in `other`.
    #[must_use]
    pub fn minus(self, other: Self) -> Self {
        Self(self.0 & !other.0)
    }

    /// As the OCI spec wants it.
    pub fn to_oci(self) -> Capabilities {
        self.iter().map(|(_, capability)| capability).collect()
    }
}

impl FromIterator<Capability> for CapSet {
    fn from_iter<I: IntoIterator<Item = Capability>>(members: I) -> Self {
        let bit = |c: Capability| TABLE.iter().position(|(_, row)| *row == c).map_or(0, |bit| 1 << bit);
        Self(members.into_iter().map(bit).fold(0, |mask, bit| mask | bit))
    }
}

/// A parsed `CapAdd` or `CapDrop`.
#[derive(Debug, Clone, Copy, Default)]
struct Tweak {
    /// `ALL` was in the list.
    all: bool,
    /// The named ones.
    named: CapSet,
}

impl Tweak {
    /// Reads names in any case, with or without `CAP_`, and `ALL`. `option` (`CapAdd`, `CapDrop`) is for the error.
    fn parse(option: &str, names: &[String]) -> Result<Self> {
        let mut tweak = Self::default();
        for name in names {
            let upper = name.to_ascii_uppercase();
            if upper == "ALL" {
                tweak.all = true;
                continue;
            }
            let full = if upper.starts_with("CAP_") { upper } else { format!("CAP_{upper}") };
            let known = TABLE.iter().find(|(row, _)| *row == full);
            let (_, capability) = known.ok_or_else(|| Error::invalid(format!("invalid {option}: unknown capability: {full:?}")))?;
            tweak.named = tweak.named.union(CapSet::from_iter([*capability]));
        }
        Ok(tweak)
    }
}

/// Checks the names of a create request. 400 `invalid CapAdd: unknown capability: "CAP_FOO"`.
pub fn validate(add: &[String], drop: &[String]) -> Result<()> {
    Tweak::parse("CapAdd", add)?;
    Tweak::parse("CapDrop", drop)?;
    Ok(())
}

/// The capabilities of a container: `ALL` added is everything but the dropped ones; `ALL` dropped is the added ones only;
/// else the defaults without the dropped and with the added ones. Privileged is everything.
///
/// Only what `available` holds can be handed on. Defaults and `ALL` shrink to it silently, as `ALL` means what there is; a
/// capability that was named is a 400.
pub fn effective(privileged: bool, add: &[String], drop: &[String], available: CapSet) -> Result<CapSet> {
    let (add, drop) = (Tweak::parse("CapAdd", add)?, Tweak::parse("CapDrop", drop)?);
    if let Some((name, _)) = add.named.minus(available).iter().next() {
        let reason = "capability not supported by your kernel or not available in the current environment";
        return Err(Error::invalid(format!("invalid CapAdd: {reason}: {name:?}")));
    }
    let wanted = if privileged {
        CapSet::ALL
    } else if add.all {
        CapSet::ALL.minus(drop.named)
    } else if drop.all {
        add.named
    } else {
        CapSet::from_iter(DEFAULT).minus(drop.named).union(add.named)
    };
    Ok(wanted.intersection(available))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|n| (*n).to_owned()).collect()
    }

    fn count(add: &[&str], drop: &[&str]) -> usize {
        effective(false, &names(add), &names(drop), CapSet::ALL).unwrap().iter().count()
    }

    #[test]
    fn the_table_is_the_kernels() {
        assert_eq!(CapSet::ALL.iter().count(), 41);
        for (name, capability) in TABLE {
            assert_eq!(format!("CAP_{capability}"), name);
        }
        assert!(CapSet::from_bits(1 << 21).contains(Capability::SysAdmin));
        assert_eq!(CapSet::from_bits(u64::MAX), CapSet::ALL);
    }

    #[test]
    fn docker_rules() {
        assert_eq!(count(&[], &[]), 14);
        assert_eq!(count(&["ALL"], &[]), 41);
        assert_eq!(count(&["all"], &["CHOWN"]), 40);
        assert_eq!(count(&["ALL"], &["ALL"]), 41);
        assert_eq!(count(&["kill", "CAP_SYS_ADMIN"], &["ALL"]), 2);
        assert_eq!(count(&["SYS_ADMIN"], &["mknod"]), 14);
        assert_eq!(count(&["chown"], &["chown"]), 14);
    }

    #[test]
    fn unknown_names_are_named() {
        let message = |r: Result<()>| r.unwrap_err().message().to_owned();
        assert_eq!(message(validate(&names(&["foo"]), &[])), r#"invalid CapAdd: unknown capability: "CAP_FOO""#);
        assert_eq!(message(validate(&[], &names(&["CAP_ALL"]))), r#"invalid CapDrop: unknown capability: "CAP_ALL""#);
    }

    #[test]
    fn a_named_capability_that_is_not_there_is_refused_and_all_is_not() {
        let without = CapSet::ALL.minus(CapSet::from_iter([Capability::SysResource]));
        assert!(effective(false, &names(&["SYS_RESOURCE"]), &[], without).is_err());
        assert_eq!(effective(false, &names(&["ALL"]), &[], without).unwrap(), without);
        assert_eq!(effective(true, &[], &names(&["ALL"]), without).unwrap(), without);
    }

    fn list() -> impl Strategy<Value = Vec<String>> {
        let name = (0..TABLE.len(), any::<bool>(), any::<bool>()).prop_map(|(i, lower, short)| {
            let name = if short { TABLE[i].0.trim_start_matches("CAP_") } else { TABLE[i].0 };
            if lower { name.to_lowercase() } else { name.to_owned() }
        });
        prop::collection::vec(prop_oneof![9 => name, 1 => Just("ALL".to_owned())], 0..6)
    }

    proptest! {
        #[test]
        fn results_stay_within_what_is_available(add in list(), drop in list(), bits in any::<u64>(), privileged in any::<bool>()) {
            let available = CapSet::from_bits(bits);
            if let Ok(set) = effective(privileged, &add, &drop, available) {
                prop_assert_eq!(set.minus(available), CapSet::default());
            }
        }

        #[test]
        fn added_ones_are_in_unless_dropped_under_all(add in list(), drop in list()) {
            let set = effective(false, &add, &drop, CapSet::ALL).unwrap();
            let (a, d) = (Tweak::parse("", &add).unwrap(), Tweak::parse("", &drop).unwrap());
            if a.all {
                prop_assert_eq!(set, CapSet::ALL.minus(d.named));
            } else {
                prop_assert_eq!(a.named.minus(set), CapSet::default());
                prop_assert_eq!(set.intersection(d.named).minus(a.named), CapSet::default());
            }
        }

        #[test]
        fn case_and_prefix_do_not_matter(add in list()) {
            let upper: Vec<String> = add.iter().map(|n| n.to_uppercase()).collect();
            prop_assert_eq!(effective(false, &add, &[], CapSet::ALL).unwrap(), effective(false, &upper, &[], CapSet::ALL).unwrap());
        }
    }
}
