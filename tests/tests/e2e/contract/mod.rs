//! What the API answers, field by field, beside the original: the same requests go to a dockerd and to the engine under test, and
//! every path of every answer must have the same type and, where it is not bound to the run, the same value.
//!
//! `scenes_*.rs` hold what is asked, `shape.rs` says what of an answer counts, and `differences.rs` lists each difference that is
//! meant, with its reason. With dockerd as the engine under test it is compared with itself, which proves that nothing counts that
//! is bound to the run.

mod differences;
mod scenes_containers;
mod scenes_images;
mod scenes_system;
mod shape;

use std::collections::{BTreeMap, BTreeSet};
use std::thread;

use differences::DIFFERENCES;
use serde_json::Value;
use shape::{Shape, Words};
use wharf_tests::http::{Http, Reply};
use wharf_tests::{Case, Daemon, Engine, image, suite};

suite![answers];

/// The versions that both speak and that differ in shape.
const VERSIONS: [&str; 10] = ["1.19", "1.20", "1.21", "1.22", "1.23", "1.24", "1.25", "1.30", "1.40", "1.41"];

fn answers(case: &Case) {
    let found = std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default()).any(|dir| dir.join("dockerd").exists());
    if !found {
        return case.skip("dockerd is not installed: there is nothing to compare with");
    }
    // Both are joined before either may fail the test: each takes its own daemon down.
    let threads = [Engine::Dockerd, case.engine()].map(|engine| thread::spawn(move || look(engine)));
    let [original, ours] = threads.map(thread::JoinHandle::join).map(Result::unwrap);
    let allowed: &[differences::Difference] = if case.engine().is_dockerd() { &[] } else { DIFFERENCES };

    let mut used = BTreeSet::new();
    let mut found: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let labels: BTreeSet<_> = original.keys().chain(ours.keys()).collect();
    for label in labels {
        let none = Shape::new();
        let (a, b) = (original.get(label).unwrap_or(&none), ours.get(label).unwrap_or(&none));
        for path in a.keys().chain(b.keys()).collect::<BTreeSet<_>>() {
            let pair = (a.get(path), b.get(path));
            if pair.0 == pair.1 {
                continue;
            }
            match allowed.iter().position(|d| d.covers(label, path, pair)) {
                Some(at) => drop(used.insert(at)),
                None => {
                    let show = |v: Option<&String>| v.map_or("(absent)", String::as_str).to_owned();
                    found.entry(format!("{path}: dockerd {}, here {}", show(pair.0), show(pair.1))).or_default().push(label.clone());
                }
            }
        }
    }
    let lines: Vec<String> = found.iter().map(|(what, at)| format!("{what}\n        in {}", at.join(", "))).collect();
    assert!(lines.is_empty(), "{} differences:\n    {}", lines.len(), lines.join("\n    "));
    let stale: Vec<_> = allowed.iter().enumerate().filter(|(at, _)| !used.contains(at)).map(|(_, d)| d).collect();
    assert!(stale.is_empty(), "these differences are gone, take them off the list: {stale:#?}");
}

/// All answers of one engine, by what was asked.
fn look(engine: Engine) -> BTreeMap<String, Shape> {
    let daemon = Daemon::start_as(engine, None, &[]);
    daemon.load(&image::basic_archive());
    let mut seen = Seen { http: daemon.http(), words: Words::of(&daemon), daemon: &daemon, answers: BTreeMap::new() };
    scenes_system::all(&mut seen);
    scenes_containers::all(&mut seen);
    scenes_images::all(&mut seen);
    seen.answers
}

/// A daemon, and what it answered so far.
struct Seen<'a> {
    daemon: &'a Daemon,
    http: Http,
    words: Words,
    answers: BTreeMap<String, Shape>,
}

impl Seen<'_> {
    /// Notes the answer of a GET in every version.
    fn get(&mut self, label: &str, path: &str) {
        self.get_in(label, path, &VERSIONS);
    }

    /// Notes the answer of a GET in some versions.
    fn get_in(&mut self, label: &str, path: &str, versions: &[&str]) {
        for version in versions {
            self.ask(label, version, "GET", path, &Value::Null);
        }
    }

    /// Sends a request, with a body unless it is null, and notes the answer.
    fn ask(&mut self, label: &str, version: &str, method: &str, path: &str, body: &Value) -> Reply {
        let versioned = format!("/v{version}{path}");
        let reply = match body {
            Value::Null => self.http.request(method, &versioned, &[], b""),
            body => self.http.request(method, &versioned, &[("Content-Type", "application/json")], body.to_string().as_bytes()),
        };
        self.note(label, version, &reply);
        reply
    }

    /// Notes a document that was taken from an answer.
    fn note_json(&mut self, label: &str, version: &str, document: &Value) {
        let key = format!("{label} {version}");
        let mut shape = Shape::new();
        shape::flatten(document, String::new(), &key, &self.words, &mut shape);
        self.answers.insert(key, shape);
    }

    fn note(&mut self, label: &str, version: &str, reply: &Reply) {
        let key = format!("{label} {version}");
        let shape = shape::of(&key, reply, &self.words);
        assert!(self.answers.insert(key, shape).is_none(), "{label} {version} was asked twice");
    }
}
