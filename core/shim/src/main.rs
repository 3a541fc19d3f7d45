//! `wharf-shim`: the monitor of one container, and the small programs that go with it, in one static binary with one thread.
//!
//! * `monitor <task directory>`: see [`monitor`]; started by the daemon, which talks to it afterwards.
//! * `oci <verb> …`: an OCI runtime with runc's command line; see [`oci`].
//! * `cleanup <task directory>`: removes what a vanished monitor left; see [`cleanup`].
//! * `uncover <mount point> [ro] [tty]`: see [`oci::dev`]; started by the runtime while it creates a container.
//! * `hello`: greets; the program of the image that `wharfd check` runs.
//! * `init -- <command>`, also under the name `docker-init`: first process of a container; see [`init`].

mod cgroup;
mod cleanup;
mod init;
mod log;
mod monitor;
mod oci;
mod runtime;
mod seal;
mod sys;

use std::{ffi::OsString, path::Path, process::ExitCode};
use wharf_types::{Error, Result};

const GREETING: &str = "Hello from Wharf!
This line was written inside a container: image, root file system, namespaces, monitor and log are in order.";

fn main() -> ExitCode {
    let mut args = std::env::args_os();
    let name = args.next().unwrap_or_default();
    let rest: Vec<OsString> = args.collect();
    if Path::new(&name).file_name().is_some_and(|n| n == "docker-init") {
        return as_init(&rest);
    }
    match rest.split_first() {
        Some((verb, rest)) if verb == "init" => as_init(rest),
        Some((verb, rest)) => match run(&verb.to_string_lossy(), rest) {
            Ok(()) => ExitCode::SUCCESS,
            Err(e) => {
                eprintln!("{e}");
                ExitCode::FAILURE
            }
        },
        None => {
            eprintln!("usage: wharf-shim monitor|oci|cleanup|hello|init …");
            ExitCode::FAILURE
        }
    }
}

fn run(verb: &str, rest: &[OsString]) -> Result<()> {
    let directory = || rest.first().map(Path::new).ok_or_else(|| Error::invalid("no task directory given"));
    match verb {
        "monitor" => monitor::boot::run(directory()?),
        "cleanup" => cleanup::run(directory()?),
        "oci" => {
            let call = oci::arguments::parse(rest.iter().cloned())?;
            seal::ensure()?;
            oci::run(&call)
        }
        oci::dev::UNCOVER => oci::dev::uncover(rest),
        "hello" => {
            println!("{GREETING}");
            Ok(())
        }
        other => Err(Error::invalid(format!("unknown command {other}"))),
    }
}

fn as_init(rest: &[OsString]) -> ExitCode {
    let command = match rest.split_first() {
        Some((dashes, command)) if dashes == "--" => command,
        _ => rest,
    };
    ExitCode::from(u8::try_from(init::run(command.to_vec())).unwrap_or(u8::MAX))
}
