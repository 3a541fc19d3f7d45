//! From a profile to the kernel's program, by libseccomp, rule for rule as libcontainer and runc do it.

use crate::oci::failed;
use libseccomp::{ScmpAction, ScmpArch, ScmpArgCompare, ScmpCompareOp, ScmpFilterContext, ScmpSyscall};
use oci_spec::runtime::{Arch, LinuxSeccomp, LinuxSeccompAction, LinuxSeccompArg, LinuxSeccompFilterFlag, LinuxSeccompOperator};
use rustix::fs::{MemfdFlags, SeekFrom, memfd_create, seek};
use std::{collections::HashSet, fs::File, io::Read};
use wharf_types::{Error, Result, error::Context};

/// The instructions for a profile that does not notify.
pub fn compile(profile: &LinuxSeccomp) -> Result<Vec<u8>> {
    let default = action(profile.default_action(), profile.default_errno_ret())?;
    let mut filter = ScmpFilterContext::new(default).map_err(failed)?;
    for flag in profile.flags().iter().flatten() {
        // They do not change the program, but libseccomp knows whether the kernel has them.
        match flag {
            LinuxSeccompFilterFlag::SeccompFilterFlagLog => filter.set_ctl_log(true),
            LinuxSeccompFilterFlag::SeccompFilterFlagTsync => filter.set_ctl_tsync(true),
            LinuxSeccompFilterFlag::SeccompFilterFlagSpecAllow => filter.set_ctl_ssb(true),
            LinuxSeccompFilterFlag::SeccompFilterFlagWaitKillableRecv => filter.set_ctl_waitkill(true),
        }
        .map_err(|e| failed(e).context(format!("flag {flag:?}")))?;
    }
    for arch in profile.architectures().iter().flatten() {
        filter.add_arch(architecture(*arch)).map_err(|e| failed(e).context(format!("architecture {arch:?}")))?;
    }
    for rule in profile.syscalls().iter().flatten() {
        let action = action(rule.action(), rule.errno_ret())?;
        // libseccomp refuses rules that change nothing.
        if action == default {
            continue;
        }
        let conditions: Vec<_> = rule.args().iter().flatten().map(condition).collect();
        // Names that libseccomp does not know are of other kernels.
        let known = rule.names().iter().filter_map(|name| Some((name, ScmpSyscall::from_name(name).ok()?)));
        for (name, call) in known {
            let added = if repeats(rule.args().as_deref().unwrap_or_default()) {
                // One rule cannot test an argument twice: each test is a rule of its own, as under runc.
                conditions.iter().try_for_each(|c| filter.add_rule_conditional(action, call, &[*c]).map(drop))
            } else {
                filter.add_rule_conditional(action, call, &conditions).map(drop)
            };
            added.map_err(|e| failed(e).context(name))?;
        }
    }
    export(&filter)
}

fn export(filter: &ScmpFilterContext) -> Result<Vec<u8>> {
    let mut file = File::from(memfd_create("seccomp", MemfdFlags::CLOEXEC).context("memfd")?);
    filter.export_bpf(&file).map_err(failed)?;
    seek(&file, SeekFrom::Start(0)).context("memfd")?;
    let mut program = Vec::new();
    file.read_to_end(&mut program).context("memfd")?;
    // Whatever else it is, it would not be taken for a filter.
    if program.is_empty() { Err(Error::system("libseccomp made an empty program")) } else { Ok(program) }
}

fn repeats(conditions: &[LinuxSeccompArg]) -> bool {
    let mut seen = HashSet::new();
    !conditions.iter().all(|c| seen.insert(c.index()))
}

/// The two values of a masked comparison are the mask and what must be left, in this order, as in seccomp_rule_add(3).
fn condition(arg: &LinuxSeccompArg) -> ScmpArgCompare {
    let (operator, value) = match arg.op() {
        LinuxSeccompOperator::ScmpCmpNe => (ScmpCompareOp::NotEqual, arg.value()),
        LinuxSeccompOperator::ScmpCmpLt => (ScmpCompareOp::Less, arg.value()),
        LinuxSeccompOperator::ScmpCmpLe => (ScmpCompareOp::LessOrEqual, arg.value()),
        LinuxSeccompOperator::ScmpCmpEq => (ScmpCompareOp::Equal, arg.value()),
        LinuxSeccompOperator::ScmpCmpGe => (ScmpCompareOp::GreaterEqual, arg.value()),
        LinuxSeccompOperator::ScmpCmpGt => (ScmpCompareOp::Greater, arg.value()),
        LinuxSeccompOperator::ScmpCmpMaskedEq => (ScmpCompareOp::MaskedEqual(arg.value()), arg.value_two().unwrap_or(0)),
    };
    // libseccomp refuses an index that is too large, this one included.
    ScmpArgCompare::new(u32::try_from(arg.index()).unwrap_or(u32::MAX), operator, value)
}

fn action(action: LinuxSeccompAction, errno: Option<u32>) -> Result<ScmpAction> {
    let number = errno.unwrap_or(libc::EPERM.cast_unsigned());
    let too_large = |_| Error::invalid(format!("errnoRet {number} is too large"));
    Ok(match action {
        LinuxSeccompAction::ScmpActKill | LinuxSeccompAction::ScmpActKillThread => ScmpAction::KillThread,
        LinuxSeccompAction::ScmpActKillProcess => ScmpAction::KillProcess,
        LinuxSeccompAction::ScmpActTrap => ScmpAction::Trap,
        LinuxSeccompAction::ScmpActErrno => ScmpAction::Errno(i32::try_from(number).map_err(too_large)?),
        LinuxSeccompAction::ScmpActTrace => ScmpAction::Trace(u16::try_from(number).map_err(too_large)?),
        LinuxSeccompAction::ScmpActAllow => ScmpAction::Allow,
        LinuxSeccompAction::ScmpActLog => ScmpAction::Log,
        LinuxSeccompAction::ScmpActNotify => return Err(Error::not_implemented("a compiled seccomp profile that notifies")),
    })
}

fn architecture(arch: Arch) -> ScmpArch {
    match arch {
        Arch::ScmpArchNative => ScmpArch::Native,
        Arch::ScmpArchX86 => ScmpArch::X86,
        Arch::ScmpArchX86_64 => ScmpArch::X8664,
        Arch::ScmpArchX32 => ScmpArch::X32,
        Arch::ScmpArchArm => ScmpArch::Arm,
        Arch::ScmpArchAarch64 => ScmpArch::Aarch64,
        Arch::ScmpArchMips => ScmpArch::Mips,
        Arch::ScmpArchMips64 => ScmpArch::Mips64,
        Arch::ScmpArchMips64n32 => ScmpArch::Mips64N32,
        Arch::ScmpArchMipsel => ScmpArch::Mipsel,
        Arch::ScmpArchMipsel64 => ScmpArch::Mipsel64,
        Arch::ScmpArchMipsel64n32 => ScmpArch::Mipsel64N32,
        Arch::ScmpArchPpc => ScmpArch::Ppc,
        Arch::ScmpArchPpc64 => ScmpArch::Ppc64,
        Arch::ScmpArchPpc64le => ScmpArch::Ppc64Le,
        Arch::ScmpArchS390 => ScmpArch::S390,
        Arch::ScmpArchS390x => ScmpArch::S390X,
        Arch::ScmpArchRiscv64 => ScmpArch::Riscv64,
        Arch::ScmpArchParisc => ScmpArch::Parisc,
        Arch::ScmpArchParisc64 => ScmpArch::Parisc64,
        Arch::ScmpArchLoongarch64 => ScmpArch::Loongarch64,
        Arch::ScmpArchM68k => ScmpArch::M68k,
        Arch::ScmpArchSh => ScmpArch::Sh,
        Arch::ScmpArchSheb => ScmpArch::Sheb,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::oci::seccomp::Filter;
    use rustix::{io::Errno, thread::set_no_new_privs};

    /// What memfd_create(2) answers to these flags under a filter, which holds for one thread only.
    fn answers(rules: &str, flags: [u32; 4]) -> [Result<(), i32>; 4] {
        let profile = format!(r#"{{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{rules}]}}"#);
        let filter = Filter { flags: 0, program: compile(&serde_json::from_str(&profile).unwrap()).unwrap() };
        let ask = move || {
            set_no_new_privs(true).unwrap();
            filter.load().unwrap();
            flags.map(|f| memfd_create("t", MemfdFlags::from_bits_retain(f)).map(drop).map_err(Errno::raw_os_error))
        };
        std::thread::spawn(ask).join().unwrap()
    }

    #[test]
    fn a_masked_comparison_masks_with_its_first_value() {
        let rule = r#"{"names": ["memfd_create"], "action": "SCMP_ACT_ERRNO", "errnoRet": 77,
            "args": [{"index": 1, "value": 2, "valueTwo": 0, "op": "SCMP_CMP_MASKED_EQ"}]}"#;
        assert_eq!(answers(rule, [0, 1, 2, 3]), [Err(77), Err(77), Ok(()), Ok(())]);
    }

    #[test]
    fn tests_of_one_argument_are_alternatives_and_of_several_are_not() {
        let test = |index: u32, op: &str, value: u32| format!(r#"{{"index": {index}, "op": "SCMP_CMP_{op}", "value": {value}}}"#);
        let rule = |args: [String; 2]| {
            format!(r#"{{"names": ["memfd_create", "nosuchcall"], "action": "SCMP_ACT_ERRNO", "args": [{}]}}"#, args.join(","))
        };
        assert_eq!(answers(&rule([test(1, "EQ", 1), test(1, "EQ", 3)]), [0, 1, 2, 3]), [Ok(()), Err(1), Ok(()), Err(1)]);
        assert_eq!(answers(&rule([test(1, "GE", 2), test(0, "NE", 0)]), [0, 1, 2, 3]), [Ok(()), Ok(()), Err(1), Err(1)]);
        assert_eq!(answers(&rule([test(1, "GE", 2), test(0, "EQ", 0)]), [0, 1, 2, 3]), [Ok(()); 4]);
    }

    #[test]
    fn what_cannot_be_compiled_is_refused() {
        let notify = r#"{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["mkdir"], "action": "SCMP_ACT_NOTIFY"}]}"#;
        let index = r#"{"defaultAction": "SCMP_ACT_ALLOW", "syscalls": [{"names": ["mkdir"], "action": "SCMP_ACT_ERRNO",
            "args": [{"index": 6, "value": 0, "op": "SCMP_CMP_EQ"}]}]}"#;
        for profile in [notify, index] {
            assert!(compile(&serde_json::from_str(profile).unwrap()).is_err());
        }
    }
}
