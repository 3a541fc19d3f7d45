//! The embedded OCI runtime: libcontainer behind runc's verbs, with runc's words for errors, because clients tell exit codes 126 and
//! 127 apart by text.
//!
//! Runs in a process of its own (a fork of the monitor, or `wharf-shim oci`), once per verb. Start with [`run`]. `exec` does not use
//! libcontainer's tenant builder, which forgets the seccomp filter; see [`exec`].

pub mod arguments;
mod create;
pub mod dev;
mod devices;
mod exec;
mod executor;
mod home;
mod lifecycle;
mod prepare;
pub mod program;
mod seccomp;

use crate::runtime::{Invocation, LogLine, Verb};
use oci_spec::runtime::Spec;
use std::{
    fs::{self, OpenOptions},
    io::Write,
    path::{Path, PathBuf},
};
use wharf_types::{Error, Result, Timestamp, error::Context};

/// Carries out one verb, and logs a failure where runc would.
pub fn run(call: &Invocation) -> Result<()> {
    let log = Log(call.log.as_deref());
    let result = match &call.verb {
        Verb::Create { bundle, pid_file, console } => {
            create::create(call, bundle, pid_file.as_deref(), console.as_deref(), &log).map_err(|e| e.context("runc create failed"))
        }
        Verb::Exec { process, pid_file, console } => {
            exec::exec(call, process, pid_file.as_deref(), console.as_deref(), &log).map_err(|e| e.context("exec failed"))
        }
        other => lifecycle::run(call, other),
    };
    if let Err(e) = &result {
        log.line("error", e.message());
    }
    result
}

/// Adapts a spec for another runtime as for this one.
pub fn adapt(call: &Invocation) {
    let log = Log(call.log.as_deref());
    match prepare::adapt_files(&call.verb) {
        Ok(warnings) => warnings.iter().for_each(|w| log.line("warning", w)),
        // The runtime will meet the same fault, and name it better.
        Err(e) => log.line("warning", e.message()),
    }
}

/// Logs why another runtime could not even be executed.
pub fn note(call: &Invocation, text: &str) {
    Log(call.log.as_deref()).line("error", text);
}

/// Where libcontainer keeps the state of a container.
fn state_dir(call: &Invocation) -> PathBuf {
    call.root.join(&call.id)
}

/// Where the spec is kept that libcontainer reads: the bundle's, adapted to the host.
fn bundle_dir(call: &Invocation) -> PathBuf {
    call.root.join(format!("{}.bundle", call.id))
}

/// The file of a bundle that holds its spec.
const CONFIG: &str = "config.json";

/// The spec of a bundle. A seccomp profile makes it long, and serde_json reads files byte by byte: it is parsed from memory.
fn load_spec(bundle: &Path) -> Result<Spec> {
    let file = bundle.join(CONFIG);
    serde_json::from_slice(&fs::read(&file).context(file.display())?).map_err(|e| Error::from(e).context(file.display()))
}

/// The text of an error and all its causes, once each. Buffers of libcontainer leave NULs at the end of some.
fn explain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(e) = cause {
        let next = e.to_string();
        if !text.contains(&next) {
            text = format!("{text}: {next}");
        }
        cause = e.source();
    }
    text.trim_end_matches('\0').to_owned()
}

fn failed(error: impl std::error::Error) -> Error {
    Error::system(explain(&error))
}

/// The runtime's log, in runc's JSON form.
struct Log<'a>(Option<&'a Path>);

impl Log<'_> {
    fn line(&self, level: &str, msg: &str) {
        let Some(path) = self.0 else { return eprintln!("{level}: {msg}") };
        let line = LogLine { level: level.to_owned(), msg: msg.to_owned(), time: Timestamp::now().to_string() };
        // A log that cannot be written has no other place to say so.
        if let (Ok(mut file), Ok(mut text)) = (OpenOptions::new().create(true).append(true).open(path), serde_json::to_vec(&line)) {
            text.push(b'\n');
            let _ = file.write_all(&text);
        }
    }
}
