//! `wharfd check`: what this host offers for containers, found out by trying it, with nothing left behind.
//!
//! [`facts`] is what can be read (and is used by `/info`), [`probe`] what must be tried, [`host`] the table of checks, and
//! [`hello`] one whole container through a daemon of its own.

pub mod cgroups;
pub mod facts;
pub mod hello;
mod host;
pub mod probe;
pub mod report;
mod scratch;

use crate::config::Config;
use facts::Facts;
use report::{Report, Row, State};
use std::{path::Path, process::ExitCode};

/// Runs all checks and prints the report; fails when no container could run.
pub fn run(config: &Config, json: bool) -> ExitCode {
    if !rustix::process::geteuid().is_root() {
        eprintln!("wharfd: check needs root privileges, because it tries what containers need");
        return ExitCode::FAILURE;
    }
    let facts = Facts::read(Path::new("/"));
    let mut report = Report { rows: host::rows(&host::Host { facts: &facts, config }) };
    if report.usable() {
        report.rows.push(hello_row(config));
    }
    match (json, serde_json::to_string_pretty(&report)) {
        (true, Ok(text)) => println!("{text}"),
        _ => print!("{report}"),
    }
    if report.usable() { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}

fn hello_row(config: &Config) -> Row {
    let name = "a container, end to end";
    match hello::run(config) {
        Ok(greeting) => {
            let found = greeting.lines().next().unwrap_or_default().to_owned();
            Row { name, state: State::Ok, essential: true, found, lost: "" }
        }
        Err(e) => Row { name, state: State::Missing, essential: true, found: e.message().to_owned(), lost: "everything" },
    }
}
