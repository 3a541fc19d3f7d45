//! Authorization plugins in WebAssembly text: a core module with the names of the canonical ABI, made a component of the real world.
//!
//! Texts lie from 1,024 on, answers of the host at 704, the plugin's own answer at 512, and at 64 are zeros, which mean that all is well.

#[path = "../../../../core/plugin-host/benches/authz/component.rs"]
mod component;

use std::fs;
use std::path::Path;

use serde_json::json;
use tempfile::TempDir;

/// Imports of `wharf:host`: interface, function, parameters and results.
const IMPORTS: [(&str, &str, &str); 5] = [
    ("log", "write", "(param i32 i32 i32)"),
    ("clock", "now", "(result i64)"),
    ("random", "bytes", "(param i32 i32)"),
    ("state", "commit", "(param i32 i32 i32)"),
    ("http", "send", "(param i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32 i32)"),
];

/// One that allows everything but what it has an act for.
#[derive(Default)]
pub struct Guest {
    data: String,
    placed: usize,
    start: String,
    acts: String,
}

impl Guest {
    /// What it does when it is asked about an action. An act that comes to its end allows; `$n` is free.
    pub fn at(mut self, action: &str, act: &str) -> Self {
        let words = self.text(action);
        self.acts += &format!("(if (call $is (local.get $rq) {words}) (then {act}))\n");
        self
    }

    /// What it does at its start.
    pub fn start(mut self, act: &str) -> Self {
        act.clone_into(&mut self.start);
        self
    }

    /// Place and length of a text of its own.
    pub fn text(&mut self, text: &str) -> String {
        let at = 1024 + self.placed;
        self.data += &format!("(data (i32.const {at}) \"{text}\")\n");
        self.placed += text.len();
        assert!(at + text.len() < 4096, "too many texts");
        format!("(i32.const {at}) (i32.const {})", text.len())
    }

    /// Writes a line into its log.
    pub fn says(&mut self, text: &str) -> String {
        format!("(call $log-write (i32.const 1) {})", self.text(text))
    }

    /// Denies for this reason.
    pub fn denies(&mut self, reason: &str) -> String {
        format!("(return (call $deny {}))", self.text(reason))
    }

    /// Sends a GET. Goes on when it is answered, and denies with the words of a refusal.
    pub fn gets(&mut self, url: &str) -> String {
        format!("{} (if (i32.load8_u (i32.const 704)) (then (return (call $refused))))", self.sends(url))
    }

    /// Sends a GET; what came of it is at 704.
    pub fn sends(&mut self, url: &str) -> String {
        let (method, url) = (self.text("GET"), self.text(url));
        format!("(call $http-send {method} {url} {} (i32.const 704))", "(i32.const 0) ".repeat(8))
    }

    fn component(&self) -> Vec<u8> {
        let Self { data, start, acts, .. } = self;
        let imported =
            IMPORTS.iter().filter(|(interface, name, _)| [start, acts].iter().any(|t| t.contains(&format!("${interface}-{name}"))));
        let imports: String = imported
            .map(|(interface, name, ty)| format!("(import \"wharf:host/{interface}@0.1.0\" \"{name}\" (func ${interface}-{name} {ty}))\n"))
            .collect();
        let text = format!(
            r#"(module
              {imports} {data}
              (memory (export "memory") 1)
              (global $next (mut i32) (i32.const 4096))
              (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (local $at i32)
                (local.set $at (i32.and (i32.add (global.get $next) (i32.const 7)) (i32.const -8)))
                (global.set $next (i32.add (local.get $at) (local.get 3)))
                (local.get $at))
              ;; Whether a request is about this action.
              (func $is (param $rq i32) (param $action i32) (param $n i32) (result i32)
                (if (i32.ne (i32.load offset=4 (local.get $rq)) (local.get $n)) (then (return (i32.const 0))))
                (loop $next
                  (if (i32.eqz (local.get $n)) (then (return (i32.const 1))))
                  (local.set $n (i32.sub (local.get $n) (i32.const 1)))
                  (br_if $next (i32.eq
                    (i32.load8_u (i32.add (i32.load (local.get $rq)) (local.get $n)))
                    (i32.load8_u (i32.add (local.get $action) (local.get $n))))))
                (i32.const 0))
              (func $deny (param $reason i32) (param $length i32) (result i32)
                (i32.store8 (i32.const 516) (i32.const 2))
                (i32.store (i32.const 520) (local.get $reason)) (i32.store (i32.const 524) (local.get $length))
                (i32.const 512))
              ;; With the words of the host, which must have said that it is not allowed.
              (func $refused (result i32)
                (if (i32.load8_u (i32.const 708)) (then unreachable))
                (call $deny (i32.load (i32.const 712)) (i32.load (i32.const 716))))
              (func $deep (result i32) (i32.add (call $deep) (i32.const 1)))
              (func (export "wharf:plugin/lifecycle@0.1.0#start") (result i32) {start} (i32.const 64))
              (func (export "wharf:plugin/lifecycle@0.1.0#reload") (result i32) (i32.const 64))
              (func (export "wharf:plugin/lifecycle@0.1.0#wake") (param i32 i32) (result i32) (i32.const 64))
              (func (export "wharf:authz/authorizer@0.1.0#interests") (result i32) (i32.const 64))
              (func (export "wharf:authz/authorizer@0.1.0#judge") (param $rq i32) (result i32) (local $n i32)
                (global.set $next (i32.const 4096))
                {acts}
                (i32.const 64))
              (func (export "wharf:authz/authorizer@0.1.0#filter") (param i32) (result i32) unreachable)
            )"#
        );
        component::authz(Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../wit")), &text)
    }

    /// A directory for `docker plugin create`.
    pub fn package(&self, permissions: &[&str]) -> TempDir {
        let dir = tempfile::tempdir().unwrap();
        let config = json!({
            "Description": "A plugin that does harm",
            "Interface": {"Types": ["docker.authz/1.0"], "ProtocolScheme": "wasm.component/1"},
            "Wharf": {"Permissions": permissions},
        });
        fs::write(dir.path().join("config.json"), config.to_string()).unwrap();
        fs::create_dir(dir.path().join("rootfs")).unwrap();
        fs::write(dir.path().join("rootfs/plugin.wasm"), self.component()).unwrap();
        dir
    }
}
