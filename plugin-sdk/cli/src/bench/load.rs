//! What `bench` asks of each kind unless it is told: what an engine asks most.

use super::{Measured, measure};
use anyhow::Result;
use std::time::Duration;
use wharf_spi::{
    ipam::{IpamDriver, LeaseOwner, PoolRequest},
    logging::{
        LogContainer, LogDriver, LogTransform, Outcome,
        batch::{self, Entry, Stream},
    },
    metrics::{Family, MetricsSink, Number, Series},
    volume::{Volume, VolumeDriver},
};
use wharf_types::Timestamp;

/// Entries of a batch, and bytes of each.
const ENTRIES: usize = 1_000;
const LENGTH: usize = 200;
/// Families of a snapshot, and series of each.
const FAMILIES: usize = 50;
const SERIES: usize = 10;
/// Where addresses come from.
const SUBNET: &str = "10.250.0.0/24";

fn said(e: wharf_types::Error) -> String {
    e.to_string()
}

/// Whole lines of letters.
fn lines() -> Result<Vec<u8>> {
    let mut all = Vec::new();
    for number in 0..ENTRIES {
        let line: Vec<u8> = (b'a'..=b'z').cycle().skip(number % 26).take(LENGTH).collect();
        batch::append(&mut all, &Entry { time: number as u64, stream: Stream::Out, partial: false, line: &line })?;
    }
    Ok(all)
}

/// Batches of one container.
pub async fn batches(driver: &dyn LogDriver, time: Duration) -> Result<Measured> {
    let text = str::to_owned;
    let container = LogContainer {
        id: text("1"),
        name: text("bench"),
        image_id: text("2"),
        image_name: text("alpine"),
        command: text("sh"),
        created: Timestamp::ZERO,
        labels: Vec::new(),
        env: Vec::new(),
    };
    let (mut sink, lines) = (driver.open(&container, &[], 0).await?, lines()?);
    let measured = measure("batches of 1000 entries pushed", ENTRIES, time, async |number| {
        match sink.push(&lines, (number + 1) * ENTRIES as u64).await.map_err(said)? {
            Outcome::RetryAfter(time) => Err(format!("it wants the batch again in {time:?}")),
            _ => Ok(()),
        }
    });
    Ok(measured.await)
}

/// The same batches on their way.
pub async fn transformations(transform: &dyn LogTransform, time: Duration) -> Result<Measured> {
    let lines = lines()?;
    let measured =
        measure("batches of 1000 entries transformed", ENTRIES, time, async |_| transform.apply(&lines).await.map(drop).map_err(said));
    Ok(measured.await)
}

/// What to mount for a volume that was made before.
pub async fn mounts(driver: &dyn VolumeDriver, time: Duration) -> Result<Measured> {
    let volume = Volume { name: "bench".to_owned(), id: "1".to_owned(), options: Vec::new(), labels: Vec::new() };
    driver.create("create", &volume).await?;
    Ok(measure("publications", 0, time, async |_| driver.publish("publish", &volume).await.map(drop).map_err(said)).await)
}

/// Numbers that the sink wants.
pub async fn snapshots(sink: &dyn MetricsSink, time: Duration) -> Result<Measured> {
    let names = sink.interest().names;
    let begin = names.first().map_or("wharf_", String::as_str);
    let family = |number: usize| Family {
        name: format!("{begin}{number}"),
        help: String::new(),
        series: (0..SERIES)
            .map(|n| Series { labels: vec![("number".to_owned(), n.to_string())], value: Number::Counter(n as f64) })
            .collect(),
    };
    let families: Vec<Family> = (0..FAMILIES).map(family).collect();
    let now = Timestamp::from_nanos(1);
    Ok(measure("snapshots of 500 series", 0, time, async |_| sink.push(now, &families).await.map_err(said)).await)
}

/// An address for an endpoint, given back at once.
pub async fn leases(driver: &dyn IpamDriver, time: Duration) -> Result<Measured> {
    let pool = driver.open_pool("pool", &PoolRequest { subnet: Some(SUBNET.parse()?), ..PoolRequest::default() }).await?;
    let measured = measure("allocations and releases", 0, time, async |number| {
        let owner = LeaseOwner { endpoint: number.to_string(), ..LeaseOwner::default() };
        let lease = driver.allocate(&format!("allocate {number}"), &pool, &owner, None).await.map_err(said)?;
        driver.release(&format!("release {number}"), &lease).await.map_err(said)
    });
    Ok(measured.await)
}
