//! The interfaces of a network namespace, by `/proc/<pid>/net/dev`.

use std::collections::BTreeMap;
use wharf_api_types::stats::NetworkStats;

/// Devices that the kernel puts into every namespace.
const KERNELS_OWN: [&str; 10] = ["lo", "tunl0", "gre0", "gretap0", "erspan0", "ip_vti0", "ip6_vti0", "sit0", "ip6tnl0", "ip6gre0"];

/// Counts by interface.
pub fn parse(text: &str) -> BTreeMap<String, NetworkStats> {
    text.lines().filter_map(line).filter(|(name, _)| !KERNELS_OWN.contains(&name.as_str())).collect()
}

fn line(line: &str) -> Option<(String, NetworkStats)> {
    let (name, counts) = line.split_once(':')?;
    let counts: Vec<u64> = counts.split_whitespace().map(|n| n.parse().ok()).collect::<Option<_>>()?;
    // Received: bytes packets errs drop fifo frame compressed multicast; the same of what was sent.
    let [rx_bytes, rx_packets, rx_errors, rx_dropped, _, _, _, _, tx_bytes, tx_packets, tx_errors, tx_dropped, ..] = *counts.as_slice()
    else {
        return None;
    };
    let stats = NetworkStats { rx_bytes, rx_packets, rx_errors, rx_dropped, tx_bytes, tx_packets, tx_errors, tx_dropped };
    Some((name.trim().to_owned(), stats))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn interfaces() {
        let text = "Inter-|   Receive  |  Transmit\n face |bytes packets|bytes\n    lo: 9 9 0 0 0 0 0 0 9 9 0 0 0 0 0 0\n  \
                    eth0:736 8 1 2 0 0 0 0 42 3 4 5 0 0 0 0\n  sit0: 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0 0\n";
        let found = parse(text);
        let eth0 = NetworkStats {
            rx_bytes: 736,
            rx_packets: 8,
            rx_errors: 1,
            rx_dropped: 2,
            tx_bytes: 42,
            tx_packets: 3,
            tx_errors: 4,
            tx_dropped: 5,
        };
        assert_eq!(found, [("eth0".to_owned(), eth0)].into());
    }
}
