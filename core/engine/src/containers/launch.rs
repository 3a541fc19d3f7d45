//! Starting a container: ordered steps, each with its undo, and the way back when it ends.
//!
//! root file system ∥ network → managed files → OCI spec → monitor (`create`) → attached clients → `start`. Nothing is
//! recorded before the last step: a crash in between leaves what boot finds and discards (see `reconcile.rs`).

use super::{
    ContainerSpec,
    actor::Reply,
    files, mountpoints, plan,
    record::AllowedBind,
    shared::{Shared, blocking},
    undo::Undo,
    workdir,
};
use crate::metrics::Timer;
use rustix::mount::{MountFlags, UnmountFlags};
use std::{collections::BTreeMap, path::PathBuf, sync::Arc, time::Instant};
use wharf_network::{Endpoint, EndpointRequest, netns};
use wharf_runtime::task::{AttachRequest, Attached, Task};
use wharf_store::{Durability, write_atomic};
use wharf_types::{ContainerId, Error, ErrorKind, Result, Timestamp, error::Context as _};

/// A container that runs.
pub struct Launched {
    /// Its monitor.
    pub task: Task,
    /// Its place in the default network.
    pub endpoint: Option<Endpoint>,
    /// When the process began.
    pub started_at: Timestamp,
}

/// A start that failed, with everything taken back.
#[derive(Debug)]
pub struct Failure {
    /// Why, in the words for the client.
    pub error: Error,
    /// What inspect shows as exit code: 126, 127 or 128 as dockerd derives them.
    pub exit_code: i32,
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self { error, exit_code: 128 }
    }
}

/// What the OCI runtime said, as dockerd passes it on: exit code and status follow from the words.
fn runtime_failure(e: Error) -> Failure {
    let text = e.message();
    let any = |words: &[&str]| words.iter().any(|w| text.contains(w));
    let (kind, exit_code) = if any(&["executable file not found", "no such file or directory", "system cannot find the file specified"]) {
        (ErrorKind::InvalidParameter, 127)
    } else if any(&["permission denied", "is a directory"]) {
        (ErrorKind::InvalidParameter, 126)
    } else {
        (ErrorKind::System, 128)
    };
    let denied = if text.contains("is a directory") && !text.contains("permission denied") { ": permission denied" } else { "" };
    let message =
        format!("failed to create task for container: failed to create shim task: OCI runtime create failed: {text}{denied}: unknown");
    Failure { error: Error::new(kind, message).with_source(e), exit_code }
}

/// Starts a container whose binds lead where they were `allowed` to, if anybody was asked. `parked` clients are attached after its
/// creation and before its process runs, so they miss nothing.
pub async fn launch(
    shared: &Arc<Shared>,
    spec: &Arc<ContainerSpec>,
    allowed: Option<Vec<AllowedBind>>,
    parked: Vec<(AttachRequest, Reply<Attached>)>,
) -> Result<Launched, Failure> {
    let (mut undo, began) = (Undo::default(), Instant::now());
    match steps(shared, spec, allowed, parked, &mut undo).await {
        Ok(launched) => {
            undo.commit();
            shared.metrics.observe(Timer::ContainerStart, began);
            Ok(launched)
        }
        Err(failure) => {
            undo.unwind().await;
            Err(failure)
        }
    }
}

async fn steps(
    shared: &Arc<Shared>,
    spec: &Arc<ContainerSpec>,
    allowed: Option<Vec<AllowedBind>>,
    parked: Vec<(AttachRequest, Reply<Attached>)>,
    undo: &mut Undo,
) -> Result<Launched, Failure> {
    let id = &spec.id;
    let joined = plan::Joined::resolve(shared, spec)?;

    let mounting = mount_rootfs(shared, id);
    let connecting = connect(shared, spec);
    let (rootfs, endpoint) = tokio::join!(mounting, connecting);
    if rootfs.is_ok() {
        undo.push("unmount", unmount_all(shared.clone(), id.clone()));
    }
    if let Ok(endpoint) = &endpoint {
        let (s, i, e) = (shared.clone(), id.clone(), endpoint.clone());
        undo.push("disconnect", async move {
            let done = disconnect(s.clone(), i.clone(), e.clone()).await;
            if let Some(endpoint) = e {
                network_event(&s, &i, &endpoint, "disconnect");
            }
            done
        });
    }
    let (rootfs, endpoint) = (rootfs?, endpoint.map_err(|e| e.context("failed to set up container networking"))?);

    let (s, c, e) = (shared.clone(), spec.clone(), endpoint.clone());
    let (launch, oci) = blocking(move || {
        files::write(&s, &c, e.as_ref(), &joined)?;
        if c.host_config.ipc_mode == "shareable" {
            mount_shm(&s, &c)?;
        }
        mountpoints::secure(&rootfs)?;
        workdir::make(&rootfs, &c.config.working_dir)?;
        plan::build(&s, &c, rootfs, e.as_ref(), &joined, allowed.as_deref())
    })
    .await?;

    let task = shared.shims.create(&launch, &oci).await.map_err(runtime_failure)?;
    let (s, i) = (shared.clone(), id.clone());
    undo.push("monitor", async move { s.shims.cleanup(&i).await });
    for (rq, reply) in parked {
        if !reply.is_closed() {
            let _ = reply.send(task.attach(rq).await);
        }
    }
    let started_at = task.start().await.map_err(runtime_failure)?;
    Ok(Launched { task, endpoint, started_at })
}

async fn mount_rootfs(shared: &Arc<Shared>, id: &ContainerId) -> Result<PathBuf> {
    let (shared, id) = (shared.clone(), id.clone());
    blocking(move || shared.layers.mount(&id)).await
}

/// A tmpfs that other containers can find and mount too (`IpcMode: shareable`).
fn mount_shm(shared: &Shared, spec: &ContainerSpec) -> Result<()> {
    let path = shared.shm(&spec.id);
    std::fs::create_dir_all(&path).context(path.display())?;
    let options = std::ffi::CString::new(format!("mode=1777,size={}", spec.host_config.shm_size)).unwrap_or_default();
    let flags = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
    rustix::mount::mount("shm", &path, "tmpfs", flags, Some(options.as_c_str())).context(format!("mount {}", path.display()))
}

/// Gives the container its own network stack on the default bridge; nothing to do in the other modes.
async fn connect(shared: &Arc<Shared>, spec: &ContainerSpec) -> Result<Option<Endpoint>> {
    if spec.host_config.network_mode != "bridge" || spec.config.network_disabled {
        return Ok(None);
    }
    let Some(network) = &shared.network else { return Ok(None) };
    let began = Instant::now();
    let path = shared.netns(&spec.id);
    let made = path.clone();
    blocking(move || netns::create(&made)).await?;
    let rq = EndpointRequest { mac: spec.config.mac_address.parse().ok(), address: None };
    match shared.metrics.timed(Timer::NetworkConnect, network.attach(&spec.id, &path, rq)).await {
        Ok(endpoint) => {
            let (file, text) = (shared.endpoint_file(&spec.id), serde_json::to_vec(&endpoint)?);
            if let Err(e) = blocking(move || write_atomic(&file, &text, Durability::Cached)).await {
                disconnect(shared.clone(), spec.id.clone(), Some(endpoint)).await?;
                return Err(e);
            }
            network_event(shared, &spec.id, &endpoint, "connect");
            shared.metrics.observe(Timer::NetworkAllocate, began);
            Ok(Some(endpoint))
        }
        Err(e) => {
            blocking(move || netns::delete(&path)).await?;
            Err(e)
        }
    }
}

/// Takes a container off the default bridge. The caller tells so, once it has told why.
pub async fn disconnect(shared: Arc<Shared>, id: ContainerId, endpoint: Option<Endpoint>) -> Result<()> {
    let (Some(network), Some(endpoint)) = (&shared.network, endpoint) else { return Ok(()) };
    let (began, metrics) = (Instant::now(), shared.metrics.clone());
    let detached = network.detach(&endpoint).await;
    blocking(move || {
        netns::delete(&shared.netns(&id))?;
        match std::fs::remove_file(shared.endpoint_file(&id)) {
            Err(e) if e.kind() != std::io::ErrorKind::NotFound => Err(e.into()),
            _ => Ok(()),
        }
    })
    .await?;
    detached?;
    metrics.observe(Timer::NetworkRelease, began);
    Ok(())
}

/// Tells that a container joined or left the default network.
pub fn network_event(shared: &Shared, id: &ContainerId, endpoint: &Endpoint, action: &str) {
    let attributes = [("container", id.as_str()), ("name", "bridge"), ("type", "bridge")];
    let attributes: BTreeMap<_, _> = attributes.map(|(k, v)| (k.to_owned(), v.to_owned())).into();
    shared.events.publish("network", action, &endpoint.network_id, attributes);
}

/// Unmounts everything of a container.
pub async fn unmount_all(shared: Arc<Shared>, id: ContainerId) -> Result<()> {
    blocking(move || {
        let shm = shared.shm(&id);
        if shm.exists() {
            let _ = rustix::mount::unmount(&shm, UnmountFlags::DETACH);
        }
        shared.layers.unmount(&id)
    })
    .await
}

/// Takes a container's resources back after its end. Every step is tried; what fails is logged and found at boot.
pub async fn teardown(shared: &Arc<Shared>, spec: &ContainerSpec, endpoint: Option<Endpoint>, task: Option<Task>) {
    let id = &spec.id;
    let released = async {
        match task {
            Some(task) => match task.release().await {
                Ok(()) => Ok(()),
                Err(_) => shared.shims.cleanup(id).await,
            },
            None => shared.shims.cleanup(id).await,
        }
    };
    let disconnected = disconnect(shared.clone(), id.clone(), endpoint);
    let (released, disconnected) = tokio::join!(released, disconnected);
    // The mount is busy as long as a process of the container is there.
    let unmounted = unmount_all(shared.clone(), id.clone()).await;
    for (step, outcome) in [("monitor", released), ("network", disconnected), ("unmount", unmounted)] {
        if let Err(e) = outcome {
            tracing::warn!(container = ?id, step, error = %e, "not taken back");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn exit_codes_follow_the_runtimes_words() {
        for (text, code) in [
            ("exec: \"x\": executable file not found in $PATH", 127),
            ("exec: \"/x\": stat /x: no such file or directory", 127),
            ("exec: \"/etc/passwd\": permission denied", 126),
            ("exec: \"/etc\": is a directory", 126),
            ("cgroup trouble", 128),
        ] {
            let f = runtime_failure(Error::system(text));
            assert_eq!(f.exit_code, code, "{text}");
            assert_eq!(f.error.kind() == ErrorKind::InvalidParameter, code != 128);
        }
        assert!(runtime_failure(Error::system("is a directory")).error.message().contains("is a directory: permission denied"));
    }
}
