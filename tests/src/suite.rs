//! Runs the tests: a list of functions, an optional choice of suites, and the leak check of the shared daemon as the last test.

use std::process::ExitCode;
use std::sync::Mutex;

use libtest_mimic::{Arguments, Trial};

use crate::{Case, Engine};

static SKIPPED: Mutex<Vec<String>> = Mutex::new(Vec::new());

/// Name and body of a test; the name is `suite::test`.
pub type Test = (&'static str, fn(&Case));

/// Lists the tests of a module: `suite![first, second]`.
#[macro_export]
macro_rules! suite {
    ($($test:ident),* $(,)?) => {
        pub fn tests() -> Vec<$crate::suite::Test> {
            let suite = module_path!().rsplit("::").next().unwrap_or_default();
            vec![$((&*format!("{suite}::{}", stringify!($test)).leak(), $test as fn(&$crate::Case))),*]
        }
    };
}

pub(crate) fn note_skip(test: &str, reason: &str) {
    SKIPPED.lock().unwrap().push(format!("skipped {test}: {reason}"));
}

/// Runs what the command line and `WHARF_TEST_SUITES` (names separated by commas) choose, two at a time unless told otherwise.
pub fn main(tests: Vec<Test>) -> ExitCode {
    let mut arguments = Arguments::from_args();
    arguments.test_threads = arguments.test_threads.or(Some(2));
    let suites = std::env::var("WHARF_TEST_SUITES").unwrap_or_default();
    let chosen = |name: &str| suites.is_empty() || suites.split(',').any(|s| name.split("::").next() == Some(s));
    let trials = tests.into_iter().filter(|(name, _)| chosen(name)).map(|(name, body)| {
        Trial::test(name, move || {
            // The label and names of containers are the function's name: no test has the name of another.
            let case = Case::new(name.rsplit("::").next().unwrap_or(name));
            body(&case);
            Ok(())
        })
    });
    let conclusion = libtest_mimic::run(&arguments, trials.collect());
    for line in SKIPPED.lock().unwrap().iter() {
        println!("{line}");
    }
    if arguments.list {
        return ExitCode::SUCCESS;
    }
    let runtime = Engine::runtime().unwrap_or_else(|| "default runtime".to_owned());
    println!("{:?}, {runtime}: {} passed, {} failed", Engine::from_env(), conclusion.num_passed, conclusion.num_failed);
    if let Err(leak) = Case::close_shared() {
        println!("FAILED the shared daemon {leak}");
        return ExitCode::from(101);
    }
    conclusion.exit_code()
}
