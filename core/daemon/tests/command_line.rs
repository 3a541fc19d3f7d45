//! The program as a process: what it prints and how it exits.

#![allow(clippy::unwrap_used)] // the harness functions of these tests too

use std::path::Path;
use std::process::{Command, Output};

fn wharfd(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_wharfd")).args(args).env_remove("DOCKER_DRIVER").env_remove("DOCKER_MIN_API_VERSION").output().unwrap()
}

fn out(output: &Output) -> String {
    String::from_utf8(output.stdout.clone()).unwrap()
}

fn err(output: &Output) -> String {
    String::from_utf8(output.stderr.clone()).unwrap()
}

fn write(dir: &Path, content: &str) -> String {
    let path = dir.join("daemon.json");
    std::fs::write(&path, content).unwrap();
    path.display().to_string()
}

#[test]
fn help_lists_what_is_supported_and_nothing_else() {
    let help = wharfd(&["--help"]);
    assert!(help.status.success());
    let text = out(&help);
    for part in ["-H, --host <VALUE>", "--data-root", "[default: /var/lib/wharf]", "--live-restore", "check", "Networking:"] {
        assert!(text.contains(part), "{part} is not in\n{text}");
    }
    assert!(!text.contains("userns-remap") && !text.contains("--probe"));
}

#[test]
fn version() {
    for flag in ["-v", "--version"] {
        assert_eq!(out(&wharfd(&[flag])), format!("wharfd version {}\n", env!("CARGO_PKG_VERSION")));
    }
}

#[test]
fn validate() {
    let dir = tempfile::tempdir().unwrap();
    let good = write(dir.path(), r#"{"debug": true}"#);
    let output = wharfd(&["--validate", "--config-file", &good]);
    assert_eq!((output.status.code(), out(&output).as_str()), (Some(0), "configuration OK\n"));

    let bad = write(dir.path(), r#"{"mtu": "big"}"#);
    let output = wharfd(&["--validate", "--config-file", &bad]);
    assert_eq!(output.status.code(), Some(1));
    assert_eq!(
        err(&output),
        format!(
            "wharfd: unable to configure wharfd with file {bad}: invalid value for \"mtu\": expected an integer: \"big\" is not of type \"integer\"\n"
        )
    );
}

#[test]
fn mistakes_exit_with_one() {
    for (args, text) in [
        (&["--nonsense"][..], "unexpected argument '--nonsense'"),
        (&["serve"], "serve"),
        (&["--icc=maybe"], "wharfd: invalid argument \"maybe\" for \"--icc\" flag: \"maybe\" is neither true nor false\n"),
        (&["--userns-remap=default"], "wharfd: the option \"userns-remap\" is not supported by this version of wharfd\n"),
        (&["--config-file=/nonexistent.json"], "wharfd: unable to configure wharfd with file /nonexistent.json: No such file or directory"),
    ] {
        let output = wharfd(args);
        assert_eq!(output.status.code(), Some(1), "{args:?}");
        assert!(err(&output).contains(text), "{}", err(&output));
        assert!(out(&output).is_empty());
    }
}

#[test]
fn users_who_are_not_root_are_sent_away() {
    let dir = tempfile::tempdir().unwrap();
    std::os::unix::fs::chown(dir.path(), Some(65534), Some(65534)).unwrap();
    let program = dir.path().join("wharfd");
    std::fs::copy(env!("CARGO_BIN_EXE_wharfd"), &program).unwrap();
    let mut command = Command::new(program);
    std::os::unix::process::CommandExt::uid(&mut command, 65534);
    let output = command.output().unwrap();
    assert_eq!((output.status.code(), err(&output).as_str()), (Some(1), "wharfd: wharfd needs to be started with root privileges\n"));
}

#[test]
fn probes_tell_by_exit_code() {
    assert!(wharfd(&["check", "--probe", "namespace=mnt"]).status.success());
    let output = wharfd(&["check", "--probe", "nonsense"]);
    assert_eq!((output.status.code(), err(&output).as_str()), (Some(1), "no probe \"nonsense\"\n"));
}
