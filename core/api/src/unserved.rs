//! Rows of the Docker API that this engine answers with a refusal: what is not there yet by name, and swarm in the words of a
//! Docker engine that is in no swarm.

use crate::endpoint::Row;
use wharf_types::Error;

/// A row that is refused.
pub struct Unserved {
    /// The row.
    pub row: Row,
    why: Why,
}

/// What it is refused with.
enum Why {
    /// 501, naming what is missing.
    NotYet(&'static str),
    /// 501, as Docker without experimental features.
    Experimental,
    /// 503, as an engine that manages no swarm.
    NotManager,
    /// 503, as an engine that is in no swarm.
    NotInSwarm,
    /// 503, for volumes of a swarm.
    NoClusterVolumes,
}

impl Unserved {
    /// The answer.
    pub fn refusal(&self) -> Error {
        match self.why {
            Why::NotYet(what) => Error::not_implemented(format!("{what} not supported yet ({} {})", self.row.verb, self.row.path)),
            Why::Experimental => Error::not_implemented(
                "This experimental feature is disabled by default. Start the Docker daemon in experimental mode in order to enable it.",
            ),
            Why::NotManager => Error::unavailable(
                "This node is not a swarm manager. Use \"docker swarm init\" or \"docker swarm join\" to connect this node to swarm and try again.",
            ),
            Why::NotInSwarm => Error::unavailable("This node is not part of a swarm"),
            Why::NoClusterVolumes => Error::unavailable("volume update only valid for cluster volumes, but swarm is unavailable"),
        }
    }
}

const fn not_yet(row: Row, what: &'static str) -> Unserved {
    Unserved { row, why: Why::NotYet(what) }
}
const fn swarm(row: Row) -> Unserved {
    Unserved { row, why: Why::NotManager }
}
const fn experimental(row: Row) -> Unserved {
    Unserved { row, why: Why::Experimental }
}

/// The table.
pub static ROWS: &[Unserved] = &[
    experimental(Row::get("/containers/{id}/checkpoints", "checkpoint.list").since(25)),
    experimental(Row::post("/containers/{id}/checkpoints", "checkpoint.create").since(25)),
    experimental(Row::delete("/containers/{id}/checkpoints/{checkpoint}", "checkpoint.remove").since(25)),
    not_yet(Row::get("/images/{name}/attestations", "image.attestations").since(55), "attestations are"),
    not_yet(Row::post("/images/{name}/push", "image.push"), "pushing to a registry is"),
    not_yet(Row::get("/images/search", "image.search"), "searching a registry is"),
    not_yet(Row::post("/build", "build.run"), "building is"),
    not_yet(Row::post("/build/prune", "build.prune").since(31), "building is"),
    not_yet(Row::post("/build/cancel", "build.cancel"), "building is"),
    not_yet(Row::post("/session", "build.session").since(31), "building is"),
    not_yet(Row::post("/grpc", "build.grpc"), "building is"),
    not_yet(Row::get("/distribution/{name}/json", "distribution.inspect").since(30), "asking a registry is"),
    not_yet(Row::get("/debug/vars", "system.debug"), "debug variables are"),
    not_yet(Row::get("/debug/pprof/", "system.debug_index"), "profiling is"),
    not_yet(Row::get("/debug/pprof/{name}", "system.debug_profile"), "profiling is"),
    not_yet(Row::get("/volumes", "volume.list").since(21), "volumes are"),
    not_yet(Row::post("/volumes/create", "volume.create").since(21), "volumes are"),
    not_yet(Row::get("/volumes/{name}", "volume.inspect").since(21), "volumes are"),
    Unserved { row: Row::put("/volumes/{name}", "volume.update").since(42), why: Why::NoClusterVolumes },
    not_yet(Row::delete("/volumes/{name}", "volume.remove").since(21), "volumes are"),
    not_yet(Row::post("/volumes/prune", "volume.prune").since(25), "volumes are"),
    not_yet(Row::get("/networks", "network.list").since(21), "networks are"),
    not_yet(Row::get("/networks/", "network.list").since(21), "networks are"),
    not_yet(Row::get("/networks/{id}", "network.inspect").since(21), "networks are"),
    not_yet(Row::post("/networks/create", "network.create").since(21), "networks are"),
    not_yet(Row::post("/networks/{id}/connect", "network.connect").since(21), "networks are"),
    not_yet(Row::post("/networks/{id}/disconnect", "network.disconnect").since(21), "networks are"),
    not_yet(Row::delete("/networks/{id}", "network.remove").since(21), "networks are"),
    not_yet(Row::post("/networks/prune", "network.prune").since(25), "networks are"),
    not_yet(Row::post("/plugins/pull", "plugin.pull").since(25), "getting plugins from a registry is"),
    not_yet(Row::post("/plugins/{name}/push", "plugin.push").since(25), "pushing plugins to a registry is"),
    swarm(Row::get("/swarm", "swarm.inspect").since(24)),
    not_yet(Row::post("/swarm/init", "swarm.init").since(24), "swarm mode is"),
    not_yet(Row::post("/swarm/join", "swarm.join").since(24), "swarm mode is"),
    Unserved { row: Row::post("/swarm/leave", "swarm.leave").since(24), why: Why::NotInSwarm },
    swarm(Row::post("/swarm/update", "swarm.update").since(24)),
    swarm(Row::get("/swarm/unlockkey", "swarm.unlock_key").since(24)),
    swarm(Row::post("/swarm/unlock", "swarm.unlock").since(24)),
    swarm(Row::get("/nodes", "node.list").since(24)),
    swarm(Row::get("/nodes/{id}", "node.inspect").since(24)),
    swarm(Row::delete("/nodes/{id}", "node.remove").since(24)),
    swarm(Row::post("/nodes/{id}/update", "node.update").since(24)),
    swarm(Row::get("/services", "service.list").since(24)),
    swarm(Row::post("/services/create", "service.create").since(24)),
    swarm(Row::get("/services/{id}", "service.inspect").since(24)),
    swarm(Row::delete("/services/{id}", "service.remove").since(24)),
    swarm(Row::post("/services/{id}/update", "service.update").since(24)),
    swarm(Row::get("/services/{id}/logs", "service.logs").since(29)),
    swarm(Row::get("/tasks", "task.list").since(24)),
    swarm(Row::get("/tasks/{id}", "task.inspect").since(24)),
    swarm(Row::get("/tasks/{id}/logs", "task.logs").since(29)),
    swarm(Row::get("/secrets", "secret.list").since(25)),
    swarm(Row::post("/secrets/create", "secret.create").since(25)),
    swarm(Row::get("/secrets/{id}", "secret.inspect").since(25)),
    swarm(Row::delete("/secrets/{id}", "secret.remove").since(25)),
    swarm(Row::post("/secrets/{id}/update", "secret.update").since(25)),
    swarm(Row::get("/configs", "config.list").since(30)),
    swarm(Row::post("/configs/create", "config.create").since(30)),
    swarm(Row::get("/configs/{id}", "config.inspect").since(30)),
    swarm(Row::delete("/configs/{id}", "config.remove").since(30)),
    swarm(Row::post("/configs/{id}/update", "config.update").since(30)),
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_name_what_is_missing() {
        let text = |path: &str| ROWS.iter().find(|u| u.row.path == path).unwrap().refusal().message().to_owned();
        assert_eq!(text("/volumes"), "volumes are not supported yet (GET /volumes)");
        assert!(text("/nodes").starts_with("This node is not a swarm manager."));
    }
}
