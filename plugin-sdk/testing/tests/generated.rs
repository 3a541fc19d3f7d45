//! What is made of `wit/` and committed: the C of the SDK and the reference for authors. `make docs` writes both.
#![allow(missing_docs, clippy::unwrap_used, clippy::panic, reason = "test code")]

use std::{fmt::Write as _, fs, path::Path};
use wit_bindgen_core::{
    Files,
    wit_parser::{Docs, FunctionKind, Handle, Interface, InterfaceId, PackageId, Resolve, Type, TypeDefKind, TypeId, WorldItem},
};

const PACKAGES: [&str; 7] = ["host", "authz", "logging", "volume", "metrics", "ipam", "plugin"];

fn root() -> &'static Path {
    Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../.."))
}

fn packages() -> (Resolve, Vec<PackageId>) {
    let mut resolve = Resolve::default();
    let ids = PACKAGES.iter().map(|name| resolve.push_dir(root().join("wit").join(name).join("0.1.0")).unwrap().0).collect();
    (resolve, ids)
}

fn current(file: &str, text: &str) {
    let path = root().join(file);
    if std::env::var_os("WHARF_WRITE_DOCS").is_some() {
        fs::write(&path, text).unwrap();
    }
    assert!(fs::read_to_string(&path).unwrap_or_default() == text, "{file} is not what the interfaces say: run `make docs`");
}

#[test]
fn the_c_of_the_sdk() {
    let (mut resolve, ids) = packages();
    let world = resolve.select_world(&ids[6..], Some("authz")).unwrap();
    let mut files = Files::default();
    wit_bindgen_c::Opts::default().build().generate(&mut resolve, world, &mut files).unwrap();
    for (name, content) in files.iter().filter(|(name, _)| !name.ends_with(".o")) {
        current(&format!("plugin-sdk/c/{name}"), std::str::from_utf8(content).unwrap());
    }
}

#[test]
fn the_reference() {
    let (resolve, ids) = packages();
    let mut page = String::from(
        "# Interfaces\n\nWhat plugins import and export: made of the comments in [`wit/`](../../wit), which hold. `make docs` writes this page. \
         [How to make a plugin](tutorial.md).\n",
    );
    for id in ids.into_iter().rev() {
        let package = resolve.packages.get(id).unwrap();
        write!(page, "\n## {}\n", package.name).unwrap();
        docs(&mut page, &package.docs, "");
        for (name, world) in &package.worlds {
            let world = resolve.worlds.get(*world).unwrap();
            write!(page, "\n### world `{name}`\n").unwrap();
            docs(&mut page, &world.docs, "");
            let named = |items: Vec<&WorldItem>| {
                let one = |item: &&WorldItem| match item {
                    WorldItem::Interface { id, .. } => Some(format!("`{}`", resolve.id_of(*id)?)),
                    _ => None,
                };
                items.iter().filter_map(one).collect::<Vec<_>>().join(", ")
            };
            if name == "imports" {
                write!(page, "\nImports {}.\n", named(world.imports.values().collect())).unwrap();
            } else {
                write!(page, "\nExports {}.\n", named(world.exports.values().collect())).unwrap();
            }
        }
        for (name, id) in &package.interfaces {
            write!(page, "\n### `{name}`\n").unwrap();
            interface(&mut page, &resolve, *id);
        }
    }
    current("docs/plugin-author/interfaces.md", &page);
}

fn docs(page: &mut String, docs: &Docs, indent: &str) {
    if let Some(text) = &docs.contents {
        page.push('\n');
        text.trim().lines().for_each(|line| writeln!(page, "{indent}{line}").unwrap());
    }
}

fn interface(page: &mut String, resolve: &Resolve, id: InterfaceId) {
    let interface: &Interface = resolve.interfaces.get(id).unwrap();
    docs(page, &interface.docs, "");
    for id in interface.types.values() {
        let ty = resolve.types.get(*id).unwrap();
        // Types that are used from elsewhere are described there.
        if matches!(&ty.kind, TypeDefKind::Type(Type::Id(_))) {
            continue;
        }
        let noun = match &ty.kind {
            TypeDefKind::Resource => "resource",
            kind => kind.as_str(),
        };
        write!(page, "\n**{noun} `{}`**\n", ty.name.as_deref().unwrap_or_default()).unwrap();
        docs(page, &ty.docs, "");
        let mut items: Vec<(String, &Docs)> = Vec::new();
        match &ty.kind {
            TypeDefKind::Record(record) => {
                items.extend(record.fields.iter().map(|f| (format!("{}: {}", f.name, of(resolve, &f.ty)), &f.docs)))
            }
            TypeDefKind::Variant(variant) => items.extend(
                variant
                    .cases
                    .iter()
                    .map(|c| (c.ty.as_ref().map_or_else(|| c.name.clone(), |ty| format!("{}({})", c.name, of(resolve, ty))), &c.docs)),
            ),
            TypeDefKind::Enum(of) => items.extend(of.cases.iter().map(|c| (c.name.clone(), &c.docs))),
            TypeDefKind::Flags(of) => items.extend(of.flags.iter().map(|f| (f.name.clone(), &f.docs))),
            _ => {}
        }
        page.push('\n');
        for (text, about) in items {
            bullet(page, &text, about);
        }
        for function in interface.functions.values().filter(|f| f.kind.resource() == Some(*id)) {
            bullet(page, &signature(resolve, function), &function.docs);
        }
    }
    page.push('\n');
    for function in interface.functions.values().filter(|f| matches!(f.kind, FunctionKind::Freestanding)) {
        bullet(page, &signature(resolve, function), &function.docs);
    }
    while page.ends_with("\n\n") {
        page.pop();
    }
}

fn bullet(page: &mut String, text: &str, docs: &Docs) {
    let about = docs.contents.as_deref().unwrap_or_default().split_whitespace().collect::<Vec<_>>().join(" ");
    let colon = if about.is_empty() { "" } else { ": " };
    writeln!(page, "* `{text}`{colon}{about}").unwrap();
}

fn signature(resolve: &Resolve, function: &wit_bindgen_core::wit_parser::Function) -> String {
    // The first parameter of a method is what it is a method of.
    let method = matches!(function.kind, FunctionKind::Method(_) | FunctionKind::AsyncMethod(_));
    let params = function.params.iter().skip(usize::from(method)).map(|p| format!("{}: {}", p.name, of(resolve, &p.ty)));
    let result = function.result.as_ref().map(|ty| format!(" -> {}", of(resolve, ty))).unwrap_or_default();
    format!("{}({}){result}", function.item_name(), params.collect::<Vec<_>>().join(", "))
}

fn of(resolve: &Resolve, ty: &Type) -> String {
    match ty {
        Type::Id(id) => named(resolve, *id),
        Type::String => "string".to_owned(),
        other => format!("{other:?}").to_lowercase(),
    }
}

fn named(resolve: &Resolve, id: TypeId) -> String {
    let ty = resolve.types.get(id).unwrap();
    if let Some(name) = &ty.name {
        return name.clone();
    }
    let optional = |ty: &Option<Type>| ty.as_ref().map_or_else(|| "_".to_owned(), |ty| of(resolve, ty));
    match &ty.kind {
        TypeDefKind::List(ty) => format!("list<{}>", of(resolve, ty)),
        TypeDefKind::Option(ty) => format!("option<{}>", of(resolve, ty)),
        TypeDefKind::Tuple(tuple) => format!("tuple<{}>", tuple.types.iter().map(|ty| of(resolve, ty)).collect::<Vec<_>>().join(", ")),
        TypeDefKind::Result(result) if result.ok.is_none() && result.err.is_none() => "result".to_owned(),
        TypeDefKind::Result(result) if result.err.is_none() => format!("result<{}>", optional(&result.ok)),
        TypeDefKind::Result(result) => format!("result<{}, {}>", optional(&result.ok), optional(&result.err)),
        TypeDefKind::Handle(Handle::Borrow(id)) => format!("borrow<{}>", named(resolve, *id)),
        TypeDefKind::Handle(Handle::Own(id)) => named(resolve, *id),
        other => panic!("a type without a name: {other:?}"),
    }
}
