//! The seccomp filter of a container: made once for each profile, loaded into its first process and into every exec.
//!
//! Compiling Docker's profile takes libseccomp longer than all else that `create` does, so the program is kept, see [`cache`]; what
//! libcontainer would load by itself is compiled anew each time. Each container has a copy for its execs. Profiles that notify stay
//! with libcontainer, which knows how to pass the listener on. Start with [`Filter::of`]; [`Confinement`] is the first process's side.

mod cache;
mod compile;
mod confine;

pub use confine::Confinement;

use crate::sys;
use oci_spec::runtime::{LinuxSeccomp, LinuxSeccompAction, LinuxSeccompArgBuilder, LinuxSeccompFilterFlag, LinuxSeccompOperator};
use std::path::Path;
use wharf_types::{Digest, Error, Result, error::Context};

/// The file in the runtime's own bundle that holds the filter for execs; without a filter, it says so.
pub const FILE: &str = "seccomp";

/// Bytes of one BPF instruction.
const INSTRUCTION: usize = 8;
/// The kernel's limit of instructions, `BPF_MAXINSNS`.
const MOST: usize = 4096;
/// Hex digits of the digest that begins an encoded filter.
const SUM: usize = 64;

/// A compiled filter. One without a program is none at all.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Filter {
    flags: u32,
    program: Vec<u8>,
}

impl Filter {
    /// The filter of a profile, from the cache under `root` if it is there.
    pub fn of(profile: &LinuxSeccomp, root: &Path) -> Result<Self> {
        cache::get(&root.join(cache::DIRECTORY), profile).map_err(|e| e.context("seccomp"))
    }

    /// Whether there is nothing to load.
    pub fn is_none(&self) -> bool {
        self.program.is_empty()
    }

    /// Puts this thread under the filter, for good. Takes `no_new_privs` or `CAP_SYS_ADMIN`.
    pub fn load(&self) -> Result<()> {
        if self.is_none() {
            return Ok(());
        }
        sys::seccomp_filter(self.flags, &self.program).context("seccomp filter")
    }

    /// For a file: digest, flags, program.
    pub fn encode(&self) -> Vec<u8> {
        let body = [&self.flags.to_le_bytes(), self.program.as_slice()].concat();
        [Digest::of(&body).hex().as_bytes(), &body].concat()
    }

    /// Reads [`Filter::encode`] back; fails on anything else, so that a damaged file is never taken for "no filter".
    pub fn decode(bytes: &[u8]) -> Result<Self> {
        let valid = || {
            let (sum, body) = bytes.split_at_checked(SUM)?;
            let (flags, program) = body.split_first_chunk()?;
            let whole = program.len() % INSTRUCTION == 0 && program.len() <= MOST * INSTRUCTION && Digest::of(body).hex().as_bytes() == sum;
            whole.then(|| Self { flags: u32::from_le_bytes(*flags), program: program.to_vec() })
        };
        valid().ok_or_else(|| Error::system("damaged seccomp filter"))
    }
}

/// Whether a profile asks a listener what to do.
pub fn notifies(profile: &LinuxSeccomp) -> bool {
    let notify = LinuxSeccompAction::ScmpActNotify;
    profile.default_action() == notify || profile.syscalls().iter().flatten().any(|s| s.action() == notify)
}

/// libcontainer takes the two values of a masked comparison for each other, which would let clone(2) make any namespace.
pub fn suit_libcontainer(profile: &mut LinuxSeccomp) -> Result<()> {
    let mut rules = profile.syscalls().clone();
    for rule in rules.iter_mut().flatten() {
        let mut conditions = rule.args().clone();
        for condition in conditions.iter_mut().flatten().filter(|c| c.op() == LinuxSeccompOperator::ScmpCmpMaskedEq) {
            let exchanged = LinuxSeccompArgBuilder::default().index(condition.index()).op(condition.op());
            let exchanged = exchanged.value(condition.value_two().unwrap_or(0)).value_two(condition.value());
            *condition = exchanged.build().map_err(crate::oci::failed)?;
        }
        rule.set_args(conditions);
    }
    profile.set_syscalls(rules);
    Ok(())
}

/// The flags of seccomp(2). The one about listeners means nothing to a filter that has none.
fn flags(profile: &LinuxSeccomp) -> u32 {
    let bits = profile.flags().iter().flatten().map(|flag| match flag {
        LinuxSeccompFilterFlag::SeccompFilterFlagLog => libc::SECCOMP_FILTER_FLAG_LOG,
        LinuxSeccompFilterFlag::SeccompFilterFlagTsync => libc::SECCOMP_FILTER_FLAG_TSYNC,
        LinuxSeccompFilterFlag::SeccompFilterFlagSpecAllow => libc::SECCOMP_FILTER_FLAG_SPEC_ALLOW,
        LinuxSeccompFilterFlag::SeccompFilterFlagWaitKillableRecv => 0,
    });
    bits.fold(0, |all, bit| all | u32::try_from(bit).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn comes_back_from_a_file_and_never_from_a_damaged_one(flags: u32, words in prop::collection::vec(any::<u64>(), 0..40), at: prop::sample::Index) {
            let filter = Filter { flags, program: words.iter().flat_map(|w| w.to_le_bytes()).collect() };
            let mut bytes = filter.encode();
            prop_assert_eq!(Filter::decode(&bytes).unwrap(), filter);
            let at = at.index(bytes.len());
            prop_assert!(Filter::decode(&bytes[..at]).is_err());
            bytes[at] ^= 1;
            prop_assert!(Filter::decode(&bytes).is_err());
        }
    }

    #[test]
    fn libcontainer_is_given_masks_its_way() {
        let args = r#"[{"index": 0, "value": 7, "op": "SCMP_CMP_MASKED_EQ"}, {"index": 1, "value": 7, "op": "SCMP_CMP_EQ"}]"#;
        let text = format!(
            r#"{{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{{"names": ["a"], "action": "SCMP_ACT_NOTIFY", "args": {args}}}]}}"#
        );
        let mut profile: LinuxSeccomp = serde_json::from_str(&text).unwrap();
        assert!(notifies(&profile));
        suit_libcontainer(&mut profile).unwrap();
        let args = profile.syscalls().as_ref().unwrap()[0].args().clone().unwrap();
        assert_eq!(args.iter().map(|a| (a.value(), a.value_two())).collect::<Vec<_>>(), [(0, Some(7)), (7, None)]);
    }

    #[test]
    fn an_empty_file_is_not_the_absence_of_a_filter() {
        assert!(Filter::decode(b"").is_err());
        assert_eq!(Filter::decode(&Filter::default().encode()).unwrap(), Filter::default());
    }
}
