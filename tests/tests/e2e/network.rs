//! What a container's network looks like from inside, and what reaches it.

use std::process::Stdio;

use serde_json::Value;
use wharf_tests::{Case, poll, suite};

suite![none, host, joined, bridge_addresses, neighbours, names_and_resolver, explicit_dns, outgoing, stopped_has_none, forwarding];

fn none(case: &Case) {
    let links = case.run(&["--rm", "--network", "none", "busybox", "ip", "-o", "link"]).ok();
    assert_eq!(links.lines().count(), 1, "{links}");
    assert!(links.contains(" lo:") && links.contains("UP"), "{links}");
    case.run(&["--rm", "--network", "none", "busybox", "ping", "-c", "1", "127.0.0.1"]).ok();
}

fn host(case: &Case) {
    let inside = case.run(&["--rm", "--network", "host", "busybox", "sh", "-c", "ls /sys/class/net >/dev/null; ip -o link | wc -l"]).ok();
    assert!(inside.parse::<usize>().unwrap() >= 2, "{inside}");
    let hostname = case.run(&["--rm", "--network", "host", "busybox", "hostname"]).ok();
    assert_eq!(hostname, std::fs::read_to_string("/proc/sys/kernel/hostname").unwrap().trim());
}

fn joined(case: &Case) {
    let first = case.spawn("first", &[], "sleep 100");
    let mode = format!("container:{first}");
    let link =
        |options: &[&str]| case.run(&[&["--rm"], options, &["busybox", "sh", "-c", "ip -o -4 addr show eth0; hostname"]].concat()).ok();
    let own = case.docker(&["exec", &first, "sh", "-c", "ip -o -4 addr show eth0; hostname"]).ok();
    assert_eq!(link(&["--network", &mode]), own);
    let refused = case.run(&["--rm", "--network", &mode, "-h", "other", "busybox", "true"]).fails(125);
    assert!(refused.contains("conflicting options: hostname and the network mode"), "{refused}");
    // What one hears on its loopback, the other can say.
    let server = case.name("server");
    case.run(&["-d", "--name", &server, "--network", &mode, "busybox", "sh", "-c", "while :; do echo answer | nc -l -p 999; done"]).ok();
    poll::until("an answer", || (case.docker(&["exec", &first, "nc", "-w", "1", "127.0.0.1", "999"]).stdout == "answer\n").then_some(()));
    let missing = case.run(&["--rm", "--network", "container:no-such", "busybox", "true"]);
    assert!(missing.code == 125 && missing.stderr.contains("No such container: no-such"), "{missing:?}");
}

/// The endpoint of a container on the default network.
fn endpoint(case: &Case, name: &str) -> Value {
    serde_json::from_str(&case.inspect(name, "{{json .NetworkSettings.Networks.bridge}}")).unwrap()
}

fn bridge_addresses(case: &Case) {
    let name = case.spawn("b", &[], "sleep 100");
    let endpoint = endpoint(case, &name);
    let (address, gateway) = (endpoint["IPAddress"].as_str().unwrap(), endpoint["Gateway"].as_str().unwrap());
    let shown = case.docker(&["exec", &name, "sh", "-c", "ip -o -4 addr show eth0; ip route; cat /sys/class/net/eth0/address"]).ok();
    assert!(shown.contains(&format!("inet {address}/{}", endpoint["IPPrefixLen"])), "{shown}");
    assert!(shown.contains(&format!("default via {gateway} dev eth0")), "{shown}");
    assert!(shown.ends_with(endpoint["MacAddress"].as_str().unwrap()), "{shown}");
    case.docker(&["exec", &name, "ping", "-c", "1", "-W", "5", gateway]).ok();
    assert_eq!(endpoint["NetworkID"].as_str().unwrap().len(), 64);
    assert_eq!(endpoint["EndpointID"].as_str().unwrap().len(), 64);
    let flat = case.inspect(&name, "{{.NetworkSettings.IPAddress}} {{.NetworkSettings.Gateway}}");
    assert_eq!(flat, format!("{address} {gateway}"));
}

fn neighbours(case: &Case) {
    let (a, b) = (case.spawn("a", &[], "while :; do echo over | nc -l -p 80; done"), case.spawn("b", &[], "sleep 100"));
    let address = endpoint(case, &a)["IPAddress"].as_str().unwrap().to_owned();
    case.docker(&["exec", &b, "ping", "-c", "1", "-W", "5", &address]).ok();
    poll::until("a word over TCP", || (case.docker(&["exec", &b, "nc", "-w", "2", &address, "80"]).stdout == "over\n").then_some(()));
    // The host side reaches it as well.
    case.daemon().net.sh(&format!("busybox ping -c 1 -W 5 {address}"));
}

fn names_and_resolver(case: &Case) {
    let name = case.spawn("n", &["-h", "named"], "sleep 100");
    let address = endpoint(case, &name)["IPAddress"].as_str().unwrap().to_owned();
    let hosts = case.docker(&["exec", &name, "cat", "/etc/hosts"]).ok();
    let entry = |ip: &str| hosts.lines().find(|l| l.split_whitespace().next() == Some(ip)).unwrap_or_else(|| panic!("{hosts}")).to_owned();
    assert!(entry("127.0.0.1").contains("localhost"), "{hosts}");
    assert!(entry(&address).split_whitespace().any(|w| w == "named"), "{hosts}");
    assert!(case.docker(&["exec", &name, "cat", "/etc/resolv.conf"]).ok().contains("nameserver"));
    assert_eq!(case.docker(&["exec", &name, "hostname"]).ok(), "named");
    // The files are the container's own: writable, and gone with it.
    case.docker(&["exec", &name, "sh", "-c", "echo 9.9.9.9 extra >> /etc/hosts && grep -q extra /etc/hosts"]).ok();
}

fn explicit_dns(case: &Case) {
    let resolv = case
        .run(&[
            "--rm",
            "--dns",
            "192.0.2.53",
            "--dns-search",
            "example.org",
            "--dns-option",
            "ndots:3",
            "busybox",
            "cat",
            "/etc/resolv.conf",
        ])
        .ok();
    let lines: Vec<&str> = resolv.lines().filter(|l| !l.starts_with('#')).collect();
    assert!(
        lines.contains(&"nameserver 192.0.2.53") && lines.contains(&"search example.org") && lines.contains(&"options ndots:3"),
        "{resolv}"
    );
}

/// The "internet" is a second namespace behind a veth pair; it answers only to an address that it knows, so a reply proves NAT.
fn outgoing(case: &Case) {
    let daemon = case.daemon();
    let outside = wharf_tests::NetNs::new();
    let mut holder = outside.command("sleep").arg("1000").stdout(Stdio::null()).spawn().unwrap();
    daemon.net.sh(&format!("ip link add up0 type veth peer name down0 netns {}", holder.id()));
    daemon.net.sh("ip addr add 198.51.100.1/30 dev up0 && ip link set up0 up");
    outside.sh("ip addr add 198.51.100.2/30 dev down0 && ip link set down0 up");
    let out = case.run(&["--rm", "busybox", "ping", "-c", "1", "-W", "5", "198.51.100.2"]);
    daemon.net.sh("ip link del up0");
    holder.kill().unwrap();
    holder.wait().unwrap();
    out.ok();
}

fn stopped_has_none(case: &Case) {
    let name = case.spawn("s", &[], "sleep 100");
    case.docker(&["stop", "-t", "0", &name]).ok();
    let stopped = endpoint(case, &name);
    assert_eq!(
        (stopped["IPAddress"].as_str(), stopped["Gateway"].as_str(), stopped["IPPrefixLen"].as_u64()),
        (Some(""), Some(""), Some(0))
    );
    case.docker(&["start", &name]).ok();
    assert_ne!(endpoint(case, &name)["IPAddress"], "");
}

/// The engine turns forwarding on for its containers, and says so from its first answer on.
fn forwarding(case: &Case) {
    let daemon = case.own_daemon(None);
    assert_eq!(daemon.stop(), 0);
    daemon.net.sh("echo 0 >/proc/sys/net/ipv4/ip_forward");
    daemon.boot();
    let info = daemon.http().get("/info").expect(200).json();
    assert_eq!(info["IPv4Forwarding"], Value::Bool(true));
    assert!(!info["Warnings"].to_string().contains("IPv4 forwarding"), "{}", info["Warnings"]);
}
