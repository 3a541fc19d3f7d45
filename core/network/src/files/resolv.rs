//! `/etc/resolv.conf`.

use std::{fmt::Write, fs, io, net::IpAddr, path::Path};
use wharf_types::{Result, error::Context};

/// What replaces the host's settings, from the container's options or else the daemon's. An empty list keeps the host's.
#[derive(Debug, Clone, Default)]
pub struct ResolvInput {
    /// Servers.
    pub dns: Vec<IpAddr>,
    /// Search domains; a single `.` stands for none at all.
    pub search: Vec<String>,
    /// Options such as `ndots:2`.
    pub options: Vec<String>,
    /// Whether the container reaches the host's loopback addresses (it shares the host's network).
    pub loopback_ok: bool,
}

/// Docker's choice for a host without servers that a container can reach.
const FALLBACK: [&str; 2] = ["8.8.8.8", "8.8.4.4"];
/// Where systemd-resolved listens, and the file in which it tells of the servers behind it.
const RESOLVED: &str = "127.0.0.53";
const BEHIND_RESOLVED: &str = "run/systemd/resolve/resolv.conf";

/// The host's file under `root`. With `loopback_ok` as it is; otherwise, where it only leads to systemd-resolved's loopback
/// address, the one that lists the real servers. Empty when there is none. Blocks.
///
/// # Errors
/// When the file cannot be read as text.
pub fn host_resolv_conf(root: &Path, loopback_ok: bool) -> Result<String> {
    let read = |path: &str| match fs::read_to_string(root.join(path)) {
        Err(e) if e.kind() == io::ErrorKind::NotFound => Ok(String::new()),
        text => text.context(path),
    };
    let text = read("etc/resolv.conf")?;
    if !loopback_ok && servers(&text).eq([RESOLVED]) {
        let behind = read(BEHIND_RESOLVED)?;
        return Ok(if behind.is_empty() { text } else { behind });
    }
    Ok(text)
}

/// The container's file, from the host's and what replaces parts of it.
pub fn resolv_conf(host: &str, input: &ResolvInput) -> String {
    let overridden = !(input.dns.is_empty() && input.search.is_empty() && input.options.is_empty());
    if input.loopback_ok && !overridden {
        return host.to_owned();
    }
    let mut dns: Vec<String> = input.dns.iter().map(IpAddr::to_string).collect();
    if dns.is_empty() {
        dns = servers(host).filter(|server| input.loopback_ok || !is_loopback(server)).map(str::to_owned).collect();
    }
    if dns.is_empty() {
        dns = FALLBACK.map(str::to_owned).to_vec();
    }
    // The last `search` or `domain` line is the one that counts; option lines add up.
    let search: Vec<&str> = match input.search.as_slice() {
        [] => lines(host)
            .filter(|(key, _)| matches!(*key, "search" | "domain"))
            .last()
            .map_or_else(Vec::new, |(_, v)| v.split_whitespace().collect()),
        [none] if none == "." => Vec::new(),
        own => own.iter().map(String::as_str).collect(),
    };
    let options: Vec<&str> = match input.options.as_slice() {
        [] => lines(host).filter(|(key, _)| *key == "options").flat_map(|(_, v)| v.split_whitespace()).collect(),
        own => own.iter().map(String::as_str).collect(),
    };
    let mut out = String::new();
    for server in dns {
        let _ = writeln!(out, "nameserver {server}");
    }
    for (key, values) in [("search", search), ("options", options)] {
        if !values.is_empty() {
            let _ = writeln!(out, "{key} {}", values.join(" "));
        }
    }
    out
}

/// Keywords and their values, without comments.
fn lines(text: &str) -> impl Iterator<Item = (&str, &str)> {
    text.lines().map(str::trim).filter(|l| !l.starts_with(['#', ';'])).filter_map(|l| l.split_once(char::is_whitespace))
}

fn servers(text: &str) -> impl Iterator<Item = &str> {
    lines(text).filter(|(key, _)| *key == "nameserver").filter_map(|(_, value)| value.split_whitespace().next())
}

/// Also with a zone (`::1%lo`); what is no address at all is left to the resolver.
fn is_loopback(server: &str) -> bool {
    let bare = server.split('%').next().unwrap_or(server);
    bare.parse::<IpAddr>().is_ok_and(|a| a.is_loopback() || a.is_unspecified())
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOST: &str = "\
# made by a program
nameserver 127.0.0.1
nameserver 10.0.0.53   # comment
nameserver ::1%lo
domain old.example
search a.example b.example
options ndots:2
options timeout:1
";

    #[test]
    fn the_hosts_file_without_what_is_out_of_reach() {
        assert_eq!(
            resolv_conf(HOST, &ResolvInput::default()),
            "nameserver 10.0.0.53\nsearch a.example b.example\noptions ndots:2 timeout:1\n"
        );
        assert_eq!(resolv_conf("nameserver 127.0.0.53\n", &ResolvInput::default()), "nameserver 8.8.8.8\nnameserver 8.8.4.4\n");
        assert_eq!(resolv_conf("", &ResolvInput::default()), "nameserver 8.8.8.8\nnameserver 8.8.4.4\n");
    }

    #[test]
    fn replaced_parts() {
        let input = ResolvInput { dns: vec!["1.1.1.1".parse().unwrap()], search: vec![".".to_owned()], ..ResolvInput::default() };
        assert_eq!(resolv_conf(HOST, &input), "nameserver 1.1.1.1\noptions ndots:2 timeout:1\n");
        let input =
            ResolvInput { search: vec!["x".to_owned(), "y".to_owned()], options: vec!["rotate".to_owned()], ..ResolvInput::default() };
        assert_eq!(resolv_conf(HOST, &input), "nameserver 10.0.0.53\nsearch x y\noptions rotate\n");
    }

    #[test]
    fn on_the_hosts_network() {
        let input = ResolvInput { loopback_ok: true, ..ResolvInput::default() };
        assert_eq!(resolv_conf(HOST, &input), HOST);
        let input = ResolvInput { options: vec!["rotate".to_owned()], ..input };
        assert!(resolv_conf(HOST, &input).starts_with("nameserver 127.0.0.1\nnameserver 10.0.0.53\n"));
    }

    #[test]
    fn systemd_resolved() {
        let root = tempfile::tempdir().unwrap();
        let write = |path: &str, text: &str| {
            let path = root.path().join(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        assert_eq!(host_resolv_conf(root.path(), false).unwrap(), "");
        write("etc/resolv.conf", "nameserver 127.0.0.53\n");
        assert_eq!(host_resolv_conf(root.path(), false).unwrap(), "nameserver 127.0.0.53\n");
        write(BEHIND_RESOLVED, "nameserver 10.0.0.53\n");
        assert_eq!(host_resolv_conf(root.path(), false).unwrap(), "nameserver 10.0.0.53\n");
        assert_eq!(host_resolv_conf(root.path(), true).unwrap(), "nameserver 127.0.0.53\n");
    }
}
