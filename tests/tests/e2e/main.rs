//! The end-to-end tests. One module is one suite; `docs/contributor/testing.md` says how to run them.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "test code")]

mod api_raw;
mod cli_lifecycle;
mod cli_run;
mod clients;
mod images;
mod network;
mod restart;

fn main() -> std::process::ExitCode {
    let suites =
        [api_raw::tests(), cli_run::tests(), cli_lifecycle::tests(), clients::tests(), images::tests(), network::tests(), restart::tests()];
    wharf_tests::suite::main(suites.into_iter().flatten().collect())
}
