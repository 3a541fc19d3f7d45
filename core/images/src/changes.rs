//! The `changes` of import and commit: a few Dockerfile instructions that edit a config.

use crate::{
    config::{Empty, Healthcheck, RunConfig, Set},
    words,
};
use wharf_types::{Error, GoDuration, Result, Signal};

/// Applies `changes` to `config` in order; each may hold several lines.
///
/// # Errors
/// `InvalidParameter` naming the instruction: `X is not a valid change command`, or what is wrong with its arguments.
pub fn apply(config: &mut RunConfig, changes: &[String]) -> Result<()> {
    let mut edit = Edit { config, cmd_set: false };
    for line in changes.iter().flat_map(|c| c.lines()).map(str::trim).filter(|l| !l.is_empty() && !l.starts_with('#')) {
        let (instruction, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
        edit.apply(instruction, rest.trim())?;
    }
    Ok(())
}

struct Edit<'a> {
    config: &'a mut RunConfig,
    cmd_set: bool,
}

impl Edit<'_> {
    fn apply(&mut self, instruction: &str, rest: &str) -> Result<()> {
        let name = instruction.to_ascii_uppercase();
        let known = ["CMD", "ENTRYPOINT", "ENV", "EXPOSE", "HEALTHCHECK", "LABEL", "ONBUILD", "STOPSIGNAL", "USER", "VOLUME", "WORKDIR"];
        if !known.contains(&name.as_str()) {
            return Err(Error::invalid(format!("{instruction} is not a valid change command")));
        }
        if rest.is_empty() && !matches!(name.as_str(), "CMD" | "ENTRYPOINT") {
            return Err(Error::invalid(format!("{name} requires at least one argument")));
        }
        match name.as_str() {
            "CMD" => {
                self.config.cmd = Some(self.command(rest));
                self.config.args_escaped = false;
                self.cmd_set = true;
            }
            "ENTRYPOINT" => {
                self.config.entrypoint = Some(self.command(rest)).filter(|c| !c.is_empty());
                // The arguments of the old program are no arguments of the new one.
                if !self.cmd_set {
                    self.config.cmd = None;
                }
            }
            "ENV" => {
                for (key, value) in self.pairs(&name, rest)? {
                    let line = format!("{key}={value}");
                    match self.config.env.iter_mut().find(|l| l.split_once('=').map_or(l.as_str(), |(k, _)| k) == key) {
                        Some(old) => *old = line,
                        None => self.config.env.push(line),
                    }
                }
            }
            "LABEL" => {
                let pairs = self.pairs(&name, rest)?;
                self.config.labels.get_or_insert_default().extend(pairs);
            }
            "EXPOSE" => {
                for word in self.words(rest)? {
                    expose(self.config.exposed_ports.get_or_insert_default(), &word)?;
                }
            }
            "HEALTHCHECK" => self.config.healthcheck = Some(healthcheck(rest)?),
            "ONBUILD" => {
                let trigger = rest.split_whitespace().next().unwrap_or_default().to_ascii_uppercase();
                match trigger.as_str() {
                    "ONBUILD" => return Err(Error::invalid("Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed")),
                    "FROM" | "MAINTAINER" => return Err(Error::invalid(format!("{trigger} isn't allowed as an ONBUILD trigger"))),
                    _ => self.config.on_build.push(rest.to_owned()),
                }
            }
            "STOPSIGNAL" => {
                let signal = self.one(rest)?;
                signal.parse::<Signal>()?;
                self.config.stop_signal = signal;
            }
            "USER" => self.config.user = self.one(rest)?,
            "VOLUME" => {
                for path in json(rest).map_or_else(|| self.words(rest), Ok)? {
                    if path.trim().is_empty() {
                        return Err(Error::invalid("VOLUME specified can not be an empty string"));
                    }
                    self.config.volumes.get_or_insert_default().insert(path, Empty {});
                }
            }
            _ => {
                let to = self.one(rest)?;
                self.config.working_dir = join(&self.config.working_dir, &to);
            }
        }
        Ok(())
    }

    fn words(&self, text: &str) -> Result<Vec<String>> {
        words::split(text, &self.config.env)
    }

    fn one(&self, text: &str) -> Result<String> {
        words::whole(text, &self.config.env)
    }

    /// `["program", …]`, or a line for the shell.
    fn command(&self, rest: &str) -> Vec<String> {
        match json(rest) {
            Some(words) => words,
            None if rest.is_empty() => Vec::new(),
            None if self.config.shell.is_empty() => vec!["/bin/sh".to_owned(), "-c".to_owned(), rest.to_owned()],
            None => self.config.shell.iter().cloned().chain([rest.to_owned()]).collect(),
        }
    }

    /// `A=b C="d e"`, or the old form `A everything else`.
    fn pairs(&self, instruction: &str, rest: &str) -> Result<Vec<(String, String)>> {
        let invalid = |word: &str| Error::invalid(format!("Syntax error - can't find = in \"{word}\". Must be of the form: name=value"));
        let (first, old_value) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
        let pairs = if first.contains('=') {
            let split = |word: String| word.split_once('=').map(|(k, v)| (k.to_owned(), v.to_owned())).ok_or_else(|| invalid(&word));
            self.words(rest)?.into_iter().map(split).collect::<Result<Vec<_>>>()?
        } else if old_value.is_empty() {
            return Err(Error::invalid(format!("{instruction} must have two arguments")));
        } else {
            vec![(self.one(first)?, self.one(old_value.trim())?)]
        };
        match pairs.iter().any(|(k, _)| k.is_empty()) {
            true => Err(Error::invalid(format!("{instruction} names can not be blank"))),
            false => Ok(pairs),
        }
    }
}

fn json(text: &str) -> Option<Vec<String>> {
    text.starts_with('[').then(|| serde_json::from_str(text).ok()).flatten()
}

/// `port[-port][/protocol]`
fn expose(ports: &mut Set, text: &str) -> Result<()> {
    let invalid = || Error::invalid(format!("invalid containerPort: {text}"));
    let (range, protocol) = text.split_once('/').unwrap_or((text, "tcp"));
    let protocol = protocol.to_ascii_lowercase();
    if !["tcp", "udp", "sctp"].contains(&protocol.as_str()) {
        return Err(Error::invalid(format!("invalid proto: {protocol}")));
    }
    let (first, last) = range.split_once('-').unwrap_or((range, range));
    let (first, last): (u16, u16) = (first.parse().map_err(|_| invalid())?, last.parse().map_err(|_| invalid())?);
    if last < first {
        return Err(invalid());
    }
    ports.extend((first..=last).map(|port| (format!("{port}/{protocol}"), Empty {})));
    Ok(())
}

fn healthcheck(rest: &str) -> Result<Healthcheck> {
    let mut check = Healthcheck::default();
    let mut rest = rest;
    while let Some(flag) = rest.strip_prefix("--") {
        let (flag, tail) = flag.split_once(char::is_whitespace).unwrap_or((flag, ""));
        let (key, value) = flag.split_once('=').ok_or_else(|| Error::invalid(format!("Missing a value on flag: {flag}")))?;
        let nanos = || value.parse::<GoDuration>().map(GoDuration::nanos);
        match key {
            "interval" => check.interval = nanos()?,
            "timeout" => check.timeout = nanos()?,
            "start-period" => check.start_period = nanos()?,
            "start-interval" => check.start_interval = nanos()?,
            "retries" => check.retries = value.parse().map_err(|_| Error::invalid(format!("--retries must be a number (not {value})")))?,
            _ => return Err(Error::invalid(format!("Unknown flag: {key}"))),
        }
        rest = tail.trim_start();
    }
    let (kind, command) = rest.split_once(char::is_whitespace).unwrap_or((rest, ""));
    let command = command.trim();
    check.test = match (kind.to_ascii_uppercase().as_str(), json(command)) {
        ("NONE", _) if command.is_empty() => vec!["NONE".to_owned()],
        ("NONE", _) => return Err(Error::invalid("HEALTHCHECK NONE takes no arguments")),
        ("CMD", _) if command.is_empty() => return Err(Error::invalid("Missing command after HEALTHCHECK CMD")),
        ("CMD", Some(words)) => ["CMD".to_owned()].into_iter().chain(words).collect(),
        ("CMD", None) => vec!["CMD-SHELL".to_owned(), command.to_owned()],
        (other, _) => return Err(Error::invalid(format!("Unknown type {other:?} in HEALTHCHECK (try CMD)"))),
    };
    Ok(check)
}

/// A working directory, relative to the one before; `.` and `..` are resolved.
fn join(base: &str, to: &str) -> String {
    let mut parts: Vec<&str> = Vec::new();
    let base = if to.starts_with('/') { "" } else { base };
    for part in base.split('/').chain(to.split('/')) {
        match part {
            "" | "." => {}
            ".." => {
                parts.pop();
            }
            _ => parts.push(part),
        }
    }
    format!("/{}", parts.join("/"))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn applied(changes: &[&str]) -> Result<RunConfig> {
        let mut config = RunConfig::default();
        apply(&mut config, &changes.iter().map(|c| (*c).to_owned()).collect::<Vec<_>>())?;
        Ok(config)
    }

    #[test]
    fn every_instruction() {
        let c = applied(&[
            "CMD [\"a\", \"b\"]",
            "entrypoint run it",
            "ENV A=1 B=\"x y\"\nENV A 2 3\n# comment",
            "EXPOSE 80 8000-8002/udp",
            "LABEL k=$A l='$A'",
            "USER u:g",
            "VOLUME [\"/v w\"]",
            "VOLUME /x /y",
            "WORKDIR /a/b",
            "WORKDIR ../c",
            "STOPSIGNAL SIGTERM",
            "HEALTHCHECK --interval=5s --retries=3 CMD curl x",
            "ONBUILD RUN y",
        ])
        .unwrap();
        assert_eq!(c.cmd.unwrap(), ["a", "b"]);
        assert_eq!(c.entrypoint.unwrap(), ["/bin/sh", "-c", "run it"]);
        assert_eq!(c.env, ["A=2 3", "B=x y"]);
        assert_eq!(c.exposed_ports.unwrap().into_keys().collect::<Vec<_>>(), ["80/tcp", "8000/udp", "8001/udp", "8002/udp"]);
        assert_eq!(c.labels.unwrap().into_values().collect::<Vec<_>>(), ["2 3", "$A"]);
        assert_eq!((c.user.as_str(), c.working_dir.as_str(), c.stop_signal.as_str()), ("u:g", "/a/c", "SIGTERM"));
        assert_eq!(c.volumes.unwrap().into_keys().collect::<Vec<_>>(), ["/v w", "/x", "/y"]);
        let h = c.healthcheck.unwrap();
        assert_eq!((h.test, h.interval, h.retries), (vec!["CMD-SHELL".to_owned(), "curl x".to_owned()], 5_000_000_000, 3));
        assert_eq!(c.on_build, ["RUN y"]);
    }

    #[test]
    fn refused() {
        for (change, text) in [
            ("RUN x", "RUN is not a valid change command"),
            ("FROM x", "FROM is not a valid change command"),
            ("ENV", "ENV requires at least one argument"),
            ("ENV A", "ENV must have two arguments"),
            ("ENV A=1 B", "Syntax error - can't find = in \"B\". Must be of the form: name=value"),
            ("EXPOSE x", "invalid containerPort: x"),
            ("EXPOSE 1/icmp", "invalid proto: icmp"),
            ("STOPSIGNAL X", "invalid signal: X"),
            ("ONBUILD ONBUILD RUN x", "Chaining ONBUILD via `ONBUILD ONBUILD` isn't allowed"),
            ("HEALTHCHECK --nope=1 CMD x", "Unknown flag: nope"),
        ] {
            let e = applied(&[change]).unwrap_err();
            assert_eq!((e.kind(), e.message()), (wharf_types::ErrorKind::InvalidParameter, text));
        }
    }

    #[test]
    fn a_new_entrypoint_drops_the_old_arguments() {
        let mut c = RunConfig { cmd: Some(vec!["old".into()]), ..RunConfig::default() };
        apply(&mut c, &["ENTRYPOINT [\"x\"]".into()]).unwrap();
        assert!(c.cmd.is_none());
    }
}
