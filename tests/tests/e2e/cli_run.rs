//! `docker run` with its options, in the foreground and in the background.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};

use nix::sys::stat::{Mode, SFlag, makedev, mknod};
use wharf_tests::{Case, poll, suite};

suite![
    echo,
    stdin,
    large_output,
    exit_codes,
    terminal,
    terminal_resize,
    environment,
    working_directory,
    users,
    unknown_user,
    hostname_and_hosts,
    read_only_root,
    tmpfs,
    capabilities,
    no_new_privileges,
    seccomp_default,
    masked_paths,
    ulimit,
    init_process,
    shm_size,
    memory_limit,
    cpu_limit,
    pids_limit,
    cgroup_parent,
    out_of_memory,
    sysctl,
    privileged,
    device,
    bind_mount,
    bind_auto_create,
    bind_on_dev,
    mount_option,
    entrypoint,
    image_defaults,
    auto_remove,
    cidfile,
    detached,
    name_conflict,
    missing_image,
    restart_on_failure,
    stop_signal,
    log_driver_none,
    signal_proxy,
    refused_for_now,
];

fn echo(case: &Case) {
    assert_eq!(case.run(&["--rm", "busybox", "echo", "hi"]).ok(), "hi");
    let both = case.run(&["--rm", "busybox", "sh", "-c", "echo out; echo err >&2"]);
    assert_eq!((both.code, both.stdout.as_str(), both.stderr.as_str()), (0, "out\n", "err\n"));
}

fn stdin(case: &Case) {
    assert_eq!(case.run_stdin(&["--rm", "-i", "busybox", "sh"], "echo $((6*7))\n").ok(), "42");
    // More than any pipe or socket buffer on the way, and nothing of it lost.
    let megabyte = "0123456789abcde\n".repeat(1 << 16);
    assert_eq!(case.run_stdin(&["--rm", "-i", "busybox", "wc", "-c"], &megabyte).ok(), "1048576");
    assert_eq!(case.run_stdin(&["--rm", "-i", "busybox", "cat"], &megabyte).stdout.len(), megabyte.len());
}

fn large_output(case: &Case) {
    let out = case.run(&["--rm", "busybox", "seq", "1", "100000"]).stdout;
    assert!(out.lines().map(str::to_owned).eq((1..=100_000).map(|n| n.to_string())), "{} bytes", out.len());
}

fn exit_codes(case: &Case) {
    case.run(&["--rm", "busybox", "sh", "-c", "exit 7"]).fails(7);
    // The kernel shields PID 1 from its own signals, so the shell needs an init above it.
    case.run(&["--rm", "--init", "busybox", "sh", "-c", "kill -9 $$"]).fails(137);
    let missing = case.run(&["--rm", "busybox", "no-such-program"]).fails(127);
    assert!(missing.contains(r#"exec: "no-such-program": executable file not found in $PATH"#), "{missing}");
    let missing = case.run(&["--rm", "busybox", "/no/such/path"]).fails(127);
    assert!(missing.contains("no such file or directory"), "{missing}");
    let denied = case.run(&["--rm", "busybox", "/etc/noexec"]).fails(126);
    assert!(denied.contains("permission denied"), "{denied}");
    case.run(&["--rm", "busybox", "/etc"]).fails(126);
    case.run(&["--rm", "--no-such-flag", "busybox"]).fails(125);
    let daemon = case.run(&["--rm", "-m", "1k", "busybox", "true"]).fails(125);
    assert!(daemon.contains("Minimum memory limit allowed is 6MB"), "{daemon}");
}

fn terminal(case: &Case) {
    let mut pty = case.pty_run(&["--rm", "busybox", "sh"]);
    pty.send("tty; echo TERM=$TERM\n");
    pty.expect("/dev/pts/0");
    pty.expect("TERM=xterm");
    pty.send("exit 5\n");
    assert_eq!(pty.wait(), 5);
    // Without an -i there is nobody to type, but output still has the line ends of a terminal.
    let mut pty = wharf_tests::Pty::spawn(case.run_command(&["-t", "--rm", "busybox", "echo", "plain"]));
    assert_eq!(pty.wait(), 0);
    pty.expect("plain\r");
}

fn terminal_resize(case: &Case) {
    let mut pty = case.pty_run(&["--rm", "busybox", "sh"]);
    // The client sends its size right after start; the container sees it.
    pty.send("until stty size | grep -x '24 80'; do sleep 0.1; done\n");
    pty.expect("\n24 80");
    pty.resize(40, 120);
    pty.send("until stty size | grep -x '40 120'; do sleep 0.1; done\n");
    pty.expect("\n40 120");
    pty.send("exit\n");
    assert_eq!(pty.wait(), 0);
}

fn environment(case: &Case) {
    let env = case.run(&["--rm", "-e", "A=1", "-e", "B=x y", "-e", "EMPTY=", "busybox", "env"]).ok();
    let has = |line: &str| env.lines().any(|l| l == line);
    assert!(has("A=1") && has("B=x y") && has("EMPTY=") && has("HOME=/root"), "{env}");
    assert!(has("PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"), "{env}");
    assert!(env.lines().any(|l| l.starts_with("HOSTNAME=") && l.len() == "HOSTNAME=".len() + 12), "{env}");
    assert!(!env.contains("TERM="), "{env}");
}

fn working_directory(case: &Case) {
    assert_eq!(case.run(&["--rm", "-w", "/tmp", "busybox", "pwd"]).ok(), "/tmp");
    assert_eq!(case.run(&["--rm", "-w", "/made/at/start", "busybox", "pwd"]).ok(), "/made/at/start");
    let relative = case.run(&["--rm", "-w", "relative", "busybox", "pwd"]).fails(125);
    assert!(relative.contains("working directory 'relative' is invalid, it needs to be an absolute path"), "{relative}");
}

fn users(case: &Case) {
    let id =
        |user: &str, more: &[&str]| case.run(&[&["--rm", "-u", user], more, &["busybox", "sh", "-c", "id -u; id -g; id -G"]].concat()).ok();
    assert_eq!(id("1000:1000", &[]), "1000\n1000\n1000");
    // A name brings its groups of /etc/group with it.
    assert_eq!(id("user", &[]), "1000\n1000\n1000 2000");
    assert_eq!(id("user:nobody", &[]), "1000\n65534\n65534");
    assert_eq!(id("4321", &[]), "4321\n0\n0");
    let added = id("nobody", &["--group-add", "extra", "--group-add", "77"]);
    let mut groups: Vec<&str> = added.lines().last().unwrap().split(' ').collect();
    groups.sort_unstable();
    assert_eq!(groups, ["2000", "65534", "77"]);
    assert_eq!(case.run(&["--rm", "-u", "user", "busybox", "sh", "-c", "echo $HOME"]).ok(), "/home");
    assert_eq!(
        case.run(&[
            "--rm",
            "-u",
            "user",
            "busybox",
            "sh",
            "-c",
            "grep Cap /proc/self/status | grep -v Bnd | grep -v ':.0000000000000000' || true"
        ])
        .ok(),
        ""
    );
}

fn unknown_user(case: &Case) {
    let unknown = case.run(&["--rm", "-u", "nosuchuser", "busybox", "true"]).fails(125);
    assert!(unknown.contains("unable to find user nosuchuser"), "{unknown}");
}

fn hostname_and_hosts(case: &Case) {
    let script = "hostname; cat /etc/hostname; grep '1.2.3.4' /etc/hosts; grep box /etc/hosts";
    let out =
        case.run(&["--rm", "-h", "box", "--domainname", "example.org", "--add-host", "foo:1.2.3.4", "busybox", "sh", "-c", script]).ok();
    let lines: Vec<&str> = out.lines().collect();
    assert_eq!(lines[0], "box");
    assert!(lines[1].starts_with("box"), "{out}");
    assert_eq!(lines[2].split_whitespace().collect::<Vec<_>>(), ["1.2.3.4", "foo"]);
    assert!(lines[3].split_whitespace().any(|w| w == "box"), "{out}");
    let id = case.run(&["-d", "busybox", "sh", "-c", "hostname"]).ok();
    case.docker(&["wait", &id]).ok();
    assert_eq!(case.docker(&["logs", &id]).ok(), id[..12]);
}

fn read_only_root(case: &Case) {
    let refused = case.run(&["--rm", "--read-only", "busybox", "touch", "/x"]).fails(1);
    assert!(refused.contains("Read-only file system"), "{refused}");
    case.run(&["--rm", "--read-only", "busybox", "sh", "-c", "echo x > /dev/shm/x && echo x > /dev/null"]).ok();
}

fn tmpfs(case: &Case) {
    let mount = case
        .run(&[
            "--rm",
            "--read-only",
            "--tmpfs",
            "/t:size=1m,mode=700",
            "busybox",
            "sh",
            "-c",
            "touch /t/x; stat -c %a /t; grep ' /t ' /proc/mounts",
        ])
        .ok();
    assert!(mount.starts_with("700\ntmpfs /t tmpfs"), "{mount}");
    for option in ["size=1024k", "nosuid", "nodev", "noexec"] {
        assert!(mount.contains(option), "{option}: {mount}");
    }
    case.run(&[
        "--rm",
        "--mount",
        "type=tmpfs,dst=/t,tmpfs-size=1048576",
        "busybox",
        "sh",
        "-c",
        "! dd if=/dev/zero of=/t/x bs=1k count=2000 2>/dev/null",
    ])
    .ok();
}

fn capabilities(case: &Case) {
    case.run(&["--rm", "busybox", "chown", "1", "/tmp"]).ok();
    case.run(&["--rm", "--cap-drop", "ALL", "busybox", "chown", "1", "/tmp"]).fails(1);
    case.run(&["--rm", "--cap-drop", "all", "--cap-add", "chown", "busybox", "chown", "1", "/tmp"]).ok();
    let effective = |options: &[&str]| {
        let line = case.run(&[&["--rm"], options, &["busybox", "grep", "CapEff", "/proc/self/status"]].concat()).ok();
        u64::from_str_radix(line.split_whitespace().nth(1).unwrap(), 16).unwrap()
    };
    // chown dac_override fowner fsetid kill setgid setuid setpcap net_bind_service net_raw sys_chroot mknod audit_write setfcap
    let default = [0, 1, 3, 4, 5, 6, 7, 8, 10, 13, 18, 27, 29, 31].iter().fold(0, |set, bit| set | 1_u64 << bit);
    assert_eq!(effective(&[]), default);
    assert_eq!(effective(&["--cap-add", "SYS_TIME", "--cap-drop", "CAP_KILL"]), (default | 1 << 25) & !(1 << 5));
    let unknown = case.run(&["--rm", "--cap-add", "FOO", "busybox", "true"]).fails(125);
    assert!(unknown.contains(r#"unknown capability: "CAP_FOO""#), "{unknown}");
}

fn no_new_privileges(case: &Case) {
    let flag = |options: &[&str]| case.run(&[&["--rm"], options, &["busybox", "grep", "NoNewPrivs", "/proc/self/status"]].concat()).ok();
    assert_eq!(flag(&[]), "NoNewPrivs:\t0");
    assert_eq!(flag(&["--security-opt", "no-new-privileges"]), "NoNewPrivs:\t1");
}

fn seccomp_default(case: &Case) {
    let mode = |options: &[&str]| case.run(&[&["--rm"], options, &["busybox", "grep", "Seccomp:", "/proc/self/status"]].concat()).ok();
    assert_eq!(mode(&[]), "Seccomp:\t2");
    assert_eq!(mode(&["--security-opt", "seccomp=unconfined"]), "Seccomp:\t0");
    // unshare(2) of a user namespace is the classical call that the default profile refuses.
    case.run(&["--rm", "busybox", "unshare", "-U", "true"]).fails(1);
}

fn masked_paths(case: &Case) {
    let script = "[ ! -e /proc/kcore ] || wc -c < /proc/kcore; ls /sys/firmware | wc -l; echo x > /proc/sys/kernel/domainname";
    let out = case.run(&["--rm", "busybox", "sh", "-c", script]);
    assert!(out.stdout.lines().all(|l| l == "0"), "{out:?}");
    assert!(out.stderr.contains("Read-only file system"), "{out:?}");
    case.run(&["--rm", "busybox", "mount", "-t", "tmpfs", "t", "/mnt"]).fails(1);
}

fn ulimit(case: &Case) {
    assert_eq!(case.run(&["--rm", "--ulimit", "nofile=123:124", "busybox", "sh", "-c", "ulimit -Sn; ulimit -Hn"]).ok(), "123\n124");
}

fn init_process(case: &Case) {
    let one = case.run(&["--rm", "--init", "busybox", "sh", "-c", "tr '\\0' ' ' < /proc/1/cmdline; echo $$"]).ok();
    assert!(one.contains("init") && !one.ends_with("\n1"), "{one}");
    case.run(&["--rm", "--init", "busybox", "sh", "-c", "exit 9"]).fails(9);
}

fn shm_size(case: &Case) {
    let size = |options: &[&str]| {
        case.run(&[&["--rm"], options, &["busybox", "sh", "-c", "df -k /dev/shm | tail -1 | awk '{print $2}'"]].concat()).ok()
    };
    assert_eq!(size(&[]), "65536");
    assert_eq!(size(&["--shm-size", "1m"]), "1024");
}

/// Reads a limit from inside, wherever this kernel's version of control groups shows it.
fn limit(case: &Case, options: &[&str], v1: &str, v2: &str) -> String {
    let script = format!("cat /sys/fs/cgroup/{v1} 2>/dev/null || cat /sys/fs/cgroup/{v2}");
    case.run(&[&["--rm"], options, &["busybox", "sh", "-c", &script]].concat()).ok()
}

fn memory_limit(case: &Case) {
    assert_eq!(limit(case, &["-m", "32m"], "memory/memory.limit_in_bytes", "memory.max"), "33554432");
    let name = case.spawn("mem", &["-m", "32m", "--memory-reservation", "16m"], "sleep 100");
    assert_eq!(
        case.inspect(&name, "{{.HostConfig.Memory}} {{.HostConfig.MemorySwap}} {{.HostConfig.MemoryReservation}}"),
        "33554432 67108864 16777216"
    );
}

fn cpu_limit(case: &Case) {
    let quota = limit(case, &["--cpus", "0.5"], "cpu/cpu.cfs_quota_us", "cpu.max");
    assert_eq!(quota.split(' ').next().unwrap(), "50000");
    assert_eq!(limit(case, &["--cpuset-cpus", "0"], "cpuset/cpuset.cpus", "cpuset.cpus.effective"), "0");
    if std::path::Path::new("/sys/fs/cgroup/cpu").exists() {
        assert_eq!(limit(case, &["--cpu-shares", "512"], "cpu/cpu.shares", ""), "512");
    }
    let many = case.run(&["--rm", "--cpus", "1000", "busybox", "true"]).fails(125);
    assert!(many.to_lowercase().contains("range of cpus is from 0.01 to"), "{many}");
}

fn pids_limit(case: &Case) {
    let out = case.run(&["--rm", "--pids-limit", "4", "busybox", "sh", "-c", "for i in 1 2 3 4 5 6; do sleep 2 & done; wait"]);
    assert_ne!(out.code, 0, "{out:?}");
    assert!(out.stderr.contains("fork"), "{out:?}");
}

/// The groups lie below the daemon's `--cgroup-parent` (which lets the harness see one that is left), or the container's own.
fn cgroup_parent(case: &Case) {
    let groups = |options: &[&str]| {
        let id = case.run(&[&["-d"], options, &["busybox", "sleep", "100"]].concat()).ok();
        let pid = case.inspect(&id, "{{.State.Pid}}");
        (fs::read_to_string(format!("/proc/{pid}/cgroup")).unwrap(), id)
    };
    let below = |groups: &str, parent: &str, id: &str| groups.lines().any(|l| l.ends_with(&format!(":{parent}/{id}")));
    let daemon = case.daemon().dir().file_name().unwrap().to_string_lossy().into_owned();
    let (seen, id) = groups(&[]);
    assert!(below(&seen, &format!("/{daemon}"), &id), "{seen}");
    let own = format!("/{daemon}/own");
    let (seen, id) = groups(&["--cgroup-parent", &own]);
    assert!(below(&seen, &own, &id), "{seen}");
}

fn out_of_memory(case: &Case) {
    let name = case.name("oom");
    case.run(&["--name", &name, "-m", "8m", "--memory-swap", "8m", "busybox", "tail", "/dev/zero"]).fails(137);
    let state = || case.inspect(&name, "{{.State.OOMKilled}} {{.State.ExitCode}} {{.State.Status}}");
    // dockerd hears of the kill on a way of its own, which may be slower than the exit, or too slow.
    if case.engine().is_dockerd() {
        return assert!(state().ends_with(" 137 exited"));
    }
    assert_eq!(state(), "true 137 exited");
}

fn sysctl(case: &Case) {
    let out = case.run(&[
        "--rm",
        "--sysctl",
        "net.ipv4.ip_forward=0",
        "--sysctl",
        "kernel.msgmax=9000",
        "busybox",
        "cat",
        "/proc/sys/net/ipv4/ip_forward",
        "/proc/sys/kernel/msgmax",
    ]);
    assert_eq!(out.ok(), "0\n9000");
    // Ports below 1024 are open to all users of a container.
    assert_eq!(case.run(&["--rm", "busybox", "cat", "/proc/sys/net/ipv4/ip_unprivileged_port_start"]).ok(), "0");
}

fn privileged(case: &Case) {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let last: u32 = fs::read_to_string("/proc/sys/kernel/cap_last_cap").unwrap().trim().parse().unwrap();
    let bounding = status.lines().find_map(|l| l.strip_prefix("CapBnd:")).unwrap().trim();
    if case.engine().is_dockerd() && u64::from_str_radix(bounding, 16).unwrap() != (1_u64 << (last + 1)) - 1 {
        return case.skip("dockerd asks for every capability and this host's bounding set lacks one");
    }
    let script = "mkdir -p /m && mount -t tmpfs t /m && grep -c ' /m ' /proc/mounts; grep Seccomp: /proc/self/status; ls /dev | wc -l";
    let out = case.run(&["--rm", "--privileged", "busybox", "sh", "-c", script]).ok();
    assert!(out.starts_with("1\nSeccomp:\t0\n"), "{out}");
    let devices: usize = out.lines().last().unwrap().parse().unwrap();
    assert!(devices > 15, "host devices are shown: {out}");
}

fn device(case: &Case) {
    let read = ["head", "-c", "4", "/dev/mydev"];
    let out = case.run(&[&["--rm", "--device", "/dev/zero:/dev/mydev:r", "busybox"][..], &read].concat());
    assert_eq!((out.code, out.stdout.as_bytes()), (0, [0; 4].as_slice()), "{out:?}");
    // mknod is a default capability, but the device cgroup refuses to open what was not granted (kmsg).
    case.run(&["--rm", "busybox", "sh", "-c", "mknod /tmp/kmsg c 1 11 && head -c 1 /tmp/kmsg"]).fails(1);
    // 127 because the client looks for these words.
    let missing = case.run(&["--rm", "--device", "/dev/no-such", "busybox", "true"]).fails(127);
    assert!(
        missing.contains("error gathering device information while adding custom device \"/dev/no-such\": no such file or directory"),
        "{missing}"
    );
}

fn bind_mount(case: &Case) {
    let host = tempfile::tempdir().unwrap();
    let source = host.path().to_str().unwrap();
    case.run(&["--rm", "-v", &format!("{source}:/b"), "busybox", "sh", "-c", "echo from inside > /b/f"]).ok();
    assert_eq!(fs::read_to_string(host.path().join("f")).unwrap(), "from inside\n");
    let read_only = format!("{source}:/b:ro");
    assert_eq!(case.run(&["--rm", "-v", &read_only, "busybox", "cat", "/b/f"]).ok(), "from inside");
    let refused = case.run(&["--rm", "-v", &read_only, "busybox", "touch", "/b/g"]).fails(1);
    assert!(refused.contains("Read-only file system"), "{refused}");
    // A single file, on top of one of the image.
    let file = format!("{source}/f:/etc/group");
    assert_eq!(case.run(&["--rm", "-v", &file, "busybox", "cat", "/etc/group"]).ok(), "from inside");
    let twice = case.run(&["--rm", "-v", &format!("{source}:/b"), "-v", "/tmp:/b", "busybox", "true"]).fails(125);
    assert!(twice.contains("Duplicate mount point: /b"), "{twice}");
}

fn bind_auto_create(case: &Case) {
    let host = tempfile::tempdir().unwrap();
    let missing = host.path().join("made/by/daemon");
    case.run(&["--rm", "-v", &format!("{}:/b", missing.display()), "busybox", "touch", "/b/x"]).ok();
    let made = missing.metadata().unwrap();
    assert!(made.is_dir() && made.permissions().mode() & 0o777 == 0o755, "{made:?}");
}

/// What a host has in `/dev` is what the container sees, and nothing is made or taken away there.
fn bind_on_dev(case: &Case) {
    let tmp = tempfile::tempdir().unwrap();
    let entries = || {
        let entry =
            |e: std::io::Result<fs::DirEntry>| e.map(|e| (e.file_name().into_string().unwrap(), e.metadata().unwrap().mode())).unwrap();
        let mut entries: Vec<_> = fs::read_dir(tmp.path()).unwrap().map(entry).collect();
        entries.sort();
        entries
    };
    for (name, major, minor) in [("console", 5, 1), ("null", 1, 3), ("ptmx", 5, 2)] {
        mknod(&tmp.path().join(name), SFlag::S_IFCHR, Mode::from_bits_truncate(0o600), makedev(major, minor)).unwrap();
    }
    fs::create_dir(tmp.path().join("pts")).unwrap();
    fs::create_dir(tmp.path().join("sub")).unwrap();
    let before = entries();
    let bind = format!("{}:/dev", tmp.path().display());
    let seen =
        case.run(&["--rm", "-v", &bind, "--tmpfs", "/dev/sub", "busybox", "sh", "-c", "touch /dev/sub/file; echo x >/dev/null; ls /dev"]);
    assert_eq!(seen.ok(), "console\nnull\nptmx\npts\nsub");
    assert_eq!(fs::read_dir(tmp.path().join("sub")).unwrap().count(), 0);
    // From API 1.44 on, read-only means everything below as well.
    for version in ["1.41", ""] {
        let mut command = case.run_command(&["--rm", "-v", &format!("{bind}:ro"), "busybox", "touch", "/dev/file"]);
        let refused = command.env("DOCKER_API_VERSION", version).output().unwrap();
        assert_eq!(refused.status.code(), Some(1), "{refused:?}");
        assert!(String::from_utf8_lossy(&refused.stderr).contains("Read-only file system"), "{refused:?}");
    }
    let terminals = ["--rm", "-t", "-v", &bind, "-v", "/dev/pts:/dev/pts", "busybox", "tty"];
    let mut terminal = wharf_tests::Pty::spawn(case.run_command(&terminals));
    assert_eq!(terminal.wait(), 0, "{}", terminal.seen());
    terminal.expect("/dev/");
    assert_eq!(entries(), before);
    case.run(&["--rm", "-v", &bind, "busybox", "touch", "/dev/file"]).ok();
    assert!(tmp.path().join("file").exists());
}

fn mount_option(case: &Case) {
    let host = tempfile::tempdir().unwrap();
    let source = host.path().to_str().unwrap();
    fs::write(host.path().join("f"), "x").unwrap();
    let mount = format!("type=bind,src={source},dst=/b,readonly");
    assert_eq!(case.run(&["--rm", "--mount", &mount, "busybox", "cat", "/b/f"]).ok(), "x");
    case.run(&["--rm", "--mount", &mount, "busybox", "touch", "/b/g"]).fails(1);
    let missing = format!("type=bind,src={source}/missing,dst=/b");
    let refused = case.run(&["--rm", "--mount", &missing, "busybox", "true"]).fails(125);
    assert!(
        refused.contains(&format!("invalid mount config for type \"bind\": bind source path does not exist: {source}/missing")),
        "{refused}"
    );
    assert!(!host.path().join("missing").exists());
}

fn entrypoint(case: &Case) {
    assert_eq!(case.run(&["--rm", "hello"]).ok(), "hello world");
    assert_eq!(case.run(&["--rm", "hello", "you"]).ok(), "hello you");
    // An entrypoint of one's own forgets the image's command.
    assert_eq!(case.run(&["--rm", "--entrypoint", "/bin/echo", "hello"]).ok(), "");
    assert_eq!(case.run(&["--rm", "--entrypoint", "/bin/echo", "hello", "x"]).ok(), "x");
}

fn image_defaults(case: &Case) {
    let name = case.name("d");
    case.run(&["-d", "--name", &name, "-l", "com.example.mine=1", "defaults"]).ok();
    poll::until("three lines", || (case.docker(&["logs", &name]).ok().lines().count() == 3).then_some(()));
    assert_eq!(case.docker(&["logs", &name]).ok(), "from the image\n/srv/made\n1000");
    let format = "{{.Config.User}} {{.Config.WorkingDir}} {{.Config.StopSignal}} {{index .Config.Labels \"com.example.kind\"}} {{index .Config.Labels \"com.example.mine\"}}";
    assert_eq!(case.inspect(&name, format), "user /srv/made SIGUSR1 defaults 1");
    case.docker(&["stop", &name]).ok();
    assert_eq!(case.inspect(&name, "{{.State.ExitCode}}"), "3");
    assert!(case.docker(&["logs", &name]).ok().ends_with("usr1"));
}

fn auto_remove(case: &Case) {
    let name = case.name("gone");
    case.run(&["--rm", "--name", &name, "busybox", "true"]).ok();
    // The client waited for the removal, so it is over now.
    let gone = case.docker(&["inspect", &name]).fails(1);
    assert!(gone.to_lowercase().contains("no such object"), "{gone}");
    case.run(&["-d", "--rm", "--name", &name, "busybox", "sleep", "100"]).ok();
    case.docker(&["stop", "-t", "0", &name]).ok();
    poll::until("the stopped container removes itself", || (case.docker(&["inspect", &name]).code == 1).then_some(()));
    let both = case.run(&["-d", "--rm", "--restart", "always", "busybox", "true"]).fails(125);
    assert!(both.contains("--restart and --rm") || both.contains("can't create 'AutoRemove' container with restart policy"), "{both}");
}

fn cidfile(case: &Case) {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("cid");
    let id = case.run(&["-d", "--cidfile", file.to_str().unwrap(), "busybox", "true"]).ok();
    assert_eq!(fs::read_to_string(file).unwrap(), id);
}

fn detached(case: &Case) {
    let id = case.run(&["-d", "busybox", "sleep", "100"]).ok();
    assert!(id.len() == 64 && id.bytes().all(|b| b.is_ascii_hexdigit()), "{id}");
    assert_eq!(case.inspect(&id, "{{.State.Status}} {{.State.Running}} {{.Config.Image}}"), "running true busybox");
    let pid = case.inspect(&id, "{{.State.Pid}}");
    assert_eq!(fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap(), "sleep\x00100\x00");
}

fn name_conflict(case: &Case) {
    let name = case.name("taken");
    let id = case.run(&["-d", "--name", &name, "busybox", "true"]).ok();
    let conflict = case.run(&["-d", "--name", &name, "busybox", "true"]).fails(125);
    let text = format!(
        "Conflict. The container name \"/{name}\" is already in use by container \"{id}\". You have to remove (or rename) that container to be able to reuse that name."
    );
    assert!(conflict.contains(&text), "{conflict}");
    let short = case.run(&["--name", "x", "busybox", "true"]).fails(125);
    assert!(short.contains("Invalid container name (x), only [a-zA-Z0-9][a-zA-Z0-9_.-] are allowed"), "{short}");
    // A name is free again once its container is gone.
    case.docker(&["rm", "-f", &name]).ok();
    case.run(&["--rm", "--name", &name, "busybox", "true"]).ok();
}

fn missing_image(case: &Case) {
    let missing = case.run(&["--pull", "never", "no-such-image:1", "true"]).fails(125);
    assert!(missing.contains("No such image: no-such-image:1"), "{missing}");
}

fn restart_on_failure(case: &Case) {
    let name = case.spawn("r", &["--restart", "on-failure:2"], "echo run; exit 4");
    poll::until("two restarts and the end", || (case.inspect(&name, "{{.RestartCount}} {{.State.Status}}") == "2 exited").then_some(()));
    assert_eq!(case.docker(&["logs", &name]).ok(), "run\nrun\nrun");
    assert_eq!(case.inspect(&name, "{{.State.ExitCode}}"), "4");
    let fine = case.spawn("fine", &["--restart", "on-failure:2"], "exit 0");
    case.docker(&["wait", &fine]).ok();
    assert_eq!(case.inspect(&fine, "{{.RestartCount}}"), "0");
}

fn stop_signal(case: &Case) {
    let name = case.spawn("s", &["--stop-signal", "SIGUSR2"], "trap 'exit 12' USR2; echo ready; while :; do sleep 0.1; done");
    poll::until("the trap is set", || (case.docker(&["logs", &name]).ok() == "ready").then_some(()));
    case.docker(&["stop", "-t", "20", &name]).ok();
    assert_eq!(case.inspect(&name, "{{.State.ExitCode}}"), "12");
}

fn log_driver_none(case: &Case) {
    let name = case.name("quiet");
    assert_eq!(case.run(&["--name", &name, "--log-driver", "none", "busybox", "echo", "shown"]).ok(), "shown");
    let logs = case.docker(&["logs", &name]).fails(1);
    assert!(logs.contains("configured logging driver does not support reading"), "{logs}");
}

fn signal_proxy(case: &Case) {
    let name = case.name("proxy");
    let script = "trap 'echo got usr1; exit 6' USR1; echo ready; while :; do sleep 0.1; done";
    let mut client =
        case.run_command(&["--name", &name, "busybox", "sh", "-c", script]).stdout(std::process::Stdio::null()).spawn().unwrap();
    poll::until("ready", || case.docker(&["logs", &name]).stdout.contains("ready").then_some(()));
    let pid = nix::unistd::Pid::from_raw(i32::try_from(client.id()).unwrap());
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGUSR1).unwrap();
    let status = poll::until("the client ends", || client.try_wait().unwrap());
    assert_eq!(status.code(), Some(6));
}

/// What is not there yet says so by name; it is never taken and ignored.
fn refused_for_now(case: &Case) {
    if case.engine().is_dockerd() {
        return case.skip("dockerd has them");
    }
    for (options, noun) in [(["-p", "18080:80"], "port"), (["-v", "data:/d"], "volume"), (["--network", "mine"], "network")] {
        let refused = case.run(&["--rm", options[0], options[1], "busybox", "true"]).fails(125);
        assert!(refused.contains(noun), "{options:?}: {refused}");
    }
}
