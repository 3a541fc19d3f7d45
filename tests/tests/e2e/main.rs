//! The end-to-end tests. One module is one suite; `docs/contributor/testing.md` says how to run them.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "test code")]

mod api_raw;
mod archive;
mod cli_lifecycle;
mod cli_run;
mod clients;
mod health_stats;
mod images;
mod images_more;
mod network;
mod operation;
mod restart;
mod scale;

fn main() -> std::process::ExitCode {
    let suites = [
        api_raw::tests(),
        archive::tests(),
        cli_run::tests(),
        cli_lifecycle::tests(),
        clients::tests(),
        health_stats::tests(),
        images::tests(),
        images_more::tests(),
        network::tests(),
        operation::tests(),
        restart::tests(),
        scale::tests(),
    ];
    wharf_tests::suite::main(suites.into_iter().flatten().collect())
}
