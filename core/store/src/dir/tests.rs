use super::*;
use serde::Deserialize;
use std::fs;

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
struct Body {
    n: u32,
}

fn dirs(root: &Path) -> DocDir<Body> {
    DocDir::dirs(&root.join("docs"), "config.json", Trash::open(&root.join("trash")).unwrap(), Durability::Cached).unwrap()
}

#[test]
fn both_layouts_load_what_was_put() {
    let tmp = tempfile::tempdir().unwrap();
    for docs in [DocDir::files(&tmp.path().join("f"), Durability::Synced).unwrap(), dirs(tmp.path())] {
        for (key, n) in [("b", 2), ("a", 0), ("a", 1)] {
            docs.put(key, &Body { n }).unwrap();
        }
        let (all, bad) = docs.load_all().unwrap();
        assert_eq!(all, [("a".to_owned(), Body { n: 1 }), ("b".to_owned(), Body { n: 2 })]);
        assert!(bad.is_empty());
        docs.remove("a").unwrap();
        docs.remove("a").unwrap();
        assert_eq!(docs.load_all().unwrap().0.len(), 1);
        for key in ["", ".", "..", "a/b", ".hidden"] {
            assert!(docs.put(key, &Body { n: 0 }).is_err(), "{key:?}");
        }
    }
}

#[test]
fn an_unreadable_file_is_moved_aside_and_stays_there() {
    let tmp = tempfile::tempdir().unwrap();
    let docs: DocDir<Body> = DocDir::files(tmp.path(), Durability::Cached).unwrap();
    docs.put("good", &Body { n: 1 }).unwrap();
    assert!(!docs.any_aside().unwrap());
    for round in 1..=2 {
        fs::write(tmp.path().join("bad.json"), b"{\"n\":").unwrap();
        let (all, bad) = docs.load_all().unwrap();
        assert_eq!(all.len(), 1);
        assert_eq!((bad.len(), bad[0].key.as_str()), (1, "bad"));
        assert_eq!(bad[0].moved_to, tmp.path().join(format!("bad.json.corrupt-{round}")));
        assert_eq!(fs::read(&bad[0].moved_to).unwrap(), b"{\"n\":");
    }
    assert!(docs.load_all().unwrap().1.is_empty() && docs.any_aside().unwrap());
}

#[test]
fn an_unreadable_object_keeps_its_other_files() {
    let tmp = tempfile::tempdir().unwrap();
    let docs = dirs(tmp.path());
    docs.put("c", &Body { n: 1 }).unwrap();
    fs::write(docs.root().join("c/config.json"), b"").unwrap();
    fs::write(docs.root().join("c/log"), b"precious").unwrap();
    let (all, bad) = docs.load_all().unwrap();
    assert!(all.is_empty());
    assert_eq!(fs::read(bad[0].moved_to.join("log")).unwrap(), b"precious");
    assert_eq!(docs.load_all().unwrap().1.len(), 0);
}

#[test]
fn what_a_crash_left_is_removed() {
    let tmp = tempfile::tempdir().unwrap();
    let docs = dirs(tmp.path());
    docs.put("whole", &Body { n: 1 }).unwrap();
    fs::write(docs.root().join("whole/.config.json.7.tmp"), b"{").unwrap();
    fs::create_dir(docs.root().join("half")).unwrap();
    fs::write(docs.root().join("half/.config.json.1.tmp"), b"{").unwrap();
    let (all, bad) = docs.load_all().unwrap();
    assert_eq!((all.len(), bad.len()), (1, 0));
    assert!(!docs.root().join("half").exists());
    assert!(!docs.root().join("whole/.config.json.7.tmp").exists());
}

#[test]
fn fields_of_a_newer_version_are_written_back() {
    let tmp = tempfile::tempdir().unwrap();
    let docs: DocDir<Body> = DocDir::files(tmp.path(), Durability::Cached).unwrap();
    fs::write(tmp.path().join("a.json"), br#"{"n":1,"later":true}"#).unwrap();
    docs.load_all().unwrap();
    docs.put("a", &Body { n: 2 }).unwrap();
    let text: Value = serde_json::from_slice(&fs::read(tmp.path().join("a.json")).unwrap()).unwrap();
    assert_eq!((text["n"].as_u64(), text["later"].as_bool()), (Some(2), Some(true)));
}
