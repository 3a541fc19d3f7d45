//! Reads runc's command line into an [`Invocation`].

use crate::runtime::{Invocation, Verb};
use std::{ffi::OsString, path::PathBuf};
use wharf_types::{Error, Result};

/// Where state is kept when no `--root` is given.
const DEFAULT_ROOT: &str = "/run/wharf/oci";

#[derive(Default)]
struct Options {
    root: Option<PathBuf>,
    log: Option<PathBuf>,
    bundle: Option<PathBuf>,
    pid_file: Option<PathBuf>,
    console: Option<PathBuf>,
    process: Option<PathBuf>,
    resources: Option<PathBuf>,
    all: bool,
    force: bool,
}

/// Parses what follows `oci`.
pub fn parse(args: impl Iterator<Item = OsString>) -> Result<Invocation> {
    let mut args = args.map(|a| a.into_string().map_err(|a| Error::invalid(format!("argument is not text: {a:?}"))));
    let (mut options, mut words) = (Options::default(), Vec::new());
    while let Some(arg) = args.next().transpose()? {
        let (name, inline) = match arg.split_once('=') {
            Some((name, value)) if name.starts_with('-') => (name.to_owned(), Some(value.to_owned())),
            _ => (arg, None),
        };
        let mut value = || match inline.clone() {
            Some(value) => Ok(value),
            None => args.next().transpose()?.ok_or_else(|| Error::invalid(format!("{name} needs a value"))),
        };
        match name.as_str() {
            "--root" => options.root = Some(value()?.into()),
            "--log" => options.log = Some(value()?.into()),
            "--log-format" if value()? != "json" => return Err(Error::invalid("only --log-format json is supported")),
            "--log-format" | "--detach" | "-d" => {}
            "--bundle" | "-b" => options.bundle = Some(value()?.into()),
            "--pid-file" => options.pid_file = Some(value()?.into()),
            "--console-socket" => options.console = Some(value()?.into()),
            "--process" | "-p" => options.process = Some(value()?.into()),
            "--resources" | "-r" => options.resources = Some(value()?.into()),
            "--all" | "-a" => options.all = true,
            "--force" | "-f" => options.force = true,
            other if other.starts_with('-') => return Err(Error::invalid(format!("unknown option {other}"))),
            word => words.push(word.to_owned()),
        }
    }
    let mut words = words.into_iter();
    let verb = words.next().ok_or_else(|| Error::invalid("no command given"))?;
    let id = words.next().ok_or_else(|| Error::invalid(format!("{verb}: no container given")))?;
    // The state lives in `<root>/<id>`.
    if id.is_empty() || id.starts_with('.') || !id.bytes().all(|b| b.is_ascii_alphanumeric() || b"_+-.".contains(&b)) {
        return Err(Error::invalid(format!("invalid container id {id:?}")));
    }
    let Options { root, log, bundle, pid_file, console, process, resources, all, force } = options;
    let verb = match verb.as_str() {
        "create" => Verb::Create { bundle: bundle.unwrap_or_else(|| ".".into()), pid_file, console },
        "start" => Verb::Start,
        "exec" => Verb::Exec { process: process.ok_or_else(|| Error::invalid("exec needs --process"))?, pid_file, console },
        "kill" => Verb::Kill { signal: words.next().unwrap_or_else(|| "TERM".to_owned()), all },
        "state" => Verb::State,
        "pause" => Verb::Pause,
        "resume" => Verb::Resume,
        "update" => Verb::Update { resources: resources.ok_or_else(|| Error::invalid("update needs --resources"))? },
        "delete" => Verb::Delete { force },
        other => return Err(Error::invalid(format!("unknown command {other}"))),
    };
    if let Some(word) = words.next() {
        return Err(Error::invalid(format!("unexpected argument {word}")));
    }
    Ok(Invocation { root: root.unwrap_or_else(|| DEFAULT_ROOT.into()), log, id, verb })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parsed(line: &str) -> Result<Invocation> {
        parse(line.split(' ').map(OsString::from))
    }

    #[test]
    fn refuses_what_it_does_not_know() {
        for line in ["create", "checkpoint c", "start ../c", "start c extra", "--systemd-cgroup start c", "exec c", "--root"] {
            assert!(parsed(line).is_err(), "{line}");
        }
    }

    #[test]
    fn takes_values_in_both_forms() {
        assert_eq!(parsed("--root=/r kill -a c KILL").unwrap(), parsed("--root /r kill --all c KILL").unwrap());
    }
}
