//! The monitor's program, held in a sealed memory file: one copy for all monitors, which nobody can write to (a container that
//! reaches its runtime's `/proc/<pid>/exe` could otherwise replace the program: CVE-2019-5736).

use rustix::{
    fs::{MemfdFlags, SealFlags, fcntl_add_seals, memfd_create},
    io::{Errno, retry_on_intr},
};
use std::{
    fs::File,
    io,
    os::{
        fd::{AsRawFd, OwnedFd},
        unix::process::CommandExt,
    },
    path::Path,
    process::{Command, Stdio},
};
use wharf_types::{Result, error::Context};

/// The sealed program.
#[derive(Debug)]
pub(super) struct Binary(OwnedFd);

impl Binary {
    /// Copies the program at `path`.
    pub(super) fn seal(path: &Path) -> Result<Self> {
        let what = || format!("monitor {}", path.display());
        let mut source = File::open(path).context(what())?;
        let flags = MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING;
        let fd = match memfd_create("wharf-shim", flags | MemfdFlags::EXEC) {
            // MFD_EXEC came with Linux 6.3; before, memory files were always executable.
            Err(Errno::INVAL) => memfd_create("wharf-shim", flags),
            other => other,
        }
        .context(what())?;
        let mut copy = File::from(fd);
        io::copy(&mut source, &mut copy).context(what())?;
        retry_on_intr(|| fcntl_add_seals(&copy, SealFlags::SEAL | SealFlags::SHRINK | SealFlags::GROW | SealFlags::WRITE))
            .context(what())?;
        Ok(Self(copy.into()))
    }

    /// A command that runs it. Only plain options may be set on it: then the standard library spawns without copying this process.
    pub(super) fn command(&self) -> Command {
        let mut command = Command::new(format!("/proc/self/fd/{}", self.0.as_raw_fd()));
        command.arg0("wharf-shim").env_clear().stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command
    }
}
