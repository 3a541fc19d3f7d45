//! `GET /version`.

use crate::{
    Cx,
    endpoint::{Endpoint, Row},
    reply::Json,
    request::Request,
};
use std::collections::BTreeMap;
use wharf_api_types::{
    MAX_API_VERSION,
    system::{Component, PlatformName, VersionResponse},
};
use wharf_engine::system::HostFacts;
use wharf_types::Result;

/// Says what this is.
pub struct Version;

impl Endpoint for Version {
    const ROW: Row = Row::get("/version", "system.version");
    type Input = ();
    type Output = Json<VersionResponse>;

    async fn decode(_: &Cx, _: Request) -> Result<()> {
        Ok(())
    }
    async fn execute(cx: &Cx, (): ()) -> Result<Self::Output> {
        Ok(Json(shape(&cx.settings, cx.system.host())))
    }
}

/// Go's name of an architecture.
pub fn go_arch(machine: &str) -> &str {
    match machine {
        "x86_64" => "amd64",
        "aarch64" => "arm64",
        "i386" | "i686" => "386",
        "armv6l" | "armv7l" => "arm",
        other => other,
    }
}

fn shape(settings: &crate::Settings, host: &HostFacts) -> VersionResponse {
    let arch = go_arch(&host.machine).to_owned();
    let (newest, oldest) = (MAX_API_VERSION.to_string(), settings.min_api_version.to_string());
    // There is no Go here; the field must be there for clients that print it.
    let go_version = "none".to_owned();
    let details = [
        ("ApiVersion", newest.as_str()),
        ("Arch", &arch),
        ("BuildTime", &settings.build_time),
        ("Experimental", "false"),
        ("GitCommit", &settings.git_commit),
        ("GoVersion", &go_version),
        ("KernelVersion", &host.kernel),
        ("MinAPIVersion", &oldest),
        ("Os", "linux"),
    ];
    let engine = Component {
        name: "Engine".to_owned(),
        version: settings.version.clone(),
        details: details.into_iter().map(|(k, v)| (k.to_owned(), v.to_owned())).collect::<BTreeMap<_, _>>(),
    };
    VersionResponse {
        platform: PlatformName { name: "Wharf".to_owned() },
        version: settings.version.clone(),
        api_version: newest.clone(),
        min_api_version: oldest.clone(),
        os: "linux".to_owned(),
        arch: arch.clone(),
        components: vec![engine],
        git_commit: settings.git_commit.clone(),
        go_version: go_version.clone(),
        kernel_version: host.kernel.clone(),
        experimental: false,
        build_time: settings.build_time.clone(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn version_shape() {
        let host = HostFacts { kernel: "6.1.0".to_owned(), machine: "x86_64".to_owned(), ..HostFacts::default() };
        insta::assert_json_snapshot!(shape(&crate::testing::settings(), &host));
    }
}
