//! Requests made of the description of the API (`docs/reference/openapi.json`) by schemathesis: whatever fits it, and whatever
//! nearly does, is answered as it says. `tests/openapi` holds its settings.

use std::fs;
use std::path::{Path, PathBuf};

use wharf_tests::{Case, Daemon, image, run, suite};

suite![answers_are_as_described];

/// A port of the daemon's own network namespace.
const ADDRESS: &str = "127.0.0.1:2375";
/// Random requests per row. They come after those that try every value of every field once, which are many more.
const EXAMPLES: &str = "5";

fn answers_are_as_described(case: &Case) {
    if case.engine().is_dockerd() {
        return case.skip("the description is Wharf's: its newest version is not dockerd's");
    }
    // The same requests each time judge a change; luck is for runs of their own.
    let seed = std::env::var("WHARF_TEST_SEED").unwrap_or_else(|_| "1".to_owned());
    println!("answers_are_as_described: WHARF_TEST_SEED={seed}");
    let daemon = Daemon::start_with(None, &["-H", &format!("tcp://{ADDRESS}")]);
    let archive = daemon.dir().join("image.tar");
    fs::write(&archive, image::basic_archive()).unwrap();
    let (here, url) = (Path::new(env!("CARGO_MANIFEST_DIR")), format!("http://{ADDRESS}"));
    let mut schemathesis = daemon.net.command(installed(here).to_str().unwrap());
    // What it writes goes to the daemon's directory; its settings name their hooks from theirs.
    schemathesis.current_dir(daemon.dir()).env("URL", &url).env("ARCHIVE", archive).env("PYTHONDONTWRITEBYTECODE", "1");
    fs::copy(here.join("openapi/hooks.py"), daemon.dir().join("hooks.py")).unwrap();
    schemathesis
        .arg("--config-file")
        .arg(here.join("openapi/schemathesis.toml"))
        .arg("run")
        .arg(here.join("../docs/reference/openapi.json"));
    schemathesis.args(["--url", &url, "--max-examples", EXAMPLES, "--seed", &seed, "--no-color"]);
    let output = run(&mut schemathesis);
    assert_eq!(output.code, 0, "{}\n{}\n{}", output.stdout, output.stderr, daemon.log_tail());
    let log = fs::read_to_string(daemon.dir().join("log")).unwrap();
    assert!(!log.contains("panicked"), "{log}");
}

/// The program that `make setup` puts into `tests/.cache`.
fn installed(here: &Path) -> PathBuf {
    let path = here.join(".cache/venv/bin/schemathesis");
    assert!(path.exists(), "{} is missing: run `make setup`", path.display());
    path
}
