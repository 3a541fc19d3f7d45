//! Measures the network's part of starting and ending a container: `unshare -n cargo run --release -p wharf-network --example latency`.

use std::time::{Duration, Instant};
use wharf_network::{BridgeConfig, BridgeNetwork, EndpointRequest, netns};
use wharf_types::{ContainerId, Result};

const ROUNDS: usize = 200;

fn main() -> Result<()> {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(measure())
}

async fn measure() -> Result<()> {
    let dir = std::env::temp_dir().join(format!("wharf-latency-{}", std::process::id()));
    let config = BridgeConfig {
        name: "wharfbench".to_owned(),
        subnet: None,
        fixed_cidr: None,
        default_gateway: None,
        mtu: 1500,
        ip_masq: true,
        icc: true,
        ip_forward: false,
        firewall: true,
        pools: Vec::new(),
    };
    let started = Instant::now();
    let network = BridgeNetwork::ensure(config, &dir).await?;
    println!("ensure            {:>9.1?}", started.elapsed());
    let path = dir.join("netns");
    let mut times: [Vec<Duration>; 4] = Default::default();
    for _ in 0..ROUNDS {
        let mut last = Instant::now();
        let mut lap = || {
            let lap = last.elapsed();
            last = Instant::now();
            lap
        };
        netns::create(&path)?;
        let create = lap();
        let endpoint = network.attach(&ContainerId::random()?, &path, EndpointRequest::default()).await?;
        let attach = lap();
        network.detach(&endpoint).await?;
        let detach = lap();
        netns::delete(&path)?;
        for (all, one) in times.iter_mut().zip([create, attach, detach, lap()]) {
            all.push(one);
        }
    }
    for (name, mut all) in ["netns::create", "attach", "detach", "netns::delete"].into_iter().zip(times) {
        all.sort();
        let at = |part: usize| all.get(all.len() * part / 100).copied().unwrap_or_default();
        println!("{name:<15} median {:>9.1?}   p95 {:>9.1?}", at(50), at(95));
    }
    network.remove().await?;
    std::fs::remove_dir_all(&dir)?;
    Ok(())
}
