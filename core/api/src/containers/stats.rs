//! `GET /containers/{id}/stats`. Always chunked: clients take a reply with a length for an error.

use crate::{
    Cx, authz,
    contract::{Answer, flag},
    endpoint::{Endpoint, Row},
    reply::{JSON, Response, streaming},
    request::Request,
    stream,
};
use futures_util::stream::unfold;
use serde::Serialize;
use std::time::Duration;
use wharf_api_types::{
    ApiVersion,
    stats::{NetworkStats, Stats as Shape},
};
use wharf_engine::stats::Sampler;
use wharf_spi::authz::Object;
use wharf_types::{Error, Result, Timestamp};

/// Between two samples.
const PERIOD: Duration = Duration::from_secs(1);

/// Shows what a container uses: once, or every second.
pub struct Stats;

#[derive(Serialize)]
pub struct Input {
    id: String,
    stream: bool,
    one_shot: bool,
    #[serde(skip)]
    api: ApiVersion,
}

impl Endpoint for Stats {
    const ROW: Row = Row::get("/containers/{id}/stats", "container.stats")
        .since(17)
        .query(&[flag("stream"), flag("one-shot").since(41)])
        .answers(&[Answer::lines::<Shape>(&[JSON])]);
    type Input = Input;
    type Output = Response;

    async fn decode(_: &Cx, rq: Request) -> Result<Input> {
        let (query, api) = (rq.query(), rq.api());
        let stream = query.flag_or_true("stream");
        let one_shot = query.flag("one-shot");
        if stream && one_shot {
            return Err(Error::invalid("cannot have stream=true and one-shot=true"));
        }
        Ok(Input { id: rq.path("id")?, stream, one_shot, api })
    }
    fn targets(input: &Input, cx: &Cx) -> Vec<Object> {
        authz::container(cx, &input.id)
    }
    async fn execute(cx: &Cx, input: Input) -> Result<Response> {
        let Input { id, stream, one_shot, api } = input;
        let sampler = cx.containers.stats(&id)?;
        // Nothing changes in a container that does not run: no second sample is needed to compare with.
        let primed = stream || one_shot || !sampler.is_running();
        let body = unfold((sampler, Turn::First), move |(mut sampler, turn)| async move {
            match turn {
                Turn::First if !primed => prime(&mut sampler).await,
                Turn::First => {}
                Turn::Next if !stream => return None,
                Turn::Next => wait(&mut sampler).await?,
            }
            match sampler.sample().await {
                Ok(stats) => Some((stream::line(&shape(stats, api), "\n"), (sampler, Turn::Next))),
                Err(e) => {
                    tracing::warn!(container = ?sampler.id(), error = %e, "no statistics");
                    None
                }
            }
        });
        Ok(streaming(JSON, stream::body(body)))
    }
}

enum Turn {
    First,
    Next,
}

/// One sample that is not shown: the CPU times that the next one is compared with.
async fn prime(sampler: &mut Sampler) {
    let _ = sampler.sample().await;
    let _ = wait(sampler).await;
}

/// Until it is time for the next sample; none when the container was removed.
async fn wait(sampler: &mut Sampler) -> Option<()> {
    tokio::select! {
        () = tokio::time::sleep(PERIOD) => Some(()),
        () = sampler.gone() => None,
    }
}

fn shape(mut stats: Shape, version: ApiVersion) -> Shape {
    if version.before(52) {
        stats.os_type.clear();
    }
    // One that does not run had a name and no network; one that runs had no name.
    if version.before(21) && stats.read != Timestamp::ZERO.to_string() {
        (stats.name, stats.id) = (String::new(), String::new());
        stats.network = Some(std::mem::take(&mut stats.networks).into_values().fold(NetworkStats::default(), |a, b| NetworkStats {
            rx_bytes: a.rx_bytes + b.rx_bytes,
            rx_packets: a.rx_packets + b.rx_packets,
            rx_errors: a.rx_errors + b.rx_errors,
            rx_dropped: a.rx_dropped + b.rx_dropped,
            tx_bytes: a.tx_bytes + b.tx_bytes,
            tx_packets: a.tx_packets + b.tx_packets,
            tx_errors: a.tx_errors + b.tx_errors,
            tx_dropped: a.tx_dropped + b.tx_dropped,
        }));
    }
    stats
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn shapes() {
        let interface = NetworkStats { rx_bytes: 1, tx_dropped: 2, ..NetworkStats::default() };
        let stats = Shape {
            read: "0001-01-01T00:00:00Z".to_owned(),
            name: "/web".to_owned(),
            id: "a".to_owned(),
            os_type: "linux".to_owned(),
            networks: ["eth0", "eth1"].map(|n| (n.to_owned(), interface.clone())).into(),
            ..Shape::default()
        };
        insta::assert_json_snapshot!("stats_1_52", shape(stats.clone(), ApiVersion::new(1, 52)));
        let older = shape(stats.clone(), ApiVersion::new(1, 21));
        assert!(older.os_type.is_empty() && older.networks.len() == 2 && older.network.is_none());
        let idle = shape(stats.clone(), ApiVersion::new(1, 20));
        assert!(idle.network.is_none());
        let oldest = shape(Shape { read: "2026-01-01T00:00:00Z".to_owned(), ..stats }, ApiVersion::new(1, 20));
        let sum = oldest.network.unwrap();
        assert_eq!((oldest.networks.len(), sum.rx_bytes, sum.tx_dropped), (0, 2, 4));
    }
}
