//! Boot's broom: deletes what belongs to no container any more.

use super::shared::{Shared, blocking};
use std::{collections::HashSet, path::Path, sync::Arc};
use wharf_network::{Endpoint, netns};
use wharf_types::{ContainerId, Result};

/// Containers whose document was unreadable at this or an earlier boot. What belongs to them is left alone, so that an
/// operator can repair the document and rename the directory back.
pub fn set_aside(root: &Path) -> Result<HashSet<ContainerId>> {
    let mut ids = HashSet::new();
    for entry in std::fs::read_dir(root)? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        ids.extend(name.split_once(".corrupt-").and_then(|(id, _)| id.parse().ok()));
    }
    Ok(ids)
}

/// Deletes layers of none of the `known` containers, and namespaces, endpoints and interfaces of none of the `live` ones;
/// takes the addresses of the live ones.
pub async fn sweep(shared: &Arc<Shared>, known: HashSet<ContainerId>, live: HashSet<ContainerId>) -> Result<()> {
    let s = shared.clone();
    let endpoints = blocking(move || {
        for id in s.layers.rw_ids().into_iter().filter(|id| !known.contains(id)) {
            tracing::info!(container = ?id, "removing a layer without container");
            if let Err(e) = s.layers.remove_rw(&id) {
                tracing::error!(container = ?id, error = %e, "not removed");
            }
        }
        // A copy out of a stopped container that a crash interrupted.
        for id in s.layers.rw_ids().into_iter().filter(|id| !live.contains(id)) {
            if let Err(e) = s.layers.unmount(&id) {
                tracing::error!(container = ?id, error = %e, "left mounted");
            }
        }
        let dir = s.config.exec_root.join("netns");
        for name in netns::list(&dir)?.into_iter().filter(|name| !live.contains(name.as_str())) {
            netns::delete(&dir.join(name))?;
        }
        live_endpoints(&s.config.exec_root.join("endpoints"), &live)
    })
    .await?;
    let Some(network) = &shared.network else { return Ok(()) };
    for (id, endpoint) in &endpoints {
        if let Err(e) = network.adopt(id, endpoint) {
            tracing::error!(container = ?id, error = %e, "its address is not reserved");
        }
    }
    let endpoints: Vec<Endpoint> = endpoints.into_iter().map(|(_, endpoint)| endpoint).collect();
    network.sweep(&endpoints).await
}

/// Reads the endpoints of live containers and deletes the files of the others.
fn live_endpoints(dir: &Path, live: &HashSet<ContainerId>) -> Result<Vec<(ContainerId, Endpoint)>> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(dir)? {
        let path = entry?.path();
        let owner = path.file_stem().and_then(|stem| stem.to_str()).and_then(|id| id.parse::<ContainerId>().ok());
        let endpoint = std::fs::read(&path).ok().and_then(|text| serde_json::from_slice(&text).ok());
        match (owner.filter(|id| live.contains(id)), endpoint) {
            (Some(id), Some(endpoint)) => found.push((id, endpoint)),
            _ => std::fs::remove_file(&path)?,
        }
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn containers_set_aside_are_known_by_their_directory() {
        let dir = tempfile::tempdir().unwrap();
        let id = ContainerId::random().unwrap();
        for name in
            [format!("{id}.corrupt-1"), format!("{id}.corrupt-2"), "x.corrupt-1".to_owned(), ContainerId::random().unwrap().to_string()]
        {
            std::fs::create_dir(dir.path().join(name)).unwrap();
        }
        assert_eq!(set_aside(dir.path()).unwrap(), HashSet::from([id]));
    }

    #[test]
    fn endpoint_files_of_the_dead_are_deleted() {
        let dir = tempfile::tempdir().unwrap();
        let (live, dead) = (ContainerId::random().unwrap(), ContainerId::random().unwrap());
        let text = r#"{"network_id":"n","endpoint_id":"e","address":"172.17.0.2","prefix_len":16,"gateway":"172.17.0.1","mac":"02:42:ac:11:00:02","host_veth":"v"}"#;
        for id in [&live, &dead] {
            std::fs::write(dir.path().join(format!("{id}.json")), text).unwrap();
        }
        let found = live_endpoints(dir.path(), &HashSet::from([live.clone()])).unwrap();
        assert_eq!(found.iter().map(|(id, _)| id).collect::<Vec<_>>(), [&live]);
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
    }
}
