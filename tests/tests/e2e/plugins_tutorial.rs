//! "A plugin in ten minutes" (`docs/plugin-author/tutorial.md`): its commands, as they stand there, with a daemon that the plugin guards
//! at the end.

use std::path::Path;
use std::process::Command;
use std::{env, fs};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};
use wharf_tests::{Case, poll, run, suite};

suite![a_plugin_in_ten_minutes];

fn a_plugin_in_ten_minutes(case: &Case) {
    if case.engine().is_dockerd() {
        return case.skip("components are Wharf's own");
    }
    let Some(plugins) = env::var_os("WHARF_PLUGINS") else {
        return case.skip("WHARF_PLUGINS does not name the directory that `make plugins` makes");
    };
    let target = Path::new(&plugins).parent().unwrap();
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let page = fs::read_to_string(root.join("docs/plugin-author/tutorial.md")).unwrap();
    let blocks: Vec<_> = page.split("```sh\n").skip(1).map(|rest| rest.split("```").next().unwrap()).collect();
    assert!(blocks.len() >= 4, "{blocks:?}");

    let daemon = case.own_daemon(Some(json!({"log-format": "json"})));
    let dir = tempfile::tempdir().unwrap();
    let docker = daemon.docker_command(&[]);
    let path = format!("{}:{}", target.join("debug").display(), env::var("PATH").unwrap());
    // Compiling takes its time; what `make plugincheck` compiled is not compiled again.
    let mut shell = Command::new("timeout");
    shell.args(["900", "bash", "-euxc", &blocks.concat()]).current_dir(dir.path());
    shell.envs(docker.get_envs().filter_map(|(name, value)| Some((name, value?))));
    shell.env("PATH", path).env("WHARF_SDK", root.join("plugin-sdk")).env("CARGO_TARGET_DIR", target.join("plugin-build/new"));
    let output = shell.output().unwrap();
    let said = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    assert!(output.status.success(), "{}\n{}", said(&output.stdout), said(&output.stderr));
    assert!(said(&output.stdout).ends_with("true\n"), "{}", said(&output.stdout));

    let configure = |config: &Value| {
        fs::write(daemon.dir().join("daemon.json"), config.to_string()).unwrap();
        kill(Pid::from_raw(i32::try_from(daemon.pid()).unwrap()), Signal::SIGHUP).unwrap();
    };
    configure(&json!({"log-format": "json", "log-level": "trace", "authorization-plugins": ["doorman"]}));
    let log = daemon.dir().join("log");
    poll::until("it decides", || {
        daemon.docker(&["ps"]).ok();
        fs::read_to_string(&log).unwrap().contains("\"doorman\"").then_some(())
    });
    // What it decided, it decides again.
    let wharf_plugin = || Command::new(target.join("debug/wharf-plugin"));
    let recorded = run(wharf_plugin().args(["record", "--plugin", "doorman", "--from-log"]).arg(&log)).ok();
    assert!(recorded.contains("container.list"), "{recorded}");
    fs::write(dir.path().join("recorded.jsonl"), recorded).unwrap();
    let (plugin, recorded) = (dir.path().join("doorman"), dir.path().join("recorded.jsonl"));
    let same = run(wharf_plugin().args(["replay", "--set", "ADMINISTRATORS=[0, 1000]", "--dir"]).arg(&plugin).arg(&recorded)).ok();
    assert!(same.contains(" 0 decided otherwise"), "{same}");
    // And with other settings otherwise: what it refuses now it allowed then.
    let text = fs::read_to_string(&recorded).unwrap().replace("container.list", "container.create");
    fs::write(&recorded, text).unwrap();
    let other = run(wharf_plugin().args(["replay", "--set", "ADMINISTRATORS=[7]", "--dir"]).arg(&plugin).arg(&recorded));
    assert!(other.code == 1 && other.stdout.contains("uid 0 may not container.create"), "{other:?}");
    daemon.docker(&["plugin", "disable", "-f", "doorman"]).ok();
    assert!(daemon.docker(&["ps"]).fails(1).contains("doorman"));
    configure(&json!({"log-format": "json"}));
    poll::until("nobody guards it", || (daemon.docker(&["ps"]).code == 0).then_some(()));
}
