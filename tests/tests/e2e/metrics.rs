//! `/metrics`: the names, types and labels that dockerd has, and that the numbers follow what happens.

use std::collections::BTreeMap;
use std::process::Stdio;

use serde_json::json;
use wharf_tests::{Case, Daemon, image, poll, run, suite};

suite![series_of_the_engine, only_metrics_are_served, an_address_that_is_taken];

const ADDRESS: &str = "127.0.0.1:9323";

/// Status, content type and text of a page.
pub fn fetch(daemon: &Daemon, path: &str) -> (String, String, String) {
    let script = "import http.client, sys; c = http.client.HTTPConnection(sys.argv[1]); c.request('GET', sys.argv[2]); r = c.getresponse(); \
                  print(r.status); print(r.headers['Content-Type']); print(r.read().decode(), end='')";
    let text = run(daemon.net.command("python3").args(["-c", script, ADDRESS, path])).ok();
    let mut parts = text.splitn(3, '\n').map(str::to_owned);
    let mut part = || parts.next().unwrap_or_default();
    (part(), part(), part())
}

/// The samples by name and labels, and the types by name. Fails for what is no exposition.
pub fn scrape(daemon: &Daemon) -> (BTreeMap<String, f64>, BTreeMap<String, String>) {
    let (status, kind, text) = fetch(daemon, "/metrics");
    assert_eq!((status.as_str(), kind.as_str()), ("200", "text/plain; version=0.0.4; charset=utf-8"));
    let (mut samples, mut types, mut family) = (BTreeMap::new(), BTreeMap::new(), String::new());
    for line in text.lines() {
        if let Some(about) = line.strip_prefix("# TYPE ") {
            let (name, kind) = about.split_once(' ').unwrap();
            assert_eq!(types.insert(name.to_owned(), kind.to_owned()), None, "{name} has two families");
            family = name.to_owned();
        } else if !line.starts_with("# HELP ") {
            let (series, value) = line.rsplit_once(' ').unwrap_or_else(|| panic!("{line}"));
            assert!(series.starts_with(&family), "{series} is not of {family}");
            let value = if value == "+Inf" { f64::INFINITY } else { value.parse().unwrap_or_else(|e| panic!("{line}: {e}")) };
            assert_eq!(samples.insert(series.to_owned(), value), None, "{series} is there twice");
        }
    }
    (samples, types)
}

/// What both engines have.
const FAMILIES: [(&str, &str); 19] = [
    ("engine_daemon_container_actions_seconds", "histogram"),
    ("engine_daemon_container_states_containers", "gauge"),
    ("engine_daemon_engine_cpus_cpus", "gauge"),
    ("engine_daemon_engine_info", "gauge"),
    ("engine_daemon_engine_memory_bytes", "gauge"),
    ("engine_daemon_events_subscribers_total", "gauge"),
    ("engine_daemon_events_total", "counter"),
    ("engine_daemon_health_checks_failed_total", "counter"),
    ("engine_daemon_health_checks_total", "counter"),
    ("engine_daemon_host_info_functions_seconds", "histogram"),
    ("engine_daemon_image_actions_seconds", "histogram"),
    ("engine_daemon_network_actions_seconds", "histogram"),
    ("process_cpu_seconds_total", "counter"),
    ("process_max_fds", "gauge"),
    ("process_open_fds", "gauge"),
    ("process_resident_memory_bytes", "gauge"),
    ("process_start_time_seconds", "gauge"),
    ("process_virtual_memory_bytes", "gauge"),
    ("process_virtual_memory_max_bytes", "gauge"),
];

fn series_of_the_engine(case: &Case) {
    let daemon = case.own_daemon(Some(json!({"metrics-addr": ADDRESS})));
    let (before, _) = scrape(&daemon);
    let docker = |args: &[&str]| daemon.docker(args).ok();
    docker(&["run", "-d", "--name", "up", "--health-cmd", "true", "--health-interval", "200ms", "busybox", "sleep", "600"]);
    docker(&["run", "-d", "--name", "frozen", "--network", "none", "busybox", "sleep", "600"]);
    docker(&["pause", "frozen"]);
    docker(&["create", "--name", "new", "busybox"]);
    docker(&["run", "--rm", "busybox", "true"]);
    docker(&["diff", "up"]);
    docker(&["commit", "new", "made"]);
    docker(&["rmi", "made"]);
    docker(&["info"]);
    let mut watcher = daemon.docker_command(&["events"]).stdout(Stdio::null()).spawn().unwrap();
    let value = |series: &str| scrape(&daemon).0.get(series).copied();
    poll::until("a subscriber is counted", || (value("engine_daemon_events_subscribers_total") == Some(1.0)).then_some(()));
    watcher.kill().unwrap();
    watcher.wait().unwrap();
    poll::until("it is gone", || (value("engine_daemon_events_subscribers_total") == Some(0.0)).then_some(()));
    poll::until("health checks", || value("engine_daemon_health_checks_total").filter(|n| *n >= 2.0));
    poll::until("the states", || {
        let (now, _) = scrape(&daemon);
        let state = |name: &str| now[&format!("engine_daemon_container_states_containers{{state=\"{name}\"}}")];
        ((state("running"), state("paused"), state("stopped")) == (1.0, 1.0, 1.0)).then_some(())
    });

    let (after, types) = scrape(&daemon);
    for (name, kind) in FAMILIES {
        assert_eq!(types.get(name).map(String::as_str), Some(kind), "{name}");
    }
    // Nothing that dockerd says of its engine is forgotten here.
    for name in types.keys().filter(|name| name.starts_with("engine_daemon_") || name.starts_with("process_")) {
        assert!(FAMILIES.iter().any(|(known, _)| known == name), "{name}");
    }
    let grew = |series: &str| after.get(series).copied().unwrap_or_default() - before.get(series).copied().unwrap_or_default();
    let action = |kind: &str, name: &str| grew(&format!("engine_daemon_{kind}_actions_seconds_count{{action=\"{name}\"}}"));
    for (name, times) in [("create", 4.0), ("start", 3.0), ("delete", 1.0), ("changes", 1.0), ("commit", 1.0)] {
        assert_eq!(action("container", name), times, "{name}");
    }
    assert_eq!(action("image", "delete"), 1.0);
    for name in ["allocate", "connect", "release"] {
        assert!(action("network", name) >= 1.0, "{name}");
    }
    assert!(grew("engine_daemon_host_info_functions_seconds_count{function=\"system_info\"}") >= 1.0);
    assert!(grew("engine_daemon_events_total") >= 10.0);
    assert_eq!(grew("engine_daemon_health_checks_failed_total"), 0.0);
    let buckets = after.keys().filter(|k| k.starts_with("engine_daemon_container_actions_seconds_bucket{action=\"start\",le="));
    let bounds: Vec<_> = buckets.map(|k| k.split('"').nth(3).unwrap()).collect();
    assert_eq!(bounds, ["+Inf", "0.005", "0.01", "0.025", "0.05", "0.1", "0.25", "0.5", "1", "10", "2.5", "5"]);

    let info = daemon.http().get("/info").expect(200).json();
    let of = |key: &str| info[key].as_str().unwrap().to_owned();
    let line = after.keys().find(|k| k.starts_with("engine_daemon_engine_info{")).unwrap();
    let labels: Vec<_> = line.split(['{', '}']).nth(1).unwrap().split("\",").map(|l| l.split_once("=\"").unwrap()).collect();
    let label = |name: &str| labels.iter().find(|(n, _)| *n == name).map(|(_, value)| value.trim_end_matches('"').to_owned());
    for (name, value) in [
        ("architecture", of("Architecture")),
        ("daemon_id", of("ID")),
        ("graphdriver", of("Driver")),
        ("kernel", of("KernelVersion")),
        ("os", of("OperatingSystem")),
        ("os_type", "linux".to_owned()),
        ("os_version", of("OSVersion")),
        ("version", of("ServerVersion")),
    ] {
        assert_eq!(label(name), Some(value), "{name}");
    }
    assert_eq!((labels.len(), label("commit").is_some()), (9, true));
    assert_eq!(after["engine_daemon_engine_cpus_cpus"], info["NCPU"].as_f64().unwrap());
    assert_eq!(after["engine_daemon_engine_memory_bytes"], info["MemTotal"].as_f64().unwrap());
    assert!(after["process_open_fds"] > 5.0 && after["process_resident_memory_bytes"] > 1e6);
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs_f64();
    assert!((now - after["process_start_time_seconds"]).abs() < 600.0);
}

fn only_metrics_are_served(case: &Case) {
    let daemon = Daemon::start(Some(json!({"metrics-addr": ADDRESS})));
    assert_eq!(fetch(&daemon, "/"), ("404".to_owned(), "text/plain; charset=utf-8".to_owned(), "404 page not found".to_owned()));
    assert_eq!(fetch(&daemon, "/containers/json").0, "404");
    // Not a way around authorization, and no series of what there is none of.
    let (samples, _) = scrape(&daemon);
    assert!(case.engine().is_dockerd() || !samples.keys().any(|name| name.starts_with("wharf_")), "{samples:?}");
    daemon.load(&image::basic_archive());
}

fn an_address_that_is_taken(_: &Case) {
    let daemon = Daemon::start(None);
    // Another one in the same network.
    let taken = daemon.net.command("python3").args(["-c", TAKE]).stdout(Stdio::piped()).stdin(Stdio::piped()).spawn();
    let mut taken = taken.unwrap();
    let mut ready = [0];
    std::io::Read::read_exact(taken.stdout.as_mut().unwrap(), &mut ready).unwrap();
    daemon.stop();
    for (address, why) in [
        (ADDRESS, format!("failed to start metrics server: listen tcp {ADDRESS}: bind: ")),
        ("nonsense", "address nonsense: missing port in address".to_owned()),
    ] {
        let dir = tempfile::tempdir().unwrap();
        std::fs::write(dir.path().join("daemon.json"), "{}").unwrap();
        let mut command = daemon.engine.command(dir.path(), &daemon.net);
        let ended = run(command.args(["--metrics-addr", address]));
        assert_eq!(ended.code, 1, "{address}");
        assert!(ended.stderr.contains(&why), "{}", ended.stderr);
    }
    taken.kill().unwrap();
    taken.wait().unwrap();
    daemon.boot();
}

const TAKE: &str = "import socket, sys; s = socket.create_server(('127.0.0.1', 9323)); print('x', end='', flush=True); sys.stdin.read()";
