//! Hand-made values for tests: what the engine would show of a container and an image.

use crate::{Settings, authz::Sight};
use std::sync::Arc;
use wharf_api_types::{
    MIN_API_VERSION,
    container::{Config, HostConfig, RestartPolicy},
    mount::MountPoint,
    network::NetworkingConfig,
};
use wharf_engine::containers::{ContainerSpec, ContainerState, ContainerView, HostPaths};
use wharf_images::{Image, ImageConfig, ImageLayer, RunConfig};
use wharf_network::Endpoint;
use wharf_spi::authz::{Authorizer, AuthzRequest, Caller, Decision, Interests, Object, Verdict};
use wharf_types::{Digest, Result, Timestamp};

/// Three minutes after [`running`] started.
pub fn now() -> Timestamp {
    at(1_700_000_200)
}

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_nanos(seconds * 1_000_000_000)
}

pub fn settings() -> Settings {
    Settings {
        min_api_version: MIN_API_VERSION,
        version: "0.1.0".to_owned(),
        git_commit: "abc1234".to_owned(),
        build_time: "2026-01-01T00:00:00Z".to_owned(),
        warnings: Vec::new(),
    }
}

/// Where a container's files would lie.
pub fn paths() -> HostPaths {
    let file = |name: &str| format!("/var/lib/wharf/containers/{}/{name}", "a".repeat(64)).into();
    HostPaths { hostname: file("hostname"), hosts: file("hosts"), resolv_conf: file("resolv.conf"), sandbox: "/run/wharf/netns/a".into() }
}

/// A created container called `web`.
pub fn view() -> ContainerView {
    named("web")
}

pub fn named(name: &str) -> ContainerView {
    let id = name.bytes().next_back().filter(u8::is_ascii_digit).map_or("a".to_owned(), |d| char::from(d).to_string());
    let config = Config {
        hostname: "aaaaaaaaaaaa".to_owned(),
        image: "busybox".to_owned(),
        cmd: None,
        labels: [("tier".to_owned(), "front".to_owned())].into(),
        exposed_ports: [("80/tcp".to_owned(), Default::default())].into(),
        ..Config::default()
    };
    let host_config = HostConfig {
        network_mode: "bridge".to_owned(),
        restart_policy: RestartPolicy { name: "no".to_owned(), ..RestartPolicy::default() },
        ..HostConfig::default()
    };
    let mount = MountPoint {
        kind: "bind".to_owned(),
        source: "/srv/data".to_owned(),
        destination: "/data".to_owned(),
        rw: true,
        propagation: "rprivate".to_owned(),
        ..MountPoint::default()
    };
    let spec = ContainerSpec {
        id: id.repeat(64).parse().unwrap(),
        name: name.parse().unwrap(),
        created: at(1_700_000_000),
        image: Digest::of(b"image"),
        layers: Vec::new(),
        config,
        host_config,
        networking: NetworkingConfig::default(),
        path: "sh".to_owned(),
        args: vec!["-c".to_owned(), "sleep 9".to_owned()],
        mounts: vec![mount],
        driver: "overlay2".to_owned(),
        log_path: format!("/var/lib/wharf/containers/{0}/{0}-json.log", id.repeat(64)).into(),
    };
    ContainerView { spec: Arc::new(spec), state: Arc::default() }
}

/// The same container, running in the default network.
pub fn running() -> ContainerView {
    let address = "172.17.0.2".parse().unwrap();
    let endpoint = Endpoint {
        network_id: "b".repeat(64),
        endpoint_id: "c".repeat(64),
        address,
        prefix_len: 16,
        gateway: "172.17.0.1".parse().unwrap(),
        mac: wharf_network::Mac::for_address(address),
        host_veth: "veth0".to_owned(),
    };
    let state = ContainerState {
        running: true,
        pid: 42,
        started_at: Some(at(1_700_000_001)),
        endpoint: Some(endpoint),
        ..ContainerState::default()
    };
    ContainerView { state: Arc::new(state), ..view() }
}

/// Hides what has this text in its name.
pub struct Hides(pub &'static str);

impl Hides {
    /// The eyes of a caller under this authorizer alone.
    pub fn sight(self) -> Sight {
        let chain: [Arc<dyn Authorizer>; 1] = [Arc::new(self)];
        Sight::new(&chain, Caller::default)
    }
}

#[async_trait::async_trait]
impl Authorizer for Hides {
    fn name(&self) -> &str {
        "hides"
    }
    fn interests(&self) -> Interests {
        Interests { input: false, filter: true }
    }
    async fn judge(&self, _: &AuthzRequest) -> Result<Decision> {
        Ok(Verdict::Allow.into())
    }
    async fn filter(&self, _: &Caller, objects: &[Object]) -> Result<Vec<bool>> {
        Ok(objects.iter().map(|o| !o.name.contains(self.0)).collect())
    }
}

/// An image of one layer with 100 bytes.
pub fn image(tags: &[&str]) -> Image {
    let diff_id = Digest::of(b"layer");
    let mut config = ImageConfig {
        architecture: "amd64".to_owned(),
        os: "linux".to_owned(),
        created: Some(at(1_600_000_000)),
        config: RunConfig {
            cmd: Some(vec!["sh".to_owned()]),
            env: vec!["PATH=/bin".to_owned()],
            labels: Some([("maintainer".to_owned(), "me".to_owned())].into()),
            ..RunConfig::default()
        },
        ..ImageConfig::default()
    };
    config.rootfs.diff_ids.push(diff_id.clone());
    Image {
        id: Digest::of(b"image"),
        manifest: Digest::of(b"manifest"),
        created: config.created,
        config,
        raw_config: bytes::Bytes::new(),
        layers: vec![ImageLayer {
            blob: diff_id.clone(),
            diff_id,
            media_type: "application/vnd.oci.image.layer.v1.tar".to_owned(),
            compressed_size: 100,
            size: 100,
        }],
        size: 100,
        parent: None,
        tags: tags.iter().map(|t| t.parse().unwrap()).collect(),
        digests: Vec::new(),
        last_tagged: None,
    }
}
