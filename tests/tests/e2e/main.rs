//! The end-to-end tests. One module is one suite; `docs/contributor/testing.md` says how to run them.
#![allow(missing_docs, clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing, reason = "test code")]

mod api_1_19;
mod api_raw;
mod archive;
mod bypass;
mod cli_lifecycle;
mod cli_run;
mod client_calls;
mod clients;
mod contract;
mod health_stats;
mod hostile_plugins;
mod images;
mod images_more;
mod login;
mod metrics;
mod negotiation;
mod network;
mod openapi;
mod operation;
mod plugins;
mod plugins_casbin;
mod plugins_tutorial;
mod plugins_v2;
mod restart;
mod scale;
mod security;

fn main() -> std::process::ExitCode {
    let suites = [
        api_1_19::tests(),
        api_raw::tests(),
        archive::tests(),
        bypass::tests(),
        cli_run::tests(),
        cli_lifecycle::tests(),
        client_calls::tests(),
        clients::tests(),
        contract::tests(),
        health_stats::tests(),
        hostile_plugins::tests(),
        images::tests(),
        images_more::tests(),
        login::tests(),
        metrics::tests(),
        negotiation::tests(),
        network::tests(),
        openapi::tests(),
        operation::tests(),
        plugins::tests(),
        plugins_casbin::tests(),
        plugins_tutorial::tests(),
        plugins_v2::tests(),
        restart::tests(),
        scale::tests(),
        security::tests(),
    ];
    wharf_tests::suite::main(suites.into_iter().flatten().collect())
}
