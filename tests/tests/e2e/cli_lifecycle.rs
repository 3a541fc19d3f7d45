//! Everything that the docker CLI does to a container after `run`.

use std::process::Stdio;
use std::time::{Duration, Instant};

use wharf_tests::{Case, poll, suite};

suite![
    ps_columns,
    ps_filters,
    ps_order_and_limit,
    logs_streams,
    logs_tail_since_timestamps,
    logs_follow,
    logs_partial_line,
    exec,
    exec_options,
    exec_stdin,
    exec_terminal,
    exec_failures,
    exec_detached,
    attach,
    attach_detach_keys,
    start_attached,
    stop_start_restart,
    stop_timeout,
    kill,
    wait,
    rename,
    remove,
    prune,
    top,
    inspect,
    events_of_a_life,
    events_filters,
    unique_prefix,
    info_and_version,
    many_at_once,
];

const FOREVER: &str = "trap 'exit 143' TERM; while :; do sleep 0.05; done";

fn ps_columns(case: &Case) {
    let name = case.spawn("up", &["-l", "k=v"], "sleep 100");
    let filter = format!("name={name}");
    let row = |format: &str| case.docker(&["ps", "-a", "--no-trunc", "--filter", &filter, "--format", format]).ok();
    assert_eq!(
        row("{{.Names}}|{{.Image}}|{{.Command}}|{{.State}}|{{.Ports}}|{{.Networks}}|{{.Label \"k\"}}"),
        format!("{name}|busybox|\"sh -c 'sleep 100'\"|running||bridge|v")
    );
    assert!(row("{{.Status}}").starts_with("Up "), "{}", row("{{.Status}}"));
    case.docker(&["kill", &name]).ok();
    poll::until("the kill", || row("{{.Status}}").starts_with("Exited (137) ").then_some(()));
    assert_eq!(case.docker(&["ps", "-q", "--filter", &filter]).ok(), "");
    let created = case.name("new");
    case.docker(&["create", "-l", &case.label(), "--name", &created, "busybox"]).ok();
    assert_eq!(
        case.docker(&["ps", "-a", "--filter", &format!("name={created}"), "--format", "{{.Status}} {{.State}}"]).ok(),
        "Created created"
    );
    let size = case.docker(&["ps", "-a", "-s", "--filter", &filter, "--format", "{{.Size}}"]).ok();
    assert!(size.contains("(virtual "), "{size}");
}

fn ps_filters(case: &Case) {
    let up = case.spawn("up", &["-l", "colour=red"], "sleep 100");
    let down = case.spawn("down", &["-l", "colour=blue"], "exit 3");
    case.docker(&["wait", &down]).ok();
    let mine = format!("label={}", case.label());
    let ps = |filters: &[&str]| {
        let mut args = vec!["ps", "-a", "--format", "{{.Names}}", "--filter", &mine];
        filters.iter().for_each(|f| args.extend(["--filter", f]));
        case.docker(&args).ok().replace(&format!("{}-", "ps_filters"), "")
    };
    assert_eq!(ps(&[]), "down\nup");
    assert_eq!(ps(&["status=running"]), "up");
    assert_eq!(ps(&["status=exited"]), "down");
    assert_eq!(ps(&["status=running", "status=exited"]), "down\nup");
    assert_eq!(ps(&["exited=3"]), "down");
    assert_eq!(ps(&["exited=0"]), "");
    assert_eq!(ps(&["label=colour"]), "down\nup");
    assert_eq!(ps(&["label=colour=red"]), "up");
    assert_eq!(ps(&["label=colour=red", "label=colour=blue"]), "");
    assert_eq!(ps(&["name=ps_filters-u"]), "up");
    assert_eq!(ps(&["name=^/ps_filters-down$"]), "down");
    assert_eq!(ps(&["ancestor=busybox"]), "down\nup");
    assert_eq!(ps(&["ancestor=hello"]), "");
    assert_eq!(ps(&["network=bridge"]), "down\nup");
    assert_eq!(ps(&[&format!("since={up}")]), "down");
    assert_eq!(ps(&[&format!("before={down}")]), "up");
    let id = case.inspect(&up, "{{.Id}}");
    assert_eq!(ps(&[&format!("id={}", &id[..12])]), "up");
    let bad = case.docker(&["ps", "--filter", "status=sleeping"]).fails(1);
    assert!(bad.to_lowercase().contains("invalid filter 'status=sleeping'"), "{bad}");
    let bad = case.docker(&["ps", "--filter", "no-such=1"]).fails(1);
    assert!(bad.to_lowercase().contains("invalid filter 'no-such'"), "{bad}");
}

fn ps_order_and_limit(case: &Case) {
    let names: Vec<String> = ["a", "b", "c"].iter().map(|n| case.spawn(n, &[], "exit 0")).collect();
    let mine = format!("label={}", case.label());
    let newest_first = case.docker(&["ps", "-a", "--filter", &mine, "--format", "{{.Names}}"]).ok();
    assert_eq!(newest_first, format!("{}\n{}\n{}", names[2], names[1], names[0]));
    assert_eq!(case.docker(&["ps", "-n", "2", "--filter", &mine, "--format", "{{.Names}}"]).ok().lines().count(), 2);
}

fn logs_streams(case: &Case) {
    let name = case.spawn("l", &[], "echo out; echo err >&2; sleep 100");
    poll::until("both lines", || {
        let logs = case.docker(&["logs", &name]);
        (logs.stdout == "out\n" && logs.stderr == "err\n").then_some(())
    });
    let tty = case.name("tty");
    case.run(&["-d", "-t", "--name", &tty, "busybox", "sh", "-c", "echo out; echo err >&2"]).ok();
    case.docker(&["wait", &tty]).ok();
    assert_eq!(case.docker(&["logs", &tty]).stdout, "out\r\nerr\r\n");
    let missing = case.docker(&["logs", "no-such-container"]).fails(1);
    assert!(missing.contains("No such container: no-such-container"), "{missing}");
}

fn logs_tail_since_timestamps(case: &Case) {
    let name = case.spawn("l", &[], "echo first; sleep 1.2; echo second; echo third");
    case.docker(&["wait", &name]).ok();
    let logs = |options: &[&str]| case.docker(&[&["logs"], options, &[&name]].concat()).ok();
    assert_eq!(logs(&["--tail", "1"]), "third");
    assert_eq!(logs(&["--tail", "2"]), "second\nthird");
    assert_eq!(logs(&["--tail", "0"]), "");
    assert_eq!(logs(&["-n", "all"]), "first\nsecond\nthird");
    let stamped = logs(&["-t"]);
    let stamps: Vec<&str> = stamped.lines().map(|l| l.split(' ').next().unwrap()).collect();
    for stamp in &stamps {
        // RFC 3339 with exactly nine digits.
        assert!(stamp.len() == 30 && stamp.ends_with('Z') && stamp.as_bytes()[19] == b'.', "{stamped}");
    }
    assert!(stamps[0] < stamps[1] && stamps[1] <= stamps[2], "{stamped}");
    assert_eq!(logs(&["--since", stamps[1]]), "second\nthird");
    let before_second = format!("{}Z", &stamps[0][..19].to_owned());
    assert_eq!(logs(&["--until", &before_second]), "");
    assert_eq!(logs(&["--until", stamps[0]]), "first");
    assert_eq!(logs(&["--since", "1h"]), "first\nsecond\nthird");
}

fn logs_follow(case: &Case) {
    let name = case.spawn("f", &[], "for i in 1 2 3 4; do echo $i; sleep 0.2; done");
    assert_eq!(case.docker(&["logs", "-f", &name]).ok(), "1\n2\n3\n4");
    // Following a stopped container shows what there is and ends.
    assert_eq!(case.docker(&["logs", "-f", "--tail", "1", &name]).ok(), "4");
}

fn logs_partial_line(case: &Case) {
    // One line longer than a record of the log, and an end without a newline.
    let name = case.spawn("p", &[], "head -c 50000 /dev/zero | tr '\\0' x; echo; printf unfinished");
    case.docker(&["wait", &name]).ok();
    assert_eq!(case.docker(&["logs", &name]).stdout, format!("{}\nunfinished", "x".repeat(50_000)));
}

fn exec(case: &Case) {
    let name = case.spawn("e", &[], "sleep 100");
    assert_eq!(case.docker(&["exec", &name, "echo", "in"]).ok(), "in");
    case.docker(&["exec", &name, "sh", "-c", "exit 3"]).fails(3);
    case.docker(&["exec", &name, "sh", "-c", "kill -9 $$"]).fails(137);
    let both = case.docker(&["exec", &name, "sh", "-c", "echo out; echo err >&2"]);
    assert_eq!((both.stdout.as_str(), both.stderr.as_str()), ("out\n", "err\n"));
    // It is inside: the same processes, files and host name.
    assert!(case.docker(&["exec", &name, "ps"]).ok().contains("sleep 100"));
    assert_eq!(case.docker(&["exec", &name, "hostname"]).ok(), case.inspect(&name, "{{.Config.Hostname}}"));
    let big = case.docker(&["exec", &name, "seq", "1", "50000"]).stdout;
    assert_eq!(big.lines().count(), 50_000);
}

fn exec_options(case: &Case) {
    let name = case.spawn("o", &["-e", "OUTER=1", "-w", "/tmp"], "sleep 100");
    let out = case.docker(&["exec", "-e", "Q=1", "-u", "nobody", &name, "sh", "-c", "echo $Q $OUTER; id -un; pwd"]).ok();
    assert_eq!(out, "1 1\nnobody\n/tmp");
    assert_eq!(case.docker(&["exec", "-w", "/etc", &name, "pwd"]).ok(), "/etc");
    let capabilities = |args: &[&str]| case.docker(&[&["exec"], args, &[&name, "grep", "CapEff", "/proc/self/status"]].concat()).ok();
    assert_eq!(capabilities(&[]), case.docker(&["exec", &name, "grep", "CapEff", "/proc/1/status"]).ok());
    assert_eq!(capabilities(&["-u", "nobody"]), "CapEff:\t0000000000000000");
    let env_file = tempfile::NamedTempFile::new().unwrap();
    std::fs::write(env_file.path(), "FROM_FILE=yes\n").unwrap();
    assert_eq!(case.docker(&["exec", "--env-file", env_file.path().to_str().unwrap(), &name, "sh", "-c", "echo $FROM_FILE"]).ok(), "yes");
}

fn exec_stdin(case: &Case) {
    let name = case.spawn("i", &[], "sleep 100");
    assert_eq!(case.docker_stdin(&["exec", "-i", &name, "cat"], "abc").ok(), "abc");
    assert_eq!(case.docker_stdin(&["exec", "-i", &name, "wc", "-c"], &"x".repeat(300_000)).ok(), "300000");
    // Without -i the program reads nothing.
    assert_eq!(case.docker_stdin(&["exec", &name, "cat"], "abc").ok(), "");
}

fn exec_terminal(case: &Case) {
    let name = case.spawn("t", &[], "sleep 100");
    let mut pty = case.pty(&["exec", "-it", &name, "sh"]);
    pty.send("tty; until stty size | grep -x '24 80'; do sleep 0.1; done\n");
    pty.expect("/dev/pts/");
    pty.expect("\n24 80");
    pty.send("exit 4\n");
    assert_eq!(pty.wait(), 4);
    // Detaching leaves the program alone.
    let mut pty = case.pty(&["exec", "-it", &name, "sh", "-c", "echo started; sleep 1000"]);
    pty.expect("started");
    pty.send("\u{10}\u{11}");
    pty.wait();
    assert!(case.docker(&["exec", &name, "ps"]).ok().contains("sleep 1000"));
}

fn exec_failures(case: &Case) {
    let name = case.spawn("x", &[], "sleep 100");
    let missing = case.docker(&["exec", &name, "no-such-program"]);
    // 20.10 gives 126 to every exec that cannot start.
    assert_eq!(missing.code, if case.engine().is_dockerd() { 126 } else { 127 }, "{missing:?}");
    assert!(format!("{missing:?}").contains("executable file not found in $PATH"), "{missing:?}");
    assert_eq!(case.docker(&["exec", &name, "/etc/noexec"]).code, 126);
    let missing = case.docker(&["exec", "no-such-container", "true"]).fails(1);
    assert!(missing.contains("No such container: no-such-container"), "{missing}");
    let id = case.inspect(&name, "{{.Id}}");
    case.docker(&["kill", &name]).ok();
    poll::until("it stops", || (case.inspect(&name, "{{.State.Running}}") == "false").then_some(()));
    let stopped = case.docker(&["exec", &name, "true"]).fails(1);
    assert!(stopped.to_lowercase().contains(&format!("container {id} is not running")), "{stopped}");
}

fn exec_detached(case: &Case) {
    let name = case.spawn("d", &[], "sleep 100");
    assert_eq!(case.docker(&["exec", "-d", &name, "sh", "-c", "echo x > /tmp/done"]).ok(), "");
    poll::until("the file", || (case.docker(&["exec", &name, "cat", "/tmp/done"]).stdout == "x\n").then_some(()));
}

fn attach(case: &Case) {
    let name = case.name("a");
    case.run(&["-d", "-i", "--name", &name, "busybox", "sh", "-c", "while read line; do echo \"got $line\"; done; exit 5"]).ok();
    // One client: the end of its input does not end the container's (no --rm, no StdinOnce).
    let mut first = case.daemon().docker_command(&["attach", &name]);
    let mut client = first.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
    std::io::Write::write_all(client.stdin.as_mut().unwrap(), b"one\n").unwrap();
    let mut line = String::new();
    std::io::BufRead::read_line(&mut std::io::BufReader::new(client.stdout.as_mut().unwrap()), &mut line).unwrap();
    assert_eq!(line, "got one\n");
    client.kill().unwrap();
    client.wait().unwrap();
    assert_eq!(case.inspect(&name, "{{.State.Running}}"), "true");
    case.docker(&["kill", &name]).ok();
    let ticking = case.spawn("ticking", &[], "while :; do echo tick; sleep 0.1; done");
    let mut second = case.daemon().docker_command(&["attach", "--no-stdin", &ticking]);
    let mut watcher = second.stdin(Stdio::null()).stdout(Stdio::piped()).spawn().unwrap();
    let mut ticks = std::io::BufReader::new(watcher.stdout.take().unwrap());
    std::io::BufRead::read_line(&mut ticks, &mut line).unwrap();
    assert!(line.ends_with("tick\n"), "{line}");
    case.docker(&["kill", &ticking]).ok();
    std::io::copy(&mut ticks, &mut std::io::sink()).unwrap();
    assert_eq!(poll::until("the watcher ends", || watcher.try_wait().unwrap()).code(), Some(137));
    let stopped = case.docker(&["attach", &name]).fails(1);
    assert!(stopped.contains("cannot attach to a stopped container, start it first"), "{stopped}");
}

fn attach_detach_keys(case: &Case) {
    let name = case.name("k");
    case.run(&["-dit", "--name", &name, "busybox", "sh"]).ok();
    let mut pty = case.pty(&["attach", &name]);
    pty.send("echo he''re\n");
    pty.expect("here");
    pty.send("\u{10}\u{11}");
    pty.wait();
    assert_eq!(case.inspect(&name, "{{.State.Running}}"), "true");
    let mut pty = case.pty(&["attach", "--detach-keys", "a,b", &name]);
    pty.send("echo a''gain\n");
    pty.expect("again");
    pty.send("ab");
    pty.wait();
    assert_eq!(case.inspect(&name, "{{.State.Running}}"), "true");
    let bad = case.docker(&["attach", "--detach-keys", "no-key", "--no-stdin", &name]);
    assert_ne!(bad.code, 0, "{bad:?}");
}

fn start_attached(case: &Case) {
    let name = case.name("s");
    case.docker(&["create", "-l", &case.label(), "-i", "--name", &name, "busybox", "sh", "-c", "cat; exit 8"]).ok();
    let out = case.docker_stdin(&["start", "-ai", &name], "through start\n");
    assert_eq!((out.code, out.stdout.as_str()), (8, "through start\n"), "{out:?}");
    let again = case.docker_stdin(&["start", "-ai", &name], "again\n");
    assert_eq!((again.code, again.stdout.as_str()), (8, "again\n"), "{again:?}");
    assert_eq!(case.docker(&["logs", &name]).ok(), "through start\nagain");
}

fn stop_start_restart(case: &Case) {
    let name = case.spawn("s", &[], FOREVER);
    let first = case.inspect(&name, "{{.State.Pid}}");
    assert_eq!(case.docker(&["stop", &name]).ok(), name);
    assert_eq!(case.inspect(&name, "{{.State.ExitCode}} {{.State.Status}} {{.State.Pid}}"), "143 exited 0");
    // Again is fine.
    case.docker(&["stop", &name]).ok();
    assert_eq!(case.docker(&["start", &name]).ok(), name);
    case.docker(&["start", &name]).ok();
    assert_ne!(case.inspect(&name, "{{.State.Pid}}"), first);
    let second = case.inspect(&name, "{{.State.Pid}}");
    case.docker(&["restart", "-t", "5", &name]).ok();
    assert_eq!(case.inspect(&name, "{{.State.Status}}"), "running");
    assert_ne!(case.inspect(&name, "{{.State.Pid}}"), second);
    // Files survive a stop.
    case.docker(&["exec", &name, "sh", "-c", "echo kept > /root/f"]).ok();
    case.docker(&["restart", "-t", "0", &name]).ok();
    assert_eq!(case.docker(&["exec", &name, "cat", "/root/f"]).ok(), "kept");
}

fn stop_timeout(case: &Case) {
    let name = case.spawn("deaf", &[], "trap '' TERM; sleep 100 & wait; while :; do sleep 0.1; done");
    let begin = Instant::now();
    case.docker(&["stop", "-t", "1", &name]).ok();
    let took = begin.elapsed();
    assert!(took >= Duration::from_millis(900) && took < Duration::from_secs(9), "{took:?}");
    assert_eq!(case.inspect(&name, "{{.State.ExitCode}}"), "137");
}

fn kill(case: &Case) {
    let name = case.spawn("k", &[], "trap 'echo hup' HUP; echo ready; while :; do sleep 0.05; done");
    let logs = |text: &str| poll::until(text, || case.docker(&["logs", &name]).stdout.ends_with(text).then_some(()));
    logs("ready\n");
    case.docker(&["kill", "-s", "HUP", &name]).ok();
    logs("hup\n");
    assert_eq!(case.docker(&["kill", &name]).ok(), name);
    assert_eq!(case.docker(&["wait", &name]).ok(), "137");
    let id = case.inspect(&name, "{{.Id}}");
    let stopped = case.docker(&["kill", &name]).fails(1).to_lowercase();
    // dockerd 20.10 says the name or ID as typed first, then the ID.
    assert!(stopped.contains("cannot kill container: ") && stopped.contains(&format!("container {id} is not running")), "{stopped}");
    let bad = case.docker(&["kill", "-s", "NOSUCH", &name]).fails(1).to_lowercase();
    assert!(bad.contains("invalid signal: nosuch"), "{bad}");
}

fn wait(case: &Case) {
    let name = case.spawn("w", &[], "sleep 0.3; exit 6");
    assert_eq!(case.docker(&["wait", &name]).ok(), "6");
    assert_eq!(case.docker(&["wait", &name]).ok(), "6");
    let missing = case.docker(&["wait", "no-such-container"]).fails(1);
    assert!(missing.contains("No such container: no-such-container"), "{missing}");
}

fn rename(case: &Case) {
    let (old, new) = (case.spawn("old", &[], "sleep 100"), case.name("new"));
    case.docker(&["rename", &old, &new]).ok();
    assert_eq!(case.inspect(&new, "{{.Name}} {{.State.Running}}"), format!("/{new} true"));
    case.docker(&["inspect", &old]).fails(1);
    let other = case.spawn("other", &[], "sleep 100");
    let taken = case.docker(&["rename", &other, &new]).fails(1);
    assert!(taken.contains(&format!("Conflict. The container name \"/{new}\" is already in use by container")), "{taken}");
    let same = case.docker(&["rename", &new, &new]).fails(1);
    assert!(same.contains("Renaming a container with the same name as its current name"), "{same}");
}

fn remove(case: &Case) {
    let name = case.spawn("r", &[], "sleep 100");
    let refused = case.docker(&["rm", &name]).fails(1).to_lowercase();
    // Newer daemons name the container in quotes, 20.10 its ID; both say what to do.
    assert!(
        refused.contains("cannot remove") && refused.contains("container") && refused.contains("before") && refused.contains("remov"),
        "{refused}"
    );
    assert_eq!(case.inspect(&name, "{{.State.Running}}"), "true");
    assert_eq!(case.docker(&["rm", "-f", &name]).ok(), name);
    let missing = case.docker(&["rm", &name]).fails(1);
    assert!(missing.contains(&format!("No such container: {name}")), "{missing}");
}

fn prune(case: &Case) {
    let (up, down) = (case.spawn("up", &[], "sleep 100"), case.spawn("down", &[], "exit 0"));
    case.docker(&["wait", &down]).ok();
    let id = case.inspect(&down, "{{.Id}}");
    let none = case.docker(&["container", "prune", "-f", "--filter", "label=no-such-label"]).ok();
    assert!(!none.contains("Deleted Containers"), "{none}");
    let out = case.docker(&["container", "prune", "-f", "--filter", &format!("label={}", case.label())]).ok();
    assert!(out.contains(&format!("Deleted Containers:\n{id}\n")) && out.contains("Total reclaimed space:"), "{out}");
    case.docker(&["inspect", &down]).fails(1);
    case.docker(&["inspect", &up]).ok();
}

fn top(case: &Case) {
    let name = case.spawn("t", &[], "sleep 100 & sleep 200");
    poll::until("both sleeps", || (case.docker(&["top", &name]).ok().matches("sleep ").count() >= 2).then_some(()));
    let out = case.docker(&["top", &name]).ok();
    assert!(out.starts_with("UID") && out.contains("CMD"), "{out}");
    let columns = case.docker(&["top", &name, "-o", "pid,comm"]).ok();
    assert!(
        columns.split_whitespace().eq(columns.split_whitespace()) && columns.starts_with("PID") && columns.contains("sleep"),
        "{columns}"
    );
    case.docker(&["kill", &name]).ok();
    case.docker(&["wait", &name]).ok();
    let stopped = case.docker(&["top", &name]).fails(1);
    assert!(stopped.to_lowercase().contains("is not running"), "{stopped}");
}

fn inspect(case: &Case) {
    let name = case.spawn("i", &["-e", "A=b", "-l", "x=y", "-w", "/tmp"], "sleep 0.3; exit 2");
    case.docker(&["wait", &name]).ok();
    let format = "{{.Path}} {{json .Args}} {{.State.ExitCode}} {{.Config.WorkingDir}} {{index .Config.Labels \"x\"}} {{.HostConfig.NetworkMode}} {{.RestartCount}} {{.Driver}}";
    let line = case.inspect(&name, format);
    assert!(line.starts_with(r#"sh ["-c","sleep 0.3; exit 2"] 2 /tmp y "#) && line.contains(" 0 overlay2"), "{line}");
    let times = case.inspect(&name, "{{.Created}} {{.State.StartedAt}} {{.State.FinishedAt}}");
    let times: Vec<&str> = times.split(' ').collect();
    assert!(times[0] < times[1] && times[1] < times[2] && times.iter().all(|t| t.ends_with('Z') && t.starts_with("20")), "{times:?}");
    let size = case.docker(&["inspect", "-s", "-f", "{{.SizeRootFs}}", &name]).ok();
    assert!(size.parse::<u64>().unwrap() > 1_000_000, "{size}");
    let missing = case.docker(&["inspect", "no-such-thing"]);
    assert_eq!((missing.code, missing.stdout.as_str()), (1, "[]\n"), "{missing:?}");
}

/// `docker events` between two instants, one line per event.
fn events(case: &Case, since: &str, filters: &[&str], format: &str) -> String {
    let until = now();
    let mut args = vec!["events", "--since", since, "--until", &until, "--format", format];
    filters.iter().for_each(|f| args.extend(["--filter", f]));
    case.docker(&args).ok()
}

fn now() -> String {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    format!("{}.{:09}", now.as_secs(), now.subsec_nanos())
}

fn events_of_a_life(case: &Case) {
    let (since, name) = (now(), case.name("life"));
    case.run(&["--rm", "--name", &name, "busybox", "sh", "-c", "exit 3"]).fails(3);
    let filter = format!("container={name}");
    let seen = poll::until("destroy", || {
        let seen = events(case, &since, &[&filter, "type=container"], "{{.Action}}");
        seen.ends_with("destroy").then_some(seen)
    });
    assert_eq!(seen.lines().collect::<Vec<_>>(), ["create", "attach", "start", "die", "destroy"]);
    let die = events(
        case,
        &since,
        &[&filter, "event=die"],
        "{{.Actor.Attributes.exitCode}} {{.Actor.Attributes.name}} {{.Actor.Attributes.image}} {{index .Actor.Attributes \"wharf.test\"}}",
    );
    assert_eq!(die, format!("3 {name} busybox events_of_a_life"));
    // A stop tells its signal first.
    let since = now();
    let stopped = case.spawn("stopped", &[], FOREVER);
    case.docker(&["exec", &stopped, "true"]).ok();
    case.docker(&["stop", &stopped]).ok();
    case.docker(&["rename", &stopped, &case.name("renamed")]).ok();
    let id = case.inspect(&case.name("renamed"), "{{.Id}}");
    let seen =
        events(case, &since, &[&format!("container={id}"), "type=container"], "{{.Action}}{{with .Actor.Attributes.signal}} {{.}}{{end}}");
    let seen: Vec<&str> = seen.lines().map(str::trim_end).collect();
    assert_eq!(seen, ["create", "start", "exec_create: true", "exec_start: true", "exec_die", "kill 15", "die", "stop", "rename"]);
}

fn events_filters(case: &Case) {
    let since = now();
    let name = case.spawn("f", &[], "exit 0");
    case.docker(&["wait", &name]).ok();
    let mine = format!("label={}", case.label());
    let count = |filters: &[&str]| events(case, &since, filters, "{{.Action}}").lines().count();
    poll::until("die", || (count(&[&mine, "event=die"]) == 1).then_some(()));
    assert_eq!(count(&[&mine, "event=create", "event=start"]), 2);
    assert_eq!(count(&[&mine, "image=busybox", "event=start"]), 1);
    assert_eq!(count(&[&mine, "image=hello"]), 0);
    assert_eq!(count(&[&mine, "type=image"]), 0);
    assert_eq!(count(&[&mine, &format!("container={name}"), "event=start"]), 1);
    // Someone who listens already gets them as they come.
    let mut listener =
        case.daemon().docker_command(&["events", "--filter", &mine, "--filter", "event=start", "--format", "{{.Actor.Attributes.name}}"]);
    let mut client = listener.stdout(Stdio::piped()).spawn().unwrap();
    let mut lines = std::io::BufReader::new(client.stdout.take().unwrap());
    let (tell, told) = std::sync::mpsc::channel();
    std::thread::spawn(move || {
        let mut line = String::new();
        std::io::BufRead::read_line(&mut lines, &mut line).ok();
        tell.send(line).ok();
    });
    // The listener may subscribe at any time after its start, so give it something to see until it sees.
    let line = poll::until("a live event", || {
        case.docker(&["start", &name]).ok();
        told.recv_timeout(Duration::from_millis(200)).ok()
    });
    client.kill().unwrap();
    client.wait().unwrap();
    assert_eq!(line.trim_end(), name);
}

fn unique_prefix(case: &Case) {
    let id = case.run(&["-d", "busybox", "sleep", "100"]).ok();
    assert_eq!(case.inspect(&id[..12], "{{.Id}}"), id);
    assert_eq!(case.docker(&["stop", "-t", "0", &id[..10]]).ok(), id[..10]);
    let ids: Vec<String> = (0..17).map(|_| case.create(serde_json::json!({}))).collect();
    let twins = ids.iter().find(|a| ids.iter().filter(|b| a[..1] == b[..1]).count() > 1).unwrap();
    // 20.10 knows the case but has no status for it.
    let status = if case.engine().is_dockerd() { 500 } else { 400 };
    let ambiguous = case.http().get(&format!("/containers/{}/json", &twins[..1])).expect(status).message();
    assert!(ambiguous.to_lowercase().contains("multiple ids found with provided prefix"), "{ambiguous}");
}

fn info_and_version(case: &Case) {
    let name = case.spawn("i", &[], "sleep 100");
    let info = case
        .docker(&[
            "info",
            "--format",
            "{{.Containers}} {{.ContainersRunning}} {{.Driver}} {{.OSType}} {{.LoggingDriver}} {{.ServerVersion}}",
        ])
        .ok();
    let words: Vec<&str> = info.split(' ').collect();
    assert!(words[0].parse::<u32>().unwrap() >= 1 && words[1].parse::<u32>().unwrap() >= 1, "{info}");
    assert_eq!(words[2..5], ["overlay2", "linux", "json-file"]);
    let version = case.docker(&["version", "--format", "{{.Server.APIVersion}} {{.Server.Os}} {{.Server.Version}}"]).ok();
    assert!(version.starts_with("1.") && version.contains(" linux "), "{version}");
    assert_eq!(version.split(' ').nth(2), words.last().copied());
    case.docker(&["rm", "-f", &name]).ok();
}

fn many_at_once(case: &Case) {
    // Concurrent lives do not disturb each other's output, codes or names.
    std::thread::scope(|scope| {
        for i in 0..6 {
            scope.spawn(move || {
                let out = case.run(&["--rm", "--network", "none", "busybox", "sh", "-c", &format!("echo {i}; exit {i}")]);
                assert_eq!((out.code, out.stdout), (i, format!("{i}\n")));
            });
        }
    });
}
