use super::*;
use proptest::prelude::*;

fn put(key: &str, value: &[u8]) -> Change {
    Change::Put(key.to_owned(), value.to_vec())
}

fn all(store: &Store) -> Vec<(String, Vec<u8>)> {
    store.scan("", None, 1_000)
}

#[test]
fn commits_are_whole_and_last() {
    let tmp = tempfile::tempdir().unwrap();
    let store = Store::open(tmp.path(), 1_000).unwrap();
    store.commit(&[put("a/1", b"x"), put("a/2", b"y"), put("b", b"z")]).unwrap();
    let stale = Change::Expect("b".to_owned(), None);
    assert_eq!(store.commit(&[put("c", b""), stale]), Err(Refusal::Conflict("b".to_owned())));
    assert_eq!(store.get("c"), None);
    let right = Change::Expect("b".to_owned(), Some(b"z".to_vec()));
    store.commit(&[right, Change::Delete("b".to_owned())]).unwrap();
    assert_eq!(store.scan("a/", Some("a/1"), 10), [("a/2".to_owned(), b"y".to_vec())]);
    assert_eq!(store.scan("a/", None, 1).len(), 1);
    let before = all(&store);
    drop(store);
    assert_eq!(all(&Store::open(tmp.path(), 100).unwrap()), before);
}

#[test]
fn the_quota_holds_and_lets_go() {
    let tmp = tempfile::tempdir().unwrap();
    let store = Store::open(tmp.path(), 100 + ENTRY as u64).unwrap();
    store.commit(&[put("k", &[0; 90])]).unwrap();
    assert_eq!(store.commit(&[put("l", b"")]), Err(Refusal::Quota(9)), "an empty value costs something, too");
    store.commit(&[put("l", &[0; 20]), Change::Delete("k".to_owned())]).unwrap();
    assert!(matches!(store.commit(&[put(&"k".repeat(513), b"")]), Err(Refusal::Unavailable(_))));
    drop(store);
    let store = Store::open(tmp.path(), 10).unwrap();
    store.commit(&[put("l", &[0; 15])]).unwrap();
    assert_eq!(store.commit(&[put("l", &[0; 16])]), Err(Refusal::Quota(0)));
    assert_eq!(store.commit(&[put("l", &[0; 15]), put("m", b"")]), Err(Refusal::Quota(0)));
}

#[test]
fn a_torn_end_is_cut_off_and_damage_is_kept() {
    let tmp = tempfile::tempdir().unwrap();
    let path = tmp.path().join("state");
    let store = Store::open(tmp.path(), 1_000).unwrap();
    store.commit(&[put("a", b"1")]).unwrap();
    let first = std::fs::read(&path).unwrap().len();
    store.commit(&[put("b", b"2")]).unwrap();
    drop(store);
    let whole = std::fs::read(&path).unwrap();
    for cut in first..whole.len() {
        std::fs::write(&path, &whole[..cut]).unwrap();
        let store = Store::open(tmp.path(), 1_000).unwrap();
        assert_eq!((store.get("a"), store.get("b")), (Some(b"1".to_vec()), None));
        store.commit(&[put("c", b"3")]).unwrap();
        drop(store);
        assert_eq!(all(&Store::open(tmp.path(), 1_000).unwrap()).len(), 2);
    }
    assert_eq!(std::fs::read_dir(tmp.path()).unwrap().count(), 1);
    // In a commit, or in its length, which then is beyond the end.
    for (kept, (at, change)) in [(first - 1, 1), (2, 1)].into_iter().enumerate() {
        let mut damaged = whole.clone();
        damaged[at] ^= change;
        std::fs::write(&path, &damaged).unwrap();
        assert_eq!(all(&Store::open(tmp.path(), 1_000).unwrap()), []);
        assert_eq!(std::fs::read(tmp.path().join(format!("state.corrupt-{}", kept + 1))).unwrap(), damaged);
        assert_eq!(std::fs::read_dir(tmp.path()).unwrap().count(), kept + 2);
    }
}

#[test]
fn a_file_that_was_replaced_after_all_is_gone_on_with() {
    let tmp = tempfile::tempdir().unwrap();
    let path = tmp.path().join("state");
    let store = Store::open(tmp.path(), 1_000).unwrap();
    store.commit(&[put("a", b"1")]).unwrap();
    let short = std::fs::read(&path).unwrap();
    store.commit(&[put("a", b"1")]).unwrap();
    // The rename was done, and what followed it failed.
    write_atomic(&path, &short, Durability::Synced).unwrap();
    store.adopt(&mut store.writer.lock().unwrap(), short.len() as u64);
    store.commit(&[put("b", b"2")]).unwrap();
    // It was not done.
    let length = store.writer.lock().unwrap().length;
    store.adopt(&mut store.writer.lock().unwrap(), 1);
    assert_eq!(store.writer.lock().unwrap().length, length);
    // Nobody knows.
    std::fs::rename(&path, tmp.path().join("gone")).unwrap();
    store.adopt(&mut store.writer.lock().unwrap(), 1);
    std::fs::write(&path, "").unwrap();
    assert!(matches!(store.commit(&[put("c", b"3")]), Err(Refusal::Unavailable(_))));
    std::fs::rename(tmp.path().join("gone"), &path).unwrap();
    store.commit(&[put("c", b"3")]).unwrap();
    drop(store);
    assert_eq!(all(&Store::open(tmp.path(), 1_000).unwrap()).len(), 3);
}

#[test]
fn it_does_not_grow_without_end() {
    let tmp = tempfile::tempdir().unwrap();
    let store = Store::open(tmp.path(), 1 << 20).unwrap();
    for n in 0..40u8 {
        store.commit(&[put("k", &[n; 60_000])]).unwrap();
    }
    assert!(std::fs::metadata(tmp.path().join("state")).unwrap().len() < 2 << 20);
    drop(store);
    assert_eq!(Store::open(tmp.path(), 1 << 20).unwrap().get("k"), Some(vec![39; 60_000]));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(16))]
    #[test]
    fn it_is_a_map(changes in prop::collection::vec(("[a-c]{1,2}", prop::option::of(prop::collection::vec(any::<u8>(), 0..4))), 1..20)) {
        let tmp = tempfile::tempdir().unwrap();
        let store = Store::open(tmp.path(), 10_000).unwrap();
        let mut model = Map::new();
        for (key, value) in changes {
            let change = match value {
                Some(value) => { model.insert(key.clone(), value.clone()); Change::Put(key, value) }
                None => { model.remove(&key); Change::Delete(key) }
            };
            store.commit(&[change]).unwrap();
        }
        let expected: Vec<_> = model.into_iter().collect();
        prop_assert_eq!(all(&store), expected.clone());
        drop(store);
        prop_assert_eq!(all(&Store::open(tmp.path(), 10_000).unwrap()), expected);
    }
}
