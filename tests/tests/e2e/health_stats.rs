//! Frozen containers, health checks, statistics, new limits for running containers, and streams over a websocket.

use std::time::{Duration, Instant};

use serde_json::{Value, json};
use wharf_tests::http::Stream;
use wharf_tests::{Case, Daemon, poll, suite};

suite![
    pause_stops_time,
    paused_refusals,
    paused_ends,
    paused_over_a_restart,
    health_in_words,
    health_refusals,
    health_of_an_image,
    health_probe_limits,
    health_start_period,
    health_rests_while_paused,
    health_probe_and_removal,
    health_over_a_restart,
    stats_once,
    stats_stream,
    stats_of_the_stopped,
    stats_in_the_client,
    update_limits,
    update_refusals,
    update_restart_policy,
    websocket,
];

fn state(case: &Case, name: &str) -> Value {
    case.http().get(&format!("/containers/{name}/json")).expect(200).json()["State"].clone()
}

fn health(case: &Case, name: &str) -> String {
    state(case, name)["Health"]["Status"].as_str().unwrap_or_default().to_owned()
}

/// The actions of a container's events so far.
fn events(case: &Case, name: &str) -> Vec<String> {
    let filters = json!({"container": [name], "type": ["container"]}).to_string().replace('"', "%22");
    let stream = case.http().get(&format!("/events?since=0&until={}&filters={filters}", now())).expect(200).text();
    stream.lines().map(|l| serde_json::from_str::<Value>(l).unwrap()["Action"].as_str().unwrap().to_owned()).collect()
}

fn now() -> u64 {
    std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs() + 1
}

fn count(case: &Case, name: &str) -> usize {
    case.docker(&["logs", name]).ok().lines().count()
}

// Pause

fn pause_stops_time(case: &Case) {
    let name = case.spawn("ticks", &[], "while true; do echo tick; usleep 20000; done");
    poll::until("a tick", || (count(case, &name) > 0).then_some(()));
    assert_eq!(case.docker(&["pause", &name]).ok(), name);
    let paused = state(case, &name);
    assert_eq!((&paused["Status"], &paused["Running"], &paused["Paused"]), (&json!("paused"), &json!(true), &json!(true)));
    let status = case.docker(&["ps", "--filter", &format!("name={name}"), "--format", "{{.Status}}"]).ok();
    assert!(status.starts_with("Up ") && status.ends_with(" (Paused)"), "{status}");
    let before = count(case, &name);
    std::thread::sleep(Duration::from_millis(300));
    assert_eq!(count(case, &name), before);
    case.docker(&["unpause", &name]).ok();
    poll::until("more ticks", || (count(case, &name) > before).then_some(()));
    assert_eq!(state(case, &name)["Status"], "running");
    let events = events(case, &name);
    assert_eq!(events[events.len() - 2..], ["pause", "unpause"]);
}

fn paused_refusals(case: &Case) {
    let name = case.spawn("cold", &[], "sleep 1000");
    let id = case.inspect(&name, "{{.Id}}");
    let refused = |method: &str, path: &str, status: u16| {
        let reply = case.http().request(method, path, &[("Content-Type", "application/json")], br#"{"Cmd":["true"]}"#);
        reply.expect(status).message().to_lowercase()
    };
    let unpause = format!("/containers/{name}/unpause");
    assert_eq!(refused("POST", &unpause, 500), format!("container {id} is not paused"));
    case.http().post(&format!("/containers/{name}/pause")).expect(204);
    assert_eq!(refused("POST", &format!("/containers/{name}/pause"), 409), format!("container {id} is already paused"));
    assert!(refused("POST", &format!("/containers/{name}/exec"), 409).contains("is paused, unpause the container before exec"));
    assert!(case.http().post(&format!("/containers/{name}/start")).message().contains("cannot start a paused container"));
    assert!(case.http().delete(&format!("/containers/{name}")).expect(409).message().to_lowercase().contains("paused"));
    case.http().post(&unpause).expect(204);
    case.docker(&["stop", "-t", "0", &name]).ok();
    let stopped = refused("POST", &format!("/containers/{name}/pause"), 409);
    assert_eq!(stopped, format!("container {id} is not running"));
    case.http().post("/containers/nosuch/pause").expect(404);
}

/// Whatever ends a paused container, ends it.
fn paused_ends(case: &Case) {
    let polite = case.spawn("polite", &[], "trap 'exit 7' TERM; while true; do usleep 20000; done");
    std::thread::sleep(Duration::from_millis(200));
    case.docker(&["pause", &polite]).ok();
    case.docker(&["stop", "-t", "60", &polite]).ok();
    assert_eq!(case.inspect(&polite, "{{.State.ExitCode}} {{.State.Paused}}"), "7 false");
    let seen = poll::until("the events", || {
        let mut seen = events(case, &polite);
        seen.retain(|e| ["pause", "kill", "unpause", "die", "stop"].contains(&e.as_str()));
        (seen.len() >= 5).then_some(seen)
    });
    // dockerd hears of the thaw later than of the end, at times.
    assert!(seen.contains(&"unpause".to_owned()));
    assert_eq!(seen.iter().filter(|e| *e != "unpause").collect::<Vec<_>>(), ["pause", "kill", "die", "stop"]);

    let killed = case.spawn("killed", &[], "sleep 1000");
    case.docker(&["pause", &killed]).ok();
    case.docker(&["kill", &killed]).ok();
    poll::until("its end", || (case.inspect(&killed, "{{.State.ExitCode}} {{.State.Running}}") == "137 false").then_some(()));

    let forced = case.spawn("forced", &[], "sleep 1000");
    case.docker(&["pause", &forced]).ok();
    case.docker(&["rm", "-f", &forced]).ok();
    case.http().get(&format!("/containers/{forced}/json")).expect(404);

    let again = case.spawn("again", &[], "sleep 1000");
    case.docker(&["pause", &again]).ok();
    case.docker(&["restart", "-t", "0", &again]).ok();
    assert_eq!(case.inspect(&again, "{{.State.Status}}"), "running");
}

fn surviving(case: &Case) -> Daemon {
    case.own_daemon(case.engine().is_dockerd().then(|| json!({"live-restore": true})))
}

fn paused_over_a_restart(case: &Case) {
    let daemon = surviving(case);
    daemon.docker(&["run", "-d", "--name", "cold", "busybox", "sleep", "1000"]).ok();
    daemon.docker(&["pause", "cold"]).ok();
    daemon.kill9();
    daemon.boot();
    assert_eq!(daemon.docker(&["inspect", "-f", "{{.State.Status}}", "cold"]).ok(), "paused");
    daemon.docker(&["unpause", "cold"]).ok();
    assert_eq!(daemon.docker(&["exec", "cold", "echo", "warm"]).ok(), "warm");
}

// Health

fn checked(case: &Case, part: &str, options: &[&str], command: &str) -> String {
    let check = ["--health-cmd", command, "--health-interval", "200ms", "--health-retries", "2"];
    case.spawn(part, &[&check[..], options].concat(), "sleep 1000")
}

fn await_health(case: &Case, name: &str, wanted: &str) {
    poll::until(&format!("{name} to be {wanted}"), || (health(case, name) == wanted).then_some(()));
}

fn health_in_words(case: &Case) {
    let name = checked(case, "moody", &[], "echo tried; test ! -e /bad");
    assert_eq!(health(case, &name), "starting");
    await_health(case, &name, "healthy");
    let ps =
        |filter: &str| case.docker(&["ps", "-a", "--filter", &format!("name={name}"), "--filter", filter, "--format", "{{.Status}}"]).ok();
    assert!(ps("health=healthy").ends_with(" (healthy)") && ps("health=none").is_empty());
    let probe = &state(case, &name)["Health"]["Log"][0];
    assert_eq!((&probe["ExitCode"], &probe["Output"]), (&json!(0), &json!("tried\n")));
    assert!(probe["Start"].as_str().unwrap() < probe["End"].as_str().unwrap());

    case.docker(&["exec", &name, "touch", "/bad"]).ok();
    await_health(case, &name, "unhealthy");
    assert!(ps("health=unhealthy").ends_with(" (unhealthy)"));
    assert!(state(case, &name)["Health"]["FailingStreak"].as_i64().unwrap() >= 2);
    poll::until("a full log", || (state(case, &name)["Health"]["Log"].as_array().unwrap().len() == 5).then_some(()));
    case.docker(&["exec", &name, "rm", "/bad"]).ok();
    await_health(case, &name, "healthy");
    assert_eq!(state(case, &name)["Health"]["FailingStreak"], 0);

    let seen = events(case, &name);
    let words: Vec<&String> = seen.iter().filter(|e| e.starts_with("health_status")).collect();
    assert_eq!(words, ["health_status: healthy", "health_status: unhealthy", "health_status: healthy"]);
    for kind in ["exec_create: /bin/sh -c echo tried", "exec_start: /bin/sh -c echo tried", "exec_die"] {
        assert!(seen.iter().any(|e| e.starts_with(kind)), "{kind} in {seen:?}");
    }
    case.docker(&["stop", "-t", "0", &name]).ok();
    assert_eq!(health(case, &name), "unhealthy");
    case.docker(&["start", &name]).ok();
    assert_eq!(health(case, &name), "starting");
}

fn health_refusals(case: &Case) {
    let refused = |check: Value| {
        let body = json!({"Image": "busybox", "Healthcheck": check});
        case.http().post_json("/containers/create", &body).expect(400).message()
    };
    assert_eq!(refused(json!({"Test": ["CMD", "true"], "Interval": 10})), "Interval in Healthcheck cannot be less than 1ms");
    assert_eq!(refused(json!({"Timeout": -1})), "Timeout in Healthcheck cannot be less than 1ms");
    assert_eq!(refused(json!({"StartPeriod": 999_999})), "StartPeriod in Healthcheck cannot be less than 1ms");
    assert_eq!(refused(json!({"Retries": -1})), "Retries in Healthcheck cannot be negative");
    let none = case.create(json!({"Cmd": ["sleep", "1000"], "Healthcheck": {"Test": ["NONE"]}}));
    case.http().post(&format!("/containers/{none}/start")).expect(204);
    assert_eq!(state(case, &none)["Health"], Value::Null);
}

/// What an image says is used unless the container says otherwise; the `CMD` form needs no shell.
fn health_of_an_image(case: &Case) {
    let change = r#"HEALTHCHECK --interval=200ms CMD ["echo", "plain"]"#;
    let import = ["import", "-c", change, "-c", r#"CMD ["sleep", "1000"]"#, "-", "checked:one"];
    wharf_tests::run_with_stdin(&mut case.daemon().docker_command(&import), &wharf_tests::image::busybox().layers[0]).ok();
    let made = case.name("made");
    case.run(&["-d", "--name", &made, "checked:one"]).ok();
    await_health(case, &made, "healthy");
    assert_eq!(state(case, &made)["Health"]["Log"][0]["Output"], "plain\n");
    let without = case.name("without");
    case.run(&["-d", "--name", &without, "--no-healthcheck", "checked:one"]).ok();
    assert_eq!(state(case, &without)["Health"], Value::Null);
    let missing = case.create(json!({"Cmd": ["sleep", "1000"], "Healthcheck": {"Test": ["CMD", "/no/such"], "Interval": 200_000_000}}));
    case.http().post(&format!("/containers/{missing}/start")).expect(204);
    await_health(case, &missing, "unhealthy");
    let probe = state(case, &missing)["Health"]["Log"][0].clone();
    assert!(probe["ExitCode"] != 0 && probe["Output"].as_str().unwrap().contains("/no/such"), "{probe}");
}

fn health_probe_limits(case: &Case) {
    let slow = checked(case, "slow", &["--health-timeout", "300ms"], "echo begun; sleep 100");
    await_health(case, &slow, "unhealthy");
    let probe = state(case, &slow)["Health"]["Log"][0].clone();
    assert_eq!(probe["ExitCode"], -1);
    assert!(probe["Output"].as_str().unwrap().starts_with("Health check exceeded timeout (300ms)"), "{probe}");
    let talkative = checked(case, "talkative", &[], "head -c 5000 /dev/zero | tr '\\0' x");
    await_health(case, &talkative, "healthy");
    assert_eq!(state(case, &talkative)["Health"]["Log"][0]["Output"], "x".repeat(4096) + "...");
}

fn health_start_period(case: &Case) {
    if case.engine().is_dockerd() {
        return case.skip("the interval of the start period is younger than 20.10");
    }
    let name = checked(case, "sleepy", &["--health-start-period", "100s", "--health-start-interval", "200ms"], "test -e /good");
    poll::until("three failures", || (state(case, &name)["Health"]["Log"].as_array().unwrap().len() >= 3).then_some(()));
    let health_now = state(case, &name)["Health"].clone();
    assert_eq!((&health_now["Status"], &health_now["FailingStreak"]), (&json!("starting"), &json!(0)));
    case.docker(&["exec", &name, "touch", "/good"]).ok();
    await_health(case, &name, "healthy");
}

fn health_rests_while_paused(case: &Case) {
    let name = checked(case, "resting", &[], "true");
    await_health(case, &name, "healthy");
    case.docker(&["pause", &name]).ok();
    assert_eq!(health(case, &name), "unhealthy");
    let before = events(case, &name).len();
    std::thread::sleep(Duration::from_millis(700));
    // One probe may have been on its way when dockerd froze it.
    assert!(events(case, &name).len() <= before + 1);
    case.docker(&["unpause", &name]).ok();
    await_health(case, &name, "healthy");
}

/// A probe that hangs holds up nothing.
fn health_probe_and_removal(case: &Case) {
    let name = checked(case, "stuck", &[], "touch /probing; sleep 1000");
    poll::until("a probe", || (case.docker(&["exec", &name, "test", "-e", "/probing"]).code == 0).then_some(()));
    let begun = Instant::now();
    case.docker(&["pause", &name]).ok();
    case.docker(&["unpause", &name]).ok();
    case.docker(&["rm", "-f", &name]).ok();
    assert!(begun.elapsed() < Duration::from_secs(15), "{:?}", begun.elapsed());
    case.http().get(&format!("/containers/{name}/json")).expect(404);
}

fn health_over_a_restart(case: &Case) {
    let daemon = surviving(case);
    let run = ["run", "-d", "--name", "watched", "--health-cmd", "test ! -e /bad", "--health-interval", "200ms", "--health-retries", "1"];
    daemon.docker(&[&run[..], &["busybox", "sleep", "1000"]].concat()).ok();
    let await_health = |wanted: &str| {
        let word = || daemon.docker(&["inspect", "-f", "{{.State.Health.Status}}", "watched"]).ok();
        poll::until(wanted, || (word() == wanted).then_some(()));
    };
    await_health("healthy");
    if case.engine().is_dockerd() {
        return case.skip("20.10 probes no more after a restart");
    }
    daemon.kill9();
    daemon.boot();
    await_health("healthy");
    daemon.docker(&["exec", "watched", "touch", "/bad"]).ok();
    await_health("unhealthy");
}

// Statistics

fn stats_once(case: &Case) {
    let name = case.spawn("busy", &["-m", "32m", "--pids-limit", "50"], "while true; do :; done");
    let reply = case.http().get(&format!("/containers/{name}/stats?stream=false")).expect(200);
    assert_eq!(reply.header("Content-Type"), Some("application/json"));
    if !case.engine().is_dockerd() {
        // 20.10 buffers short replies; clients count on chunks.
        assert_eq!(reply.header("Transfer-Encoding"), Some("chunked"));
    }
    let stats = reply.json();
    assert_eq!(stats["name"], format!("/{name}"));
    assert_eq!(stats["id"], case.inspect(&name, "{{.Id}}"));
    let number = |pointer: &str| stats.pointer(pointer).and_then(Value::as_u64).unwrap_or_else(|| panic!("{pointer} of {stats}"));
    assert_eq!(number("/memory_stats/limit"), 32 << 20);
    assert!(number("/memory_stats/usage") > 0 && !stats["memory_stats"]["stats"].as_object().unwrap().is_empty());
    assert_eq!(number("/pids_stats/limit"), 50);
    assert!(number("/pids_stats/current") >= 1 && number("/cpu_stats/online_cpus") >= 1);
    // A busy loop of a second uses a good part of it.
    let used = number("/cpu_stats/cpu_usage/total_usage") - number("/precpu_stats/cpu_usage/total_usage");
    let of = number("/cpu_stats/system_cpu_usage") - number("/precpu_stats/system_cpu_usage");
    assert!(used > 0 && of > used, "{used} of {of}");
    assert!(stats["networks"]["eth0"]["rx_bytes"].is_u64() && stats["networks"].as_object().unwrap().len() == 1);
    assert!(stats["blkio_stats"]["io_service_bytes_recursive"].is_array());
    assert!(stats["preread"].as_str() < stats["read"].as_str());

    let old = case.http().get(&format!("/v1.19/containers/{name}/stats?stream=0")).expect(200).json();
    assert!(old["network"]["rx_bytes"].is_u64() && old["networks"].is_null());
    let at_once = case.http().get(&format!("/v1.41/containers/{name}/stats?stream=false&one-shot=true")).expect(200).json();
    assert!(at_once["cpu_stats"]["cpu_usage"]["total_usage"].as_u64() > Some(0));
    assert_eq!(at_once["precpu_stats"]["cpu_usage"]["total_usage"], 0);
    case.http().get(&format!("/containers/{name}/stats?one-shot=1")).expect(400);
    case.http().get("/containers/nosuch/stats").expect(404);
}

fn stats_stream(case: &Case) {
    let name = case.spawn("streamed", &["--net", "none"], "sleep 1000");
    let mut stream = case.http().open("GET", &format!("/containers/{name}/stats"), &[], b"").unwrap();
    let mut next = || serde_json::from_str::<Value>(&stream.line().unwrap()).unwrap();
    let (first, second) = (next(), next());
    assert_eq!((&second["preread"], &second["precpu_stats"]), (&first["read"], &first["cpu_stats"]));
    assert!(first["networks"].is_null());
    case.docker(&["rm", "-f", &name]).ok();
    // Perhaps some more, perhaps of a container that has ended; then the end.
    let begun = Instant::now();
    while stream.line().is_some() {
        assert!(begun.elapsed() < Duration::from_secs(20));
    }
}

fn stats_of_the_stopped(case: &Case) {
    let id = case.create(json!({"Cmd": ["true"]}));
    let stats = case.http().get(&format!("/containers/{id}/stats?stream=false")).expect(200).json();
    assert_eq!((&stats["id"], &stats["read"]), (&json!(id), &json!("0001-01-01T00:00:00Z")));
    assert_eq!((&stats["memory_stats"], &stats["blkio_stats"]["io_service_bytes_recursive"]), (&json!({}), &Value::Null));
}

fn stats_in_the_client(case: &Case) {
    let name = case.spawn("shown", &["-m", "64m"], "sleep 1000");
    let line = case.docker(&["stats", "--no-stream", "--format", "{{.Name}} {{.MemUsage}} {{.PIDs}}", &name]).ok();
    assert!(line.starts_with(&format!("{name} ")) && line.contains("/ 64MiB") && line.ends_with(" 1"), "{line}");
}

// Update

/// A limit as the container's cgroup has it, v1 or v2.
fn limit(case: &Case, name: &str, v1: &str, v2: &str) -> String {
    let script = format!("cat /sys/fs/cgroup/{v1} 2>/dev/null || cat /sys/fs/cgroup/{v2}");
    case.docker(&["exec", name, "sh", "-c", &script]).ok()
}

fn update_limits(case: &Case) {
    let name = case.spawn("resized", &["-m", "64m"], "sleep 1000");
    let memory = || limit(case, &name, "memory/memory.limit_in_bytes", "memory.max");
    let pids = || limit(case, &name, "pids/pids.max", "pids.max");
    assert_eq!(memory(), (64 << 20).to_string());
    case.docker(&["update", "-m", "96m", "--memory-swap", "128m", "--cpus", "0.5", "--pids-limit", "77", "--cpu-shares", "99", &name]).ok();
    assert_eq!((memory(), pids()), ((96 << 20).to_string(), "77".to_owned()));
    let quota = limit(case, &name, "cpu/cpu.cfs_quota_us", "cpu.max");
    assert_eq!(quota.split(' ').next(), Some("50000"));
    let shown =
        "{{.HostConfig.Memory}} {{.HostConfig.MemorySwap}} {{.HostConfig.NanoCpus}} {{.HostConfig.PidsLimit}} {{.HostConfig.CpuShares}}";
    assert_eq!(case.inspect(&name, shown), format!("{} {} 500000000 77 99", 96 << 20, 128 << 20));
    assert_eq!(events(case, &name).last().map(String::as_str), Some("exec_die"));
    assert!(events(case, &name).contains(&"update".to_owned()));

    // Only what is named changes, and no limit is a value too.
    let reply = case.http().post_json(&format!("/containers/{name}/update"), &json!({"PidsLimit": 0})).expect(200);
    assert!(reply.json()["Warnings"].is_null() || reply.json()["Warnings"] == json!([]));
    assert_eq!((memory(), pids()), ((96 << 20).to_string(), "max".to_owned()));
    // A stopped container gets them at its next start.
    case.docker(&["stop", "-t", "0", &name]).ok();
    case.docker(&["update", "-m", "48m", "--memory-swap", "48m", &name]).ok();
    case.docker(&["start", &name]).ok();
    assert_eq!(memory(), (48 << 20).to_string());
}

fn update_refusals(case: &Case) {
    let name = case.spawn("fixed", &["--rm"], "sleep 1000");
    let refused = |body: Value, status: u16| case.http().post_json(&format!("/containers/{name}/update"), &body).expect(status).message();
    assert_eq!(refused(json!({"Memory": 100, "MemorySwap": -1}), 400), "Minimum memory limit allowed is 6MB");
    let id = case.inspect(&name, "{{.Id}}");
    let text = refused(json!({"RestartPolicy": {"Name": "always"}}), 409);
    let why = "Restart policy cannot be updated because AutoRemove is enabled for the container";
    assert_eq!(text, format!("Cannot update container {id}: {why}"));
    let text = refused(json!({"Memory": 64 << 20}), 409);
    assert!(text.contains("Memory limit should be smaller than already set memoryswap limit"), "{text}");
    case.http().post_json(&format!("/containers/{name}/update"), &json!({"NanoCpus": 100_000_000})).expect(200);
    assert!(refused(json!({"CpuQuota": 5000}), 409).contains("CPU Quota cannot be updated as NanoCPUs has already been set"));
    // 20.10 answers a bad policy with other words, and takes it for its own error.
    if !case.engine().is_dockerd() {
        assert!(refused(json!({"RestartPolicy": {"Name": "often"}}), 400).contains("unknown policy 'often'"));
    }
    case.http().post_json("/containers/nosuch/update", &json!({})).expect(404);
}

fn update_restart_policy(case: &Case) {
    let name = case.spawn("returning", &[], "sleep 1000");
    case.docker(&["update", "--restart", "always", &name]).ok();
    let pid = case.inspect(&name, "{{.State.Pid}}");
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(pid.parse().unwrap()), nix::sys::signal::Signal::SIGKILL).unwrap();
    poll::until("its return", || {
        (case.inspect(&name, "{{.RestartCount}} {{.State.Running}} {{.State.Restarting}}") == "1 true false").then_some(())
    });
    case.docker(&["update", "--restart", "no", &name]).ok();
    assert_eq!(case.inspect(&name, "{{.HostConfig.RestartPolicy.Name}}"), "no");
}

// Websocket

fn handshake(case: &Case, path: &str) -> Stream {
    let headers = [
        ("Connection", "Upgrade"),
        ("Upgrade", "websocket"),
        ("Sec-WebSocket-Version", "13"),
        ("Sec-WebSocket-Key", "dGhlIHNhbXBsZSBub25jZQ=="),
        ("Origin", "http://localhost"),
    ];
    let stream = case.http().open("GET", path, &headers, b"").unwrap();
    assert_eq!(stream.head.status, 101, "{}", stream.head.raw);
    assert_eq!(stream.head.header("Sec-WebSocket-Accept"), Some("s3pPLMBiTxaQ9kYGzzhZRbK+xOo="));
    stream
}

/// A masked message of less than 126 bytes; the mask is zero, which is one, too.
fn say(stream: &mut Stream, opcode: u8, text: &[u8]) {
    stream.send(&[&[0x80 | opcode, 0x80 | u8::try_from(text.len()).unwrap(), 0, 0, 0, 0], text].concat());
}

/// Opcode and payload of messages of less than 126 bytes, joined up to `end`.
fn hear(stream: &mut Stream, end: &str) -> (u8, String) {
    let mut text = String::new();
    loop {
        let head = stream.exactly(2);
        let payload = stream.exactly(usize::from(head[1]));
        if head[0] & 0xf == 8 {
            return (8, text);
        }
        text += &String::from_utf8(payload).unwrap();
        if !end.is_empty() && text.ends_with(end) {
            return (head[0] & 0xf, text);
        }
    }
}

fn websocket(case: &Case) {
    let name = case.name("typed");
    let id = case.create_named(
        &name,
        json!({"Cmd": ["sh", "-c", "sleep 0.5; echo ready; sleep 0.5; echo more >&2; cat"], "OpenStdin": true, "StdinOnce": true}),
    );
    let mut stream = handshake(case, &format!("/v1.28/containers/{id}/attach/ws?stream=1"));
    case.http().post(&format!("/containers/{id}/start")).expect(204);
    let (opcode, text) = hear(&mut stream, "more\n");
    assert_eq!((opcode, text.as_str()), (2, "ready\nmore\n"));
    say(&mut stream, 2, b"hello\n");
    assert_eq!(hear(&mut stream, "hello\n").1, "hello\n");
    let mut text = handshake(case, &format!("/v1.27/containers/{id}/attach/ws?stream=1&logs=1"));
    assert_eq!(hear(&mut text, "hello\n").0, 1);
    drop(text);
    // Its end is the end of stdin, and so of `cat`.
    say(&mut stream, 8, b"");
    poll::until("its end", || (case.inspect(&name, "{{.State.Running}} {{.State.ExitCode}}") == "false 0").then_some(()));
    case.http().request("GET", &format!("/containers/{id}/attach/ws"), &[], b"").expect(400);
}
