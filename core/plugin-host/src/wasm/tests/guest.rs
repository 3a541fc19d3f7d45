//! Plugins in WebAssembly text: a core module with the names of the canonical ABI, made a component of the real worlds.
//!
//! All functions answer with a pointer to 64 bytes of zeros unless a test says otherwise; zeros mean `ok`, `allow`, not interested.

#[path = "../../../benches/authz/component.rs"]
mod component;

use component::encode;
use std::path::Path;
use wit_component::dummy_module;
use wit_parser::{ManglingAndAbi, PackageId, Resolve};

const WIT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../wit");

/// The pieces of a module.
pub struct Guest {
    /// Imports and other definitions.
    pub fields: String,
    /// Bodies; each leaves the pointer of its answer.
    pub start: String,
    pub reload: String,
    pub wake: String,
    pub interests: String,
    /// Its parameter `$rq` points to the request; `$n` (i32) and `$end` (i64) are free.
    pub judge: String,
    pub filter: String,
}

/// Where zeros are, where a test may put an answer, and where arguments begin.
pub const ZEROS: &str = "(i32.const 64)";

impl Default for Guest {
    fn default() -> Self {
        let zeros = || ZEROS.to_owned();
        Self { fields: String::new(), start: zeros(), reload: zeros(), wake: zeros(), interests: zeros(), judge: zeros(), filter: zeros() }
    }
}

impl Guest {
    /// One that judges so.
    pub fn judging(judge: &str) -> Self {
        Self { judge: judge.to_owned(), ..Self::default() }
    }

    /// Imports of an interface of `wharf:host`: `(name, parameters and results)`.
    pub fn import(mut self, interface: &str, functions: &[(&str, &str)]) -> Self {
        for (name, ty) in functions {
            let import = format!("(import \"wharf:host/{interface}@0.1.0\" \"{name}\" (func ${interface}-{name} {ty}))\n");
            self.fields.insert_str(0, &import);
        }
        self
    }

    /// The component.
    pub fn component(&self) -> Vec<u8> {
        let Self { fields, start, reload, wake, interests, judge, filter } = self;
        let text = format!(
            r#"(module
              {fields}
              (memory (export "memory") 1)
              (global $next (mut i32) (i32.const 4096))
              (func $alloc (export "cabi_realloc") (param i32 i32 i32 i32) (result i32)
                (local $at i32)
                (local.set $at (i32.and (i32.add (global.get $next) (i32.const 7)) (i32.const -8)))
                (global.set $next (i32.add (local.get $at) (local.get 3)))
                (block $fits
                  (br_if $fits (i32.le_u (global.get $next) (i32.mul (memory.size) (i32.const 65536))))
                  (drop (memory.grow (i32.add (i32.div_u (local.get 3) (i32.const 65536)) (i32.const 1)))))
                (local.get $at))
              (func (export "wharf:plugin/lifecycle@0.1.0#start") (result i32) {start})
              (func (export "wharf:plugin/lifecycle@0.1.0#reload") (result i32) {reload})
              (func (export "wharf:plugin/lifecycle@0.1.0#wake") (param i32 i32) (result i32) {wake})
              (func (export "wharf:authz/authorizer@0.1.0#interests") (result i32) {interests})
              (func (export "wharf:authz/authorizer@0.1.0#judge") (param $rq i32) (result i32) (local $n i32) (local $end i64)
                (global.set $next (i32.const 4096)) {judge})
              (func (export "wharf:authz/authorizer@0.1.0#filter") (param i32) (result i32)
                (global.set $next (i32.const 4096)) {filter})
            )"#
        );
        component::authz(Path::new(WIT), &text)
    }
}

/// A plugin of any world. Functions answer with zeros unless a test says otherwise; a resource is the number 7.
pub struct Answers {
    /// A world of `wharf:plugin`, or several of them as one.
    worlds: Vec<&'static str>,
    fields: String,
    bodies: Vec<(String, String)>,
    next: u32,
}

impl Answers {
    pub fn of(worlds: &[&'static str]) -> Self {
        Self { worlds: worlds.to_vec(), fields: String::new(), bodies: Vec::new(), next: 1024 }
    }

    /// Of a function, by the end of its name (`driver@0.1.0#create`). Parameters are `(local.get 0)` and so on.
    pub fn body(mut self, function: &str, body: &str) -> Self {
        self.bodies.insert(0, (function.to_owned(), body.to_owned()));
        self
    }

    pub fn field(mut self, field: &str) -> Self {
        self.fields.push_str(field);
        self
    }

    /// The bytes of what the function answers.
    pub fn answer(mut self, function: &str, bytes: &[u8]) -> Self {
        let at = self.place(bytes);
        self.body(function, &format!("(i32.const {at})"))
    }

    /// Puts bytes into the memory of the plugin; where they are.
    pub fn place(&mut self, bytes: &[u8]) -> u32 {
        let at = self.next;
        let text: String = bytes.iter().map(|b| format!("\\{b:02x}")).collect();
        self.fields.push_str(&format!("(data (i32.const {at}) \"{text}\")\n"));
        self.next = (at + u32::try_from(bytes.len()).unwrap()).next_multiple_of(64);
        at
    }

    pub fn component(&self) -> Vec<u8> {
        let (mut resolve, _) = packages();
        let includes: String = self.worlds.iter().map(|world| format!("include wharf:plugin/{world}@0.1.0;")).collect();
        let package = resolve.push_str("several.wit", &format!("package test:several; world several {{ {includes} }}")).unwrap();
        let world = resolve.select_world(&[package], Some("several")).unwrap();
        let (mut imports, mut functions) = (String::new(), String::new());
        for item in resolve.worlds[world].exports.values() {
            let wit_parser::WorldItem::Interface { id, .. } = item else { continue };
            let interface = resolve.id_of(*id).unwrap();
            for function in resolve.interfaces[*id].functions.values() {
                let name = format!("{interface}#{}", function.name);
                let ty = resolve.wasm_signature(wit_parser::abi::AbiVariant::GuestExport, function);
                let word = |ty: &wit_parser::abi::WasmType| match ty {
                    wit_parser::abi::WasmType::I64 | wit_parser::abi::WasmType::PointerOrI64 => "i64",
                    wit_parser::abi::WasmType::F64 => "f64",
                    wit_parser::abi::WasmType::F32 => "f32",
                    _ => "i32",
                };
                let words = |types: &[wit_parser::abi::WasmType]| types.iter().map(word).collect::<Vec<_>>().join(" ");
                let usual = if function.name.starts_with("[constructor]") { "(call $new (i32.const 7))" } else { ZEROS };
                let body = self.bodies.iter().find(|(end, _)| name.ends_with(end.as_str())).map_or(usual, |(_, body)| body);
                functions.push_str(&format!(
                    "(func (export \"{name}\") (param {}) (result {}) {body})\n",
                    words(&ty.params),
                    words(&ty.results)
                ));
            }
            for (resource, id) in &resolve.interfaces[*id].types {
                if matches!(resolve.types[*id].kind, wit_parser::TypeDefKind::Resource) {
                    let made =
                        format!("(import \"[export]{interface}\" \"[resource-new]{resource}\" (func $new (param i32) (result i32)))");
                    imports.push_str(&made);
                    let name = format!("{interface}#[dtor]{resource}");
                    let body = self.bodies.iter().find(|(end, _)| name.ends_with(end.as_str())).map_or("", |(_, body)| body);
                    functions.push_str(&format!("(func (export \"{name}\") (param i32) {body})\n"));
                }
            }
        }
        let text = format!(
            r#"(module {imports} {} (memory (export "memory") 1) (global $next (mut i32) (i32.const 16384))
              (func (export "cabi_realloc") (param i32 i32 i32 i32) (result i32) (local $at i32)
                (local.set $at (i32.and (i32.add (global.get $next) (i32.const 7)) (i32.const -8)))
                (global.set $next (i32.add (local.get $at) (local.get 3)))
                (local.get $at))
              {functions})"#,
            self.fields
        );
        encode(&resolve, world, wat::parse_str(&text).unwrap_or_else(|e| panic!("{e}\n{text}")))
    }
}

/// All of `wit/`, and the package with the worlds.
pub fn packages() -> (Resolve, PackageId) {
    component::packages(Path::new(WIT))
}

/// A plugin of a world that imports everything and does nothing.
pub fn dummy(world: &str) -> Vec<u8> {
    let (resolve, package) = packages();
    let world = resolve.select_world(&[package], Some(world)).unwrap();
    let module = dummy_module(&resolve, world, ManglingAndAbi::Legacy(wit_parser::LiftLowerAbi::Sync));
    encode(&resolve, world, module)
}
