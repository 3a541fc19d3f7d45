//! The packages in `wit/`: each is what its directory says, survives printing and parsing, and is as it was released.

use sha2::{Digest, Sha256};
use std::{collections::BTreeMap, path::Path};
use wit_component::WitPrinter;
use wit_parser::{PackageId, Resolve};

/// Packages by name and version, parsed together. Those that others use come first.
fn packages() -> (Resolve, BTreeMap<String, PackageId>) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../wit");
    let names = |dir: &Path| {
        let directories = std::fs::read_dir(dir).unwrap().map(|entry| entry.unwrap()).filter(|entry| entry.path().is_dir());
        let mut names: Vec<String> = directories.map(|entry| entry.file_name().into_string().unwrap()).collect();
        names.sort_by_key(|name| (name != "host", name == "plugin", name.clone()));
        names
    };
    let (mut resolve, mut all) = (Resolve::default(), BTreeMap::new());
    for name in names(&root) {
        for version in names(&root.join(&name)) {
            let (id, _) = resolve.push_dir(root.join(&name).join(&version)).unwrap_or_else(|e| panic!("{name}/{version}: {e:#}"));
            let named = resolve.packages[id].name.to_string();
            assert_eq!(named, format!("wharf:{name}@{version}"), "its directory is another one");
            all.insert(named, id);
        }
    }
    (resolve, all)
}

fn print(resolve: &Resolve, id: PackageId, comments: bool) -> String {
    let mut printer = WitPrinter::default();
    printer.emit_docs(comments);
    printer.print(resolve, id, &[]).unwrap();
    printer.output.to_string()
}

fn digest(text: &str) -> String {
    format!("sha256:{}", hex::encode(Sha256::digest(text)))
}

/// What of `lock` does not hold, each with the name of the package.
fn broken(lock: &str, packages: &BTreeMap<String, String>) -> Vec<String> {
    let lines = lock.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
    lines
        .filter_map(|line| {
            let Some((name, released)) = line.split_once(' ') else { return Some(format!("no package and digest: {line}")) };
            match packages.get(name) {
                None => Some(format!("{name} was released and is gone")),
                Some(present) if present != released => {
                    Some(format!("{name} was released and has changed: make a new version. It was {released} and is {present}"))
                }
                Some(_) => None,
            }
        })
        .collect()
}

#[test]
fn printing_and_parsing_loses_nothing() {
    let (resolve, all) = packages();
    let mut again = Resolve::default();
    let mut order: Vec<_> = all.into_iter().collect();
    order.sort_by_key(|(_, id)| id.index());
    for (name, id) in order {
        let text = print(&resolve, id, true);
        let copy = again.push_str(format!("{name}.wit"), &text).unwrap_or_else(|e| panic!("{name}: {e:#}\n{text}"));
        assert_eq!(print(&again, copy, true), text, "{name}");
    }
}

#[test]
fn what_was_released_is_as_it_was() {
    let (resolve, all) = packages();
    let digests: BTreeMap<String, String> = all.into_iter().map(|(name, id)| (name, digest(&print(&resolve, id, false)))).collect();
    digests.iter().for_each(|(name, digest)| println!("{name} {digest}"));
    let lock = std::fs::read_to_string(Path::new(env!("CARGO_MANIFEST_DIR")).join("../../wit/released.lock")).unwrap();
    assert_eq!(broken(&lock, &digests), [""; 0]);
}

#[test]
fn a_changed_release_is_named() {
    let of = |body: &str| {
        let mut resolve = Resolve::default();
        let id = resolve.push_str("a.wit", &format!("package a:b@1.0.0;\n{body}")).unwrap();
        BTreeMap::from([("a:b@1.0.0".to_owned(), digest(&print(&resolve, id, false)))])
    };
    let released = of("/// What it does.\ninterface i { f: func(a: u8); }");
    let lock = format!("# comment\n\na:b@1.0.0 {}\n", released["a:b@1.0.0"]);
    assert_eq!(broken(&lock, &released), [""; 0]);
    assert_eq!(broken(&lock, &of("/// In other words.\ninterface i {\n  f: func(a: u8);\n}")), [""; 0], "only comments and blanks");
    for changed in ["interface i { f: func(a: u16); }", "interface i { f: func(a: u8); g: func(); }", "interface i { f: func(b: u8); }"] {
        let faults = broken(&lock, &of(changed));
        assert!(faults.len() == 1 && faults[0].starts_with("a:b@1.0.0 was released and has changed"), "{faults:?}");
    }
    assert_eq!(broken(&lock, &BTreeMap::new()), ["a:b@1.0.0 was released and is gone"]);
    assert_eq!(broken("a:b@1.0.0\n", &released), ["no package and digest: a:b@1.0.0"]);
}
