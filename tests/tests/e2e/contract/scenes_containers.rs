//! Containers of several bodies in every state, what is told of them, and the events of their lives.

use serde_json::{Value, json};
use wharf_tests::poll;

use super::{Seen, VERSIONS};

pub fn all(seen: &mut Seen<'_>) {
    bodies(seen);
    states(seen);
    execs(seen);
    health(seen);
    life(seen);
    seen.ask("prune containers", "1.41", "POST", "/containers/prune", &Value::Null);
}

/// Creates a container, notes the answer and returns its id.
fn create(seen: &mut Seen<'_>, name: &str, version: &str, body: &Value) -> String {
    let reply = seen.ask(&format!("create {name}"), version, "POST", &format!("/containers/create?name={name}"), body);
    reply.expect(201).json()["Id"].as_str().unwrap().to_owned()
}

fn remove(seen: &Seen<'_>, name: &str) {
    seen.http.delete(&format!("/containers/{name}?force=1&v=1")).expect(204);
}

/// Every option that both engines honour.
fn full() -> Value {
    json!({
        "Hostname": "box", "Domainname": "example.com", "User": "1000:1000", "AttachStdin": true, "AttachStdout": true, "AttachStderr": true,
        "ExposedPorts": {"80/tcp": {}, "53/udp": {}}, "Tty": true, "OpenStdin": true, "StdinOnce": true, "Env": ["A=b", "EMPTY="],
        "Cmd": ["-c", "sleep 1000"], "Entrypoint": "sh", "Image": "busybox:latest", "WorkingDir": "/tmp", "MacAddress": "02:42:ac:11:00:99",
        "OnBuild": ["RUN x"], "Labels": {"com.example.a": "1", "empty": ""}, "StopSignal": "SIGINT", "StopTimeout": 3, "Shell": ["/bin/sh", "-c"],
        "Healthcheck": {"Test": ["NONE"]},
        "HostConfig": full_host(),
        "NetworkingConfig": {"EndpointsConfig": {"bridge": {"MacAddress": "02:42:ac:11:00:99"}}},
    })
}

/// The same for `HostConfig`.
fn full_host() -> Value {
    let mut host = json!({
        "Binds": ["/tmp:/mnt/host:ro", "/var/tmp:/mnt/shared:rw,rslave"],
        "ContainerIDFile": "/nowhere", "LogConfig": {"Type": "json-file", "Config": {"max-size": "1m", "max-file": "2", "labels": "com.example.a"}},
        "NetworkMode": "bridge", "RestartPolicy": {"Name": "on-failure", "MaximumRetryCount": 3},
        "CapAdd": ["NET_ADMIN", "CAP_SYS_TIME"], "CapDrop": ["MKNOD"], "CgroupnsMode": "private",
        "Dns": ["192.0.2.1"], "DnsOptions": ["ndots:2"], "DnsSearch": ["example.com"], "ExtraHosts": ["other:192.0.2.2"], "GroupAdd": ["2000"],
        "IpcMode": "shareable", "OomScoreAdj": 100, "PidMode": "", "Privileged": false, "ReadonlyRootfs": true,
        "SecurityOpt": ["no-new-privileges"], "Tmpfs": {"/run": "size=1m"}, "UTSMode": "", "ShmSize": 1048576
    });
    let more = json!({
        "Sysctls": {"net.ipv4.ip_forward": "1"}, "CpuShares": 512, "Memory": 67108864, "CpuPeriod": 100000, "CpuQuota": 50000,
        "CpusetCpus": "0", "CpusetMems": "0", "MemoryReservation": 33554432, "MemorySwappiness": 10, "OomKillDisable": false,
        "PidsLimit": 100, "Ulimits": [{"Name": "nofile", "Soft": 512, "Hard": 1024}],
        "Devices": [{"PathOnHost": "/dev/null", "PathInContainer": "/dev/nothing", "CgroupPermissions": "rwm"}],
        "DeviceCgroupRules": ["c 1:3 rwm"], "Init": false,
        "Mounts": [
            {"Type": "bind", "Source": "/usr", "Target": "/mnt/usr", "ReadOnly": true, "BindOptions": {"Propagation": "rprivate"}},
            {"Type": "tmpfs", "Target": "/mnt/tmp", "TmpfsOptions": {"SizeBytes": 65536, "Mode": 448}},
        ],
        "MaskedPaths": ["/proc/kcore"], "ReadonlyPaths": ["/proc/sys"], "ConsoleSize": [24, 80],
    });
    host.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    host
}

/// Bodies as different clients send them.
fn bodies(seen: &mut Seen<'_>) {
    for version in VERSIONS {
        let name = format!("minimal-{version}");
        create(seen, &name, version, &json!({"Image": "busybox"}));
        seen.get_in(&format!("inspect {name}"), &format!("/containers/{name}/json"), &[version]);
        remove(seen, &name);
    }
    let bodies = [
        ("minimal", json!({"Image": "busybox"})),
        ("defaults", json!({"Image": "defaults"})),
        (
            "nulls",
            json!({"Image": "busybox", "Env": null, "Labels": null, "Volumes": null, "Cmd": null, "HostConfig": null, "NetworkingConfig": null}),
        ),
        (
            "empties",
            json!({"Image": "busybox", "Env": [], "Labels": {}, "Volumes": {}, "ExposedPorts": {}, "Cmd": [], "OnBuild": [],
            "HostConfig": {"Binds": [], "PortBindings": {}, "Dns": [], "DnsSearch": [], "DnsOptions": [], "CapAdd": [], "CapDrop": [],
                "Devices": [], "Ulimits": [], "Links": [], "VolumesFrom": [], "ExtraHosts": [], "GroupAdd": [], "SecurityOpt": [], "Mounts": [],
                "Tmpfs": {}, "Sysctls": {}, "LogConfig": {"Type": "", "Config": {}}, "RestartPolicy": {"Name": ""}, "MaskedPaths": [],
                "ReadonlyPaths": [], "BlkioWeightDevice": [], "DeviceRequests": [], "DeviceCgroupRules": []}}),
        ),
        ("full", full()),
        (
            "old",
            json!({"Image": "busybox", "Hostname": "old", "Cmd": "true", "Memory": 16777216, "CpuShares": 7, "Cpuset": "0",
            "HostConfig": {"LxcConf": {}, "Memory": 16777216, "CpuShares": 7, "CpusetCpus": "0", "RestartPolicy": {"Name": "always"},
                "LogConfig": {"Type": "json-file", "Config": null}}}),
        ),
        (
            "host",
            json!({"Image": "busybox", "HostConfig": {"NetworkMode": "host", "PidMode": "host", "UTSMode": "host", "IpcMode": "host"}}),
        ),
        ("none", json!({"Image": "busybox", "HostConfig": {"NetworkMode": "none", "LogConfig": {"Type": "none"}}})),
        ("privileged", json!({"Image": "busybox", "HostConfig": {"Privileged": true, "Init": true}})),
    ];
    for (name, body) in &bodies {
        let version = if *name == "old" { "1.19" } else { "1.41" };
        create(seen, name, version, body);
        seen.get(&format!("inspect created {name}"), &format!("/containers/{name}/json"));
    }
    seen.daemon.docker(&["create", "--name", "cli", "busybox", "sh", "-c", "echo a b"]).ok();
    seen.get("inspect created cli", "/containers/cli/json");
    let options =
        ["-it", "-e", "A=b", "-l", "a=b", "--expose", "80", "-m", "64m", "-v", "/tmp:/mnt", "--tmpfs", "/run", "--health-cmd", "true"];
    seen.daemon.docker(&[&["create", "--name", "cli-options"], &options[..], &["busybox"]].concat()).ok();
    seen.get("inspect created cli-options", "/containers/cli-options/json");
    seen.get("list created", "/containers/json?all=1");
    seen.get_in("list sizes", "/containers/json?all=1&size=1", &["1.19", "1.41"]);
    for (name, _) in bodies {
        remove(seen, name);
    }
    for name in ["cli", "cli-options"] {
        remove(seen, name);
    }
}

fn start(seen: &Seen<'_>, name: &str, body: &Value) {
    seen.http.post_json(&format!("/containers/create?name={name}"), body).expect(201);
    seen.http.post(&format!("/containers/{name}/start")).expect(204);
}

/// The same container in every state.
fn states(seen: &mut Seen<'_>) {
    let sleeper = json!({"Image": "busybox", "Cmd": ["sh", "-c", "echo out; echo err >&2; exec sleep 1000"], "ExposedPorts": {"80/tcp": {}, "53/udp": {}},
        "Labels": {"who": "me"}, "HostConfig": {"Binds": ["/usr:/mnt"]}});
    start(seen, "sleeper", &sleeper);
    seen.get("inspect running", "/containers/sleeper/json");
    seen.get_in("inspect running size", "/containers/sleeper/json?size=1", &["1.19", "1.41"]);
    seen.get("list running", "/containers/json");
    seen.get_in("top", "/containers/sleeper/top", &["1.19", "1.41"]);
    seen.get_in("top aux", "/containers/sleeper/top?ps_args=aux", &["1.41"]);
    seen.get_in("stats", "/containers/sleeper/stats?stream=0", &["1.19", "1.20", "1.21", "1.41"]);
    seen.get_in("stats one-shot", "/containers/sleeper/stats?stream=0&one-shot=1", &["1.41"]);
    seen.get_in("no changes", "/containers/sleeper/changes", &["1.19", "1.41"]);
    for (what, method, path, body) in [
        ("start twice", "POST", "start", Value::Null),
        ("remove running", "DELETE", "", Value::Null),
        ("unpause running", "POST", "unpause", Value::Null),
        ("rename to nothing", "POST", "rename?name=", Value::Null),
        ("rename to itself", "POST", "rename?name=sleeper", Value::Null),
        ("exec nothing", "POST", "exec", json!({"Cmd": []})),
        ("kill wrongly", "POST", "kill?signal=NONE", Value::Null),
        ("logs of nothing", "GET", "logs", Value::Null),
        ("archive of nothing", "GET", "archive", Value::Null),
        ("archive of no file", "GET", "archive?path=/none", Value::Null),
    ] {
        let path = format!("/containers/sleeper/{path}");
        for version in ["1.20", "1.41"] {
            seen.ask(what, version, method, path.trim_end_matches('/'), &body);
        }
    }
    seen.get_in("logs", "/containers/sleeper/logs?stdout=1", &["1.19", "1.41"]);
    for path in ["/etc/passwd", "/bin/sh", "/tmp", "/mnt", "/tmp/."] {
        let reply = seen.http.request("HEAD", &format!("/v1.41/containers/sleeper/archive?path={path}"), &[], b"").expect(200);
        let stat = base64(reply.header("x-docker-container-path-stat").unwrap());
        seen.note_json(&format!("stat {path}"), "1.41", &serde_json::from_slice(&stat).unwrap());
    }
    for (what, filters) in [
        ("key", r#"{"no":["x"]}"#),
        ("status", r#"{"status":["x"]}"#),
        ("form", "x"),
        ("health", r#"{"health":["x"]}"#),
        ("before", r#"{"before":["x"]}"#),
    ] {
        seen.get_in(&format!("list by a bad {what}"), &format!("/containers/json?filters={}", wharf_tests::urlencode(filters)), &["1.41"]);
    }
    seen.ask(
        "update",
        "1.41",
        "POST",
        "/containers/sleeper/update",
        &json!({"Memory": 67108864, "MemorySwap": 67108864, "RestartPolicy": {"Name": "always"}}),
    );
    seen.get_in("inspect updated", "/containers/sleeper/json", &["1.22", "1.41"]);
    seen.ask("pause", "1.41", "POST", "/containers/sleeper/pause", &Value::Null);
    seen.get("inspect paused", "/containers/sleeper/json");
    seen.get_in("list paused", "/containers/json", &["1.41"]);
    seen.ask("exec paused", "1.41", "POST", "/containers/sleeper/exec", &json!({"Cmd": ["true"]}));
    seen.ask("stop paused", "1.41", "POST", "/containers/sleeper/stop?t=0", &Value::Null);
    seen.get("inspect stopped", "/containers/sleeper/json");
    seen.get("list stopped", "/containers/json?all=1");
    for (what, method, path) in [
        ("stop twice", "POST", "stop"),
        ("kill stopped", "POST", "kill"),
        ("top stopped", "GET", "top"),
        ("pause stopped", "POST", "pause"),
        ("wait stopped", "POST", "wait"),
    ] {
        for version in ["1.19", "1.24", "1.30", "1.41"] {
            seen.ask(what, version, method, &format!("/containers/sleeper/{path}"), &Value::Null);
        }
    }
    seen.get_in("stats stopped", "/containers/sleeper/stats?stream=0", &["1.19", "1.41"]);
    seen.ask("rename", "1.41", "POST", "/containers/sleeper/rename?name=renamed", &Value::Null);
    seen.ask("remove", "1.41", "DELETE", "/containers/renamed", &Value::Null);

    for (name, script) in [("ok", "true"), ("failed", "exit 3"), ("killed", "kill -9 $$")] {
        start(seen, name, &json!({"Image": "busybox", "Cmd": ["sh", "-c", script]}));
        for version in ["1.19", "1.41"] {
            seen.ask(&format!("wait {name}"), version, "POST", &format!("/containers/{name}/wait"), &Value::Null);
        }
        seen.get_in(&format!("inspect {name}"), &format!("/containers/{name}/json"), &["1.19", "1.41"]);
    }
    let hungry = json!({"Image": "busybox", "Cmd": ["sh", "-c", "x=x; while :; do x=$x$x; done"], "HostConfig": {"Memory": 16777216, "MemorySwap": 16777216}});
    start(seen, "oom", &hungry);
    seen.ask("wait oom", "1.41", "POST", "/containers/oom/wait", &Value::Null);
    seen.get_in("inspect oom", "/containers/oom/json", &["1.41"]);
    create(seen, "unstartable", "1.41", &json!({"Image": "busybox", "Cmd": ["no-such-command"]}));
    for version in ["1.19", "1.41"] {
        seen.ask("start the unstartable", version, "POST", "/containers/unstartable/start", &Value::Null);
    }
    seen.get_in("inspect unstartable", "/containers/unstartable/json", &["1.41"]);
    start(seen, "hosted", &json!({"Image": "busybox", "Cmd": ["sleep", "1000"], "HostConfig": {"NetworkMode": "host"}}));
    start(seen, "alone", &json!({"Image": "busybox", "Cmd": ["sleep", "1000"], "HostConfig": {"NetworkMode": "none"}}));
    start(seen, "guest", &json!({"Image": "busybox", "Cmd": ["sleep", "1000"], "HostConfig": {"NetworkMode": "container:alone"}}));
    for name in ["hosted", "alone", "guest"] {
        seen.get_in(&format!("inspect {name}"), &format!("/containers/{name}/json"), &["1.19", "1.21", "1.41"]);
    }
    seen.get_in("list networks", "/containers/json", &["1.19", "1.22", "1.41"]);
    for name in ["guest", "hosted", "alone", "ok", "failed", "killed", "oom", "unstartable"] {
        remove(seen, name);
    }
}

fn execs(seen: &mut Seen<'_>) {
    start(seen, "execs", &json!({"Image": "busybox", "Cmd": ["sleep", "1000"]}));
    let bodies = [
        ("plain", json!({"Cmd": ["sleep", "1000"], "AttachStdout": true})),
        (
            "full",
            json!({"Cmd": ["sh", "-c", "exit 4"], "User": "1000", "Tty": true, "AttachStdin": true, "AttachStdout": true,
            "AttachStderr": true, "DetachKeys": "ctrl-a", "Env": ["A=b"], "WorkingDir": "/tmp"}),
        ),
    ];
    for (name, body) in bodies {
        let reply = seen.ask(&format!("exec create {name}"), "1.41", "POST", "/containers/execs/exec", &body);
        let id = reply.expect(201).json()["Id"].as_str().unwrap().to_owned();
        seen.get(&format!("exec created {name}"), &format!("/exec/{id}/json"));
        seen.ask(&format!("exec start {name}"), "1.41", "POST", &format!("/exec/{id}/start"), &json!({"Detach": true}));
        let http = seen.http.clone();
        poll::until("the exec runs or ran", || {
            let exec = http.get(&format!("/exec/{id}/json")).json();
            (if name == "plain" { exec["Pid"].as_i64() > Some(0) } else { exec["Running"] == false && !exec["ExitCode"].is_null() })
                .then_some(())
        });
        seen.get(&format!("exec running {name}"), &format!("/exec/{id}/json"));
        seen.get_in(&format!("inspect with exec {name}"), "/containers/execs/json", &["1.19", "1.41"]);
        seen.ask(&format!("exec start twice {name}"), "1.41", "POST", &format!("/exec/{id}/start"), &json!({"Detach": true}));
    }
    remove(seen, "execs");
}

fn health(seen: &mut Seen<'_>) {
    let body = json!({"Image": "busybox", "Cmd": ["sleep", "1000"],
        "Healthcheck": {"Test": ["CMD-SHELL", "echo fine"], "Interval": 200_000_000, "Timeout": 10_000_000_000_u64, "Retries": 2, "StartPeriod": 1_000_000}});
    seen.http.post_json("/containers/create?name=health", &body).expect(201);
    seen.get_in("inspect health created", "/containers/health/json", &["1.41"]);
    seen.http.post("/containers/health/start").expect(204);
    let http = seen.http.clone();
    poll::until("five healthy probes", || {
        (http.get("/containers/health/json").json()["State"]["Health"]["Log"].as_array().map(Vec::len) == Some(5)).then_some(())
    });
    seen.get_in("inspect health", "/containers/health/json", &["1.19", "1.41"]);
    seen.get_in("list health", "/containers/json", &["1.41"]);
    remove(seen, "health");
}

/// One life with what leaves an event. (No pause: 20.10 sometimes tells of one twice.)
fn life(seen: &mut Seen<'_>) {
    let since = now();
    let body = json!({"Image": "busybox", "Cmd": ["sh", "-c", "trap exit TERM; echo ready; while :; do sleep 0.1; done"], "Labels": {"who": "me"}});
    let created = seen.http.post_json("/containers/create?name=life", &body).expect(201);
    let id = created.json()["Id"].as_str().unwrap().to_owned();
    let mut runs = 0;
    for (method, path, body, status) in [
        ("POST", "start", Value::Null, 204),
        ("GET", "top", Value::Null, 200),
        ("POST", "update", json!({"CpuShares": 512}), 200),
        ("GET", "export", Value::Null, 200),
        ("GET", "archive?path=/etc/passwd", Value::Null, 200),
        ("POST", "rename?name=lived", Value::Null, 204),
        ("POST", "restart?t=5", Value::Null, 204),
        ("POST", "stop?t=5", Value::Null, 204),
        ("POST", "start", Value::Null, 204),
        ("POST", "kill", Value::Null, 204),
        ("POST", "wait", Value::Null, 200),
    ] {
        let path = format!("/containers/{id}/{path}");
        match body {
            Value::Null => seen.http.request(method, &path, &[], b"").expect(status),
            body => seen.http.post_json(&path, &body).expect(status),
        };
        if path.contains("start") {
            // Only then it listens to signals.
            runs += 1;
            let logs = format!("/containers/{id}/logs?stdout=1");
            poll::until("the container is ready", || (seen.http.get(&logs).text().matches("ready").count() == runs).then_some(()));
        }
    }
    seen.http.delete(&format!("/containers/{id}")).expect(204);
    let path = format!("/events?since={since}&until={}", now());
    for version in ["1.19", "1.22", "1.41"] {
        for kind in ["container", "network"] {
            let filters = format!("&filters=%7B%22type%22%3A%5B%22{kind}%22%5D%7D");
            seen.ask(&format!("events of a {kind}"), version, "GET", &format!("{path}{filters}"), &Value::Null);
        }
    }
    // Both kinds together: only what happened, in order.
    let all = seen.http.get(&format!("/v1.41{path}")).expect(200).text();
    let all = all.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
    let order: Vec<String> = all.map(|e| format!("{} {}", e["Type"].as_str().unwrap(), e["Action"].as_str().unwrap())).collect();
    seen.note_json("order of events", "1.41", &json!(order));
}

/// Decodes standard base64.
fn base64(text: &str) -> Vec<u8> {
    let digit = |c: u8| match c {
        b'A'..=b'Z' => c - b'A',
        b'a'..=b'z' => c - b'a' + 26,
        b'0'..=b'9' => c - b'0' + 52,
        b'+' => 62,
        _ => 63,
    };
    let bits = text.trim_end_matches('=').bytes().flat_map(|c| (0..6).rev().map(move |n| digit(c) >> n & 1)).collect::<Vec<u8>>();
    bits.chunks_exact(8).map(|byte| byte.iter().fold(0, |all, bit| all << 1 | bit)).collect()
}

/// Seconds of the clock, with a fraction that no event has.
fn now() -> String {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    format!("{}.{:09}", now.as_secs(), now.subsec_nanos())
}
