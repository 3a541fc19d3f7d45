//! The device rules of a container on the unified cgroup hierarchy: a small BPF program attached to its cgroup. (On v1 hosts
//! libcontainer writes them to the devices controller.)

use crate::{cgroup::Cgroup, sys};
use oci_spec::runtime::{LinuxDeviceCgroup, LinuxDeviceType};
use std::{fs::File, os::fd::AsRawFd};
use wharf_types::{Result, error::Context};

// linux/bpf.h
const BPF_PROG_LOAD: i32 = 5;
const BPF_PROG_ATTACH: i32 = 8;
const PROG_TYPE_CGROUP_DEVICE: u64 = 15;
const ATTACH_CGROUP_DEVICE: u64 = 6;
const ALLOW_MULTI: u64 = 2;
const DEV_BLOCK: i32 = 1;
const DEV_CHAR: i32 = 2;
const ACCESS: [(char, i32); 3] = [('m', 1), ('r', 2), ('w', 4)];
const ALL_ACCESS: i32 = 7;

// Opcodes: class | size or operation | source.
const LOAD_WORD: u8 = 0x61;
const MOV32: u8 = 0xb4;
const MOV32_REG: u8 = 0xbc;
const AND32: u8 = 0x54;
const SHIFT_RIGHT32: u8 = 0x74;
const JUMP_EQ: u8 = 0x15;
const JUMP_NE: u8 = 0x55;
const JUMP_NE_REG: u8 = 0x5d;
const EXIT: u8 = 0x95;

// Registers: the context, a scratch one, and the fields of the access that is checked.
const RESULT: u8 = 0;
const CONTEXT: u8 = 1;
const TYPE: u8 = 2;
const WANTED: u8 = 3;
const MAJOR: u8 = 4;
const MINOR: u8 = 5;
const SCRATCH: u8 = 6;

fn instruction(opcode: u8, dst: u8, src: u8, offset: i16, value: i32) -> u64 {
    u64::from(opcode)
        | u64::from(dst) << 8
        | u64::from(src) << 12
        | u64::from(offset.cast_unsigned()) << 16
        | u64::from(value.cast_unsigned()) << 32
}

/// Applies the rules when the cgroup is in the unified hierarchy and no v1 devices controller takes care of them.
pub fn restrict(rules: &[LinuxDeviceCgroup], cgroup: &Cgroup) -> Result<()> {
    let [dir] = cgroup.dirs() else { return Ok(()) };
    if !dir.join("cgroup.controllers").exists() {
        return Ok(());
    }
    let program = program(rules);
    let license = c"Apache-2.0";
    // union bpf_attr for BPF_PROG_LOAD: type and count, instructions, license.
    let mut load = [PROG_TYPE_CGROUP_DEVICE | (program.len() as u64) << 32, program.as_ptr() as u64, license.as_ptr() as u64, 0, 0, 0];
    let fd = sys::bpf_descriptor(sys::bpf(BPF_PROG_LOAD, &mut load).context("device rules")?);
    let target = File::open(dir).context(dir.display())?;
    // union bpf_attr for BPF_PROG_ATTACH: target and program, attach type and flags.
    let word = |low: i32, high: u64| u64::from(low.cast_unsigned()) | high << 32;
    let mut attach = [word(target.as_raw_fd(), u64::from(fd.as_raw_fd().cast_unsigned())), ATTACH_CGROUP_DEVICE | ALLOW_MULTI << 32];
    sys::bpf(BPF_PROG_ATTACH, &mut attach).context("device rules").map(drop)
}

/// The last rule that matches decides, so they are tested from the last to the first; without any, all is denied.
fn program(rules: &[LinuxDeviceCgroup]) -> Vec<u64> {
    let mut code = vec![
        instruction(LOAD_WORD, TYPE, CONTEXT, 0, 0),
        instruction(AND32, TYPE, 0, 0, 0xffff),
        instruction(LOAD_WORD, WANTED, CONTEXT, 0, 0),
        instruction(SHIFT_RIGHT32, WANTED, 0, 0, 16),
        instruction(LOAD_WORD, MAJOR, CONTEXT, 4, 0),
        instruction(LOAD_WORD, MINOR, CONTEXT, 8, 0),
    ];
    for rule in rules.iter().rev() {
        let block = block(rule);
        // One that tests nothing always decides; the kernel refuses code behind it, which is never reached.
        let last = block.len() == VERDICT;
        code.extend(block);
        if last {
            return code;
        }
    }
    code.extend(verdict(false));
    code
}

/// Instructions of a [`verdict`].
const VERDICT: usize = 2;

fn verdict(allow: bool) -> [u64; VERDICT] {
    [instruction(MOV32, RESULT, 0, 0, i32::from(allow)), instruction(EXIT, 0, 0, 0, 0)]
}

/// Tests that jump over the rest of the block when they fail, then the verdict.
fn block(rule: &LinuxDeviceCgroup) -> Vec<u64> {
    let access = access(rule);
    let mut tests: Vec<(u8, u8, i32)> = Vec::new();
    match rule.typ() {
        Some(LinuxDeviceType::B) => tests.push((JUMP_NE, TYPE, DEV_BLOCK)),
        Some(LinuxDeviceType::C | LinuxDeviceType::U) => tests.push((JUMP_NE, TYPE, DEV_CHAR)),
        // There are no rules for pipes: they are no devices.
        Some(LinuxDeviceType::P) => return Vec::new(),
        Some(LinuxDeviceType::A) | None => {}
    }
    for (register, number) in [(MAJOR, rule.major()), (MINOR, rule.minor())] {
        if let Some(number) = number.and_then(|n| i32::try_from(n).ok()).filter(|n| *n >= 0) {
            tests.push((JUMP_NE, register, number));
        }
    }
    let masked = if access == ALL_ACCESS { 0 } else { 3 };
    let length = tests.len() + masked + VERDICT;
    let skip = |position: usize| i16::try_from(length - position - 1).unwrap_or(i16::MAX);
    let mut code: Vec<u64> = tests.iter().enumerate().map(|(i, (op, reg, n))| instruction(*op, *reg, 0, skip(i), *n)).collect();
    if masked > 0 {
        // A rule that allows must cover all that is wanted; one that denies, any part of it.
        code.push(instruction(MOV32_REG, SCRATCH, WANTED, 0, 0));
        code.push(instruction(AND32, SCRATCH, 0, 0, access));
        code.push(if rule.allow() {
            instruction(JUMP_NE_REG, SCRATCH, WANTED, skip(code.len()), 0)
        } else {
            instruction(JUMP_EQ, SCRATCH, 0, skip(code.len()), 0)
        });
    }
    code.extend(verdict(rule.allow()));
    code
}

fn access(rule: &LinuxDeviceCgroup) -> i32 {
    match rule.access() {
        Some(text) if !text.is_empty() => ACCESS.iter().filter(|(c, _)| text.contains(*c)).fold(0, |all, (_, bit)| all | bit),
        _ => ALL_ACCESS,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use oci_spec::runtime::LinuxDeviceCgroupBuilder;

    fn rule(allow: bool, typ: LinuxDeviceType, numbers: Option<(i64, i64)>, access: &str) -> LinuxDeviceCgroup {
        let builder = LinuxDeviceCgroupBuilder::default().allow(allow).typ(typ).access(access);
        match numbers {
            Some((major, minor)) => builder.major(major).minor(minor).build().unwrap(),
            None => builder.build().unwrap(),
        }
    }

    /// Interprets the few instructions that are generated.
    fn allows(code: &[u64], typ: i32, wanted: i32, major: i32, minor: i32) -> bool {
        let (mut registers, mut pc) = ([0i64; 7], 0usize);
        loop {
            let i = code[pc];
            let (op, dst, src) = (i as u8, (i >> 8) as usize & 15, (i >> 12) as usize & 15);
            let (offset, value) = ((i >> 16) as u16 as i16, i64::from((i >> 32) as u32 as i32));
            let jump = match op {
                LOAD_WORD => {
                    registers[dst] = i64::from([typ | wanted << 16, major, minor][offset as usize / 4]);
                    false
                }
                MOV32 => {
                    registers[dst] = value;
                    false
                }
                MOV32_REG => {
                    registers[dst] = registers[src];
                    false
                }
                AND32 => {
                    registers[dst] &= value;
                    false
                }
                SHIFT_RIGHT32 => {
                    registers[dst] >>= value;
                    false
                }
                JUMP_NE => registers[dst] != value,
                JUMP_EQ => registers[dst] == value,
                JUMP_NE_REG => registers[dst] != registers[src],
                EXIT => return registers[0] != 0,
                other => panic!("opcode {other:#x}"),
            };
            pc += 1 + if jump { offset as usize } else { 0 };
        }
    }

    #[test]
    fn docker_rules_decide_as_documented() {
        let rules = [
            rule(false, LinuxDeviceType::A, None, "rwm"),
            rule(true, LinuxDeviceType::C, None, "m"),
            rule(true, LinuxDeviceType::C, Some((1, 3)), "rwm"),
            rule(true, LinuxDeviceType::B, Some((8, -1)), "r"),
            rule(false, LinuxDeviceType::C, Some((10, 229)), "w"),
        ];
        let code = program(&rules);
        let (m, r, w) = (1, 2, 4);
        assert!(allows(&code, DEV_CHAR, r | w, 1, 3));
        assert!(!allows(&code, DEV_CHAR, r, 1, 1));
        assert!(allows(&code, DEV_CHAR, m, 99, 99));
        assert!(!allows(&code, DEV_BLOCK, m, 99, 99));
        assert!(allows(&code, DEV_BLOCK, r, 8, 17));
        assert!(!allows(&code, DEV_BLOCK, r | w, 8, 17));
        assert!(!allows(&code, DEV_CHAR, w | m, 10, 229));
        assert!(!allows(&program(&[]), DEV_CHAR, r, 1, 3));
    }

    /// Needs root and a unified hierarchy, also beside v1 ones.
    #[test]
    fn the_kernel_takes_the_program_and_obeys_it() {
        let roots = ["/sys/fs/cgroup/unified", "/sys/fs/cgroup"].map(std::path::PathBuf::from);
        let Some(root) = roots.into_iter().find(|r| r.join("cgroup.controllers").exists()) else { return };
        let dir = root.join(format!("wharf-test-devices-{}", std::process::id()));
        if std::fs::create_dir(&dir).is_err() {
            return eprintln!("skipped: no permission for cgroups");
        }
        let rules = [rule(false, LinuxDeviceType::A, None, "rwm"), rule(true, LinuxDeviceType::C, Some((1, 3)), "rwm")];
        let restricted = restrict(&rules, &Cgroup::at(vec![dir.clone()]));
        let script = format!("echo $$ > {}/cgroup.procs && true < /dev/null && ! true < /dev/zero", dir.display());
        let status = std::process::Command::new("sh").args(["-c", &script]).stderr(std::process::Stdio::null()).status().unwrap();
        std::fs::remove_dir(&dir).unwrap();
        restricted.unwrap();
        assert!(status.success());
    }

    #[test]
    fn instructions_are_laid_out_as_the_kernel_reads_them() {
        // r6 = (u32) r3 ; if r2 != 2 goto +5
        assert_eq!(instruction(MOV32_REG, 6, 3, 0, 0).to_le_bytes(), [0xbc, 0x36, 0, 0, 0, 0, 0, 0]);
        assert_eq!(instruction(JUMP_NE, 2, 0, 5, 2).to_le_bytes(), [0x55, 0x02, 5, 0, 2, 0, 0, 0]);
    }
}
