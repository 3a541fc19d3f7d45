//! Runs this program from a sealed memory file: a container can reach the program of its runtime through `/proc/<pid>/exe`, and
//! must not be able to write to it (CVE-2019-5736).

use crate::sys;
use rustix::fs::{MemfdFlags, SealFlags, fcntl_add_seals, fcntl_get_seals, memfd_create};
use std::{
    ffi::CString,
    fs::File,
    io,
    os::{fd::AsFd, unix::ffi::OsStringExt},
};
use wharf_types::{Result, error::Context};

const PROGRAM: &str = "/proc/self/exe";

/// Returns when the program is sealed; otherwise executes a sealed copy with the same arguments.
pub fn ensure() -> Result<()> {
    let mut program = File::open(PROGRAM).context(PROGRAM)?;
    if fcntl_get_seals(&program).is_ok_and(|seals| seals.contains(SealFlags::WRITE)) {
        return Ok(());
    }
    let mut copy = File::from(memfd_create("wharf-shim", MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING).context("sealed copy")?);
    io::copy(&mut program, &mut copy).context("sealed copy")?;
    fcntl_add_seals(&copy, SealFlags::SEAL | SealFlags::SHRINK | SealFlags::GROW | SealFlags::WRITE).context("sealed copy")?;
    let text = |list: Vec<Vec<u8>>| list.into_iter().filter_map(|s| CString::new(s).ok()).collect::<Vec<_>>();
    let args = text(std::env::args_os().map(OsStringExt::into_vec).collect());
    let env = text(std::env::vars_os().map(|(k, v)| [k.into_vec(), b"=".to_vec(), v.into_vec()].concat()).collect());
    Err(sys::fexecve(copy.as_fd(), &args, &env)).context("sealed copy")
}
