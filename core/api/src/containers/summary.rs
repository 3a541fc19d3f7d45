//! One container in a list.

use super::{networks, status};
use wharf_api_types::{
    ApiVersion,
    summary::{ContainerSummary, HealthSummary, HostConfigSummary, NetworkSettingsSummary, PortSummary},
};
use wharf_engine::containers::ContainerView;
use wharf_types::Timestamp;

/// What is the same for all summaries of a list.
pub struct Glance<'a> {
    /// When they are made.
    pub now: Timestamp,
    /// The id of the default network.
    pub bridge: Option<&'a str>,
    /// For whom.
    pub version: ApiVersion,
}

/// The summary of `view`; `image` is the name to show, `sizes` those of its own and of all layers.
pub fn shape(view: &ContainerView, at: &Glance<'_>, image: String, sizes: Option<(u64, u64)>) -> ContainerSummary {
    let &Glance { now, bridge, version } = at;
    let spec = &view.spec;
    let (size_rw, size_root_fs) = sizes.unwrap_or_default();
    ContainerSummary {
        id: spec.id.to_string(),
        names: vec![format!("/{}", spec.name)],
        image,
        image_id: spec.image.to_string(),
        command: command(&spec.path, &spec.args),
        created: spec.created.seconds(),
        ports: ports(view),
        size_rw: size_rw.cast_signed(),
        size_root_fs: size_root_fs.cast_signed(),
        labels: spec.config.labels.clone(),
        state: view.state.status().as_str().to_owned(),
        status: status::text(&view.state, now),
        host_config: HostConfigSummary {
            network_mode: spec.host_config.network_mode.clone(),
            annotations: if version.before(46) { Default::default() } else { spec.host_config.annotations.clone() },
        },
        health: version.since(52).then(|| HealthSummary {
            status: view.state.health_word().to_owned(),
            failing_streak: view.state.health.as_ref().map_or(0, |h| h.failing_streak),
        }),
        network_settings: NetworkSettingsSummary { networks: networks::endpoints(view, bridge) },
        mounts: spec.mounts.clone(),
    }
}

/// Path and arguments in one line; arguments with a space in single quotes.
fn command(path: &str, args: &[String]) -> String {
    let mut line = path.to_owned();
    for arg in args {
        line.push(' ');
        if arg.contains(' ') {
            line.extend(["'", arg, "'"]);
        } else {
            line.push_str(arg);
        }
    }
    line
}

fn ports(view: &ContainerView) -> Vec<PortSummary> {
    if view.state.endpoint.is_none() {
        return Vec::new();
    }
    let exposed = view.spec.config.exposed_ports.keys().filter_map(|p| networks::parse_port(p));
    let summary =
        |(port, _, protocol): (u16, u16, &str)| PortSummary { private_port: port, kind: protocol.to_owned(), ..PortSummary::default() };
    exposed.map(summary).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{now, running, view};

    #[test]
    fn commands() {
        let args = ["-c", "echo hi", "x"].map(str::to_owned);
        assert_eq!(command("sh", &args), "sh -c 'echo hi' x");
        assert_eq!(command("sh", &[]), "sh");
    }

    #[test]
    fn summary_shapes() {
        let at = |minor| Glance { now: now(), bridge: None, version: ApiVersion::new(1, minor) };
        let newest = shape(&running(), &at(52), "busybox".to_owned(), Some((1, 2)));
        insta::assert_json_snapshot!("summary_1_52_running", newest);
        let older = shape(&view(), &at(41), "busybox".to_owned(), None);
        insta::assert_json_snapshot!("summary_1_41_created", older);
    }
}
