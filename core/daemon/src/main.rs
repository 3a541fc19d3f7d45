//! Entry point: parse flags, load the configuration, build the daemon, run it until told to stop.

use std::process::ExitCode;
use wharf_daemon::config::{Action, Config, Flags, Process, Rejected, check_plugins};
use wharf_daemon::{COMPILE_COMPONENT, check, daemon::Daemon, listen, signals, trace};

fn main() -> ExitCode {
    // The daemon starts itself for work that is not done in its own process; nobody else has a use for that.
    let mut arguments = std::env::args_os().skip(1);
    if arguments.next().is_some_and(|first| first == COMPILE_COMPONENT) {
        return wharf_plugin_host::wasm::compile_component(arguments);
    }
    let flags = match Flags::parse(std::env::args_os()) {
        Ok(flags) => flags,
        Err(Rejected::Usage(e)) => {
            // Help goes to standard output and is no failure; nobody is left to tell when printing fails.
            _ = e.print();
            return if e.use_stderr() { ExitCode::FAILURE } else { ExitCode::SUCCESS };
        }
        Err(Rejected::Value(e)) => return fail(e),
    };
    if flags.action == Action::Version {
        println!("wharfd version {}", env!("CARGO_PKG_VERSION"));
        return ExitCode::SUCCESS;
    }
    // Each probe is a process that `check` starts; it needs no configuration.
    if let Action::Check { probe: Some(probe), .. } = &flags.action {
        return check::probe::run(probe);
    }
    let config = match Config::load(&flags, &Process) {
        Ok(config) => config,
        Err(e) => return fail(e),
    };
    match flags.action {
        Action::Validate => match check_plugins(&config.plugins) {
            Ok(()) => {
                println!("configuration OK");
                ExitCode::SUCCESS
            }
            Err(e) => fail(e),
        },
        Action::Check { hello_image: true, .. } => match check::hello::write_image(&config, &mut std::io::stdout()) {
            Ok(()) => ExitCode::SUCCESS,
            Err(e) => fail(e),
        },
        Action::Check { json, .. } => check::run(&config, json),
        Action::Serve | Action::Version => serve(flags, config),
    }
}

fn serve(flags: Flags, config: Config) -> ExitCode {
    if !rustix::process::geteuid().is_root() {
        return fail("wharfd needs to be started with root privileges");
    }
    let sockets = match listen::Sockets::inherited() {
        Ok(sockets) => sockets,
        Err(e) => return fail(format!("failed to start daemon: {e}")),
    };
    listen::tls::install_crypto();
    trace::init(&config.log);
    for warning in &config.warnings {
        tracing::warn!("{warning}");
    }
    let runtime = match runtime() {
        Ok(runtime) => runtime,
        Err(e) => return fail(format!("failed to start daemon: {e}")),
    };
    let code = runtime.block_on(async {
        let (shutdown, requests) = match signals::watch() {
            Ok(watched) => watched,
            Err(e) => return fail(format!("failed to start daemon: {e}")),
        };
        match Daemon::build(flags, config, sockets).await {
            Ok(daemon) => daemon.run(shutdown, requests).await,
            Err(e) => fail(format!("{e:#}")),
        }
    });
    // Work that still blocks a thread must not hold up the exit of a drained daemon.
    runtime.shutdown_background();
    code
}

/// Few and small threads: an idle daemon should cost its host next to nothing.
fn runtime() -> std::io::Result<tokio::runtime::Runtime> {
    /// A plugin that computes for long has one of two.
    const MIN_WORKERS: usize = 2;
    const MAX_WORKERS: usize = 4;
    const MAX_BLOCKING: usize = 64;
    const STACK: usize = 1 << 20;
    let cpus = std::thread::available_parallelism().map_or(1, usize::from);
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(cpus.clamp(MIN_WORKERS, MAX_WORKERS))
        .max_blocking_threads(MAX_BLOCKING)
        .thread_stack_size(STACK)
        .thread_name("wharfd")
        .enable_all()
        .build()
}

fn fail(why: impl std::fmt::Display) -> ExitCode {
    eprintln!("wharfd: {why}");
    ExitCode::FAILURE
}
