//! Starting a plugin's process: files and mounts, OCI spec, monitor, output, process.

use super::{Processes, Spec, journal::Journal, plan, propagated, remove_dir};
use crate::containers::{blocking, mountpoints, places, workdir};
use std::{
    fs::DirBuilder,
    os::unix::fs::{DirBuilderExt as _, chown},
    sync::Arc,
};
use tokio::task::JoinHandle;
use wharf_runtime::task::{AttachRequest, Launch, LogSettings, Task};
use wharf_types::{Result, error::Context as _};

/// A process that runs.
pub struct Running {
    /// Its monitor.
    pub task: Task,
    /// Ends when all that it wrote was read.
    pub output: JoinHandle<()>,
}

/// Starts it. After an error nothing of it runs; directories and mounts are [`Processes::tidy`]'s.
pub async fn launch(on: &Arc<Processes>, spec: &Arc<Spec>, journal: &Arc<Journal>) -> Result<Running> {
    on.shims.cleanup(&spec.id).await?;
    let (o, s) = (on.clone(), spec.clone());
    let (launch, oci) = blocking(move || prepare(&o, &s)).await?;
    let task = on.shims.create(&launch, &oci).await?;
    match begin(&task).await {
        Ok(stream) => {
            let (name, journal) = (spec.name.clone(), journal.clone());
            Ok(Running { task, output: tokio::spawn(async move { journal.follow(&name, stream).await }) })
        }
        Err(e) => {
            if let Err(left) = on.shims.cleanup(&spec.id).await {
                tracing::error!(plugin = spec.name, error = %left, "its process is not removed");
            }
            Err(e)
        }
    }
}

/// Output is read from the first byte on.
async fn begin(task: &Task) -> Result<tokio::net::UnixStream> {
    let attached = task.attach(AttachRequest { stdout: true, stderr: true, ..AttachRequest::default() }).await?;
    task.start().await?;
    Ok(attached.stream)
}

fn prepare(on: &Processes, spec: &Spec) -> Result<(Launch, oci_spec::runtime::Spec)> {
    let mut plan = plan::plan(on, spec)?;
    // The socket of a process that was killed would be in the way of the next one.
    let sockets = on.socket_dir(&spec.id);
    remove_dir(&sockets)?;
    DirBuilder::new().mode(0o700).create(&sockets).context(sockets.display())?;
    let user = &spec.config.user;
    chown(&sockets, Some(user.uid), Some(user.gid)).context(sockets.display())?;
    if !spec.config.propagated_mount.is_empty() {
        propagated::mount(&on.propagated(&spec.id))?;
    }
    mountpoints::secure(&spec.rootfs)?;
    workdir::make(&spec.rootfs, &spec.config.work_dir)?;
    places::settle(&spec.rootfs, &mut plan.mounts)?;
    places::refuse_shared_dev(&on.runtime, &plan.mounts)?;
    let built = wharf_runtime::spec::build(&plan, &on.host)?;
    for warning in built.warnings {
        tracing::warn!(plugin = spec.name, "{warning}");
    }
    let launch = Launch {
        id: spec.id.clone(),
        runtime: on.runtime.clone(),
        runtime_root: on.runtime_root.clone(),
        tty: false,
        console_size: None,
        open_stdin: false,
        stdin_once: false,
        log: LogSettings::None,
        cgroup_path: Some(plan.cgroup_path.into()),
    };
    Ok((launch, built.spec))
}
