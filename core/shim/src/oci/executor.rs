//! The last step inside a container: confining the process and checking its program at `create`, as runc does, and executing it at
//! `start`.

use super::{home, program, seccomp::Confinement};
use crate::sys;
use libcontainer::workload::{Executor, ExecutorError, ExecutorSetEnvsError, ExecutorValidationError};
use oci_spec::runtime::{Process, Spec};
use rustix::process::getuid;
use std::{
    collections::HashMap,
    ffi::CString,
    io::{Read, Write},
    os::unix::ffi::OsStringExt,
    path::Path,
    rc::Rc,
};

/// Tells in runc's words why a program cannot be executed, past libcontainer, which wraps them.
pub struct Report(std::io::PipeReader);

/// Confines and executes a spec's process.
#[derive(Clone)]
pub struct ProgramExecutor {
    report: Rc<std::io::PipeWriter>,
    confinement: Rc<Confinement>,
}

/// Makes both ends. The report is readable once every copy of the executor is gone.
pub fn executor(confinement: Confinement) -> std::io::Result<(ProgramExecutor, Report)> {
    let (reader, writer) = std::io::pipe()?;
    Ok((ProgramExecutor { report: Rc::new(writer), confinement: Rc::new(confinement) }, Report(reader)))
}

impl Report {
    /// What was told, if anything. Call it only after the other side failed: until then it waits.
    pub fn read(mut self) -> Option<String> {
        let mut text = String::new();
        self.0.read_to_string(&mut text).ok()?;
        Some(text).filter(|t| !t.is_empty())
    }
}

impl Executor for ProgramExecutor {
    /// Called once, in the process itself, when all else is done: the first moment at which it can be confined.
    fn validate(&self, spec: &Spec) -> Result<(), ExecutorValidationError> {
        let process = spec.process().as_ref().ok_or_else(|| "the spec has no process".to_owned());
        let confined = self.confinement.enter().map_err(|e| e.message().to_owned());
        let text = match confined.and(process).and_then(find) {
            Ok(_) => return Ok(()),
            Err(text) => text,
        };
        // Without a reader the text still travels inside the error.
        let _ = (&*self.report).write_all(text.as_bytes());
        Err(ExecutorValidationError::ArgValidationError(text))
    }

    /// Nothing: [`execute`] passes the environment of the spec, in its order.
    fn setup_envs(&self, _: HashMap<String, String>) -> Result<(), ExecutorSetEnvsError> {
        Ok(())
    }

    fn exec(&self, spec: &Spec) -> Result<(), ExecutorError> {
        let process = spec.process().as_ref().ok_or(ExecutorError::InvalidArg)?;
        let text = execute(process);
        // `start` has answered already: the container's own standard error is the place left, and runc's exit code.
        eprintln!("{text}");
        sys::exit_now(255)
    }
}

fn find(process: &Process) -> Result<std::path::PathBuf, String> {
    let name = process.args().as_ref().and_then(|a| a.first()).ok_or("process.args must not be empty")?;
    let path = process.env().iter().flatten().rev().find_map(|e| e.strip_prefix("PATH=")).unwrap_or("");
    program::find(name, path)
}

/// Executes the process in place of this program; returns the reason when that fails.
pub fn execute(process: &Process) -> String {
    let path = match find(process) {
        Ok(path) => path,
        Err(text) => return text,
    };
    let env = home::complete(process.env().clone().unwrap_or_default(), getuid().as_raw());
    match (c_strings(process.args().clone().unwrap_or_default()), c_strings(env), c_path(&path)) {
        (Some(args), Some(env), Some(file)) => {
            sys::reset_signals();
            let error = sys::execve(&file, &args, &env);
            format!("exec {}: {}", path.display(), program::strerror(&error))
        }
        _ => format!("exec {}: invalid argument", path.display()),
    }
}

fn c_strings(list: Vec<String>) -> Option<Vec<CString>> {
    list.into_iter().map(|s| CString::new(s).ok()).collect()
}

fn c_path(path: &Path) -> Option<CString> {
    CString::new(path.as_os_str().to_owned().into_vec()).ok()
}
