//! What the user left open is taken from the image: dockerd's rules, field by field.

use wharf_api_types::container::{Config, HealthConfig, StrSlice};
use wharf_types::{Error, Result};

/// The key of an environment entry.
fn key(entry: &str) -> &str {
    entry.split_once('=').map_or(entry, |(k, _)| k)
}

/// Fills `user` from `image`.
pub fn merge(user: &mut Config, image: Config) {
    if user.user.is_empty() {
        user.user = image.user;
    }
    for (port, empty) in image.exposed_ports {
        user.exposed_ports.entry(port).or_insert(empty);
    }
    let inherited = image.env.unwrap_or_default();
    let env = user.env.get_or_insert_default();
    for entry in inherited {
        if !env.iter().any(|own| key(own) == key(&entry)) {
            env.push(entry);
        }
    }
    for (name, value) in image.labels {
        user.labels.entry(name).or_insert(value);
    }
    if is_empty(user.entrypoint.as_ref()) {
        if is_empty(user.cmd.as_ref()) {
            user.cmd = image.cmd;
        }
        if user.entrypoint.is_none() {
            user.entrypoint = image.entrypoint;
        }
    }
    // `--entrypoint ""` arrives as [""]: neither the image's nor any other.
    if user.entrypoint.as_ref().is_some_and(|e| e.0 == [""]) {
        user.entrypoint = None;
    }
    merge_health(&mut user.healthcheck, image.healthcheck);
    if user.working_dir.is_empty() {
        user.working_dir = image.working_dir;
    }
    let mut volumes = user.volumes.take().unwrap_or_default();
    volumes.extend(image.volumes.unwrap_or_default());
    user.volumes = (!volumes.is_empty()).then_some(volumes);
    if user.stop_signal.is_empty() {
        user.stop_signal = image.stop_signal;
    }
    if user.shell.is_none() {
        user.shell = image.shell;
    }
}

fn is_empty(words: Option<&StrSlice>) -> bool {
    words.is_none_or(|w| w.0.is_empty())
}

fn merge_health(user: &mut Option<HealthConfig>, image: Option<HealthConfig>) {
    let Some(image) = image else { return };
    let Some(own) = user else {
        *user = Some(image);
        return;
    };
    if own.test.is_empty() {
        own.test = image.test;
    }
    for (mine, theirs) in [
        (&mut own.interval, image.interval),
        (&mut own.timeout, image.timeout),
        (&mut own.start_period, image.start_period),
        (&mut own.start_interval, image.start_interval),
        (&mut own.retries, image.retries),
    ] {
        if *mine == 0 {
            *mine = theirs;
        }
    }
}

/// Splits the merged configuration into the program and its arguments.
///
/// # Errors
/// 400 `no command specified`.
pub fn command(config: &Config) -> Result<(String, Vec<String>)> {
    let words = |s: &Option<StrSlice>| s.as_ref().map(|s| s.0.clone()).unwrap_or_default();
    let mut all = words(&config.entrypoint);
    all.extend(words(&config.cmd));
    let mut all = all.into_iter();
    let path = all.next().ok_or_else(|| Error::invalid("no command specified"))?;
    Ok((path, all.collect()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(s: &[&str]) -> Option<StrSlice> {
        Some(StrSlice(s.iter().map(ToString::to_string).collect()))
    }
    fn image() -> Config {
        Config {
            entrypoint: words(&["/entry"]),
            cmd: words(&["arg"]),
            env: Some(vec!["PATH=/bin".into(), "A=image".into()]),
            user: "nobody".into(),
            ..Config::default()
        }
    }
    fn merged(mut user: Config) -> Config {
        merge(&mut user, image());
        user
    }

    #[test]
    fn commands() {
        let cases = [
            (None, None, vec!["/entry", "arg"]),
            (None, words(&["x"]), vec!["/entry", "x"]),
            (words(&["/own"]), None, vec!["/own"]),
            (words(&["/own"]), words(&["x"]), vec!["/own", "x"]),
            (words(&[""]), words(&["x"]), vec!["x"]),
        ];
        for (entrypoint, cmd, expected) in cases {
            let (path, args) = command(&merged(Config { entrypoint, cmd, ..Config::default() })).unwrap();
            let all: Vec<_> = std::iter::once(path).chain(args).collect();
            assert_eq!(all, expected);
        }
        assert_eq!(command(&Config::default()).unwrap_err().message(), "no command specified");
    }

    #[test]
    fn the_users_environment_comes_first_and_wins() {
        let c = merged(Config { env: Some(vec!["A=user".into(), "B".into()]), ..Config::default() });
        assert_eq!(c.env.unwrap(), ["A=user", "B", "PATH=/bin"]);
        assert_eq!(c.user, "nobody");
    }
}
