//! The command line, built from the table: which flags were given, in the form that `daemon.json` would have them.

use super::kind::Kind;
use super::table::{CONFIG_FILE, Opt, Support, TABLE, VALIDATE, VERSION};
use clap::{Arg, ArgAction, ArgMatches, Command, value_parser};
use serde_json::{Map, Value};
use std::{ffi::OsString, path::PathBuf};
use wharf_types::{Error, Result};

/// What this process is asked to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    /// Serve the API.
    Serve,
    /// Check the configuration only.
    Validate,
    /// Print the version.
    Version,
    /// Report what the host offers.
    Check {
        /// As JSON instead of a table.
        json: bool,
        /// Write the hello image to standard output instead, for `docker load`.
        hello_image: bool,
        /// Run this one probe in the present process; how `check` isolates what it tries.
        probe: Option<String>,
    },
}

/// The parsed command line.
#[derive(Debug, Clone)]
pub struct Flags {
    /// What to do.
    pub action: Action,
    /// The configuration file, when named.
    pub config_file: Option<PathBuf>,
    /// The options given, by `daemon.json` key.
    pub given: Map<String, Value>,
}

/// Why there are no flags to work with.
#[derive(Debug)]
pub enum Rejected {
    /// Help was asked for, or the command line is not one; prints itself.
    Usage(clap::Error),
    /// A value does not have the shape of its option.
    Value(Error),
}

impl Flags {
    /// Reads a command line, program name first.
    ///
    /// # Errors
    /// [`Rejected::Usage`] for help and unknown flags, [`Rejected::Value`] for malformed values.
    pub fn parse<I, T>(args: I) -> Result<Self, Rejected>
    where
        I: IntoIterator<Item = T>,
        T: Into<OsString> + Clone,
    {
        let matches = command().try_get_matches_from(args).map_err(Rejected::Usage)?;
        let mut flags = Self { action: Action::Serve, config_file: None, given: Map::new() };
        for option in TABLE {
            let Some(texts) = given(&matches, option) else { continue };
            let value = match option.support {
                Support::Refused => Value::from(texts),
                _ => option.kind.read_flag(&texts).map_err(|why| Rejected::Value(invalid_argument(option, &texts, &why)))?,
            };
            match (option.key, &value) {
                (CONFIG_FILE, Value::String(path)) => flags.config_file = Some(PathBuf::from(path)),
                (VALIDATE, Value::Bool(true)) => flags.action = Action::Validate,
                (VERSION, Value::Bool(true)) => flags.action = Action::Version,
                _ if option.in_file => _ = flags.given.insert(option.key.to_owned(), value),
                _ => {}
            }
        }
        if let Some(check) = matches.subcommand_matches("check") {
            flags.action = Action::Check {
                json: check.get_flag("json"),
                hello_image: check.get_flag("hello-image"),
                probe: check.get_one::<String>("probe").cloned(),
            };
        }
        Ok(flags)
    }
}

fn given(matches: &ArgMatches, option: &Opt) -> Option<Vec<String>> {
    option.flag?;
    Some(matches.get_many::<String>(option.key)?.cloned().collect())
}

fn invalid_argument(option: &Opt, texts: &[String], why: &str) -> Error {
    let text = texts.last().map(String::as_str).unwrap_or_default();
    Error::invalid(format!("invalid argument {text:?} for \"--{}\" flag: {why}", option.flag.unwrap_or(option.key)))
}

/// The clap form of the table.
pub fn command() -> Command {
    let check = Command::new("check")
        .about("Report what this host offers for containers, and run one")
        .arg(Arg::new("json").long("json").action(ArgAction::SetTrue).help("Print JSON"))
        .arg(
            Arg::new("hello-image")
                .long("hello-image")
                .action(ArgAction::SetTrue)
                .help("Write the hello image to standard output, for `docker load`"),
        )
        .arg(Arg::new("probe").long("probe").value_parser(value_parser!(String)).hide(true));
    Command::new("wharfd")
        .about("A container engine that speaks the Docker Engine API")
        .args_override_self(true)
        .args(TABLE.iter().filter_map(arg))
        .subcommand(check)
}

fn arg(option: &Opt) -> Option<Arg> {
    let listed = option.support == Support::Yes;
    let default = if option.default.is_empty() { String::new() } else { format!(" [default: {}]", option.default) };
    let arg = Arg::new(option.key)
        .long(option.flag?)
        .value_parser(value_parser!(String))
        .value_name(option.kind.placeholder())
        .help(format!("{}{default}", option.help))
        .help_heading(option.section.title())
        .hide(!listed);
    let arg = match option.short {
        Some(short) => arg.short(short),
        None => arg,
    };
    let arg = if option.kind.repeats() { arg.action(ArgAction::Append) } else { arg.action(ArgAction::Set) };
    // A bare boolean flag means true and its value needs the equals sign, so `--debug` never swallows a word.
    Some(match option.kind {
        Kind::Bool => arg.num_args(0..=1).require_equals(true).default_missing_value("true"),
        _ => arg.allow_hyphen_values(true),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn parse(args: &[&str]) -> Result<Flags, Rejected> {
        Flags::parse(std::iter::once("wharfd").chain(args.iter().copied()))
    }

    #[test]
    fn clap_accepts_the_table() {
        command().debug_assert();
    }

    #[test]
    fn flags_become_keys() {
        let flags =
            parse(&["-D", "-H", "unix:///a", "--host=tcp://b", "--icc=false", "--shutdown-timeout", "-1", "--log-opt", "max-size=1m"])
                .unwrap();
        assert_eq!(
            Value::Object(flags.given),
            json!({"debug": true, "hosts": ["unix:///a", "tcp://b"], "icc": false, "shutdown-timeout": -1, "log-opts": {"max-size": "1m"}})
        );
        assert_eq!((flags.action, flags.config_file), (Action::Serve, None));
    }

    #[test]
    fn the_last_of_a_repeated_scalar_counts() {
        let flags = parse(&["--mtu=1400", "--mtu", "1500", "--debug=false", "-D"]).unwrap();
        assert_eq!(Value::Object(flags.given), json!({"mtu": 1500, "debug": true}));
    }

    #[test]
    fn actions() {
        assert_eq!(parse(&["--validate"]).unwrap().action, Action::Validate);
        assert_eq!(parse(&["-v"]).unwrap().action, Action::Version);
        let flags = parse(&["--data-root", "/x", "--config-file", "/y", "check", "--json"]).unwrap();
        assert_eq!(flags.action, Action::Check { json: true, hello_image: false, probe: None });
        assert_eq!((flags.config_file, flags.given.len()), (Some(PathBuf::from("/y")), 1));
    }

    #[test]
    fn errors_name_the_flag() {
        let Err(Rejected::Value(e)) = parse(&["--mtu=big"]) else { panic!() };
        assert_eq!(e.message(), r#"invalid argument "big" for "--mtu" flag: "big" is not an integer"#);
        assert!(matches!(parse(&["--nonsense"]), Err(Rejected::Usage(_))));
        assert!(matches!(parse(&["serve"]), Err(Rejected::Usage(_))));
    }
}
