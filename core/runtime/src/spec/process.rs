//! The process of a container and of an exec: user, environment, capabilities, limits.

use std::path::{Path, PathBuf};

use oci_spec::runtime::{
    Box as ConsoleBox, BoxBuilder, Capabilities, LinuxCapabilities, LinuxCapabilitiesBuilder, PosixRlimit, PosixRlimitBuilder, Process,
    Spec, User,
};
use wharf_types::error::Context;
use wharf_types::{Error, Result};

use super::capabilities::CapSet;
use super::host::HostFacts;
use super::mounts::INIT_PATH;
use super::plan::{ConsoleSize, ExecPlan, LaunchPlan, PidNs, Ulimit};
use super::user::{ResolvedUser, resolve_user};

/// `PATH` of a container that names none.
const DEFAULT_PATH: &str = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// The first process of `plan`. What had to be changed is added to `warnings`.
pub(super) fn first_process(plan: &LaunchPlan, capabilities: CapSet, host: &HostFacts, warnings: &mut Vec<String>) -> Result<Process> {
    let wanted = &plan.process;
    let user = resolve_user(&plan.rootfs, &wanted.user, &wanted.groups_add)?;
    let mut args = wanted.args.clone();
    if args.is_empty() {
        return Err(Error::invalid("no command specified"));
    }
    if plan.init.is_some() && plan.namespaces.pid == PidNs::Private {
        args.splice(0..0, [INIT_PATH.to_owned(), "--".to_owned()]);
    }
    let profile = plan.apparmor.clone().or_else(|| plan.privileged.then(|| "unconfined".to_owned()));
    let mut process = Process::default();
    process
        .set_args(Some(args))
        .set_env(Some(environment(&plan.hostname, wanted.tty, &[&wanted.env], &user.home)))
        .set_cwd(working_directory(&wanted.cwd)?)
        .set_terminal(Some(wanted.tty))
        .set_console_size(console(wanted.console_size)?)
        .set_no_new_privileges(wanted.no_new_privileges.then_some(true))
        .set_capabilities(Some(capability_sets(capabilities.to_oci(), user.uid)?))
        .set_rlimits(rlimits(&wanted.rlimits, host, warnings)?)
        .set_oom_score_adj(Some(oom_score_adj(wanted.oom_score_adj, host, warnings)))
        .set_apparmor_profile(apparmor(profile, host, warnings))
        .set_user(oci_user(&user));
    Ok(process)
}

/// The process of an exec: the container's own with what the plan changes. Blocking; reads the container's users when the
/// plan names one, and for `HOME`.
///
/// As in Docker the exec has its own terminal and environment (the container's `Config.Env` with the exec's over it) and keeps
/// limits, `no-new-privileges` and the bounding set of the container.
pub fn exec_process(container: &Spec, plan: &ExecPlan, rootfs: &Path, host: &HostFacts) -> Result<Process> {
    let mut process = container.process().clone().ok_or_else(|| Error::system("the container's spec has no process"))?;
    if plan.args.is_empty() {
        return Err(Error::invalid("No exec command specified"));
    }
    let home = if plan.user.is_empty() {
        // By number, as the container's user was a name in the image's files, which the container may have changed since.
        let inherited = process.user();
        resolve_user(rootfs, &format!("{}:{}", inherited.uid(), inherited.gid()), &[])?.home
    } else {
        let user = resolve_user(rootfs, &plan.user, &plan.groups_add)?;
        process.set_user(oci_user(&user));
        user.home
    };
    if !plan.cwd.is_empty() {
        process.set_cwd(working_directory(&plan.cwd)?);
    }
    let bounding = if plan.privileged {
        process.set_apparmor_profile(host.apparmor.then(|| "unconfined".to_owned()));
        host.bounding.to_oci()
    } else {
        process.capabilities().as_ref().and_then(|c| c.bounding().clone()).unwrap_or_default()
    };
    let capabilities = capability_sets(bounding, process.user().uid())?;
    process
        .set_args(Some(plan.args.clone()))
        .set_env(Some(environment(&plan.hostname, plan.tty, &[&plan.container_env, &plan.env], &home)))
        .set_terminal(Some(plan.tty))
        .set_console_size(console(plan.console_size)?)
        .set_capabilities(Some(capabilities));
    Ok(process)
}

/// Defaults, then each of `layers` over it: `NAME=value` replaces in place or appends, `NAME` removes.
fn environment(hostname: &str, tty: bool, layers: &[&[String]], home: &str) -> Vec<String> {
    let mut env = vec![DEFAULT_PATH.to_owned(), format!("HOSTNAME={hostname}")];
    if tty {
        env.push("TERM=xterm".into());
    }
    let name = |entry: &str| entry.split_once('=').map_or(entry, |(name, _)| name).to_owned();
    for entry in layers.iter().copied().flatten() {
        let existing = env.iter().position(|e| name(e) == name(entry));
        match (entry.contains('='), existing.and_then(|at| env.get_mut(at))) {
            (true, Some(slot)) => slot.clone_from(entry),
            (true, None) => env.push(entry.clone()),
            (false, _) => env.retain(|e| name(e) != *entry),
        }
    }
    if !env.iter().any(|e| name(e) == "HOME") {
        env.push(format!("HOME={home}"));
    }
    env
}

fn working_directory(path: &str) -> Result<PathBuf> {
    match path {
        "" => Ok("/".into()),
        path if path.starts_with('/') => Ok(path.into()),
        path => Err(Error::invalid(format!("the working directory '{path}' is invalid, it needs to be an absolute path"))),
    }
}

fn console(size: Option<ConsoleSize>) -> Result<Option<ConsoleBox>> {
    let console = |size: ConsoleSize| BoxBuilder::default().height(size.height).width(size.width).build().context("console size");
    size.map(console).transpose()
}

fn oci_user(user: &ResolvedUser) -> User {
    let mut oci = User::default();
    oci.set_uid(user.uid).set_gid(user.gid).set_additional_gids(Some(user.additional_gids.clone()));
    oci
}

/// A user other than root holds nothing until it executes a file that gives it something, which is what `execve` does too.
/// Empty sets are written out: libcontainer leaves an absent one as the daemon has it.
fn capability_sets(bounding: Capabilities, uid: u32) -> Result<LinuxCapabilities> {
    let held = if uid == 0 { bounding.clone() } else { Capabilities::default() };
    LinuxCapabilitiesBuilder::default()
        .bounding(bounding)
        .effective(held.clone())
        .permitted(held)
        .inheritable(Capabilities::default())
        .ambient(Capabilities::default())
        .build()
        .context("capabilities")
}

/// The limits, none above what this daemon may set: a runtime would fail with EPERM.
fn rlimits(wanted: &[Ulimit], host: &HostFacts, warnings: &mut Vec<String>) -> Result<Option<Vec<PosixRlimit>>> {
    let mut limits = Vec::with_capacity(wanted.len());
    for limit in wanted {
        let own = host.hard_limits.iter().find(|(kind, _)| *kind == limit.kind).map_or(u64::MAX, |(_, hard)| *hard);
        let ceiling = if host.may_raise_limits { u64::MAX } else { own };
        if limit.hard > ceiling {
            let name = limit.kind.to_string().trim_start_matches("RLIMIT_").to_lowercase();
            warnings.push(format!("ulimit {name}: the daemon may not raise its own hard limit, {ceiling} is used"));
        }
        let (soft, hard) = (limit.soft.min(ceiling), limit.hard.min(ceiling));
        limits.push(PosixRlimitBuilder::default().typ(limit.kind).soft(soft).hard(hard).build().context("ulimit")?);
    }
    Ok((!limits.is_empty()).then_some(limits))
}

fn oom_score_adj(wanted: i32, host: &HostFacts, warnings: &mut Vec<String>) -> i32 {
    if wanted >= host.oom_score_adj || host.may_raise_limits {
        return wanted;
    }
    // Zero is what nobody asked for: the container inherits the daemon's score without a word.
    if wanted != 0 {
        warnings.push(format!("the daemon may not lower its OOM score, {} is used instead of {wanted}", host.oom_score_adj));
    }
    host.oom_score_adj
}

fn apparmor(profile: Option<String>, host: &HostFacts, warnings: &mut Vec<String>) -> Option<String> {
    let profile = profile?;
    if !host.apparmor && profile != "unconfined" {
        warnings.push(format!("AppArmor is not enabled on this host, profile {profile} is not applied"));
    }
    host.apparmor.then_some(profile)
}

#[cfg(test)]
mod tests {
    use oci_spec::runtime::PosixRlimitType;

    use super::super::{build, test_host, test_plan};
    use super::*;

    fn owned(entries: &[&str]) -> Vec<String> {
        entries.iter().map(|e| (*e).to_owned()).collect()
    }

    #[test]
    fn environment_layers() {
        let env = environment("h", true, &[&owned(&["A=1", "TERM", "PATH=/x", "A=2=3"]), &owned(&["B=", "HOSTNAME"])], "/root");
        assert_eq!(env, ["PATH=/x", "A=2=3", "B=", "HOME=/root"]);
        assert_eq!(environment("h", false, &[&owned(&["HOME=/x"])], "/root"), [DEFAULT_PATH, "HOSTNAME=h", "HOME=/x"]);
    }

    #[test]
    fn working_directories_are_absolute() {
        assert_eq!(working_directory("").unwrap(), Path::new("/"));
        let message = working_directory("x").unwrap_err().message().to_owned();
        assert_eq!(message, "the working directory 'x' is invalid, it needs to be an absolute path");
    }

    #[test]
    fn limits_above_the_daemons_are_clamped_with_a_warning() {
        let host = HostFacts { hard_limits: vec![(PosixRlimitType::RlimitNofile, 100)], oom_score_adj: 0, ..test_host() };
        let wanted = [Ulimit { kind: PosixRlimitType::RlimitNofile, soft: 200, hard: 300 }];
        let mut warnings = Vec::new();
        let limits = rlimits(&wanted, &host, &mut warnings).unwrap().unwrap();
        assert_eq!((limits[0].soft(), limits[0].hard(), warnings.len()), (100, 100, 1));
        assert_eq!((oom_score_adj(-5, &host, &mut warnings), warnings.len()), (0, 2));
        assert_eq!((oom_score_adj(5, &host, &mut warnings), warnings.len()), (5, 2));

        let strong = HostFacts { may_raise_limits: true, ..host };
        let limits = rlimits(&wanted, &strong, &mut warnings).unwrap().unwrap();
        assert_eq!((limits[0].soft(), limits[0].hard(), warnings.len()), (200, 300, 2));
        assert_eq!(oom_score_adj(-5, &strong, &mut warnings), -5);
    }

    fn exec(user: &str, privileged: bool) -> Process {
        let rootfs = tempfile::tempdir().unwrap();
        let mut plan = test_plan(rootfs.path());
        plan.process.tty = true;
        plan.process.user = "5:6".into();
        plan.process.cwd = "/work".into();
        let spec = build(&plan, &test_host()).unwrap().spec;
        let plan = ExecPlan {
            args: owned(&["id"]),
            user: user.into(),
            privileged,
            hostname: "h".into(),
            container_env: owned(&["A=1"]),
            ..ExecPlan::default()
        };
        exec_process(&spec, &plan, rootfs.path(), &test_host()).unwrap()
    }

    fn sizes(process: &Process) -> (usize, usize) {
        let caps = process.capabilities().as_ref().unwrap();
        (caps.bounding().as_ref().unwrap().len(), caps.effective().as_ref().unwrap().len())
    }

    #[test]
    fn an_exec_inherits_user_directory_and_bounding_set_but_no_terminal() {
        let process = exec("", false);
        assert_eq!((process.user().uid(), process.user().gid(), process.cwd().as_path()), (5, 6, Path::new("/work")));
        assert_eq!((process.terminal(), process.args().clone().unwrap()), (Some(false), owned(&["id"])));
        assert_eq!(process.env().as_ref().unwrap(), &owned(&[DEFAULT_PATH, "HOSTNAME=h", "A=1", "HOME=/"]));
        assert_eq!(sizes(&process), (14, 0));
    }

    #[test]
    fn an_exec_as_root_holds_what_the_container_may_and_a_privileged_one_all() {
        assert_eq!(sizes(&exec("0", false)), (14, 14));
        assert_eq!(sizes(&exec("0", true)), (40, 40));
        assert_eq!(sizes(&exec("7", true)), (40, 0));
    }
}
