//! `wharf-plugin`: makes, builds, tests, measures and packs plugins.
//!
//! Each command is a module. What runs components is [`session`]: the engine's own plugin host, driven by the steps of [`step`],
//! which are the lines of case files (`test`), of recordings (`record`, `replay`) and of the protocol of test libraries (`host`).
//! Start reading in [`args`].

mod answer;
mod args;
mod around;
mod bench;
mod build;
mod call;
mod host;
mod new;
mod pack;
mod project;
mod record;
mod replay;
mod request;
mod session;
mod step;
mod test;
mod toolchain;

use std::process::ExitCode;

fn main() -> ExitCode {
    match args::run(std::env::args_os()) {
        Ok(code) => code,
        Err(e) => {
            eprintln!("wharf-plugin: {e:#}");
            ExitCode::FAILURE
        }
    }
}
