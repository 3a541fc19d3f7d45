//! The command line.

use crate::{bench, build, host, new, pack, project::Project, record, replay, test};
use anyhow::Result;
use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};
use std::{ffi::OsString, path::PathBuf, process::ExitCode, time::Duration};

fn command() -> Command {
    let dir = || Arg::new("dir").long("dir").value_name("DIR").default_value(".").value_parser(value_parser!(PathBuf));
    let dir = || dir().help("The plugin: its repository, or what `pack` made of it");
    let set = || Arg::new("set").long("set").value_name("NAME=VALUE").action(ArgAction::Append);
    let set = || set().help("A setting, as of `docker plugin set`; may be given several times");
    let cases = |text: &'static str| Arg::new("cases").value_name("FILE").num_args(0..).value_parser(value_parser!(PathBuf)).help(text);
    Command::new("wharf-plugin")
        .version(env!("CARGO_PKG_VERSION"))
        .about("Makes, tests, measures and packs plugins of the Wharf container engine")
        .after_help("Exit codes: 0 when all is well, 1 when a command failed or a test did, 2 for a wrong command line.")
        .subcommand_required(true)
        .subcommand(
            Command::new("new")
                .about("Makes the repository of a new plugin, with a test that passes")
                .arg(Arg::new("kind").long("kind").required(true).help("What the plugin does: authz, logging, log-transform, volume, metrics or ipam"))
                .arg(Arg::new("lang").long("lang").default_value("rust").help("rust; for authz also python, javascript or c"))
                .arg(
                    Arg::new("sdk")
                        .long("sdk")
                        .value_name("PATH")
                        .value_parser(value_parser!(PathBuf))
                        .help("The directory `plugin-sdk` of the engine's repository; default: WHARF_SDK, or where this program was built"),
                )
                .arg(Arg::new("name").required(true).value_name("DIR").value_parser(value_parser!(PathBuf)).help("Its last part is the name")),
        )
        .subcommand(Command::new("build").about("Builds the component: build/plugin.wasm").arg(dir()))
        .subcommand(
            Command::new("pack").about("Checks the plugin and makes what `docker plugin create` takes: dist/, and dist.tar").arg(dir()),
        )
        .subcommand(
            Command::new("test")
                .about("Runs case files in the engine's plugin host")
                .arg(dir())
                .arg(set())
                .arg(cases("Case files; default: tests/*.jsonl")),
        )
        .subcommand(
            Command::new("bench")
                .about("Measures calls in the engine's plugin host: percentiles of their time")
                .arg(dir())
                .arg(set())
                .arg(
                    Arg::new("seconds")
                        .long("seconds")
                        .default_value("3")
                        .value_parser(value_parser!(u64).range(1..=3600))
                        .help("How long it measures"),
                )
                .arg(cases("Case files whose calls are used, in turn; default: a load for each kind, and for authz the first of tests/*.jsonl")),
        )
        .subcommand(
            Command::new("record")
                .about("Makes a case file of the decisions in a daemon's log, on standard output")
                .long_about(
                    "Makes a case file of the decisions in a daemon's log, on standard output.\n\nThe daemon writes requests into its log at the \
                     level trace and in the format json:\n  { \"log-level\": \"trace\", \"log-format\": \"json\" }\nWith --log-level only a \
                     reload is needed. Requests may hold secrets (variables of containers): keep both files to yourself.",
                )
                .arg(Arg::new("plugin").long("plugin").help("Only decisions of this plugin, such as casbin-authz"))
                .arg(
                    Arg::new("from-log")
                        .long("from-log")
                        .required(true)
                        .value_name("FILE")
                        .value_parser(value_parser!(PathBuf))
                        .help("The log; - for standard input"),
                ),
        )
        .subcommand(
            Command::new("replay")
                .about("Asks a plugin again what was recorded, and prints what it decides otherwise")
                .arg(dir())
                .arg(set())
                .arg(Arg::new("cases").value_name("FILE").required(true).num_args(1..).value_parser(value_parser!(PathBuf)).help("Recordings")),
        )
        .subcommand(
            Command::new("host")
                .about("Runs the plugin for a test library: a step on each line of standard input, an answer on each of standard output")
                .arg(dir())
                .arg(set()),
        )
}

/// Does what the command line says.
pub fn run(arguments: impl IntoIterator<Item = OsString>) -> Result<ExitCode> {
    let matches = match command().try_get_matches_from(arguments) {
        Ok(matches) => matches,
        Err(e) => {
            // Nobody is left to tell when printing fails.
            _ = e.print();
            return Ok(if e.use_stderr() { ExitCode::from(2) } else { ExitCode::SUCCESS });
        }
    };
    let Some((name, of)) = matches.subcommand() else { return Ok(ExitCode::from(2)) };
    match name {
        "new" => new::run(&text(of, "kind"), &text(of, "lang"), of.get_one("sdk"), &path(of, "name"))?,
        "record" => record::run(&path(of, "from-log"), of.get_one::<String>("plugin").map(String::as_str))?,
        _ => return with_project(name, of, &Project::open(&path(of, "dir"))?),
    }
    Ok(ExitCode::SUCCESS)
}

fn with_project(name: &str, of: &ArgMatches, project: &Project) -> Result<ExitCode> {
    let settings = || of.get_many("set").unwrap_or_default().cloned().collect::<Vec<String>>();
    let cases = || of.get_many("cases").unwrap_or_default().cloned().collect::<Vec<PathBuf>>();
    match name {
        "build" => build::run(project)?,
        "pack" => pack::run(project)?,
        "test" => return test::run(project, &settings(), cases()),
        "bench" => bench::run(project, &settings(), &cases(), Duration::from_secs(of.get_one("seconds").copied().unwrap_or(3)))?,
        "replay" => return replay::run(project, &settings(), &cases()),
        _ => host::run(project, &settings())?,
    }
    Ok(ExitCode::SUCCESS)
}

fn text(of: &ArgMatches, name: &str) -> String {
    of.get_one(name).cloned().unwrap_or_default()
}

fn path(of: &ArgMatches, name: &str) -> PathBuf {
    of.get_one(name).cloned().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    #[test]
    fn the_command_line_is_sound() {
        super::command().debug_assert();
    }
}
