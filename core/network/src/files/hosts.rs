//! `/etc/hosts`.

use std::{
    fmt::{Display, Write},
    net::IpAddr,
};

/// The names of a container with its own network stack.
#[derive(Debug, Clone, Default)]
pub struct HostsInput {
    /// Without the domain.
    pub hostname: String,
    /// Empty when there is none.
    pub domainname: String,
    /// The container's addresses on its networks.
    pub addresses: Vec<IpAddr>,
    /// Names and addresses from `--add-host`.
    pub extra_hosts: Vec<(String, IpAddr)>,
    /// Whether the container has IPv6, at least on `lo`.
    pub ipv6: bool,
}

const LOCALHOST: &str = "127.0.0.1\tlocalhost\n";
/// Also in a container without IPv6 addresses, but pointless where the kernel has no IPv6.
const LOCALHOST_V6: &str = "\
::1\tlocalhost ip6-localhost ip6-loopback
fe00::\tip6-localnet
ff00::\tip6-mcastprefix
ff02::1\tip6-allnodes
ff02::2\tip6-allrouters
";

fn line(out: &mut String, address: IpAddr, names: impl Display) {
    let _ = writeln!(out, "{address}\t{names}");
}

/// The file of a container with its own network stack.
pub fn hosts(input: &HostsInput) -> String {
    let mut out = LOCALHOST.to_owned();
    if input.ipv6 {
        out.push_str(LOCALHOST_V6);
    }
    for (name, address) in &input.extra_hosts {
        line(&mut out, *address, name);
    }
    let HostsInput { hostname, domainname, .. } = input;
    for address in &input.addresses {
        if domainname.is_empty() {
            line(&mut out, *address, hostname);
        } else {
            line(&mut out, *address, format_args!("{hostname}.{domainname} {hostname}"));
        }
    }
    out
}

/// The file of a container on the host's network: the host's own, and what `--add-host` adds.
pub fn hosts_of_host(host: &str, extra_hosts: &[(String, IpAddr)]) -> String {
    let mut out = host.to_owned();
    if !extra_hosts.is_empty() && !out.is_empty() && !out.ends_with('\n') {
        out.push('\n');
    }
    for (name, address) in extra_hosts {
        line(&mut out, *address, name);
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn input() -> HostsInput {
        HostsInput {
            hostname: "f00f5a500a84".to_owned(),
            addresses: vec!["172.17.0.2".parse().unwrap()],
            extra_hosts: vec![("db".to_owned(), "10.0.0.9".parse().unwrap())],
            ..HostsInput::default()
        }
    }

    #[test]
    fn without_ipv6() {
        assert_eq!(hosts(&input()), "127.0.0.1\tlocalhost\n10.0.0.9\tdb\n172.17.0.2\tf00f5a500a84\n");
    }

    #[test]
    fn with_ipv6_and_a_domain() {
        insta::assert_snapshot!(hosts(&HostsInput { ipv6: true, domainname: "example.org".to_owned(), ..input() }), @r"
        127.0.0.1	localhost
        ::1	localhost ip6-localhost ip6-loopback
        fe00::	ip6-localnet
        ff00::	ip6-mcastprefix
        ff02::1	ip6-allnodes
        ff02::2	ip6-allrouters
        10.0.0.9	db
        172.17.0.2	f00f5a500a84.example.org f00f5a500a84
        ");
    }

    #[test]
    fn of_the_host() {
        assert_eq!(hosts_of_host("127.0.0.1 localhost", &[]), "127.0.0.1 localhost");
        assert_eq!(hosts_of_host("127.0.0.1 localhost", &input().extra_hosts), "127.0.0.1 localhost\n10.0.0.9\tdb\n");
    }
}
