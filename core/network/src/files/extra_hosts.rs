//! `--add-host`.

use std::net::IpAddr;
use wharf_types::{Error, Result};

/// Stands for the host's address on the container's network.
const HOST_GATEWAY: &str = "host-gateway";

/// Reads `name:address` and `name=address` entries, where an IPv6 address may be in brackets. `host_gateway` replaces the address
/// `host-gateway`.
///
/// # Errors
/// For the first entry that is wrong, in Docker's words; also for `host-gateway` where there is no such address.
pub fn extra_hosts<S: AsRef<str>>(entries: &[S], host_gateway: Option<IpAddr>) -> Result<Vec<(String, IpAddr)>> {
    entries.iter().map(|entry| parse(entry.as_ref(), host_gateway)).collect()
}

fn parse(entry: &str, host_gateway: Option<IpAddr>) -> Result<(String, IpAddr)> {
    // The first separator counts: an IPv6 address has colons of its own.
    let (name, address) = entry
        .split_once(['=', ':'])
        .filter(|(name, address)| !name.is_empty() && !address.is_empty())
        .ok_or_else(|| Error::invalid(format!("bad format for add-host: {entry:?}")))?;
    if address == HOST_GATEWAY {
        let address = host_gateway.ok_or_else(|| Error::invalid("unable to derive the IP value for host-gateway"))?;
        return Ok((name.to_owned(), address));
    }
    let bare = address.strip_prefix('[').and_then(|a| a.strip_suffix(']')).unwrap_or(address);
    let address = bare.parse().map_err(|_| Error::invalid(format!("invalid IP address in add-host: {address:?}")))?;
    Ok((name.to_owned(), address))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_separators() {
        let gateway = Some("172.17.0.1".parse().unwrap());
        let read = extra_hosts(&["a:10.0.0.1", "b=10.0.0.2", "c:::1", "d=[fe80::1]", "e:host-gateway"], gateway).unwrap();
        let read: Vec<String> = read.into_iter().map(|(n, a)| format!("{n} {a}")).collect();
        assert_eq!(read, ["a 10.0.0.1", "b 10.0.0.2", "c ::1", "d fe80::1", "e 172.17.0.1"]);
    }

    #[test]
    fn errors_are_dockers() {
        let message = |entry: &str| extra_hosts(&[entry], None).unwrap_err().message().to_owned();
        assert_eq!(message("x"), "bad format for add-host: \"x\"");
        assert_eq!(message(":10.0.0.1"), "bad format for add-host: \":10.0.0.1\"");
        assert_eq!(message("x:"), "bad format for add-host: \"x:\"");
        assert_eq!(message("x:1.2.3"), "invalid IP address in add-host: \"1.2.3\"");
        assert_eq!(message("x:host-gateway"), "unable to derive the IP value for host-gateway");
    }
}
